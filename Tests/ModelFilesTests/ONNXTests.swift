import RecurrentNetwork
import Testing

@testable import ModelFiles

@Suite("ONNX")
struct ONNXTests {
    static let files = Fixtures.names(prefix: "onnx_", suffix: ".onnx")

    @Test("the fixtures are there")
    func fixturesExist() { #expect(Self.files.count >= 29) }

    @Test(
        "a model exported by PyTorch or Keras computes what onnxruntime computes, within 1e-5",
        arguments: files)
    func parity(file: String) throws {
        let model = try ONNX.readModel(Fixtures.bytes(file))
        let expected = try Safetensors.read(
            Fixtures.bytes(file.replacing(".onnx", with: ".safetensors")))
        let x = try #require(expected.tensors.first { $0.name == "x" })
        let y = try #require(expected.tensors.first { $0.name == "y" })
        let engine = try RecurrentEngine(model: model)
        var state = RecurrentState(for: engine)
        let outputs = try engine.predict(x.values, state: &state)
        let error = relativeError(
            expected.metadata["rows"] == "last" ? Array(outputs.suffix(y.values.count)) : outputs,
            y.values)
        print("parity \(file): \(error)")
        #expect(error < 1e-5)
    }

    @Test(
        "writing and reading gives the same numbers",
        arguments: [CellKind.elman, .lstm, .gru, .gruResetBefore], [1, 3])
    func roundTrip(cell: CellKind, layers: Int) throws {
        let model = try RecurrentModel(
            cell: cell, inputSize: 2, hiddenSize: 5, layerCount: layers, outputSize: 3,
            outputActivation: .sigmoid, seed: 7)
        #expect(try ONNX.readModel(try ONNX.writeModel(model)) == model)
    }

    @Test("weights in a second file are found by its name; without it the error names tensor and file")
    func externalData() throws {
        let bytes = Fixtures.bytes("external_lstm.onnx")
        let names = try ONNX.externalFiles(in: bytes)
        #expect(names == ["external_lstm.onnx.data"])
        let model = try ONNX.readModel(bytes, externalData: [names[0]: Fixtures.bytes(names[0])])
        let expected = try Safetensors.read(Fixtures.bytes("external_lstm.safetensors")).tensors
        let engine = try RecurrentEngine(model: model)
        var state = RecurrentState(for: engine)
        let x = try #require(expected.first { $0.name == "x" }), y = try #require(expected.first { $0.name == "y" })
        #expect(relativeError(try engine.predict(x.values, state: &state), y.values) < 1e-5)
        #expect(message(bytes).contains("external_lstm.onnx.data"))
        #expect(throws: ModelFileError.self) { try ONNX.readModel(bytes, externalData: [names[0]: [1, 2, 3]]) }
    }

    @Test("a graph that is not a plain recurrent stack is refused and the node named")
    func unsupported() throws {
        #expect(message(Fixtures.bytes("unsupported_keras_gru.onnx")).contains("Loop"))
        let model = try RecurrentModel(cell: .lstm, inputSize: 2, hiddenSize: 3, outputSize: 1, seed: 1)
        let bytes = try ONNX.writeModel(model)
        func renamed(_ from: String, _ to: String) -> [UInt8] {  // operator names of equal length, so that all lengths stay right
            var text = bytes
            let (from, to) = (Array(from.utf8), Array(to.utf8))
            for at in 0..<text.count - from.count where Array(text[at..<at + from.count]) == from {
                text.replaceSubrange(at..<at + from.count, with: to)
            }
            return text
        }
        #expect(message(renamed("MatMul", "MatSin")).contains("MatSin"))
        #expect(message(renamed("LSTM", "LSTN")).contains("LSTN"))
        #expect(message(renamed("Tanh", "Erf!")).contains("erf!") || message(renamed("Tanh", "Erf!")).contains("Erf!"))
        #expect(message(renamed("hidden_size", "hidden_sise")).contains("attribute 'hidden_sise'"))
    }

    private func message(_ bytes: [UInt8]) -> String {
        do { _ = try ONNX.readModel(bytes) } catch { return "\(error)" }
        return "no error"
    }

    @Test("a file cut at any byte or with any byte changed is an error or a model, never a trap")
    func damage() throws {
        let model = try RecurrentModel(
            cell: .gru, inputSize: 1, hiddenSize: 2, layerCount: 2, outputSize: 1, seed: 3)
        let bytes = try ONNX.writeModel(model)
        for length in 0..<bytes.count - 1 { _ = try? ONNX.readModel(Array(bytes.prefix(length))) }
        for at in bytes.indices {
            for change: UInt8 in [0xFF, 0x80, 0x01, 0x07] {
                var damaged = bytes
                damaged[at] ^= change
                _ = try? ONNX.readModel(damaged)
            }
        }
        #expect(throws: ModelFileError.self) { try ONNX.readModel([]) }
        #expect(throws: ModelFileError.self) { try ONNX.readModel(Array(repeating: 0xFF, count: 64)) }
    }
}
