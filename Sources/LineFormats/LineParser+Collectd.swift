/// collectd: `PUTVAL host/plugin[-instance]/type[-instance] [interval=N] time:value[:value...] ...` and the JSON of `write_http`.
///
/// Both give the same stream: measurement = plugin, tags `host`, `type` and, when present, `plugin_instance` and
/// `type_instance`.
extension LineParser {
    /// The parts of a collectd identifier; instances may be empty.
    struct CollectdIdentifier {
        var host = NameRef.none
        var plugin = NameRef.none
        var pluginInstance = NameRef.none
        var type = NameRef.none
        var typeInstance = NameRef.none
    }

    /// Reads a `PUTVAL` line; one reading for each value list with at least one known value.
    mutating func parseCollectd(_ b: Bytes, _ start: Int) throws(LineError) {
        guard b.count > start + 6, b.equalsIgnoringCase(start, start + 6, "putval"),
            b[start + 6] == Ascii.space || b[start + 6] == Ascii.tab
        else { throw b.error(.badIdentifier, start, b.tokenEnd(start), "command", "PUTVAL") }
        var i = b.skipBlanks(start + 7)
        let identifierStart = i
        let identifier = try readIdentifierText(b, &i)
        let key = try collectdKey(try split(identifier, identifierStart), identifierStart)
        let valuesStart = b.skipBlanks(i)
        i = valuesStart
        var lists = 0
        while i < b.count {
            let end = b.tokenEnd(i)
            if !isOption(b, i, end) {
                lists += 1
                guard lists <= limits.readingsPerLineMax else {
                    throw b.error(.tooManyReadings, i, end, "value lists", "at most readingsPerLineMax value lists")
                }
                try readValueList(b, i, end, key)
            }
            i = b.skipBlanks(end)
        }
        if readings.count == 0 { throw readings.emptiness(b, valuesStart, b.count) }
    }

    /// The identifier, in quotes or up to a blank; `i` ends behind it.
    private mutating func readIdentifierText(_ b: Bytes, _ i: inout Int) throws(LineError) -> NameRef {
        let start = i
        guard b.peek(i) == Ascii.quote else {
            i = b.tokenEnd(i)
            guard i > start else { throw b.error(.badIdentifier, start, start, "identifier", "host/plugin/type") }
            return .line(start, i)
        }
        try readings.reserveText(b.count - start, start)
        let textStart = readings.text.count
        i += 1
        while i < b.count, b[i] != Ascii.quote {
            if b[i] == Ascii.backslash, i + 1 < b.count { i += 1 }
            readings.text.append(b[i])
            i += 1
        }
        guard i < b.count else { throw b.error(.badString, start, b.count, "identifier", "a closing quote") }
        i += 1
        return .text(textStart, readings.text.count)
    }

    /// Splits at the first two slashes, plugin and type at their first hyphen.
    private func split(_ text: NameRef, _ column: Int) throws(LineError) -> CollectdIdentifier {
        let b = readings.bytes(text)
        guard let first = index(b, 0, Ascii.slash), let second = index(b, first + 1, Ascii.slash) else {
            throw readings.shifted(b, .badIdentifier, 0, b.count, "identifier", "host/plugin[-instance]/type[-instance]", column)
        }
        func part(_ start: Int, _ end: Int) -> NameRef {
            text.offset >= 0
                ? NameRef(offset: text.offset + Int32(start), count: Int32(end - start))
                : NameRef(offset: ~(~text.offset + Int32(start)), count: Int32(end - start))
        }
        var identifier = CollectdIdentifier()
        identifier.host = part(0, first)
        let pluginEnd = min(index(b, first + 1, Ascii.minus) ?? second, second)
        identifier.plugin = part(first + 1, pluginEnd)
        if pluginEnd < second { identifier.pluginInstance = part(pluginEnd + 1, second) }
        let typeEnd = index(b, second + 1, Ascii.minus) ?? b.count
        identifier.type = part(second + 1, typeEnd)
        if typeEnd < b.count { identifier.typeInstance = part(typeEnd + 1, b.count) }
        return identifier
    }

