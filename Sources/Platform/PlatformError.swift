import Glibc

/// What the operating system refused, in the form "cannot <verb> <object>: <reason>".
public enum PlatformError: Error, CustomStringConvertible, Equatable {
    /// A system call failed with `code` (an errno value).
    case system(verb: String, object: String, code: Int32)
    /// Something else stands where we wanted to work; `reason` says what was found and what was expected.
    case refused(verb: String, object: String, reason: String)

    /// The error of the call that just failed.
    public static func last(_ verb: String, _ object: String) -> PlatformError {
        .system(verb: verb, object: object, code: errno)
    }

    /// The errno value, or 0 when the system was not the one that refused.
    public var code: Int32 {
        if case .system(_, _, let code) = self { return code }
        return 0
    }

    /// What an errno value means, in words.
    public static func text(_ code: Int32) -> String { String(cString: strerror(code)) }

    public var description: String {
        switch self {
        case .system(let verb, let object, let code): "cannot \(verb) \(object): \(PlatformError.text(code))"
        case .refused(let verb, let object, let reason): "cannot \(verb) \(object): \(reason)"
        }
    }
}
