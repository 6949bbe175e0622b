import TimeSeries

/// Signed robust deviation from a running level: (v - m) / (1.25 s + 1e-9 + 1e-3 |m|), m and s running mean and mean |deviation|.
struct LevelDeviation: BitwiseCopyable {
    private var mean: Double = 0
    private var scale: Double = 0
    /// Readings the level stands on.
    private var weight: Double = 0

    /// Zero for the first 11 readings. `horizon`: readings remembered.
    @inline(__always)
    mutating func step(_ value: Double, age: Double, horizon: Double) -> Double {
        if age == 0 { mean = value }
        var deviation = value - mean
        let z = age > 10 ? deviation / (1.25 * scale + 1e-9 + 1e-3 * abs(mean)) : 0
        if age > 30 { deviation = clipped(deviation, 8 * scale + 1e-9) }
        let gain = 1 / min(weight + 1, horizon)
        mean += gain * deviation
        scale += gain * (abs(deviation) - scale)
        weight = min(weight + 1, horizon)
        return z
    }

    /// After a gap the level stands on less and follows faster.
    mutating func age(by readings: Double, horizon: Double) { weight = max(min(weight, 30), weight * exponential(-readings / horizon)) }

    /// True if the numbers are finite (a check for restored state).
    var isSane: Bool { mean.isFinite && scale.isFinite && weight >= 0 }
}
