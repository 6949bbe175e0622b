import RecurrentNetwork

/// Keras weights in a safetensors file, told by the metadata entry `keras` (the model's own JSON). What a user types:
///
/// ```python
/// import keras, numpy; from safetensors.numpy import save_file; model = keras.saving.load_model("model.keras")
/// weights = {f"{l.name}/{i}": numpy.ascontiguousarray(w) for l in model.layers for i, w in enumerate(l.get_weights())}
/// save_file(weights, "model.safetensors", {"keras": model.to_json()})
/// ```
///
/// (`ascontiguousarray` matters: safetensors stores a transposed array wrongly without it.)
/// SimpleRNN, LSTM, GRU (either `reset_after`) and Dense after them; Dropout and InputLayer are passed over. Kernels are [inputs, G*H] with gates
/// LSTM i,f,c,o and GRU z,r,h. (An LSTM also comes through `model.export("model.onnx", format="onnx")`; GRU and SimpleRNN become loops
/// there.)
struct KerasTensors {
    private let tensors: [String: NamedTensor]
    private let config: JSONValue
    private var used: Set<String> = []

    init(_ contents: Safetensors.Contents, json: String) throws(ModelFileError) {
        let bytes = Array(json.utf8)
        var parser = JSONParser(bytes, 0..<bytes.count)
        config = try parser.parseAll()
        tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }
    }

    mutating func model() throws(ModelFileError) -> RecurrentModel {
        guard case .array(let list)? = config["config"]?["layers"] else {
            throw .malformed(offset: 0, reason: "got Keras JSON without config.layers")
        }
        try expectChain(list)
        var layers: [RecurrentLayer] = []
        var dense: [DenseLayer] = []
        for entry in list {
            let kind = entry["class_name"]?.string ?? ""
            let settings = entry["config"]
            let name = settings?["name"]?.string ?? ""
            try expectUnderstood(entry, kind, name)
            switch kind {
            // Nothing happens in these when a model predicts.
            case "InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization":
                continue
            case "Activation", "ReLU":
                // After a dense layer that has none of its own it is that layer's.
                guard let last = dense.last, last.activation == .linear else {
                    throw .unsupported(node: "\(kind) \(name)", reason: "got an activation that is not after a Dense layer without one")
                }
                dense[dense.count - 1].activation = kind == "ReLU" ? .relu : try activation(settings, "activation", .linear)
            case "SimpleRNN", "LSTM", "GRU":
                guard dense.isEmpty else { throw unexpected(name, "got a recurrent layer after a dense layer") }
                layers.append(try recurrent(kind, name, settings, inputSize: layers.last?.hiddenSize))
            case "Dense":
                guard let last = layers.last else { throw unexpected(name, "expected dense layers after the recurrent layers") }
                dense.append(try denseLayer(name, settings, inputSize: dense.last?.outputSize ?? last.hiddenSize))
            case "TimeDistributed":
                guard let last = layers.last, settings?["layer"]?["class_name"]?.string == "Dense" else {
                    throw unexpected(name, "expected TimeDistributed around one Dense")
                }
                dense.append(try denseLayer(name, settings?["layer"]?["config"], inputSize: dense.last?.outputSize ?? last.hiddenSize))
            default: throw .unsupported(node: "\(kind) \(name)", reason: "got layer '\(kind)', expected SimpleRNN, LSTM, GRU or Dense")
            }
        }
        for name in tensors.keys.sorted() where !used.contains(name) {
            throw .unexpected(tensor: name, shape: tensors[name]?.shape ?? [], reason: "no layer of the Keras model has it")
        }
        return RecurrentModel(layers: layers, hiddenDense: Array(dense.dropLast()), readout: dense.last)
    }

    /// Settings that change nothing of what a layer computes from its weights, or that are read.
    private static let neutral: Set<String> = [
        "name", "trainable", "dtype", "units", "activation", "recurrent_activation", "use_bias", "reset_after", "return_sequences",
        "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask", "unit_forget_bias", "dropout", "recurrent_dropout",
        "seed", "implementation", "use_cudnn", "kernel_initializer", "recurrent_initializer", "bias_initializer", "kernel_regularizer",
        "recurrent_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint", "recurrent_constraint",
        "bias_constraint", "time_major", "batch_input_shape", "build_config", "layer", "optimizer",
    ]

    /// Whatever of a layer is not known is an error: what it would mean for the numbers cannot be told.
    private func expectUnderstood(_ entry: JSONValue, _ kind: String, _ name: String) throws(ModelFileError) {
        if let registered = entry["registered_name"]?.string, registered != kind {
            throw .unsupported(node: "\(kind) \(name)", reason: "got a class of the user's own ('\(registered)'), expected Keras's layers")
        }
        guard ["SimpleRNN", "LSTM", "GRU", "Dense", "TimeDistributed"].contains(kind) else {
            if kind == "ReLU", case .object(let members)? = entry["config"] {
                for member in members where ["max_value", "negative_slope", "threshold"].contains(member.key) {
                    let isPlain = member.key == "max_value" ? member.value.isNull : member.value.isZero
                    guard isPlain else {
                        throw .unsupported(node: "ReLU \(name)", reason: "got \(member.key), expected the plain rectifier")
                    }
                }
            }
            return
        }
        var settings = entry["config"]
        if kind == "TimeDistributed" {
            if let inner = settings?["layer"] { try expectUnderstood(inner, inner["class_name"]?.string ?? "", name) }
            settings = nil
        }
        guard case .object(let members)? = settings else { return }
        for member in members {
            if member.key == "dtype" {
                let type = member.value.string ?? member.value["config"]?["name"]?.string ?? "float32"
                guard type == "float32" else {
                    throw .unsupported(node: "\(kind) \(name)", reason: "got dtype '\(type)', expected float32")
                }
            }
            guard !KerasTensors.neutral.contains(member.key), !member.value.isNull else { continue }
            throw .unsupported(node: "\(kind) \(name)", reason: "got setting '\(member.key)', which is not known")
        }
    }

    /// A functional model says for every layer where its input comes from: a plain stack has one source, the layer before.
    private func expectChain(_ list: [JSONValue]) throws(ModelFileError) {
        guard config["class_name"]?.string == "Functional" else { return }
        var before: String?
        for entry in list {
            let name = entry["name"]?.string ?? entry["config"]?["name"]?.string ?? ""
            let sources = KerasTensors.histories(entry["inbound_nodes"])
            guard sources == (before.map { [$0] } ?? []) else {
                throw .unsupported(
                    node: "\(entry["class_name"]?.string ?? "layer") \(name)",
                    reason: "got inputs from \(sources), expected \(before.map { [$0] } ?? []) (a plain stack of layers)")
            }
            before = name
        }
    }

    /// Names of the layers in `keras_history` entries, in order.
    private static func histories(_ value: JSONValue?) -> [String] {
        switch value {
        case .array(let items): return items.flatMap { histories($0) }
        case .object(let members):
            return members.flatMap { member -> [String] in
                if member.key == "keras_history", case .array(let items) = member.value { return items.first?.string.map { [$0] } ?? [] }
                return histories(member.value)
            }
        default: return []
        }
    }

    private func unexpected(_ name: String, _ reason: String) -> ModelFileError {
        .unexpected(tensor: "\(name)/0", shape: tensors["\(name)/0"]?.shape ?? [], reason: reason)
    }

    private mutating func take(_ name: String, _ expected: [Int]) throws(ModelFileError) -> [Float] {
        guard let tensor = tensors[name] else { throw .missing(tensor: name) }
        guard tensor.shape == expected else { throw .shape(tensor: name, expected: expected, got: tensor.shape) }
        used.insert(name)
        return tensor.values
    }

    private func activation(_ settings: JSONValue?, _ key: String, _ usual: Activation) throws(ModelFileError) -> Activation {
        guard let value = settings?[key] else { return usual }
        let layer = settings?["name"]?.string ?? ""
        let name: String
        switch value {
        case .string(let text): name = text
        case .null: name = "linear"
        case .object:
            // A layer or a function of the user's own: only what has no settings that matter is known.
            let kind = value["class_name"]?.string ?? "object"
            let inner = kind == "Activation" ? value["config"]?["activation"]?.string : nil
            guard let inner else {
                let what = kind == "function" ? value["config"]?.string ?? kind : kind
                throw .unsupported(
                    node: layer, reason: "got \(key) '\(what)', expected one by name: linear, tanh, sigmoid, relu or hard_sigmoid")
            }
            name = inner
        default: throw .unsupported(node: layer, reason: "got \(key) that is no name, expected linear, tanh, sigmoid, relu or hard_sigmoid")
        }
        switch name {
        case "hard_sigmoid": return .hardSigmoid(slope: 1 / 6, offset: 0.5)
        default:
            guard let activation = Activation(text: name) else {
                throw .unsupported(node: key, reason: "got activation '\(name)', expected linear, tanh, sigmoid, relu or hard_sigmoid")
            }
            return activation
        }
    }

    private mutating func recurrent(_ kind: String, _ name: String, _ settings: JSONValue?, inputSize: Int?) throws(ModelFileError)
        -> RecurrentLayer
    {
        guard settings?["go_backwards"]?.isTrue != true else {
            throw .unsupported(node: name, reason: "got go_backwards, expected forward (a stream has no future)")
        }
        let resetAfter = settings?["reset_after"]?.isTrue ?? true
        let cell: CellKind = kind == "SimpleRNN" ? .elman : kind == "LSTM" ? .lstm : resetAfter ? .gru : .gruResetBefore
        let hidden = settings?["units"]?.integer ?? 0
        guard hidden > 0, hidden <= RecurrentModel.hiddenSizeMax else {
            throw .limit(object: "units of '\(name)'", got: UInt64(max(0, hidden)), max: UInt64(RecurrentModel.hiddenSizeMax))
        }
        guard let kernel = tensors["\(name)/0"] else { throw .missing(tensor: "\(name)/0") }
        let inputs = inputSize ?? kernel.shape.first ?? 0
        let rows = cell.gateCount * hidden
        var layer = RecurrentLayer(cell: cell, inputSize: inputs, hiddenSize: hidden)
        layer.inputWeights = reorder(try take("\(name)/0", [inputs, rows]), inputs, cell, hidden)
        layer.recurrentWeights = reorder(try take("\(name)/1", [hidden, rows]), hidden, cell, hidden)
        if settings?["use_bias"]?.isTrue ?? true {
            let both = cell == .gru
            let bias = try take("\(name)/2", both ? [2, rows] : [rows])
            layer.inputBias = reorder(Array(bias[..<rows]), 1, cell, hidden)
            if both { layer.recurrentBias = reorder(Array(bias[rows...]), 1, cell, hidden) }
        }
        layer.candidateActivation = try activation(settings, "activation", .tanh)
        if cell != .elman {
            layer.outputActivation = layer.candidateActivation
            layer.gateActivation = try activation(settings, "recurrent_activation", .sigmoid)
        }
        return layer
    }

    /// Columns [inputs, G*H] to PyTorch's rows [G*H, inputs] in PyTorch's gate order.
    private func reorder(_ values: [Float], _ inputs: Int, _ cell: CellKind, _ hidden: Int) -> [Float] {
        let order =
            switch cell {
            case .elman: [0]
            case .lstm: [0, 1, 2, 3]
            case .gru, .gruResetBefore: [1, 0, 2]
            }
        let rows = order.count * hidden
        return order.flatMap { gate in
            (0..<hidden).flatMap { unit in (0..<inputs).map { values[$0 * rows + gate * hidden + unit] } }
        }
    }

    private mutating func denseLayer(_ name: String, _ settings: JSONValue?, inputSize: Int) throws(ModelFileError) -> DenseLayer {
        let outputs = settings?["units"]?.integer ?? 0
        guard outputs > 0, outputs <= RecurrentModel.widthMax else {
            throw .limit(object: "units of '\(name)'", got: UInt64(max(0, outputs)), max: UInt64(RecurrentModel.widthMax))
        }
        let kernel = try take("\(name)/0", [inputSize, outputs])
        var dense = DenseLayer(inputSize: inputSize, outputSize: outputs, activation: try activation(settings, "activation", .linear))
        for o in 0..<outputs { for i in 0..<inputSize { dense.weights[o * inputSize + i] = kernel[i * outputs + o] } }
        if settings?["use_bias"]?.isTrue ?? true { dense.bias = try take("\(name)/1", [outputs]) }
        return dense
    }
}

extension JSONValue {
    subscript(key: String) -> JSONValue? {
        if case .object(let members) = self { members.first { $0.key == key }?.value } else { nil }
    }
    var string: String? { if case .string(let text) = self { text } else { nil } }
    var integer: Int? { if case .integer(let value) = self { value } else { nil } }
    var isNull: Bool { if case .null = self { true } else { false } }
    var isZero: Bool {
        switch self {
        case .integer(let value): value == 0
        case .fraction(let isZero): isZero
        default: false
        }
    }
    var isTrue: Bool? { if case .bool(let value) = self { value } else { nil } }
}
