/// One stream's history as network inputs and what should come out, reading by reading.
public struct TrainingSeries: Sendable, Equatable {
    /// [count][inputSize].
    public let inputs: [Float]
    /// [count][targetSize].
    public let targets: [Float]
    /// Readings.
    public let count: Int
    /// Channels in.
    public let inputSize: Int
    /// Targets per reading.
    public let targetSize: Int

    /// Ready pairs. NaN and infinity are refused.
    public init(inputs: [Float], inputSize: Int, targets: [Float], targetSize: Int) throws(NetworkError) {
        try RecurrentModel.check("input size", inputSize, 1...RecurrentModel.widthMax)
        try RecurrentModel.check("target size", targetSize, 1...RecurrentModel.widthMax)
        count = inputs.count / inputSize
        guard inputs.count == count * inputSize else { throw .shape(tensor: "input", expected: [count, inputSize], got: [inputs.count]) }
        guard targets.count == count * targetSize else {
            throw .shape(tensor: "target", expected: [count, targetSize], got: [targets.count])
        }
        try checkFinite(inputs, "training input")
        try checkFinite(targets, "training target")
        self.inputs = inputs
        self.targets = targets
        self.inputSize = inputSize
        self.targetSize = targetSize
    }

    /// Forecasting pairs: reading t in, readings t+1 ... t+horizon out (all channels of t+1 first).
    ///
    /// With `horizon` > 1 every horizon is trained directly while the inputs stay the true readings (teacher forcing).
    /// - Parameter values: [readings][channelCount].
    public init(forecasting values: [Float], channelCount: Int, horizon: Int = 1) throws(NetworkError) {
        try RecurrentModel.check("channel count", channelCount, 1...RecurrentModel.widthMax)
        try RecurrentModel.check("horizon", horizon, 1...4096)
        let readings = values.count / channelCount
        guard values.count == readings * channelCount else {
            throw .shape(tensor: "history", expected: [readings, channelCount], got: [values.count])
        }
        let count = max(0, readings - horizon)
        var targets: [Float] = []
        targets.reserveCapacity(count * horizon * channelCount)
        for t in 0..<count { targets += values[(t + 1) * channelCount..<(t + 1 + horizon) * channelCount] }
        try self.init(
            inputs: Array(values[..<(count * channelCount)]), inputSize: channelCount, targets: targets, targetSize: horizon * channelCount)
    }
}

/// How to train.
public struct TrainingOptions: Sendable, Equatable {
    /// What is minimised.
    public var loss = Loss.meanSquared
    /// How weights move.
    public var optimiser = OptimiserKind.adam(rate: 0.003)
    /// L2 penalty.
    public var weightDecay = 0.0
    /// Readings of a window: gradients reach no further back.
    public var windowLength = 64
    /// Readings between the starts of windows.
    public var windowStride = 32
    /// First readings of each window that only warm up the state (which starts at zero).
    public var ignoredSteps = 0
    /// Windows of a batch.
    public var batchSize = 32
    /// Largest Euclidean norm of the gradient; nil: no clipping.
    public var gradientNormMax: Double? = 1
    /// Most epochs.
    public var epochCountMax = 50
    /// Epochs without a better held-back loss after which training ends.
    public var patience = 8
    /// Last part of every series that is held back, 0..<1; 0: early stopping watches the training loss.
    public var validationFraction = 0.2
    /// Chance that an input is the true reading and not the network's own last prediction (scheduled sampling, Bengio et al. 2015;
    /// predictions are fed as constants). Below 1 the first `inputSize` targets must be the next reading.
    public var teacherForcing: Float = 1
    /// Recompute states from every so many-th on the way back instead of keeping all; nil: keep all.
    public var checkpointEvery: Int?
    /// Parts of a batch whose gradients are computed independently (by threads of the caller) and added in order.
    public var shardCount = 1
    /// Order of windows and teacher forcing follow from it.
    public var seed: UInt64 = 1

    /// The defaults above.
    public init() {}

    func validate() throws(NetworkError) {
        try loss.validate()
        try RecurrentModel.check("window length", windowLength, 1...1_000_000)
        try RecurrentModel.check("window stride", windowStride, 1...1_000_000)
        try RecurrentModel.check("ignored steps", ignoredSteps, 0...windowLength - 1)
        try RecurrentModel.check("batch size", batchSize, 1...65536)
        try RecurrentModel.check("epochs", epochCountMax, 1...1_000_000)
        try RecurrentModel.check("patience", patience, 1...1_000_000)
        try RecurrentModel.check("shards", shardCount, 1...256)
        guard validationFraction >= 0, validationFraction < 1 else {
            throw .unsupported("hold back a fraction of \(validationFraction): expected 0 or more and less than 1")
        }
        guard teacherForcing >= 0, teacherForcing <= 1 else {
            throw .unsupported("use teacher forcing \(teacherForcing): expected 0 to 1")
        }
    }
}
