import TimeSeries

/// What the time of day and week alone explain: ridge regression on [1, clock features], kept as running moments so that it cannot diverge.
///
/// Storage: `moments` [55] lower triangle of E[c c'], `target` [10] E[c x], `weights` [10], one array of 80 scalars.
/// The weights are solved for (Cholesky, ridge max(gain, 1e-3)) every reading at first, later every eighth.
struct ClockHead<Scalar: KernelScalar> {
    static var size: Int { 10 }
    static var storage: Int { 80 }

    let memory: UnsafeMutablePointer<Scalar>
    private var target: UnsafeMutablePointer<Scalar> { memory + 55 }
    private var weights: UnsafeMutablePointer<Scalar> { memory + 65 }

    /// The prediction from the nine clock features.
    @inline(__always)
    func predict(_ clock: UnsafePointer<Double>) -> Double {
        var p = Double(weights[0])
        for i in 1..<Self.size { p += Double(weights[i]) * clock[i - 1] }
        return p
    }

    /// Learns that the features went with `x`; `gain` is 1 / memory.
    @inline(__always)
    func learn(_ clock: UnsafePointer<Double>, _ x: Double, gain: Double, solves: Bool) {
        var at = 0
        for i in 0..<Self.size {
            let a = i == 0 ? 1 : clock[i - 1]
            for j in 0...i {
                let b = j == 0 ? 1 : clock[j - 1]
                let m = Double(memory[at])
                memory[at] = Scalar(m + gain * (a * b - m))
                at += 1
            }
            let m = Double(target[i])
            target[i] = Scalar(m + gain * (a * x - m))
        }
        if solves { solve(ridge: max(gain, 1e-3)) }
    }

    private func solve(ridge: Double) {
        let n = Self.size
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 65) { scratch in
            guard let l = scratch.baseAddress else { return }
            let y = l + 55
            for i in 0..<n {
                let row = i * (i + 1) / 2
                for j in 0...i {
                    let other = j * (j + 1) / 2
                    var s = Double(memory[row + j]) + (i == j ? ridge : 0)
                    for k in 0..<j { s -= l[row + k] * l[other + k] }
                    l[row + j] = i == j ? max(s, 1e-12).squareRoot() : s / l[other + j]
                }
                var s = Double(target[i])
                for k in 0..<i { s -= l[row + k] * y[k] }
                y[i] = s / l[row + i]
            }
            for i in stride(from: n - 1, through: 0, by: -1) {
                var s = y[i]
                for k in (i + 1)..<max(n, i + 1) { s -= l[k * (k + 1) / 2 + i] * Double(weights[k]) }
                weights[i] = Scalar(s / l[i * (i + 1) / 2 + i])
            }
        }
    }
}
