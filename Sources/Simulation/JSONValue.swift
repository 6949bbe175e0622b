/// A JSON value, as far as alert rows and labels need one: numbers are doubles, and 64-bit integers where the text is one.
enum JSONValue: Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The member `key` of an object.
    subscript(_ key: String) -> JSONValue? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// A list of strings; one string is split at its commas.
    var texts: [String]? {
        switch self {
        case .array(let items): items.compactMap(\.text)
        case .string(let text): text.split(separator: ",").map(String.init)
        default: nil
        }
    }

    /// Nanoseconds since 1970 from RFC 3339 text or a Unix time in any usual unit; nil beyond ``TimeText/fileTimesNs``.
    var timeNs: Int64? {
        let ns: Int64? =
            switch self {
            case .string(let text): try? TimeText.nanoseconds(rfc3339: text)
            case .integer(let number): TimeText.nanoseconds(epoch: number)
            case .number(let number) where number.magnitude < 5e9: Int64(number * 1e9)
            default: nil
            }
        return ns.flatMap { TimeText.fileTimesNs.contains($0) ? $0 : nil }
    }

    /// `text` as a JSON string with its quotes.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
