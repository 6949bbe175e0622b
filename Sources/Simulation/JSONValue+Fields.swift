import Tabular
import TimeSeries

extension JSONValue {
    /// Times that are taken from files, 1970 to 2223: differences of two, and a slack of 31 years, stay within 64 bits.
    static let fileTimesNs: ClosedRange<Int64> = 0...8_000_000_000_000_000_000

    /// A list of strings; one string is split at its commas.
    var texts: [String]? {
        switch self {
        case .array(let items): items.compactMap(\.text)
        case .string(let text): text.split(separator: ",").map(String.init)
        default: nil
        }
    }

    /// Nanoseconds since 1970 from RFC 3339 text or a Unix time in any usual unit; nil beyond ``fileTimesNs``.
    var timeNs: Int64? {
        let ns: Int64? =
            switch self {
            case .string(let text): TimeText.instant(text)
            case .integer(let number): TimeText.nanoseconds(epoch: number)
            case .number(let number) where number.magnitude < 5e9: Int64(number * 1e9)
            default: nil
            }
        return ns.flatMap { Self.fileTimesNs.contains($0) ? $0 : nil }
    }
}

extension JSONReader {
    /// The next value of a file called `what` in messages.
    mutating func next(of what: String) throws(SimulationError) -> JSONValue? {
        do { return try next() } catch { throw .file(what: what, line: error.line, reason: "column \(error.column): \(error.reason)") }
    }
}
