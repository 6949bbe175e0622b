/// A tensor with the name it has in a PyTorch `state_dict`. Row-major.
public struct NamedTensor: Sendable, Equatable {
    /// For example `rnn.weight_ih_l0`.
    public var name: String
    /// Row-major dimensions.
    public var shape: [Int]
    /// `shape` multiplied out values.
    public var values: [Float]

    /// A tensor as given; nothing is checked here.
    public init(name: String, shape: [Int], values: [Float]) {
        self.name = name
        self.shape = shape
        self.values = values
    }
}

/// One recurrent layer with PyTorch's tensors. G is the cell's gate count, H hidden, I inputs.
public struct RecurrentLayer: Sendable, Equatable {
    /// Which equations.
    public var cell: CellKind
    /// I.
    public var inputSize: Int
    /// H.
    public var hiddenSize: Int
    /// `weight_ih` [G*H, I], gate blocks in PyTorch's order (LSTM i,f,g,o; GRU r,z,n).
    public var inputWeights: [Float]
    /// `weight_hh` [G*H, H].
    public var recurrentWeights: [Float]
    /// `bias_ih` [G*H].
    public var inputBias: [Float]
    /// `bias_hh` [G*H].
    public var recurrentBias: [Float]
    /// Gates (Keras: `recurrent_activation`). Elman has none.
    public var gateActivation: Activation
    /// LSTM's g, GRU's n, Elman's output (Keras: `activation`).
    public var candidateActivation: Activation
    /// LSTM's function of c (Keras: `activation` too).
    public var outputActivation: Activation

    /// A layer with zero weights and the usual activations.
    public init(
        cell: CellKind, inputSize: Int, hiddenSize: Int, gateActivation: Activation = .sigmoid,
        candidateActivation: Activation = .tanh,
        outputActivation: Activation = .tanh
    ) {
        self.cell = cell
        self.inputSize = inputSize
        self.hiddenSize = hiddenSize
        let rows = cell.gateCount * hiddenSize
        inputWeights = Array(repeating: 0, count: max(0, rows * inputSize))
        recurrentWeights = Array(repeating: 0, count: max(0, rows * hiddenSize))
        inputBias = Array(repeating: 0, count: max(0, rows))
        recurrentBias = Array(repeating: 0, count: max(0, rows))
        self.gateActivation = gateActivation
        self.candidateActivation = candidateActivation
        self.outputActivation = outputActivation
    }

    /// The bias as the kernels take it, [A][H]: sums of both, except the GRU's n, whose recurrent bias is inside the reset.
    var kernelBias: [Float] {
        var bias = zip(inputBias, recurrentBias).map { $0 + $1 }
        if cell == .gru {
            let n = 2 * hiddenSize..<3 * hiddenSize
            bias.replaceSubrange(n, with: inputBias[n])
            bias.append(contentsOf: recurrentBias[n])
        }
        return bias
    }
}

/// The dense readout y = activation(W h + b), `nn.Linear` and Keras's `Dense`.
public struct DenseLayer: Sendable, Equatable {
    /// Width of h.
    public var inputSize: Int
    /// Number of outputs.
    public var outputSize: Int
    /// `weight` [outputSize, inputSize].
    public var weights: [Float]
    /// `bias` [outputSize].
    public var bias: [Float]
    /// linear, tanh or sigmoid (relu works too).
    public var activation: Activation

    /// A readout with zero weights.
    public init(inputSize: Int, outputSize: Int, activation: Activation = .linear) {
        self.inputSize = inputSize
        self.outputSize = outputSize
        weights = Array(repeating: 0, count: max(0, inputSize * outputSize))
        bias = Array(repeating: 0, count: max(0, outputSize))
        self.activation = activation
    }
}

/// A stack of 1 to 4 recurrent layers and a head of dense layers, often one, sometimes none: weights only, no state. A plain value.
public struct RecurrentModel: Sendable, Equatable {
    /// First layer first; each takes the hidden state of the one before.
    public var layers: [RecurrentLayer]
    /// Dense layers between the last recurrent layer and the readout, first one first; usually none.
    public var hiddenDense: [DenseLayer]
    /// The last dense layer. Absent: the outputs are the last recurrent layer's hidden state.
    public var readout: DenseLayer?

    /// Most layers of one model.
    public static let layerCountMax = 4
    /// Most dense layers before the readout.
    public static let hiddenDenseCountMax = 4
    /// Most hidden units of one layer.
    public static let hiddenSizeMax = 4096
    /// Most inputs or outputs.
    public static let widthMax = 65536

    /// A model of ready layers; `validate()` checks it.
    public init(layers: [RecurrentLayer], hiddenDense: [DenseLayer] = [], readout: DenseLayer?) {
        self.layers = layers
        self.hiddenDense = hiddenDense
        self.readout = readout
    }

