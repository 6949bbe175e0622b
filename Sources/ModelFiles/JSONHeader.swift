/// The JSON of a safetensors header and of a Keras configuration: objects, arrays, strings, integers, true, false and null; of other
/// numbers it is kept whether they are zero.
enum JSONValue {
    case object([(key: String, value: JSONValue)])
    case array([JSONValue])
    case string(String)
    case integer(Int)
    case bool(Bool)
    case null
    /// A number that is no integer; whether it is zero is all that is kept.
    case fraction(isZero: Bool)
}

/// A recursive-descent parser with a depth limit. Offsets in errors count from the start of the file.
struct JSONParser {
    private let bytes: [UInt8]
    private var at: Int
    private let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        at = range.lowerBound
        end = range.upperBound
    }

    /// One value and nothing but white space after it (safetensors pads with spaces).
    mutating func parseAll() throws(ModelFileError) -> JSONValue {
        let value = try parse(depth: 0)
        skipSpace()
        guard at == end else { throw fault("got more bytes after the JSON header, expected its end") }
        return value
    }

    private func fault(_ reason: String) -> ModelFileError { .malformed(offset: at, reason: reason) }

    private mutating func skipSpace() {
        while at < end, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < end, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func parse(depth: Int) throws(ModelFileError) -> JSONValue {
        guard depth < ModelFileLimits.nestingMax else {
            throw fault("got JSON nested deeper than \(ModelFileLimits.nestingMax)")
        }
        skipSpace()
        guard at < end else { throw fault("got the end of the header inside JSON") }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try parseObject(depth: depth)
        case UInt8(ascii: "["): return try parseArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try parseString())
        default: return try parseScalar()
        }
    }

    private mutating func parseObject(depth: Int) throws(ModelFileError) -> JSONValue {
        at += 1
        var members: [(key: String, value: JSONValue)] = []
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipSpace()
            guard at < end, bytes[at] == UInt8(ascii: "\"") else {
                throw fault("got no key, expected a string")
            }
            let key = try parseString()
            guard take(UInt8(ascii: ":")) else { throw fault("got no ':' after key '\(key)'") }
            guard members.count < ModelFileLimits.itemsMax else {
                throw fault("got more than \(ModelFileLimits.itemsMax) keys")
            }
            members.append((key, try parse(depth: depth + 1)))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw fault("got no '}' or ',' after a value") }
        return .object(members)
    }

    private mutating func parseArray(depth: Int) throws(ModelFileError) -> JSONValue {
        at += 1
        var items: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return .array(items) }
        repeat {
            guard items.count < ModelFileLimits.itemsMax else {
                throw fault("got more than \(ModelFileLimits.itemsMax) items")
            }
            items.append(try parse(depth: depth + 1))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw fault("got no ']' or ',' after an item") }
        return .array(items)
    }

    private mutating func parseString() throws(ModelFileError) -> String {
        at += 1
        var text: [UInt8] = []
        while at < end, bytes[at] != UInt8(ascii: "\"") {
            if bytes[at] == UInt8(ascii: "\\") {
                text.append(contentsOf: try parseEscape())
            } else {
                guard bytes[at] >= 0x20 else { throw fault("got a control byte in a string") }
                text.append(bytes[at])
                at += 1
            }
        }
        guard at < end else { throw fault("got the end of the header inside a string") }
        at += 1
        guard let string = String(validating: text, as: UTF8.self) else {
            throw fault("got a string that is not UTF-8")
        }
        return string
    }

    private mutating func parseEscape() throws(ModelFileError) -> [UInt8] {
        guard at + 1 < end else { throw fault("got the end of the header inside an escape") }
        let kind = bytes[at + 1]
        at += 2
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [kind]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "u"):
            guard at + 4 <= end, let text = String(validating: bytes[at..<at + 4], as: UTF8.self),
                let code = UInt32(text, radix: 16)
            else { throw fault("got a damaged \\u escape") }
            at += 4
            return Array(String(UnicodeScalar(code).map(Character.init) ?? "\u{FFFD}").utf8)
        default: throw fault("got an unknown escape")
        }
    }

    private mutating func parseScalar() throws(ModelFileError) -> JSONValue {
        let start = at
        while at < end, !",]} \t\r\n".utf8.contains(bytes[at]) { at += 1 }
        guard let text = String(validating: bytes[start..<at], as: UTF8.self), !text.isEmpty else {
            throw fault("got no value")
        }
        if let integer = Int(text) { return .integer(integer) }
        if text == "true" || text == "false" { return .bool(text == "true") }
        if text == "null" { return .null }
        guard let number = Double(text) else {
            at = start
            throw fault("got '\(text.prefix(20))', expected a JSON value")
        }
        return .fraction(isZero: number == 0)
    }
}
