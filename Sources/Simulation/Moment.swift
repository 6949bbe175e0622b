/// What all machines see of one moment.
struct Moment: Sendable {
    var ns: Int64
    /// Time since the reading before, seconds.
    var stepSeconds: Double
    /// Seconds since Monday 00:00 UTC.
    var weekSeconds: Double
    /// -1 to 1, highest at 15:00.
    var dailySine: Double
    /// -1 to 1, highest in mid-July.
    var seasonSine: Double

    init(ns: Int64, stepSeconds: Double) {
        self.ns = ns
        self.stepSeconds = stepSeconds
        let seconds = Double(ns / 1_000_000) / 1000
        // 1970-01-05 was a Monday.
        weekSeconds = Self.remainder(seconds - 4 * 86_400, 7 * 86_400)
        dailySine = Self.sine(turns: Self.remainder(seconds - 9 * 3600, 86_400) / 86_400)
        seasonSine = Self.sine(turns: Self.remainder(seconds - 105 * 86_400, 365.2425 * 86_400) / (365.2425 * 86_400))
    }

    private static func remainder(_ value: Double, _ period: Double) -> Double {
        value - (value / period).rounded(.down) * period
    }

    /// sin(2 pi x) for x in 0..<1, error below 0.0011; the same bits on every machine, which libm does not promise.
    @inline(__always)
    static func sine(turns x: Double) -> Double {
        let r = 0.5 - x
        let y = 8 * r - 16 * r * r.magnitude
        return y + 0.225 * (y * y.magnitude - y)
    }
}

/// Noise with a memory: first-order autoregressive, variance 1, time constant in seconds.
struct SlowNoise: Sendable {
    private(set) var value: Double
    private let timeConstant: Double
    private var keep = 0.0
    private var add = 1.0
    private var step = -1.0

    init(timeConstant: Double, random: inout RandomSource) {
        self.timeConstant = timeConstant
        value = random.gaussian()
    }

    @inline(__always)
    mutating func advance(seconds: Double, random: inout RandomSource) {
        if seconds != step {
            step = seconds
            keep = timeConstant / (timeConstant + seconds)
            add = (1 - keep * keep).squareRoot()
        }
        value = keep * value + add * random.gaussian()
    }
}

/// The outdoor temperature of one site, kelvins around its yearly mean.
struct Weather: Sendable {
    private var random: RandomSource
    private var slow: SlowNoise
    private(set) var ambient = 0.0

    init(seed: UInt64, site: Int) {
        random = RandomSource(seed: seed, purpose: 0x5EA5_0000_0000_0000 | UInt64(site))
        slow = SlowNoise(timeConstant: 18 * 3600, random: &random)
    }

    mutating func advance(_ moment: Moment) {
        slow.advance(seconds: moment.stepSeconds, random: &random)
        ambient = 9 * moment.seasonSine + (3.6 + 1.2 * moment.seasonSine) * moment.dailySine + 1.8 * slow.value
    }
}
