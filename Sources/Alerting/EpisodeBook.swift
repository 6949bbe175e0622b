import TimeSeries

/// What opens, keeps open and closes alerts. A reload may change it.
public struct EpisodeRules: Sendable, Equatable {
    /// An episode ends when it was quiet for so long (nanoseconds of reading time) ...
    public var closeAfter: Int64
    /// ... and for so many readings.
    public var quietReadingsMin: Int
    /// A score this far below the threshold is quiet.
    public var hysteresis: Double
    /// The peak must grow by this before an update is told.
    public var updateStep: Double
    /// Peaks this far above the threshold are critical.
    public var criticalMargin: Double

    public init(
        closeAfter: Int64, quietReadingsMin: Int = 30, hysteresis: Double = 0.5, updateStep: Double = 0.5, criticalMargin: Double = 2
    ) {
        (self.closeAfter, self.quietReadingsMin, self.hysteresis) = (closeAfter, quietReadingsMin, hysteresis)
        (self.updateStep, self.criticalMargin) = (updateStep, criticalMargin)
    }
}

/// The facts about one reading that an alert is made of; built only when there is something to tell.
public struct AlertFacts: Sendable {
    public var channels: [String]
    public var observed: Double?
    public var expected: Double?
    public var bandLow: Double?
    public var bandHigh: Double?
    public var reason: String
    public var contributions: [Contribution]
    public var evidence: [Contribution]
    public var context: [ContextPoint]

    public init(
        channels: [String], observed: Double? = nil, expected: Double? = nil, bandLow: Double? = nil, bandHigh: Double? = nil,
        reason: String, contributions: [Contribution] = [], evidence: [Contribution] = [], context: [ContextPoint] = []
    ) {
        (self.channels, self.observed, self.expected, self.bandLow, self.bandHigh) = (channels, observed, expected, bandLow, bandHigh)
        (self.reason, self.contributions, self.evidence, self.context) = (reason, contributions, evidence, context)
    }
}

/// All open episodes of some streams: a pure state machine. Verdicts go in, actions come out; nothing is read from a clock.
///
/// Each stream has at most one open episode of a kind. A second alarm during an episode updates it; it never opens a twin.
public struct EpisodeBook: Sendable, Equatable {
    /// An open alert and what is needed to end it.
    public struct Episode: Sendable, Equatable {
        public var alert: Alert
        /// Time of the last reading that was not quiet.
        public var lastActiveAt: Int64
        public var quietReadings = 0
        /// The peak that was last told.
        public var toldPeak: Double

        public init(alert: Alert, lastActiveAt: Int64, quietReadings: Int = 0, toldPeak: Double) {
            (self.alert, self.lastActiveAt, self.quietReadings, self.toldPeak) = (alert, lastActiveAt, quietReadings, toldPeak)
        }
    }

    private struct Key: Hashable, Sendable {
        var stream: UInt32
        var kind: AlertKind
    }

    public var rules: EpisodeRules
    private var open: [Key: Episode] = [:]

    public init(rules: EpisodeRules) { self.rules = rules }

    public var openCount: Int { open.count }
    public func episode(_ stream: UInt32, _ kind: AlertKind) -> Episode? { open[Key(stream: stream, kind: kind)] }

    /// All open episodes of a stream in the order of `AlertKind`.
    public func episodes(of stream: UInt32) -> [Episode] { AlertKind.allCases.compactMap { open[Key(stream: stream, kind: $0)] } }

    /// Puts back an episode from a checkpoint.
    public mutating func restore(_ episode: Episode) { open[Key(stream: episode.alert.stream, kind: episode.alert.kind)] = episode }

    /// Forgets an episode.
    public mutating func forget(_ stream: UInt32, _ kind: AlertKind) { open[Key(stream: stream, kind: kind)] = nil }

    /// Forgets all episodes of a stream (it was evicted).
    public mutating func forget(_ stream: UInt32) { for kind in AlertKind.allCases { open[Key(stream: stream, kind: kind)] = nil } }

