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

    @Test("whole numbers of any size in a graph are an error or a model, never a trap")
    func hugeNumbers() throws {
        let model = try RecurrentModel(cell: .gru, inputSize: 1, hiddenSize: 2, outputSize: 1, seed: 3)
        let bytes = try ONNX.writeModel(model)
        // `hidden_size` with a wider number: every length around it grows.
        for number in [0, -1, 1 << 31, 1 << 61, 1 << 62, Int.max, Int.min] {
            var node = ProtobufWriter()
            for name in ["x", "W", "R"] { node.string(1, name) }
            node.string(2, "y")
            node.string(4, "GRU")
            node.message(5) {
                $0.string(1, "hidden_size")
                $0.integer(3, number)
                $0.integer(20, 2)
            }
            #expect(message(graph(node.bytes, [("W", [1, 12, 2]), ("R", [1, 12, 4])])).contains("\(number)"), "\(number)")
            for (operation, attribute) in [
                ("Slice", "starts"), ("Gather", "axis"), ("Squeeze", "axes"), ("Transpose", "perm"), ("Concat", "axis"),
            ] {
                var node = ProtobufWriter()
                for name in ["x", "W"] { node.string(1, name) }
                node.string(2, "y")
                node.string(4, operation)
                node.message(5) {
                    $0.string(1, attribute)
                    $0.integer(attribute == "axis" ? 3 : 8, number)
                    $0.integer(20, attribute == "axis" ? 2 : 7)
                }
                node.message(5) {
                    $0.string(1, "ends")
                    $0.integer(8, number)
                    $0.integer(20, 7)
                }
                #expect(message(graph(node.bytes, [("W", [2, 2])])) != "no error")
            }
        }
        #expect(message(bytes) == "no error")
    }

    /// A model file of one node with float constants of these shapes.
    private func graph(_ node: [UInt8], _ constants: [(name: String, shape: [Int])]) -> [UInt8] {
        var file = ProtobufWriter()
        file.integer(1, 8)
        file.message(7) { graph in
            graph.data(1, node)
            graph.string(2, "g")
            for (name, shape) in constants {
                graph.message(5) { tensor in
                    for size in shape { tensor.integer(1, size) }
                    tensor.integer(2, 1)
                    tensor.string(8, name)
                    tensor.data(9, [UInt8](repeating: 0, count: 4 * shape.reduce(1, *)))
                }
            }
            graph.message(11) { $0.string(1, "x") }
            graph.message(12) { $0.string(1, "y") }
        }
        return file.bytes
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
