/// Which fusion of evidence a profile uses.
public enum DetectionRule: UInt8, Sendable {
    /// Ranks per channel, two-sided, per prediction head; score of a stream = mean of its three highest channels.
    case ranksPerChannel = 1
    /// Statistics combined over channels first, then calibrated once per stream; two branches.
    case calibratedPerStream = 2
    /// Signed statistics combined over channels, ranked once per stream on both sides; three branches, habituation.
    case combinedRanks = 3
}

/// Sizes and constants of a detector. Two detectors with equal profiles read each other's state.
public struct DetectorProfile: Sendable {
    /// Short name, e.g. `default`.
    public var name: String
    /// The fusion.
    public var rule: DetectionRule
    /// Fixed weights of the cores; their unit counts are the sizes.
    public var weights: ReservoirWeights
    /// Prediction horizons in readings, ascending, at most 4.
    public var horizons: [Int]
    /// Prototypes of the novelty memory, a multiple of 8.
    public var prototypes: Int
    /// First differences remembered by the jump evidence.
    public var jumpWindow: Int
    /// Bins of each calibrator histogram (per-stream calibrators) and their width on the asinh scale.
    public var calibratorBins: Int
    /// See `calibratorBins`.
    public var calibratorWidth: Double
    /// Histograms of the combined rule: ranks for ever.
    var rankGrid: HistogramGrid
    /// Histograms of the combined rule: tails of the last hundred blocks.
    var tailGrid: HistogramGrid
    /// Weights of the combined rule.
    var fusion: CombinedFusion
    /// The fixed threshold when neither a budget nor a threshold is set.
    public var threshold: Double
    /// Readings before the first alarm of a stream, and before a late channel takes part.
    public var warmUpReadings: Int
    /// Readings an alarm keeps equal ones away.
    public var holdReadings: Int
    /// By how much a score must top the last raised one within that time.
    public var holdStep: Double
    /// Usual intervals without a reading that count as a gap; infinity turns gap handling off.
    public var gapIntervals: Double
    /// Readings after a gap during which no alarm is raised.
    public var gapHoldReadings: Int
    /// Differences enter the jump statistics clipped at so many deviations of the channel; infinity for none.
    public var jumpClip: Double
    /// True if a counter that starts over is taken as going on.
    public var unwrapsCounters: Bool
    /// True if a counter is judged by its increments (combined rule).
    public var judgesIncrements: Bool
    /// True if channels that only show a state count with their record alone, next to channels that measure (combined rule).
    public var knowsStates: Bool
    /// True if what usually follows when such a channel switches is expected (combined rule).
    public var expectsSwitches: Bool
    /// True if forecasts are blended from several experts and stay in the range that a channel has shown (see `ForecastExperts`), and readouts
    /// forget only what readings replace (see `ReadoutMemory`).
    public var blendsForecasts: Bool
    /// True if a stuck channel raises an alarm of its own.
    public var stuckAlarms: Bool

    /// The score of a constant, unremarkable stream depends on nothing random: profiles differ in size and rule only.
    init(
        name: String, rule: DetectionRule, weights: ReservoirWeights, horizons: [Int] = [1, 4, 16], prototypes: Int = 64,
        jumpWindow: Int = 300,
        calibratorBins: Int = 400, calibratorWidth: Double = 0.03,
        rankGrid: HistogramGrid = HistogramGrid(start: -1.2, width: 0.06, bins: 108),
        tailGrid: HistogramGrid = HistogramGrid(start: 0, width: 0.06, bins: 90), fusion: CombinedFusion = CombinedFusion(),
        threshold: Double, warmUpReadings: Int = 100, holdReadings: Int = 110,
        holdStep: Double = 0.3, gapIntervals: Double = 24, gapHoldReadings: Int = 10, jumpClip: Double = 100,
        unwrapsCounters: Bool = true, judgesIncrements: Bool = false, knowsStates: Bool = false, expectsSwitches: Bool = false,
        blendsForecasts: Bool = false, stuckAlarms: Bool = true
    ) {
        self.name = name
        self.rule = rule
        self.weights = weights
        self.horizons = horizons
        self.prototypes = prototypes
        self.jumpWindow = jumpWindow
        self.calibratorBins = calibratorBins
        self.calibratorWidth = calibratorWidth
        self.rankGrid = rankGrid
        self.tailGrid = tailGrid
        self.fusion = fusion
        self.threshold = threshold
        self.warmUpReadings = warmUpReadings
        self.holdReadings = holdReadings
        self.holdStep = holdStep
        self.gapIntervals = gapIntervals
        self.gapHoldReadings = gapHoldReadings
        self.jumpClip = jumpClip
        self.unwrapsCounters = unwrapsCounters
        self.judgesIncrements = judgesIncrements
        self.knowsStates = knowsStates
        self.expectsSwitches = expectsSwitches
        self.blendsForecasts = blendsForecasts
        self.stuckAlarms = stuckAlarms
    }

    /// The profile a user gets: the combined rule with 36 units, which with the other features of the readouts make six whole groups of eight.
    public static let standard = DetectorProfile(
        name: "default", rule: .combinedRanks, weights: ReservoirWeights(seed: 1, units: 36, noveltyUnits: 16), fusion: .standard,
        threshold: 4.5, holdStep: 0.2, judgesIncrements: true, knowsStates: true, expectsSwitches: true,
        blendsForecasts: true)

    /// For very many streams: the same rule with 12 units, two horizons, a small memory and coarse calibration.
    public static let light = DetectorProfile(
        name: "light", rule: .combinedRanks, weights: ReservoirWeights(seed: 1, units: 12, noveltyUnits: 8), horizons: [1, 4],
        prototypes: 8,
        jumpWindow: 24, rankGrid: HistogramGrid(start: -1.2, width: 0.24, bins: 27),
        tailGrid: HistogramGrid(start: 0, width: 0.24, bins: 23), fusion: .standard,
        threshold: 4.5, holdStep: 0.2, judgesIncrements: true, knowsStates: true, expectsSwitches: true,
        blendsForecasts: true)

    /// The rule with ranks per channel as published: 64 units, 256 prototypes, no gap handling.
    public static let ranksPerChannel = DetectorProfile(
        name: "rw1", rule: .ranksPerChannel, weights: .shipped, prototypes: 256, threshold: 4.4, gapIntervals: .infinity, stuckAlarms: false
    )

    /// The rule calibrated per stream as published: 64 units, 256 prototypes, no gap handling.
    public static let calibratedPerStream = DetectorProfile(
        name: "rw2", rule: .calibratedPerStream, weights: .shipped, prototypes: 256, threshold: 2.03, gapIntervals: .infinity,
        jumpClip: .infinity, unwrapsCounters: false, stuckAlarms: false)

    /// The combined rule in the sizes of its definition: 48 units, 64 prototypes, fine histograms, no gap handling.
    public static let combinedRanks = DetectorProfile(
        name: "rw3", rule: .combinedRanks, weights: ReservoirWeights(seed: 1, units: 48, noveltyUnits: 16), threshold: 4.5,
        holdStep: 0.2, gapIntervals: .infinity, unwrapsCounters: false, stuckAlarms: false)

    /// The named profiles.
    public static let all: [DetectorProfile] = [.standard, .light, .ranksPerChannel, .calibratedPerStream, .combinedRanks]
}

/// Bins of a histogram over y = asinh(2c).
struct HistogramGrid: Sendable, Equatable {
    /// y of the lower edge of bin 0; smaller values count as bin 0.
    var start: Double
    /// Width of a bin.
    var width: Double
    /// Number of bins.
    var bins: Int
}
