#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The few functions of the C library that the mind needs, under names that do not clash.
@inlinable @inline(__always) public func logarithm(_ x: Double) -> Double { log(x) }
/// log10(x), from the natural one: glibc's own takes twice as long.
@inlinable @inline(__always) public func decimalLogarithm(_ x: Double) -> Double { log(x) * 0.434_294_481_903_251_83 }
/// e^x.
@inlinable @inline(__always) public func exponential(_ x: Double) -> Double { exp(x) }
/// asinh(x): linear near zero, logarithmic far out.
@inlinable @inline(__always) public func inverseSinh(_ x: Double) -> Double { asinh(x) }
/// sin(x), x in radians.
@inlinable @inline(__always) public func sine(_ x: Double) -> Double { sin(x) }
/// cos(x), x in radians.
@inlinable @inline(__always) public func cosine(_ x: Double) -> Double { cos(x) }
/// base^exponent.
@inlinable @inline(__always) public func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
/// x limited to [-limit, limit]; NaN stays NaN.
@inlinable @inline(__always) public func clipped(_ x: Double, _ limit: Double) -> Double { x < -limit ? -limit : (x > limit ? limit : x) }
/// 2^x.
@inlinable @inline(__always) public func powerOfTwo(_ x: Double) -> Double { exp2(x) }
