import CRecurrentKernels

/// xoshiro256** seeded by splitmix64 (Blackman and Vigna 2018): the only randomness of this module, always from a seed.
public struct SeededRandom: Sendable, Equatable, RandomNumberGenerator {
    /// The four state words; with them a run can be resumed.
    public var words: (UInt64, UInt64, UInt64, UInt64)

    /// A generator whose whole sequence follows from `seed`.
    public init(seed: UInt64) {
        var x = seed
        func next() -> UInt64 {
            x &+= 0x9E37_79B9_7F4A_7C15
            var z = x
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        words = (next(), next(), next(), next())
    }

    /// 64 random bits.
    public mutating func next() -> UInt64 {
        let product = words.1 &* 5
        let result = ((product << 7) | (product >> 57)) &* 9
        let t = words.1 << 17
        words.2 ^= words.0
        words.3 ^= words.1
        words.1 ^= words.2
        words.0 ^= words.3
        words.2 ^= t
        words.3 = (words.3 << 45) | (words.3 >> 19)
        return result
    }

    /// Uniform in [low, high).
    public mutating func uniform(_ low: Float, _ high: Float) -> Float {
        low + (high - low) * (Float(next() >> 40) * 0x1p-24)
    }

    /// Uniform in 0..<bound (bias below 2^-32 for the sizes used here).
    public mutating func index(below bound: Int) -> Int {
        bound <= 1 ? 0 : Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// Equal if the next numbers are.
    public static func == (a: SeededRandom, b: SeededRandom) -> Bool { a.words == b.words }
}

/// Throws `.notFinite` at the first NaN or infinity.
func checkFinite(_ values: [Float], _ object: @autoclosure () -> String) throws(NetworkError) {
    let index = values.withUnsafeBufferPointer { buffer in
        buffer.baseAddress.map { rk_first_not_finite($0, buffer.count) } ?? 0
    }
    guard index == values.count else { throw .notFinite(object: object(), index: index) }
}

/// Floats aligned to a cache line, freed with the object.
///
/// `@unchecked Sendable`: an owner either never writes after its initialiser (packed weights) or is itself confined to one task.
final class AlignedFloats: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Float>
    let count: Int

    init(zeros count: Int) {
        self.count = count
        let raw = UnsafeMutableRawPointer.allocate(byteCount: max(64, count * 4), alignment: 64)
        pointer = raw.bindMemory(to: Float.self, capacity: max(16, count))
        pointer.initialize(repeating: 0, count: count)
    }

    deinit { UnsafeMutableRawPointer(pointer).deallocate() }

    /// All floats back to zero.
    func clear() { pointer.update(repeating: 0, count: count) }
}

/// `n` rounded up to the row padding of the kernels.
func padded(_ n: Int) -> Int { (n + Int(RK_ROUND) - 1) / Int(RK_ROUND) * Int(RK_ROUND) }
