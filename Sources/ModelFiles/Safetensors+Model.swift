import RecurrentNetwork

extension Safetensors {
    /// The model in a file with PyTorch's `state_dict` names: `<any>weight_ih_l0`, ... and `<any>weight` [outputs, inputs] of dense layers.
    ///
    /// Missing bias tensors (`bias=False`) are zero. The cell follows from `weight_hh` [G*H, H]. Bidirectional modules, projections and
    /// several recurrent modules are errors that name the tensor. Metadata `keras` switches to Keras's layout, see
    /// `KerasTensors`.
    public static func readModel(_ bytes: [UInt8], options: ModelReadOptions = .init())
        throws(ModelFileError) -> RecurrentModel
    {
        try model(from: try read(bytes), options: options)
    }

    /// As `readModel`, from tensors already read.
    public static func model(from contents: Contents, options: ModelReadOptions = .init())
        throws(ModelFileError) -> RecurrentModel
    {
        if let json = contents.metadata["keras"], json.hasPrefix("{") {
            var keras = try KerasTensors(contents, json: json)
            let model = try keras.model()
            do { try model.validate() } catch { throw .network(error) }
            return model
        }
        var parts = try StateDict(contents, prefix: options.prefix)
        try parts.refuseForeignParts()
        var layers: [RecurrentLayer] = []
        var inputSize: Int?
        while let layer = try parts.takeLayer(layers.count, inputSize: inputSize, options: options) {
            layers.append(layer)
            inputSize = layer.hiddenSize
        }
        guard let last = layers.last else {
            throw .missing(tensor: "\(options.prefix ?? "")weight_ih_l0")
        }
        var head = try parts.takeHead(hiddenSize: last.hiddenSize)
        try parts.expectNothingLeft()
        var readout = head.popLast()
        readout?.activation = try activation(
            contents.metadata["readout_activation"], override: options.readoutActivation, usual: .linear)
        try setActivations(between: &head, contents.metadata["dense_activations"], options)
        let model = RecurrentModel(layers: layers, hiddenDense: head, readout: readout)
        do { try model.validate() } catch { throw .network(error) }
        return model
    }

    /// A file that PyTorch reads with `load_state_dict(safetensors.torch.load_file(...))`; what `state_dict` cannot say goes to metadata.
    public static func writeModel(
        _ model: RecurrentModel, prefix: String = "rnn.", readoutPrefix: String = "fc.",
        metadata: [String: String] = [:]
    ) -> [UInt8] {
        var notes = metadata
        notes["format"] = "pt"
        /// One word for all layers, or one for each.
        func note(_ key: String, _ words: [String]) { notes[key] = Set(words).count == 1 ? words[0] : words.joined(separator: ",") }
        note("cell", model.layers.map { "\($0.cell)" })
        note("nonlinearity", model.layers.map(\.candidateActivation.text))
        note("gate_activation", model.layers.map(\.gateActivation.text))
        note("output_activation", model.layers.map(\.outputActivation.text))
        notes["readout_activation"] = model.readout?.activation.text
        if !model.hiddenDense.isEmpty { notes["dense_activations"] = model.hiddenDense.map(\.activation.text).joined(separator: ",") }
        return write(
            .init(tensors: model.tensors(prefix: prefix, readoutPrefix: readoutPrefix), metadata: notes))
    }

    /// A state_dict does not say what stands between dense layers, and a wrong guess would be a wrong answer.
    private static func setActivations(between head: inout [DenseLayer], _ note: String?, _ options: ModelReadOptions)
        throws(ModelFileError)
    {
        guard !head.isEmpty else { return }
        var list = options.betweenActivations
        if list.isEmpty, let note {
            for text in note.split(separator: ",") { list.append(try activation(String(text), usual: .linear)) }
        }
        guard list.count == 1 || list.count == head.count else {
            throw .ambiguous(
                "got \(head.count + 1) dense layers and \(list.count) functions between them, expected one or \(head.count); a state_dict does not say which (--between relu)"
            )
        }
        for index in head.indices { head[index].activation = list[list.count == 1 ? 0 : index] }
    }

    static func activation(_ text: String?, override: Activation? = nil, usual: Activation)
        throws(ModelFileError) -> Activation
    {
        if let override { return override }
        guard let text else { return usual }
        guard let activation = Activation(text: text) else {
            throw .unsupported(
                node: "metadata",
                reason: "got activation '\(text)', expected linear, tanh, sigmoid, relu or hard_sigmoid")
        }
        return activation
    }
}

extension Activation {
    /// The name, with the hard sigmoid's numbers as `hard_sigmoid:slope:offset`.
    var text: String {
        if case .hardSigmoid(let slope, let offset) = self {
            "hard_sigmoid:\(slope):\(offset)"
        } else {
            name
        }
    }

