/// After one batch.
public struct TrainingStep: Sendable, Equatable {
    /// Epoch, from 0.
    public let epoch: Int
    /// Batch of the epoch, from 0, of `batchCount`.
    public let batch: Int
    /// Batches of an epoch.
    public let batchCount: Int
    /// Mean loss of the batch before the step.
    public let loss: Double
    /// Gradient norm before clipping.
    public let gradientNorm: Double
}

/// After one epoch.
public struct TrainingEpoch: Sendable, Equatable {
    /// From 0.
    public let epoch: Int
    /// Mean over the batches of the epoch (each before its step).
    public let trainingLoss: Double
    /// Loss on the held-back readings; nil if none are held back.
    public let validationLoss: Double?
    /// True if the best so far.
    public let isBest: Bool
}

/// Calls body(0) ... body(count - 1), in any order or at once; returns when all are done.
public typealias ShardRunner = (_ count: Int, _ body: @Sendable (Int) -> Void) -> Void

/// Training by truncated back-propagation through time, one step at a time: the caller owns threads, clock, terminal and files.
///
/// The run follows from model, series, options and seed alone: the same bits however often it is exported and resumed and whatever the
/// `ShardRunner`. Confined to one task.
public final class Trainer {
    /// Settings; unchangeable, a change is a new trainer.
    public let options: TrainingOptions
    /// Windows per epoch.
    public let windowCount: Int
    /// Batches per epoch.
    public let batchCount: Int
    /// Epoch under way or next.
    public private(set) var epoch = 0
    /// Next batch of the epoch.
    public private(set) var batch = 0
    /// Epochs done.
    public private(set) var history: [TrainingEpoch] = []
    /// Bytes held for activations and gradients.
    public var workspaceBytes: Int { shards.reduce(0) { $0 + $1.workspaceBytes } }

    private let shape: RecurrentModel
    private let series: [TrainingSeries]
    private let windows: [(series: Int, start: Int)]
    private let targetSize: Int
    private var weights: [Float]
    private var bestWeights: [Float]
    private var bestLoss = Double.infinity
    private var bestEpoch = -1
    private var optimiser: Optimiser
    private var lossSum = 0.0
    private var shards: [BackPropagation] = []
    private var gradient: [Float]

    /// Prepares windows and memory. All series share one model; those shorter than a window are left out.
    public init(model: RecurrentModel, series: [TrainingSeries], options: TrainingOptions) throws(NetworkError) {
        try model.validate()
        try options.validate()
        guard let first = series.first else { throw .unsupported("train without a series") }
        for one in series where one.inputSize != model.inputSize || one.targetSize != first.targetSize {
            throw .shape(tensor: "training series", expected: [model.inputSize, first.targetSize], got: [one.inputSize, one.targetSize])
        }
        let outputs = options.loss.outputSize(targets: first.targetSize)
        guard model.outputSize == outputs else { throw .shape(tensor: "output", expected: [outputs], got: [model.outputSize]) }
        guard options.teacherForcing == 1 || first.targetSize >= model.inputSize else {
            throw .unsupported("feed predictions back: got \(first.targetSize) targets, expected at least the \(model.inputSize) inputs")
        }
        self.options = options
        self.series = series
        shape = model
        targetSize = first.targetSize
        windows = Self.windows(series, options)
        guard !windows.isEmpty else {
            throw .limit(
                object: "the longest training series (readings before the held-back part)",
                got: series.map { Self.trainingCount($0, options) }.max() ?? 0, allowed: options.windowLength...Int.max)
        }
        windowCount = windows.count
        batchCount = (windows.count + options.batchSize - 1) / options.batchSize
        weights = model.flatParameters
        bestWeights = weights
        gradient = Array(repeating: 0, count: weights.count)
        optimiser = Optimiser(options.optimiser, parameterCount: weights.count, weightDecay: options.weightDecay)
        for share in Self.shares(min(options.batchSize, windows.count), options.shardCount) {
            shards.append(try makeShard(share))
        }
    }

