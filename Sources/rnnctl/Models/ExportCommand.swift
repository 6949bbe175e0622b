import ArgumentParser
import Control
import ModelFiles
import Models
import Platform
import RecurrentNetwork
import Tabular

struct ModelExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a model as ONNX or safetensors (PyTorch's state_dict).",
        discussion: """
            The model is a file, or with --control-socket or --state-dir the name of a stored model. The kind of the written file follows \
            from its name. ONNX: input `input` [time, batch, channels], output `output`; scales are not part of it. PyTorch reads the \
            safetensors with load_state_dict(safetensors.torch.load_file(FILE)) into modules called rnn and fc.

            EXAMPLES
              rnnctl model export pump.safetensors pump.onnx
              rnnctl model export pump pump.onnx
            """)

    @Argument(help: "A file or the name of a stored model.", completion: .file())
    var model: String
    @Argument(help: "FILE.onnx or FILE.safetensors.", completion: .file())
    var output: String
    @OptionGroup var reading: ModelReadArguments
    @OptionGroup var target: TargetOptions

    mutating func validate() throws {
        guard output.hasSuffix(".onnx") || output.hasSuffix(".safetensors") else {
            throw ValidationError("got \(output), expected a name that ends in .onnx or .safetensors")
        }
    }

    private func stored() throws -> ModelDocument {
        guard !model.contains("/"), !model.hasSuffix(".onnx"), !model.hasSuffix(".safetensors") else {
            throw ControlError.failed("cannot export \(model): there is no such file")
        }
        let (row, bytes) = try target.fetchModel(model)
        return try reading.document(bytes, name: "\(model).\(row["format"]?.text ?? "safetensors")")
    }

    func run() throws {
        let document = Files.exists(model) ? try reading.read(model) : try stored()
        let bytes: [UInt8]
        if output.hasSuffix(".onnx") {
            do { bytes = try ONNX.writeModel(document.model) } catch { throw ControlError.failed("cannot export \(model): \(error)") }
        } else {
            bytes = Safetensors.writeModel(document.model, metadata: document.card.map { [ModelCard.metadataKey: $0.json] } ?? [:])
        }
        try Files.replace(output, with: bytes)
        FileOutput.error("wrote \(output): \(ModelDocument.architecture(of: document.model)), \(bytes.count) bytes")
    }
}
