import ArgumentParser
import Control
import ModelFiles
import Models
import Platform
import RecurrentNetwork

/// Recurrent models of one's own: used, trained, looked into, kept.
struct Model: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Use, train, inspect and keep recurrent models (PyTorch, Keras, ONNX).",
        discussion: """
            EXAMPLES
              rnnctl model predict model.safetensors readings.csv --raw > predicted.csv
              rnnctl model train --cell gru --hidden 32 --history readings.csv --output pump.safetensors
              rnnctl model inspect pump.safetensors --data readings.csv
            """,
        subcommands: [
            ModelPredict.self, ModelTrain.self, ModelInspect.self, ModelGradients.self, ModelList.self, ModelShow.self, ModelImport.self,
            ModelExport.self, ModelActivate.self, ModelRollback.self, ModelRemove.self,
        ])
}

/// What a model file does not say by itself.
struct ModelReadArguments: ParsableArguments {
    /// Cells as a user names them.
    enum Cell: String, CaseIterable, ExpressibleByArgument {
        case elman
        case elmanRelu = "elman-relu"
        case lstm, gru

        var kind: CellKind {
            switch self {
            case .elman, .elmanRelu: .elman
            case .lstm: .lstm
            case .gru: .gru
            }
        }
    }

    /// Functions of the dense readout.
    enum Readout: String, CaseIterable, ExpressibleByArgument {
        case linear, tanh, sigmoid, relu

        var activation: Activation {
            switch self {
            case .linear: .linear
            case .tanh: .tanh
            case .sigmoid: .sigmoid
            case .relu: .relu
            }
        }
    }

    @Option(
        name: .long,
        help: ArgumentHelp(
            "elman, elman-relu, lstm or gru; a state_dict does not say whether nn.RNN has tanh (usual) or relu.", valueName: "cell"))
    var cell: Cell?
    @Option(name: .long, help: ArgumentHelp("Function after the last layer: linear (usual), tanh, sigmoid, relu.", valueName: "name"))
    var readout: Readout?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Functions between several dense layers of a state_dict, which does not say them: linear, tanh, sigmoid, relu; one for all or one for each gap, comma-separated.",
            valueName: "names"))
    var between: String?
    @Option(name: .long, help: ArgumentHelp("Take only tensors whose names begin so, when a file has several modules.", valueName: "text"))
    var prefix: String?
    @Option(name: .long, help: ArgumentHelp("model.to_json() of Keras, beside a .weights.h5 file.", valueName: "file"), completion: .file())
    var kerasJson: String?

    /// Whether anything was said that the file does not say.
    var isGiven: Bool { cell != nil || readout != nil || between != nil || prefix != nil || kerasJson != nil }

    /// Reads a model file. Errors name the file, the tensor, the expected and the found shape.
    func read(_ file: String) throws -> ModelDocument {
        try document(try Files.read(file, bytesMax: ModelReadArguments.fileBytesMax), name: file)
    }

    /// As `read`, of bytes that are there already.
    func document(_ bytes: [UInt8], name: String) throws -> ModelDocument {
        let gaps = (between ?? "").split(separator: ",").map { Readout(rawValue: String($0)) }
        guard !gaps.contains(nil) else {
            throw ControlError.failed(
                "cannot use --between: got \"\(between ?? "")\", expected linear, tanh, sigmoid or relu, comma-separated")
        }
        let options = ModelReadOptions(
            cell: cell?.kind, elmanActivation: cell == .elmanRelu ? .relu : cell == .elman ? .tanh : nil,
            readoutActivation: readout?.activation, betweenActivations: gaps.compactMap { $0?.activation },
            prefix: prefix)
        do {
            let json = try kerasJson.map { try Files.read($0, bytesMax: ModelReadArguments.fileBytesMax) }
            return try ModelDocument(bytes: bytes, name: name, options: options, kerasJSON: json) { location in
                // A model names its data file; it must not name any other file of this machine.
                guard !location.hasPrefix("/"), !location.split(separator: "/").contains("..") else {
                    throw ControlError.failed("data file \"\(location)\": expected a file beside the model")
                }
                let directory = name.lastIndex(of: "/").map { String(name[...$0]) } ?? ""
                return try Files.read(directory + location, bytesMax: ModelReadArguments.fileBytesMax)
            }
        } catch let error as ModelDocumentError {
            throw ControlError.failed(error.description)
        } catch {
            throw ControlError.failed("cannot use \(name): \(error)")
        }
    }

    /// The largest model file read.
    static let fileBytesMax = 1 << 30
}