    init?(text: String) {
        let parts = text.split(separator: ":")
        switch parts.first {
        case "linear": self = .linear
        case "tanh": self = .tanh
        case "sigmoid": self = .sigmoid
        case "relu": self = .relu
        case "hard_sigmoid":
            guard parts.count == 3, let slope = Float(parts[1]), let offset = Float(parts[2]) else {
                self = .hardSigmoid(slope: 1 / 6, offset: 0.5)
                return
            }
            self = .hardSigmoid(slope: slope, offset: offset)
        default: return nil
        }
    }
}

/// Takes a state_dict apart, tensor by tensor; what is left over at the end has no place in the model.
private struct StateDict {
    private var tensors: [String: NamedTensor] = [:]
    private let order: [String]
    private let metadata: [String: String]
    private let prefix: String
    private let suffixed: Bool

    init(_ contents: Safetensors.Contents, prefix wanted: String?) throws(ModelFileError) {
        metadata = contents.metadata
        order = contents.tensors.map(\.name)
        for tensor in contents.tensors { tensors[tensor.name] = tensor }
        let candidates = order.filter {
            ($0.hasSuffix("weight_ih_l0") || $0.hasSuffix("weight_ih")) && $0.hasPrefix(wanted ?? "")
        }
        guard let first = candidates.first else {
            throw .missing(tensor: "\(wanted ?? "")weight_ih_l0")
        }
        guard candidates.count == 1 else {
            throw .ambiguous(
                "got \(candidates.count) recurrent modules (\(candidates.joined(separator: ", "))), expected one; name its prefix"
            )
        }
        suffixed = first.hasSuffix("weight_ih_l0")
        prefix = String(first.dropLast(suffixed ? "weight_ih_l0".count : "weight_ih".count))
        if let wanted {  // other modules are not ours
            let readouts = order.filter {
                !$0.hasPrefix(wanted) && ($0.contains("_ih") || $0.contains("_hh"))
            }
            for name in readouts { tensors[name] = nil }
        }
    }

    /// Tensors that say what the module is before a shape does not fit because of it.
    func refuseForeignParts() throws(ModelFileError) {
        for name in order where name.hasPrefix(prefix) {
            guard let tensor = tensors[name] else { continue }
            let rest = name.dropFirst(prefix.count)
            if rest.hasPrefix("weight_hr_l") {
                throw .unexpected(tensor: name, shape: tensor.shape, reason: "LSTM projections (proj_size) are not supported")
            }
            if rest.hasSuffix("_reverse") {
                throw .unexpected(
                    tensor: name, shape: tensor.shape, reason: "bidirectional modules need the future and cannot run on a stream")
            }
        }
    }

    private mutating func take(_ name: String, _ expected: [Int]) throws(ModelFileError) -> [Float]? {
        guard let tensor = tensors.removeValue(forKey: name) else { return nil }
        guard tensor.shape == expected else {
            throw .shape(tensor: name, expected: expected, got: tensor.shape)
        }
        return tensor.values
    }

    mutating func takeLayer(_ index: Int, inputSize: Int?, options: ModelReadOptions)
        throws(ModelFileError) -> RecurrentLayer?
    {
        let suffix = suffixed ? "_l\(index)" : ""
        let (ih, hh) = ("\(prefix)weight_ih\(suffix)", "\(prefix)weight_hh\(suffix)")
        guard suffixed || index == 0, let input = tensors[ih] else { return nil }
        guard index < RecurrentModel.layerCountMax else {
            throw .unexpected(
                tensor: ih, shape: input.shape,
                reason: "got more than \(RecurrentModel.layerCountMax) recurrent layers")
        }
        guard let recurrent = tensors[hh] else { throw .missing(tensor: hh) }
        guard input.shape.count == 2 else {
            throw .shape(tensor: ih, expected: [0, 0], got: input.shape)
        }
        guard recurrent.shape.count == 2, recurrent.shape[1] > 0 else {
            throw .shape(tensor: hh, expected: [input.shape[0], input.shape[0]], got: recurrent.shape)
        }
        let hidden = recurrent.shape[1]
        let cell = try cellKind(hh, recurrent.shape, index, options)
        let rows = cell.gateCount * hidden
        guard rows == recurrent.shape[0] else {
            throw .shape(tensor: hh, expected: [rows, hidden], got: recurrent.shape)
        }
        let inputs = inputSize ?? input.shape[1]
        var layer = RecurrentLayer(cell: cell, inputSize: inputs, hiddenSize: hidden)
        layer.inputWeights = try take(ih, [rows, inputs]) ?? []
        layer.recurrentWeights = try take(hh, [rows, hidden]) ?? []
        layer.inputBias = try take("\(prefix)bias_ih\(suffix)", [rows]) ?? layer.inputBias
        layer.recurrentBias = try take("\(prefix)bias_hh\(suffix)", [rows]) ?? layer.recurrentBias
        if cell == .elman {
            layer.candidateActivation = try Safetensors.activation(
                note("nonlinearity", index), override: options.elmanActivation, usual: .tanh)
        } else {
            layer.candidateActivation = try Safetensors.activation(note("nonlinearity", index), usual: .tanh)
            layer.gateActivation = try Safetensors.activation(
                note("gate_activation", index), usual: .sigmoid)
            layer.outputActivation = try Safetensors.activation(
                note("output_activation", index), usual: .tanh)
        }
        return layer
    }

