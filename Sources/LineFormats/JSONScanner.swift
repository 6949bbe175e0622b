/// JSON by RFC 8259, without building a tree: finds where values end and what their text is.
///
/// Takes `NaN`, `Infinity`, `nan` and their like as well (Python and firmware write them); they count as values that are not finite.
extension LineParser {
    /// The first byte that is not JSON white space.
    func skipJSONSpace(_ b: Bytes, _ start: Int) -> Int {
        var i = start
        while i < b.count, Ascii.isBlank(b[i]) { i += 1 }
        return i
    }

    /// Takes one punctuation mark with the white space around it, if it is there.
    func takeJSON(_ b: Bytes, _ i: inout Int, _ mark: UInt8) -> Bool {
        let place = skipJSONSpace(b, i)
        guard b.peek(place) == mark else { return false }
        i = skipJSONSpace(b, place + 1)
        return true
    }

    /// Skips a string; `i` stands on its opening quote and then behind the closing one.
    /// - Returns: whether it contains escapes.
    func skipJSONString(_ b: Bytes, _ i: inout Int) throws(LineError) -> Bool {
        let start = i
        var escaped = false
        i += 1
        while i < b.count, b[i] != Ascii.quote {
            let byte = b[i]
            if byte == Ascii.backslash {
                escaped = true
                try skipJSONEscape(b, &i)
            } else if byte < Ascii.space {
                throw b.error(.badJSON, i, i + 1, "string", "no bare control characters")
            } else if byte < 0x80 {
                i += 1
            } else {
                let length = UTF8Check.sequenceLength(b, i, b.count)
                guard length > 0 else { throw b.error(.badUTF8, i, i + 1, "string", "UTF-8") }
                i += length
            }
        }
        guard i < b.count else { throw b.error(.badJSON, start, b.count, "string", "a closing quote") }
        i += 1
        return escaped
    }

    private func skipJSONEscape(_ b: Bytes, _ i: inout Int) throws(LineError) {
        switch b.peek(i + 1) {
        case Ascii.quote, Ascii.backslash, Ascii.slash, 0x62, 0x66, 0x6E, 0x72, 0x74: i += 2
        case 0x75:
            guard Self.hexUnit(b, i + 2) != nil else {
                throw b.error(.badEscape, i, min(i + 6, b.count), "escape", "four hexadecimal digits after \\u")
            }
            i += 6
        default: throw b.error(.badEscape, i, min(i + 2, b.count), "escape", "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u")
        }
    }

    /// Reads a string at `i` and gives its text, decoded to the arena when it contains escapes.
    mutating func readJSONString(_ b: Bytes, _ i: inout Int) throws(LineError) -> NameRef {
        guard b.peek(i) == Ascii.quote else { throw b.error(.badJSON, i, min(i + 1, b.count), "JSON", "a string") }
        let start = i + 1
        guard try skipJSONString(b, &i) else { return .line(start, i - 1) }
        return try decodeJSONString(b, start, i - 1)
    }

    private mutating func decodeJSONString(_ b: Bytes, _ start: Int, _ end: Int) throws(LineError) -> NameRef {
        try readings.reserveText(end - start, start)
        let textStart = readings.text.count
        var i = start
        while i < end {
            guard b[i] == Ascii.backslash else {
                readings.text.append(b[i])
                i += 1
                continue
            }
            switch b[i + 1] {
            case 0x62: readings.text.append(0x08)
            case 0x66: readings.text.append(0x0C)
            case 0x6E: readings.text.append(Ascii.newline)
            case 0x72: readings.text.append(Ascii.carriageReturn)
            case 0x74: readings.text.append(Ascii.tab)
            case 0x75:
                try decodeJSONUnicode(b, &i, end)
                continue
            default: readings.text.append(b[i + 1])
            }
            i += 2
        }
        return .text(textStart, readings.text.count)
    }

    /// Decodes `\uXXXX`, with its second half when it is a surrogate pair, to UTF-8. Never longer than the escape.
    private mutating func decodeJSONUnicode(_ b: Bytes, _ i: inout Int, _ end: Int) throws(LineError) {
        guard var code = Self.hexUnit(b, i + 2) else { throw b.error(.badEscape, i, end, "escape", "four hexadecimal digits after \\u") }
        let start = i
        i += 6
        if code >= 0xD800, code < 0xE000 {
            guard code < 0xDC00, i + 6 <= end, b[i] == Ascii.backslash, b[i + 1] == 0x75, let low = Self.hexUnit(b, i + 2), low >= 0xDC00,
                low < 0xE000
            else { throw b.error(.badEscape, start, i, "escape", "a surrogate pair") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            i += 6
        }
        appendUTF8(code)
    }

    private mutating func appendUTF8(_ code: UInt32) {
        func low(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: code >> shift) & 0x3F }
        if code < 0x80 {
            readings.text.append(UInt8(truncatingIfNeeded: code))
        } else if code < 0x800 {
            readings.text.append(0xC0 | UInt8(truncatingIfNeeded: code >> 6))
            readings.text.append(low(0))
        } else if code < 0x10000 {
            readings.text.append(0xE0 | UInt8(truncatingIfNeeded: code >> 12))
            readings.text.append(low(6))
            readings.text.append(low(0))
        } else {
            readings.text.append(0xF0 | UInt8(truncatingIfNeeded: code >> 18))
            readings.text.append(low(12))
            readings.text.append(low(6))
            readings.text.append(low(0))
        }
    }

    /// Four hexadecimal digits at `start`.
    private static func hexUnit(_ b: Bytes, _ start: Int) -> UInt32? {
        guard start + 4 <= b.count else { return nil }
        var code: UInt32 = 0
        for k in 0..<4 {
            let byte = b[start + k]
            let lowered = byte | 0x20
            if Ascii.isDigit(byte) {
                code = code << 4 | UInt32(byte - Ascii.zero)
            } else if lowered >= 0x61, lowered <= 0x66 {
                code = code << 4 | UInt32(lowered - 0x61 + 10)
            } else {
                return nil
            }
        }
        return code
    }