    /// The model with the best held-back loss so far.
    public var best: RecurrentModel { (try? shape.with(flatParameters: bestWeights)) ?? shape }
    /// The model with the present weights.
    public var current: RecurrentModel { (try? shape.with(flatParameters: weights)) ?? shape }
    /// True after `epochCountMax` epochs or `patience` epochs without improvement.
    public var isFinished: Bool { epoch >= options.epochCountMax || epoch - 1 - bestEpoch >= options.patience }

    /// One batch: gradient, clipping, optimiser step. Ends the epoch with its last batch (see `history`).
    ///
    /// Throws `.notFinite` if the loss or the gradient diverged; the weights are then those before the step.
    @discardableResult
    public func step(runner: ShardRunner? = nil) throws(NetworkError) -> TrainingStep {
        if batch == 0 { lossSum = 0 }
        let chosen = batchWindows()
        let loss = try gradient(of: chosen, runner)
        let norm = Optimiser.clip(&gradient, norm: options.gradientNormMax)
        guard norm.isFinite else { throw .notFinite(object: "gradient", index: 0) }
        optimiser.step(&weights, gradient: gradient)
        try checkFinite(weights, "weights after a step (the learning rate is too large)")
        lossSum += loss
        let report = TrainingStep(epoch: epoch, batch: batch, batchCount: batchCount, loss: loss, gradientNorm: norm)
        batch += 1
        if batch == batchCount { try endEpoch() }
        return report
    }

    /// The batches to the end of the epoch. `onStep` returns false to pause; then nil is returned and training can go on or be exported.
    public func runEpoch(runner: ShardRunner? = nil, onStep: (TrainingStep) -> Bool = { _ in true }) throws(NetworkError) -> TrainingEpoch?
    {
        let running = epoch
        while epoch == running {
            let report = try step(runner: runner)
            if !onStep(report), epoch == running { return nil }
        }
        return history.last
    }

    // MARK: windows

    private static func trainingCount(_ series: TrainingSeries, _ options: TrainingOptions) -> Int {
        series.count - Int((Double(series.count) * options.validationFraction).rounded(.down))
    }

    private static func windows(_ series: [TrainingSeries], _ options: TrainingOptions) -> [(series: Int, start: Int)] {
        var list: [(series: Int, start: Int)] = []
        for (index, one) in series.enumerated() {
            let last = trainingCount(one, options) - options.windowLength
            for start in stride(from: 0, through: last, by: options.windowStride) { list.append((index, start)) }
        }
        return list
    }

    /// `count` windows over `parts` shards, as even as possible, none empty.
    private static func shares(_ count: Int, _ parts: Int) -> [Int] {
        let parts = min(parts, count)
        return (0..<parts).map { count * ($0 + 1) / parts - count * $0 / parts }
    }

    private func makeShard(_ streams: Int) throws(NetworkError) -> BackPropagation {
        try BackPropagation(
            shape: shape, streamCount: streams, stepCount: options.windowLength, checkpointEvery: options.checkpointEvery)
    }

    /// The windows of this batch: a permutation that follows from seed and epoch.
    private func batchWindows() -> [(series: Int, start: Int)] {
        if order.epoch != epoch || order.indices.isEmpty {
            var random = SeededRandom(seed: options.seed &+ UInt64(epoch) &* 0x9E37_79B9)
            var indices = Array(windows.indices)
            for i in indices.indices.dropFirst().reversed() { indices.swapAt(i, random.index(below: i + 1)) }
            order = (epoch, indices)
        }
        let from = batch * options.batchSize
        return order.indices[from..<min(from + options.batchSize, windows.count)].map { windows[$0] }
    }

    private var order: (epoch: Int, indices: [Int]) = (-1, [])

    /// [windowLength][count][size] of the chosen windows.
    private func gather(_ chosen: ArraySlice<(series: Int, start: Int)>, inputs: Bool) -> [Float] {
        let size = inputs ? shape.inputSize : targetSize
        let count = chosen.count
        return [Float](unsafeUninitializedCapacity: options.windowLength * count * size) { buffer, initialised in
            for (b, window) in chosen.enumerated() {
                let source = inputs ? series[window.series].inputs : series[window.series].targets
                source.withUnsafeBufferPointer { source in
                    for t in 0..<options.windowLength {
                        for k in 0..<size { buffer[(t * count + b) * size + k] = source[(window.start + t) * size + k] }
                    }
                }
            }
            initialised = options.windowLength * count * size
        }
    }

