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
    /// The newest value, as judged, in its own unit.
    var last: Double = 0
    /// The level.
    private(set) var level = RunningMean()
    /// Mean absolute errors, and lately. Who has proven nothing is behind "the same as last time".
    private var errors = InlineArray<4, Float>(repeating: ForecastExperts.unproven)
    private var lately = InlineArray<4, Float>(repeating: ForecastExperts.unproven)
    /// Mean absolute error of the forecast, and of "the same as last time", over about 2,000 readings.
    private(set) var own: Float = 0
    private var plain: Float = 0
    /// Readings in a row for which the readout was much worse than "the same as last time", and how often it began anew for that.
    private var worse: UInt32 = 0
    private(set) var restarts: UInt32 = 0

    private static var unproven: Float { 1 }
    /// Errors below this are all the same.
    private static var floor: Float { 1e-5 }
    private static var largest: Double { 1e6 }

    init() { errors[ForecastExpert.last.rawValue] = 0 }

    /// The weighted mean of `guesses` [4]. `clock` false: the last expert is silent.
    @inline(__always)
    func forecast(_ guesses: InlineArray<4, Double>, clock: Bool) -> Double {
        let n = clock ? 4 : 3
        var least = errors[0]
        var leastLately = lately[0]
        for i in 1..<n {
            least = min(least, errors[i])
            leastLately = min(leastLately, lately[i])
        }
        var sum = 0.0
        var total = 0.0
        for i in 0..<n {
            let weight = Double(Self.weight(errors[i], least, lately[i], leastLately))
            sum += weight * guesses[i]
            total += weight
        }
        return sum / total
    }

    @inline(__always)
    private static func weight(_ error: Float, _ least: Float, _ lately: Float, _ leastLately: Float) -> Float {
        let r = (least + floor) / (error + floor)
        let l = (leastLately + floor) / (lately + floor)
        let r2 = r * r
        let r4 = r2 * r2
        return r4 * r4 * r2 * l * l
    }

    /// Learns how wrong each expert was about `x`. `predictions`: such predictions so far.
    @inline(__always)
    mutating func learn(_ guesses: InlineArray<4, Double>, x: Double, predictions: Double) {
        let gain = Float(max(1 / (predictions + 1), 0.01))
        for i in 0..<4 {
            let e = Float(min(abs(x - guesses[i]), Self.largest))
            errors[i] += gain * (e - errors[i])
            lately[i] += max(gain, 0.2) * (e - lately[i])
        }
    }

    /// Takes note of a reading: x in units of the channel's deviation (limited), the value as judged.
    @inline(__always)
    mutating func observe(x: Double, value: Double, age: Double) {
        level.update(x, age: age, horizon: 30)
        last = value
    }

    /// The readout is another one now, whose mean absolute error was measured; nil: not known, as good as "the same as last time".
    mutating func recurrentBegins(meanError: Double?) {
        let i = ForecastExpert.recurrent.rawValue
        let last = ForecastExpert.last.rawValue
        errors[i] = meanError.map { Float(min($0, Self.largest)) } ?? errors[last]
        lately[i] = meanError.map { Float(min($0, Self.largest)) } ?? lately[last]
        worse = 0
    }

    /// Counts the errors of a forecast and of the reading before; true if the readout has been more than three times as wrong as
    /// the latter for `readingsMax` readings, and should begin anew. `resolution`: errors below it do not matter.
    @inline(__always)
    mutating func watch(forecast e: Double, last: Double, predictions: Double, resolution: Double, readingsMax: UInt32) -> Bool {
        let gain = Float(max(1 / (predictions + 1), 1 / 2000))
        own += gain * (Float(min(abs(e), Self.largest)) - own)
        plain += gain * (Float(min(abs(last), Self.largest)) - plain)
        let bar = max(errors[ForecastExpert.last.rawValue], Float(min(resolution, Self.largest)))
        guard errors[ForecastExpert.recurrent.rawValue] > 3 * bar + Self.floor else {
            worse = 0
            return false
        }
        worse += 1
        guard worse >= readingsMax else { return false }
        worse = 0
        if restarts < .max { restarts += 1 }
        errors[ForecastExpert.recurrent.rawValue] = errors[ForecastExpert.last.rawValue]
        return true
    }

    /// Mean error of the forecast over that of the reading before; errors of the latter count at least `resolution`.
    func ratio(resolution: Double) -> Double { Double(own) / max(Double(plain), resolution, 1e-9) }

    /// The expert that the next reading's forecast listens to most.
    func speaker(clock: Bool) -> ForecastExpert {
        var best = ForecastExpert.last
        var most: Float = 0
        for expert in ForecastExpert.allCases where clock || expert != .clock {
            let i = expert.rawValue
            // Relative to any common size: to the plainest expert's.
            let weight = Self.weight(errors[i], errors[1], lately[i], lately[1])
            if weight > most { (best, most) = (expert, weight) }
        }
        return best
    }

    /// True if the numbers are in range (a check for restored state).
    var isSane: Bool {
        last.isFinite && own >= 0 && own.isFinite && plain >= 0 && plain.isFinite
            && level.value.isFinite
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
