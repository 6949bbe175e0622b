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

/// Habituation: every alarm lowers the scores after it for a while, so that a disturbance that goes on is told a few times, not for ever.
///
/// Two memories: a short one for the disturbance, a long one (a tenth as strong) for a stream that alarms again and again.
struct Habituation: BitwiseCopyable {
    private var level: Double = 0
    private var slowLevel: Double = 0

    /// The score less the shares of what is left of past alarms; forgets by 1/horizon a reading. Not below 0.
    @inline(__always)
    mutating func step(_ score: Double, _ f: CombinedFusion) -> Double {
        level *= 1 - 1 / f.habitReadings
        slowLevel *= 1 - 1 / f.slowHabitReadings
        return max(0, score - f.habit * level - f.slowHabit * slowLevel)
    }

    /// An alarm was raised.
    @inline(__always)
    mutating func alarm() {
        level += 1
        slowLevel += 1
    }

    /// True if the levels are in range (a check for restored state).
    var isSane: Bool { level.isFinite && level >= 0 && slowLevel.isFinite && slowLevel >= 0 }
}
