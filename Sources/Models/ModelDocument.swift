import ModelFiles
import RecurrentNetwork

/// A model file as a whole: what kind it is, the network in it, and what it says about its data.
public struct ModelDocument: Sendable, Equatable {
    /// The container, told from the bytes.
    public enum Format: String, Sendable {
        case safetensors, onnx, keras
    }

    /// The container.
    public let format: Format
    /// The network.
    public let model: RecurrentModel
    /// Channels and scales; nil for files that were not trained here.
    public let card: ModelCard?

    /// Reads a file of either kind.
    /// - Parameters:
    ///   - name: stands in errors.
    ///   - kerasJSON: `model.to_json()` beside a `.weights.h5` file.
    ///   - external: the contents of a data file beside an ONNX model, by its location.
    public init(
        bytes: [UInt8], name: String, options: ModelReadOptions = .init(), kerasJSON: [UInt8]? = nil, external: (String) throws -> [UInt8]
    ) throws {
        switch try Self.format(of: bytes, name: name) {
        case .safetensors:
            let contents = try Safetensors.read(bytes)
            let model = try Safetensors.model(from: contents, options: options)
            let card = contents.metadata[ModelCard.metadataKey].flatMap(ModelCard.init(json:))
            // A card that does not describe this network (tensors edited elsewhere) counts for nothing.
            let fits = card.map {
                $0.channels.count == model.inputSize && $0.loss.outputSize(targets: $0.horizon * $0.channels.count) == model.outputSize
            }
            (self.format, self.model, self.card) = (.safetensors, model, fits == true ? card : nil)
        case .keras:
            format = .keras
            model = try KerasFile.readModel(bytes, json: kerasJSON, options: options)
            card = nil
        case .onnx:
            var data: [String: [UInt8]] = [:]
            for location in try ONNX.externalFiles(in: bytes) { data[location] = try external(location) }
            format = .onnx
            model = try ONNX.readModel(bytes, externalData: data, options: options)
            card = nil
        }
    }

    /// The kind of file that `bytes` are. Errors say how to make one that can be read.
    public static func format(of bytes: [UInt8], name: String) throws(ModelDocumentError) -> Format {
        func begins(_ mark: [UInt8]) -> Bool { bytes.starts(with: mark) }
        if bytes.isEmpty { throw .foreign(name: name, found: "an empty file", advice: ModelDocumentError.usual) }
        if KerasFile.isKeras(bytes) {
            guard name.hasSuffix(".pt") || name.hasSuffix(".pth") || KerasFile.isTorchArchive(bytes) else { return .keras }
            throw .foreign(name: name, found: "a pickle of torch.save, which could run any program", advice: ModelDocumentError.usual)
        }
        if begins([0x80, 2]) || begins([0x80, 4]) {
            throw .foreign(name: name, found: "a Python pickle, which could run any program", advice: ModelDocumentError.usual)
        }
        if name.hasSuffix(".onnx") { return .onnx }
        if name.hasSuffix(".safetensors") || bytes.count > 8 && bytes[8] == UInt8(ascii: "{") { return .safetensors }
        // An ONNX file begins with field 1 (ir_version, a small number).
        if bytes.count > 2, bytes[0] == 0x08, bytes[1] < 64 { return .onnx }
        throw .foreign(name: name, found: "neither safetensors nor ONNX nor Keras", advice: ModelDocumentError.usual)
    }

    /// One line such as "GRU 3 -> 32 -> 32, dense 3".
    public static func architecture(of model: RecurrentModel) -> String {
        var names: [String] = []
        for layer in model.layers {
            let name: String
            switch layer.cell {
            case .elman: name = "Elman (\(layer.candidateActivation.name))"
            case .lstm: name = "LSTM"
            case .gru: name = "GRU"
            case .gruResetBefore: name = "GRU (reset before)"
            }
            if names.last != name { names.append(name) }
        }
        let sizes = ([model.inputSize] + model.layers.map(\.hiddenSize)).map(String.init).joined(separator: " -> ")
        guard let readout = model.readout else { return "\(names.joined(separator: ", ")) \(sizes), no readout" }
        let dense = (model.hiddenDense + [readout]).map { "\($0.outputSize)" + ($0.activation == .linear ? "" : " \($0.activation.name)") }
        return "\(names.joined(separator: ", ")) \(sizes), dense \(dense.joined(separator: " -> "))"
    }
}

/// Why a file is no model that can be read, and what to do about it.
public enum ModelDocumentError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another kind of file.
    case foreign(name: String, found: String, advice: String)

    static let usual =
        "write one in Python with safetensors.torch.save_file(model.state_dict(), \"model.safetensors\") or torch.onnx.export"

    public var description: String {
        switch self {
        case .foreign(let name, let found, let advice): "cannot read \(name): got \(found), expected safetensors, ONNX or Keras; \(advice)"
        }
    }
}
