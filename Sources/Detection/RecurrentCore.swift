/// A source of the hidden state h_t that the readouts see.
///
/// The default is `LeakyReservoir`; a trained Elman, LSTM or GRU cell takes its place by conforming. The core holds weights only,
/// shared by all streams; the state of a stream is `stateLength` scalars handed in by the caller, the first `unitCount` of them h_t.
/// A core must keep every state scalar finite for every finite input and must be a function of state and input alone.
protocol RecurrentCore {
    associatedtype Scalar: KernelScalar
    /// Number of hidden units the readouts see.
    var unitCount: Int { get }
    /// Scalars of state per channel (at least `unitCount`, a multiple of 8).
    var stateLength: Int { get }
    /// h_t from h_{t-1} and the standardised reading x_t, in place.
    func step(state: UnsafeMutablePointer<Scalar>, input: Scalar)
    /// Gives the weights back.
    func deallocate()
}

/// Leaky tanh units with fixed random weights (echo state network, Jaeger 2001; leaky units: Jaeger et al. 2007).
///
/// h_i <- (1 - l_i) h_i + l_i tanh(Win_i x + b_i + sum_j W_ij h_j)
struct LeakyReservoir<Scalar: KernelScalar>: RecurrentCore {
    let unitCount: Int
    let stateLength: Int
    private let weights: UnsafeMutablePointer<Scalar>

    init(_ layer: ReservoirWeights.Layer) {
        let n = layer.units
        let padded = (n + 7) / 8 * 8
        unitCount = n
        stateLength = padded
        let count = padded * (padded + 3)
        weights = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<Scalar>.stride, alignment: 64)
            .bindMemory(to: Scalar.self, capacity: count)
        weights.initialize(repeating: 0, count: count)
        for i in 0..<n {
            for j in 0..<n { weights[j * padded + i] = Scalar(layer.recurrent[i * n + j]) }
            weights[padded * padded + i] = Scalar(layer.input[i])
            weights[padded * (padded + 1) + i] = Scalar(layer.bias[i])
            weights[padded * (padded + 2) + i] = Scalar(layer.leak[i])
        }
    }

    @inline(__always)
    func step(state: UnsafeMutablePointer<Scalar>, input: Scalar) {
        let square = stateLength * stateLength
        Scalar.reservoir(
            state, weights, weights + square, weights + square + stateLength, weights + square + 2 * stateLength, input, Int32(stateLength))
    }

    func deallocate() { UnsafeMutableRawPointer(weights).deallocate() }
}
