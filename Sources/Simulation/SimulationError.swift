/// Everything that can go wrong in this module, with text ready for a person.
public enum SimulationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A setting is outside its range.
    case setting(name: String, got: String, expected: String)
    /// A time or a duration cannot be read.
    case text(got: String, expected: String)
    /// A labels or alerts file cannot be read; `line` counts from 1.
    case file(what: String, line: Int, reason: String)

    public var description: String {
        switch self {
        case .setting(let name, let got, let expected): "cannot use \(name): got \(got), expected \(expected)"
        case .text(let got, let expected): "cannot read '\(got)': expected \(expected)"
        case .file(let what, let line, let reason): "cannot read \(what), line \(line): \(reason)"
        }
    }
}
