/// A running mean whose gain is 1/(n + 1) at first and never below 1/horizon (`n` is given by the caller, so that age is kept once).
public struct RunningMean: BitwiseCopyable, Sendable {
    /// The mean so far.
    public var value: Double = 0

    /// Zero.
    public init() {}

    /// Moves toward `x`; the first value (age 0) is taken as it is.
    @inlinable @inline(__always)
    public mutating func update(_ x: Double, age: Double, horizon: Double) {
        if age == 0 { value = x } else { value += (x - value) / (horizon < age + 1 ? horizon : age + 1) }
    }
}

/// Mean and variance by exponential forgetting, one pass (West 1979), gain max(1/(n + 1), 1/horizon).
public struct RunningMoments: BitwiseCopyable, Sendable {
    /// The mean so far.
    public var mean: Double = 0
    /// The variance so far.
    public var variance: Double = 0

    /// Zero.
    public init() {}

    /// Adds a deviation from the mean that the caller may have clipped.
    @inlinable @inline(__always)
    public mutating func add(deviation: Double, gain: Double) {
        mean += gain * deviation
        variance = (1 - gain) * (variance + gain * deviation * deviation)
    }
}
