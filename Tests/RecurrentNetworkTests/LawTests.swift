import RecurrentNetwork
import Testing

@Suite("Laws of every cell")
struct LawTests {
    private func engines(_ cell: CellKind, seed: UInt64) throws -> [RecurrentEngine] {
        var draw = Draw(seed)
        let model = try draw.model(cell, relu: cell == .elman && seed % 2 == 0)
        return try RecurrentEngine.usableInstructionSets.map { try RecurrentEngine(model: model, instructionSet: $0) }
    }

    private func row(_ values: [Float], _ index: Int, _ width: Int) -> [Float] { Array(values[index * width..<(index + 1) * width]) }

    @Test(
        "any split of a sequence into calls gives the same bits, and a snapshot taken at a cut continues as if never stopped",
        arguments: CellKind.allCases, 1...6 as ClosedRange<UInt64>)
    func splits(cell: CellKind, seed: UInt64) throws {
        for engine in try engines(cell, seed: seed) {
            var draw = Draw(seed + 100)
            let steps = draw.size(2...40)
            let inputs = draw.values(steps * engine.inputSize)
            var whole = RecurrentState(for: engine)
            let expected = try engine.predict(inputs, state: &whole)
            var state = RecurrentState(for: engine)
            var got: [Float] = []
            var at = 0
            while at < steps {
                let chunk = min(steps - at, draw.size(1...7))
                got += try engine.predict(Array(inputs[at * engine.inputSize..<(at + chunk) * engine.inputSize]), state: &state)
                at += chunk
                state = try RecurrentState(restoring: state.snapshot(of: engine), for: engine)
            }
            #expect(got == expected, "seed \(seed), \(engine.instructionSet)")
            #expect(state == whole)
        }
    }

    @Test(
        "a stream's numbers do not depend on the batch, its size, its order or its neighbours, bit for bit",
        arguments: CellKind.allCases, 1...4 as ClosedRange<UInt64>)
    func batches(cell: CellKind, seed: UInt64) throws {
        for engine in try engines(cell, seed: seed) {
            var draw = Draw(seed + 200)
            let (streams, steps) = (draw.size(2...131), 5)
            let inputs = draw.values(steps * streams * engine.inputSize)
            var alone: [[Float]] = []
            for s in 0..<streams {
                var state = RecurrentState(for: engine)
                let own = (0..<steps).flatMap { row(inputs, $0 * streams + s, engine.inputSize) }
                alone.append(try engine.predict(own, state: &state))
            }
            var together = RecurrentState(for: engine, streamCount: streams)
            let y = try engine.predict(inputs, streamCount: streams, state: &together)
            for s in 0..<streams {
                let mine = (0..<steps).flatMap { row(y, $0 * streams + s, engine.outputSize) }
                #expect(mine == alone[s], "stream \(s) of \(streams), seed \(seed), \(engine.instructionSet)")
            }
            try shuffledRows(engine, inputs, streams, steps, alone, &draw)
        }
    }

    /// The pointer form with rows in random order, in batches of random size.
    private func shuffledRows(
        _ engine: RecurrentEngine, _ inputs: [Float], _ streams: Int, _ steps: Int, _ alone: [[Float]], _ draw: inout Draw
    ) throws {
        var state = RecurrentState(for: engine, streamCount: streams)
        for t in 0..<steps {
            let order = (0..<streams).map { UInt32($0) }.shuffled(using: &draw.random)
            var at = 0
            while at < streams {
                let rows = Array(order[at..<min(streams, at + draw.size(1...60))])
                at += rows.count
                let x = rows.flatMap { row(inputs, t * streams + Int($0), engine.inputSize) }
                var y = [Float](repeating: 0, count: rows.count * engine.outputSize)
                try state.withRows { values in
                    let base = try #require(values.baseAddress)
                    try engine.step(
                        count: rows.count, inputs: x, inputStride: engine.inputSize, states: base, rows: rows, outputs: &y,
                        outputStride: engine.outputSize)
                }
                for (i, s) in rows.enumerated() {
                    #expect(row(y, i, engine.outputSize) == row(alone[Int(s)], t, engine.outputSize))
                }
            }
        }
    }

