import CDetectionKernels

/// The two precisions the arrays of a detector can have. Kernels come from C; everything scalar is Double in both.
protocol KernelScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable {
    static func reservoir(
        _ h: UnsafeMutablePointer<Self>, _ w: UnsafePointer<Self>, _ win: UnsafePointer<Self>, _ bias: UnsafePointer<Self>,
        _ leak: UnsafePointer<Self>, _ x: Self, _ n: Int32)
    static func leastSquares(
        _ p: UnsafeMutablePointer<Self>, _ phi: UnsafePointer<Self>, _ g: UnsafeMutablePointer<Self>, _ lambda: Self, _ cap: Self,
        _ n: Int32
    ) -> Int32
    static func dot(_ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ n: Int32) -> Self
    static func addScaled(_ y: UnsafeMutablePointer<Self>, _ x: UnsafePointer<Self>, _ a: Self, _ n: Int32)
    static func nearest(
        _ prototypes: UnsafePointer<Self>, _ s: UnsafePointer<Self>, _ m: Int32, _ d: Int32, _ distance2: UnsafeMutablePointer<Self>
    ) -> Int32
    static func add(_ a: UnsafeMutablePointer<Self>, _ v: Self, _ n: Int32)
    static func scale(_ a: UnsafeMutablePointer<Self>, _ v: Self, _ n: Int32)
    static func sum(_ a: UnsafePointer<Self>, _ n: Int32) -> Double
    static func asinh2(_ y: UnsafeMutablePointer<Self>, _ c: UnsafePointer<Self>, _ n: Int32)
    static func log10(_ y: UnsafeMutablePointer<Self>, _ c: UnsafePointer<Self>, _ n: Int32)
}

extension Float: KernelScalar {
    @inline(__always)
    static func reservoir(
        _ h: UnsafeMutablePointer<Float>, _ w: UnsafePointer<Float>, _ win: UnsafePointer<Float>, _ bias: UnsafePointer<Float>,
        _ leak: UnsafePointer<Float>, _ x: Float, _ n: Int32
    ) { cdk_reservoir_f32(h, w, win, bias, leak, x, n) }
    @inline(__always)
    static func leastSquares(
        _ p: UnsafeMutablePointer<Float>, _ phi: UnsafePointer<Float>, _ g: UnsafeMutablePointer<Float>, _ lambda: Float, _ cap: Float,
        _ n: Int32
    ) -> Int32 { cdk_rls_f32(p, phi, g, lambda, cap, n) }
    @inline(__always)
    static func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ n: Int32) -> Float { cdk_dot_f32(a, b, n) }
    @inline(__always)
    static func addScaled(_ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ a: Float, _ n: Int32) { cdk_axpy_f32(y, x, a, n) }
    @inline(__always)
    static func nearest(
        _ prototypes: UnsafePointer<Float>, _ s: UnsafePointer<Float>, _ m: Int32, _ d: Int32, _ distance2: UnsafeMutablePointer<Float>
    ) -> Int32 { cdk_nearest_f32(prototypes, s, m, d, distance2) }
    @inline(__always)
    static func add(_ a: UnsafeMutablePointer<Float>, _ v: Float, _ n: Int32) { cdk_add_f32(a, v, n) }
    @inline(__always)
    static func scale(_ a: UnsafeMutablePointer<Float>, _ v: Float, _ n: Int32) { cdk_scale_f32(a, v, n) }
    @inline(__always)
    static func sum(_ a: UnsafePointer<Float>, _ n: Int32) -> Double { cdk_sum_f32(a, n) }
    @inline(__always)
    static func asinh2(_ y: UnsafeMutablePointer<Float>, _ c: UnsafePointer<Float>, _ n: Int32) { cdk_asinh2_f32(y, c, n) }
    @inline(__always)
    static func log10(_ y: UnsafeMutablePointer<Float>, _ c: UnsafePointer<Float>, _ n: Int32) { cdk_log10_f32(y, c, n) }
}

extension Double: KernelScalar {
    @inline(__always)
    static func reservoir(
        _ h: UnsafeMutablePointer<Double>, _ w: UnsafePointer<Double>, _ win: UnsafePointer<Double>, _ bias: UnsafePointer<Double>,
        _ leak: UnsafePointer<Double>, _ x: Double, _ n: Int32
    ) { cdk_reservoir_f64(h, w, win, bias, leak, x, n) }
    @inline(__always)
    static func leastSquares(
        _ p: UnsafeMutablePointer<Double>, _ phi: UnsafePointer<Double>, _ g: UnsafeMutablePointer<Double>, _ lambda: Double, _ cap: Double,
        _ n: Int32
    ) -> Int32 { cdk_rls_f64(p, phi, g, lambda, cap, n) }
    @inline(__always)
    static func dot(_ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ n: Int32) -> Double { cdk_dot_f64(a, b, n) }
    @inline(__always)
    static func addScaled(_ y: UnsafeMutablePointer<Double>, _ x: UnsafePointer<Double>, _ a: Double, _ n: Int32) {
        cdk_axpy_f64(y, x, a, n)
    }
    @inline(__always)
    static func nearest(
        _ prototypes: UnsafePointer<Double>, _ s: UnsafePointer<Double>, _ m: Int32, _ d: Int32, _ distance2: UnsafeMutablePointer<Double>
    ) -> Int32 { cdk_nearest_f64(prototypes, s, m, d, distance2) }
    @inline(__always)
    static func add(_ a: UnsafeMutablePointer<Double>, _ v: Double, _ n: Int32) { cdk_add_f64(a, v, n) }
    @inline(__always)
    static func scale(_ a: UnsafeMutablePointer<Double>, _ v: Double, _ n: Int32) { cdk_scale_f64(a, v, n) }
    @inline(__always)
    static func sum(_ a: UnsafePointer<Double>, _ n: Int32) -> Double { cdk_sum_f64(a, n) }
    @inline(__always)
    static func asinh2(_ y: UnsafeMutablePointer<Double>, _ c: UnsafePointer<Double>, _ n: Int32) { cdk_asinh2_f64(y, c, n) }
    @inline(__always)
    static func log10(_ y: UnsafeMutablePointer<Double>, _ c: UnsafePointer<Double>, _ n: Int32) { cdk_log10_f64(y, c, n) }
}

/// The slot with the smallest stamp.
@inline(__always)
func oldest(_ stamps: UnsafePointer<UInt32>, _ count: Int) -> Int { Int(cdk_oldest_u32(stamps, Int32(count))) }
