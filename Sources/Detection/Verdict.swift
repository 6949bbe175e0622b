import TimeSeries

/// One channel's part in a verdict.
public struct ChannelVerdict: BitwiseCopyable, Sendable {
    /// The index the caller gave the channel.
    public var index: UInt16 = 0
    /// True if the channel took part in the score (false while it is younger than its stream and still warming up).
    public var takesPart = false
    /// True while the channel repeats one value for much longer than ever.
    public var isStuck = false
    /// The value as judged (finite, at most 1e100 in magnitude).
    public var value: Double = 0
    /// What was predicted for this reading one reading ago (see `ForecastExpert`), in the unit of the reading; the running mean while there is
    /// no prediction.
    public var expected: Double = 0
    /// What the recurrent network's readout alone predicted, wherever that lies; `expected` while it predicts nothing.
    public var recurrent: Double = 0
    /// Ends of the band in which about 99 % of the readings are expected, in the unit of the reading.
    public var bandLow: Double = 0
    /// Upper end of the band.
    public var bandHigh: Double = 0
    /// Prediction error in units of its usual size; 0 while there is none.
    public var error: Double = 0
    /// Share of the stream's score that comes from this channel, 0...1; the shares of a positive score add up to 1.
    public var contribution: Double = 0
}

/// Why a stream is still warming up.
public enum WarmUpReason: UInt8, Sendable {
    /// It is not.
    case none
    /// Too few readings to rank anything.
    case readings
    /// Readings just came back after a gap.
    case gap
}

/// What the detector says about one reading of one stream. Made once, filled by every `Detector.step`.
public struct Verdict: ~Copyable {
    /// The score, 0 or more; comparable over streams and time. 1 - 2^-score lies in [0, 1).
    public internal(set) var score: Double = 0
    /// The threshold in force for this reading.
    public internal(set) var threshold: Double = .infinity
    /// True if an alarm is raised by this reading. Never in warm-up.
    public internal(set) var isAlarm = false
    /// True if the alarm rule lets this score through; an alarm is a raised score at or over the threshold, after the warm-up.
    public internal(set) var isRaised = false
    /// True while alarms are impossible.
    public internal(set) var isWarmingUp = true
    /// 0...1, reaches 1 with the end of the warm-up.
    public internal(set) var warmUpProgress: Double = 0
    /// Why alarms are impossible.
    public internal(set) var warmUpReason = WarmUpReason.readings
    /// What kind of anomaly the largest contribution points to; `.none` when nothing contributes.
    public internal(set) var kind = AnomalyKind.none
    /// Readings the warm-up takes, as far as the cadence tells by now.
    public internal(set) var warmUpReadings: UInt32 = 0
    /// Score points taken off because of what was told a short while ago.
    public internal(set) var habituation: Double = 0
    /// Score points taken off because that much is usual after a switch of a channel that shows a state.
    public internal(set) var switching: Double = 0
    /// Readings of the stream before this one.
    public internal(set) var age: UInt64 = 0
    /// Usual intervals that passed since the reading before (1 = on time; 0 = unknown).
    public internal(set) var intervalsSinceLast: Double = 0
    /// The learned interval between readings in seconds; 0 while unknown.
    public internal(set) var cadenceSeconds: Double = 0
    /// Parts of the score, in score points, that belong to no evidence: constants and the age of the stream.
    public internal(set) var offset: Double = 0
    var results = InlineArray<9, EvidenceResult>(repeating: EvidenceResult())
    var channelStorage: UnsafeMutableBufferPointer<ChannelVerdict>
    /// Channels in this verdict.
    public internal(set) var channelCount = 0

    /// Room for so many channels; further channels of a reading are scored but not reported.
    public init(channelsMax: Int) {
        channelStorage = .allocate(capacity: max(1, channelsMax))
        channelStorage.initialize(repeating: ChannelVerdict())
    }

    deinit { channelStorage.deallocate() }

    /// What one piece of evidence said.
    public subscript(evidence: Evidence) -> EvidenceResult { results[Int(evidence.rawValue)] }

    /// The channels of the reading, in the order given. Valid until the next step or the end of the verdict.
    public var channels: UnsafeBufferPointer<ChannelVerdict> { UnsafeBufferPointer(rebasing: channelStorage[..<channelCount]) }

    /// The score mapped to [0, 1): 1 - 2^-score.
    public var probabilityLikeScore: Double { 1 - powerOfTwo(-score) }
}
