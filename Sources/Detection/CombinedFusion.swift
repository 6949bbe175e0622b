/// Weights of the combined rule: score = max(0, slow, spike, level, breadth) + cadence term, then habituation.
struct CombinedFusion: Sendable {
    // slow branch (rank calibrators)
    var record = 1.3
    var leakyRecord = 0.8
    var value = 0.4
    var novelty = 0.2
    var drift = 1.2
    var errorLong = 0.1
    var age = 0.5
    var slowOffset = 2.1
    // spike branch (tail calibrators)
    var spikeErrorLong = 0.7
    var spikeNovelty = 0.15
    var spikeGated = 0.3
    var spikeOffset = 1.9
    // level branch (tail calibrators)
    var levelFive = 0.6
    var levelShort = 0.4
    var levelTwenty = 0.27
    var levelOffset = 1.4
    // breadth branch (tail calibrators), for several channels
    var breadthJump = 1.1
    var breadthClock = 0.4
    var breadthOffset = 2.2
    /// Score points a decade of cadence over five minutes, up to an hour: fewer readings a day, fewer chances for a false alarm.
    var cadence = 0.37
    // habituation
    var habit = 0.5
    var habitReadings = 250.0
    /// A second, slow habituation: a stream that keeps alarming must show rarer things.
    var slowHabit = 0.0
    var slowHabitReadings = 4000.0
    // incidents: what a block counts, for how long after an alarm, and how far below the threshold its score may be
    var incidentShare = 1.0
    var incidentReadings = 300.0
    var incidentMargin = 1.0
    /// A jump that k blocks reached in the stream's life is at most its rank + limit / (k + .5); 0 for no limit.
    var longLimit = 0.0
    /// The deviation that a jump is compared with is at least this share of the channel's differences over its life.
    var jumpLife = 0.0

    /// What is shipped.
    static let standard: CombinedFusion = {
        var f = CombinedFusion()
        f.slowHabit = 0.1
        f.incidentShare = 0.5
        f.longLimit = 1.5
        f.jumpLife = 0.6
        return f
    }()
}