    /// One scored reading of a stream that alarms or has an open anomaly.
    ///
    /// - Parameters:
    ///   - time: of the reading; `isAlarm`: the detector raised here; `identify`: makes the id and key of a new alert
    ///   - facts: called only when an action is made
    /// - Returns: the action to store and tell, if any.
    public mutating func scored(
        stream: UInt32, time: Int64, score: Double, threshold: Double, isAlarm: Bool, observed: Double?,
        identify: () -> (id: String, key: String), facts: () -> AlertFacts
    ) -> AlertAction? {
        let key = Key(stream: stream, kind: .anomaly)
        guard var episode = open[key] else {
            guard isAlarm else { return nil }
            var alert = newAlert(stream, .anomaly, severity(score, threshold), time, identify(), facts())
            (alert.initialScore, alert.peakScore, alert.threshold) = (score, score, threshold)
            open[key] = Episode(alert: alert, lastActiveAt: time, toldPeak: score)
            return AlertAction(.opened, alert, time: time)
        }
        if score >= threshold - rules.hysteresis {
            episode.lastActiveAt = time
            episode.quietReadings = 0
        } else {
            episode.quietReadings += 1
        }
        let peak = episode.alert.peakScore ?? score
        if score > peak { episode.alert.peakScore = score }
        if score >= episode.toldPeak + rules.updateStep && score >= threshold {
            let latest = facts()
            episode.toldPeak = score
            episode.alert.updatedAt = time
            episode.alert.severity = max(episode.alert.severity, severity(score, threshold))
            episode.alert.channels += latest.channels.filter { !episode.alert.channels.contains($0) }
            episode.alert.evidence = latest.evidence
            episode.alert.contributions = latest.contributions
            open[key] = episode
            return AlertAction(.updated, episode.alert, time: time)
        }
        if episode.quietReadings >= rules.quietReadingsMin, time.since(episode.lastActiveAt) >= rules.closeAfter {
            open[key] = nil
            let (reason, words) = EpisodeBook.ending(episode.alert, observed)
            episode.alert.reason += words
            return AlertAction(.closed, EpisodeBook.closed(episode.alert, at: time, reason), time: time)
        }
        open[key] = episode
        return nil
    }

    /// A condition without a score (stale, stuck, limit, storage) began. nil when it is open already.
    public mutating func begin(
        stream: UInt32, kind: AlertKind, severity: Severity, time: Int64, identify: () -> (id: String, key: String), facts: () -> AlertFacts
    ) -> AlertAction? {
        let key = Key(stream: stream, kind: kind)
        guard open[key] == nil else { return nil }
        let alert = newAlert(stream, kind, severity, time, identify(), facts())
        open[key] = Episode(alert: alert, lastActiveAt: time, toldPeak: 0)
        return AlertAction(.opened, alert, time: time)
    }

    /// It ended. nil when it was not open.
    public mutating func end(stream: UInt32, kind: AlertKind, time: Int64, reason: CloseReason = .recovered) -> AlertAction? {
        guard let episode = open.removeValue(forKey: Key(stream: stream, kind: kind)) else { return nil }
        return AlertAction(.closed, EpisodeBook.closed(episode.alert, at: max(time, episode.alert.openedAt), reason), time: time)
    }

    /// A person ended it. nil when no such alert of the stream is open.
    public mutating func close(stream: UInt32, id: String, time: Int64, by: String, text: String) -> AlertAction? {
        guard let episode = episodes(of: stream).first(where: { $0.alert.id == id }) else { return nil }
        guard var action = end(stream: stream, kind: episode.alert.kind, time: time, reason: .by_hand) else { return nil }
        (action.by, action.text) = (by, text)
        return action
    }

    private func severity(_ score: Double, _ threshold: Double) -> Severity {
        score >= threshold + rules.criticalMargin ? .critical : .warning
    }

    private func newAlert(
        _ stream: UInt32, _ kind: AlertKind, _ severity: Severity, _ time: Int64, _ identity: (id: String, key: String), _ facts: AlertFacts
    ) -> Alert {
        var alert = Alert(
            id: identity.id, stream: stream, streamKey: identity.key, channels: facts.channels, kind: kind, severity: severity,
            openedAt: time, reason: facts.reason)
        (alert.observed, alert.expected, alert.bandLow, alert.bandHigh) = (facts.observed, facts.expected, facts.bandLow, facts.bandHigh)
        (alert.contributions, alert.evidence, alert.context) = (facts.contributions, facts.evidence, facts.context)
        return alert
    }

    /// What is told at the end when the opening value was outside the usual band: whether the channel came back from it.
    private static func ending(_ alert: Alert, _ now: Double?) -> (CloseReason, String) {
        guard let now, let opening = alert.observed, let expected = alert.expected, let low = alert.bandLow, let high = alert.bandHigh,
            opening < low || opening > high
        else { return (.recovered, "") }
        return abs(now - opening) < abs(now - expected)
            ? (.learned, "; the new level has become usual") : (.recovered, "; back to usual values")
    }

    private static func closed(_ alert: Alert, at time: Int64, _ reason: CloseReason) -> Alert {
        var alert = alert
        alert.closeReason = reason
        (alert.state, alert.closedAt, alert.updatedAt) = (.closed, time, time)
        return alert
    }
}
