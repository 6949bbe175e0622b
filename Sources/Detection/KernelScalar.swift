import CDetectionKernels

/// The two precisions the arrays of a detector can have. Kernels come from C; everything scalar is Double in both.
protocol KernelScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable {
    /// What a coordinate of a prototype in [-1, 1] is kept in; and an element of a gain that waits for its error.
    associatedtype Coordinate: BitwiseCopyable & Sendable
    associatedtype Gain: BitwiseCopyable & Sendable
    static func reservoir(
        _ h: UnsafeMutablePointer<Self>, _ w: UnsafePointer<Self>, _ win: UnsafePointer<Self>, _ bias: UnsafePointer<Self>,
        _ leak: UnsafePointer<Self>, _ x: Self, _ n: Int32)
    static func leastSquares(
        _ p: UnsafeMutablePointer<Self>, _ phi: UnsafePointer<Self>, _ g: UnsafeMutablePointer<Self>, _ lambda: Self, _ share: Self,
        _ cap: Self,
        _ n: Int32, _ next: UnsafePointer<Self>?
    ) -> Int32
    static func dot(_ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ n: Int32) -> Self
    static func addScaled(_ y: UnsafeMutablePointer<Self>, _ x: UnsafePointer<Self>, _ a: Self, _ n: Int32)
    static func nearest(
        _ prototypes: UnsafePointer<Coordinate>, _ s: UnsafePointer<Self>, _ m: Int32, _ d: Int32, _ distance2: UnsafeMutablePointer<Self>
    ) -> Int32
    static func pull(
        _ prototypes: UnsafeMutablePointer<Coordinate>, _ s: UnsafePointer<Self>, _ m: Int32, _ slot: Int32, _ d: Int32, _ rate: Self)
    static func keep(_ to: UnsafeMutablePointer<Gain>, _ g: UnsafePointer<Self>, _ n: Int32)
    static func learn(_ y: UnsafeMutablePointer<Self>, _ x: UnsafePointer<Gain>, _ a: Self, _ stay: Self, _ n: Int32)
    static func toward(_ m: UnsafeMutablePointer<Self>, _ x: UnsafePointer<Self>, _ gain: Self, _ n: Int32)
    static func bank(
        _ statistics: UnsafePointer<Double>, _ work: CalibratorBank<Self>.Scratch, _ tables: UnsafePointer<UInt16>,
        _ sides: UnsafeMutablePointer<cdk_sides>, _ rankShare: Self, _ tailShare: Self, _ answers: Bool, _ counts: Bool)
    static func alarms(_ count: UnsafeMutablePointer<Self>, _ last: UnsafeMutablePointer<UInt32>, _ now: UInt32, _ away: UInt32, _ n: Int32)
    static func ridge(_ w: UnsafeMutablePointer<Self>, _ m: UnsafePointer<Self>, _ target: UnsafePointer<Self>, _ ridge: Double)
    static func isFinite(gain: Gain) -> Bool
    static func add(_ a: UnsafeMutablePointer<Self>, _ v: Self, _ n: Int32)
    static func scale(_ a: UnsafeMutablePointer<Self>, _ v: Self, _ n: Int32)
    static func sum(_ a: UnsafePointer<Self>, _ n: Int32) -> Double
}

extension Float: KernelScalar {
    typealias Coordinate = Int16
    typealias Gain = UInt16

    @inline(__always)
    static func reservoir(
        _ h: UnsafeMutablePointer<Float>, _ w: UnsafePointer<Float>, _ win: UnsafePointer<Float>, _ bias: UnsafePointer<Float>,
        _ leak: UnsafePointer<Float>, _ x: Float, _ n: Int32
    ) { cdk_reservoir_f32(h, w, win, bias, leak, x, n) }
    @inline(__always)
    static func leastSquares(
        _ p: UnsafeMutablePointer<Float>, _ phi: UnsafePointer<Float>, _ g: UnsafeMutablePointer<Float>, _ lambda: Float, _ share: Float,
        _ cap: Float,
        _ n: Int32, _ next: UnsafePointer<Float>?
    ) -> Int32 { cdk_rls_f32(p, phi, g, lambda, share, cap, n, next) }
    @inline(__always)
    static func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ n: Int32) -> Float { cdk_dot_f32(a, b, n) }
    @inline(__always)
    static func addScaled(_ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ a: Float, _ n: Int32) { cdk_axpy_f32(y, x, a, n) }
    @inline(__always)
    static func nearest(
        _ prototypes: UnsafePointer<Int16>, _ s: UnsafePointer<Float>, _ m: Int32, _ d: Int32, _ distance2: UnsafeMutablePointer<Float>
    ) -> Int32 { cdk_nearest_f32(prototypes, s, m, d, distance2) }
    @inline(__always)
    static func pull(
        _ prototypes: UnsafeMutablePointer<Int16>, _ s: UnsafePointer<Float>, _ m: Int32, _ slot: Int32, _ d: Int32, _ rate: Float
    ) {
        cdk_pull_f32(prototypes, s, m, slot, d, rate)
    }
    @inline(__always)
    static func keep(_ to: UnsafeMutablePointer<UInt16>, _ g: UnsafePointer<Float>, _ n: Int32) { cdk_keep_f32(to, g, n) }
    @inline(__always)
    static func learn(_ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<UInt16>, _ a: Float, _ stay: Float, _ n: Int32) {
        cdk_learn_f32(y, x, a, stay, n)
    }
    @inline(__always)
    static func toward(_ m: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ gain: Float, _ n: Int32) {
        cdk_toward_f32(m, x, gain, n)
    }
    @inline(__always)
    static func bank(
        _ statistics: UnsafePointer<Double>, _ work: CalibratorBank<Float>.Scratch, _ tables: UnsafePointer<UInt16>,
        _ sides: UnsafeMutablePointer<cdk_sides>, _ rankShare: Float, _ tailShare: Float, _ answers: Bool, _ counts: Bool
    ) {
        cdk_bank_f32(
            statistics, work.evidence, work.reach, work.y, work.bins, work.grids, tables, sides, rankShare, tailShare, answers ? 1 : 0,
            counts ? 1 : 0)
    }
    @inline(__always)
    static func alarms(
        _ count: UnsafeMutablePointer<Float>, _ last: UnsafeMutablePointer<UInt32>, _ now: UInt32, _ away: UInt32, _ n: Int32
    ) { cdk_alarms_f32(count, last, now, away, n) }
    @inline(__always)
    static func ridge(_ w: UnsafeMutablePointer<Float>, _ m: UnsafePointer<Float>, _ target: UnsafePointer<Float>, _ ridge: Double) {
        cdk_ridge_f32(w, m, target, ridge)
    }
    @inline(__always)
    static func isFinite(gain: UInt16) -> Bool { gain & 0x7f80 != 0x7f80 }
    @inline(__always)
    static func add(_ a: UnsafeMutablePointer<Float>, _ v: Float, _ n: Int32) { cdk_add_f32(a, v, n) }
    @inline(__always)
    static func scale(_ a: UnsafeMutablePointer<Float>, _ v: Float, _ n: Int32) { cdk_scale_f32(a, v, n) }
    @inline(__always)
    static func sum(_ a: UnsafePointer<Float>, _ n: Int32) -> Double { cdk_sum_f32(a, n) }
}

