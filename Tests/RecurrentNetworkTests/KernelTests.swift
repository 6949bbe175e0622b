import CRecurrentKernels
import Glibc
@testable import RecurrentNetwork
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

    /// max |got - expected| / max |expected|.
    private func check(_ got: [Float], _ expected: [Double], _ what: String) {
        let largest = expected.reduce(0.0) { max($0, abs($1)) }
        let worst = zip(got, expected).reduce(0.0) { max($0, abs(Double($1.0) - $1.1)) } / max(largest, 1e-30)
        #expect(worst < 2e-6, "\(what): \(worst)")
    }

    @Test("products and sums over rows equal sums in double precision, for tiles of every kind and their rests", arguments: sets)
    func products(set: String) throws {
        let table = try #require((0..<8).compactMap { rk_table_at($0) }.first { String(cString: $0.pointee.name) == set }).pointee
        for seed in 0..<24 as Range<UInt64> {
            var draw = Draw(seed &* 991 &+ 7)
            let (rowsMax, depthMax) = (seed % 3 == 0 ? 300 : 20, seed % 4 == 0 ? 600 : 40)
            let (rows, depth, columns) = (draw.size(1...rowsMax), draw.size(1...depthMax), draw.size(1...70))
            let (lda, ldc) = (depth + draw.size(0...5), columns + draw.size(0...5))
            let a = draw.values(rows * lda), w = draw.values(depth * columns), start = draw.values(rows * ldc)
            var packed = [Float](repeating: 0, count: rk_dense_pack_size(Int32(depth), Int32(columns), table.lanes))
            rk_pack_dense(Int32(depth), Int32(columns), table.lanes, w, columns, 1, nil, &packed)
            var c = start
            table.gemm(Int32(rows), a, lda, Int32(depth), packed, Int32(columns), &c, ldc)
            var expected = start.map(Double.init)
            for r in 0..<rows {
                for q in 0..<columns {
                    for k in 0..<depth { expected[r * ldc + q] += Double(a[r * lda + k]) * Double(w[k * columns + q]) }
                }
            }
            check(c, expected, "gemm \(rows)x\(depth)x\(columns), seed \(seed)")

            let width = draw.size(1...4) * Int(RK_ROUND)
            let few = draw.size(0...5)
            let wide = draw.values(rows * width), thin = draw.values(rows * max(1, few))
            var sums = draw.values(width), products = draw.values(max(1, few) * width)
            var (wantedSums, wanted) = (sums.map(Double.init), products.map(Double.init))
            table.thin_sum(Int32(rows), wide, width, Int32(width), thin, max(1, few), Int32(few), &products, width, &sums)
            for r in 0..<rows {
                for m in 0..<width {
                    wantedSums[m] += Double(wide[r * width + m])
                    for i in 0..<few { wanted[i * width + m] += Double(wide[r * width + m]) * Double(thin[r * max(1, few) + i]) }
                }
            }
            check(sums, wantedSums, "sums, seed \(seed)")
            check(products, wanted, "thin products, seed \(seed)")

            var outer = [Float](repeating: 1, count: depth * width)
            var scratch = [Float](repeating: 0, count: Int(RK_OUTER_ROWS) * (depth + width))
            table.outer_sum(Int32(rows), a, lda, Int32(depth), wide, width, Int32(width), &outer, width, &scratch)
            var wantedOuter = [Double](repeating: 1, count: depth * width)
            for r in 0..<rows {
                for m in 0..<depth {
                    for q in 0..<width { wantedOuter[m * width + q] += Double(a[r * lda + m]) * Double(wide[r * width + q]) }
                }
            }
            check(outer, wantedOuter, "outer, seed \(seed)")
        }
    }

    @Test("a batch of any size gives every stream the bits that it has alone", arguments: sets, CellKind.allCases)
    func batches(set: String, cell: CellKind) throws {
        for (hidden, inputs, streams) in [(1, 1, 2), (7, 3, 5), (16, 1, 13), (33, 2, 50), (129, 9, 31)] {
            let model = try RecurrentModel(
                cell: cell, inputSize: inputs, hiddenSize: hidden, layerCount: 2, outputSize: 2, seed: UInt64(hidden))
            let engine = try RecurrentEngine(model: model, instructionSet: set)
            var draw = Draw(UInt64(streams))
            let steps = 3
            let x = draw.values(steps * streams * inputs)
            var together = RecurrentState(for: engine, streamCount: streams)
            let y = try engine.predict(x, streamCount: streams, state: &together)
            for s in [0, streams / 2, streams - 1] {
                var alone = RecurrentState(for: engine)
                var (own, got): ([Float], [Float]) = ([], [])
                for t in 0..<steps {
                    let row = t * streams + s
                    own += x[row * inputs..<row * inputs + inputs]
                    got += y[row * 2..<row * 2 + 2]
                }
                let expected = try engine.predict(own, state: &alone)
                #expect(got == expected, "\(cell) \(hidden), stream \(s) of \(streams)")
            }
        }
    }

    @Test("products by pairs of hidden units err like plain ones; large weights, other activations and small layers are not paired")
    func pairs() throws {
        for set in Self.sets where set.hasSuffix("-paired") {
            let table = try #require((0..<8).compactMap { rk_table_at($0) }.first { String(cString: $0.pointee.name) == set })
            for (hidden, cell) in [17, 31, 32, 49, 64, 100].flatMap({ h in [CellKind.elman, .lstm, .gru].map { (h, $0) } }) {
                var model = try RecurrentModel(
                    cell: cell, inputSize: 2, hiddenSize: hidden, layerCount: 1, outputSize: 1, seed: UInt64(hidden))
                var draw = Draw(UInt64(hidden) + 1)
                let gates = cell.gateCount
                model.layers[0].recurrentWeights = draw.values(gates * hidden * hidden, scale: 2 / Float(hidden).squareRoot())
                var pairs: Int32 { RecurrentEngine.pack(model.layers[0], table).0.pairs }
                #expect(pairs == (hidden > (cell == .elman ? 48 : 16) ? Int32(hidden + 2) / 3 : 0))
                let inputs = draw.values(2 * 40, scale: 3)
                let expected = Reference(model).outputs(inputs)
                var errors: [Double] = []
                for name in [set, String(set.dropLast(7))] {
                    let engine = try RecurrentEngine(model: model, instructionSet: name)
                    var state = RecurrentState(for: engine)
                    errors.append(relativeError(try engine.predict(inputs, state: &state), expected.map(Float.init)))
                }
                print("\(cell) \(hidden): error by pairs \(errors[0]), plain \(errors[1])")
                #expect(errors[0] < 3e-6)
                model.layers[0].recurrentWeights[hidden] = 2.5
                #expect(pairs == 0)
                model.layers[0].recurrentWeights[hidden] = 0.5
                model.layers[0].candidateActivation = .relu
                #expect(pairs == 0)
            }
        }
    }

    @Test("instruction sets give the same numbers but for rounding, those with the same formulas the same bits")
    func sameBits() throws {
        for cell in CellKind.allCases {
            var draw = Draw(5)
            let model = try draw.model(cell)
            let inputs = draw.values(model.inputSize * 30)
            var all: [String: [Float]] = [:]
            for set in Self.sets {
                let engine = try RecurrentEngine(model: model, instructionSet: set)
                var state = RecurrentState(for: engine)
                all[set] = try engine.predict(inputs, state: &state)
            }
            for (set, y) in all { #expect(relativeError(y, all[Self.sets[0]] ?? []) < 3e-6, "\(cell) on \(set)") }
            #expect(all["avx2"] == all["avx2x2"])
        }
    }
}
