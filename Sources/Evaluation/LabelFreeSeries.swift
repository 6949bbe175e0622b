import TimeSeries

/// Kinds of synthetic series without a single event in them: what raises an alarm there is a false alarm.
public enum LabelFreeFamily: String, CaseIterable, Sendable {
    /// A daily and a weekly course and normal noise.
    case seasonal
    /// Normal noise that remembers: x' = 0.95 x + e.
    case autocorrelated
    /// Student's t with three degrees of freedom.
    case heavyTailed = "heavy-tailed"
    /// Counts of rare events: Poisson with mean 4.
    case integer
}

/// An endless series of one family. The same seed gives the same series.
public struct LabelFreeSeries: Sendable {
    /// Its family.
    public let family: LabelFreeFamily
    /// Seconds between readings.
    public let cadenceSeconds: Double
    /// Nanoseconds since 1970 of the reading `next` gave last.
    public private(set) var time: Int64
    private let step: Int64
    private var random: SeededRandom
    private var memory = 0.0

    /// Starts at a fixed Monday, 2024-01-01T00:00:00Z.
    public init(_ family: LabelFreeFamily, cadenceSeconds: Double, seed: UInt64) {
        self.family = family
        self.cadenceSeconds = cadenceSeconds
        step = Int64((cadenceSeconds * 1e9).rounded())
        time = 1_704_067_200_000_000_000 - step
        random = SeededRandom(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(family.rawValue.utf8.count))
    }

    /// The next reading; `time` moves on by the cadence.
    public mutating func next() -> Double {
        time += step
        switch family {
        case .seasonal:
            let days = Double(time % 604_800_000_000_000) / 86_400e9
            return 20 + 5 * sine(2 * .pi * days) + 2 * sine(2 * .pi * days / 7) + random.gaussian()
        case .autocorrelated:
            memory = 0.95 * memory + random.gaussian()
            return memory
        case .heavyTailed:
            var squares = 0.0
            for _ in 0..<3 {
                let g = random.gaussian()
                squares += g * g
            }
            return random.gaussian() / (squares / 3).squareRoot()
        case .integer: return poisson(mean: 4)
        }
    }

    /// Knuth's product of uniforms.
    private mutating func poisson(mean: Double) -> Double {
        let limit = exponential(-mean)
        var product = random.uniform()
        var count = 0.0
        while product > limit {
            product *= random.uniform()
            count += 1
        }
        return count
    }
}
