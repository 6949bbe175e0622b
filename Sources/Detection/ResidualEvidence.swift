import TimeSeries

/// Prediction error in units of its own running mean absolute value.
struct ResidualScale: BitwiseCopyable {
    /// The running mean of |e|, clipped at five times itself once it is 30 readings old.
    private(set) var scale: Double = 0

    /// Begins anew from a known mean |e|.
    mutating func restart(at mean: Double) { scale = mean }

    /// e / scale (before this reading); 0 for the first six readings.
    @inline(__always)
    mutating func step(_ error: Double, age: Double) -> Double {
        let a = abs(error)
        let standardised = age > 5 ? error / (scale + 1e-4) : 0
        let gain = max(1 / (age + 1), 1e-3)
        let c = age > 30 ? min(a, 5 * scale + 1e-4) : a
        scale += gain * (c - scale)
        return standardised
    }
}

/// How much of the movement the one-step prediction explains: 1 - mean|e_1| / mean|x - mean x|, about the last 5000 readings.
struct Predictability: BitwiseCopyable {
    private var error: Double = 0
    private var spread: Double = 0
    private var mean: Double = 0

    /// The skill before this reading; 0 for the first 101 readings.
    @inline(__always)
    mutating func step(error e: Double, x: Double, age: Double) -> Double {
        let skill = age > 100 ? 1 - error / (spread + 1e-9) : 0
        if age == 0 { mean = x }
        let gain = max(1 / (age + 1), 1 / 5000)
        error += gain * (min(abs(e), 10) - error)
        spread += gain * (min(abs(x - mean), 10) - spread)
        mean += gain * (x - mean)
        return skill
    }
}
