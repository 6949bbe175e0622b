import RecurrentNetwork

/// ONNX models made of RNN, LSTM and GRU operators (or an Elman network unrolled by PyTorch's exporter) and one dense readout.
///
/// The graph is followed from its input, so that exports of PyTorch (both exporters), tf2onnx and Keras all fit: Transpose, Squeeze,
/// Reshape, Slice, Gather around the cells are checked to keep time, batch and features apart, and taking the last reading is accepted
/// since the program predicts after every reading anyway. Everything else is an error that names the node.
public enum ONNX {
    /// The model in `bytes`.
    /// - Parameter externalData: contents of the files that `externalFiles(in:)` names, by that name.
    public static func readModel(
        _ bytes: [UInt8], externalData: [String: [UInt8]] = [:], options: ModelReadOptions = .init()
    ) throws(ModelFileError) -> RecurrentModel {
        let graph = try ONNXParser.parse(bytes, external: externalData)
        var interpreter = ONNXInterpreter(graph)
        var model = try interpreter.run()
        if options.betweenActivations.count == model.hiddenDense.count {
            for (d, activation) in options.betweenActivations.enumerated() { model.hiddenDense[d].activation = activation }
        }
        if let activation = options.readoutActivation { model.readout?.activation = activation }
        if let activation = options.elmanActivation {
            for l in model.layers.indices where model.layers[l].cell == .elman {
                model.layers[l].candidateActivation = activation
            }
        }
        do { try model.validate() } catch { throw .network(error) }
        return model
    }

    /// Names of the data files beside the model that `readModel` needs (PyTorch writes `model.onnx.data`); often none.
    public static func externalFiles(in bytes: [UInt8]) throws(ModelFileError) -> [String] {
        try ONNXParser.parse(bytes, external: nil).externalFiles
    }
}

/// Walks the nodes in order and collects layers.
struct ONNXInterpreter {
    let graph: ONNXGraph
    var values: [String: ONNXValue] = [:]
    var layers: [RecurrentLayer] = []
    var unrolled: [UnrolledElman] = []
    var dense: [DenseLayer] = []
    private var foldedElements = 0
    /// The axis of the graph's input that is the time, once a recurrent layer has read it.
    var timeAxis: Int?

    init(_ graph: ONNXGraph) { self.graph = graph }

    /// An Elman layer found step by step.
    struct UnrolledElman {
        var depth: Int
        var activation: Activation
        var inputWeights: ONNXGraph.Tensor
        var bias: [Float]
        var recurrentWeights: ONNXGraph.Tensor?
        var steps = 1
        var layer: Int?
    }

    mutating func run() throws(ModelFileError) -> RecurrentModel {
        for tensor in graph.tensors { values[tensor.name] = .constant(tensor) }
        var isFirst = true
        for input in graph.inputs where values[input.name] == nil {
            let rank = input.shape?.count ?? 3
            let readings = ONNXSignal(.layer(depth: 0), axes: (0..<rank).map { .input($0) })
            // Further inputs are initial states (h_0, c_0): zero at the start of a stream.
            values[input.name] = isFirst ? .signal(readings) : .opaque(isZero: true, count: nil)
            isFirst = false
        }
        for node in graph.nodes { try evaluate(node) }
        var best: (score: Int, signal: ONNXSignal)?
        for name in graph.outputs {
            guard case .signal(let signal)? = values[name] else { continue }
            let score = score(signal)
            if score > best?.score ?? 0 { best = (score, signal) }
        }
        guard let best else {
            throw .unsupported(
                node: "graph output \(graph.outputs)",
                reason: "got no recurrent layer, expected RNN, LSTM or GRU")
        }
        try finish(best.signal)
        return RecurrentModel(layers: layers, hiddenDense: Array(dense.dropLast()), readout: dense.last)
    }

    func score(_ signal: ONNXSignal) -> Int {
        switch signal.content {
        case .values(.layer(let depth)): depth == 0 ? 0 : 2 * depth
        case .values(.step): 1
        case .linear(let terms, _, _): 2 * (RecurrentModel.layerCountMax + 1 + terms.reduce(0) { max($0, denseCount($1.source)) })
        case .values(.dense(let count)): 2 * (RecurrentModel.layerCountMax + count)
        }
    }

