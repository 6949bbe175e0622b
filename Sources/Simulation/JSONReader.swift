/// Reads a sequence of JSON values (one document, or JSON lines); every refusal names its line.
struct JSONReader {
    /// Deepest nesting that is followed.
    static let depthMax = 32

    private let bytes: [UInt8]
    private let what: String
    private var at = 0
    private var line = 1

    init(_ bytes: [UInt8], what: String) {
        self.bytes = bytes
        self.what = what
    }

    /// The next value; nil at the end of the text.
    mutating func next() throws(SimulationError) -> JSONValue? {
        skipSpace()
        return at < bytes.count ? try value(depth: 0) : nil
    }

    private func refusal(_ reason: String) -> SimulationError { .file(what: what, line: line, reason: reason) }

    private mutating func skipSpace() {
        while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x09 || bytes[at] == 0x0A || bytes[at] == 0x0D {
            if bytes[at] == 0x0A { line += 1 }
            at += 1
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func value(depth: Int) throws(SimulationError) -> JSONValue {
        guard depth < Self.depthMax else { throw refusal("nested deeper than \(Self.depthMax)") }
        skipSpace()
        guard at < bytes.count else { throw refusal("got the end, expected a JSON value") }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        default: return try scalar()
        }
    }

    private mutating func object(depth: Int) throws(SimulationError) -> JSONValue {
        at += 1
        var members: [String: JSONValue] = [:]
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw refusal("expected a member name in quotes") }
            let key = try string()
            guard take(UInt8(ascii: ":")) else { throw refusal("expected ':' after \"\(key)\"") }
            members[key] = try value(depth: depth + 1)
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw refusal("expected ',' or '}'") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(SimulationError) -> JSONValue {
        at += 1
        var items: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return .array(items) }
        repeat { items.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw refusal("expected ',' or ']'") }
        return .array(items)
    }

    private mutating func scalar() throws(SimulationError) -> JSONValue {
        let start = at
        while at < bytes.count, bytes[at] > 0x20, !",]}:".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        switch text {
        case "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: break
        }
        if let number = Int64(text) { return .integer(number) }
        guard let number = Double(text), number.isFinite else { throw refusal("got '\(text.prefix(40))', expected a JSON value") }
        return .number(number)
    }

    private mutating func string() throws(SimulationError) -> String {
        at += 1
        var text: [UInt8] = []
        while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
            guard bytes[at] >= 0x20 else { throw refusal("got a control character in a string") }
            if bytes[at] == UInt8(ascii: "\\") {
                text.append(contentsOf: try escape().utf8)
            } else {
                text.append(bytes[at])
                at += 1
            }
        }
        guard at < bytes.count else { throw refusal("got the end in a string") }
        at += 1
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func escape() throws(SimulationError) -> String {
        guard at + 1 < bytes.count else { throw refusal("got the end in an escape") }
        at += 2
        switch bytes[at - 1] {
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw refusal("got an unknown escape")
        }
    }

    private mutating func unicodeEscape() throws(SimulationError) -> String {
        var code = try hexDigits()
        if (0xD800..<0xDC00).contains(code), at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") {
            at += 2
            let low = try hexDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw refusal("got half a surrogate pair") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw refusal("got half a surrogate pair") }
        return String(Character(scalar))
    }

    private mutating func hexDigits() throws(SimulationError) -> UInt32 {
        guard at + 4 <= bytes.count, let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16) else {
            throw refusal("expected four hexadecimal digits")
        }
        at += 4
        return code
    }
}
