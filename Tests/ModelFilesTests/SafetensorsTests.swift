import RecurrentNetwork
import Testing

@testable import ModelFiles

@Suite("Safetensors")
struct SafetensorsTests {
    private func file(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
        let text = Array(header.utf8)
        let count = length ?? UInt64(text.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: count >> UInt64(8 * $0)) } + text + [UInt8](repeating: 0, count: data)
    }

    private func model(_ cell: CellKind, layers: Int = 2) throws -> RecurrentModel {
        try RecurrentModel(cell: cell, inputSize: 3, hiddenSize: 4, layerCount: layers, outputSize: 2, outputActivation: .tanh, seed: 8)
    }

    private func error(_ bytes: [UInt8], options: ModelReadOptions = .init()) -> String {
        do { _ = try Safetensors.readModel(bytes, options: options) } catch { return "\(error)" }
        return "no error"
    }

    /// The tensors of a model, changed, as a file.
    private func changed(_ cell: CellKind = .gru, _ change: (inout [NamedTensor]) -> Void) throws -> [UInt8] {
        var tensors = try model(cell).tensors()
        change(&tensors)
        return Safetensors.write(.init(tensors: tensors))
    }

    @Test("writing and reading gives the same model, under any prefix", arguments: CellKind.allCases, ["rnn.", "lstm.", "net.0.", ""])
    func roundTrip(cell: CellKind, prefix: String) throws {
        let model = try model(cell, layers: 3)
        let bytes = Safetensors.writeModel(model, prefix: prefix, readoutPrefix: "head.out.")
        #expect(try Safetensors.readModel(bytes) == model)
    }

    @Test("the cell follows from the shape of weight_hh; relu comes from metadata or an argument")
    func deduction() throws {
        for cell in [CellKind.elman, .lstm, .gru] {
            let bytes = Safetensors.write(.init(tensors: try model(cell).tensors()))
            #expect(try Safetensors.readModel(bytes).layers[0].cell == cell)
        }
        let plain = Safetensors.write(.init(tensors: try model(.elman).tensors()))
        #expect(try Safetensors.readModel(plain).layers[0].candidateActivation == .tanh)
        #expect(try Safetensors.readModel(plain, options: .init(elmanActivation: .relu)).layers[1].candidateActivation == .relu)
        let noted = Safetensors.write(.init(tensors: try model(.elman).tensors(), metadata: ["nonlinearity": "relu"]))
        #expect(try Safetensors.readModel(noted).layers[1].candidateActivation == .relu)
        let forced = try Safetensors.readModel(plain, options: .init(readoutActivation: .sigmoid))
        #expect(forced.readout?.activation == .sigmoid)
    }

    @Test(
        "a file in Keras's own layout with its JSON is the same model as the converted one and computes Keras's outputs",
        arguments: Fixtures.names(prefix: "kerasjson_", suffix: ".safetensors"))
    func keras(name: String) throws {
        let model = try Safetensors.readModel(Fixtures.bytes(name))
        let expected = try Safetensors.read(Fixtures.bytes(name.replacing("kerasjson_", with: "keras_"))).tensors
        let x = try #require(expected.first { $0.name == "x" }), y = try #require(expected.first { $0.name == "y" })
        let engine = try RecurrentEngine(model: model)
        var state = RecurrentState(for: engine)
        #expect(relativeError(try engine.predict(x.values, state: &state), y.values) < 1e-5)
    }

    @Test("Keras files that do not fit are refused by name")
    func kerasMisfits() throws {
        var contents = try Safetensors.read(Fixtures.bytes("kerasjson_gru_after.safetensors"))
        let good = contents
        #expect(good.tensors.count == 8)
        contents.tensors.append(.init(name: "extra/0", shape: [1], values: [0]))
        #expect(error(Safetensors.write(contents)).contains("'extra/0'"))
        contents = good
        contents.metadata["keras"] = good.metadata["keras"]?.replacing("\"units\": 2", with: "\"units\": 5")
        #expect(error(Safetensors.write(contents)).contains("expected [9, 5]"))
        contents.metadata["keras"] = good.metadata["keras"]?.replacing("\"class_name\": \"Dense\"", with: "\"class_name\": \"Conv1D\"")
        #expect(error(Safetensors.write(contents)).contains("Conv1D"))
        let text = good.metadata["keras"] ?? ""
        let object = "{\"module\": \"keras.layers\", \"class_name\": \"LeakyReLU\", \"config\": {\"negative_slope\": 0.3}}"
        let function = "{\"module\": \"builtins\", \"class_name\": \"function\", \"config\": \"my>twice\"}"
        for (value, name) in [(object, "LeakyReLU"), (function, "my>twice"), ("7", "no name")] {
            for key in ["activation", "recurrent_activation"] {
                let changed = text.replacing(try Regex("\"\(key)\": \"[a-z_]+\""), with: "\"\(key)\": \(value)", maxReplacements: 1)
                #expect(changed != text)
                contents.metadata["keras"] = changed
                #expect(error(Safetensors.write(contents)).contains(name), "\(key) \(name)")
            }
        }
        contents.metadata["keras"] = text.replacing("\"use_bias\":", with: "\"lora_rank\": 2, \"use_bias\":")
        #expect(error(Safetensors.write(contents)).contains("lora_rank"))
        contents.metadata["keras"] = text.replacing("\"registered_name\": null", with: "\"registered_name\": \"my>GRU\"")
        #expect(!text.contains("registered_name") || error(Safetensors.write(contents)).contains("my>GRU"))
        contents.metadata["keras"] = "{"
        #expect(error(Safetensors.write(contents)).contains("cannot read the file"))
    }

    @Test("models without biases or without a readout are read; nn.GRUCell names too")
    func variants() throws {
        let bare = try changed { $0.removeAll { $0.name.contains("bias") } }
        #expect(try Safetensors.readModel(bare).layers[0].inputBias == [Float](repeating: 0, count: 12))
        let headless = try changed { $0.removeAll { $0.name.hasPrefix("fc.") } }
        #expect(try Safetensors.readModel(headless).outputSize == 4)
        var cell = try model(.gru, layers: 1).tensors(prefix: "cell.")
        for i in cell.indices { cell[i].name = cell[i].name.replacing("_l0", with: "") }
        #expect(try Safetensors.readModel(Safetensors.write(.init(tensors: cell))).layers.count == 1)
    }

    /// Weights of dense layers of these widths under the names given.
    private func dense(_ widths: [Int], _ names: [String]) -> [NamedTensor] {
        names.enumerated().flatMap { index, name in
            [
                NamedTensor(
                    name: name + ".weight", shape: [widths[index + 1], widths[index]],
                    values: (0..<widths[index] * widths[index + 1]).map { Float($0 + index) / 50 }),
                NamedTensor(
                    name: name + ".bias", shape: [widths[index + 1]], values: [Float](repeating: Float(index), count: widths[index + 1])),
            ]
        }
    }

    @Test("several dense layers are put in the order of their widths, else of the numbers in their names; what stands between must be said")
    func heads() throws {
        func file(_ dense: [NamedTensor]) throws -> [UInt8] {
            try changed {
                $0.removeAll { $0.name.hasPrefix("fc.") }
                $0 += dense
            }
        }
        let byWidth = try file(dense([4, 7, 3, 2], ["z", "b", "a"]))
        #expect(error(byWidth).contains("3 dense layers and 0 functions"))
        let model = try Safetensors.readModel(byWidth, options: .init(readoutActivation: .sigmoid, betweenActivations: [.relu, .tanh]))
        #expect(model.head.map(\.outputSize) == [7, 3, 2])
        #expect(model.head.map(\.activation) == [.relu, .tanh, .sigmoid])
        #expect(try Safetensors.readModel(Safetensors.writeModel(model)) == model)
        #expect(try ONNX.readModel(ONNX.writeModel(model)).head == model.head)
        // Equal widths: net.9 comes before net.10.
        let byNumber = try file(dense([4, 4, 4], ["net.9", "net.10"]))
        let numbered = try Safetensors.readModel(byNumber, options: .init(betweenActivations: [.relu]))
        #expect(numbered.hiddenDense[0].bias == [0, 0, 0, 0] && numbered.readout?.bias == [1, 1, 1, 1])
        // The widths allow b, a and c, a... in more than one order, and the names are not one of them.
        let unclear = try file(dense([4, 3, 4, 3, 4, 2].map { $0 }, ["e", "d", "c", "b", "a"]))
        #expect(error(unclear, options: .init(betweenActivations: [.relu])).contains("cannot decide"))
    }

    @Test("F64, F16 and BF16 are converted; integers are refused by name")
    func elementTypes() throws {
        func tensor(_ type: String, _ bytes: [UInt8]) -> [UInt8] {
            file("{\"t\":{\"dtype\":\"\(type)\",\"shape\":[2],\"data_offsets\":[0,\(bytes.count)]}}") + bytes
        }
        #expect(try Safetensors.read(tensor("F16", [0x00, 0x3E, 0x01, 0x80])).tensors[0].values == [1.5, -0x1p-24])
        #expect(try Safetensors.read(tensor("BF16", [0xC0, 0x3F, 0x00, 0xC0])).tensors[0].values == [1.5, -2])
        let doubles: [UInt8] = [0, 0, 0, 0, 0, 0, 0xF8, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0xC0]
        #expect(try Safetensors.read(tensor("F64", doubles)).tensors[0].values == [1.5, -2])
        #expect(throws: ModelFileError.elementType(tensor: "t", got: "I16")) { try Safetensors.read(tensor("I16", [1, 0, 2, 0])) }
    }

    @Test("a file that does not fit names the tensor, the expected and the got shape")
    func misfits() throws {
        #expect(
            error(
                try changed {
                    $0[4].shape = [12, 5]; $0[4].values += [Float](repeating: 0, count: 12)
                })
                == "cannot use tensor 'rnn.weight_ih_l1': got shape [12, 5], expected [12, 4]")
        #expect(
            error(
                try changed {
                    $0[9].shape = [3]; $0[9].values.append(0)
                })
                == "cannot use tensor 'fc.bias': got shape [3], expected [2]")
        #expect(error(try changed { $0.remove(at: 1) }) == "cannot build the model: got no tensor 'rnn.weight_hh_l0', expected it")
        let extra = NamedTensor(name: "fc2.weight", shape: [1, 3], values: [0, 0, 0])
        #expect(
            error(try changed { $0.append(extra) }).hasPrefix(
                "cannot place tensor 'fc2.weight' of shape [1, 3]: the dense layers fc2.weight, fc.weight do not follow"))
        let reverse = NamedTensor(name: "rnn.weight_ih_l0_reverse", shape: [1], values: [0])
        #expect(error(try changed { $0.append(reverse) }).contains("bidirectional"))
        let norm = NamedTensor(name: "bn.running_mean", shape: [4], values: [0, 0, 0, 0])
        #expect(error(try changed { $0.append(norm) }).contains("bn.running_mean"))
        #expect(error(try changed { $0[0].values[3] = .nan }).contains("rnn.weight_ih_l0"))
        let second = try model(.lstm).tensors(prefix: "other.").dropLast(2)
        #expect(error(try changed { $0 += second }).contains("other.weight_ih_l0"))
        #expect(error(try changed { $0 = [] }).contains("weight_ih_l0"))
    }

    @Test("hostile headers are typed errors: 10 GB, big-endian, truncated, overlapping sizes, deep nesting, duplicate names")
    func hostile() throws {
        #expect(error(file("{}", length: 10 << 30)).contains("10737418240"))
        #expect(error([0, 0, 0, 0, 0, 0, 0, 2] + Array("{}".utf8)).contains("big-endian"))
        #expect(error([1, 2, 3]).contains("got 3 bytes"))
        #expect(error(file("{}", length: 100)).contains("got 10 bytes"))
        #expect(error(file("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", data: 8)).contains("'a'"))
        #expect(error(file("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,12]}}", data: 12)).contains("16 bytes"))
        #expect(error(file("{\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,0]}}")).contains("[-4]"))
        let huge = "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,16]}}"
        #expect(error(file(huge, data: 16)).contains("impossible shape"))
        #expect(error(file(String(repeating: "[", count: 5000))).contains("nested"))
        let beside = "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,4611686018427387904],\"data_offsets\":[0,0]}}"
        #expect(error(file(beside)).contains("impossible shape"))
        let over =
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}"
        #expect(error(file(over, data: 12)).contains("got tensor 'b' from byte 4 on, expected 8, where 'a' ends"))
        let twice = "\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}"
        #expect(error(file("{\(twice),\(twice)}")).contains("twice"))
    }

    @Test("a file cut at any byte or with any byte changed is an error or a model, never a trap")
    func damage() throws {
        let bytes = Safetensors.writeModel(try RecurrentModel(cell: .gru, inputSize: 1, hiddenSize: 2, outputSize: 1, seed: 3))
        for at in bytes.indices {
            #expect(throws: ModelFileError.self) { try Safetensors.readModel(Array(bytes[..<at])) }
            for change: UInt8 in [0xFF, 0x80, 0x01] {
                var damaged = bytes
                damaged[at] ^= change
                _ = try? Safetensors.readModel(damaged)
            }
        }
    }
}