    func denseCount(_ source: ONNXSignal.Source) -> Int {
        if case .dense(let count) = source { count } else { 0 }
    }

    // MARK: nodes

    mutating func evaluate(_ node: ONNXGraph.Node) throws(ModelFileError) {
        guard node.domain.isEmpty || node.domain == "ai.onnx" else {
            throw .unsupported(
                node: node.label, reason: "got domain '\(node.domain)', expected standard ONNX operators")
        }
        if ["RNN", "LSTM", "GRU"].contains(node.operation) { return try recurrent(node) }
        if node.operation == "Constant" { return try constant(node) }
        var inputs: [ONNXValue] = []
        for name in node.inputs {
            if name.isEmpty { continue }
            guard let value = values[name] else {
                throw .malformed(offset: 0, reason: "got node '\(node.label)' with unknown input '\(name)'")
            }
            inputs.append(value)
        }
        let result = try apply(node, inputs)
        for (index, name) in node.outputs.enumerated() where !name.isEmpty {
            values[name] = index == 0 ? result : .opaque(isZero: false, count: nil)
        }
    }

    mutating func constant(_ node: ONNXGraph.Node) throws(ModelFileError) {
        guard let name = node.outputs.first else { return }
        if case .tensor(let tensor)? = node.attributes["value"] {
            values[name] = .constant(tensor)
        } else if let value = node.integer("value_int") {
            values[name] = .constant(.init(name: name, shape: [], integers: [value]))
        } else if let list = node.integers("value_ints") {
            values[name] = .constant(.init(name: name, shape: [list.count], integers: list))
        } else if let value = node.float("value_float") {
            values[name] = .constant(.init(name: name, shape: [], floats: [value]))
        } else if let list = node.floats("value_floats") {
            values[name] = .constant(.init(name: name, shape: [list.count], floats: list))
        } else {
            throw .unsupported(node: node.label, reason: "got a constant that is no tensor")
        }
    }

    mutating func apply(_ node: ONNXGraph.Node, _ inputs: [ONNXValue]) throws(ModelFileError)
        -> ONNXValue
    {
        let constants = inputs.compactMap { if case .constant(let tensor) = $0 { tensor } else { nil } }
        let dependsOnInput = inputs.contains {
            if case .signal = $0 { true } else if case .stack = $0 { true } else { false }
        }
        if node.operation == "Shape" { return shapeOf(inputs.first, node) }
        guard dependsOnInput else {
            if constants.count == inputs.count, let folded = ONNXFolding.fold(node, constants) {
                foldedElements += folded.floats.count + folded.integers.count
                guard foldedElements <= ModelFileLimits.foldedElementsMax else {
                    throw .limit(
                        object: "the constants of the graph (numbers)", got: UInt64(foldedElements),
                        max: UInt64(ModelFileLimits.foldedElementsMax))
                }
                return .constant(folded)
            }
            return try derived(node, inputs)
        }
        let isJoin = node.operation == "Concat"
        if isJoin { return try concatenate(node, inputs) }
        if node.operation == "Add", inputs.count == 2 { return try add(node, inputs[0], inputs[1]) }
        if node.operation == "Gather", case .stack(let parts)? = inputs.first {
            return try pick(node, parts, inputs)
        }
        guard case .signal(let signal)? = inputs.first else {
            throw .unsupported(node: node.label, reason: "got the readings as a second operand")
        }
        let rest = inputs.dropFirst().map { value -> ONNXGraph.Tensor? in
            if case .constant(let tensor) = value { tensor } else { nil }
        }
        switch node.operation {
        case "Identity", "Dropout", "Cast": return .signal(signal)
        case "Transpose": return .signal(try transpose(node, signal))
        case "Squeeze": return .signal(try squeeze(node, signal, rest.first ?? nil))
        case "Unsqueeze": return .signal(try unsqueeze(node, signal, rest.first ?? nil))
        case "Reshape": return .signal(try reshape(node, signal, inputs.dropFirst().first))
        case "Flatten": return .signal(try reshape(node, signal, .opaque(isZero: false, count: 2)))
        case "Slice": return .signal(try slice(node, signal, [nil] + rest))
        case "Gather": return .signal(try gather(node, signal, rest.first ?? nil))
        case "MatMul": return .signal(try multiply(node, signal, rest.first ?? nil, bias: nil))
        case "Gemm": return .signal(try gemm(node, signal, rest))
        case "Tanh": return .signal(try activate(node, signal, .tanh))
        case "Sigmoid": return .signal(try activate(node, signal, .sigmoid))
        case "Relu": return .signal(try activate(node, signal, .relu))
        default:
            throw .unsupported(
                node: node.label,
                reason: "got operator '\(node.operation)', expected recurrent layers and one dense readout")
        }
    }

