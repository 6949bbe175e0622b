/// Everything that can go wrong with a model, its input, its state or its training data. Never a trap.
public enum NetworkError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A tensor has another shape than the architecture asks for.
    case shape(tensor: String, expected: [Int], got: [Int])
    /// A value is NaN or infinite; `index` counts elements of the flattened object.
    case notFinite(object: String, index: Int)
    /// A size is outside what the kernels take.
    case limit(object: String, got: Int, allowed: ClosedRange<Int>)
    /// A state snapshot does not belong to this network or is damaged.
    case snapshot(reason: String)
    /// The network cannot do what is asked (for example training a cell without a backward pass).
    case unsupported(String)

    /// One line: "cannot <verb> <object>: got X, expected Y".
    public var description: String {
        switch self {
        case .shape(let tensor, let expected, let got):
            "cannot use tensor '\(tensor)': got shape \(got), expected \(expected)"
        case .notFinite(let object, let index):
            "cannot use \(object): got NaN or infinity at element \(index), expected finite numbers"
        case .limit(let object, let got, let allowed):
            "cannot use \(object): got \(got), expected \(allowed.lowerBound) to \(allowed.upperBound)"
        case .snapshot(let reason): "cannot restore state: \(reason)"
        case .unsupported(let what): "cannot \(what)"
        }
    }
}
