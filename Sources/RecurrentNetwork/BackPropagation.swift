import CRecurrentKernels

/// Back-propagation through time for `streamCount` streams over at most `stepCount` readings: the memory and the passes.
///
/// Legend: T steps, B streams, S steps of a segment (T, or `checkpointEvery`), I inputs, Hp padded hidden size, A accumulators.
/// Memory is fixed at creation: per layer (S+1) B Hp floats of h (and c), S B A Hp of gates (overwritten by their gradients), S B Hp of
/// dL/dh; with checkpoints also ceil(T/S) states of B streams. `workspaceBytes` states it. With `checkpointEvery` = S the states at
/// every S-th reading are kept and each segment is computed again on the way back: one more forward pass, T/S times less memory;
/// S = sqrt(T) is the usual choice.
///
/// Confined to one task: a class because its memory is reused, not `Sendable`.
public final class BackPropagation {
    /// Streams in a batch.
    public let streamCount: Int
    /// Most readings of a window.
    public let stepCount: Int
    /// Steps of a segment.
    public let segmentSteps: Int
    /// Floats of the flat parameter vector, see `RecurrentModel.flatParameters`.
    public let parameterCount: Int
    /// Bytes held for activations, gates and their gradients.
    public private(set) var workspaceBytes = 0
    /// Gradient of the last `run`, flat, in the order of `RecurrentModel.tensors()`.
    public private(set) var gradient: [Float]

    let table: UnsafePointer<rk_table>
    private var layers: [LayerWorkspace] = []
    private var head: [DenseWorkspace] = []
    private let shape: RecurrentModel
    private let inputs: AlignedFloats
    private let inputGradient: AlignedFloats?
    private let inputStride: Int
    private let topGradient: AlignedFloats
    private var checkpoints: [Float] = []

    /// Memory for a model of this shape. Elman, LSTM and GRU; `gruResetBefore` has no backward pass.
    /// - Parameters:
    ///   - checkpointEvery: nil keeps every state; S keeps every S-th and recomputes.
    ///   - withInputGradient: also compute dL/dx (`inputGradients`).
    public init(
        shape model: RecurrentModel, streamCount: Int, stepCount: Int, checkpointEvery: Int? = nil, withInputGradient: Bool = false,
        instructionSet: String? = nil
    ) throws(NetworkError) {
        try model.validate()
        guard !model.layers.contains(where: { $0.cell == .gruResetBefore }) else {
            throw .unsupported("train a GRU with the reset before the product (Keras reset_after=False): got it, expected reset_after=True")
        }
        guard model.readout != nil else { throw .unsupported("train a model without a readout") }
        try RecurrentModel.check("window length", stepCount, 1...1_000_000)
        try RecurrentModel.check("batch size", streamCount, 1...65536)
        try RecurrentModel.check("checkpoint interval", checkpointEvery ?? stepCount, 1...1_000_000)
        table = try RecurrentEngine.table(named: instructionSet)
        shape = model
        self.streamCount = streamCount
        self.stepCount = stepCount
        segmentSteps = min(stepCount, checkpointEvery ?? stepCount)
        parameterCount = model.parameterCount
        gradient = Array(repeating: 0, count: parameterCount)
        let rows = segmentSteps * streamCount
        inputStride = padded(model.inputSize)
        inputs = AlignedFloats(zeros: rows * inputStride)
        inputGradient = withInputGradient ? AlignedFloats(zeros: rows * inputStride) : nil
        topGradient = AlignedFloats(zeros: streamCount)
        for (l, layer) in model.layers.enumerated() {
            layers.append(
                LayerWorkspace(layer, rows: rows, streams: streamCount, lanes: table.pointee.lanes, needsInput: l > 0 || withInputGradient))
        }
        head = model.head.map { DenseWorkspace($0, rows: rows, lanes: table.pointee.lanes) }
        let floats = inputs.count + (inputGradient?.count ?? 0) + layers.reduce(0) { $0 + $1.floats } + head.reduce(0) { $0 + $1.floats }
        let segments = (stepCount + segmentSteps - 1) / segmentSteps
        workspaceBytes = 4 * (floats + (segments > 1 ? segments * layers.reduce(0) { $0 + $1.stateFloats } : 0))
    }