    /// Values computed from shapes and initial states.
    func derived(_ node: ONNXGraph.Node, _ inputs: [ONNXValue]) throws(ModelFileError)
        -> ONNXValue
    {
        func zero(_ value: ONNXValue?) -> Bool {
            switch value {
            case .constant(let tensor): !tensor.floats.isEmpty && tensor.floats.allSatisfy { $0 == 0 }
            case .opaque(let isZero, _): isZero
            default: false
            }
        }
        func count(_ value: ONNXValue?) -> Int? {
            switch value {
            case .constant(let tensor):
                tensor.shape.count <= 1 ? tensor.floats.count + tensor.integers.count : nil
            case .opaque(_, let count): count
            default: nil
            }
        }
        switch node.operation {
        case "ConstantOfShape":
            var isZero = true
            if case .tensor(let tensor)? = node.attributes["value"] {
                isZero = tensor.floats.allSatisfy { $0 == 0 }
            }
            return .opaque(isZero: isZero, count: nil)
        case "Concat":
            let counts = inputs.map { count($0) }
            let total = counts.contains(nil) ? nil : counts.reduce(0) { $0 + ($1 ?? 0) }
            return .opaque(isZero: inputs.allSatisfy { zero($0) }, count: total)
        case "Gather":
            return .opaque(isZero: zero(inputs.first), count: count(inputs.dropFirst().first))
        case "Unsqueeze", "Squeeze", "Cast", "Identity":
            return .opaque(isZero: zero(inputs.first), count: count(inputs.first))
        case "MatMul", "Mul":
            let counts = inputs.map { count($0) }
            let most = counts.contains(nil) ? nil : counts.compactMap { $0 }.max()
            return .opaque(isZero: zero(inputs.first) || zero(inputs.dropFirst().first), count: most)
        case "Add":
            if zero(inputs.first), case .constant? = inputs.last { return inputs[1] }
            if zero(inputs.last), case .constant? = inputs.first { return inputs[0] }
            return .opaque(isZero: false, count: nil)
        case "Expand", "Slice", "Reshape", "Transpose", "Tile":
            return .opaque(isZero: zero(inputs.first), count: sliceCount(node, inputs))
        case "Loop", "Scan", "If":
            throw refuse(
                node, "got a cell written as \(node.operation), expected RNN, LSTM or GRU (store the weights as safetensors instead)")
        default: return .opaque(isZero: false, count: nil)
        }
    }

    func sliceCount(_ node: ONNXGraph.Node, _ inputs: [ONNXValue]) -> Int? {
        if node.operation == "Reshape", case .opaque(_, let size?)? = inputs.first, case .constant(let shape)? = inputs.last {
            return shape.integers.count == 1 ? size : nil
        }
        guard node.operation == "Slice", case .opaque(_, let size?)? = inputs.first else { return nil }
        let tensors = inputs.map { value -> ONNXGraph.Tensor? in
            if case .constant(let tensor) = value { tensor } else { nil }
        }
        guard let cut = SliceArguments(node, tensors, rank: 1)?.cuts.first, cut.step == 1 else {
            return nil
        }
        let from = min(max(cut.start < 0 ? cut.start &+ size : cut.start, 0), size)
        return min(max(cut.end < 0 ? cut.end &+ size : cut.end, from), size) - from
    }

