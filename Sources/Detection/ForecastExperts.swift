import TimeSeries

/// Who says what comes next, in the order of the numbers.
public enum ForecastExpert: Int, CaseIterable, Sendable {
    /// The readout of the recurrent network.
    case recurrent
    /// The same as the reading before.
    case last
    /// The level: a running mean of about 30 readings.
    case level
    /// What the hour and the weekday alone explain.
    case clock

    /// Name for output, e.g. `recurrent`.
    public var name: String { String(describing: self) }
}

/// A forecast that over any longer stretch is hardly worse than the best of a few simple ones.
///
/// Each expert of the next reading has two running means of its absolute errors, over about 100 readings and about 5. The forecast is the experts' mean, weighted by 1 / error^10 and 1 / (error lately)^2: a ratio of errors needs no unit, and where one expert is clearly
/// better it speaks alone. This is the exponentially weighted forecaster of Vovk (1990) and Littlestone and Warmuth (1994) with discounted
/// losses, on the logarithm of the loss, so that it needs no learning rate in the unit of the channel.
///
/// All values are in units of the channel's deviation, not limited.
struct ForecastExperts: BitwiseCopyable {
    /// Mean absolute errors, and lately. Who has proven nothing is behind "the same as last time".
    private var slowErrors = InlineArray<4, Float>(repeating: 1)
    private var quickErrors = InlineArray<4, Float>(repeating: 1)
    /// The level.
    var level = RunningMean()
    /// Mean absolute error of the forecast, and of "the same as last time", over about 2,000 readings.
    private(set) var own: Float = 0
    private var plain: Float = 0
    /// Readings in a row for which the readout was much worse than "the same as last time", and how often it began anew for that.
    private var worse: UInt32 = 0
    private(set) var restarts: UInt32 = 0

    /// Errors below this are all the same.
    private static var floor: Float { 1e-5 }
    private static var largest: Double { 1e6 }

    init() { slowErrors[ForecastExpert.last.rawValue] = 0 }

    // Kept as arrays: a vector's alignment would leave a gap in the state.
    private var errors: SIMD4<Float> {
        @inline(__always) get { SIMD4(slowErrors[0], slowErrors[1], slowErrors[2], slowErrors[3]) }
        @inline(__always) set { slowErrors = [newValue[0], newValue[1], newValue[2], newValue[3]] }
    }
    private var lately: SIMD4<Float> {
        @inline(__always) get { SIMD4(quickErrors[0], quickErrors[1], quickErrors[2], quickErrors[3]) }
        @inline(__always) set { quickErrors = [newValue[0], newValue[1], newValue[2], newValue[3]] }
    }

    /// Weights of the experts, in any common unit. `clock` false: the last is silent.
    @inline(__always)
    private func weights(clock: Bool) -> SIMD4<Float> {
        var (slow, quick) = (errors + Self.floor, lately + Self.floor)
        if !clock { (slow[3], quick[3]) = (.infinity, .infinity) }
        let r = slow.min() / slow
        let l = quick.min() / quick
        let r2 = r * r
        let r4 = r2 * r2
        return r4 * r4 * r2 * (l * l)
    }

    /// The weighted mean of the guesses, in the order of `ForecastExpert`. `clock` false: the last expert is silent.
    @inline(__always)
    func forecast(_ guesses: SIMD4<Double>, clock: Bool) -> Double {
        let weights = SIMD4<Double>(weights(clock: clock))
        return (weights * guesses).sum() / weights.sum()
    }

    /// Learns how wrong each expert and the forecast were about `x`.
    /// - Parameters:
    ///   - predictions: such predictions so far; `resolution`: errors below it do not matter.
    ///   - hour: readings for which a readout may be more than three times as wrong as "the same as last time".
    /// - Returns: whether it has been for so long, and should begin anew.
    @inline(__always)
    mutating func learn(
        _ guesses: SIMD4<Double>, x: Double, forecast: Double, predictions: Double, resolution: Double, hour: UInt32
    ) -> Bool {
        let misses = guesses - x
        let sizes = SIMD4<Float>(pointwiseMin(pointwiseMax(misses, -misses), SIMD4(repeating: Self.largest)))
        let first = predictions < 2000 ? Float(1 / (predictions + 1)) : 0
        errors += max(first, 0.01) * (sizes - errors)
        lately += max(first, 0.2) * (sizes - lately)
        let gain = max(first, 1 / 2000)
        own += gain * (Float(min(abs(x - forecast), Self.largest)) - own)
        plain += gain * (sizes[ForecastExpert.last.rawValue] - plain)
        let bar = max(errors[ForecastExpert.last.rawValue], Float(min(resolution, Self.largest)))
        guard errors[ForecastExpert.recurrent.rawValue] > 3 * bar + Self.floor else {
            worse = 0
            return false
        }
        worse += 1
        guard worse >= hour else { return false }
        if restarts < .max { restarts += 1 }
        recurrentBegins(meanError: nil)
        return true
    }

    /// The readout is another one now, whose mean absolute error was measured; nil: not known, as good as "the same as last time".
    mutating func recurrentBegins(meanError: Double?) {
        let (i, last) = (ForecastExpert.recurrent.rawValue, ForecastExpert.last.rawValue)
        errors[i] = meanError.map { Float(min($0, Self.largest)) } ?? errors[last]
        lately[i] = meanError.map { Float(min($0, Self.largest)) } ?? lately[last]
        worse = 0
    }

    /// Mean error of the forecast over that of the reading before; errors of the latter count at least `resolution`.
    func ratio(resolution: Double) -> Double { Double(own) / max(Double(plain), resolution, 1e-9) }

    /// The expert that the next reading's forecast listens to most.
    func speaker(clock: Bool) -> ForecastExpert {
        let weights = weights(clock: clock)
        return ForecastExpert.allCases.max { weights[$0.rawValue] < weights[$1.rawValue] } ?? .last
    }

    /// True if the numbers are in range (a check for restored state).
    var isSane: Bool {
        own >= 0 && own.isFinite && plain >= 0 && plain.isFinite && level.value.isFinite
            && (0..<4).allSatisfy { errors[$0] >= 0 && errors[$0] <= 1e6 && lately[$0] >= 0 && lately[$0] <= 1e6 }
    }
}

/// How good a channel's forecast is.
public struct ForecastQuality: Sendable {
    /// 1 - (mean error of the forecast / mean error of "the same as last time") over about 2,000 readings; 0: no better than the reading
    /// before, negative: worse. Errors below a thousandth of the channel's range count as that.
    public var skill: Double
    /// The expert that the next forecast listens to most.
    public var expert: ForecastExpert
    /// How often the readout began anew because it had been much worse than "the same as last time" for an hour of readings.
    public var restarts: UInt32
}