    /// Takes the weights to use from now on, flat.
    public func load(_ parameters: [Float]) {
        var at = 0
        for l in layers.indices { layers[l].load(parameters, &at, lanes: table.pointee.lanes) }
        for dense in head { dense.load(parameters, &at, lanes: table.pointee.lanes) }
    }

    /// Loss and, unless `forwardOnly`, its gradient (in `gradient`).
    ///
    /// - Parameters:
    ///   - inputs: [steps][streamCount][inputSize].
    ///   - targets: [steps][streamCount][targetSize].
    ///   - start: initial state; nil: zero.
    ///   - ignoredSteps: first steps that only warm the state up and do not count in the loss.
    ///   - outputs: if given, receives [steps][streamCount][outputSize].
    /// - Returns: the mean loss.
    public func run(
        inputs x: [Float], targets: [Float], targetSize: Int, loss: Loss, start: RecurrentState? = nil, ignoredSteps: Int = 0,
        forwardOnly: Bool = false
    ) throws(NetworkError) -> Double {
        let width = streamCount * shape.inputSize
        let steps = x.count / max(1, width)
        guard steps > 0, steps <= stepCount, x.count == steps * width else {
            throw .shape(tensor: "input", expected: [stepCount, streamCount, shape.inputSize], got: [x.count])
        }
        guard targets.count == steps * streamCount * targetSize, ignoredSteps < steps else {
            throw .shape(tensor: "target", expected: [steps, streamCount, targetSize], got: [targets.count])
        }
        guard loss.outputSize(targets: targetSize) == shape.outputSize else {
            throw .shape(tensor: "output", expected: [loss.outputSize(targets: targetSize)], got: [shape.outputSize])
        }
        let terms = Double((steps - ignoredSteps) * streamCount * loss.termCount(targets: targetSize))
        let job = Job(
            steps: steps, targetSize: targetSize, loss: loss, ignoredSteps: ignoredSteps, scale: Float(1 / terms), forwardOnly: forwardOnly)
        for l in layers.indices { try layers[l].begin(start, layer: l, of: shape) }
        if !forwardOnly { for dense in head { dense.clearGradient() } }
        let segments = (steps + segmentSteps - 1) / segmentSteps
        var sum = 0.0
        if forwardOnly || segments == 1 {
            for segment in 0..<segments {
                sum += forward(x, targets, segment, job)
                if !forwardOnly { backward(segment, job) }
                carryForward(segment, job)
            }
        } else {
            sum = runCheckpointed(x, targets, segments, job)
        }
        if !forwardOnly { collect() }
        guard sum.isFinite else { throw .notFinite(object: "loss", index: 0) }
        return sum / terms
    }

    /// dL/dx of the last `run`, [steps][streamCount][inputSize]; only for windows of one segment with `withInputGradient`.
    public func inputGradients(steps: Int) -> [Float] {
        guard let inputGradient, steps <= segmentSteps else { return [] }
        var out: [Float] = []
        out.reserveCapacity(steps * streamCount * shape.inputSize)
        for row in 0..<steps * streamCount {
            for i in 0..<shape.inputSize { out.append(inputGradient.pointer[row * inputStride + i]) }
        }
        return out
    }

    /// dL/dh of one layer before step `t` (t = 0: the initial state) after `run` of one segment, [streamCount][hiddenSize].
    func hiddenGradient(layer: Int, before t: Int) -> [Float] { layers[layer].hiddenGradient(before: t, streams: streamCount) }

    private struct Job {
        let steps: Int
        let targetSize: Int
        let loss: Loss
        let ignoredSteps: Int
        let scale: Float
        let forwardOnly: Bool
    }

    private func stepsIn(_ segment: Int, _ job: Job) -> Int { min(segmentSteps, job.steps - segment * segmentSteps) }

    private func runCheckpointed(_ x: [Float], _ targets: [Float], _ segments: Int, _ job: Job) -> Double {
        let perState = layers.reduce(0) { $0 + $1.stateFloats }
        if checkpoints.count < segments * perState { checkpoints = Array(repeating: 0, count: segments * perState) }
        for segment in 0..<segments - 1 {
            exchangeStates(segment * perState, saving: true)
            _ = forward(x, targets, segment, job, statesOnly: true)
            carryForward(segment, job)
        }
        exchangeStates((segments - 1) * perState, saving: true)
        var sum = 0.0
        for segment in (0..<segments).reversed() {
            exchangeStates(segment * perState, saving: false)
            sum += forward(x, targets, segment, job)
            backward(segment, job)
        }
        return sum
    }

