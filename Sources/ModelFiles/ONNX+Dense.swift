import RecurrentNetwork

/// Nodes of dense layers: products, sums, activations.
extension ONNXInterpreter {
    mutating func multiply(
        _ node: ONNXGraph.Node, _ signal: ONNXSignal, _ weights: ONNXGraph.Tensor?, bias: [Float]?
    ) throws(ModelFileError) -> ONNXSignal {
        guard let weights, weights.shape.count == 2, !weights.floats.isEmpty else {
            throw refuse(node, "got a product that is not by a constant matrix")
        }
        let signal = if case .linear = signal.content { try closeDense(node, signal, .linear) } else { signal }
        guard case .values(let source) = signal.content else { throw refuse(node, "got a product of no network value") }
        switch signal.axes.last {
        case .feature, .input: break
        default:
            throw refuse(
                node,
                "got a product over the \(signal.axes.last.map { "\($0)" } ?? "missing") axis, expected the features"
            )
        }
        let inputs = width(of: source)
        guard inputs == nil || inputs == weights.shape[0] else {
            throw .shape(
                tensor: weights.name, expected: [inputs ?? 0, weights.shape[1]], got: weights.shape)
        }
        var out = signal
        out.content = .linear(
            [.init(source: source, time: signal.time, weights: weights)],
            bias: bias ?? Array(repeating: 0, count: weights.shape[1]),
            width: weights.shape[1])
        out.axes[out.axes.count - 1] = .feature
        return out
    }

    func width(of source: ONNXSignal.Source) -> Int? {
        switch source {
        case .layer(0): nil
        case .layer(let depth): depth <= layers.count ? layers[depth - 1].hiddenSize : nil
        case .dense(let count): count <= dense.count ? dense[count - 1].outputSize : nil
        case .step(let cell, _): unrolled[cell].bias.count
        }
    }

    mutating func gemm(_ node: ONNXGraph.Node, _ signal: ONNXSignal, _ rest: [ONNXGraph.Tensor?])
        throws(ModelFileError) -> ONNXSignal
    {
        guard (node.integer("transA") ?? 0) == 0 else { throw refuse(node, "got transA 1, expected 0") }
        guard var weights = rest.first ?? nil, weights.shape.count == 2 else {
            throw refuse(node, "got weights that are not constant")
        }
        if (node.integer("transB") ?? 0) != 0, let turned = ONNXFolding.transpose(weights, [1, 0]) {
            let name = weights.name
            weights = turned
            weights.name = name
        }
        let (alpha, beta) = (node.float("alpha") ?? 1, node.float("beta") ?? 1)
        weights.floats = weights.floats.map { $0 * alpha }
        var bias = [Float](repeating: 0, count: weights.shape[1])
        if rest.count > 1 {
            guard let given = rest[1] else { throw refuse(node, "got a bias that is not constant") }
            guard given.floats.count == bias.count || given.floats.count == 1 else {
                throw .shape(tensor: given.name, expected: [bias.count], got: given.shape)
            }
            bias = bias.indices.map { given.floats[given.floats.count == 1 ? 0 : $0] * beta }
        }
        return try multiply(node, signal, weights, bias: bias)
    }

    func add(_ node: ONNXGraph.Node, _ a: ONNXValue, _ b: ONNXValue) throws(ModelFileError)
        -> ONNXValue
    {
        switch (a, b) {
        case (.signal(let signal), .opaque(isZero: true, _)),
            (.opaque(isZero: true, _), .signal(let signal)):
            return .signal(signal)
        case (.signal(let signal), .constant(let tensor)), (.constant(let tensor), .signal(let signal)):
            guard case .linear(let terms, let bias, let width) = signal.content else {
                throw refuse(node, "got a constant added outside a dense layer")
            }
            // One row, or the same row for every stream of the exported batch.
            let count = tensor.floats.count
            let rows = tensor.shape.last == width && width > 0 && count >= width ? tensor.floats.indices : 0..<0
            guard count == 1 || !rows.isEmpty && rows.allSatisfy({ tensor.floats[$0] == tensor.floats[$0 % width] }) else {
                throw .shape(tensor: tensor.name, expected: [width], got: tensor.shape)
            }
            var out = signal
            let sum = bias.indices.map { bias[$0] + tensor.floats[count == 1 ? 0 : $0] }
            out.content = .linear(terms, bias: sum, width: width)
            while out.axes.count < tensor.shape.count { out.axes.insert(.one, at: 0) }
            return .signal(out)
        case (.signal(let one), .signal(let other)):
            guard case .linear(let terms, let bias, let width) = one.content,
                case .linear(let moreTerms, let moreBias, let otherWidth) = other.content,
                width == otherWidth
            else {
                throw refuse(
                    node, "got a sum of two network values (a skip connection), expected a plain stack")
            }
            var out = one.axes.count >= other.axes.count ? one : other
            out.content = .linear(
                terms + moreTerms, bias: zip(bias, moreBias).map { $0 + $1 }, width: width)
            return .signal(out)
        default: throw refuse(node, "got operands that are neither readings nor constants")
        }
    }

    mutating func activate(
        _ node: ONNXGraph.Node, _ signal: ONNXSignal, _ activation: Activation
    ) throws(ModelFileError) -> ONNXSignal {
        guard case .linear(let terms, let bias, _) = signal.content else {
            throw refuse(node, "got an activation that is not after a dense layer")
        }
        let layerTerms = terms.filter { if case .layer = $0.source { true } else { false } }
        let stepTerms = terms.filter { if case .step = $0.source { true } else { false } }
        if layerTerms.count == 1, let term = layerTerms.first, let time = term.time,
            case .layer(let depth) = term.source, stepTerms.count <= 1
        {
            return try unrolledStep(
                node, signal, activation, depth, time, term.weights, stepTerms.first, bias)
        }
        return try closeDense(node, signal, activation)
    }

    /// The product so far becomes a dense layer.
    mutating func closeDense(_ node: ONNXGraph.Node, _ signal: ONNXSignal, _ activation: Activation) throws(ModelFileError)
        -> ONNXSignal
    {
        guard case .linear(let terms, let bias, let width) = signal.content, terms.count == 1, let term = terms.first,
            let turned = ONNXFolding.transpose(term.weights, [1, 0])
        else { throw refuse(node, "got a sum of products, expected one dense layer") }
        if term.source == .layer(depth: 0) {
            throw .unexpected(
                tensor: term.weights.name, shape: term.weights.shape,
                reason: "got a dense layer in front of the recurrent layers, expected it after them")
        }
        if let time = term.time { try expectLastReading(time, node) }
        let place: Int
        if case .dense(let count) = term.source {
            place = count
        } else {
            try expectLast(term.source, node)
            place = 0
        }
        var layer = DenseLayer(inputSize: term.weights.shape[0], outputSize: width, activation: activation)
        layer.weights = turned.floats
        layer.bias = bias
        if place < dense.count {
            guard dense[place] == layer else { throw refuse(node, "got a second branch of dense layers, expected a plain stack") }
        } else {
            guard dense.count <= RecurrentModel.hiddenDenseCountMax else {
                throw .unexpected(
                    tensor: term.weights.name, shape: term.weights.shape,
                    reason: "got more than \(RecurrentModel.hiddenDenseCountMax + 1) dense layers")
            }
            dense.append(layer)
        }
        var out = signal
        out.content = .values(.dense(count: place + 1))
        return out
    }
}
