import Tabular
import Testing

/// A fixed sequence of numbers (splitmix64), so that a failure repeats.
private struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func randomValue(_ numbers: inout Numbers, depth: Int) -> JSONValue {
    switch Int.random(in: 0..<(depth > 4 ? 5 : 7), using: &numbers) {
    case 0: .null
    case 1: .bool(.random(using: &numbers))
    case 2: .integer(Int64(bitPattern: numbers.next()))
    case 3: .number(Double.random(in: -1...1, using: &numbers) * 1e-3)
    case 4: .string(String((0..<5).map { _ in "aä\"\\\n\u{1}𝄞/".randomElement(using: &numbers) ?? "x" }))
    case 5: .array((0..<Int.random(in: 0..<4, using: &numbers)).map { _ in randomValue(&numbers, depth: depth + 1) })
    default:
        .object((0..<Int.random(in: 0..<4, using: &numbers)).map { JSONValue.Member("m\($0)", randomValue(&numbers, depth: depth + 1)) })
    }
}

@Suite struct JSONTests {
    @Test func `what is written is read back, compact and pretty`() throws {
        for seed in UInt64(0)..<300 {
            var numbers = Numbers(state: seed)
            let value = randomValue(&numbers, depth: 0)
            #expect(try JSONValue.parse(bytes(value.compact)) == value, "seed \(seed)")
            #expect(try JSONValue.parse(bytes(value.pretty)) == value, "seed \(seed)")
            #expect(!value.compact.contains("\n"), "seed \(seed)")
        }
    }

    @Test func `members keep their order and the first of two equal names counts`() throws {
        let text = #"{"z":1,"a":2,"m":{"y":[],"b":{}},"a":3}"#
        let value = try JSONValue.parse(bytes(text))
        #expect(value.compact == text)
        #expect(value["a"] == .integer(2))
        #expect(value["none"] == nil && JSONValue.null["a"] == nil)
    }

    static let values: [(String, JSONValue)] = [
        ("0", .integer(0)), ("-1", .integer(-1)), ("9223372036854775807", .integer(.max)), ("1.5", .number(1.5)),
        ("1e3", .number(1000)), ("-2.5E-1", .number(-0.25)), ("9223372036854775808", .number(9_223_372_036_854_775_808)),
        ("\"\\u00e4\\ud834\\udd1e\\/\\b\\f\"", .string("ä𝄞/\u{8}\u{C}")), (" [ ] ", .array([])), ("\r\n\t{}", .object([])),
    ]

    @Test(arguments: values)
    func `a value is what RFC 8259 says`(text: String, value: JSONValue) throws { #expect(try JSONValue.parse(bytes(text)) == value) }

    @Test(arguments: [
        "", " ", "{", "}", "[1,", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "[1 2]", "01", "-", "1.", ".5", "1e", "+1", "0x10", "nan",
        "Infinity", "1e999", "nul", "nullx", "tru", "\"abc", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\x\"",
        "\"\u{1}\"", "1 2", "{} {}", "\u{1}", "'a'", "[\"a\"\"b\"]", "\u{FEFF}{}", String(repeating: "[", count: 100_000),
        String(repeating: "{\"a\":", count: 100_000),
    ])
    func `what is not JSON is refused, never a trap`(text: String) { #expect(throws: JSONError.self) { try JSONValue.parse(bytes(text)) } }

    @Test func `invalid UTF-8 is refused in a string`() {
        for wrong: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] {
            #expect(throws: JSONError.self) { try JSONValue.parse([34] + wrong + [34]) }
        }
    }

    @Test func `an error names line and column`() {
        func place(_ text: String) -> [Int] {
            do {
                _ = try JSONValue.parse(bytes(text))
                return []
            } catch { return [error.line, error.column] }
        }
        #expect(place("[1,\n  x]") == [2, 3])
        #expect(place("{\"a\": 01}") == [1, 7])
        #expect(place("{}\n\n{}") == [3, 1])
        #expect(place("") == [1, 1])
    }

    @Test func `every prefix and every changed byte of a document is read or refused`() {
        let text = bytes(#"{"a":[1,-2.5e3,"x\u00e4\n"],"b":{"c":null,"d":true}}"#)
        for length in 0..<text.count { #expect(throws: JSONError.self) { try JSONValue.parse(Array(text[..<length])) } }
        for place in text.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[place] = byte
                _ = try? JSONValue.parse(changed)
            }
        }
    }

    @Test func `nesting is followed to its bound and refused beyond`() throws {
        func nested(_ depth: Int) -> [UInt8] { bytes(String(repeating: "[", count: depth) + String(repeating: "]", count: depth)) }
        _ = try JSONValue.parse(nested(JSONReader.depthMax))
        #expect(throws: JSONError.self) { try JSONValue.parse(nested(JSONReader.depthMax + 1)) }
    }

    @Test func `values follow each other in a file of lines`() throws {
        var reader = JSONReader(bytes("{\"a\":1}\n\n[2]\n3"))
        #expect(try reader.next() == .object(["a": .integer(1)]))
        #expect(try reader.next() == .array([.integer(2)]))
        #expect(reader.line == 3)
        #expect(try reader.next() == .integer(3))
        #expect(try reader.next() == nil)
    }

    @Test func `a number that is not finite is written as null`() {
        #expect(JSONValue.array([.number(.nan), .number(.infinity), .number(-0.5)]).compact == "[null,null,-0.5]")
    }
}
