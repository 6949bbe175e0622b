/// InfluxDB line protocol: `measurement[,tag=value...] field=value[,field=value...] [timestamp]`.
///
/// The head is only searched for its end here; `canonicalKey` checks it when the stream is not known yet.
extension LineParser {
    /// Reads a line of line protocol; one without any `=` in its second token is left to `parsePlain`.
    mutating func parseInflux(_ b: Bytes, _ start: Int, _ expected: UnsafeBufferPointer<UInt8>) throws(LineError) {
        let isExpected = Self.startsWith(expected, b, start)
        let headEnd = isExpected ? start &+ expected.count : Self.headEnd(b, start)
        var i = headEnd
        while i < b.count, b[i] == Ascii.space { i &+= 1 }
        guard i < b.count else { return try parsePlainUnlessForced(b, start, i, i) }
        let fieldsStart = i
        while true {
            let nameStart = i
            let name = try readFieldName(b, &i)
            guard b.peek(i) == Ascii.equals else {
                if nameStart == fieldsStart { return try parsePlainUnlessForced(b, start, nameStart, i) }
                throw b.error(.badField, nameStart, i, "field", "field=value")
            }
            i &+= 1
            try readFieldValue(b, &i, name, nameStart)
            guard i < b.count else { break }
            let separator = b[i]
            i &+= 1
            if separator == Ascii.space { break }
            guard i < b.count else { throw b.error(.badField, i, i, "field", "field=value after the comma") }
        }
        let time = try readTime(b, i)
        if readings.fields.count == 0 { throw readings.emptiness(b, fieldsStart, b.count) }
        guard headEnd &- start <= limits.keyBytesMax else {
            throw b.error(.keyTooLong, start, headEnd, "stream key", "at most keyBytesMax bytes")
        }
        readings.appendReading(
            key: NameRef(offset: Int32(truncatingIfNeeded: start), count: Int32(truncatingIfNeeded: headEnd &- start)),
            isCanonical: false, time: time, fieldStart: 0)
        readings.isKeyExpected = isExpected
    }

    /// Whether `key` and a space stand at `start`: as the key has no space and no backslash, the head ends there.
    @inline(always)
    static func startsWith(_ key: UnsafeBufferPointer<UInt8>, _ b: Bytes, _ start: Int) -> Bool {
        let end = start &+ key.count
        return key.count >= 8 && end < b.count && b[end] == Ascii.space && stands(key, b, start)
    }

    /// Whether these bytes, at least eight, stand at `start`.
    @inline(always)
    static func stands(_ key: UnsafeBufferPointer<UInt8>, _ b: Bytes, _ start: Int) -> Bool {
        guard let base = key.baseAddress else { return false }
        let expected = Bytes(base: base, count: key.count)
        var i = 0
        while expected.word(i) == b.word(start &+ i) {
            if i &+ 8 == key.count { return true }
            // The last word overlaps the one before it.
            i = min(i &+ 8, key.count &- 8)
        }
        return false
    }

    /// The first space that no backslash precedes, or the end.
    @inline(always)
    static func headEnd(_ b: Bytes, _ start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var i = start
        while true {
            // Eight bytes at once: a zero byte in word ^ pattern is a match; the lowest one found is exact.
            while i &+ 8 <= b.count {
                let word = b.word(i)
                let spaces = word ^ (ones &* UInt64(Ascii.space))
                let slashes = word ^ (ones &* UInt64(Ascii.backslash))
                let found = (((spaces &- ones) & ~spaces) | ((slashes &- ones) & ~slashes)) & (ones &* 0x80)
                if found != 0 {
                    i &+= found.trailingZeroBitCount &>> 3
                    break
                }
                i &+= 8
            }
            guard i < b.count else { return b.count }
            let byte = b[i]
            if byte == Ascii.space { return i }
            i &+= byte == Ascii.backslash ? 2 : 1
            if i >= b.count { return b.count }
        }
    }

    /// Reads a field key up to its `=`; leaves `i` on the byte that ended it.
    @inline(always)
    private mutating func readFieldName(_ b: Bytes, _ i: inout Int) throws(LineError) -> NameRef {
        let start = i
        i = b.plainRunEnd(start)
        let length = i &- start
        if length > 0, length <= limits.nameBytesMax, b.peek(i) == Ascii.equals {
            return NameRef(offset: Int32(truncatingIfNeeded: start), count: Int32(truncatingIfNeeded: length))
        }
        return try readOddFieldName(b, &i, start)
    }

    /// A field key that is empty, long, escaped or not ASCII.
    @inline(never)
    private mutating func readOddFieldName(_ b: Bytes, _ i: inout Int, _ start: Int) throws(LineError) -> NameRef {
        while i < b.count, b[i] != Ascii.equals, b[i] != Ascii.comma, b[i] != Ascii.space { i += b[i] == Ascii.backslash ? 2 : 1 }
        guard i <= b.count else {
            throw b.error(.badEscape, b.count - 1, b.count, "field name", "a character after the backslash")
        }
        let end = i
        guard end < b.count, b[end] == Ascii.equals else { return .none }
        guard end > start else { throw b.error(.emptyKey, start, end + 1, "field name", "a name before =") }
        try readings.reserveText(end - start, start)
        let textStart = readings.text.count
        var k = start
        while k < end {
            if b[k] == Ascii.backslash, k + 1 < end, ReadingBuffer.isEscapable(b[k + 1]) { k += 1 }
            readings.text.append(b[k])
            k += 1
        }
        let name = NameRef.text(textStart, readings.text.count)
        try readings.check(name, start, "field name")
        return name
    }

