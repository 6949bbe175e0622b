/// A text that is not JSON: where, and what was expected there.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// 1-based line.
    public let line: Int
    /// 1-based column in bytes.
    public let column: Int
    /// What was found and expected.
    public let reason: String

    public var description: String { "cannot read JSON: line \(line), column \(column): \(reason)" }
}

/// Reads a sequence of JSON values (RFC 8259): one document, or JSON lines. Members keep their order.
///
/// Numbers without fraction and exponent that fit 64 bits become ``JSONValue/integer(_:)``, all others
/// ``JSONValue/number(_:)``; a number beyond the range of a Double is refused, like invalid UTF-8.
public struct JSONReader {
    /// Deepest nesting that is followed.
    public static let depthMax = 64

    private let bytes: [UInt8]
    private var at = 0

    /// A reader of `bytes` from their beginning.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The 1-based line of the next byte.
    public var line: Int { 1 + bytes[..<min(at, bytes.count)].count { $0 == 0x0A } }

    /// The next value; nil at the end of the text.
    public mutating func next() throws(JSONError) -> JSONValue? {
        skipSpace()
        return at < bytes.count ? try value(depth: 0) : nil
    }

    /// The one value of the text. Errors: there is none, or more text follows.
    mutating func only() throws(JSONError) -> JSONValue {
        guard let value = try next() else { throw refusal("got no value") }
        skipSpace()
        guard at == bytes.count else { throw refusal("expected the end after the value") }
        return value
    }

    private func refusal(_ reason: String, at place: Int? = nil) -> JSONError {
        let before = bytes[..<min(place ?? at, bytes.count)]
        let start = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        return JSONError(line: 1 + before.count { $0 == 0x0A }, column: before.endIndex - start + 1, reason: reason)
    }

    private mutating func skipSpace() {
        while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x09 || bytes[at] == 0x0A || bytes[at] == 0x0D { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth < Self.depthMax else { throw refusal("nested deeper than \(Self.depthMax)") }
        skipSpace()
        guard at < bytes.count else { throw refusal("got the end, expected a value") }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        default: return try scalar()
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        at += 1
        var members: [JSONValue.Member] = []
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw refusal("expected a member name in quotes") }
            let name = try string()
            guard take(UInt8(ascii: ":")) else { throw refusal("expected ':' after \"\(name.prefix(40))\"") }
            members.append(JSONValue.Member(name, try value(depth: depth + 1)))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw refusal("expected ',' or '}'") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        at += 1
        var items: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return .array(items) }
        repeat { items.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw refusal("expected ',' or ']'") }
        return .array(items)
    }

    private mutating func scalar() throws(JSONError) -> JSONValue {
        let start = at
        while at < bytes.count, bytes[at] > 0x20, !",]}:\"[{".utf8.contains(bytes[at]) { at += 1 }
        let word = bytes[start..<at]
        let text = String(decoding: word, as: UTF8.self)
        switch text {
        case "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: break
        }
        guard let isWhole = JSONReader.numberForm(word) else {
            throw refusal("got \(text.isEmpty ? "nothing readable" : "'\(text.prefix(40))'"), expected a value", at: start)
        }
        if isWhole, let number = Int64(text) { return .integer(number) }
        guard let number = Double(text), number.isFinite else { throw refusal("'\(text.prefix(40))' is beyond any number", at: start) }
        return .number(number)
    }

    /// Whether `word` has the form of a JSON number (`-0.5e+3`): nil when not, else whether it has neither fraction nor exponent.
    private static func numberForm(_ word: ArraySlice<UInt8>) -> Bool? {
        var rest = word
        func digits() -> Int {
            let run = rest.prefix { (0x30...0x39).contains($0) }.count
            rest = rest.dropFirst(run)
            return run
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        let leadsWithZero = rest.first == UInt8(ascii: "0")
        let whole = digits()
        guard whole == 1 || whole > 1 && !leadsWithZero else { return nil }
        if rest.isEmpty { return true }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard digits() > 0 else { return nil }
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard digits() > 0 else { return nil }
        }
        return rest.isEmpty ? false : nil
    }

    private mutating func string() throws(JSONError) -> String {
        let start = at
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
        guard let valid = String(validating: text, as: UTF8.self) else { throw refusal("got a string that is not UTF-8", at: start) }
        return valid
    }

    private mutating func escape() throws(JSONError) -> String {
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
        default: throw refusal("got an unknown escape", at: at - 2)
        }
    }

    private mutating func unicodeEscape() throws(JSONError) -> String {
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

    private mutating func hexDigits() throws(JSONError) -> UInt32 {
        var code: UInt32 = 0
        for offset in 0..<4 {
            guard at + offset < bytes.count, let digit = Character(Unicode.Scalar(bytes[at + offset])).hexDigitValue else {
                throw refusal("expected four hexadecimal digits")
            }
            code = code << 4 | UInt32(digit)
        }
        at += 4
        return code
    }
}
