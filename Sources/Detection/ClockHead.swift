import CDetectionKernels

/// What the time of day and week alone explain: ridge regression on [1, clock features], kept as running moments so that it cannot diverge.
///
/// Storage: `moments` [55, padded to 56] lower triangle of E[c c'], `target` [10, padded to 16] E[c x], `weights` [10, padded to 16], one array of
/// 88 scalars. The weights are solved for (ridge max(gain, 1e-3)) every reading at first, later every eighth.
struct ClockHead<Scalar: KernelScalar> {
    static var size: Int { Int(CDK_CLOCK) }
    static var storage: Int { 88 }
    /// c = [1, clock features], padded to 16; then the lower triangle of c c', padded to 56.
    static var features: Int { 16 + 56 }

    let memory: UnsafeMutablePointer<Scalar>
    private var target: UnsafeMutablePointer<Scalar> { memory + 56 }
    private var weights: UnsafeMutablePointer<Scalar> { memory + 72 }

    /// c and its products from the nine clock features: once a reading, for all channels.
    static func write(_ clock: UnsafePointer<Double>, into features: UnsafeMutablePointer<Scalar>) {
        let products = features + 16
        var at = 0
        features[0] = 1
        for i in 0..<size {
            if i > 0 { features[i] = Scalar(clock[i &- 1]) }
            for j in 0...i {
                products[at] = features[i] * features[j]
                at &+= 1
            }
        }
    }

    /// The prediction from the clock.
    @inline(__always)
    func predict(_ features: UnsafePointer<Scalar>) -> Double { Double(Scalar.dot(weights, features, 16)) }

    /// Learns that the clock went with `x`; `gain` is 1 / memory. `scratch` [16] is overwritten.
    @inline(__always)
    func learn(
        _ features: UnsafePointer<Scalar>, _ x: Double, gain: Double, solves: Bool, scratch: UnsafeMutablePointer<Scalar>
    ) {
        Scalar.toward(memory, features + 16, Scalar(gain), 56)
        for i in 0..<16 { scratch[i] = features[i] * Scalar(x) }
        Scalar.toward(target, scratch, Scalar(gain), 16)
        if solves { Scalar.ridge(weights, memory, target, max(gain, 1e-3)) }
    }
}
