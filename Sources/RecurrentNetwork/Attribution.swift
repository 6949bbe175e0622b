/// Which inputs made a prediction: gradients of one output after the last reading of a window by every earlier input.
///
/// Shapes: a window is [steps][inputSize]; attributions have the same shape. All functions are pure.
public struct Attribution: Sendable, Equatable {
    /// [steps][inputSize]: what each input contributed to output - baselineOutput.
    public let contributions: [Float]
    /// The explained output for the window.
    public let output: Float
    /// The same output for the baseline window.
    public let baselineOutput: Float
    /// Sum of contributions - (output - baselineOutput): 0 for an exact attribution (completeness).
    public var residual: Float { contributions.reduce(0, +) - (output - baselineOutput) }

    /// Contributions summed over time, [inputSize].
    public func byChannel(inputSize: Int) -> [Float] {
        (0..<max(0, inputSize)).map { i in stride(from: i, to: contributions.count, by: inputSize).reduce(0) { $0 + contributions[$1] } }
    }

    /// Integrated gradients (Sundararajan et al. 2017) along the straight line from `baseline` to `window`, midpoint rule.
    ///
    /// - Parameters:
    ///   - baseline: a window of the same shape (usual readings, or zeros for normalised ones).
    ///   - output: index of the explained output.
    ///   - start: the state before the window, of one stream; nil: zero.
    ///   - points: points on the line; 32 leave a residual of about 1e-3 of the difference for smooth cells.
    public static func integratedGradients(
        of model: RecurrentModel, window: [Float], baseline: [Float], output: Int = 0, start: RecurrentState? = nil, points: Int = 32
    ) throws(NetworkError) -> Attribution {
        try RecurrentModel.check("points", points, 1...4096)
        guard baseline.count == window.count else { throw .shape(tensor: "baseline", expected: [window.count], got: [baseline.count]) }
        let size = model.inputSize
        let steps = window.count / max(1, size)
        var line = [Float](repeating: 0, count: steps * points * size)
        for t in 0..<steps {
            for p in 0..<points {
                let share = (Float(p) + 0.5) / Float(points)
                for i in 0..<size {
                    let (from, to) = (baseline[t * size + i], window[t * size + i])
                    line[(t * points + p) * size + i] = from + share * (to - from)
                }
            }
        }
        let gradients = try outputGradients(of: model, inputs: line, streamCount: points, output: output, start: start)
        var contributions = [Float](repeating: 0, count: window.count)
        for t in 0..<steps {
            for i in 0..<size {
                var sum: Float = 0
                for p in 0..<points { sum += gradients[(t * points + p) * size + i] }
                contributions[t * size + i] = sum / Float(points) * (window[t * size + i] - baseline[t * size + i])
            }
        }
        return .init(
            contributions: contributions, output: try last(of: model, window, output, start),
            baselineOutput: try last(of: model, baseline, output, start))
    }

    /// Gradient times (input - baseline): the first-order attribution, one pass; not complete for non-linear cells.
    public static func gradientTimesInput(
        of model: RecurrentModel, window: [Float], baseline: [Float], output: Int = 0, start: RecurrentState? = nil
    ) throws(NetworkError) -> Attribution {
        guard baseline.count == window.count else { throw .shape(tensor: "baseline", expected: [window.count], got: [baseline.count]) }
        let gradients = try outputGradients(of: model, inputs: window, streamCount: 1, output: output, start: start)
        return .init(
            contributions: window.indices.map { gradients[$0] * (window[$0] - baseline[$0]) },
            output: try last(of: model, window, output, start), baselineOutput: try last(of: model, baseline, output, start))
    }

    /// Occlusion: how much the output falls when one input is replaced by its baseline, each on its own.
    public static func occlusion(
        of model: RecurrentModel, window: [Float], baseline: [Float], output: Int = 0, start: RecurrentState? = nil
    ) throws(NetworkError) -> Attribution {
        guard baseline.count == window.count else { throw .shape(tensor: "baseline", expected: [window.count], got: [baseline.count]) }
        let engine = try RecurrentEngine(model: model)
        try RecurrentModel.check("output", output, 0...max(0, model.outputSize - 1))
        let (size, count) = (model.inputSize, window.count)
        let steps = count / max(1, size)
        var inputs = [Float](repeating: 0, count: steps * count * size)  // stream s has element s replaced
        for t in 0..<steps {
            for s in 0..<count {
                for i in 0..<size {
                    let at = t * size + i
                    inputs[(t * count + s) * size + i] = s == at ? baseline[at] : window[at]
                }
            }
        }
        var states = start?.repeated(count: count, for: engine) ?? RecurrentState(for: engine, streamCount: count)
        let y = try engine.predict(inputs, streamCount: count, state: &states)
        let whole = try last(of: model, window, output, start)
        let from = (steps - 1) * count * model.outputSize
        return .init(
            contributions: (0..<count).map { whole - y[from + $0 * model.outputSize + output] }, output: whole,
            baselineOutput: try last(of: model, baseline, output, start))
    }

