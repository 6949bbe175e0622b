/// Lines whose name is not a single plain word, and lines that belong to something else.
extension LineParser {
    /// Where the object begins behind syslog's cookie: `@cee: {...}`, alone or behind the header of a message.
    static func cookieEnd(_ b: Bytes, _ start: Int) -> Int? {
        var i = start
        while i + 5 <= b.count {
            if b[i] == 0x40, b.equals(i, i + 5, "@cee:") {
                let object = b.skipBlanks(i + 5)
                return b.peek(object) == Ascii.leftBrace ? object : nil
            }
            i += 1
        }
        return nil
    }

    /// The end of a name of several words before an object or a number: `zigbee2mqtt/Living Room {...}`. The words must look like a name: with
    /// a slash in one, or, before an object, of letters only. nil: they do not.
    static func spacedNameEnd(_ b: Bytes, _ start: Int) -> Int? {
        var (i, words) = (start, 0)
        var (hasSlash, isPlain) = (false, true)
        while i < b.count, words < 16 {
            let end = b.tokenEnd(i)
            let rest = b.skipBlanks(end)
            guard rest < b.count else { return nil }
            words += 1
            for k in i..<end {
                if b[k] == Ascii.slash { hasSlash = true }
                let isLetter = b[k] | 0x20 >= 0x61 && b[k] | 0x20 <= 0x7A || b[k] >= 0x80 || b[k] == 0x5F || b[k] == Ascii.minus
                if !isLetter, k == i || !Ascii.isDigit(b[k]) { isPlain = false }
                if b[k] == Ascii.equals || b[k] == Ascii.backslash || b[k] == Ascii.quote { return nil }
            }
            if b[rest] == Ascii.leftBrace { return words > 1 && (hasSlash || isPlain) ? end : nil }
            if words > 1, hasSlash, isValues(b, rest) { return end }
            i = rest
        }
        return nil
    }

    /// Whether a number and at most a time, and nothing else, follow.
    private static func isValues(_ b: Bytes, _ start: Int) -> Bool {
        var number = DecimalNumber()
        guard number.scan(b, start), number.next == b.tokenEnd(start) else { return false }
        let time = b.skipBlanks(number.next)
        if time >= b.count { return true }
        var stamp = DecimalNumber()
        return stamp.scanDigits(b, time) && stamp.next == b.count || Timestamp.calendar(b, time, b.count) != nil
    }

    /// Reads `name {JSON}` or `name value [time]` whose name ends at `end` and is taken literally.
    mutating func parseNamed(_ b: Bytes, _ start: Int, _ end: Int) throws(LineError) {
        let rest = b.skipBlanks(end)
        try readings.reserveText(2 * (end - start), start)
        let nameStart = readings.text.count
        // As a head of line protocol, so that it is read in the same way as other names.
        for k in start..<end {
            if b[k] == Ascii.space || b[k] == Ascii.comma { readings.text.append(Ascii.backslash) }
            readings.text.append(b[k])
        }
        let head = NameRef.text(nameStart, readings.text.count)
        guard b[rest] != Ascii.leftBrace else {
            nameBefore = head
            defer { nameBefore = nil }
            return try parseJSON(b, rest)
        }
        readings.tags.truncate(0)
        let key = try readings.writeKey(try readings.readHead(head, start), start)
        let valueEnd = b.tokenEnd(rest)
        try appendPlainValue(b, rest, valueEnd)
        let time = try plainTime(b, b.skipBlanks(valueEnd))
        readings.appendReading(key: key, isCanonical: true, time: time, fieldStart: 0)
    }

    /// Whether `{"metric.name",label="x"} 1` stands at `start`: a metric whose name needs quotes.
    static func startsQuotedMetric(_ b: Bytes, _ start: Int) -> Bool {
        guard b.peek(start) == Ascii.leftBrace else { return false }
        var i = b.skipBlanks(start + 1)
        guard b.peek(i) == Ascii.quote else { return false }
        i += 1
        while i < b.count, b[i] != Ascii.quote { i += b[i] == Ascii.backslash ? 2 : 1 }
        i = b.skipBlanks(i + 1)
        return b.peek(i) == Ascii.comma || b.peek(i) == Ascii.rightBrace
    }

