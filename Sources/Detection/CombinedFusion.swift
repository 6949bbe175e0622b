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
}