    private func index(_ b: Bytes, _ start: Int, _ byte: UInt8) -> Int? {
        var i = start
        while i < b.count {
            if b[i] == byte { return i }
            i += 1
        }
        return nil
    }

    /// Writes the canonical key of an identifier.
    mutating func collectdKey(_ identifier: CollectdIdentifier, _ column: Int) throws(LineError) -> NameRef {
        readings.tags.truncate(0)
        try readings.check(identifier.plugin, column, "plugin")
        try addCollectdTag("host", identifier.host, column)
        if identifier.pluginInstance.count > 0 { try addCollectdTag("plugin_instance", identifier.pluginInstance, column) }
        try addCollectdTag("type", identifier.type, column)
        if identifier.typeInstance.count > 0 { try addCollectdTag("type_instance", identifier.typeInstance, column) }
        return try readings.writeKey(identifier.plugin, column)
    }

    private mutating func addCollectdTag(_ key: StaticString, _ value: NameRef, _ column: Int) throws(LineError) {
        try readings.reserveText(key.utf8CodeUnitCount, column)
        let start = readings.text.count
        readings.appendText(key)
        try readings.addTag(.text(start, readings.text.count), value, column, column)
    }

    /// `interval=10` and its like stand between identifier and values; value lists contain no `=`.
    private func isOption(_ b: Bytes, _ start: Int, _ end: Int) -> Bool {
        for i in start..<end where b[i] == Ascii.equals { return true }
        return false
    }

    /// Reads `time:value[:value...]`.
    private mutating func readValueList(_ b: Bytes, _ start: Int, _ end: Int, _ key: NameRef) throws(LineError) {
        let list = b.prefix(end)
        guard let colon = index(list, start, Ascii.colon) else {
            throw b.error(.missingFields, start, end, "value list", "time:value")
        }
        var time: Int64?
        if !list.equalsIgnoringCase(start, colon, "n") {
            var next = start
            guard let stated = Timestamp.number(list, start, timeUnit, next: &next), next == colon else {
                throw b.error(.badTimestamp, start, colon, "time", "N or a number that fits in int64 nanoseconds")
            }
            time = stated
        }
        let fieldStart = readings.fields.count
        let isLone = index(list, colon + 1, Ascii.colon) == nil
        var i = colon + 1
        var position = 0
        while i <= end {
            let valueEnd = index(list, i, Ascii.colon) ?? end
            if let value = try collectdValue(list, i, valueEnd) {
                try append(b, try valueName(position, isLone, i), value, i, from: fieldStart)
            }
            position += 1
            i = valueEnd + 1
        }
        guard readings.fields.count > fieldStart else { return }
        readings.appendReading(key: key, isCanonical: true, time: time, fieldStart: fieldStart)
    }

    private mutating func collectdValue(_ b: Bytes, _ start: Int, _ end: Int) throws(LineError) -> Double? {
        if b.equalsIgnoringCase(start, end, "u") {
            readings.unknownValues += 1
            return nil
        }
        var number = DecimalNumber()
        let isNumber = number.scan(b, start) && number.next == end
        guard isNumber || DecimalNumber.isNonFiniteWord(b, start, end) else {
            throw b.error(.badNumber, start, end, "value", "a number or U")
        }
        guard isNumber, number.value.isFinite else {
            readings.nonFinite += 1
            return nil
        }
        return number.value
    }

    /// `value` for a lone value, else `value0`, `value1`, ... : the names are in collectd's types.db, not in the line.
    private mutating func valueName(_ position: Int, _ isLone: Bool, _ column: Int) throws(LineError) -> NameRef {
        try readings.reserveText(16, column)
        let start = readings.text.count
        readings.appendText("value")
        if !isLone { appendDecimal(position) }
        return .text(start, readings.text.count)
    }

