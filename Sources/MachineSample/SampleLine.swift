/// One line of line protocol in the making; a line without fields is never written.
struct SampleLine {
    private let head: String
    private var fields = ""

    /// `tags` in any order; they are written sorted by name. Empty values are left out.
    init(_ measurement: String, tags: [(String, String)]) {
        var text = Self.escaped(measurement)
        for (name, value) in tags.sorted(by: { $0.0 < $1.0 }) where !value.isEmpty {
            text += ",\(Self.escaped(name))=\(Self.escaped(value))"
        }
        head = text
    }

    /// Adds a field; nothing when the value is missing, not finite, or beyond a million million.
    mutating func add(_ name: String, _ value: Double?) {
        guard let value, value.isFinite, value.magnitude < 1e12 else { return }
        fields += (fields.isEmpty ? "" : ",") + "\(Self.escaped(name))=\(Self.decimal(value))"
    }

    /// The line with its time, nanoseconds since 1970, and a newline; empty without fields.
    func text(ns: Int64) -> String { fields.isEmpty ? "" : "\(head) \(fields) \(ns)\n" }

    /// Three decimals at most, none where they are zero.
    static func decimal(_ value: Double) -> String {
        let thousandths = Int64((value * 1000).rounded())
        let (whole, rest) = thousandths.magnitude.quotientAndRemainder(dividingBy: 1000)
        let sign = thousandths < 0 ? "-" : ""
        if rest == 0 { return "\(sign)\(whole)" }
        var decimals = "\(rest + 1000)".dropFirst()
        while decimals.last == "0" { decimals.removeLast() }
        return "\(sign)\(whole).\(decimals)"
    }

    /// Escapes comma, space and equals sign; control characters become underscores.
    static func escaped(_ name: String) -> String {
        var result = ""
        for character in name.unicodeScalars {
            switch character {
            case ",", " ", "=", "\\": result += "\\" + String(Character(character))
            case _ where character.value < 0x20 || character.value == 0x7F: result += "_"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
