import RecurrentNetwork
import Testing

@testable import ModelFiles

@Suite("Keras's own files")
struct KerasFileTests {
    static let archives = Fixtures.names(prefix: "kerasfile_", suffix: ".keras")
    static let weights = Fixtures.names(prefix: "kerasfile_", suffix: ".weights.h5")

    private func check(_ model: RecurrentModel, _ name: String) throws {
        let expected = try Safetensors.read(Fixtures.bytes(name + ".expected.safetensors")).tensors
        let x = try #require(expected.first { $0.name == "x" }), y = try #require(expected.first { $0.name == "y" })
        let engine = try RecurrentEngine(model: model)
        var state = RecurrentState(for: engine)
        let error = relativeError(try engine.predict(x.values, state: &state), y.values)
        print("\(name): \(error)")
        #expect(error < 1e-5)
        #expect(try Safetensors.readModel(Safetensors.writeModel(model)) == model, "nothing is lost when it is stored as safetensors")
    }

    private func message(_ bytes: [UInt8], json: [UInt8]? = nil) -> String {
        do { _ = try KerasFile.readModel(bytes, json: json) } catch { return "\(error)" }
        return "no error"
    }

    @Test("the fixtures are there")
    func fixtures() { #expect(Self.archives.count >= 3 && Self.weights.count >= 2) }

    @Test("a .keras file computes what Keras computes", arguments: archives)
    func archive(name: String) throws {
        #expect(KerasFile.isKeras(Fixtures.bytes(name)) && !KerasFile.isTorchArchive(Fixtures.bytes(name)))
        try check(try KerasFile.readModel(Fixtures.bytes(name)), name)
    }

    @Test("a .weights.h5 file with the model's JSON, and without it where the usual functions are right", arguments: weights)
    func weightsFile(name: String) throws {
        let bytes = Fixtures.bytes(name)
        let json = Fixtures.bytes(name.replacing(".weights.h5", with: ".json"))
        try check(try KerasFile.readModel(bytes, json: json), name)
        if name.contains("usual") { try check(try KerasFile.readModel(bytes), name) }
    }

    @Test("names of classes become names of groups as in Keras")
    func names() {
        #expect(
            ["LSTM", "GRU", "SimpleRNN", "Dense", "TimeDistributed", "InputLayer"].map(KerasFile.snakeCase)
                == ["lstm", "gru", "simple_rnn", "dense", "time_distributed", "input_layer"])
    }

    @Test("what is not a plain stack, is compressed or is cut is refused by name")
    func refusals() throws {
        let name = try #require(Self.archives.first { $0.contains("mixed") })
        let bytes = Fixtures.bytes(name)
        func renamed(_ from: String, _ to: String) -> [UInt8] {
            var text = bytes
            let (from, to) = (Array(from.utf8), Array(to.utf8))
            for at in 0..<text.count - from.count where Array(text[at..<at + from.count]) == from {
                text.replaceSubrange(at..<at + from.count, with: to)
            }
            return text
        }
        #expect(message(renamed("\"Dense\"", "\"Danse\"")).contains("Danse"))
        #expect(message(renamed("model.weights.h5", "model.weights.hX")).contains("model.weights.h5"))
        let tensors = try HDF5.read(ZipArchive.entry("model.weights.h5", of: bytes))
        #expect(tensors.contains { $0.name == "layers/lstm/cell/vars/0" })
        var compressed = bytes
        for at in 0..<bytes.count - 46 where bytes[at..<at + 4].elementsEqual([0x50, 0x4B, 1, 2]) { compressed[at + 10] = 8 }
        #expect(message(compressed).contains("compressed"))
        #expect(message([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]).contains("cannot read"))
        let weights = Fixtures.bytes(try #require(Self.weights.first { $0.contains("mixed") }))
        #expect(message(weights).contains("expected the model's JSON as well"))
    }

    @Test("a file cut or with any of its bytes changed is an error or a model, never a trap")
    func damage() throws {
        let bytes = Fixtures.bytes(try #require(Self.weights.first { $0.contains("usual") }))
        for length in stride(from: 0, to: bytes.count, by: 61) { _ = try? KerasFile.readModel(Array(bytes[..<length])) }
        for at in stride(from: 0, to: bytes.count, by: 7) {
            var damaged = bytes
            damaged[at] ^= UInt8(truncatingIfNeeded: 1 << (at % 8)) | 0x80
            _ = try? KerasFile.readModel(damaged)
        }
    }
}
