import Glibc
import RecurrentNetwork
import Testing

@Suite("Training")
struct TrainerTests {
    /// A damped pair of sines: predictable from the past, not from one reading.
    static func history(_ count: Int, phase: Double) -> [Float] {
        (0..<count).map { t -> Float in
            let (fast, slow) = (sin(Double(t) * 0.31 + phase), sin(Double(t) * 0.083 + 2 * phase))
            return Float(0.6 * fast + 0.4 * slow)
        }
    }

    static func trainer(_ cell: CellKind, _ change: (inout TrainingOptions) -> Void = { _ in }) throws -> Trainer {
        var options = TrainingOptions()
        options.windowLength = 24
        options.windowStride = 12
        options.batchSize = 16
        options.epochCountMax = 12
        options.optimiser = .adam(rate: 0.01)
        change(&options)
        let outputs = options.loss.outputSize(targets: 1)
        let model = try RecurrentModel(cell: cell, inputSize: 1, hiddenSize: 12, outputSize: outputs, seed: 5)
        let series = try [0.0, 1.3].map { try TrainingSeries(forecasting: history(500, phase: $0), channelCount: 1) }
        return try Trainer(model: model, series: series, options: options)
    }

    @Test("training brings the held-back loss far below that of repeating the last reading", arguments: [CellKind.elman, .lstm, .gru])
    func learns(cell: CellKind) throws {
        let trainer = try Self.trainer(cell)
        while !trainer.isFinished { _ = try trainer.runEpoch() }
        let values = Self.history(500, phase: 0)
        let naive = zip(values, values.dropFirst()).map { Double(($1 - $0) * ($1 - $0)) }.reduce(0, +) / 499
        let reached = try #require(trainer.history.compactMap(\.validationLoss).min())
        print("training \(cell): held-back \(reached), repeating the last reading \(naive)")
        #expect(reached < naive / 4)
        #expect(trainer.history.contains { $0.isBest })
    }

    @Test("stopping at any batch, exporting, restoring and going on gives the same bits as never stopping; a seed decides all")
    func resume() throws {
        func finish(_ trainer: Trainer) throws -> [Float] {
            while trainer.epoch < 3 { try trainer.step() }
            return trainer.current.flatParameters
        }
        let expected = try finish(try Self.trainer(.gru))
        for stop in [1, 4, 9] {
            let first = try Self.trainer(.gru)
            for _ in 0..<stop { try first.step() }
            let second = try Self.trainer(.gru)
            try second.restore(first.exportState())
            #expect(try finish(second) == expected)
        }
        #expect(try finish(try Self.trainer(.gru) { $0.seed = 2 }) != expected)
    }

    @Test("damaged training states are refused and change nothing")
    func damagedState() throws {
        let trainer = try Self.trainer(.elman)
        try trainer.step()
        let bytes = trainer.exportState()
        let before = trainer.current
        for at in stride(from: 0, to: bytes.count, by: 97) {
            var damaged = bytes
            damaged[at] ^= 1
            #expect(throws: NetworkError.self) { try trainer.restore(damaged) }
            #expect(throws: NetworkError.self) { try trainer.restore(Array(bytes[..<at])) }
        }
        #expect(trainer.current == before)
        let other = try Self.trainer(.gru)
        #expect(throws: NetworkError.self) { try other.restore(bytes) }
    }

    @Test("shards run in any order give the same bits")
    func shards() throws {
        let forward = try Self.trainer(.lstm) { $0.shardCount = 3 }
        let backward = try Self.trainer(.lstm) { $0.shardCount = 3 }
        for _ in 0..<6 {
            let a = try forward.step()
            let b = try backward.step { count, body in for i in (0..<count).reversed() { body(i) } }
            #expect(a == b)
        }
        #expect(forward.current == backward.current)
        let single = try Self.trainer(.lstm)
        for _ in 0..<6 { try single.step() }
        #expect(relativeError(forward.current.flatParameters, single.current.flatParameters) < 1e-3)
    }

