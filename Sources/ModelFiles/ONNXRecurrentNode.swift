import RecurrentNetwork

/// Reads weights and settings of one RNN, LSTM or GRU node. Source: onnx.ai, operators RNN, LSTM, GRU (opset 7 to 22).
struct ONNXRecurrentNode {
    let node: ONNXGraph.Node
    let values: [String: ONNXValue]

    private func refuse(_ reason: String) -> ModelFileError {
        .unsupported(node: node.label, reason: reason)
    }

    private func tensor(_ index: Int, _ what: String) throws(ModelFileError) -> ONNXGraph.Tensor? {
        guard let name = node.input(index) else { return nil }
        guard case .constant(var tensor)? = values[name] else {
            throw refuse("got \(what) '\(name)' that is not constant")
        }
        tensor.name = name
        guard tensor.integers.isEmpty else { throw .elementType(tensor: name, got: "integers") }
        return tensor
    }

    /// What an attribute outside these would mean is not known here.
    private static let attributes: Set<String> = [
        "direction", "clip", "input_forget", "hidden_size", "layout", "linear_before_reset", "activations", "activation_alpha",
        "activation_beta",
    ]

    private func settings(hidden: Int) throws(ModelFileError) {
        for name in node.attributes.keys.sorted() where !ONNXRecurrentNode.attributes.contains(name) {
            throw refuse("got attribute '\(name)', expected those of the operator")
        }
        if let lengths = node.input(4), case .constant? = values[lengths] {
            throw refuse("got sequence_lens, expected whole sequences")
        }
        let direction = node.string("direction") ?? "forward"
        guard direction == "forward" else {
            throw refuse("got direction '\(direction)', expected forward (a stream has no future)")
        }
        guard node.attributes["clip"] == nil else { throw refuse("got clip, expected none") }
        guard (node.integer("input_forget") ?? 0) == 0 else {
            throw refuse("got input_forget 1, expected 0")
        }
        for (index, what) in [(5, "initial_h"), (6, "initial_c")] {
            guard let name = node.input(index), case .constant(let tensor)? = values[name] else {
                if let name = node.input(index), case .opaque(isZero: false, _)? = values[name] {
                    throw refuse("got a computed \(what), expected zeros or a graph input")
                }
                continue
            }
            // A state of another width is that of a projection, which the operator does not have.
            guard tensor.shape.isEmpty || tensor.shape.last == hidden else {
                throw refuse("got \(what) '\(name)' of shape \(tensor.shape), expected width \(hidden) as hidden_size says (a projection?)")
            }
            guard tensor.floats.allSatisfy({ $0 == 0 }) else {
                throw refuse("got \(what) '\(name)' that is not zero")
            }
        }
        if let peepholes = try tensor(7, "peepholes"), !peepholes.floats.allSatisfy({ $0 == 0 }) {
            throw refuse("got peephole weights, expected none")
        }
    }

    func layer(inputSize: Int?) throws(ModelFileError) -> RecurrentLayer {
        let cell: CellKind =
            switch node.operation {
            case "RNN": .elman
            case "LSTM": .lstm
            default: (node.integer("linear_before_reset") ?? 0) != 0 ? .gru : .gruResetBefore
            }
        guard let w = try tensor(1, "weights"), let r = try tensor(2, "recurrent weights") else {
            throw .missing(tensor: "W or R of \(node.label)")
        }
        let gates = cell.gateCount
        let hidden = node.integer("hidden_size") ?? r.shape.last ?? 0
        guard (1...RecurrentModel.hiddenSizeMax).contains(hidden) else {
            throw refuse("got hidden_size \(hidden), expected 1 to \(RecurrentModel.hiddenSizeMax)")
        }
        guard r.shape == [1, gates * hidden, hidden] else {
            throw .shape(tensor: r.name, expected: [1, gates * hidden, hidden], got: r.shape)
        }
        try settings(hidden: hidden)
        let inputs = inputSize ?? w.shape.last ?? 0
        guard w.shape == [1, gates * hidden, inputs], inputs > 0 else {
            throw .shape(tensor: w.name, expected: [1, gates * hidden, inputs], got: w.shape)
        }
        var layer = RecurrentLayer(cell: cell, inputSize: inputs, hiddenSize: hidden)
        layer.inputWeights = reorder(w.floats, cell, hidden * inputs)
        layer.recurrentWeights = reorder(r.floats, cell, hidden * hidden)
        if let b = try tensor(3, "bias") {
            guard b.shape == [1, 2 * gates * hidden] else {
                throw .shape(tensor: b.name, expected: [1, 2 * gates * hidden], got: b.shape)
            }
            layer.inputBias = reorder(Array(b.floats[..<(gates * hidden)]), cell, hidden)
            layer.recurrentBias = reorder(Array(b.floats[(gates * hidden)...]), cell, hidden)
        }
        try setActivations(&layer)
        return layer
    }

    /// ONNX's blocks (LSTM i,o,f,c; GRU z,r,h) to PyTorch's (i,f,g,o; r,z,n).
    private func reorder(_ values: [Float], _ cell: CellKind, _ block: Int) -> [Float] {
        let order =
            switch cell {
            case .elman: [0]
            case .lstm: [0, 2, 3, 1]
            case .gru, .gruResetBefore: [1, 0, 2]
            }
        guard values.count >= order.count * block else { return values }
        return order.flatMap { values[$0 * block..<($0 + 1) * block] }
    }

    private func setActivations(_ layer: inout RecurrentLayer) throws(ModelFileError) {
        guard let names = node.strings("activations") else { return }
        let alphas = node.floats("activation_alpha") ?? []
        let betas = node.floats("activation_beta") ?? []
        var used = 0
        var list: [Activation] = []
        for name in names {
            switch name.lowercased() {
            case "tanh": list.append(.tanh)
            case "sigmoid": list.append(.sigmoid)
            case "relu": list.append(.relu)
            case "hardsigmoid":
                list.append(
                    .hardSigmoid(
                        slope: used < alphas.count ? alphas[used] : 0.2,
                        offset: used < betas.count ? betas[used] : 0.5))
                used += 1
            default: throw refuse("got activation '\(name)', expected Tanh, Sigmoid, Relu or HardSigmoid")
            }
        }
        let wanted = layer.cell == .elman ? 1 : layer.cell == .lstm ? 3 : 2
        guard list.count == wanted else {
            throw refuse("got \(list.count) activations, expected \(wanted)")
        }
        if layer.cell == .elman {
            layer.candidateActivation = list[0]
        } else {
            layer.gateActivation = list[0]
            layer.candidateActivation = list[1]
            if wanted == 3 { layer.outputActivation = list[2] }
        }
    }
}