    // MARK: gradient

    private func gradient(of chosen: [(series: Int, start: Int)], _ runner: ShardRunner?) throws(NetworkError) -> Double {
        let shares = Self.shares(chosen.count, options.shardCount)
        if shares.count != shards.count || zip(shares, shards).contains(where: { $0 != $1.streamCount }) {
            shards = []
            for share in shares { shards.append(try makeShard(share)) }
        }
        var jobs: [ShardJob] = []
        var from = 0
        for (share, shard) in zip(shares, shards) {
            let part = chosen[from..<from + share]
            var inputs = gather(part, inputs: true)
            if options.teacherForcing < 1 { try feedPredictions(&inputs, streams: share, firstWindow: from) }
            jobs.append(ShardJob(work: shard, inputs: inputs, targets: gather(part, inputs: false)))
            from += share
        }
        let batchJobs = BatchJobs(jobs: jobs, weights: weights, targetSize: targetSize, loss: options.loss, ignored: options.ignoredSteps)
        if let runner, jobs.count > 1 {
            runner(jobs.count) { batchJobs.run($0) }
        } else {
            for index in jobs.indices { batchJobs.run(index) }
        }
        return try combine(jobs, total: chosen.count)
    }

    private func combine(_ jobs: [ShardJob], total: Int) throws(NetworkError) -> Double {
        var loss = 0.0
        for i in gradient.indices { gradient[i] = 0 }
        for job in jobs {
            let part: Double
            switch job.result {
            case .success(let value): part = value
            case .failure(let error): throw error
            }
            let share = Double(job.work.streamCount) / Double(total)
            loss += part * share
            let scale = Float(share)
            job.work.gradient.withUnsafeBufferPointer { from in
                gradient.withUnsafeMutableBufferPointer { to in for i in to.indices { to[i] += scale * from[i] } }
            }
        }
        return loss
    }

    /// Replaces inputs after the first by the network's own predictions, each with chance 1 - teacherForcing.
    private func feedPredictions(_ inputs: inout [Float], streams: Int, firstWindow: Int) throws(NetworkError) {
        var random = SeededRandom(seed: options.seed ^ UInt64(epoch) << 40 ^ UInt64(batch) << 16 ^ UInt64(firstWindow))
        let engine = try RecurrentEngine(model: current)
        var state = RecurrentState(for: engine, streamCount: streams)
        let (size, outputs) = (shape.inputSize, shape.outputSize)
        for t in 0..<options.windowLength - 1 {
            let y = try engine.predict(Array(inputs[t * streams * size..<(t + 1) * streams * size]), streamCount: streams, state: &state)
            for b in 0..<streams where random.uniform(0, 1) >= options.teacherForcing {
                for k in 0..<size {
                    let value = y[b * outputs + options.loss.pointIndex(k, targets: targetSize)]
                    if value.isFinite { inputs[((t + 1) * streams + b) * size + k] = value }
                }
            }
        }
    }

    // MARK: epochs

    private func endEpoch() throws(NetworkError) {
        let training = lossSum / Double(batchCount)
        let validation = options.validationFraction > 0 ? try heldBackLoss() : nil
        let watched = validation ?? training
        let isBest = watched < bestLoss
        if isBest {
            bestLoss = watched
            bestEpoch = epoch
            bestWeights = weights
        }
        history.append(.init(epoch: epoch, trainingLoss: training, validationLoss: validation, isBest: isBest))
        epoch += 1
        batch = 0
    }

