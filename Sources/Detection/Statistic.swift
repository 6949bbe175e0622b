/// The raw statistics of one channel that the combined rule puts together over channels. Signed unless noted.
enum Statistic: Int, CaseIterable {
    /// Distance outside the record, without and with slow forgetting; >= 0.
    case record, leakyRecord
    /// Deviation from the long running mean.
    case value
    /// Drift of the standardised residual (about 100 readings), short, middle and long horizon, clock head.
    case driftShort, driftMiddle, driftLong, driftClock
    /// Prediction error: long horizon, clock head.
    case errorLong, errorClock
    /// Distance of the novelty core's state to everything remembered; >= 0.
    case novelty
    /// Size of the last few one-step residuals where the channel is predictable; >= 0.
    case gatedFast
    /// Mean of about 5, and of about 20, deviations from the level of the last 1000 readings.
    case levelFive, levelTwenty
    /// Deviation from the level of the last 250 readings.
    case levelShort
    /// First difference against the last 300 differences.
    case jump
    /// The clock head's error once more, to be combined by root mean square over many channels.
    case clockBroad

    static let count = 16
    /// From here on a statistic of one of several channels is divided by its own usual block maximum first.
    static let firstEqualised = Statistic.levelTwenty
    /// From here on a statistic does not count channels that only show a state.
    static let firstOfMeasuring = Statistic.value
    /// From here on statistics are combined over channels by root mean square instead of the three largest.
    static let firstBroad = Statistic.jump

    /// The piece of evidence it belongs to.
    var evidence: Evidence {
        switch self {
        case .record, .leakyRecord: .valueRecord
        case .value: .valueRank
        case .driftShort, .driftMiddle, .driftLong, .driftClock: .residualDrift
        case .errorLong, .errorClock, .clockBroad: .pointResidual
        case .novelty: .stateNovelty
        case .gatedFast: .fastResidual
        case .levelFive, .levelTwenty, .levelShort: .localDeviation
        case .jump: .jump
        }
    }
}

/// Brings the statistics of several channels to one size: divides by 1 + the running mean of the channel's own block maxima.
struct Equaliser: BitwiseCopyable {
    static let count = 4
    private var usual = InlineArray<4, Double>(repeating: 0)
    private var blockMaximum = InlineArray<4, Double>(repeating: 0)
    private var blocks: Double = 0

    /// The statistic divided (if `divides`), then counted.
    @inline(__always)
    mutating func step(_ i: Int, _ statistic: Double, divides: Bool) -> Double {
        let size = abs(statistic)
        let out = divides ? statistic / (1 + usual[i]) : statistic
        if size > blockMaximum[i] { blockMaximum[i] = size }
        return out
    }

    /// Closes a block of 25 readings of the channel.
    @inline(__always)
    mutating func closeBlock() {
        blocks += 1
        let gain = max(1 / blocks, 0.01)
        for i in 0..<Self.count {
            usual[i] += gain * (blockMaximum[i] - usual[i])
            blockMaximum[i] = 0
        }
    }

    /// True if the numbers are in range (a check for restored state).
    var isSane: Bool {
        (0..<Self.count).allSatisfy { usual[$0].isFinite && usual[$0] >= 0 && blockMaximum[$0].isFinite && blockMaximum[$0] >= 0 }
            && blocks.isFinite
            && blocks >= 0
    }
}
