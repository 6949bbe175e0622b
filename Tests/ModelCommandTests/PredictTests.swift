import Foundation
import ModelFiles
import RecurrentNetwork
import Testing

@Suite struct PredictTests {
    static let cases = ["elman", "relu", "lstm", "gru"].flatMap { cell in (1...3).map { "\(cell)_\($0)" } }
    static let onnx = ((try? FileManager.default.contentsOfDirectory(atPath: Bench.fixtures + "/models")) ?? [])
        .filter { $0.hasPrefix("onnx_") && $0.hasSuffix(".onnx") }.sorted()

    @Test(arguments: cases)
    func `a state_dict from PyTorch predicts what PyTorch does within 1e-5`(name: String) throws {
        let bench = Bench()
        let base = Bench.fixtures + "/predict/" + name
        var arguments = ["model", "predict", base + ".safetensors", base + ".csv", "--raw", "--format", "csv"]
        if name.hasPrefix("relu") { arguments += ["--cell", "elman-relu"] }
        let outcome = try bench.rnnctl(arguments)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let expected = try String(contentsOfFile: base + ".expected.csv", encoding: .utf8)
        let error = distance(numbers(outcome.output), numbers(expected))
        print("parity \(name): \(error)")
        #expect(error < 1e-5)
        let input = try String(contentsOfFile: base + ".csv", encoding: .utf8)
        #expect(
            outcome.output.split(separator: "\n").dropFirst().map { $0.prefix { $0 != "," } }
                == input.split(separator: "\n").dropFirst().map { $0.prefix { $0 != "," } })
    }

    @Test func `relu is not mistaken for tanh: without the option the numbers differ`() throws {
        let bench = Bench()
        let base = Bench.fixtures + "/predict/relu_2"
        let outcome = try bench.rnnctl("model", "predict", base + ".safetensors", base + ".csv", "--raw")
        let expected = try String(contentsOfFile: base + ".expected.csv", encoding: .utf8)
        #expect(distance(numbers(outcome.output), numbers(expected)) > 1e-3)
    }

    @Test(arguments: onnx)
    func `an ONNX file predicts what onnxruntime does within 1e-5`(file: String) throws {
        let bench = Bench()
        let path = Bench.fixtures + "/models/" + file
        let truth = try Safetensors.read(Array(Data(contentsOf: URL(fileURLWithPath: path.replacing(".onnx", with: ".safetensors")))))
        let x = try #require(truth.tensors.first { $0.name == "x" })
        let y = try #require(truth.tensors.first { $0.name == "y" })
        let (inputs, outputs) = (x.shape[x.shape.count - 1], y.shape[y.shape.count - 1])
        var csv = "timestamp," + (0..<inputs).map { "c\($0)" }.joined(separator: ",") + "\n"
        for t in 0..<x.values.count / inputs {
            csv += "\(t)," + (0..<inputs).map { "\(x.values[t * inputs + $0])" }.joined(separator: ",") + "\n"
        }
        let outcome = try bench.rnnctl("model", "predict", path, try bench.write("in.csv", csv), "--raw")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let expected = (0..<y.values.count / outputs).map { t in (0..<outputs).map { Double(y.values[t * outputs + $0]) } }
        #expect(distance(Array(numbers(outcome.output).suffix(expected.count)), expected) < 1e-5)
    }

    @Test func `columns are the channels' names when there are as many outputs, else numbered`() throws {
        let bench = Bench()
        func header(_ name: String) throws -> String {
            let base = Bench.fixtures + "/predict/" + name
            return String(try bench.rnnctl("model", "predict", base + ".safetensors", base + ".csv", "--raw").output.prefix { $0 != "\n" })
        }
        #expect(try header("gru_2") == "timestamp,c0.predicted,c1.predicted,c2.predicted")
        #expect(try header("lstm_3") == "timestamp,out0.predicted,out1.predicted,out2.predicted,out3.predicted,out4.predicted")
    }

    @Test func `streams of one file have states of their own`() throws {
        let bench = Bench()
        let base = Bench.fixtures + "/predict/gru_2"
        let lines = try String(contentsOfFile: base + ".csv", encoding: .utf8).split(separator: "\n")
        var mixed = lines[0] + ",stream\n"
        for line in lines.dropFirst() { mixed += line + ",a\n" + line + ",b\n" }
        let apart = try bench.rnnctl("model", "predict", base + ".safetensors", base + ".csv", "--raw")
        let together = try bench.rnnctl("model", "predict", base + ".safetensors", try bench.write("mixed.csv", String(mixed)), "--raw")
        let alone = numbers(apart.output)
        let rows = together.output.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
        for stream in ["a", "b"] {
            let own = rows.filter { $0[1] == stream }.map { $0.dropFirst(2).map { Double($0) ?? .nan } }
            #expect(own == alone)
        }
    }

    @Test func `json lines carry the same numbers as CSV`() throws {
        let bench = Bench()
        let base = Bench.fixtures + "/predict/lstm_1"
        let csv = numbers(try bench.rnnctl("model", "predict", base + ".safetensors", base + ".csv", "--raw").output)
        let lines = try bench.rnnctl("model", "predict", base + ".safetensors", base + ".csv", "--raw", "--format", "jsonl").output
            .split(separator: "\n")
        let values = try lines.map { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return [try #require(object?["c0.predicted"] as? Double)]
        }
        #expect(values == csv)
    }

    // MARK: - Files that do not fit

    private func refused(_ bytes: [UInt8], _ words: String..., name: String = "bad.safetensors") throws {
        let bench = Bench()
        let input = Bench.fixtures + "/predict/gru_2.csv"
        let outcome = try bench.rnnctl("model", "predict", try bench.write(name, bytes), input, "--raw")
        #expect(!outcome.isCrash && outcome.status == 1 && outcome.output.isEmpty, "\(outcome)")
        for word in words { #expect(outcome.errors.contains(word), "\(outcome.errors)") }
    }

    private func gru(_ change: (inout [NamedTensor]) -> Void) throws -> [UInt8] {
        var tensors = try RecurrentModel(cell: .gru, inputSize: 3, hiddenSize: 4, outputSize: 3, seed: 1).tensors()
        change(&tensors)
        return Safetensors.write(.init(tensors: tensors))
    }

    @Test func `a header that announces 10 GB is refused by its size`() throws {
        var bytes = try gru { _ in }
        for (index, byte) in withUnsafeBytes(of: UInt64(10_000_000_000).littleEndian, Array.init).enumerated() { bytes[index] = byte }
        try refused(bytes, "header", "10000000000")
    }

    @Test func `a big-endian header is named as such`() throws {
        var bytes = try gru { _ in }
        bytes[0..<8].reverse()
        try refused(bytes, "big-endian")
    }

    @Test(arguments: [0, 1, 7, 8, 40, 300, 700])
    func `a file cut short is refused`(length: Int) throws { try refused(Array(try gru { _ in }.prefix(length))) }

    @Test func `a tensor of another shape is named with expected and found shape`() throws {
        try refused(
            try gru { tensors in
                tensors[3].shape = [11]
                tensors[3].values.removeLast()
            }, "rnn.bias_hh_l0", "[11]", "[12]")
    }

    @Test func `a bidirectional module is refused by name`() throws {
        try refused(
            try gru { tensors in
                for tensor in tensors.prefix(4) {
                    tensors.append(.init(name: tensor.name + "_reverse", shape: tensor.shape, values: tensor.values))
                }
            }, "_reverse", "bidirectional")
    }

    @Test func `a second dense layer is refused by name`() throws {
        try refused(
            try gru { $0.append(.init(name: "extra.weight", shape: [3, 4], values: [Float](repeating: 0, count: 12))) }, "dense layer")
    }

    @Test func `a weight that is NaN or infinite is refused`() throws {
        try refused(try gru { $0[1].values[5] = .nan }, "weight_hh_l0")
        try refused(try gru { $0[0].values[0] = .infinity }, "weight_ih_l0")
    }

    @Test func `pickles, archives and HDF5 are told what to write instead`() throws {
        try refused([0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 40), "save_file", name: "model.pt")
        try refused([0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 40), "zip archive", name: "model.keras")
        try refused([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A], "expected safetensors, ONNX or Keras", name: "model.weights.h5")
        try refused([0x80, 2, 0x8A, 10], "save_file", name: "model.pth")
    }

    @Test func `no damage of a file crashes the program`() throws {
        let bench = Bench()
        let input = Bench.fixtures + "/predict/gru_2.csv"
        var state: UInt64 = 20_261_123
        for (name, original) in [
            ("d.safetensors", try gru { _ in }), ("d.onnx", try ONNX.writeModel(Safetensors.readModel(try gru { _ in }))),
        ] {
            for _ in 0..<25 {
                var bytes = original
                for _ in 0..<4 {
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    bytes[Int(state >> 33) % min(bytes.count, 400)] = UInt8(truncatingIfNeeded: state >> 24)
                }
                let outcome = try bench.rnnctl("model", "predict", try bench.write(name, bytes), input, "--raw")
                #expect(!outcome.isCrash && outcome.status <= 1, "seed 20261123, \(name): \(outcome.errors)")
            }
        }
    }

    @Test func `readings that do not fit are refused with their line`() throws {
        let bench = Bench()
        let model = Bench.fixtures + "/predict/gru_2.safetensors"
        for (csv, word) in [
            ("timestamp,a,b,c\n1,1,2,3\n2,1,,3\n", "line 3"), ("timestamp,a,b,c\n1,1,nan,3\n", "line 2"),
            ("timestamp,a,b,c\n1,1,two,3\n", "\"two\""), ("timestamp,a,b,c\n1,1,2\n", "3 cells"),
            ("timestamp,a,b,c\n1,1,1e60,3\n", "too large"), ("timestamp,a,b\n1,1,2\n", "expected 3"), ("", "header"),
            ("timestamp,a,a,b\n1,1,2,3\n", "twice"),
        ] {
            let outcome = try bench.rnnctl("model", "predict", model, try bench.write("in.csv", csv), "--raw")
            #expect(!outcome.isCrash && outcome.status == 1 && outcome.output.isEmpty && outcome.errors.contains(word), "\(outcome)")
        }
    }

    @Test func `quotes, semicolons, a byte order mark and carriage returns do not change the numbers`() throws {
        let bench = Bench()
        let base = Bench.fixtures + "/predict/gru_2"
        let plain = try String(contentsOfFile: base + ".csv", encoding: .utf8)
        let dressed =
            "\u{FEFF}"
            + plain.split(separator: "\n").map { $0.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ";") + "\r\n" }.joined()
        let expected = try bench.rnnctl("model", "predict", base + ".safetensors", base + ".csv", "--raw").output
        #expect(try bench.rnnctl("model", "predict", base + ".safetensors", try bench.write("in.csv", dressed), "--raw").output == expected)
    }
}
