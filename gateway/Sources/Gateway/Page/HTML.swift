import Tabular

/// Text that is HTML already. Only `HTML.escape` and literals of this module make it, so that no value reaches a page unescaped.
struct HTML: ExpressibleByStringInterpolation, Sendable {
    var text: String
    init(stringLiteral value: String) { text = value }
    init(stringInterpolation: Interpolation) { text = stringInterpolation.text }
    init(joining parts: [HTML]) { text = parts.map(\.text).joined() }

    /// Interpolated text is escaped, interpolated HTML is not.
    struct Interpolation: StringInterpolationProtocol {
        var text = ""
        init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity * 2) }
        mutating func appendLiteral(_ literal: String) { text += literal }
        mutating func appendInterpolation(_ value: HTML) { text += value.text }
        mutating func appendInterpolation(_ values: [HTML]) { for value in values { text += value.text } }
        mutating func appendInterpolation(_ value: String) { text += HTML.escape(value) }
        mutating func appendInterpolation(_ value: Int) { text += String(value) }
    }

    static func escape(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            case "\0"..<"\t", "\u{B}"..<" ", "\u{7F}": out += "\u{FFFD}"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// A value in a query.
    static func query(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46, 95, 126: out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                out += "%" + (hex.count < 2 ? "0" : "") + hex
            }
        }
        return out
    }

    /// A table with a caption; cells are HTML.
    static func table(_ caption: String, _ heads: [String], _ rows: [[HTML]], empty: String) -> HTML {
        if rows.isEmpty { return "<p class=\"none\">\(empty)</p>" }
        let head = heads.map { "<th scope=\"col\">\($0)</th>" as HTML }
        let body = rows.map { row in "<tr>\(row.map { "<td>\($0)</td>" as HTML })</tr>" as HTML }
        return """
            <div class="scroll" tabindex="0" role="region" aria-label="\(caption)"><table><caption>\(caption)</caption>
            <thead><tr>\(head)</tr></thead><tbody>\(body)</tbody></table></div>
            """
    }
}

extension JSONValue {
    /// For people: short numbers, `-` for what is not there.
    var shown: String {
        switch self {
        case .null: "–"
        case .integer(let value): String(value)
        case .number(let value): NumberText.short(value)
        case .array(let items): items.map(\.shown).joined(separator: ", ")
        default: RecordTable.plain(self)
        }
    }

    func shown(_ name: String) -> String { self[name]?.shown ?? "–" }
    var rows: [JSONValue] { self["rows"]?.items ?? [] }
}
