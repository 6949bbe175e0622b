import Glibc

/// What training minimises, averaged over readings, streams and targets (PyTorch's `reduction="mean"`).
public enum Loss: Sendable, Equatable {
    /// (y - t)^2.
    case meanSquared
    /// Quadratic within `delta`, linear beyond: `torch.nn.HuberLoss`.
    case huber(delta: Float)
    /// -log N(t; mean, exp(logVariance)) without the constant. The network has 2 D outputs: D means, then D log variances
    /// (held to -20...20). Equals `torch.nn.GaussianNLLLoss` on (mean, exp(logVariance)).
    case gaussian
    /// Pinball loss. The network has D * Q outputs, the Q quantiles of target 0 first. Levels in (0, 1).
    case quantile([Float])

    /// Outputs the network needs for `targets` targets.
    public func outputSize(targets: Int) -> Int {
        switch self {
        case .meanSquared, .huber: targets
        case .gaussian: 2 * targets
        case .quantile(let levels): levels.count * targets
        }
    }

    /// The point prediction of target `d` among the outputs of one reading (mean, or the quantile nearest to 0.5).
    public func pointIndex(_ d: Int, targets: Int) -> Int {
        guard case .quantile(let levels) = self else { return d }
        let middle = levels.indices.min { abs(levels[$0] - 0.5) < abs(levels[$1] - 0.5) } ?? 0
        return d * levels.count + middle
    }

    func validate() throws(NetworkError) {
        switch self {
        case .huber(let delta) where !(delta > 0 && delta.isFinite):
            throw .unsupported("use Huber delta \(delta): expected a positive number")
        case .quantile(let levels) where levels.isEmpty || !levels.allSatisfy({ $0 > 0 && $0 < 1 }):
            throw .unsupported("use quantile levels \(levels): expected numbers between 0 and 1")
        default: return
        }
    }

    /// Loss of one reading, summed over targets, and `scale` times its derivative by every output into `gradient`.
    /// - Parameters:
    ///   - outputs: `outputSize(targets:)` values.
    ///   - targets: D values.
    func evaluate(
        outputs: UnsafePointer<Float>, targets: UnsafePointer<Float>, count: Int, scale: Float, gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        var sum = 0.0
        switch self {
        case .meanSquared:
            for d in 0..<count {
                let e = outputs[d] - targets[d]
                sum += Double(e) * Double(e)
                gradient[d] = 2 * e * scale
            }
        case .huber(let delta):
            for d in 0..<count {
                let e = outputs[d] - targets[d]
                let a = abs(e)
                sum += Double(a <= delta ? 0.5 * e * e : delta * (a - 0.5 * delta))
                gradient[d] = max(-delta, min(delta, e)) * scale
            }
        case .gaussian:
            for d in 0..<count {
                let raw = outputs[count + d]
                let s = max(-20, min(20, raw))
                let e = outputs[d] - targets[d]
                let precision = expf(-s)
                sum += 0.5 * (Double(s) + Double(e) * Double(e) * Double(precision))
                gradient[d] = e * precision * scale
                gradient[count + d] = s == raw ? 0.5 * (1 - e * e * precision) * scale : 0
            }
        case .quantile(let levels):
            for d in 0..<count {
                for (q, level) in levels.enumerated() {
                    let at = d * levels.count + q
                    let e = targets[d] - outputs[at]
                    sum += Double(e >= 0 ? level * e : (level - 1) * e)
                    gradient[at] = (e >= 0 ? -level : 1 - level) * scale
                }
            }
        }
        return sum
    }

    /// Terms of the mean per reading: targets, or targets times quantiles.
    func termCount(targets: Int) -> Int {
        if case .quantile(let levels) = self { targets * levels.count } else { targets }
    }
}
