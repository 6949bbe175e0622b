import Alerting
import Detection
import TimeSeries

/// What the user set for a stream beyond the defaults.
public struct StreamPolicy: Sendable, Equatable {
    /// Mean seconds between tolerated false alarms of the stream itself; infinity for none.
    public var secondsBetweenFalseAlarms = Double.infinity
    /// The group that shares a budget with this stream; 0 for none.
    public var budgetGroup: UInt16 = 0
    /// Mean seconds between tolerated false alarms of the whole group; infinity for none.
    public var groupSecondsBetween = Double.infinity
    /// The clock people around the stream live by.
    public var zone = TimeZoneRules.utc
    /// Learned intervals without a reading until the stream is stale.
    public var staleAfter: Int64
    /// Alerts below are not raised.
    public var severityMin: Severity = .info

    public init(secondsBetweenFalseAlarms: Double = .infinity, staleAfter: Int64 = 20, severityMin: Severity = .info) {
        (self.secondsBetweenFalseAlarms, self.staleAfter, self.severityMin) = (secondsBetweenFalseAlarms, staleAfter, severityMin)
    }

    /// Mean seconds between false alarms when so many streams share the group's budget: the rarer of both promises holds; infinity
    /// keeps the built-in threshold.
    func secondsBetween(sharedBy streams: UInt32) -> Double {
        guard groupSecondsBetween.isFinite else { return secondsBetweenFalseAlarms }
        let share = groupSecondsBetween * Double(max(1, streams))
        return secondsBetweenFalseAlarms.isFinite ? max(share, secondsBetweenFalseAlarms) : share
    }
}

/// Everything that a shard needs to know beforehand.
public struct WatchSettings: Sendable {
    public var profile: DetectorProfile
    public var rules: EpisodeRules
    /// No stream is stale earlier (nanoseconds of fleet time).
    public var staleMin: Int64
    public var reportsStuck: Bool
    /// Blocks of 25 readings whose highest score each stream remembers, for `why-not`.
    public var historyBlocks = 32
    /// The policy of a stream by its canonical key.
    public var policy: @Sendable (String) -> StreamPolicy
    /// A stored model by the SHA-256 of its bytes; nil: there is none. Called between readings, must answer at once.
    public var model: @Sendable (String) -> WatchModel? = { _ in nil }
    /// Whether a glob matches a stream's key.
    public var matches: @Sendable (String, String) -> Bool = { $0 == $1 }
    /// Whether the scope of a silence, as it stands in a note, is about a stream's key.
    public var covers: @Sendable (String) -> (String) -> Bool = { scope in { scope == $0 } }

    public init(
        profile: DetectorProfile = .standard, rules: EpisodeRules = EpisodeRules(closeAfter: 1_800_000_000_000),
        staleMin: Int64 = 60_000_000_000, reportsStuck: Bool = true,
        policy: @escaping @Sendable (String) -> StreamPolicy = { _ in StreamPolicy() }
    ) {
        (self.profile, self.rules, self.staleMin, self.reportsStuck, self.policy) = (profile, rules, staleMin, reportsStuck, policy)
    }
}