    /// `start` and `end` (opset 15) cut the shape.
    func shapeOf(_ value: ONNXValue?, _ node: ONNXGraph.Node) -> ONNXValue {
        func cut(_ rank: Int) -> Range<Int> {
            func bound(_ key: String, _ usual: Int) -> Int {
                let value = node.integer(key) ?? usual
                return min(max(value < 0 ? value &+ rank : value, 0), rank)
            }
            let from = bound("start", 0)
            return from..<max(from, bound("end", rank))
        }
        switch value {
        case .signal(let signal): return .opaque(isZero: false, count: cut(signal.axes.count).count)
        case .constant(let tensor):
            let sizes = Array(tensor.shape[cut(tensor.shape.count)])
            return .constant(.init(name: "", shape: [sizes.count], integers: sizes))
        default: return .opaque(isZero: false, count: nil)
        }
    }

    // MARK: axes

    func refuse(_ node: ONNXGraph.Node, _ reason: String) -> ModelFileError {
        .unsupported(node: node.label, reason: reason)
    }

    mutating func unrolledStep(
        _ node: ONNXGraph.Node, _ signal: ONNXSignal, _ activation: Activation, _ depth: Int,
        _ time: Int, _ weights: ONNXGraph.Tensor,
        _ previous: ONNXSignal.Term?, _ bias: [Float]
    ) throws(ModelFileError) -> ONNXSignal {
        var out = signal
        out.time = nil
        guard let previous, case .step(let cell, let before) = previous.source else {
            guard time == 0 else { throw refuse(node, "got step \(time) without a recurrent product") }
            unrolled.append(
                .init(depth: depth, activation: activation, inputWeights: weights, bias: bias))
            out.content = .values(.step(cell: unrolled.count - 1, time: 0))
            return out
        }
        let known = unrolled[cell]
        let sameBias = zip(known.bias, bias).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($0)) }
        guard known.depth == depth, time == before + 1, known.steps == time,
            known.activation == activation, sameBias,
            known.inputWeights.floats == weights.floats,
            known.recurrentWeights == nil || known.recurrentWeights?.floats == previous.weights.floats
        else {
            throw refuse(
                node, "got step \(time) of an unrolled network with other weights than the step before")
        }
        unrolled[cell].recurrentWeights = previous.weights
        unrolled[cell].steps += 1
        out.content = .values(.step(cell: cell, time: time))
        return out
    }

    /// The unrolled cell becomes a layer; returns its depth.
    mutating func close(_ cell: Int, _ node: ONNXGraph.Node) throws(ModelFileError) -> Int {
        if let layer = unrolled[cell].layer { return layer + 1 }
        let found = unrolled[cell]
        guard found.depth == layers.count else {
            throw refuse(node, "got a branch after layer \(found.depth), expected a plain stack")
        }
        guard let recurrent = found.recurrentWeights,
            let input = ONNXFolding.transpose(found.inputWeights, [1, 0]),
            let turned = ONNXFolding.transpose(recurrent, [1, 0])
        else {
            throw refuse(
                node, "got a network unrolled over one reading, its recurrent weights are not in the file")
        }
        let hidden = found.bias.count
        guard turned.shape == [hidden, hidden] else {
            throw .shape(tensor: recurrent.name, expected: [hidden, hidden], got: recurrent.shape)
        }
        var layer = RecurrentLayer(
            cell: .elman, inputSize: input.shape[1], hiddenSize: hidden,
            candidateActivation: found.activation)
        layer.inputWeights = input.floats
        layer.recurrentWeights = turned.floats
        layer.inputBias = found.bias
        try append(layer, node)
        unrolled[cell].layer = layers.count - 1
        return layers.count
    }

    mutating func append(_ layer: RecurrentLayer, _ node: ONNXGraph.Node)
        throws(ModelFileError)
    {
        guard layers.count < RecurrentModel.layerCountMax else {
            throw .unexpected(
                tensor: node.label, shape: [layer.inputSize, layer.hiddenSize],
                reason: "got more than \(RecurrentModel.layerCountMax) recurrent layers")
        }
        layers.append(layer)
    }

    mutating func finish(_ signal: ONNXSignal) throws(ModelFileError) {
        let node = ONNXGraph.Node(name: graph.outputs.first ?? "", operation: "output")
        if let time = signal.time { try expectLastReading(time, node) }
        switch signal.content {
        case .values(.dense(let count)):
            guard count == dense.count else {
                throw refuse(node, "got the output of dense layer \(count) of \(dense.count), expected the last")
            }
        case .values(let source): try expectLast(source, node)
        case .linear: _ = try closeDense(node, signal, .linear)
        }
    }

    /// A single reading that is taken must be the last one of the graph's input, whose length must be known for that.
    func expectLastReading(_ time: Int, _ node: ONNXGraph.Node) throws(ModelFileError) {
        let shape = graph.inputs.first?.shape ?? []
        let isLast: Bool
        if let timeAxis, shape.indices.contains(timeAxis) {
            isLast = shape[timeAxis] == time + 1
        } else {
            // Unrolled: which of the first two axes is the time nobody says; a batch of one is no time of one.
            isLast = time > 0 && shape.prefix(2).contains(time + 1)
        }
        guard isLast else { throw refuse(node, "got the output after reading \(time), expected every reading's or the last one's") }
    }

    mutating func expectLast(_ source: ONNXSignal.Source, _ node: ONNXGraph.Node)
        throws(ModelFileError)
    {
        let depth =
            switch source {
            case .layer(let depth): depth
            case .step(let cell, let time):
                time + 1 == unrolled[cell].steps ? try close(cell, node) : 0
            case .dense: 0
            }
        guard depth == layers.count, depth > 0 else {
            throw refuse(node, "got an output of layer \(depth) of \(layers.count), expected the last")
        }
    }

    // MARK: RNN, LSTM, GRU

    mutating func recurrent(_ node: ONNXGraph.Node) throws(ModelFileError) {
        guard case .signal(let signal)? = node.input(0).flatMap({ values[$0] }),
            case .values(var source) = signal.content
        else {
            throw refuse(
                node, "got an input that is not the readings or the layer before (an extra layer in front?)"
            )
        }
        if case .step(let cell, _) = source { source = .layer(depth: try close(cell, node)) }
        if case .dense(let count) = source {
            throw refuse(node, "got a recurrent layer after \(count) dense layers, expected dense layers after all recurrent ones")
        }
        guard source == .layer(depth: layers.count) else {
            throw refuse(node, "got a branch, expected a plain stack of layers")
        }
        let timeFirst = (node.integer("layout") ?? 0) == 0
        let expected: [ONNXSignal.Axis] =
            timeFirst ? [.time, .batch, .feature] : [.batch, .time, .feature]
        guard signal.axes.count == 3, signal.time == nil else {
            throw refuse(node, "got input axes \(signal.axes), expected \(expected)")
        }
        for (got, wanted) in zip(signal.axes, expected) {
            switch (got, wanted) {
            case (.input, _), (.one, .batch): continue
            case (let got, let wanted) where got == wanted: continue
            default: throw refuse(node, "got input axes \(signal.axes), expected \(expected)")
            }
        }
        if layers.isEmpty, case .input(let axis) = signal.axes[timeFirst ? 0 : 1] { timeAxis = axis }
        let layer = try ONNXRecurrentNode(node: node, values: values).layer(
            inputSize: layers.last?.hiddenSize)
        if case .input(let axis) = signal.axes[2],
            let declared = graph.inputs.first(where: { $0.name == node.inputs[0] })?.shape,
            declared.indices.contains(axis), let size = declared[axis], size != layer.inputSize
        {
            throw .shape(
                tensor: node.input(1) ?? "W", expected: [1, layer.cell.gateCount * layer.hiddenSize, size],
                got: [1, layer.cell.gateCount * layer.hiddenSize, layer.inputSize])
        }
        try append(layer, node)
        let depth = layers.count
        let outputs: [[ONNXSignal.Axis]] = [
            timeFirst ? [.time, .one, .batch, .feature] : [.batch, .time, .one, .feature],
            timeFirst ? [.one, .batch, .feature] : [.batch, .one, .feature],
        ]
        for (index, name) in node.outputs.enumerated() where !name.isEmpty {
            values[name] =
                index < 2
                ? .signal(.init(.layer(depth: depth), axes: outputs[index]))
                : .opaque(isZero: false, count: nil)
        }
    }
}
