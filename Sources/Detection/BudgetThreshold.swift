import TimeSeries

/// A false-alarm budget: the threshold that raises one alarm in T readings, from what other thresholds would have raised.
///
/// On a grid of thresholds (steps of 0.1) the stream counts the alarms that each would have raised, holds included: N(theta), fading
/// with a memory of 10 T readings or 0.3 of the stream's age, whichever is less (at least 5,000), over n readings. A prior stands in for 500 readings of an ordinary stream.
/// - Where at least 10 alarms are expected of the asked rate within n, theta is where N(theta) = n/T.
/// - Else the tail goes on exponentially from u, N(u) = 10: theta = u + beta ln(10 T/n), beta the mean excess over u, drawn
///   towards 0.53 with the weight of 15 exceedances (exponential tail over a high threshold: Pickands 1975).
/// - A young stream asks for less than its budget: n counts as n/(1 + 300/n).
/// - A slow correction closes the circle: every alarm raises the threshold by 0.25, every reading lowers it by 0.25/T, within one
///   point up and down. Alarms and readings then balance at the asked rate whatever the score's distribution
///   (the update of adaptive conformal inference, Gibbs and Candès 2021).
///
/// It also remembers the last 32 moments that would have raised an alarm at eight times the asked rate, with the highest score of
/// each, so that one can say what another setting would have raised.
struct BudgetThreshold<Scalar: KernelScalar>: BitwiseCopyable {
    static var bins: Int { StateLayout.budgetBins }
    static var width: Double { 0.1 }

    /// The arrays of a stream's budget.
    struct Memory {
        /// Alarms each threshold would have raised (fading), [bins].
        var counts: UnsafeMutablePointer<Scalar>
        /// Reading of the last of them, the lower 32 bits, [bins].
        var last: UnsafeMutablePointer<UInt32>
        /// Moments over the floor, a ring of `StateLayout.budgetPeaks`.
        var peaks: UnsafeMutablePointer<BudgetPeak>
    }

    /// Readings counted, fading.
    private(set) var exposure: Double = 0
    /// The threshold before the correction, and the one for eight times the rate.
    private var fitted: Double = 0
    private var floor: Double = 0
    private(set) var correction: Double = 0
    /// T that `fitted` belongs to; 0 before the first fit.
    private(set) var readingsBetween: Double = 0
    private var lastAlarm: Int64 = -1_000_000_000
    /// Peaks recorded so far, and the reading in which the newest began.
    private(set) var peaks: UInt64 = 0
    private var peakBegan: UInt64 = 0

    private static var trustedAlarms: Double { 10 }
    private static var slopeWeight: Double { 15 }
    private static var usualSlope: Double { 0.53 }
    private static var priorReadings: Double { 500 }
    private static var youngReadings: Double { 300 }
    private static var gain: Double { 0.25 }
    private static var correctionMax: Double { 1 }

    /// Counts the score of reading `t`. `hold`: readings that an alarm keeps others away; `readings`: T.
    @inline(__always)
    mutating func count(_ score: Double, t: UInt64, time: Int64, hold: Int64, readings: Double, memory: Memory) {
        exposure += 1
        let now = UInt32(truncatingIfNeeded: t)
        let away = UInt32(truncatingIfNeeded: max(1, hold))
        let top = Int(min(Double(Self.bins - 1), score / Self.width))
        Scalar.alarms(memory.counts, memory.last, now, away, Int32(top + 1))
        if score >= floor { record(score, t, time, hold, memory.peaks) }
        if (t + 1) % 25 == 0 || readingsBetween == 0 { fit(readings, t, memory) }
    }

    private mutating func record(
        _ score: Double, _ t: UInt64, _ time: Int64, _ hold: Int64, _ ring: UnsafeMutablePointer<BudgetPeak>
    ) {
        if peaks == 0 || Int64(t) - Int64(peakBegan) >= hold {
            peakBegan = t
            ring[Int(peaks % UInt64(StateLayout.budgetPeaks))] = BudgetPeak(time: time, score: score)
            peaks += 1
            return
        }
        let newest = Int((peaks - 1) % UInt64(StateLayout.budgetPeaks))
        if Float(score) > ring[newest].score { ring[newest] = BudgetPeak(time: time, score: score) }
    }

