import CRecurrentKernels
import RecurrentNetwork

/// One layer in plain scalar C with libm, stream after stream: the slow side of the ratio.
struct NaiveCell {
    private let layer: RecurrentLayer
    private let bias: [Float]
    private var h: [Float]
    private var c: [Float]
    private var scratch: [Float]

    init(_ model: RecurrentModel, streamCount: Int) {
        layer = model.layers[0]
        h = Array(repeating: 0, count: streamCount * layer.hiddenSize)
        c = h
        scratch = Array(repeating: 0, count: layer.hiddenSize)
        let n = 2 * layer.hiddenSize
        var sum = zip(layer.inputBias, layer.recurrentBias).map { $0 + $1 }
        if layer.cell == .gru { sum = Array(sum[..<n]) + layer.inputBias[n...] + layer.recurrentBias[n...] }
        bias = sum
    }

    mutating func step(_ inputs: [Float]) {
        let hidden = layer.hiddenSize
        h.withUnsafeMutableBufferPointer { h in
            c.withUnsafeMutableBufferPointer { c in
                guard let h = h.baseAddress, let c = c.baseAddress else { return }
                for stream in inputs.indices {
                    withUnsafePointer(to: inputs[stream]) { x in
                        rk_naive_step(
                            Int32(layer.cell.rawValue), 0, 1, Int32(hidden), layer.inputWeights, layer.recurrentWeights, bias, x,
                            h + stream * hidden, c + stream * hidden, &scratch)
                    }
                }
            }
        }
    }
}
