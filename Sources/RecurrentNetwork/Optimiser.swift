import CRecurrentKernels

/// How weights follow their gradient.
public enum OptimiserKind: Sendable, Equatable {
    /// W <- W - rate dL/dW (with momentum as `torch.optim.SGD` if not 0).
    case sgd(rate: Double, momentum: Double = 0)
    /// Kingma and Ba 2015, as `torch.optim.Adam`.
    case adam(rate: Double, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8)
}

/// An optimiser with its memory, a plain value that can be saved with `exported` and continued.
public struct Optimiser: Sendable, Equatable {
    /// The rule and its rate; the rate may be changed between steps.
    public var kind: OptimiserKind
    /// dL/dW + weightDecay W (L2).
    public var weightDecay: Double
    /// Steps taken.
    public private(set) var stepCount: Int64 = 0
    private(set) var first: [Float]
    private(set) var second: [Float]

    /// Memory at zero for `parameterCount` weights.
    public init(_ kind: OptimiserKind, parameterCount: Int, weightDecay: Double = 0) {
        self.kind = kind
        self.weightDecay = weightDecay
        switch kind {
        case .sgd(_, let momentum):
            first = Array(repeating: 0, count: momentum == 0 ? 0 : parameterCount)
            second = []
        case .adam:
            first = Array(repeating: 0, count: parameterCount)
            second = first
        }
    }

    /// One step. `gradient` has as many values as `weights`.
    public mutating func step(_ weights: inout [Float], gradient: [Float]) {
        guard weights.count == gradient.count else { return }
        stepCount += 1
        let count = weights.count
        switch kind {
        case .sgd(let rate, let momentum):
            if momentum == 0 {
                rk_sgd(&weights, gradient, nil, count, rate, 0, weightDecay, 0)
            } else {
                rk_sgd(&weights, gradient, &first, count, rate, momentum, weightDecay, stepCount == 1 ? 1 : 0)
            }
        case .adam(let rate, let beta1, let beta2, let epsilon):
            rk_adam(&weights, gradient, &first, &second, count, rate, beta1, beta2, epsilon, weightDecay, stepCount)
        }
    }

    /// Steps and moments, to be stored beside the weights.
    public var exported: (stepCount: Int64, first: [Float], second: [Float]) { (stepCount, first, second) }

    /// Continues from what `exported` gave.
    public mutating func restore(stepCount: Int64, first: [Float], second: [Float]) throws(NetworkError) {
        guard first.count == self.first.count, second.count == self.second.count, stepCount >= 0 else {
            throw .snapshot(
                reason:
                    "got optimiser memory of \(first.count) and \(second.count) values, expected \(self.first.count) and \(self.second.count)"
            )
        }
        try checkFinite(first, "optimiser memory")
        try checkFinite(second, "optimiser memory")
        self.stepCount = stepCount
        self.first = first
        self.second = second
    }

    /// Scales `gradient` so that its Euclidean norm is at most `maximum` (as `torch.nn.utils.clip_grad_norm_`); returns the norm before.
    public static func clip(_ gradient: inout [Float], norm maximum: Double?) -> Double {
        let norm = rk_square_sum(gradient, gradient.count).squareRoot()
        if let maximum, norm.isFinite, norm > maximum { rk_scale(&gradient, gradient.count, Float(maximum / (norm + 1e-6))) }
        return norm
    }
}