    private mutating func fit(_ readings: Double, _ t: UInt64, _ memory: Memory) {
        let span = max(5000, min(10 * readings, 0.3 * Double(t)))
        if exposure > span {
            let keep = exponential(-25 / span)
            Scalar.scale(memory.counts, Scalar(keep), Int32(Self.bins))
            exposure *= keep
        }
        readingsBetween = readings
        fitted = threshold(oneAlarmIn: readings, counts: memory.counts)
        floor = threshold(oneAlarmIn: readings / 8, counts: memory.counts)
    }

    /// The threshold for one alarm in `readings` readings, without the correction.
    func threshold(oneAlarmIn readings: Double, counts: UnsafePointer<Scalar>) -> Double {
        let n = exposure + Self.priorReadings
        let asked = n / readings / (1 + Self.youngReadings / n)
        let level = max(asked, Self.trustedAlarms)
        let prior = UsualAlarms.rates
        func alarms(_ i: Int) -> Double { Double(counts[i]) + Self.priorReadings * prior[i] }
        var low = 0
        var high = Self.bins - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if alarms(middle) >= level { low = middle } else { high = middle - 1 }
        }
        let here = alarms(low)
        let next = low + 1 < Self.bins ? alarms(low + 1) : 0
        // Between two steps the logarithm is taken as straight.
        let inStep = here > level && next > 0 && next < here ? min(1, logarithm(here / level) / logarithm(here / next)) : 0
        let start = (Double(low) + inStep) * Self.width
        guard asked < level else { return start }
        var excess = 0.0
        for i in (low + 1)..<max(low + 1, Self.bins) { excess += alarms(i) * Self.width }
        let slope = (excess + Self.slopeWeight * Self.usualSlope) / (level + Self.slopeWeight)
        return start + slope * logarithm(level / asked)
    }

    /// The threshold in force. `readings`: T; fits at once when it was changed by more than the wander of a learned cadence.
    @inline(__always)
    mutating func threshold(oneAlarmIn readings: Double, t: UInt64, memory: Memory) -> Double {
        if abs(readings - readingsBetween) > 0.2 * readings { fit(readings, t, memory) }
        return max(0.05, fitted + correction)
    }

    /// What came of a reading whose alarms count against the budget.
    @inline(__always)
    mutating func settle(isAlarm: Bool, t: UInt64) {
        if isAlarm { lastAlarm = Int64(t) }
        let change = (isAlarm ? Self.gain : 0) - Self.gain / max(1, readingsBetween)
        correction = max(-Self.correctionMax, min(Self.correctionMax, correction + change))
    }

    /// True if no alarm was raised in the last `hold` readings.
    @inline(__always)
    func mayAlarm(t: UInt64, hold: Int64) -> Bool { Int64(t) - lastAlarm >= hold }

    /// True if counts are in range (a check for restored state).
    var isSane: Bool {
        exposure.isFinite && exposure >= 0 && fitted.isFinite && floor.isFinite && abs(correction) <= Self.correctionMax
            && readingsBetween.isFinite && readingsBetween >= 0 && lastAlarm >= -1_000_000_000 && lastAlarm < 1 << 60 && peaks < 1 << 60
            && peakBegan < 1 << 60
    }
}

/// Alarms a reading of an ordinary stream raises at each threshold of the grid.
private enum UsualAlarms {
    static let rates = (0..<StateLayout.budgetBins).map {
        min(0.01, 0.004 * exponential(-(Double($0) * BudgetThreshold<Float>.width - 3.5) / 0.5))
    }
}

/// A moment that would have raised an alarm at a more generous setting.
struct BudgetPeak: BitwiseCopyable {
    /// Seconds since 1970 of the highest score within a hold, up to the year 2106.
    var second: UInt32 = 0
    var score: Float = 0

    init() {}

    init(time: Int64, score: Double) {
        second = UInt32(clamping: time / 1_000_000_000)
        self.score = Float(score)
    }

    /// Nanoseconds since 1970.
    var time: Int64 { Int64(second) * 1_000_000_000 }
}
