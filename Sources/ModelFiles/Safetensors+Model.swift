import RecurrentNetwork

extension Safetensors {
    /// The model in a file with PyTorch's `state_dict` names: `<any>weight_ih_l0`, ... and one `<any>weight` [outputs, hidden].
    ///
    /// Missing bias tensors (`bias=False`) are zero. The cell follows from `weight_hh` [G*H, H]. Bidirectional modules, projections,
    /// several recurrent modules or dense layers are errors that name the tensor. Metadata `keras` switches to Keras's layout, see
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
        var layers: [RecurrentLayer] = []
        var inputSize: Int?
        while let layer = try parts.takeLayer(layers.count, inputSize: inputSize, options: options) {
            layers.append(layer)
            inputSize = layer.hiddenSize
        }
        guard let last = layers.last else {
            throw .missing(tensor: "\(options.prefix ?? "")weight_ih_l0")
        }
        var readout = try parts.takeReadout(hiddenSize: last.hiddenSize)
        try parts.expectNothingLeft()
        readout?.activation = try activation(
            contents.metadata["readout_activation"], override: options.readoutActivation, usual: .linear)
        let model = RecurrentModel(layers: layers, readout: readout)
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
        if let first = model.layers.first {
            notes["cell"] = "\(first.cell)"
            notes["nonlinearity"] = first.candidateActivation.text
            notes["gate_activation"] = first.gateActivation.text
            notes["output_activation"] = first.outputActivation.text
        }
        notes["readout_activation"] = model.readout?.activation.text
        return write(
            .init(tensors: model.tensors(prefix: prefix, readoutPrefix: readoutPrefix), metadata: notes))
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
        let cell = try cellKind(hh, recurrent.shape, options)
        let rows = cell.gateCount * hidden
        if let projection = order.first(where: { $0.hasPrefix(prefix + "weight_hr_l") }),
            let tensor = tensors[projection]
        {
            throw .unexpected(
                tensor: projection, shape: tensor.shape,
                reason: "LSTM projections (proj_size) are not supported")
        }
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
                metadata["nonlinearity"], override: options.elmanActivation, usual: .tanh)
        } else {
            layer.candidateActivation = try Safetensors.activation(metadata["nonlinearity"], usual: .tanh)
            layer.gateActivation = try Safetensors.activation(
                metadata["gate_activation"], usual: .sigmoid)
            layer.outputActivation = try Safetensors.activation(
                metadata["output_activation"], usual: .tanh)
        }
        return layer
    }

    private func cellKind(_ name: String, _ shape: [Int], _ options: ModelReadOptions)
        throws(ModelFileError) -> CellKind
    {
        if let cell = options.cell { return cell }
        switch (shape[0] % shape[1], shape[0] / shape[1]) {
        case (0, 1): return .elman
        case (0, 3): return metadata["cell"] == "gruResetBefore" ? .gruResetBefore : .gru
        case (0, 4): return .lstm
        default: throw .shape(tensor: name, expected: [4 * shape[1], shape[1]], got: shape)
        }
    }

    mutating func takeReadout(hiddenSize: Int) throws(ModelFileError) -> DenseLayer? {
        let names = order.filter { name in
            (name == "weight" || name.hasSuffix(".weight"))
                && tensors[name].map { $0.shape.count == 2 } == true
        }
        guard let name = names.first, let tensor = tensors[name] else { return nil }
        guard names.count == 1 else {
            let extra = names[1]
            throw .unexpected(
                tensor: extra, shape: tensors[extra]?.shape ?? [],
                reason: "got a second dense layer after '\(name)', expected one readout")
        }
        guard tensor.shape[1] == hiddenSize, tensor.shape[0] > 0 else {
            throw .shape(tensor: name, expected: [tensor.shape[0], hiddenSize], got: tensor.shape)
        }
        var dense = DenseLayer(inputSize: hiddenSize, outputSize: tensor.shape[0])
        dense.weights = tensor.values
        tensors[name] = nil
        dense.bias = try take(name.dropLast("weight".count) + "bias", [tensor.shape[0]]) ?? dense.bias
        return dense
    }

    func expectNothingLeft() throws(ModelFileError) {
        guard let name = order.first(where: { tensors[$0] != nil }), let tensor = tensors[name] else {
            return
        }
        let reason =
            if name.hasSuffix("_reverse") {
                "bidirectional modules need the future and cannot run on a stream"
            } else if name.contains("_hh_l") || name.contains("_ih_l") {
                "got a recurrent layer out of sequence or a bias without weights"
            } else {
                "expected only recurrent layers and one dense readout"
            }
        throw .unexpected(tensor: name, shape: tensor.shape, reason: reason)
    }
}
