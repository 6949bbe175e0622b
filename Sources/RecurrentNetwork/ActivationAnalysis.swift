/// What the hidden units of a network do on data.
public struct ActivationAnalysis: Sendable, Equatable {
    /// One hidden unit over a run of readings.
    public struct Unit: Sendable, Equatable {
        /// Layer, from 0.
        public let layer: Int
        /// Unit of the layer, from 0.
        public let unit: Int
        /// Mean of h.
        public let mean: Double
        /// Standard deviation of h.
        public let deviation: Double
        /// Smallest h.
        public let low: Float
        /// Largest h.
        public let high: Float
        /// Share of readings with |h| > 0.95, where tanh hardly lets a gradient through (relu: share of zeros, where none passes).
        public let saturation: Double
        /// Memory in readings: 1 + 2 (sum of the autocorrelations of h up to the first below 0.05), the integrated autocorrelation time.
        public let memory: Double
    }

    /// A unit that left its usual range.
    public struct Unusual: Sendable, Equatable {
        /// The unit as usual.
        public let unit: Unit
        /// Its value now.
        public let value: Float
        /// (value - mean) / deviation.
        public let deviations: Double
    }

    /// Layer after layer.
    public let units: [Unit]
    /// Readings analysed.
    public let readingCount: Int

    /// Runs one stream from zero over `inputs` [steps][inputSize]; the first `ignoredSteps` only warm up.
    /// Memory: steps times all hidden units floats.
    public init(engine: RecurrentEngine, inputs: [Float], ignoredSteps: Int = 0) throws(NetworkError) {
        let size = engine.inputSize
        let steps = inputs.count / size
        guard steps * size == inputs.count, steps > ignoredSteps, ignoredSteps >= 0 else {
            throw .shape(tensor: "input", expected: [ignoredSteps + 1, size], got: [steps, size])
        }
        var state = RecurrentState(for: engine)
        var traces = engine.model.layers.map { [[Float]](repeating: [], count: $0.hiddenSize) }
        for t in 0..<steps {
            _ = try engine.predict(Array(inputs[t * size..<(t + 1) * size]), state: &state)
            guard t >= ignoredSteps else { continue }
            for l in traces.indices {
                for (unit, value) in state.hidden(of: engine, layer: l).enumerated() { traces[l][unit].append(value) }
            }
        }
        readingCount = steps - ignoredSteps
        var units: [Unit] = []
        for (l, layer) in engine.model.layers.enumerated() {
            let isRelu = layer.cell == .elman && layer.candidateActivation == .relu
            for (unit, trace) in traces[l].enumerated() { units.append(Self.summary(l, unit, trace, isRelu: isRelu)) }
        }
        self.units = units
    }

    /// Units whose value in `state` lies more than `deviations` from their mean, the furthest first.
    public func unusual(
        in state: RecurrentState, engine: RecurrentEngine, stream: Int = 0, deviations limit: Double = 4
    ) -> [Unusual] {
        var found: [Unusual] = []
        for unit in units {
            let values = state.hidden(of: engine, layer: unit.layer, stream: stream)
            guard values.indices.contains(unit.unit) else { continue }
            let distance = (Double(values[unit.unit]) - unit.mean) / max(unit.deviation, 1e-6)
            if abs(distance) > limit { found.append(.init(unit: unit, value: values[unit.unit], deviations: distance)) }
        }
        return found.sorted { abs($0.deviations) > abs($1.deviations) }
    }

    /// One unit from its course over readings.
    /// - Parameter isRelu: zeros count as saturated, not |h| > 0.95.
    public static func summary(_ layer: Int, _ unit: Int, _ trace: [Float], isRelu: Bool) -> Unit {
        let count = Double(trace.count)
        let mean = trace.reduce(0.0) { $0 + Double($1) } / count
        let centred = trace.map { Double($0) - mean }
        let variance = centred.reduce(0.0) { $0 + $1 * $1 } / count
        let saturated = trace.filter { isRelu ? $0 == 0 : abs($0) > 0.95 }.count
        return Unit(
            layer: layer, unit: unit, mean: mean, deviation: variance.squareRoot(), low: trace.min() ?? 0, high: trace.max() ?? 0,
            saturation: Double(saturated) / count, memory: memory(centred, variance))
    }

    private static func memory(_ centred: [Double], _ variance: Double) -> Double {
        guard variance > 1e-12 else { return 1 }
        var sum = 1.0
        for lag in 1..<max(2, min(512, centred.count / 2)) {
            var product = 0.0
            for t in 0..<max(0, centred.count - lag) { product += centred[t] * centred[t + lag] }
            let correlation = product / Double(centred.count) / variance
            if correlation < 0.05 { break }
            sum += 2 * correlation
        }
        return sum
    }
}