    private func exchangeStates(_ offset: Int, saving: Bool) {
        var at = offset
        checkpoints.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for layer in layers { at += layer.exchangeState(base + at, saving: saving) }
        }
    }

    private func carryForward(_ segment: Int, _ job: Job) {
        for layer in layers { layer.carryForward(steps: stepsIn(segment, job), streams: streamCount) }
    }

    private func forward(_ x: [Float], _ targets: [Float], _ segment: Int, _ job: Job, statesOnly: Bool = false) -> Double {
        let steps = stepsIn(segment, job)
        let first = segment * segmentSteps
        let size = shape.inputSize
        x.withUnsafeBufferPointer { x in
            for row in 0..<steps * streamCount {
                for i in 0..<size { inputs.pointer[row * inputStride + i] = x[(first * streamCount + row) * size + i] }
            }
        }
        var source = UnsafePointer(inputs.pointer)
        var stride = inputStride
        for layer in layers {
            layer.forward(table, from: source, stride: stride, steps: steps, streams: streamCount, taping: !statesOnly && !job.forwardOnly)
            source = UnsafePointer(layer.hidden.pointer + streamCount * layer.width)
            stride = layer.width
        }
        guard !statesOnly, let readout = head.last else { return 0 }
        for dense in head {
            dense.forward(table, from: source, stride: stride, rows: steps * streamCount)
            (source, stride) = (UnsafePointer(dense.output.pointer), dense.width)
        }
        return evaluate(targets, first: first, steps: steps, job, readout)
    }

    private func evaluate(_ targets: [Float], first: Int, steps: Int, _ job: Job, _ dense: DenseWorkspace) -> Double {
        targets.withUnsafeBufferPointer { targets in
            guard let base = targets.baseAddress else { return 0 }
            var sum = 0.0
            for row in 0..<steps * streamCount {
                let gradient = dense.outputGradient.pointer + row * dense.width
                if first + row / streamCount < job.ignoredSteps {
                    gradient.update(repeating: 0, count: dense.outputs)
                    continue
                }
                sum += job.loss.evaluate(
                    outputs: dense.output.pointer + row * dense.width,
                    targets: base + (first * streamCount + row) * job.targetSize, count: job.targetSize, scale: job.scale,
                    gradient: gradient)
            }
            return sum
        }
    }

    private func backward(_ segment: Int, _ job: Job) {
        let steps = stepsIn(segment, job)
        guard let top = layers.last else { return }
        top.openGradient(steps: steps, streams: streamCount)
        for d in head.indices.reversed() {
            let below = d > 0 ? head[d - 1] : nil
            below?.outputGradient.clear()
            head[d].backward(
                table, from: UnsafePointer(below?.output.pointer ?? top.hidden.pointer + streamCount * top.width),
                stride: below?.width ?? top.width, rows: steps * streamCount,
                into: below?.outputGradient.pointer ?? top.hiddenGradients.pointer + streamCount * top.width)
        }
        for l in layers.indices.reversed() {
            let layer = layers[l]
            if l < layers.count - 1 {
                layer.openGradient(steps: steps, streams: streamCount)
                layers[l + 1].inputBackward(
                    table, rows: steps * streamCount, into: layer.hiddenGradients.pointer + streamCount * layer.width, stride: layer.width)
            }
            layer.backward(table, steps: steps, streams: streamCount)
            let below =
                l == 0 ? UnsafePointer(inputs.pointer) : UnsafePointer(layers[l - 1].hidden.pointer + streamCount * layers[l - 1].width)
            layer.weightGradients(
                table, from: below, stride: l == 0 ? inputStride : layers[l - 1].width, rows: steps * streamCount, streams: streamCount)
        }
        if let inputGradient {
            inputGradient.clear()
            layers[0].inputBackward(table, rows: steps * streamCount, into: inputGradient.pointer, stride: inputStride)
        }
    }

    private func collect() {
        var at = 0
        for layer in layers { layer.collect(&gradient, &at) }
        for dense in head { dense.collect(&gradient, &at) }
    }
}
