/// How far back a network learns: the norm of d(output)/d(input `lag` readings earlier), averaged over windows.
public struct GradientLag: Sendable, Equatable {
    /// Index: lag in readings, from 0.
    public let norms: [Double]

    /// The first lag from which on the norm stays below `share` of its maximum; nil if it never does.
    public func reach(share: Double = 0.01) -> Int? {
        guard let top = norms.max(), top > 0 else { return 0 }
        let last = norms.lastIndex { $0 >= share * top } ?? 0
        return last + 1 < norms.count ? last + 1 : nil
    }

    /// Measures `model` on data: windows of `lagCount` readings, evenly spread over `inputs` [steps][inputSize], each from a zero state,
    /// all outputs together. For an LSTM this counts the way through the cell too.
    public static func measure(
        model: RecurrentModel, inputs: [Float], lagCount: Int = 64, windowCount: Int = 32
    ) throws(NetworkError) -> GradientLag {
        try RecurrentModel.check("lags", lagCount, 1...100_000)
        try RecurrentModel.check("windows", windowCount, 1...4096)
        let size = max(1, model.inputSize)
        let steps = inputs.count / size
        guard steps >= lagCount, inputs.count == steps * size else {
            throw .shape(tensor: "input", expected: [lagCount, model.inputSize], got: [steps, model.inputSize])
        }
        try checkFinite(inputs, "input")
        let count = min(windowCount, steps - lagCount + 1)
        let starts = (0..<count).map { count == 1 ? 0 : $0 * (steps - lagCount) / (count - 1) }
        var batch: [Float] = []
        for t in 0..<lagCount { for start in starts { batch += inputs[(start + t) * size..<(start + t + 1) * size] } }
        var squares = [Double](repeating: 0, count: lagCount * count)
        for output in 0..<model.outputSize {
            let gradients = try Attribution.outputGradients(
                of: model, inputs: batch, streamCount: count, output: output, start: nil)
            for row in squares.indices {
                for i in 0..<size { squares[row] += Double(gradients[row * size + i]) * Double(gradients[row * size + i]) }
            }
        }
        return .init(
            norms: (0..<lagCount).map { lag in
                let t = lagCount - 1 - lag
                return (0..<count).reduce(0.0) { $0 + squares[t * count + $1].squareRoot() } / Double(count)
            })
    }
}