extension Double: KernelScalar {
    typealias Coordinate = Double
    typealias Gain = Double

    @inline(__always)
    static func reservoir(
        _ h: UnsafeMutablePointer<Double>, _ w: UnsafePointer<Double>, _ win: UnsafePointer<Double>, _ bias: UnsafePointer<Double>,
        _ leak: UnsafePointer<Double>, _ x: Double, _ n: Int32
    ) { cdk_reservoir_f64(h, w, win, bias, leak, x, n) }
    @inline(__always)
    static func leastSquares(
        _ p: UnsafeMutablePointer<Double>, _ phi: UnsafePointer<Double>, _ g: UnsafeMutablePointer<Double>, _ lambda: Double,
        _ share: Double, _ cap: Double,
        _ n: Int32, _ next: UnsafePointer<Double>?
    ) -> Int32 { cdk_rls_f64(p, phi, g, lambda, share, cap, n, next) }
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
    static func pull(
        _ prototypes: UnsafeMutablePointer<Double>, _ s: UnsafePointer<Double>, _ m: Int32, _ slot: Int32, _ d: Int32, _ rate: Double
    ) {
        cdk_pull_f64(prototypes, s, m, slot, d, rate)
    }
    @inline(__always)
    static func keep(_ to: UnsafeMutablePointer<Double>, _ g: UnsafePointer<Double>, _ n: Int32) { cdk_keep_f64(to, g, n) }
    @inline(__always)
    static func learn(_ y: UnsafeMutablePointer<Double>, _ x: UnsafePointer<Double>, _ a: Double, _ stay: Double, _ n: Int32) {
        cdk_learn_f64(y, x, a, stay, n)
    }
    @inline(__always)
    static func toward(_ m: UnsafeMutablePointer<Double>, _ x: UnsafePointer<Double>, _ gain: Double, _ n: Int32) {
        cdk_toward_f64(m, x, gain, n)
    }
    @inline(__always)
    static func bank(
        _ statistics: UnsafePointer<Double>, _ work: CalibratorBank<Double>.Scratch, _ tables: UnsafePointer<UInt16>,
        _ sides: UnsafeMutablePointer<cdk_sides>, _ rankShare: Double, _ tailShare: Double, _ answers: Bool, _ counts: Bool
    ) {
        cdk_bank_f64(
            statistics, work.evidence, work.reach, work.y, work.bins, work.grids, tables, sides, rankShare, tailShare, answers ? 1 : 0,
            counts ? 1 : 0)
    }
    @inline(__always)
    static func alarms(
        _ count: UnsafeMutablePointer<Double>, _ last: UnsafeMutablePointer<UInt32>, _ now: UInt32, _ away: UInt32, _ n: Int32
    ) { cdk_alarms_f64(count, last, now, away, n) }
    @inline(__always)
    static func ridge(_ w: UnsafeMutablePointer<Double>, _ m: UnsafePointer<Double>, _ target: UnsafePointer<Double>, _ ridge: Double) {
        cdk_ridge_f64(w, m, target, ridge)
    }
    @inline(__always)
    static func isFinite(gain: Double) -> Bool { gain.isFinite }
    @inline(__always)
    static func add(_ a: UnsafeMutablePointer<Double>, _ v: Double, _ n: Int32) { cdk_add_f64(a, v, n) }
    @inline(__always)
    static func scale(_ a: UnsafeMutablePointer<Double>, _ v: Double, _ n: Int32) { cdk_scale_f64(a, v, n) }
    @inline(__always)
    static func sum(_ a: UnsafePointer<Double>, _ n: Int32) -> Double { cdk_sum_f64(a, n) }
}

/// The slot with the smallest stamp.
@inline(__always)
func oldest(_ stamps: UnsafePointer<UInt32>, _ count: Int) -> Int { Int(cdk_oldest_u32(stamps, Int32(count))) }

/// Brings memory nearer that is needed a few microseconds later.
@inline(__always)
func fetch(_ p: UnsafeRawPointer, _ bytes: Int) { cdk_fetch(p, bytes) }