    /// Reads the value after `=`; leaves `i` on the comma or space after it, or at the end.
    @inline(always)
    private mutating func readFieldValue(_ b: Bytes, _ i: inout Int, _ name: NameRef, _ nameStart: Int) throws(LineError) {
        var number = DecimalNumber()
        guard number.scan(b, i), number.next == b.count || Self.endsValue(b[number.next]), number.value.isFinite else {
            return try readOddFieldValue(b, &i, name, nameStart)
        }
        i = number.next
        try append(b, name, number.value, nameStart)
    }

    @inline(always)
    mutating func append(_ b: Bytes, _ name: NameRef, _ value: Double, _ place: Int, from fieldStart: Int = 0) throws(LineError) {
        guard readings.fields.count &- fieldStart < limits.channelsPerReadingMax else {
            throw b.error(.tooManyChannels, place, place, "fields", "at most channelsPerReadingMax numeric fields")
        }
        readings.fields.append(FieldRecord(name: name, value: value))
    }

    @inline(always)
    private static func endsValue(_ byte: UInt8) -> Bool { byte == Ascii.comma || byte == Ascii.space }

    /// A value that is no plain finite number: string, boolean, typed integer, NaN, or an error.
    @inline(never)
    private mutating func readOddFieldValue(_ b: Bytes, _ i: inout Int, _ name: NameRef, _ nameStart: Int) throws(LineError) {
        if i < b.count, b[i] == Ascii.quote {
            try skipString(b, &i)
            readings.ignoredNonNumeric += 1
            return
        }
        var end = i
        while end < b.count, !Self.endsValue(b[end]) { end += 1 }
        var number = DecimalNumber()
        if number.scan(b, i) {
            if number.next == end, !number.value.isFinite {
                readings.nonFinite += 1
            } else if number.next == end - 1, Self.isTypedInteger(b, i, end, number) {
                try append(b, name, number.value, nameStart)
            } else {
                throw b.error(.badNumber, i, end, "field value", "a number, with i only an int64, with u only a uint64")
            }
        } else if let truth = Self.boolean(b, i, end) {
            try append(b, name, truth, nameStart)
        } else if DecimalNumber.isNonFiniteWord(b, i, end) {
            readings.nonFinite += 1
        } else {
            throw b.error(.badNumber, i, end, "field value", "a number, true/false or a quoted string")
        }
        i = end
    }

    /// Whether `start ..< end` is an integer with a type letter that can hold it: `-9223372036854775808i`, `18446744073709551615u`.
    private static func isTypedInteger(_ b: Bytes, _ start: Int, _ end: Int, _ number: DecimalNumber) -> Bool {
        guard number.isInteger, number.digitCount <= 20 else { return false }
        var magnitude: UInt64 = 0
        for i in (end - 1 - number.digitCount)..<(end - 1) {
            let (tens, tensOverflow) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = tens.addingReportingOverflow(UInt64(b[i] - Ascii.zero))
            if tensOverflow || sumOverflow { return false }
            magnitude = sum
        }
        switch b[end - 1] {
        case 0x69: return magnitude <= UInt64(Int64.max) + (number.isNegative ? 1 : 0)
        case 0x75: return !number.isNegative
        default: return false
        }
    }

    /// 1 or 0 for the boolean words of line protocol.
    private static func boolean(_ b: Bytes, _ start: Int, _ end: Int) -> Double? {
        let isTrue =
            b.equals(start, end, "true") || b.equals(start, end, "t") || b.equals(start, end, "T") || b.equals(start, end, "True")
            || b.equals(start, end, "TRUE")
        if isTrue { return 1 }
        let isFalse =
            b.equals(start, end, "false") || b.equals(start, end, "f") || b.equals(start, end, "F")
            || b.equals(start, end, "False") || b.equals(start, end, "FALSE")
        return isFalse ? 0 : nil
    }

    /// Skips a quoted string with `\"` and `\\`; leaves `i` behind it.
    private func skipString(_ b: Bytes, _ i: inout Int) throws(LineError) {
        let start = i
        i += 1
        while i < b.count, b[i] != Ascii.quote { i += b[i] == Ascii.backslash ? 2 : 1 }
        guard i < b.count else {
            var problem = b.error(.badString, start, b.count, "string", "a closing quote")
            problem.isOpenString = true
            throw problem
        }
        i += 1
        guard i == b.count || Self.endsValue(b[i]) else {
            throw b.error(.badField, i, b.count, "field", "a comma or a space after the string")
        }
    }

    /// Reads the timestamp that may stand from `start` to the end.
    @inline(always)
    private func readTime(_ b: Bytes, _ start: Int) throws(LineError) -> Int64? {
        var i = start
        while i < b.count, b[i] == Ascii.space { i &+= 1 }
        guard i < b.count else { return nil }
        var next = i
        guard let time = Timestamp.number(b, i, timeUnit, next: &next), next == b.count else {
            throw b.error(.badTimestamp, i, b.count, "timestamp", "a whole or decimal number that fits in int64 nanoseconds")
        }
        return time
    }

    @inline(never)
    private mutating func parsePlainUnlessForced(_ b: Bytes, _ start: Int, _ place: Int, _ end: Int) throws(LineError) {
        guard only == nil else {
            let reason: LineError.Reason = place < b.count ? .badField : .missingFields
            throw b.error(reason, place, end, "field", "field=value")
        }
        format = .plain
        try parsePlain(b, start)
    }
}
