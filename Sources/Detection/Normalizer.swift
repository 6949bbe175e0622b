import TimeSeries

/// Standardises a channel by its own running mean and standard deviation (of the readings before this one).
struct Normalizer: BitwiseCopyable {
    /// Readings remembered at most.
    static let horizon: Double = 100_000
    /// Largest |x| handed on.
    static let limit: Double = 20

    var moments = RunningMoments()

    /// x_t in [-20, 20]; `age` counts readings before this one. The first reading gives 0. A constant channel that moves gives +-20.
    @inline(__always)
    mutating func step(_ value: Double, age: Double) -> Double {
        if age == 0 { moments.mean = value }
        let deviation = value - moments.mean
        let spread = moments.variance.squareRoot()
        let tolerance = 1e-9 * abs(moments.mean) + 1e-12
        let z = spread < tolerance ? (abs(deviation) <= tolerance ? 0 : (deviation > 0 ? 20 : -20)) : deviation / spread
        let clippedDeviation = age > 30 && spread > 0 ? clipped(deviation, 20 * spread) : deviation
        moments.add(deviation: clippedDeviation, gain: max(1 / (age + 1), 1 / Self.horizon))
        return clipped(z, Self.limit)
    }
}