    /// Reads a number by the JSON grammar (no plus, no leading zeros, digits around the dot).
    func readJSONNumber(_ b: Bytes, _ i: inout Int) throws(LineError) -> DecimalNumber {
        var k = i
        if b.peek(k) == Ascii.minus { k += 1 }
        let first = b.peek(k)
        var isGood = Ascii.isDigit(first) && !(first == Ascii.zero && Ascii.isDigit(b.peek(k + 1)))
        while Ascii.isDigit(b.peek(k)) { k += 1 }
        if b.peek(k) == Ascii.dot { isGood = isGood && Ascii.isDigit(b.peek(k + 1)) }
        var number = DecimalNumber()
        guard isGood, number.scan(b, i) else {
            throw b.error(.badNumber, i, Self.jsonTokenEnd(b, i), "number", "a JSON number of at most 512 characters")
        }
        i = number.next
        return number
    }

    /// Takes the word if it is there and no other letter follows.
    func takeJSONWord(_ b: Bytes, _ i: inout Int, _ word: StaticString) -> Bool {
        let end = i + word.utf8CodeUnitCount
        guard end <= b.count, b.equals(i, end, word), !Self.isWordByte(b.peek(end)) else { return false }
        i = end
        return true
    }

    /// `NaN`, `Infinity` and `inf` in any case and with any sign, as firmware prints them, `-nan(ind)` too.
    func takeJSONNonFinite(_ b: Bytes, _ i: inout Int) -> Bool {
        var k = i
        if b.peek(k) == Ascii.minus || b.peek(k) == Ascii.plus { k += 1 }
        let lowered = b.peek(k) | 0x20
        guard lowered == 0x6E || lowered == 0x69 else { return false }
        let start = k
        while Self.isWordByte(b.peek(k)) { k += 1 }
        guard b.equalsIgnoringCase(start, k, "nan") || b.equalsIgnoringCase(start, k, "inf") || b.equalsIgnoringCase(start, k, "infinity")
        else { return false }
        if b.peek(k) == 0x28 {
            while k < b.count, b[k] != 0x29, b[k] != Ascii.comma, b[k] != Ascii.rightBrace { k += 1 }
            guard b.peek(k) == 0x29 else { return false }
            k += 1
        }
        i = k
        return true
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        Ascii.isDigit(byte) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
    }

    /// The end of something unreadable, for an excerpt.
    static func jsonTokenEnd(_ b: Bytes, _ start: Int) -> Int {
        var i = start
        while i < b.count, !Ascii.isBlank(b[i]), b[i] != Ascii.comma, b[i] != Ascii.rightBrace, b[i] != Ascii.rightBracket { i += 1 }
        return max(i, min(start + 1, b.count))
    }

    /// Skips any value, checking its syntax; `depth` is that of the container it stands in.
    func skipJSONValue(_ b: Bytes, _ i: inout Int, _ depth: Int) throws(LineError) {
        switch b.peek(i) {
        case Ascii.quote: _ = try skipJSONString(b, &i)
        case Ascii.leftBrace: try skipJSONContainer(b, &i, depth + 1, close: Ascii.rightBrace)
        case Ascii.leftBracket: try skipJSONContainer(b, &i, depth + 1, close: Ascii.rightBracket)
        default:
            if takeJSONWord(b, &i, "null") || takeJSONWord(b, &i, "true") || takeJSONWord(b, &i, "false") { return }
            if takeJSONNonFinite(b, &i) { return }
            guard i < b.count, b[i] == Ascii.minus || Ascii.isDigit(b[i]) else { throw badJSONValue(b, i) }
            _ = try readJSONNumber(b, &i)
        }
    }

    func badJSONValue(_ b: Bytes, _ i: Int) -> LineError {
        b.error(.badJSON, i, Self.jsonTokenEnd(b, i), "JSON", "a value")
    }

    private func skipJSONContainer(_ b: Bytes, _ i: inout Int, _ depth: Int, close: UInt8) throws(LineError) {
        try checkJSONDepth(b, i, depth)
        let isObject = close == Ascii.rightBrace
        i = skipJSONSpace(b, i + 1)
        if b.peek(i) == close {
            i += 1
            return
        }
        while true {
            if isObject {
                guard b.peek(i) == Ascii.quote else {
                    throw b.error(.badJSON, i, Self.jsonTokenEnd(b, i), "JSON", "a member name in quotes")
                }
                _ = try skipJSONString(b, &i)
                guard takeJSON(b, &i, Ascii.colon) else { throw b.error(.badJSON, i, Self.jsonTokenEnd(b, i), "JSON", "a colon") }
            }
            try skipJSONValue(b, &i, depth)
            if takeJSON(b, &i, Ascii.comma) { continue }
            i = skipJSONSpace(b, i)
            guard b.peek(i) == close else { throw unclosed(b, i, close) }
            i += 1
            return
        }
    }

    func unclosed(_ b: Bytes, _ i: Int, _ close: UInt8) -> LineError {
        let expected: StaticString = close == Ascii.rightBrace ? "a comma or }" : "a comma or ]"
        return b.error(.badJSON, i, Self.jsonTokenEnd(b, i), "JSON", expected)
    }

    func checkJSONDepth(_ b: Bytes, _ i: Int, _ depth: Int) throws(LineError) {
        guard depth <= limits.jsonDepthMax else {
            throw b.error(.tooDeep, i, min(i + 1, b.count), "JSON", "at most jsonDepthMax nested containers")
        }
    }
}
