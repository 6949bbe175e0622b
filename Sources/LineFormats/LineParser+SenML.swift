/// SenML (RFC 8428): an array of records with base values, `[{"bn":"urn:dev:ow:10e2:","bt":1.7e9,"n":"temp","u":"Cel","v":23.1},{"n":"hum","v":40}]`.
///
/// The base name is the stream and the name the channel; with only one of the two it is the stream and the channel is `value`. Records of one
/// stream and one time that follow each other are one reading.
extension LineParser {
    private struct Base {
        var name = NameRef.none
        var time: Int64 = 0
        var value = 0.0
    }

    private struct Record {
        var name = NameRef.none
        var time: Int64?
        var value: Double?
        var sum: Double?
        var column = 0
    }

    private static let senMLValues = ["v", "vb", "vs", "vd", "s", "bt", "bv", "bver"]
    private static let senMLNames = ["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut"]

    /// Whether all members of the first object have names of SenML, a value among them.
    func startsSenML(_ b: Bytes, _ start: Int) -> Bool {
        let object = skipJSONSpace(b, start + 1)
        guard b.peek(object) == Ascii.leftBrace else { return false }
        guard has("n", b, object) || has("bn", b, object),
            Self.senMLValues.contains(where: { member($0, b, object) != nil })
        else { return false }
        var i = skipJSONSpace(b, object + 1)
        while b.peek(i) == Ascii.quote {
            let nameStart = i + 1
            guard (try? skipJSONString(b, &i)) != nil else { return false }
            let name = (nameStart..<(i - 1)).map { b[$0] }
            guard Self.senMLNames.contains(where: { $0.utf8.elementsEqual(name) }), takeJSON(b, &i, Ascii.colon),
                (try? skipJSONValue(b, &i, 2)) != nil
            else { return false }
            if !takeJSON(b, &i, Ascii.comma) { return true }
        }
        return false
    }

    /// Reads the array at `i`.
    mutating func readSenML(_ b: Bytes, _ i: inout Int) throws(LineError) {
        var base = Base()
        var open: (key: NameRef, time: Int64?, fieldStart: Int)?
        var records = 0
        i = skipJSONSpace(b, i + 1)
        while true {
            records += 1
            guard records <= limits.readingsPerLineMax else {
                throw b.error(.tooManyReadings, i, i, "array", "at most readingsPerLineMax records")
            }
            var record = Record()
            record.column = i
            let start = i
            try readRecord(b, &i, &record, &base)
            if let value = record.value ?? record.sum {
                let (key, channel) = try names(b, base.name, record.name, start)
                let time = try time(b, record.time, base.time, start)
                if let before = open, before.time != time || !readings.resolve(before.key).elementsEqual(readings.resolve(key)) {
                    readings.appendReading(key: before.key, isCanonical: true, time: before.time, fieldStart: before.fieldStart)
                    open = nil
                }
                if open == nil { open = (key, time, readings.fields.count) }
                try append(b, channel, value + base.value, start, from: open?.fieldStart ?? 0)
            }
            if takeJSON(b, &i, Ascii.comma) { continue }
            i = skipJSONSpace(b, i)
            guard b.peek(i) == Ascii.rightBracket else { throw unclosed(b, i, Ascii.rightBracket) }
            i += 1
            break
        }
        if let last = open { readings.appendReading(key: last.key, isCanonical: true, time: last.time, fieldStart: last.fieldStart) }
        if readings.records.count == 0 { throw readings.emptiness(b, 0, b.count) }
    }

    private mutating func readRecord(_ b: Bytes, _ i: inout Int, _ record: inout Record, _ base: inout Base) throws(LineError) {
        guard b.peek(i) == Ascii.leftBrace else { throw b.error(.badShape, i, Self.jsonTokenEnd(b, i), "SenML", "an object") }
        var (found, common) = (record, base)
        try readJSONMembers(b, &i, 2) { (parser, key, column, i) throws(LineError) in
            if parser.isNamed(key, "bn") {
                common.name = try parser.readJSONString(b, &i)
            } else if parser.isNamed(key, "n") {
                found.name = try parser.readJSONString(b, &i)
            } else if parser.isNamed(key, "bt") || parser.isNamed(key, "t") {
                let start = i
                var next = i
                _ = try parser.readJSONNumber(b, &i)
                guard let time = Timestamp.number(b, start, .seconds, next: &next), next == i else {
                    throw b.error(.badTimestamp, start, i, "SenML time", "seconds that fit in int64 nanoseconds")
                }
                if parser.isNamed(key, "bt") { common.time = time } else { found.time = time }
            } else if parser.isNamed(key, "v") {
                found.value = try parser.readJSONScalar(b, &i)
            } else if parser.isNamed(key, "vb") {
                found.value = try parser.readJSONScalar(b, &i)
            } else if parser.isNamed(key, "bv") {
                common.value = try parser.readJSONScalar(b, &i) ?? 0
            } else if parser.isNamed(key, "s") {
                found.sum = try parser.readJSONScalar(b, &i)
            } else {
                if parser.isNamed(key, "vs") || parser.isNamed(key, "vd") { parser.readings.ignoredNonNumeric += 1 }
                try parser.skipJSONValue(b, &i, 2)
            }
        }
        (record, base) = (found, common)
    }

    /// Times below 2^28 are relative to now, which is not known here: nothing or 0 is the time of arrival.
    private func time(_ b: Bytes, _ own: Int64?, _ base: Int64, _ start: Int) throws(LineError) -> Int64? {
        let (sum, overflow) = base.addingReportingOverflow(own ?? 0)
        guard !overflow else { throw b.error(.badTimestamp, start, start, "SenML time", "a time that fits in int64 nanoseconds") }
        if sum >= 1 << 28 * 1_000_000_000 { return sum }
        guard sum == 0 else {
            throw b.error(
                .badTimestamp, start, min(start + 1, b.count), "SenML time",
                "seconds since 1970, in bt or t, or none; not a time relative to now")
        }
        return nil
    }

    private mutating func names(_ b: Bytes, _ base: NameRef, _ name: NameRef, _ column: Int) throws(LineError) -> (
        key: NameRef, channel: NameRef
    ) {
        readings.tags.truncate(0)
        var trimmed = base
        while trimmed.count > 0, ":/._-".utf8.contains(readings.bytes(trimmed)[Int(trimmed.count) - 1]) { trimmed.count -= 1 }
        if trimmed.count > 0, name.count > 0 {
            try readings.check(name, column, "channel name")
            return (try readings.writeKey(try checked(trimmed, column), column), name)
        }
        let key = try readings.writeKey(try checked(name.count > 0 ? name : trimmed, column), column)
        try readings.reserveText(5, column)
        let start = readings.text.count
        readings.appendText("value")
        return (key, .text(start, readings.text.count))
    }

    private func checked(_ name: NameRef, _ column: Int) throws(LineError) -> NameRef {
        try readings.check(name, column, "stream name")
        return name
    }
}
