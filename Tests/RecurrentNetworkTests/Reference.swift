import Glibc
import RecurrentNetwork

/// The naive implementation in double precision: what every kernel is measured against. Written from the equations, not for speed.
struct Reference {
    let model: RecurrentModel
    /// Flat parameters, so that finite differences can move one.
    var parameters: [Double]

    init(_ model: RecurrentModel) {
        self.model = model
        parameters = model.flatParameters.map(Double.init)
    }

    static func apply(_ activation: Activation, _ x: Double) -> Double {
        switch activation {
        case .linear: x
        case .tanh: Glibc.tanh(x)
        case .sigmoid: 1 / (1 + exp(-x))
        case .relu: max(0, x)
        case .hardSigmoid(let slope, let offset): min(1, max(0, Double(slope) * x + Double(offset)))
        }
    }

    /// [steps][outputs] of one stream from zero.
    func outputs(_ inputs: [Float]) -> [Double] {
        var rows: [[Double]] = []
        for start in stride(from: 0, to: inputs.count, by: model.inputSize) {
            rows.append(inputs[start..<start + model.inputSize].map(Double.init))
        }
        var at = 0
        for layer in model.layers { rows = run(layer, rows, &at) }
        if let dense = model.readout {
            let (weights, bias) = (at, at + dense.weights.count)
            rows = rows.map { h in
                (0..<dense.outputSize).map { o in
                    var sum = parameters[bias + o]
                    for k in 0..<dense.inputSize { sum += parameters[weights + o * dense.inputSize + k] * h[k] }
                    return Self.apply(dense.activation, sum)
                }
            }
        }
        return rows.flatMap { $0 }
    }

    private func run(_ layer: RecurrentLayer, _ rows: [[Double]], _ at: inout Int) -> [[Double]] {
        let (gates, hidden, inputs) = (layer.cell.gateCount, layer.hiddenSize, layer.inputSize)
        let ih = at
        let hh = ih + gates * hidden * inputs
        let bih = hh + gates * hidden * hidden
        let bhh = bih + gates * hidden
        at = bhh + gates * hidden
        func product(_ base: Int, _ row: Int, _ x: [Double]) -> Double {
            var sum = 0.0
            for k in x.indices { sum += parameters[base + row * x.count + k] * x[k] }
            return sum
        }
        let (gate, candidate, output) = (layer.gateActivation, layer.candidateActivation, layer.outputActivation)
        var h = [Double](repeating: 0, count: hidden)
        var c = h
        return rows.map { x in
            func a(_ g: Int, _ u: Int) -> Double { product(ih, g * hidden + u, x) + parameters[bih + g * hidden + u] }
            func b(_ g: Int, _ u: Int, _ h: [Double]) -> Double { product(hh, g * hidden + u, h) + parameters[bhh + g * hidden + u] }
            let before = h
            let reset = (0..<hidden).map { u in gates == 3 ? Self.apply(gate, a(0, u) + b(0, u, before)) * before[u] : 0 }
            for u in 0..<hidden {
                switch layer.cell {
                case .elman: h[u] = Self.apply(candidate, a(0, u) + b(0, u, before))
                case .lstm:
                    let i = Self.apply(gate, a(0, u) + b(0, u, before))
                    let f = Self.apply(gate, a(1, u) + b(1, u, before))
                    c[u] = f * c[u] + i * Self.apply(candidate, a(2, u) + b(2, u, before))
                    h[u] = Self.apply(gate, a(3, u) + b(3, u, before)) * Self.apply(output, c[u])
                case .gru, .gruResetBefore:
                    let r = Self.apply(gate, a(0, u) + b(0, u, before))
                    let z = Self.apply(gate, a(1, u) + b(1, u, before))
                    let inner = layer.cell == .gru ? r * b(2, u, before) : b(2, u, reset)
                    h[u] = (1 - z) * Self.apply(candidate, a(2, u) + inner) + z * before[u]
                }
            }
            return h
        }
    }

    /// Mean loss of outputs, from the definitions.
    func loss(_ inputs: [Float], _ targets: [Float], _ targetSize: Int, _ loss: Loss) -> Double {
        let y = outputs(inputs)
        let width = model.outputSize
        var sum = 0.0
        var terms = 0
        for t in 0..<targets.count / targetSize {
            for d in 0..<targetSize {
                let target = Double(targets[t * targetSize + d])
                switch loss {
                case .meanSquared:
                    sum += pow(y[t * width + d] - target, 2)
                    terms += 1
                case .huber(let delta):
                    let e = abs(y[t * width + d] - target)
                    sum += e <= Double(delta) ? e * e / 2 : Double(delta) * (e - Double(delta) / 2)
                    terms += 1
                case .gaussian:
                    let s = y[t * width + targetSize + d]
                    sum += 0.5 * (s + pow(y[t * width + d] - target, 2) / exp(s))
                    terms += 1
                case .quantile(let levels):
                    for (q, level) in levels.enumerated() {
                        let e = target - y[t * width + d * levels.count + q]
                        sum += max(Double(level) * e, (Double(level) - 1) * e)
                        terms += 1
                    }
                }
            }
        }
        return sum / Double(terms)
    }
}

/// Random models and inputs for laws.
struct Draw {
    var random: SeededRandom

    init(_ seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func size(_ range: ClosedRange<Int>) -> Int { range.lowerBound + random.index(below: range.count) }

    mutating func values(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in random.uniform(-scale, scale) } }

    mutating func model(_ cell: CellKind, outputs: Int? = nil, activation: Activation = .linear, relu: Bool = false, hiddenMax: Int = 37)
        throws -> RecurrentModel
    {
        try RecurrentModel(
            cell: cell, inputSize: size(1...5), hiddenSize: size(1...hiddenMax), layerCount: size(1...3),
            outputSize: outputs ?? size(1...4),
            outputActivation: activation, candidateActivation: relu ? .relu : .tanh, seed: random.next())
    }
}