    /// The metadata's word for layer `index`.
    private func note(_ key: String, _ index: Int) -> String? {
        let words = metadata[key]?.split(separator: ",").map(String.init) ?? []
        return words.count > 1 ? (index < words.count ? words[index] : nil) : words.first
    }

    private func cellKind(_ name: String, _ shape: [Int], _ index: Int, _ options: ModelReadOptions)
        throws(ModelFileError) -> CellKind
    {
        if let cell = options.cell { return cell }
        switch (shape[0] % shape[1], shape[0] / shape[1]) {
        case (0, 1): return .elman
        case (0, 3): return note("cell", index) == "gruResetBefore" ? .gruResetBefore : .gru
        case (0, 4): return .lstm
        default: throw .shape(tensor: name, expected: [4 * shape[1], shape[1]], got: shape)
        }
    }

    /// The dense layers in the order in which their widths follow from each other; where that leaves a choice, in the order of their names
    /// (numbers in names count as numbers, as in `nn.Sequential`).
    mutating func takeHead(hiddenSize: Int) throws(ModelFileError) -> [DenseLayer] {
        let names = order.filter { name in
            (name == "weight" || name.hasSuffix(".weight"))
                && tensors[name].map { $0.shape.count == 2 } == true
        }.sorted { NaturalOrder($0) < NaturalOrder($1) }
        guard names.count <= RecurrentModel.hiddenDenseCountMax + 1 else {
            throw .limit(
                object: "the dense layers of the file", got: UInt64(names.count), max: UInt64(RecurrentModel.hiddenDenseCountMax + 1))
        }
        let chains = self.chains(names, from: hiddenSize)
        guard let chain = chains.first else {
            let name = names.first { tensors[$0]?.shape[1] != hiddenSize } ?? names[0]
            guard names.count == 1 else {
                throw .unexpected(
                    tensor: name, shape: tensors[name]?.shape ?? [],
                    reason: "the dense layers \(names.joined(separator: ", ")) do not follow from each other, expected the first to take "
                        + "\(hiddenSize) hidden units and each other one the outputs of a dense layer")
            }
            throw .shape(tensor: name, expected: [tensors[name]?.shape[0] ?? 0, hiddenSize], got: tensors[name]?.shape ?? [])
        }
        guard chains.count == 1 || chain == names else {
            throw .ambiguous(
                "the order of the dense layers \(names.joined(separator: ", ")): got \(chains.count) orders that fit, expected one")
        }
        var head: [DenseLayer] = []
        for name in chain {
            guard let tensor = tensors.removeValue(forKey: name), tensor.shape[0] > 0 else { throw .missing(tensor: name) }
            var dense = DenseLayer(inputSize: tensor.shape[1], outputSize: tensor.shape[0])
            dense.weights = tensor.values
            dense.bias = try take(name.dropLast("weight".count) + "bias", [tensor.shape[0]]) ?? dense.bias
            head.append(dense)
        }
        return head
    }

    /// Every order of `names` in which each layer takes the outputs of the one before.
    private func chains(_ names: [String], from width: Int) -> [[String]] {
        if names.isEmpty { return [[]] }
        return names.filter { tensors[$0]?.shape[1] == width }.flatMap { name in
            chains(names.filter { $0 != name }, from: tensors[name]?.shape[0] ?? 0).map { [name] + $0 }
        }
    }

    func expectNothingLeft() throws(ModelFileError) {
        guard let name = order.first(where: { tensors[$0] != nil }), let tensor = tensors[name] else {
            return
        }
        let reason =
            if name.contains("_hh_l") || name.contains("_ih_l") {
                "got a recurrent layer out of sequence or a bias without weights"
            } else {
                "expected only recurrent layers and dense layers after them"
            }
        throw .unexpected(tensor: name, shape: tensor.shape, reason: reason)
    }
}

/// Names in the order in which people count: runs of digits by value, the rest by bytes.
struct NaturalOrder: Comparable {
    private let parts: [(number: Int?, text: String)]

    init(_ name: String) {
        var parts: [(number: Int?, text: String)] = []
        for character in name {
            let isDigit = character.isASCII && character.isNumber
            if let last = parts.last, (last.number != nil) == isDigit {
                let text = last.text + String(character)
                parts[parts.count - 1] = (isDigit ? Int(text) ?? Int.max : nil, text)
            } else {
                parts.append((isDigit ? Int(String(character)) : nil, String(character)))
            }
        }
        self.parts = parts
    }

    static func == (a: NaturalOrder, b: NaturalOrder) -> Bool { a.parts.map(\.text) == b.parts.map(\.text) }

    static func < (a: NaturalOrder, b: NaturalOrder) -> Bool {
        for (one, other) in zip(a.parts, b.parts) where one.text != other.text {
            if let x = one.number, let y = other.number, x != y { return x < y }
            return one.text < other.text
        }
        return a.parts.count < b.parts.count
    }
}
