import RecurrentNetwork

extension ONNX {
    /// The model as ONNX (opset 17): input `input` [time, batch, inputs], output `output` [time, batch, outputs], state from zero.
    public static func writeModel(_ model: RecurrentModel) throws(ModelFileError) -> [UInt8] {
        do { try model.validate() } catch { throw .network(error) }
        var graph = ProtobufWriter()
        var value = "input"
        for (l, layer) in model.layers.enumerated() {
            writeLayer(layer, l, from: value, to: "h\(l)", &graph)
            value = "h\(l)"
        }
        for (index, dense) in model.head.enumerated() { value = writeDense(dense, index, from: value, &graph) }
        node("Identity", [value], ["output"], &graph)
        graph.string(2, "recurrent")
        describe(11, "input", model.inputSize, &graph)
        describe(12, "output", model.outputSize, &graph)
        var file = ProtobufWriter()
        file.integer(1, 8)
        file.string(2, "rnn-watchd")
        file.data(7, graph.bytes)
        file.message(8) { $0.integer(2, 17) }
        return file.bytes
    }

    private static func node(
        _ operation: String, _ inputs: [String], _ outputs: [String], _ graph: inout ProtobufWriter,
        attributes: (inout ProtobufWriter) -> Void = { _ in }
    ) {
        graph.message(1) { node in
            for input in inputs { node.string(1, input) }
            for output in outputs { node.string(2, output) }
            node.string(3, outputs[0])
            node.string(4, operation)
            attributes(&node)
        }
    }

    private static func attribute(_ name: String, _ value: Int, _ node: inout ProtobufWriter) {
        node.message(5) {
            $0.string(1, name)
            $0.integer(3, value)
            $0.integer(20, 2)
        }
    }

    private static func tensor(
        _ name: String, _ shape: [Int], _ values: [Float], _ graph: inout ProtobufWriter
    ) {
        graph.message(5) {
            for dimension in shape { $0.integer(1, dimension) }
            $0.integer(2, 1)
            $0.string(8, name)
            var raw: [UInt8] = []
            appendFloats(values, to: &raw)
            $0.data(9, raw)
        }
    }

    private static func describe(
        _ field: Int, _ name: String, _ width: Int, _ graph: inout ProtobufWriter
    ) {
        graph.message(field) { info in
            info.string(1, name)
            info.message(2) { type in
                type.message(1) { tensor in
                    tensor.integer(1, 1)
                    tensor.message(2) { shape in
                        shape.message(1) { $0.string(2, "time") }
                        shape.message(1) { $0.string(2, "batch") }
                        shape.message(1) { $0.integer(1, width) }
                    }
                }
            }
        }
    }

    private static func writeLayer(
        _ layer: RecurrentLayer, _ l: Int, from: String, to: String, _ graph: inout ProtobufWriter
    ) {
        let (gates, hidden) = (layer.cell.gateCount, layer.hiddenSize)
        let order =
            switch layer.cell {
            case .elman: [0]
            case .lstm: [0, 3, 1, 2]
            case .gru, .gruResetBefore: [1, 0, 2]
            }
        func blocks(_ values: [Float], _ size: Int) -> [Float] {
            order.flatMap { values[$0 * size..<($0 + 1) * size] }
        }
        tensor(
            "W\(l)", [1, gates * hidden, layer.inputSize],
            blocks(layer.inputWeights, hidden * layer.inputSize), &graph)
        tensor(
            "R\(l)", [1, gates * hidden, hidden], blocks(layer.recurrentWeights, hidden * hidden), &graph)
        tensor(
            "B\(l)", [1, 2 * gates * hidden],
            blocks(layer.inputBias, hidden) + blocks(layer.recurrentBias, hidden), &graph)
        let operation = layer.cell == .elman ? "RNN" : layer.cell == .lstm ? "LSTM" : "GRU"
        node(operation, [from, "W\(l)", "R\(l)", "B\(l)"], ["y\(l)"], &graph) { node in
            attribute("hidden_size", hidden, &node)
            if layer.cell == .gru { attribute("linear_before_reset", 1, &node) }
            writeActivations(layer, &node)
        }
        graph.message(5) {  // axes of Squeeze: the direction
            $0.integer(1, 1)
            $0.integer(2, 7)
            $0.string(8, "direction\(l)")
            $0.data(9, [1, 0, 0, 0, 0, 0, 0, 0])
        }
        node("Squeeze", ["y\(l)", "direction\(l)"], [to], &graph)
    }

    private static func writeActivations(_ layer: RecurrentLayer, _ node: inout ProtobufWriter) {
        let list: [Activation] =
            switch layer.cell {
            case .elman: [layer.candidateActivation]
            case .lstm: [layer.gateActivation, layer.candidateActivation, layer.outputActivation]
            case .gru, .gruResetBefore: [layer.gateActivation, layer.candidateActivation]
            }
        func text(_ activation: Activation) -> String {
            switch activation {
            case .tanh: "Tanh"
            case .sigmoid: "Sigmoid"
            case .relu: "Relu"
            case .hardSigmoid: "HardSigmoid"
            case .linear: "Affine"
            }
        }
        node.message(5) {
            $0.string(1, "activations")
            for activation in list { $0.string(9, text(activation)) }
            $0.integer(20, 8)
        }
        let hard = list.compactMap {
            if case .hardSigmoid(let slope, let offset) = $0 { (slope, offset) } else { nil }
        }
        guard !hard.isEmpty else { return }
        for (name, values) in [("activation_alpha", hard.map(\.0)), ("activation_beta", hard.map(\.1))] {
            node.message(5) {
                $0.string(1, name)
                for value in values { $0.float(7, value) }
                $0.integer(20, 6)
            }
        }
    }

    private static func writeDense(_ readout: DenseLayer, _ index: Int, from: String, _ graph: inout ProtobufWriter) -> String {
        var columns = [Float](repeating: 0, count: readout.weights.count)
        for o in 0..<readout.outputSize {
            for i in 0..<readout.inputSize {
                columns[i * readout.outputSize + o] = readout.weights[o * readout.inputSize + i]
            }
        }
        tensor("dense\(index)_weight", [readout.inputSize, readout.outputSize], columns, &graph)
        tensor("dense\(index)_bias", [readout.outputSize], readout.bias, &graph)
        node("MatMul", [from, "dense\(index)_weight"], ["product\(index)"], &graph)
        node("Add", ["product\(index)", "dense\(index)_bias"], ["sum\(index)"], &graph)
        let operation: String? =
            switch readout.activation {
            case .tanh: "Tanh"
            case .sigmoid: "Sigmoid"
            case .relu: "Relu"
            default: nil
            }
        guard let operation else { return "sum\(index)" }
        node(operation, ["sum\(index)"], ["activated\(index)"], &graph)
        return "activated\(index)"
    }
}
