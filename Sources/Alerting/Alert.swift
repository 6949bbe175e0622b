/// What is wrong.
public enum AlertKind: String, Sendable, CaseIterable {
    /// The readings are not what the stream's past makes likely.
    case anomaly
    /// No reading for far longer than the stream's own interval, while others went on.
    case stale
    /// A channel repeats one value far longer than it ever did.
    case stuck
    /// A configured limit was reached (streams, for example) and readings are refused.
    case limit
    /// The database cannot be written; readings are held back.
    case storage
    /// Much of what a source sends is lost: dated ahead, late, twice, or not understood.
    case input
    /// A value lies outside the range that the configuration gives its channel.
    case range
}

/// How urgent it is.
public enum Severity: String, Sendable, CaseIterable, Comparable {
    case info, warning, critical

    private var rank: Int { self == .info ? 0 : self == .warning ? 1 : 2 }
    public static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }
}

public enum AlertState: String, Sendable, CaseIterable {
    case open, closed
}

/// Why an alert is over.
public enum CloseReason: String, Sendable, CaseIterable {
    /// What was unusual went away.
    case recovered
    /// What was unusual stayed and has become usual.
    case learned
    /// The stream is not there any more: forgotten, evicted, ignored, or what was learned about it was lost.
    case stream_gone
    /// A person closed it.
    case by_hand
}

/// The share of one channel or one kind of evidence in an alert.
public struct Contribution: Sendable, Equatable {
    public var name: String
    /// 0 to 1 over all channels, or the evidence's own value.
    public var share: Double
    /// What it means in words; empty when the number says it all.
    public var note: String

    public init(name: String, share: Double, note: String = "") {
        (self.name, self.share, self.note) = (name, share, note)
    }
}

/// One reading of the alert's main channel around the opening.
public struct ContextPoint: Sendable, Equatable {
    /// Nanoseconds since 1970.
    public var time: Int64
    public var value: Double

    public init(time: Int64, value: Double) {
        (self.time, self.value) = (time, value)
    }
}

/// One episode, from its opening to its end. `id`, `openedAt` and `initialScore` never change.
public struct Alert: Sendable, Equatable {
    /// Stable and deterministic: hash of the stream key and the stream's own count of alerts.
    public var id: String
    public var stream: UInt32
    public var streamKey: String
    /// The channels that carry it, the main one first.
    public var channels: [String]
    public var kind: AlertKind
    public var severity: Severity
    public var state: AlertState = .open
    /// Times of readings (nanoseconds since 1970), not of the machine.
    public var openedAt: Int64
    public var updatedAt: Int64
    public var closedAt: Int64?
    /// nil while it is open.
    public var closeReason: CloseReason?
    /// The incident that it belongs to; nil for none.
    public var incident: String?
    /// Scores are -log10 of how rare this is by the stream's own past, roughly; nil for kinds without score.
    public var initialScore: Double?
    public var peakScore: Double?
    public var threshold: Double?
    /// Value of the main channel when it opened, what was expected, and the band of usual values (units of the reading).
    public var observed: Double?
    public var expected: Double?
    public var bandLow: Double?
    public var bandHigh: Double?
    /// One plain sentence.
    public var reason: String
    public var contributions: [Contribution] = []
    public var evidence: [Contribution] = []
    public var context: [ContextPoint] = []

    public init(
        id: String, stream: UInt32, streamKey: String, channels: [String], kind: AlertKind, severity: Severity, openedAt: Int64,
        reason: String
    ) {
        (self.id, self.stream, self.streamKey, self.channels, self.kind) = (id, stream, streamKey, channels, kind)
        (self.severity, self.openedAt, updatedAt, self.reason) = (severity, openedAt, openedAt, reason)
    }
}

/// What an alert went through; the voice says each once.
public enum Transition: String, Sendable {
    case opened, updated, closed
}

/// A step of an alert for the store and for the voice: the whole alert as it is after the step.
public struct AlertAction: Sendable, Equatable {
    public var transition: Transition
    public var alert: Alert
    /// When, in the time of the readings.
    public var time: Int64
    /// Who made it, and what they said; empty: the detector.
    public var by = ""
    public var text = ""

    public init(_ transition: Transition, _ alert: Alert, time: Int64, by: String = "", text: String = "") {
        (self.transition, self.alert, self.time, self.by, self.text) = (transition, alert, time, by, text)
    }
}
