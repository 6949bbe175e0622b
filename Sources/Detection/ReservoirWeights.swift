import CDetectionKernels
import TimeSeries

/// Fixed weights of the two recurrent cores of a profile: the predictor core and the smaller novelty core.
///
/// Matrices are row major, `recurrent[i * units + j]` is the weight from unit j to unit i.
public struct ReservoirWeights: Sendable {
    /// One leaky tanh layer.
    public struct Layer: Sendable {
        /// Number of units.
        public var units: Int
        /// Input weights [units].
        public var input: [Double]
        /// Biases [units].
        public var bias: [Double]
        /// Leaks [units], in (0, 1].
        public var leak: [Double]
        /// Recurrent weights [units, units].
        public var recurrent: [Double]

        /// A layer from its arrays; counts must agree with `units`.
        public init(units: Int, input: [Double], bias: [Double], leak: [Double], recurrent: [Double]) {
            precondition(input.count == units && bias.count == units && leak.count == units && recurrent.count == units * units)
            self.units = units
            self.input = input
            self.bias = bias
            self.leak = leak
            self.recurrent = recurrent
        }
    }

    /// The predictor core.
    public var predictor: Layer
    /// The novelty core.
    public var novelty: Layer

    /// Weights from two layers.
    public init(predictor: Layer, novelty: Layer) {
        self.predictor = predictor
        self.novelty = novelty
    }

    /// The shipped weights: 64 and 16 units.
    public static let shipped: ReservoirWeights = {
        let w = cdk_weights_seed1().pointee
        func array(_ p: UnsafePointer<Double>, _ n: Int32) -> [Double] { Array(UnsafeBufferPointer(start: p, count: Int(n))) }
        func dense(_ p: UnsafePointer<cdk_entry>, _ entries: Int32, _ n: Int32) -> [Double] {
            var m = [Double](repeating: 0, count: Int(n) * Int(n))
            for e in UnsafeBufferPointer(start: p, count: Int(entries)) { m[Int(e.row) * Int(n) + Int(e.column)] = e.weight }
            return m
        }
        return ReservoirWeights(
            predictor: Layer(
                units: Int(w.units), input: array(w.input, w.units), bias: array(w.bias, w.units), leak: array(w.leak, w.units),
                recurrent: dense(w.recurrent, w.entries, w.units)),
            novelty: Layer(
                units: Int(w.novelty_units), input: array(w.novelty_input, w.novelty_units), bias: array(w.novelty_bias, w.novelty_units),
                leak: array(w.novelty_leak, w.novelty_units), recurrent: dense(w.novelty_recurrent, w.novelty_entries, w.novelty_units)))
    }()

    /// Fresh weights by the recipe of the shipped ones: recurrent 30 % dense Gaussian scaled to spectral radius 0.9, input U(-.5, .5),
    /// bias U(-.3, .3), leaks cycling 1, .5, .2, .08, .03 (predictor) and 1, .3, .1, .03, .01 (novelty).
    public init(seed: UInt64, units: Int, noveltyUnits: Int) {
        var random = SeededRandom(seed: seed)
        predictor = Self.layer(&random, units: units, leaks: [1, 0.5, 0.2, 0.08, 0.03])
        novelty = Self.layer(&random, units: noveltyUnits, leaks: [1, 0.3, 0.1, 0.03, 0.01])
    }

    private static func layer(_ random: inout SeededRandom, units n: Int, leaks: [Double]) -> Layer {
        var w = [Double](repeating: 0, count: n * n)
        for i in w.indices where random.uniform() < 0.3 { w[i] = random.gaussian() }
        let radius = spectralRadius(w, n)
        if radius > 0 { for i in w.indices { w[i] *= 0.9 / radius } }
        return Layer(
            units: n, input: (0..<n).map { _ in random.uniform(-0.5, 0.5) }, bias: (0..<n).map { _ in random.uniform(-0.3, 0.3) },
            leak: (0..<n).map { leaks[$0 % leaks.count] }, recurrent: w)
    }

    /// Gelfand's formula: the 2^12-th root of the norm of the 2^12-th power, by repeated squaring with renormalisation.
    static func spectralRadius(_ matrix: [Double], _ n: Int) -> Double {
        var m = matrix
        var logScale = 0.0
        var power = 1.0
        let padded = (n + 7) / 8 * 8
        for _ in 0..<12 {
            let norm = m.reduce(0) { $0 + $1 * $1 }.squareRoot()
            guard norm > 0 else { return 0 }
            logScale += logarithm(norm) / power
            power *= 2
            var next = [Double](repeating: 0, count: n * n)
            var row = [Double](repeating: 0, count: padded)
            var sum = [Double](repeating: 0, count: padded)
            for i in 0..<n {
                for j in 0..<padded { sum[j] = 0 }
                for k in 0..<n where m[i * n + k] != 0 {
                    for j in 0..<n { row[j] = m[k * n + j] }
                    cdk_axpy_f64(&sum, row, m[i * n + k] / norm / norm, Int32(padded))
                }
                for j in 0..<n { next[i * n + j] = sum[j] }
            }
            m = next
        }
        let norm = m.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return exponential(logScale + (norm > 0 ? logarithm(norm) / power : 0))
    }
}