    private mutating func appendDecimal(_ number: Int) {
        var divisor = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            readings.text.append(Ascii.zero + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }

    // MARK: JSON of write_http

    /// The members that make a JSON object collectd's.
    struct CollectdMembers {
        /// Whether the value was only noted and must be skipped by the caller, or is an ordinary member.
        enum Fate { case skipped, ordinary }

        var identifier = CollectdIdentifier()
        var valuesStart = -1
        var namesStart = -1

        /// Values, a plugin and a type: enough to take the object as collectd's.
        var isComplete: Bool { valuesStart >= 0 && identifier.plugin.count > 0 && identifier.type.count > 0 }

        /// Notes the value at `i` when `key` is one of collectd's members.
        mutating func take(_ parser: inout LineParser, _ b: Bytes, _ i: Int, _ key: NameRef, _ depth: Int) throws(LineError) -> Fate {
            let isArray = b.peek(i) == Ascii.leftBracket
            if isArray, parser.isNamed(key, "values") {
                valuesStart = i
                return .skipped
            }
            if isArray, parser.isNamed(key, "dsnames") {
                namesStart = i
                return .skipped
            }
            guard b.peek(i) == Ascii.quote, isPart(parser, key) else { return .ordinary }
            var end = i
            let text = try parser.readJSONString(b, &end)
            if parser.isNamed(key, "host") { identifier.host = text }
            if parser.isNamed(key, "plugin") { identifier.plugin = text }
            if parser.isNamed(key, "plugin_instance") { identifier.pluginInstance = text }
            if parser.isNamed(key, "type") { identifier.type = text }
            if parser.isNamed(key, "type_instance") { identifier.typeInstance = text }
            return .skipped
        }

        private func isPart(_ parser: borrowing LineParser, _ key: NameRef) -> Bool {
            parser.isNamed(key, "host") || parser.isNamed(key, "plugin") || parser.isNamed(key, "plugin_instance")
                || parser.isNamed(key, "type") || parser.isNamed(key, "type_instance")
        }
    }

    /// Makes the reading of a collectd object; what its members gave as ordinary channels (`interval`) is forgotten.
    mutating func finishCollectd(_ b: Bytes, _ object: JSONObject, _ before: ReadingBuffer.Mark) throws(LineError) {
        readings.restore(before)
        let key = try collectdKey(object.collectd.identifier, object.start)
        var i = object.collectd.valuesStart
        var names = object.collectd.namesStart
        let isLone = try countElements(b, i) == 1
        var position = 0
        while try nextElement(b, &i) {
            var name: NameRef?
            if names >= 0, try nextElement(b, &names) {
                guard b.peek(names) == Ascii.quote else {
                    throw b.error(.badShape, names, Self.jsonTokenEnd(b, names), "dsnames", "a string")
                }
                name = try readJSONString(b, &names)
            }
            let column = i
            if let value = try readJSONScalar(b, &i) {
                if name == nil { name = try valueName(position, isLone, column) }
                let channel = name ?? .none
                try readings.check(channel, column, "channel name")
                try append(b, channel, value, column, from: object.fieldStart)
            }
            position += 1
        }
        guard readings.fields.count > object.fieldStart else { throw readings.emptiness(b, object.collectd.valuesStart, i) }
        let time = object.time.moment
        readings.isTimeLocal = time?.isLocal ?? false
        readings.appendReading(key: key, isCanonical: true, time: time?.nanoseconds, fieldStart: object.fieldStart)
    }

    /// Steps to the next element of an array whose syntax was checked before: `i` on `[` or behind an element.
    private func nextElement(_ b: Bytes, _ i: inout Int) throws(LineError) -> Bool {
        i = skipJSONSpace(b, i)
        guard b.peek(i) == Ascii.leftBracket || b.peek(i) == Ascii.comma else { return false }
        i = skipJSONSpace(b, i + 1)
        return b.peek(i) != Ascii.rightBracket
    }

    private func countElements(_ b: Bytes, _ start: Int) throws(LineError) -> Int {
        var i = start
        var count = 0
        while try nextElement(b, &i) {
            try skipJSONValue(b, &i, 1)
            count += 1
        }
        return count
    }
}