    @Test("NaN or infinity in an input is an error and changes no state", arguments: [Float.nan, .infinity, -.infinity])
    func notFiniteInput(bad: Float) throws {
        for cell in CellKind.allCases {
            let engine = try #require(try engines(cell, seed: 3).first)
            var state = RecurrentState(for: engine, streamCount: 2)
            var inputs = [Float](repeating: 0.5, count: 2 * engine.inputSize)
            _ = try engine.predict(inputs, streamCount: 2, state: &state)
            let before = state
            inputs[2 * engine.inputSize - 1] = bad
            #expect(throws: NetworkError.self) { try engine.predict(inputs, streamCount: 2, state: &state) }
            #expect(throws: NetworkError.self) {
                try state.withRows { values in
                    let base = try #require(values.baseAddress)
                    try engine.step(count: 2, inputs: inputs, inputStride: engine.inputSize, states: base, outputs: nil, outputStride: 0)
                }
            }
            #expect(state == before)
        }
    }

    @Test("NaN or infinity in any weight is an error that names the tensor")
    func notFiniteWeight() throws {
        var model = try RecurrentModel(cell: .lstm, inputSize: 2, hiddenSize: 3, layerCount: 2, outputSize: 1, seed: 1)
        model.layers[1].recurrentBias[5] = .nan
        #expect(throws: NetworkError.notFinite(object: "tensor 'rnn.bias_hh_l1'", index: 5)) { try RecurrentEngine(model: model) }
    }

    @Test("the largest finite inputs and weights leave the state finite", arguments: CellKind.allCases)
    func overflow(cell: CellKind) throws {
        for engine in try engines(cell, seed: 2) {
            var model = engine.model
            for l in model.layers.indices {
                model.layers[l].inputWeights = model.layers[l].inputWeights.map { $0 * 3e38 }
                model.layers[l].recurrentWeights = model.layers[l].recurrentWeights.map { $0 * 3e38 }
            }
            let wild = try RecurrentEngine(model: model, instructionSet: engine.instructionSet)
            var state = RecurrentState(for: wild)
            for sign in [1, -1, 1] as [Float] {
                let y = try wild.predict([Float](repeating: sign * 3e38, count: wild.inputSize), state: &state)
                #expect(y.allSatisfy { $0.isFinite })
            }
            for l in model.layers.indices { #expect(state.hidden(of: wild, layer: l).allSatisfy { $0.isFinite }) }
        }
    }

    @Test("a snapshot with any byte changed, cut short, or of another network is refused")
    func damagedSnapshot() throws {
        let model = try RecurrentModel(cell: .lstm, inputSize: 1, hiddenSize: 3, outputSize: 1, seed: 4)
        let engine = try RecurrentEngine(model: model)
        var state = RecurrentState(for: engine, streamCount: 2)
        _ = try engine.predict([0.3, -0.2], streamCount: 2, state: &state)
        let bytes = state.snapshot(of: engine)
        #expect(try RecurrentState(restoring: bytes, for: engine) == state)
        for at in bytes.indices {
            var damaged = bytes
            damaged[at] ^= 0x10
            #expect(throws: NetworkError.self) { try RecurrentState(restoring: damaged, for: engine) }
            #expect(throws: NetworkError.self) { try RecurrentState(restoring: Array(bytes[..<at]), for: engine) }
        }
        let other = try RecurrentEngine(model: try RecurrentModel(cell: .gru, inputSize: 1, hiddenSize: 3, outputSize: 1, seed: 4))
        #expect(throws: NetworkError.self) { try RecurrentState(restoring: bytes, for: other) }
    }
}
