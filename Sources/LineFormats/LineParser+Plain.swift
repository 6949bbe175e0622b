/// `name value [timestamp]`, and `name=value [timestamp]` when there are no tags: for shell scripts and Graphite writers; `name {JSON}`,
/// as MQTT clients print topic and payload; and `value`, where the receiver has a name for it.
///
/// The name is a line-protocol head (tags allowed, same escapes), the channel is `value`. Blanks are spaces or tabs.
extension LineParser {
    /// Reads a plain line.
    mutating func parsePlain(_ b: Bytes, _ start: Int) throws(LineError) {
        var nameEnd = Self.plainNameEnd(b, start)
        var valueStart = b.skipBlanks(nameEnd)
        if let equals = Self.lonelyEquals(b, start, nameEnd) {
            nameEnd = equals
            valueStart = equals + 1
        }
        guard nameEnd > start else { throw b.error(.emptyKey, start, b.count, "name", "a name before =") }
        guard valueStart < b.count else {
            if nameEnd == b.count, try parseLoneNumber(b, start) { return }
            throw b.error(.missingFields, b.count, b.count, "line", "field=value or a number after the name")
        }
        try checkPlainName(b, start, nameEnd)
        if b[valueStart] == Ascii.leftBrace {
            if let object = Self.cookieEnd(b.prefix(valueStart + 1), start) { return try parseJSON(b, object) }
            return try parseNamedJSON(b, start, nameEnd, valueStart)
        }
        if let piece = Self.pieceOfJSON(b, start) { throw piece }
        let valueEnd = b.tokenEnd(valueStart)
        if !sources.isEmpty, try appendState(b, start, nameEnd, valueStart, valueEnd) { return }
        do { try appendPlainValue(b, valueStart, valueEnd) } catch {
            if let end = Self.spacedNameEnd(b, start) { return try parseNamed(b, start, end) }
            if Self.cookieEnd(b, start) != nil { return try parseOtherwise(b, start, error) }
            throw Self.foreign(b, start) ?? error
        }
        let sample = b.prefix(Self.exemplarStart(b, valueEnd))
        let time: Int64?
        do { time = try plainTime(sample, sample.skipBlanks(valueEnd)) } catch {
            guard let end = Self.spacedNameEnd(b, start) else { throw error }
            readings.forgetReadings()
            return try parseNamed(b, start, end)
        }
        readings.appendReading(key: .line(start, nameEnd), isCanonical: false, time: time, fieldStart: 0)
    }

    /// Reads the object at `i` as one of the stream that the name before it says; its members `stream`, `name` and `measurement` are
    /// ordinary ones.
    private mutating func parseNamedJSON(_ b: Bytes, _ start: Int, _ end: Int, _ i: Int) throws(LineError) {
        nameBefore = .line(start, end)
        defer { nameBefore = nil }
        try parseJSON(b, i)
    }

    /// A number and nothing else is a reading of the receiver's default stream. false: it is no number, or there is no such stream.
    private mutating func parseLoneNumber(_ b: Bytes, _ start: Int) throws(LineError) -> Bool {
        var number = DecimalNumber()
        guard !defaultStream.isEmpty, number.scan(b, start), number.next == b.count else { return false }
        readings.tags.truncate(0)
        let key = try readings.writeKey(try defaultMeasurement(b, start, b.count), start)
        try appendPlainValue(b, start, b.count)
        readings.appendReading(key: key, isCanonical: true, time: nil, fieldStart: 0)
        return true
    }

    /// A word that a rule in the configuration takes for a number: `stat/plug/POWER ON`.
    private mutating func appendState(_ b: Bytes, _ start: Int, _ nameEnd: Int, _ valueStart: Int, _ valueEnd: Int) throws(LineError)
        -> Bool
    {
        guard b.skipBlanks(valueEnd) == b.count else { return false }
        let name = NameRef.line(start, nameEnd)
        defer { rule = nil }
        for candidate in sources where candidate.matches(readings.bytes(name)) {
            rule = candidate
            guard let value = state(readings.bytes(.line(valueStart, valueEnd))) else { continue }
            try readings.reserveText(5, start)
            let text = readings.text.count
            readings.appendText("value")
            try append(b, .text(text, readings.text.count), value, valueStart)
            readings.appendReading(key: name, isCanonical: false, time: nil, fieldStart: 0)
            return true
        }
        return false
    }

    /// The first blank that no backslash precedes, or the end.
    private static func plainNameEnd(_ b: Bytes, _ start: Int) -> Int {
        var i = start
        while i < b.count, b[i] != Ascii.space, b[i] != Ascii.tab { i += b[i] == Ascii.backslash ? 2 : 1 }
        return min(i, b.count)
    }

    /// Index of the `=` of `name=value`: the first unescaped one, when no comma stands before it (there it would be a tag).
    private static func lonelyEquals(_ b: Bytes, _ start: Int, _ end: Int) -> Int? {
        var i = start
        while i < end, b[i] != Ascii.comma {
            if b[i] == Ascii.equals { return i }
            i += b[i] == Ascii.backslash ? 2 : 1
        }
        return nil
    }

    /// A name that is a number is a line without a name (`1700000000 3.5`): as a stream it would be a new one every second.
    private func checkPlainName(_ b: Bytes, _ start: Int, _ end: Int) throws(LineError) {
        var number = DecimalNumber()
        if number.scanDigits(b, start), number.next == end {
            throw b.error(.badName, start, end, "name", "a name before the numbers")
        }
        guard end - start <= limits.keyBytesMax else {
            throw b.error(.keyTooLong, start, end, "stream key", "at most keyBytesMax bytes")
        }
    }

    mutating func appendPlainValue(_ b: Bytes, _ start: Int, _ end: Int) throws(LineError) {
        var number = DecimalNumber()
        guard number.scan(b, start), number.next == end else {
            if DecimalNumber.isNonFiniteWord(b, start, end) { throw b.error(.notFinite, start, end, "value", "a finite number") }
            throw b.error(.badNumber, start, end, "value", "a number with a decimal point, or field=value")
        }
        guard number.value.isFinite else { throw b.error(.notFinite, start, end, "value", "a finite number") }
        try readings.reserveText(5, start)
        let name = readings.text.count
        readings.appendText("value")
        try append(b, .text(name, readings.text.count), number.value, start)
    }

    mutating func plainTime(_ b: Bytes, _ start: Int) throws(LineError) -> Int64? {
        guard start < b.count else { return nil }
        var next = start
        if let time = Timestamp.number(b, start, timeUnit, next: &next), next == b.count { return time }
        if let time = Timestamp.calendar(b, start, b.count) {
            readings.isTimeLocal = !time.hasZone
            return time.nanoseconds
        }
        throw b.error(.badTimestamp, start, b.count, "timestamp", "a number, or a date and time such as 2026-01-05T00:00:00Z")
    }
}
