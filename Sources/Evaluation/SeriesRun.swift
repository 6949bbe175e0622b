import Detection
import TimeSeries

/// A recorded series: rows of channels, and what is known about it.
public struct LabelledSeries: Sendable {
    /// Name within its corpus, e.g. `realTweets/Twitter_volume_AAPL.csv`.
    public var name: String
    /// Nanoseconds since 1970 per row.
    public var times: [Int64]
    /// Row after row, `channels` values each; NaN = absent.
    public var values: [Double]
    /// Channels per row.
    public var channels: Int
    /// True if the times are those of a wall clock.
    public var hasClock: Bool
    /// Labelled events as half-open ranges of rows.
    public var events: [Range<Int>]
    /// Rows before this one are not judged.
    public var start: Int

    /// A series.
    public init(name: String, times: [Int64], values: [Double], channels: Int, hasClock: Bool, events: [Range<Int>], start: Int) {
        self.name = name
        self.times = times
        self.values = values
        self.channels = channels
        self.hasClock = hasClock
        self.events = events
        self.start = start
    }

    /// Number of rows.
    public var rows: Int { times.count }
}

/// Scores and alarms of one series, row by row, made by the production path.
public struct SeriesRun: Sendable {
    /// The score of each row.
    public var scores: [Double] = []
    /// The score where it was raised (see the alarm rule), 0 elsewhere: what a threshold is laid on afterwards.
    public var raised: [Double] = []
    /// Alarms at the threshold in force.
    public var alarms: [Bool] = []
    /// What each reading looks like.
    public var kinds: [AnomalyKind] = []
    /// True while the stream was too young to be judged.
    public var warmUp: [Bool] = []
    /// Of every channel that changes: mean error of what was expected, over that of "the same as last time", after the first third.
    public var forecastRatios: [Double] = []

    /// Runs `series` through `detector` as one new stream.
    public init(_ series: LabelledSeries, _ detector: inout Detector, settings: StreamSettings = StreamSettings()) {
        let d = series.channels
        let memory = StreamMemory(detector, channels: d)
        var verdict = Verdict(channelsMax: d)
        var inputs: [ChannelInput] = []
        inputs.reserveCapacity(d)
        var tallies = [ForecastTally](repeating: ForecastTally(), count: d)
        scores.reserveCapacity(series.rows)
        for i in 0..<series.rows {
            inputs.removeAll(keepingCapacity: true)
            for j in 0..<d where series.values[i * d + j].isFinite {
                inputs.append(
                    ChannelInput(state: memory.channel(j), value: series.values[i * d + j], index: UInt16(truncatingIfNeeded: j)))
            }
            inputs.withUnsafeBufferPointer {
                detector.step(
                    stream: memory.stream, channels: $0, time: series.times[i], hasClock: series.hasClock, settings: settings,
                    verdict: &verdict)
            }
            scores.append(verdict.score)
            raised.append(verdict.isRaised ? verdict.score : 0)
            alarms.append(verdict.isAlarm)
            kinds.append(verdict.kind)
            warmUp.append(verdict.warmUpReason == .readings)
            for channel in verdict.channels {
                tallies[Int(channel.index)].add(channel.value, expected: channel.expected, counts: 3 * i >= series.rows)
            }
        }
        forecastRatios = tallies.compactMap(\.ratio)
    }
}
