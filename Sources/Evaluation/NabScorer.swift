import TimeSeries

/// The official score of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015), version 1.1 rules.
///
/// Rows of the probation (the first min(15 %, 750)) do not count. In a labelled window the best row at or over the threshold counts, a window
/// without one costs. A row over the threshold outside windows costs the more the farther it lies behind the last window. One threshold for all
/// files, the one that maximises the sum.
public struct NabScorer: Sendable {
    /// The costs of one application profile.
    public struct Costs: Sendable {
        /// Name, e.g. `standard`.
        public var name: String
        /// Worth of a window found at its first row.
        public var truePositive: Double
        /// Cost of a window missed.
        public var falseNegative: Double
        /// Cost of a row far outside every window.
        public var falsePositive: Double

        /// Costs by name.
        public init(name: String, truePositive: Double, falseNegative: Double, falsePositive: Double) {
            self.name = name
            self.truePositive = truePositive
            self.falseNegative = falseNegative
            self.falsePositive = falsePositive
        }

        /// The benchmark's standard profile.
        public static let standard = Costs(name: "standard", truePositive: 1, falseNegative: 1, falsePositive: 0.11)
        /// Few false alarms wanted.
        public static let lowFalsePositives = Costs(name: "reward_low_FP_rate", truePositive: 1, falseNegative: 1, falsePositive: 0.22)
        /// Few misses wanted.
        public static let lowFalseNegatives = Costs(name: "reward_low_FN_rate", truePositive: 1, falseNegative: 2, falsePositive: 0.11)
        /// The three profiles of the benchmark.
        public static let all = [standard, lowFalsePositives, lowFalseNegatives]
    }

    /// The result for one profile.
    public struct Result: Sendable {
        /// 0 = never an alarm, 100 = every window at its first row and nothing else; can be negative.
        public var score: Double
        /// The threshold it was reached at.
        public var threshold: Double
        /// Rows over the threshold outside windows.
        public var falseRows: Int
        /// Windows found and in all.
        public var windowsFound: Int
        /// See `windowsFound`.
        public var windows: Int
    }

    private struct Row {
        var score: Double
        /// Cost outside windows in units of the false-positive weight, or worth inside in units of the true-positive weight.
        var worth: Double
        /// Window number over all files, or -1.
        var window: Int32
    }

    private var rows: [Row] = []
    private var windows = 0

    /// No files yet.
    public init() {}

    /// 2 / (1 + e^(5x)) - 1, and -1 beyond 3.
    static func sigmoid(_ x: Double) -> Double { x > 3 ? -1 : 2 / (1 + exponential(5 * x)) - 1 }

    /// Rows at the beginning of a file that do not count.
    public static func probation(rows n: Int) -> Int { min(Int(0.15 * Double(n)), 750) }

    /// Adds a file: one score per row and the labelled windows as closed ranges of rows, ascending.
    public mutating func add(scores: [Double], windows ranges: [ClosedRange<Int>]) {
        let start = Self.probation(rows: scores.count)
        let first = windows
        windows += ranges.count
        var last = -1
        for i in scores.indices {
            if last + 1 < ranges.count && i >= ranges[last + 1].lowerBound { last += 1 }
            guard i >= start else { continue }
            let score = scores[i].isNaN ? -Double.infinity : scores[i]
            guard last >= 0 else {
                rows.append(Row(score: score, worth: -1, window: -1))
                continue
            }
            let window = ranges[last]
            let width = Double(window.count)
            if window.contains(i) {
                let worth = Self.sigmoid(-Double(window.upperBound - i + 1) / width) / Self.sigmoid(-1)
                rows.append(Row(score: score, worth: worth, window: Int32(first + last)))
            } else {
                let distance = Double(i - window.upperBound) / max(width - 1, 1)
                rows.append(Row(score: score, worth: Self.sigmoid(distance), window: -1))
            }
        }
    }

    /// The best score over all thresholds.
    public func best(_ costs: Costs) -> Result { sweep(costs, fixed: nil) }

    /// The score at one threshold.
    public func score(_ costs: Costs, threshold: Double) -> Result { sweep(costs, fixed: threshold) }

    private func sweep(_ costs: Costs, fixed: Double?) -> Result {
        let order = rows.indices.sorted { rows[$0].score > rows[$1].score }
        var worth = [Double](repeating: -.infinity, count: windows)
        let null = -costs.falseNegative * Double(windows)
        var raw = null
        var current = Result(score: 0, threshold: .infinity, falseRows: 0, windowsFound: 0, windows: windows)
        var best = current
        var bestRaw = raw
        var at = 0
        while at < order.count {
            let threshold = rows[order[at]].score
            if let fixed, threshold < fixed { break }
            while at < order.count, rows[order[at]].score == threshold {
                let row = rows[order[at]]
                at += 1
                guard row.window >= 0 else {
                    raw += costs.falsePositive * row.worth
                    current.falseRows += 1
                    continue
                }
                let old = worth[Int(row.window)]
                guard row.worth > old else { continue }
                raw += costs.truePositive * row.worth + (old == -.infinity ? costs.falseNegative : -costs.truePositive * old)
                if old == -.infinity { current.windowsFound += 1 }
                worth[Int(row.window)] = row.worth
            }
            current.threshold = threshold
            if raw > bestRaw || fixed != nil {
                bestRaw = raw
                best = current
            }
        }
        let perfect = costs.truePositive * Double(windows)
        best.score = windows > 0 ? 100 * (bestRaw - null) / (perfect - null) : 0
        if let fixed { best.threshold = fixed }
        return best
    }
}
