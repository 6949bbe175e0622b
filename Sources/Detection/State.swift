import TimeSeries

/// The scalars at the beginning of a channel's block.
struct ChannelScalars<Scalar: KernelScalar>: BitwiseCopyable {
    var version: UInt32 = 0
    var clockSeen: UInt32 = 0
    /// Readings of this channel before the present one.
    var age: UInt64 = 0
    var experts = ForecastExperts()
    /// Age at the last gap: predictions made before it are not judged.
    var resumedAt: UInt64 = 0
    /// Age of the stream at this channel's first reading, and at its last.
    var bornAt: UInt64 = 0
    var seenAt: UInt64 = 0

    var normalizer = Normalizer()
    var previous: Double = 0
    /// Variance of the error of each head.
    var headVariance = InlineArray<5, Double>(repeating: 1)
    var residual = InlineArray<5, ResidualScale>(repeating: ResidualScale())
    var drift = InlineArray<5, RunningMean>(repeating: RunningMean())
    /// Size of the last few one-step residuals; deviations from the long level, about 5 and about 20 readings.
    var fastResidual = RunningMean()
    var levelFive = RunningMean()
    var levelTwenty = RunningMean()
    var predictability = Predictability()
    var deviation = ValueDeviation()
    var record = ValueRecord()
    var leakyRecord = ValueRecord()
    var jump = Jump<Scalar>()
    var novelty = StateNovelty()
    var stuck = StuckDetector()
    var counter = CounterUnwrap()
    var states = StateChannel()
    var levelLong = LevelDeviation()
    var levelShort = LevelDeviation()
    var equaliser = Equaliser()
}

/// What only the older rules keep of a channel.
struct OldRuleScalars: BitwiseCopyable {
    /// Size of the last 3, 10 and 30 residuals of two horizons.
    var fast = InlineArray<6, RunningMean>(repeating: RunningMean())
    var local = LocalDeviation()

    /// After a gap of so many readings.
    mutating func age(by missed: Double) {
        local.age(by: missed)
        let keep = exponential(-missed / 100)
        for i in 0..<6 { fast[i].value *= keep }
    }
}

/// The scalars at the beginning of a stream's block.
struct StreamScalars<Scalar: KernelScalar>: BitwiseCopyable {
    var version: UInt32 = 0
    /// A block of 25 readings has ended and is not counted yet: what it counts, in halves (see `Engine.settle`); 0: nothing is owed.
    var owedHalves: UInt32 = 0
    /// Readings of this stream before the present one.
    var age: UInt64 = 0
    /// Age at the last gap.
    var resumedAt: UInt64 = 0
    var cadence = CadenceEstimator()
    var alarm = AlarmRule()
    var budget = BudgetThreshold<Scalar>()
    /// Blocks the calibrator bank has counted.
    var rankBlocks: Double = 0
    var tailBlocks: Double = 0
    var habituation = Habituation()
    var incident = Incident()
    var switching = SwitchMemory()
    /// Most channels ever in one reading.
    var channelsSeen: UInt32 = 0
    /// 1 when a channel has started afresh in the present reading.
    var restarts: UInt32 = 0
}

/// Why a block of memory is not a state this detector can go on with.
public enum StateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The block was written with another layout.
    case wrongVersion(found: UInt32, expected: UInt32)
    /// A number that must be finite is not; `offset` is its byte position.
    case notFinite(offset: Int)
    /// A counter is out of its range; the name says which.
    case outOfRange(String)

    /// The sentence shown to the user.
    public var description: String {
        switch self {
        case .wrongVersion(let found, let expected): "cannot use detector state: got layout \(found), expected \(expected)"
        case .notFinite(let offset): "cannot use detector state: got a number that is not finite at byte \(offset), expected finite numbers"
        case .outOfRange(let name):
            "cannot use detector state: got a value out of range in \(name), expected a state written by this program"
        }
    }
}
