import TimeSeries

/// A false-alarm budget: the threshold that should raise one alarm in so many readings, from the stream's own block maxima of the score.
///
/// Extreme values over blocks of 25 readings, about the last 400 of them (each counts 1/400 less per block), the first 12 never used:
/// u = quantile max(.5, min(.9, 1 - 10/n)) of the block maxima, beta = mean excess (at least .05), p = kappa 25 / T for one alarm in T readings,
/// theta = u + beta ln(p_u / p), kappa = max(.6, 1.8 - .2 log2(T / 500)). Answers after 52 blocks (1300 readings).
struct BudgetThreshold<Scalar: KernelScalar>: BitwiseCopyable {
    static var bins: Int { StateLayout.budgetBins }
    static var width: Double { 0.05 }

    private var blockMaximum: Double = -1
    private(set) var blocks: Double = 0
    private var closed: UInt64 = 0
    private var lastAlarm: Int64 = -1_000_000_000

    /// Counts one score. `t`: readings of the stream before this one.
    @inline(__always)
    mutating func count(_ score: Double, t: UInt64, above: UnsafeMutablePointer<Scalar>) {
        if t >= 100 && score > blockMaximum { blockMaximum = score }
        if (t + 1) % 25 == 0 && blockMaximum >= 0 {
            closed += 1
            guard closed > 12 else {
                blockMaximum = -1
                return
            }
            if blocks >= 400 {
                Scalar.scale(above, Scalar(1 - 1 / 400.0), Int32(Self.bins))
                blocks *= 1 - 1 / 400.0
            }
            let bin = Int32(min(Double(Self.bins - 1), blockMaximum / Self.width))
            Scalar.add(above, 1, bin + 1)
            blocks += 1
            blockMaximum = -1
        }
    }

    /// The threshold for one alarm in `readings` readings; nil while fewer than 40 blocks stand behind it or nothing is asked.
    func threshold(oneAlarmIn readings: Double, above: UnsafeMutablePointer<Scalar>) -> Double? {
        guard blocks >= 40, readings > 0, readings.isFinite else { return nil }
        let quantile = max(0.5, min(0.9, 1 - 10 / blocks))
        let total = Double(above[0])
        var low = 0
        var high = Self.bins - 1
        while low < high {
            let middle = (low + high) / 2
            if total - Double(above[middle + 1]) >= quantile * total { high = middle } else { low = middle + 1 }
        }
        let over = low + 1 < Self.bins ? Double(above[low + 1]) : 0
        let excess = low + 1 < Self.bins ? Scalar.sum(above + low + 1, Int32(Self.bins - low - 1)) * Self.width : 0
        let start = (Double(low) + 0.5) * Self.width
        let slope = max(0.05, over > 0 ? excess / over : 0)
        let kappa = max(0.6, 1.8 - 0.2 * logarithm(readings / 500) / logarithm(2))
        let asked = min(0.5, kappa * 25 / readings)
        return max(start + slope * logarithm(max(over, 0.5) / total / asked), 0.05)
    }

    /// True if no alarm was raised in the last `hold` readings; then reading `t` counts as one.
    mutating func mayAlarm(t: UInt64, hold: Int64) -> Bool {
        guard Int64(t) - lastAlarm >= hold else { return false }
        lastAlarm = Int64(t)
        return true
    }

    /// True if counts are in range (a check for restored state).
    var isSane: Bool { blockMaximum.isFinite && blocks.isFinite && blocks >= 0 }
}
