import RecurrentNetwork

/// Keras's own files: `.keras` (zip of `config.json` and `model.weights.h5`) and `.weights.h5`.
///
/// In the weights every layer has the name of its class in snake case, numbered by class from the second on (`lstm`, `lstm_1`), whatever
/// its own name; the tensors are `layers/lstm/cell/vars/0`, `layers/dense/vars/0`, `layers/time_distributed/layer/vars/0`.
public enum KerasFile {
    /// True for the bytes of either kind.
    public static func isKeras(_ bytes: [UInt8]) -> Bool { isWeights(bytes) || isArchive(bytes) }

    private static func isWeights(_ bytes: [UInt8]) -> Bool { bytes.starts(with: HDF5.signature) }
    private static func isArchive(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x50, 0x4B, 3, 4]) }

    /// True for the zip archive that `torch.save` writes: its first entry is `<name>/data.pkl` or `<name>/.format_version`.
    public static func isTorchArchive(_ bytes: [UInt8]) -> Bool {
        guard isArchive(bytes), bytes.count > 30 else { return false }
        let size = Int(bytes[26]) | Int(bytes[27]) << 8
        let name = String(decoding: bytes[30..<min(bytes.count, 30 + size)], as: UTF8.self)
        return name.hasSuffix("/data.pkl") || name.hasSuffix("/.format_version")
    }

    /// The model in a `.keras` file, or in a `.weights.h5` file.
    ///
    /// Weights alone do not say activations and the order of layers of different classes: `json` (`model.to_json()`) does; without it the
    /// usual activations are taken, and layers of different classes are an error.
    public static func readModel(_ bytes: [UInt8], json: [UInt8]? = nil, options: ModelReadOptions = .init()) throws(ModelFileError)
        -> RecurrentModel
    {
        let (weights, config): ([UInt8], [UInt8]?) =
            isArchive(bytes)
            ? (try ZipArchive.entry("model.weights.h5", of: bytes), try ZipArchive.entry("config.json", of: bytes)) : (bytes, json)
        let tensors = try HDF5.read(weights)
        let text: String
        if let config {
            text = String(decoding: config, as: UTF8.self)
        } else {
            text = try describe(tensors)
        }
        var keras = try KerasTensors(named(tensors, json: text), json: text)
        var model = try keras.model()
        if let activation = options.readoutActivation { model.readout?.activation = activation }
        if config == nil, !model.hiddenDense.isEmpty {
            guard options.betweenActivations.count == model.hiddenDense.count else {
                throw .ambiguous("the functions between the dense layers: got weights only, expected the model's JSON as well")
            }
        }
        if options.betweenActivations.count == model.hiddenDense.count {
            for (d, activation) in options.betweenActivations.enumerated() { model.hiddenDense[d].activation = activation }
        }
        if let activation = options.elmanActivation {
            for l in model.layers.indices where model.layers[l].cell == .elman { model.layers[l].candidateActivation = activation }
        }
        do { try model.validate() } catch { throw .network(error) }
        return model
    }

    /// `SimpleRNN` to `simple_rnn`, as keras.src.utils.naming.
    static func snakeCase(_ name: String) -> String {
        let letters = Array(name)
        var out = ""
        for (index, letter) in letters.enumerated() {
            let startsWord =
                index > 0 && letter.isUppercase
                && (letters[index - 1].isLowercase || (index + 1 < letters.count && letters[index + 1].isLowercase))
            out += (startsWord ? "_" : "") + letter.lowercased()
        }
        return out
    }

    /// The tensors under the names that `KerasTensors` asks for: `<layer's own name>/<index>`.
    private static func named(_ tensors: [NamedTensor], json: String) throws(ModelFileError) -> Safetensors.Contents {
        let bytes = Array(json.utf8)
        var parser = JSONParser(bytes, 0..<bytes.count)
        guard case .array(let layers)? = try parser.parseAll()["config"]?["layers"] else {
            throw .malformed(offset: 0, reason: "got Keras JSON without config.layers")
        }
        var counts: [String: Int] = [:]
        var places: [String: String] = [:]
        let kinds = layers.compactMap { $0["class_name"]?.string }
        for layer in layers {
            guard let kind = layer["class_name"]?.string, let name = layer["config"]?["name"]?.string else { continue }
            let group = snakeCase(kind)
            let number = counts[group, default: 0]
            counts[group] = number + 1
            places[number == 0 ? group : "\(group)_\(number)"] = name
        }
        var contents = Safetensors.Contents(tensors: [])
        for tensor in tensors {
            let parts = tensor.name.split(separator: "/").map(String.init)
            guard parts.first == "layers", parts.count >= 4, parts[parts.count - 2] == "vars", let name = places[parts[1]] else {
                // Seeds of dropout and the optimiser's state are no part of the network.
                if parts.first == "layers", !parts.contains("seed_generator") {
                    throw .unexpected(
                        tensor: tensor.name, shape: tensor.shape,
                        reason: "no layer of the Keras model has it (\(kinds.joined(separator: ", ")))")
                }
                continue
            }
            guard !parts.contains("seed_generator") else { continue }
            contents.tensors.append(.init(name: "\(name)/\(parts[parts.count - 1])", shape: tensor.shape, values: tensor.values))
        }
        return contents
    }

    /// A model's JSON from its weights alone: layers of one recurrent class and dense layers in the order of their numbers.
    private static func describe(_ tensors: [NamedTensor]) throws(ModelFileError) -> String {
        var shapes: [String: [Int: [Int]]] = [:]
        for tensor in tensors {
            let parts = tensor.name.split(separator: "/").map(String.init)
            guard parts.count >= 4, parts[0] == "layers", parts[parts.count - 2] == "vars", let index = Int(parts[parts.count - 1]) else {
                continue
            }
            shapes[parts[1], default: [:]][index] = tensor.shape
        }
        let groups = shapes.keys.filter { $0 != "dropout" && !$0.hasPrefix("seed_generator") }.sorted {
            NaturalOrder($0) < NaturalOrder($1)
        }
        func isClass(_ group: String, _ name: String) -> Bool {
            group == name || group.hasPrefix(name + "_") && Int(group.dropFirst(name.count + 1)) != nil
        }
        let cells = ["simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"]
        var classes: Set<String> = []
        var entries: [(isDense: Bool, text: String)] = []
        for group in groups {
            let (kernel, recurrent, bias) = (shapes[group]?[0] ?? [], shapes[group]?[1] ?? [], shapes[group]?[2])
            if let cell = cells.first(where: { isClass(group, $0.key) }) {
                classes.insert(cell.value)
                entries.append(
                    (
                        false,
                        "{\"class_name\":\"\(cell.value)\",\"config\":{\"name\":\"\(group)\",\"units\":\(recurrent.first ?? 0),\"use_bias\":\(bias != nil),\"reset_after\":\(bias.map { $0.count == 2 } ?? true)}}"
                    ))
            } else if isClass(group, "dense") || isClass(group, "time_distributed") {
                classes.insert("dense" + (isClass(group, "dense") ? "" : " in time_distributed"))
                let dense =
                    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"\(group)\",\"units\":\(kernel.last ?? 0),\"use_bias\":\(shapes[group]?[1] != nil)}}"
                let timed = "{\"class_name\":\"TimeDistributed\",\"config\":{\"name\":\"\(group)\",\"layer\":\(dense)}}"
                entries.append((true, isClass(group, "dense") ? dense : timed))
            }
        }
        guard classes.filter({ !$0.hasPrefix("dense") }).count <= 1, classes.filter({ $0.hasPrefix("dense") }).count <= 1 else {
            throw .ambiguous(
                "the order of the layers \(groups.joined(separator: ", ")): got weights only, expected the model's JSON as well")
        }
        let ordered = entries.filter { !$0.isDense } + entries.filter(\.isDense)
        // `named` numbers by class: the same numbers come out, since groups of one class are in their order.
        return "{\"config\":{\"layers\":[\(ordered.map(\.text).joined(separator: ","))]}}"
    }
}
