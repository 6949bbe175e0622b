import Alerting
import Detection

/// What the user set for a stream beyond the defaults.
public struct StreamPolicy: Sendable, Equatable {
    /// Mean seconds between tolerated false alarms; infinity keeps the built-in threshold.
    public var secondsBetweenFalseAlarms = Double.infinity
    /// Learned intervals without a reading until the stream is stale.
    public var staleAfter: Int64
    /// Alerts below are not raised.
    public var severityMin: Severity = .info

    public init(secondsBetweenFalseAlarms: Double = .infinity, staleAfter: Int64 = 20, severityMin: Severity = .info) {
        (self.secondsBetweenFalseAlarms, self.staleAfter, self.severityMin) = (secondsBetweenFalseAlarms, staleAfter, severityMin)
    }
}

/// Everything that a shard needs to know beforehand.
public struct WatchSettings: Sendable {
    public var profile: DetectorProfile
    public var rules: EpisodeRules
    /// No stream is stale earlier (nanoseconds of fleet time).
    public var staleMin: Int64
    public var reportsStuck: Bool
    /// The policy of a stream by its canonical key.
    public var policy: @Sendable (String) -> StreamPolicy
    /// A stored model by the SHA-256 of its bytes; nil: there is none. Called between readings, must answer at once.
    public var model: @Sendable (String) -> WatchModel? = { _ in nil }
    /// Whether a glob matches a stream's key.
    public var matches: @Sendable (String, String) -> Bool = { $0 == $1 }

    public init(
        profile: DetectorProfile = .standard, rules: EpisodeRules = EpisodeRules(closeAfter: 1_800_000_000_000),
        staleMin: Int64 = 60_000_000_000, reportsStuck: Bool = true,
        policy: @escaping @Sendable (String) -> StreamPolicy = { _ in StreamPolicy() }
    ) {
        (self.profile, self.rules, self.staleMin, self.reportsStuck, self.policy) = (profile, rules, staleMin, reportsStuck, policy)
    }
}
