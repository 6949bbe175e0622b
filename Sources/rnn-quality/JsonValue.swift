/// Just enough JSON to read label files.
enum JsonValue {
    case object([(String, JsonValue)])
    case array([JsonValue])
    case string(String)
    case number(Double)
    case null

    /// Nil if the text is not JSON.
    init?(_ bytes: [UInt8]) {
        var reader = JsonReader(bytes: bytes)
        guard let value = reader.value(depth: 0) else { return nil }
        self = value
    }

    subscript(key: String) -> JsonValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.0 == key }?.1
    }
    var members: [(String, JsonValue)] { if case .object(let members) = self { members } else { [] } }
    var elements: [JsonValue] { if case .array(let elements) = self { elements } else { [] } }
    var double: Double? { if case .number(let x) = self { x } else { nil } }
    var text: String? { if case .string(let s) = self { s } else { nil } }
}

private struct JsonReader {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func skip() { while at < bytes.count, [32, 9, 10, 13].contains(bytes[at]) { at += 1 } }
    private mutating func take(_ c: Character) -> Bool {
        skip()
        guard at < bytes.count, bytes[at] == c.asciiValue else { return false }
        at += 1
        return true
    }

    mutating func value(depth: Int) -> JsonValue? {
        guard depth < 32 else { return nil }
        skip()
        guard at < bytes.count else { return nil }
        switch bytes[at] {
        case UInt8(ascii: "{"): return object(depth)
        case UInt8(ascii: "["): return array(depth)
        case UInt8(ascii: "\""): return string().map(JsonValue.string)
        default: return scalar()
        }
    }

    private mutating func object(_ depth: Int) -> JsonValue? {
        var members: [(String, JsonValue)] = []
        guard take("{") else { return nil }
        if take("}") { return .object([]) }
        repeat {
            skip()
            guard let key = string(), take(":"), let v = value(depth: depth + 1) else { return nil }
            members.append((key, v))
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func array(_ depth: Int) -> JsonValue? {
        var elements: [JsonValue] = []
        guard take("[") else { return nil }
        if take("]") { return .array([]) }
        repeat {
            guard let v = value(depth: depth + 1) else { return nil }
            elements.append(v)
        } while take(",")
        return take("]") ? .array(elements) : nil
    }

    private mutating func string() -> String? {
        guard take("\"") else { return nil }
        let begin = at
        while at < bytes.count, bytes[at] != UInt8(ascii: "\"") { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
        guard at < bytes.count else { return nil }
        at += 1
        return String(decoding: bytes[begin..<(at - 1)], as: UTF8.self)
    }

    private mutating func scalar() -> JsonValue? {
        let begin = at
        while at < bytes.count, !",]} \n\r\t".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[begin..<at], as: UTF8.self)
        if text == "null" || text == "true" || text == "false" { return .null }
        return Double(text).map(JsonValue.number)
    }
}