    /// A line that is a piece of JSON written over several lines: `{`, `"name": "pump",`, `],`.
    static func pieceOfJSON(_ b: Bytes, _ start: Int) -> LineError? {
        var isPiece = false
        switch b[start] {
        case Ascii.leftBrace, Ascii.leftBracket:
            isPiece = b.skipBlanks(start + 1) == b.count
            if !isPiece {
                isPiece =
                    b[start] == Ascii.leftBracket && b.peek(b.skipBlanks(start + 1)) == Ascii.leftBrace
                    && b.skipBlanks(b.skipBlanks(start + 1) + 1) == b.count
            }
        case Ascii.rightBrace, Ascii.rightBracket: isPiece = true
        case Ascii.quote:
            var i = start + 1
            while i < b.count, b[i] != Ascii.quote { i += b[i] == Ascii.backslash ? 2 : 1 }
            isPiece = b.peek(b.skipBlanks(i + 1)) == Ascii.colon
        default: break
        }
        guard isPiece else { return nil }
        return b.error(.jsonOfSeveralLines, start, b.count, "JSON of several lines", "one object a line: jq -c . makes it so")
    }

    /// What a line is that cannot be read here, when it can be told.
    static func foreign(_ b: Bytes, _ start: Int) -> LineError? {
        if b.count > start + 8, b.equalsIgnoringCase(start, start + 8, "putnotif") {
            return b.error(
                .unsupported, start, start + 8, "collectd notification",
                "PUTVAL: a notification carries no values, send it to a notification plugin")
        }
        return nil
    }

    /// Objects of formats that are documents rather than readings.
    func refuseForeign(_ b: Bytes, _ start: Int, _ end: Int) throws(LineError) {
        if has("resourceMetrics", b, start) || has("resourceLogs", b, start) || has("resourceSpans", b, start) {
            throw b.error(
                .unsupported, start, end, "OTLP JSON",
                "one object a reading: send OTLP to a collector that writes line protocol or Prometheus text")
        }
    }
}

/// Whether objects without a name are about one thing, told by a member that usually says which.
struct HeapGuard {
    /// Of the first object's member and its value.
    var member: UInt64 = 0
    var value: UInt64 = 0
    /// A number that goes up by one is a count, not a name.
    var number: Double?
    var isMixed = false
}

extension LineParser {
    private static let identities = [
        "id", "device_id", "deviceId", "device", "dev_id", "devEui", "dev", "sensor_id", "sensorId", "sensor", "sensor_name", "entity_id",
        "mac",
        "addr", "address", "ieee", "ieeeAddr", "node_id", "nodeId", "node", "serial", "sn", "uuid", "topic", "host", "hostname",
        "friendly_name",
        "station_id", "station", "meter_id", "meter", "asset_id", "asset", "unit_id", "room", "location", "point", "source", "model", "bn",
    ]

    /// Refuses an object without a name when objects before it were about something else: in one stream they would be a heap.
    mutating func refuseHeap(_ b: Bytes, _ start: Int) throws(LineError) {
        for name in Self.identities {
            guard let place = member(name, b, start) else { continue }
            let isText = b[place] == Ascii.quote
            guard isText || Ascii.isDigit(b[place]) else { continue }
            var end = place
            if isText { _ = try skipJSONString(b, &end) } else { end = Self.jsonTokenEnd(b, place) }
            let memberHash = Self.hash(name.utf8)
            let valueHash = Self.hash((place..<end).lazy.map { b[$0] })
            var number: Double?
            if !isText {
                var scanned = DecimalNumber()
                guard scanned.scan(b, place), scanned.next == end, scanned.isInteger else { continue }
                number = scanned.value
            }
            if heap.member != memberHash {
                if heap.member == 0 || !heap.isMixed { heap = HeapGuard(member: memberHash, value: valueHash, number: number) }
            } else if !heap.isMixed, let before = heap.number, let number, number == before + 1 {
                heap.number = number
                heap.value = valueHash
            } else if heap.value != valueHash {
                heap.isMixed = true
            }
            guard heap.isMixed else { return }
            let problem = LineError(
                .mixedObjects, column: place + 1, object: "objects of different things without a stream name",
                expected: "a member stream or name, or a [[sources]] section whose stream_from names this member",
                excerpt: InlineText(b, place, end), columnName: InlineText(utf8: name))
            throw problem
        }
    }

    private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } | 1
    }
}
