/// Why the body of a request could not be read.
public enum WireError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The bytes are not what the format says; `offset` in bytes from the beginning of the (decoded) body.
    case malformed(format: String, offset: Int, got: String, expected: String)
    /// A declared or real size is over its bound.
    case tooLarge(what: String, got: Int, max: Int)

    public var description: String {
        switch self {
        case .malformed(let format, let offset, let got, let expected):
            "cannot read \(format): byte \(offset + 1): got \(got), expected \(expected)"
        case .tooLarge(let what, let got, let max): "cannot read \(what): got \(got) bytes, expected at most \(max)"
        }
    }
}