    @Test("early stopping ends after `patience` epochs without improvement and keeps the best weights")
    func earlyStopping() throws {
        let trainer = try Self.trainer(.elman) {
            $0.optimiser = .sgd(rate: 0)
            $0.patience = 2
        }
        while !trainer.isFinished { _ = try trainer.runEpoch() }
        #expect(trainer.epoch == 3)
        #expect(trainer.best == trainer.current)
    }

    @Test("a pause between batches loses nothing")
    func pause() throws {
        let trainer = try Self.trainer(.gru)
        let paused = try trainer.runEpoch(onStep: { $0.batch < 1 })
        #expect(paused == nil)
        #expect(trainer.batch == 2)
        let finished = try trainer.runEpoch()
        #expect(finished != nil)
        #expect(trainer.epoch == 1)
    }

    @Test("quantile training orders the quantiles around the data; Gaussian training finds the noise", arguments: [0, 1])
    func distributions(kind: Int) throws {
        var random = SeededRandom(seed: 11)
        let noise = (0..<3000).map { _ -> Float in  // nearly normal: the sum of twelve uniforms
            var sum: Float = -6
            for _ in 0..<12 { sum += random.uniform(0, 1) }
            return sum
        }
        let series = try TrainingSeries(inputs: [Float](repeating: 0, count: 3000), inputSize: 1, targets: noise, targetSize: 1)
        var options = TrainingOptions()
        options.loss = kind == 0 ? .quantile([0.1, 0.5, 0.9]) : .gaussian
        options.optimiser = .adam(rate: 0.02)
        options.epochCountMax = 15
        let model = try RecurrentModel(
            cell: .gru, inputSize: 1, hiddenSize: 4, outputSize: options.loss.outputSize(targets: 1), seed: 3)
        let trainer = try Trainer(model: model, series: [series], options: options)
        while !trainer.isFinished { _ = try trainer.runEpoch() }
        let engine = try RecurrentEngine(model: trainer.best)
        var state = RecurrentState(for: engine)
        let y = try engine.predict([Float](repeating: 0, count: 50), state: &state).suffix(engine.outputSize)
        let last = Array(y)
        if kind == 0 {  // the normal quantiles are -1.28, 0, 1.28
            for (got, wanted) in zip(last, [-1.28, 0, 1.28] as [Float]) { #expect(abs(got - wanted) < 0.2) }
        } else {
            #expect(abs(last[0]) < 0.15)
            #expect(abs(last[1]) < 0.2)
        }
    }

    @Test("scheduled sampling trains and differs from teacher forcing; a wrong target width is refused")
    func scheduledSampling() throws {
        let forced = try Self.trainer(.gru)
        let sampled = try Self.trainer(.gru) { $0.teacherForcing = 0.5 }
        for _ in 0..<4 {
            try forced.step()
            try sampled.step()
        }
        #expect(forced.current != sampled.current)
        #expect(sampled.current.flatParameters.allSatisfy { $0.isFinite })
    }

    @Test("hostile options and data are typed errors")
    func refusals() throws {
        #expect(throws: NetworkError.self) { try Self.trainer(.gru) { $0.windowLength = 0 } }
        #expect(throws: NetworkError.self) { try Self.trainer(.gru) { $0.windowLength = 5000 } }
        #expect(throws: NetworkError.self) { try Self.trainer(.gru) { $0.validationFraction = 1 } }
        #expect(throws: NetworkError.self) { try Self.trainer(.gru) { $0.loss = .quantile([1.5]) } }
        #expect(throws: NetworkError.self) { try Self.trainer(.gruResetBefore) }
        #expect(throws: NetworkError.self) { try TrainingSeries(forecasting: [1, .nan, 2], channelCount: 1) }
        let wild = try Self.trainer(.elman) {
            $0.optimiser = .sgd(rate: 1e38)
            $0.gradientNormMax = nil
        }
        #expect(throws: NetworkError.self) { for _ in 0..<50 { try wild.step() } }
    }
}