    /// Permutation importance (Breiman 2001): the rise of the mean loss when one channel's readings are shuffled in time.
    /// - Returns: [inputSize] loss differences and the loss with nothing shuffled.
    public static func permutationImportance(
        of model: RecurrentModel, series: TrainingSeries, loss: Loss, seed: UInt64
    ) throws(NetworkError) -> (rises: [Double], loss: Double) {
        let engine = try RecurrentEngine(model: model)
        guard series.inputSize == model.inputSize, loss.outputSize(targets: series.targetSize) == model.outputSize, series.count > 0 else {
            throw .shape(tensor: "series", expected: [model.inputSize, model.outputSize], got: [series.inputSize, series.targetSize])
        }
        let plain = try meanLoss(engine, series.inputs, series, loss)
        var rises: [Double] = []
        for channel in 0..<series.inputSize {
            var random = SeededRandom(seed: seed &+ UInt64(channel))
            var inputs = series.inputs
            for t in (1..<max(1, series.count)).reversed() {
                inputs.swapAt(t * series.inputSize + channel, random.index(below: t + 1) * series.inputSize + channel)
            }
            rises.append(try meanLoss(engine, inputs, series, loss) - plain)
        }
        return (rises, plain)
    }

    /// d(output after the last reading)/d(inputs), [steps][streamCount][inputSize].
    static func outputGradients(
        of model: RecurrentModel, inputs: [Float], streamCount: Int, output: Int, start: RecurrentState?
    ) throws(NetworkError) -> [Float] {
        let engine = try RecurrentEngine(model: model)
        let outputs = model.outputSize
        try RecurrentModel.check("output", output, 0...max(0, outputs - 1))
        let begin = start?.repeated(count: streamCount, for: engine) ?? RecurrentState(for: engine, streamCount: streamCount)
        var state = begin
        var targets = try engine.predict(inputs, streamCount: streamCount, state: &state)
        let steps = targets.count / max(1, streamCount * outputs)
        // The squared error of a target that lies `half` below the output has the derivative 1 by this output and 0 by the others.
        let half = Float(streamCount * outputs) / 2
        for s in 0..<streamCount { targets[((steps - 1) * streamCount + s) * outputs + output] -= half }
        let work = try BackPropagation(shape: model, streamCount: streamCount, stepCount: steps, withInputGradient: true)
        work.load(model.flatParameters)
        _ = try work.run(
            inputs: inputs, targets: targets, targetSize: outputs, loss: .meanSquared, start: begin, ignoredSteps: steps - 1)
        return work.inputGradients(steps: steps)
    }

    private static func last(of model: RecurrentModel, _ window: [Float], _ output: Int, _ start: RecurrentState?) throws(NetworkError)
        -> Float
    {
        let engine = try RecurrentEngine(model: model)
        var state = start?.repeated(count: 1, for: engine) ?? RecurrentState(for: engine)
        let y = try engine.predict(window, state: &state)
        let at = y.count - model.outputSize + output
        return y.indices.contains(at) ? y[at] : 0
    }

    private static func meanLoss(_ engine: RecurrentEngine, _ inputs: [Float], _ series: TrainingSeries, _ loss: Loss) throws(NetworkError)
        -> Double
    {
        var state = RecurrentState(for: engine)
        let y = try engine.predict(inputs, state: &state)
        var unused = [Float](repeating: 0, count: engine.outputSize)
        var sum = 0.0
        y.withUnsafeBufferPointer { y in
            series.targets.withUnsafeBufferPointer { targets in
                guard let y = y.baseAddress, let targets = targets.baseAddress else { return }
                for t in 0..<series.count {
                    sum += loss.evaluate(
                        outputs: y + t * engine.outputSize, targets: targets + t * series.targetSize, count: series.targetSize, scale: 0,
                        gradient: &unused)
                }
            }
        }
        return sum / Double(series.count * loss.termCount(targets: series.targetSize))
    }
}
