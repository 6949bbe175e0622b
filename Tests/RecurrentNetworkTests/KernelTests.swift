import CRecurrentKernels
import Glibc
import RecurrentNetwork
import Testing

@Suite("Kernels of every instruction set")
struct KernelTests {
    static let sets = RecurrentEngine.usableInstructionSets

    @Test("every instruction set that this processor has is compiled in, the best one is chosen")
    func choice() throws {
        #expect(!Self.sets.isEmpty)
        let model = try RecurrentModel(cell: .gru, inputSize: 1, hiddenSize: 3, outputSize: 1, seed: 1)
        #expect(try RecurrentEngine(model: model).instructionSet == Self.sets[0])
        #expect(throws: NetworkError.self) { try RecurrentEngine(model: model, instructionSet: "z80") }
    }

    @Test(
        "tanh and sigmoid err by at most 3e-7 absolutely and 4e-7 relatively, never leave their range, and are monotone to 2 ulp",
        arguments: sets)
    func activations(set: String) throws {
        let table = try #require(
            (0..<8).compactMap { rk_table_at($0) }.first { String(cString: $0.pointee.name) == set })
        var xs: [Float] = [0]
        var x: Float = 1e-6
        while x < 100 {
            xs += [x, -x]
            x *= 1.0005
        }
        var ys = xs
        for (kind, bound, f) in [(RK_TANH, Float(-1), { tanh($0) }), (RK_SIGMOID, 0, { 1 / (1 + exp(-$0)) })]
            as [(Int, Float, (Double) -> Double)]
        {
            table.pointee.activate(Int32(kind), 0, 0, xs.count, xs, &ys)
            var (absolute, relative) = (0.0, 0.0)
            for (x, y) in zip(xs, ys) {
                let exact = f(Double(x))
                absolute = max(absolute, abs(Double(y) - exact))
                if abs(x) < 80 { relative = max(relative, exact == 0 ? abs(Double(y)) : abs(Double(y) / exact - 1)) }
                #expect(y >= bound && y <= 1)
            }
            print("activation \(kind) on \(set): max error \(absolute), relative \(relative)")
            #expect(absolute < 3e-7)
            #expect(relative < 4e-7)
            let sorted = zip(xs, ys).sorted { $0.0 < $1.0 }.map(\.1)
            for (a, b) in zip(sorted, sorted.dropFirst()) { #expect(b >= a - 2.4e-7) }
        }
    }

    @Test("NaN and infinity inside a kernel end at a bound")
    func notFinite() throws {
        for set in Self.sets {
            let table = try #require((0..<8).compactMap { rk_table_at($0) }.first { String(cString: $0.pointee.name) == set })
            let xs: [Float] = [.nan, .infinity, -.infinity, 3e38, -3e38]
            for kind in [RK_LINEAR, RK_TANH, RK_SIGMOID, RK_RELU, RK_HARD_SIGMOID] {
                var ys = xs
                table.pointee.activate(Int32(kind), 0.2, 0.5, xs.count, xs, &ys)
                #expect(ys.allSatisfy { $0.isFinite }, "\(set), activation \(kind): \(ys)")
            }
        }
    }

    @Test("random shapes of every cell equal the double-precision reference within 1e-5", arguments: sets, CellKind.allCases)
    func reference(set: String, cell: CellKind) throws {
        var worst = 0.0
        for seed in 0..<25 as Range<UInt64> {
            var draw = Draw(seed &* 77 &+ UInt64(cell.rawValue))
            var model = try draw.model(
                cell, activation: [.linear, .tanh, .sigmoid][draw.size(0...2)], relu: cell == .elman && seed % 2 == 1)
            if seed % 5 == 4, cell != .elman {
                for l in model.layers.indices { model.layers[l].gateActivation = .hardSigmoid(slope: 1 / 6, offset: 0.5) }
            }
            let inputs = draw.values(model.inputSize * 20, scale: 2)
            let engine = try RecurrentEngine(model: model, instructionSet: set)
            var state = RecurrentState(for: engine)
            let y = try engine.predict(inputs, state: &state)
            let expected = Reference(model).outputs(inputs)
            let error = relativeError(y, expected.map(Float.init))
            worst = max(worst, error)
            #expect(error < 1e-5, "seed \(seed)")
        }
        print("reference \(cell) on \(set): worst \(worst)")
    }

    @Test("instruction sets with fused multiply-add give the same bits")
    func sameBits() throws {
        let fused = Self.sets.filter { $0 != "sse2" }
        for cell in CellKind.allCases {
            var draw = Draw(5)
            let model = try draw.model(cell)
            let inputs = draw.values(model.inputSize * 30)
            var all: [[Float]] = []
            for set in fused {
                let engine = try RecurrentEngine(model: model, instructionSet: set)
                var state = RecurrentState(for: engine)
                all.append(try engine.predict(inputs, state: &state))
            }
            #expect(all.dropFirst().allSatisfy { $0 == all[0] }, "\(cell) on \(fused)")
        }
    }
}
