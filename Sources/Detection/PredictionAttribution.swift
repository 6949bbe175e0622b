import TimeSeries

/// Which of the newest readings of a channel drove the built-in network's prediction: integrated gradients through time.
///
/// The prediction is w . [1, x_n, x_(n-1), h_n, clock] with h from the leaky core. The line of integration runs from a window of
/// usual readings (x = 0, the channel's mean) to the real one; the state before the window and the clock are the same at both ends.
/// Source: Sundararajan, Taly and Yan 2017. All numbers are in units of the channel's own deviation.
public struct PredictionAttribution: Sendable, Equatable {
    /// [n] what each reading of the window added to `output` - `baseline`, oldest first.
    public var contributions: [Double]
    /// The prediction after the window, and after the usual one.
    public var output: Double
    public var baseline: Double
    /// Sum of contributions - (output - baseline): 0 for an exact attribution (completeness).
    public var residual: Double { contributions.reduce(0, +) - (output - baseline) }

    /// - Parameters:
    ///   - layer: the core's weights.
    ///   - readout: weights of 1, x_n, x_(n-1), units, clock.
    ///   - clock: clock features after the last reading; zeros when the stream has none.
    ///   - start: hidden units before the window. `before`: the x before it.
    ///   - inputs: [n] x of the window, n at least 1.
    ///   - points: on the line of integration, midpoint rule.
    public init(
        layer: ReservoirWeights.Layer, readout: [Double], clock: [Double], start: [Double], before: Double, inputs: [Double],
        points: Int = 64
    ) {
        let run = Run(layer: layer, readout: readout, clock: clock, start: start, before: before)
        contributions = Array(repeating: 0, count: inputs.count)
        for p in 0..<points {
            let share = (Double(p) + 0.5) / Double(points)
            let gradient = run.gradient(inputs.map { $0 * share })
            for i in inputs.indices { contributions[i] += gradient[i] * inputs[i] / Double(points) }
        }
        output = run.output(inputs)
        baseline = run.output(inputs.map { _ in 0 })
    }

    /// The network unrolled over a window.
    private struct Run {
        let layer: ReservoirWeights.Layer
        let readout: [Double]
        let clock: [Double]
        let start: [Double]
        let before: Double

        func output(_ inputs: [Double]) -> Double { value(inputs, states(inputs).last?.h ?? start) }

        private func value(_ inputs: [Double], _ h: [Double]) -> Double {
            let n = layer.units
            var sum = readout[0] + readout[1] * (inputs.last ?? before)
            sum += readout[2] * (inputs.count > 1 ? inputs[inputs.count - 2] : before)
            for i in 0..<n { sum += readout[3 + i] * h[i] }
            for i in clock.indices { sum += readout[3 + n + i] * clock[i] }
            return sum
        }

        /// h after and tanh inside each step.
        private func states(_ inputs: [Double]) -> [(h: [Double], tanh: [Double])] {
            var h = start
            return inputs.map { x in
                let inside = (0..<layer.units).map { i in
                    var a = layer.input[i] * clipped(x, 8) + layer.bias[i]
                    for j in 0..<layer.units { a += layer.recurrent[i * layer.units + j] * h[j] }
                    return 1 - 2 / (exponential(2 * a) + 1)
                }
                h = (0..<layer.units).map { (1 - layer.leak[$0]) * h[$0] + layer.leak[$0] * inside[$0] }
                return (h, inside)
            }
        }

        /// d output / d inputs, by back-propagation through time.
        func gradient(_ inputs: [Double]) -> [Double] {
            let n = layer.units
            let steps = states(inputs)
            var out = [Double](repeating: 0, count: inputs.count)
            out[inputs.count - 1] = readout[1]
            if inputs.count > 1 { out[inputs.count - 2] = readout[2] }
            var dh = Array(readout[3..<(3 + n)])
            for t in inputs.indices.reversed() {
                var next = [Double](repeating: 0, count: n)
                for i in 0..<n {
                    let da = dh[i] * layer.leak[i] * (1 - steps[t].tanh[i] * steps[t].tanh[i])
                    if abs(inputs[t]) < 8 { out[t] += da * layer.input[i] }
                    next[i] += dh[i] * (1 - layer.leak[i])
                    for j in 0..<n { next[j] += da * layer.recurrent[i * n + j] }
                }
                dh = next
            }
            return out
        }
    }
}
