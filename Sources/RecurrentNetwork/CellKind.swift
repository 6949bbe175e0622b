import CRecurrentKernels

/// The recurrent cells. Equations as in PyTorch's `nn.RNN`, `nn.LSTM`, `nn.GRU`; the last one is Keras's `reset_after=False`.
public enum CellKind: UInt8, Sendable, CaseIterable {
    /// h' = act(W_ih x + b_ih + W_hh h + b_hh); act is tanh unless the layer says otherwise (relu: `nn.RNN(nonlinearity="relu")`).
    case elman = 0
    /// Gates i, f, g, o. c' = f c + i g, h' = o tanh(c').
    case lstm = 1
    /// Gates r, z, n. n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h.
    case gru = 2
    /// As `gru` but n = tanh(W_in x + b_in + W_hn (r h) + b_hn). Forward only.
    case gruResetBefore = 3

    /// Gate blocks in `weight_ih` and `weight_hh`: their first dimension is this times the hidden size.
    public var gateCount: Int { Int(rk_gates(Int32(rawValue))) }

    /// Accumulators per unit inside the kernels (a GRU keeps the two products of n apart).
    var accumulatorCount: Int { Int(rk_accumulators(Int32(rawValue))) }

    /// True if a second state vector (the LSTM's cell) is carried.
    public var hasCellState: Bool { self == .lstm }
}

/// Elementwise functions of gates, candidates and outputs.
public enum Activation: Sendable, Equatable {
    /// Identity (an overflow to infinity stops at the largest float).
    case linear
    /// Hyperbolic tangent.
    case tanh
    /// 1 / (1 + exp(-x)).
    case sigmoid
    /// max(x, 0).
    case relu
    /// clamp(slope x + offset, 0, 1): Keras 3 has 1/6 and 0.5, ONNX and old Keras 0.2 and 0.5.
    case hardSigmoid(slope: Float, offset: Float)

    var code: Int32 {
        switch self {
        case .linear: 0
        case .tanh: 1
        case .sigmoid: 2
        case .relu: 3
        case .hardSigmoid: 4
        }
    }

    var hardParameters: (slope: Float, offset: Float)? {
        if case .hardSigmoid(let slope, let offset) = self { (slope, offset) } else { nil }
    }

    /// The derivative, from the function's value.
    func slope(atValue y: Float) -> Float {
        switch self {
        case .linear: 1
        case .tanh: 1 - y * y
        case .sigmoid: y * (1 - y)
        case .relu: y > 0 ? 1 : 0
        case .hardSigmoid(let slope, _): y > 0 && y < 1 ? slope : 0
        }
    }

    /// A name for messages and metadata.
    public var name: String {
        switch self {
        case .linear: "linear"
        case .tanh: "tanh"
        case .sigmoid: "sigmoid"
        case .relu: "relu"
        case .hardSigmoid: "hard_sigmoid"
        }
    }
}
