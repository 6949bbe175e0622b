/// A seeded stream of random numbers that is the same, bit for bit, on every machine.
///
/// xoshiro256** (Blackman and Vigna, 2018) filled by SplitMix64. Everything built on it uses integer operations and the four
/// IEEE operations only, so a seed gives one simulation, whatever the processor or the C library.
struct RandomSource: Sendable, Equatable {
    private var s0: UInt64
    private var s1: UInt64
    private var s2: UInt64
    private var s3: UInt64

    /// A source of its own for `purpose` (any number) under `seed`; two purposes give independent streams.
    init(seed: UInt64, purpose: UInt64) {
        var mixer = seed ^ (purpose &* 0xD1B5_4A32_D192_ED03)
        func next() -> UInt64 {
            mixer &+= 0x9E37_79B9_7F4A_7C15
            var z = mixer
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        s0 = next()
        s1 = next()
        s2 = next()
        s3 = next() | 1
    }

    /// The next 64 random bits.
    @inline(__always)
    mutating func nextBits() -> UInt64 {
        let product = s1 &* 5
        let result = ((product << 7) | (product >> 57)) &* 9
        let shifted = s1 << 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = (s3 << 45) | (s3 >> 19)
        return result
    }

    /// Uniform in `0..<1`, 53 bits.
    @inline(__always)
    mutating func unit() -> Double { Double(nextBits() >> 11) * 0x1p-53 }

    /// Uniform between `low` and `high`.
    mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }

    /// Uniform in `0..<bound`; 0 when `bound` is not positive.
    mutating func below(_ bound: Int) -> Int { bound > 0 ? Int(unit() * Double(bound)) : 0 }

    /// Standard normal to within plotting accuracy: mean 0, variance 1.
    ///
    /// The number of ones in 64 random bits is binomial with variance 16 and has the tails of the normal distribution to beyond
    /// five standard deviations; a uniform number of width one fills the gaps (variance 1/12). Two draws, no libm.
    @inline(__always)
    mutating func gaussian() -> Double {
        let steps = Double(nextBits().nonzeroBitCount) - 32
        return (steps + unit() - 0.5) * 0.249_350_180_570_929_5  // 1 / sqrt(16 + 1/12)
    }
}