    /// A model with PyTorch's initial distribution: every tensor uniform in +-1/sqrt(hiddenSize), drawn from `seed`.
    /// - Parameter candidateActivation: `.relu` for `nn.RNN(nonlinearity="relu")`.
    public init(
        cell: CellKind, inputSize: Int, hiddenSize: Int, layerCount: Int = 1, outputSize: Int,
        outputActivation: Activation = .linear,
        candidateActivation: Activation = .tanh, seed: UInt64
    ) throws(NetworkError) {
        try Self.check("layer count", layerCount, 1...Self.layerCountMax)
        try Self.check("hidden size", hiddenSize, 1...Self.hiddenSizeMax)
        try Self.check("input size", inputSize, 1...Self.widthMax)
        try Self.check("output size", outputSize, 1...Self.widthMax)
        var random = SeededRandom(seed: seed)
        let bound = 1 / Float(hiddenSize).squareRoot()
        func draw(_ values: inout [Float]) {
            for i in values.indices { values[i] = random.uniform(-bound, bound) }
        }
        layers = []
        for l in 0..<layerCount {
            var layer = RecurrentLayer(
                cell: cell, inputSize: l == 0 ? inputSize : hiddenSize, hiddenSize: hiddenSize,
                candidateActivation: candidateActivation)
            draw(&layer.inputWeights)
            draw(&layer.recurrentWeights)
            draw(&layer.inputBias)
            draw(&layer.recurrentBias)
            layers.append(layer)
        }
        var dense = DenseLayer(
            inputSize: hiddenSize, outputSize: outputSize, activation: outputActivation)
        draw(&dense.weights)
        draw(&dense.bias)
        hiddenDense = []
        readout = dense
    }

    /// Inputs per reading.
    public var inputSize: Int { layers.first?.inputSize ?? 0 }
    /// Outputs per reading.
    public var outputSize: Int { readout?.outputSize ?? layers.last?.hiddenSize ?? 0 }
    /// All dense layers, first one first.
    public var head: [DenseLayer] { hiddenDense + (readout.map { [$0] } ?? []) }
    /// All trainable numbers.
    public var parameterCount: Int { tensors(prefix: "").reduce(0) { $0 + $1.values.count } }

    /// The tensors under PyTorch's names, `<prefix>weight_ih_l0` ... and `<readoutPrefix>weight`, `<readoutPrefix>bias`; several dense
    /// layers are numbered as in an `nn.Sequential` with a function after each, `<readoutPrefix>0.weight`, `<readoutPrefix>2.weight`.
    public func tensors(prefix: String = "rnn.", readoutPrefix: String = "fc.") -> [NamedTensor] {
        var list: [NamedTensor] = []
        for (l, layer) in layers.enumerated() {
            let rows = layer.cell.gateCount * layer.hiddenSize
            list.append(
                .init(
                    name: "\(prefix)weight_ih_l\(l)", shape: [rows, layer.inputSize],
                    values: layer.inputWeights))
            list.append(
                .init(
                    name: "\(prefix)weight_hh_l\(l)", shape: [rows, layer.hiddenSize],
                    values: layer.recurrentWeights))
            list.append(.init(name: "\(prefix)bias_ih_l\(l)", shape: [rows], values: layer.inputBias))
            list.append(.init(name: "\(prefix)bias_hh_l\(l)", shape: [rows], values: layer.recurrentBias))
        }
        for (index, dense) in head.enumerated() {
            let place = hiddenDense.isEmpty ? readoutPrefix : "\(readoutPrefix)\(2 * index)."
            list.append(.init(name: "\(place)weight", shape: [dense.outputSize, dense.inputSize], values: dense.weights))
            list.append(.init(name: "\(place)bias", shape: [dense.outputSize], values: dense.bias))
        }
        return list
    }

    /// Checks counts, shapes and that every weight is finite.
    public func validate() throws(NetworkError) {
        try Self.check("layer count", layers.count, 1...Self.layerCountMax)
        var width = inputSize
        for (l, layer) in layers.enumerated() {
            try Self.check("input size", layer.inputSize, 1...Self.widthMax)
            try Self.check("hidden size", layer.hiddenSize, 1...Self.hiddenSizeMax)
            guard layer.inputSize == width else {
                throw .shape(
                    tensor: "weight_ih_l\(l)", expected: [layer.cell.gateCount * layer.hiddenSize, width],
                    got: [layer.cell.gateCount * layer.hiddenSize, layer.inputSize])
            }
            width = layer.hiddenSize
        }
        try Self.check("count of dense layers before the readout", hiddenDense.count, 0...(readout == nil ? 0 : Self.hiddenDenseCountMax))
        for dense in hiddenDense { try Self.check("size of a dense layer before the readout", dense.outputSize, 1...Self.hiddenSizeMax) }
        for (index, dense) in head.enumerated() {
            try Self.check("output size", dense.outputSize, 1...Self.widthMax)
            guard dense.inputSize == width else {
                throw .shape(
                    tensor: hiddenDense.isEmpty ? "fc.weight" : "fc.\(2 * index).weight", expected: [dense.outputSize, width],
                    got: [dense.outputSize, dense.inputSize])
            }
            width = dense.outputSize
        }
        for tensor in tensors() {
            guard tensor.values.count == tensor.shape.reduce(1, *) else {
                throw .shape(tensor: tensor.name, expected: tensor.shape, got: [tensor.values.count])
            }
            try checkFinite(tensor.values, "tensor '\(tensor.name)'")
        }
    }

    static func check(_ object: String, _ got: Int, _ allowed: ClosedRange<Int>) throws(NetworkError) {
        guard allowed.contains(got) else { throw .limit(object: object, got: got, allowed: allowed) }
    }
}
