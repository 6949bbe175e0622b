/// The false-alarm budget of a stream.
extension Engine {
    typealias Budget = BudgetThreshold<Scalar>

    @inline(__always)
    func budgetMemory(_ stream: UnsafeMutableRawPointer) -> Budget.Memory {
        Budget.Memory(
            counts: array(stream, layout.budgetAt), last: (stream + layout.budgetLastAt).assumingMemoryBound(to: UInt32.self),
            peaks: (stream + layout.budgetPeaksAt).assumingMemoryBound(to: BudgetPeak.self))
    }

    func initializeBudget(_ stream: UnsafeMutableRawPointer) {
        let memory = budgetMemory(stream)
        // Half the circle of 32 bits away: nothing holds the first alarm back.
        memory.last.update(repeating: 1 << 31, count: StateLayout.budgetBins)
        memory.peaks.update(repeating: BudgetPeak(), count: StateLayout.budgetPeaks)
    }

    /// T in readings: the one asked for, or one week where nothing is asked, so that other settings can be told about.
    @inline(__always)
    private mutating func readingsBetween(_ s: UnsafeMutablePointer<Stream>, _ settings: StreamSettings) -> Double {
        let seconds = settings.secondsBetweenFalseAlarms.isFinite ? settings.secondsBetweenFalseAlarms : 604_800
        return max(1, seconds / max(s.pointee.cadence.intervalSeconds, 1e-9))
    }

    /// Readings that an alarm keeps others away under a budget: the usual hold or `quietSeconds`, whichever is longer, but at most a
    /// quarter of T, or a generous budget could not be spent.
    @inline(__always)
    private mutating func budgetHold(_ s: UnsafeMutablePointer<Stream>, _ settings: StreamSettings) -> Int64 {
        let quiet = min(settings.quietSeconds / max(s.pointee.cadence.intervalSeconds, 1e-9), 1e9)
        return Int64(max(1, min(max(Double(holdReadings(s)), quiet), readingsBetween(s, settings) / 4)))
    }

    /// Sets the threshold of the budget; false if there is none or the cadence is not known yet.
    @inline(__always)
    mutating func applyBudget(_ stream: UnsafeMutableRawPointer, _ settings: StreamSettings, _ verdict: inout Verdict) -> Bool {
        let s = stream.assumingMemoryBound(to: Stream.self)
        guard settings.threshold == nil, settings.secondsBetweenFalseAlarms.isFinite, s.pointee.cadence.isKnown else { return false }
        verdict.threshold = s.pointee.budget.threshold(
            oneAlarmIn: readingsBetween(s, settings), t: s.pointee.age, memory: budgetMemory(stream))
        return true
    }

    /// Counts what each threshold would have made of a score.
    @inline(__always)
    mutating func countBudget(_ stream: UnsafeMutableRawPointer, _ score: Double, _ time: Int64, _ settings: StreamSettings) {
        let s = stream.assumingMemoryBound(to: Stream.self)
        guard s.pointee.cadence.isKnown else { return }
        s.pointee.budget.count(
            score, t: s.pointee.age, time: time, hold: budgetHold(s, settings), readings: readingsBetween(s, settings),
            memory: budgetMemory(stream))
    }

    /// True if the score is an alarm under the budget, which then pays for it.
    @inline(__always)
    mutating func spendBudget(_ s: UnsafeMutablePointer<Stream>, _ score: Double, _ settings: StreamSettings, _ threshold: Double) -> Bool {
        let isAlarm = score >= threshold && s.pointee.budget.mayAlarm(t: s.pointee.age, hold: budgetHold(s, settings))
        s.pointee.budget.settle(isAlarm: isAlarm, t: s.pointee.age)
        return isAlarm
    }

    /// What the budget of a stream knows; see `BudgetReport`.
    func budgetReport(_ stream: UnsafeMutableRawPointer, since: Int64) -> BudgetReport {
        let s = stream.assumingMemoryBound(to: Stream.self)
        let memory = budgetMemory(stream)
        let budget = s.pointee.budget
        var report = BudgetReport()
        report.intervalSeconds = s.pointee.cadence.intervalSeconds
        report.readingsCounted = budget.exposure
        report.correction = budget.correction
        let kept = min(budget.peaks, UInt64(StateLayout.budgetPeaks))
        report.reachesBack = budget.peaks <= UInt64(StateLayout.budgetPeaks)
        for age in (0..<kept).reversed() {
            let peak = memory.peaks[Int((budget.peaks - 1 - age) % UInt64(StateLayout.budgetPeaks))]
            if peak.time >= since {
                report.peaks.append((peak.time, Double(peak.score)))
            } else {
                report.reachesBack = true
            }
        }
        guard report.intervalSeconds > 0, budget.readingsBetween > 0 else { return report }
        report.secondsBetween = budget.readingsBetween * report.intervalSeconds
        for factor in BudgetReport.factors {
            let threshold = budget.threshold(oneAlarmIn: budget.readingsBetween / factor, counts: memory.counts)
            report.thresholds.append(max(0.05, threshold + budget.correction))
        }
        return report
    }
}

/// What a stream's budget would have done at other settings.
public struct BudgetReport: Sendable {
    /// Settings told about, as multiples of the asked rate.
    public static let factors = [0.25, 0.5, 1, 2, 4]

    /// The learned interval in seconds; 0 while unknown.
    public internal(set) var intervalSeconds: Double = 0
    /// Seconds between alarms that the thresholds belong to: the budget's, one week where none is set; 0 before the first reading counts.
    public internal(set) var secondsBetween: Double = 0
    /// Readings that stand behind the threshold (older ones fade).
    public internal(set) var readingsCounted: Double = 0
    /// Points by which realised alarms have moved the threshold.
    public internal(set) var correction: Double = 0
    /// The threshold for each of `factors`; empty before the first reading counts.
    public internal(set) var thresholds: [Double] = []
    /// Moments since the asked time that eight times the budget would have told, oldest first: time (ns since 1970), highest score.
    public internal(set) var peaks: [(time: Int64, score: Double)] = []
    /// False if more moments happened since than are remembered: the list starts later than asked.
    public internal(set) var reachesBack = true

    /// Nothing known.
    public init() {}

    /// Moments at or over a threshold.
    public func alarms(at threshold: Double) -> Int { peaks.count { $0.score >= threshold } }
}