    /// Mean loss of the present weights on the held-back readings, after one window of context from a zero state; nil if none.
    public func heldBackLoss() throws(NetworkError) -> Double? {
        let engine = try RecurrentEngine(model: current)
        var sum = 0.0
        var terms = 0
        var unused = [Float](repeating: 0, count: shape.outputSize)
        for one in series {
            let from = Self.trainingCount(one, options)
            let context = max(0, from - options.windowLength)
            guard from < one.count else { continue }
            var state = RecurrentState(for: engine)
            let y = try engine.predict(Array(one.inputs[(context * one.inputSize)...]), state: &state)
            y.withUnsafeBufferPointer { y in
                one.targets.withUnsafeBufferPointer { targets in
                    guard let y = y.baseAddress, let targets = targets.baseAddress else { return }
                    for t in from..<one.count {
                        sum += options.loss.evaluate(
                            outputs: y + (t - context) * shape.outputSize, targets: targets + t * targetSize, count: targetSize, scale: 0,
                            gradient: &unused)
                    }
                }
            }
            terms += (one.count - from) * options.loss.termCount(targets: targetSize)
        }
        guard terms > 0 else { return nil }
        guard sum.isFinite else { throw .notFinite(object: "held-back loss", index: 0) }
        return sum / Double(terms)
    }

    // MARK: resume

    /// Everything needed to go on later with the same model shape, series and options.
    public func exportState() -> [UInt8] {
        var out = ByteWriter(mark: "RNT1")
        for value in [epoch, batch, bestEpoch, history.count, weights.count] { out.integer(Int64(value)) }
        out.integer(optimiser.stepCount)
        for value in [bestLoss, lossSum] { out.double(value) }
        for entry in history {
            out.double(entry.trainingLoss)
            out.double(entry.validationLoss ?? .nan)
            out.integer(entry.isBest ? 1 : 0)
        }
        for part in [weights, bestWeights, optimiser.exported.first, optimiser.exported.second] { out.floats(part) }
        return out.finished()
    }

    /// Goes on from what `exportState` gave. On an error nothing has changed.
    public func restore(_ bytes: [UInt8]) throws(NetworkError) {
        var input = try ByteReader(bytes, mark: "RNT1")
        var numbers: [Int] = []
        for _ in 0..<5 { numbers.append(Int(try input.integer())) }
        let steps = try input.integer()
        let (best, sum) = (try input.double(), try input.double())
        guard numbers[4] == weights.count, (0...options.epochCountMax).contains(numbers[0]), (0..<batchCount).contains(numbers[1]),
            numbers[3] == numbers[0]
        else { throw .snapshot(reason: "got the training state of another model, other data or other options") }
        var entries: [TrainingEpoch] = []
        for index in 0..<numbers[3] {
            let training = try input.double()
            let validation = try input.double()
            let isBest = try input.integer() == 1
            entries.append(
                .init(epoch: index, trainingLoss: training, validationLoss: validation.isNaN ? nil : validation, isBest: isBest))
        }
        let (new, newBest) = (try input.floats(), try input.floats())
        let (first, second) = (try input.floats(), try input.floats())
        guard new.count == weights.count, newBest.count == weights.count else { throw .snapshot(reason: "got weights of another model") }
        try checkFinite(new, "weights of the training state")
        try checkFinite(newBest, "weights of the training state")
        try optimiser.restore(stepCount: steps, first: first, second: second)
        (epoch, batch, bestEpoch, history) = (numbers[0], numbers[1], numbers[2], entries)
        (bestLoss, lossSum, weights, bestWeights) = (best, sum, new, newBest)
    }
}

/// One shard's data and, afterwards, result.
private final class ShardJob {
    let work: BackPropagation
    let inputs: [Float]
    let targets: [Float]
    var result: Result<Double, NetworkError> = .success(0)

    init(work: BackPropagation, inputs: [Float], targets: [Float]) {
        self.work = work
        self.inputs = inputs
        self.targets = targets
    }
}

/// The shards of a batch for a runner. `@unchecked Sendable`: call i touches only jobs[i] and constants, and the runner returns after
/// all calls, before anyone else looks.
private struct BatchJobs: @unchecked Sendable {
    let jobs: [ShardJob]
    let weights: [Float]
    let targetSize: Int
    let loss: Loss
    let ignored: Int

    func run(_ index: Int) {
        let job = jobs[index]
        job.work.load(weights)
        do throws(NetworkError) {
            job.result = .success(
                try job.work.run(inputs: job.inputs, targets: job.targets, targetSize: targetSize, loss: loss, ignoredSteps: ignored))
        } catch { job.result = .failure(error) }
    }
}
