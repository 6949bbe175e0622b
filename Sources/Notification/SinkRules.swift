/// When a sink is told of what. Spans in nanoseconds.
public struct SinkRules: Sendable, Equatable {
    /// Alerts below are not told.
    public var severityMin = Level.info
    /// Globs over stream keys; empty: all.
    public var streams: [String] = []
    /// Tags whose values make a group; with none each alert, or incident, is one.
    public var groupBy: [String] = []
    /// From the first news of a group until it is told, so that what belongs together comes together.
    public var groupWait: Int64 = 5_000_000_000
    /// Between two messages of one group, but for a rise of severity and its end.
    public var groupInterval: Int64 = 60_000_000_000
    /// Pauses before reminders while nothing changes; the last one repeats. Empty: none.
    public var reminders: [Int64] = []
    public var tellsResolved = true
    /// Messages an hour of wall time; beyond it one digest tells the rest. 0: no limit.
    public var messagesPerHour = 0
    /// Minutes of the day, local time, from and until when only `quietSeverity` and above is told; nil: never.
    public var quiet: (from: Int, until: Int)?
    public var quietSeverity = Level.critical
    /// An alert whose like (stream and kind) opened so often within `flapWindow` is told only when it stays open for `flapHold`.
    public var flapMax = 5
    public var flapWindow: Int64 = 3600 * 1_000_000_000
    public var flapHold: Int64 = 900 * 1_000_000_000

    public init() {}

    public static func == (left: SinkRules, right: SinkRules) -> Bool {
        left.severityMin == right.severityMin && left.streams == right.streams && left.groupBy == right.groupBy
            && left.groupWait == right.groupWait && left.groupInterval == right.groupInterval && left.reminders == right.reminders
            && left.tellsResolved == right.tellsResolved && left.messagesPerHour == right.messagesPerHour
            && left.quiet?.from == right.quiet?.from && left.quiet?.until == right.quiet?.until && left.quietSeverity == right.quietSeverity
            && left.flapMax == right.flapMax && left.flapWindow == right.flapWindow && left.flapHold == right.flapHold
    }

    /// Whether it is quiet at a minute of the day.
    func isQuiet(_ minute: Int) -> Bool {
        guard let quiet else { return false }
        return quiet.from <= quiet.until ? (quiet.from..<quiet.until).contains(minute) : minute >= quiet.from || minute < quiet.until
    }
}

/// Why a message is sent; as Alertmanager's `notification_reason` says it.
public enum NotificationReason: String, Sendable {
    case first = "first notification"
    case newAlerts = "new alerts in group"
    case worse = "severity rose"
    case resolved = "alerts resolved"
    case reminder = "repeat interval elapsed"
    case digest = "digest of what the rate limit held back"
    case test = "test"
}

/// Something to tell a sink. Its key is the same however often it is tried, and another one for another content.
public struct Notice: Sendable, Equatable {
    public var key: String
    public var group: String
    public var reason: NotificationReason
    /// What the sink hears of, newest state; resolved ones included.
    public var firing: [NotifyAlert]
    public var resolved: [NotifyAlert]
    /// Groups that a digest is about beside `group`.
    public var others: [String] = []

    public init(key: String, group: String, reason: NotificationReason, firing: [NotifyAlert], resolved: [NotifyAlert]) {
        (self.key, self.group, self.reason, self.firing, self.resolved) = (key, group, reason, firing, resolved)
    }

    public var isResolved: Bool { firing.isEmpty }
    public var severity: Level { (firing.isEmpty ? resolved : firing).map(\.severity).max() ?? .info }
}
