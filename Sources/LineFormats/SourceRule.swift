import TimeSeries

/// How a stated time is written.
public enum TimeForm: Sendable, Equatable {
    /// As a pattern says.
    case pattern(TimePattern)
    /// A number of a known unit since 1970.
    case unit(TimeUnit)

    /// `seconds`, `milliseconds`, `microseconds`, `nanoseconds`, or a pattern such as `%d/%m/%Y %H:%M`; nil: it is neither.
    public init?(_ text: String) {
        switch text {
        case "seconds", "s": self = .unit(.seconds)
        case "milliseconds", "ms": self = .unit(.milliseconds)
        case "microseconds", "us": self = .unit(.microseconds)
        case "nanoseconds", "ns": self = .unit(.nanoseconds)
        default:
            guard let pattern = TimePattern(text) else { return nil }
            self = .pattern(pattern)
        }
    }

    /// Reads a whole text.
    func read(_ b: Bytes) -> WrittenTime? {
        switch self {
        case .pattern(let pattern): return pattern.read(UnsafeBufferPointer(start: b.base, count: b.count).span)
        case .unit(let unit):
            var next = 0
            guard b.count > 0, let time = Timestamp.number(b, 0, unit, next: &next), next == b.count else { return nil }
            return WrittenTime(nanoseconds: time, hasZone: true)
        }
    }
}

/// What makes a stream of the objects of one kind of sender: which members name it, which say when, which are values.
///
/// Members inside others are named with dots: `uplink_message.decoded_payload`.
public struct SourceRule: Sendable, Equatable {
    /// For people: the preset's name, or empty.
    public var name = ""
    /// Glob (`*`, `?`) over the name in front of the object or word (an MQTT topic); `*` takes objects without one as well.
    public var match = "*"
    /// Members that an object must have for the rule to count.
    public var has: [String] = []
    /// The first is the measurement, the others are tags under their own names; members that are absent are left out. Empty: the stream is
    /// named as without a rule.
    public var streamFrom: [String] = []
    /// Members that are neither values nor counted as lost.
    public var ignoreFields: [String] = []
    /// The member with the time; empty: one of the usual names.
    public var timeField = ""
    /// nil: any form that is known.
    public var timeForm: TimeForm?
    /// The member with the values: an object, a number, or a text that holds either; empty: all members of the object.
    public var valueFrom = ""
    /// Words that stand for numbers, such as `ON`; compared without case.
    public var states: [String: Double] = [:]

    public init() {}

    init(
        _ name: String, has: [String], stream: [String], ignore: [String] = [], time: String = "", value: String = "", states: Bool = false
    ) {
        self.name = name
        (self.has, streamFrom, ignoreFields, timeField, valueFrom) = (has, stream, ignore, time, value)
        if states { self.states = SourceRule.usualStates }
    }

    /// What switches, contacts and connections usually say.
    public static let usualStates: [String: Double] = [
        "on": 1, "off": 0, "online": 1, "offline": 0, "open": 1, "opened": 1, "closed": 0, "true": 1, "false": 0, "yes": 1, "no": 0,
        "home": 1, "not_home": 0, "detected": 1, "clear": 0, "locked": 0, "unlocked": 1, "up": 1, "down": 0,
    ]

    /// Rules that are known by name.
    public static let presets: [SourceRule] = [
        SourceRule(
            "mosquitto", has: ["topic", "payload", "qos"], stream: ["topic"], time: "tst", value: "payload", states: true),
        SourceRule(
            "rtl_433", has: ["time", "model"], stream: ["model", "id", "channel"],
            ignore: ["brand", "subtype", "protocol", "mic", "mod", "freq", "freq1", "freq2", "rssi", "snr", "noise", "sequence_num"],
            time: "time"),
        SourceRule(
            "home_assistant", has: ["entity_id", "state"], stream: ["entity_id"], time: "last_updated", value: "state", states: true),
        SourceRule(
            "home_assistant_event", has: ["event_type", "data.entity_id", "data.new_state.state"], stream: ["data.entity_id"],
            time: "time_fired", value: "data.new_state.state", states: true),
        SourceRule(
            "ttn", has: ["end_device_ids.device_id", "uplink_message"], stream: ["end_device_ids.device_id"], time: "received_at",
            value: "uplink_message.decoded_payload"),
        SourceRule("chirpstack", has: ["deviceInfo.devEui", "object"], stream: ["deviceInfo.devEui"], time: "time", value: "object"),
        SourceRule("shelly", has: ["src", "method", "params"], stream: ["src"], time: "params.ts", value: "params", states: true),
        SourceRule("switches", has: [], stream: [], states: true),
    ]

    /// The preset of a name.
    public static func preset(_ name: String) -> SourceRule? { presets.first { $0.name == name } }

    /// Whether the glob matches these bytes.
    func matches(_ b: Bytes) -> Bool {
        if match == "*" { return true }
        let glob = match.utf8
        var (g, i) = (glob.startIndex, 0)
        var back: (glob: String.UTF8View.Index, place: Int)?
        while i < b.count {
            if g < glob.endIndex, glob[g] == 0x2A {
                back = (glob.index(after: g), i)
                g = glob.index(after: g)
            } else if g < glob.endIndex, glob[g] == 0x3F || glob[g] == b[i] {
                g = glob.index(after: g)
                i += 1
            } else if let (afterStar, place) = back {
                (g, i, back) = (afterStar, place + 1, (afterStar, place + 1))
            } else {
                return false
            }
        }
        return glob[g...].allSatisfy { $0 == 0x2A }
    }
}
