/// Alarm rule: a score is raised when it is positive and either nothing was raised in the last `hold` readings or it tops the last raised
/// score by `step`. An alarm is a raised score at or over the threshold. The rule runs on the score, not on alarms.
struct AlarmRule: BitwiseCopyable {
    private var last: Int64 = -1_000_000_000
    private var level: Double = 0

    /// True if `score` is raised at reading `t`.
    @inline(__always)
    mutating func step(_ score: Double, t: Int64, hold: Int64, step: Double) -> Bool {
        guard score > 0, t - last >= hold || score > level + step else { return false }
        last = t
        level = score
        return true
    }

    /// True if the numbers are in range (a check for restored state).
    func isSane(t: Int64) -> Bool { level.isFinite && level >= 0 && last <= t }
}
