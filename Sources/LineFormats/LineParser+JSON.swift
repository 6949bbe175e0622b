/// JSON Lines: one object per line, or an array of objects. The accepted shapes are listed in docs/FORMATS.md.
extension LineParser {
    /// What one object said besides its fields and tags, which go straight to `readings`.
    struct JSONObject {
        var start = 0
        var fieldStart = 0
        var measurement: NameRef?
        var time: Int64?
        var hasTimeMember = false
        var collectd = CollectdMembers()
    }

    /// Reads an object or an array of objects.
    mutating func parseJSON(_ b: Bytes, _ start: Int) throws(LineError) {
        var i = start
        switch b[i] {
        case Ascii.leftBrace: try readJSONObject(b, &i, depth: 1)
        case Ascii.leftBracket: try readJSONArray(b, &i)
        default: throw b.error(.badJSON, i, Self.jsonTokenEnd(b, i), "JSON", "an object or an array of objects")
        }
        i = skipJSONSpace(b, i)
        guard i == b.count else { throw b.error(.badJSON, i, b.count, "JSON", "nothing after the value") }
        guard readings.count == 0 else { return }
        if let first = readings.refusals.first { throw first }
        throw b.error(.missingFields, start, b.count, "JSON", "at least one object")
    }

    private mutating func readJSONArray(_ b: Bytes, _ i: inout Int) throws(LineError) {
        i = skipJSONSpace(b, i + 1)
        if b.peek(i) == Ascii.rightBracket {
            i += 1
            return
        }
        while true {
            guard readings.count + readings.refusals.count < limits.readingsPerLineMax else {
                throw b.error(.tooManyReadings, i, i, "array", "at most readingsPerLineMax objects")
            }
            try readJSONElement(b, &i)
            if takeJSON(b, &i, Ascii.comma) { continue }
            i = skipJSONSpace(b, i)
            guard b.peek(i) == Ascii.rightBracket else { throw unclosed(b, i, Ascii.rightBracket) }
            i += 1
            return
        }
    }

    /// Reads one element. One that is good JSON but no good reading is noted and left out; the others stand.
    private mutating func readJSONElement(_ b: Bytes, _ i: inout Int) throws(LineError) {
        let start = i
        let mark = readings.mark()
        do throws(LineError) {
            guard b.peek(i) == Ascii.leftBrace else {
                throw b.error(.badShape, i, Self.jsonTokenEnd(b, i), "array", "an object")
            }
            try readJSONObject(b, &i, depth: 2)
        } catch {
            readings.restore(mark)
            i = start
            try skipJSONValue(b, &i, 1)
            readings.refusals.append(error)
        }
    }

    /// Reads one object as one reading.
    private mutating func readJSONObject(_ b: Bytes, _ i: inout Int, depth: Int) throws(LineError) {
        var object = JSONObject()
        object.start = i
        object.fieldStart = readings.fields.count
        readings.tags.truncate(0)
        path.truncate(0)
        let before = readings.mark()
        try readJSONMembers(b, &i, depth) { (parser, key, column, i) throws(LineError) in
            try parser.readTopMember(b, &i, key, column, depth, &object)
        }
        if object.measurement == nil, nameBefore == nil, object.collectd.isComplete {
            return try finishCollectd(b, object, before)
        }
        guard readings.fields.count > object.fieldStart else { throw readings.emptiness(b, object.start, i) }
        if object.measurement == nil { object.measurement = try defaultMeasurement(b, object.start, i) }
        let key = try readings.writeKey(object.measurement ?? .none, object.start)
        readings.appendReading(key: key, isCanonical: true, time: object.time, fieldStart: object.fieldStart)
    }

    /// Walks through the members of the object at `i`; `read` gets each key and reads its value.
    private mutating func readJSONMembers(
        _ b: Bytes, _ i: inout Int, _ depth: Int,
        _ read: (inout LineParser, NameRef, Int, inout Int) throws(LineError) -> Void
    ) throws(LineError) {
        try checkJSONDepth(b, i, depth)
        i = skipJSONSpace(b, i + 1)
        if b.peek(i) == Ascii.rightBrace {
            i += 1
            return
        }
        while true {
            let column = i + 1  // of the name, behind the quote
            guard b.peek(i) == Ascii.quote else {
                throw b.error(.badJSON, i, Self.jsonTokenEnd(b, i), "JSON", "a member name in quotes")
            }
            let key = try readJSONString(b, &i)
            guard takeJSON(b, &i, Ascii.colon) else { throw b.error(.badJSON, i, Self.jsonTokenEnd(b, i), "JSON", "a colon") }
            try read(&self, key, column, &i)
            if takeJSON(b, &i, Ascii.comma) { continue }
            i = skipJSONSpace(b, i)
            guard b.peek(i) == Ascii.rightBrace else { throw unclosed(b, i, Ascii.rightBrace) }
            i += 1
            return
        }
    }

    private mutating func readTopMember(
        _ b: Bytes, _ i: inout Int, _ key: NameRef, _ column: Int, _ depth: Int, _ object: inout JSONObject
    ) throws(LineError) {
        if nameBefore == nil, isNamed(key, "stream") {
            try readStream(b, &i, column, depth, &object)
        } else if nameBefore == nil, isNamed(key, "name") || isNamed(key, "measurement") {
            try readMeasurement(b, &i, column, &object)
        } else if isNamed(key, "tags") {
            try readTags(b, &i, column, depth)
        } else if isNamed(key, "fields"), b.peek(i) == Ascii.leftBrace {
            try readFields(b, &i, depth + 1)
        } else if isTimeKey(key), !object.hasTimeMember {
            object.hasTimeMember = true
            object.time = try readJSONTime(b, &i)
        } else {
            if try object.collectd.take(&self, b, i, key, depth) == .skipped {
                readings.ignoredNonNumeric += 1
                return try skipJSONValue(b, &i, depth)
            }
            try readChannel(b, &i, key, column, depth)
        }
    }

    func isNamed(_ name: NameRef, _ word: StaticString) -> Bool {
        let text = readings.bytes(name)
        return text.equals(0, text.count, word)
    }

    private func isTimeKey(_ key: NameRef) -> Bool {
        isNamed(key, "time") || isNamed(key, "timestamp") || isNamed(key, "ts") || isNamed(key, "@timestamp")
    }

    // MARK: Stream

    /// `"stream"`: a key as line protocol writes it, or an object of tags with an optional name.
    private mutating func readStream(
        _ b: Bytes, _ i: inout Int, _ column: Int, _ depth: Int, _ object: inout JSONObject
    ) throws(LineError) {
        if takeJSONWord(b, &i, "null") { return }
        if b.peek(i) == Ascii.leftBrace {
            var found: NameRef?
            try readJSONMembers(b, &i, depth + 1) { (parser, key, column, i) throws(LineError) in
                if parser.isNamed(key, "name") || parser.isNamed(key, "measurement") {
                    guard found == nil else { throw b.error(.duplicateMember, column, i, "stream", "one name") }
                    found = try parser.readName(b, &i)
                } else if parser.isNamed(key, "tags"), b.peek(i) == Ascii.leftBrace {
                    try parser.readTags(b, &i, column, depth + 1)
                } else {
                    try parser.readTag(b, &i, key, column)
                }
            }
            if let found { try setMeasurement(b, found, column, &object) }
            return
        }
        let place = i + 1
        let head = try readName(b, &i)
        try setMeasurement(b, try readings.readHead(head, place), column, &object)
    }

    private mutating func readMeasurement(_ b: Bytes, _ i: inout Int, _ column: Int, _ object: inout JSONObject) throws(LineError) {
        if takeJSONWord(b, &i, "null") { return }
        try setMeasurement(b, try readName(b, &i), column, &object)
    }

    private mutating func readName(_ b: Bytes, _ i: inout Int) throws(LineError) -> NameRef {
        guard b.peek(i) == Ascii.quote else {
            throw b.error(.badShape, i, Self.jsonTokenEnd(b, i), "stream name", "a string")
        }
        let column = i + 1
        let name = try readJSONString(b, &i)
        try readings.check(name, column, "stream name")
        return name
    }

    private func setMeasurement(_ b: Bytes, _ name: NameRef, _ column: Int, _ object: inout JSONObject) throws(LineError) {
        guard object.measurement == nil else {
            throw b.error(.duplicateMember, column, min(column + 11, b.count), "stream name", "only one of stream, name and measurement")
        }
        object.measurement = name
    }

    mutating func defaultMeasurement(_ b: Bytes, _ start: Int, _ end: Int) throws(LineError) -> NameRef {
        if let nameBefore { return try readings.readHead(nameBefore, Int(nameBefore.offset)) }
        guard !defaultStream.isEmpty else {
            throw b.error(.emptyKey, start, end, "object", "a member stream, name or measurement")
        }
        try readings.reserveText(defaultStream.count, start)
        let textStart = readings.text.count
        for byte in defaultStream { readings.text.append(byte) }
        return try readings.readHead(.text(textStart, readings.text.count), start)
    }

    private mutating func readTags(_ b: Bytes, _ i: inout Int, _ column: Int, _ depth: Int) throws(LineError) {
        if takeJSONWord(b, &i, "null") { return }
        guard b.peek(i) == Ascii.leftBrace else {
            throw b.error(.badTag, i, Self.jsonTokenEnd(b, i), "tags", "an object")
        }
        try readJSONMembers(b, &i, depth + 1) { (parser, key, column, i) throws(LineError) in
            try parser.readTag(b, &i, key, column)
        }
    }

    /// A tag value is a string; numbers and booleans are taken as they are written, null is absent.
    private mutating func readTag(_ b: Bytes, _ i: inout Int, _ key: NameRef, _ column: Int) throws(LineError) {
        if takeJSONWord(b, &i, "null") { return }
        let start = i
        var value = NameRef.none
        if b.peek(i) == Ascii.quote {
            value = try readJSONString(b, &i)
        } else if takeJSONWord(b, &i, "true") || takeJSONWord(b, &i, "false") {
            value = .line(start, i)
        } else if b.peek(i) == Ascii.minus || Ascii.isDigit(b.peek(i)) {
            _ = try readJSONNumber(b, &i)
            value = .line(start, i)
        } else {
            throw b.error(.badTag, i, Self.jsonTokenEnd(b, i), "tag value", "a string, a number or a boolean")
        }
        guard value.count > 0 else { throw b.error(.badTag, start, i, "tag value", "a value that is not empty") }
        try readings.addTag(key, value, column, start + 1)
    }

    // MARK: Time and fields

    private mutating func readJSONTime(_ b: Bytes, _ i: inout Int) throws(LineError) -> Int64? {
        if takeJSONWord(b, &i, "null") { return nil }
        let start = i
        var next = i
        if b.peek(i) == Ascii.quote {
            let text = readings.bytes(try readJSONString(b, &i))
            if let time = Timestamp.calendar(text, 0, text.count) { return time }
            if let time = Timestamp.number(text, 0, timeUnit, next: &next), next == text.count { return time }
        } else if b.peek(i) == Ascii.minus || Ascii.isDigit(b.peek(i)) {
            _ = try readJSONNumber(b, &i)
            if let time = Timestamp.number(b, start, timeUnit, next: &next), next == i { return time }
        } else {
            i = Self.jsonTokenEnd(b, i)
        }
        throw b.error(.badTimestamp, start, i, "time", "a number or an RFC 3339 string, between 1677 and 2262")
    }

    private mutating func readFields(_ b: Bytes, _ i: inout Int, _ depth: Int) throws(LineError) {
        try readJSONMembers(b, &i, depth) { (parser, key, column, i) throws(LineError) in
            try parser.readChannel(b, &i, key, column, depth)
        }
    }

    /// Reads a value as a channel; objects are flattened with dots between the names.
    private mutating func readChannel(_ b: Bytes, _ i: inout Int, _ key: NameRef, _ column: Int, _ depth: Int) throws(LineError) {
        switch b.peek(i) {
        case Ascii.leftBrace:
            let outer = path.count
            appendPath(key)
            path.append(Ascii.dot)
            try readFields(b, &i, depth + 1)
            path.truncate(outer)
        case Ascii.leftBracket, Ascii.quote:
            readings.ignoredNonNumeric += 1
            try skipJSONValue(b, &i, depth)
        default:
            guard let value = try readJSONScalar(b, &i) else { return }
            let name = try channelName(key, column)
            try append(b, name, value, column, from: currentFieldStart)
        }
    }

    /// Number of the first field of the reading being read.
    private var currentFieldStart: Int {
        guard readings.records.count > 0 else { return 0 }
        let last = readings.records[readings.records.count - 1]
        return Int(last.fieldStart) + Int(last.fieldCount)
    }

    /// A finite number or a boolean; nil for null and for what is not finite, both counted.
    mutating func readJSONScalar(_ b: Bytes, _ i: inout Int) throws(LineError) -> Double? {
        if takeJSONWord(b, &i, "true") { return 1 }
        if takeJSONWord(b, &i, "false") { return 0 }
        if takeJSONWord(b, &i, "null") {
            readings.unknownValues += 1
            return nil
        }
        if takeJSONNonFinite(b, &i) {
            readings.nonFinite += 1
            return nil
        }
        guard b.peek(i) == Ascii.minus || Ascii.isDigit(b.peek(i)) else { throw badJSONValue(b, i) }
        let number = try readJSONNumber(b, &i)
        guard number.value.isFinite else {
            readings.nonFinite += 1
            return nil
        }
        return number.value
    }

    private mutating func appendPath(_ name: NameRef) {
        let text = readings.bytes(name)
        path.append(contentsOf: text.base, count: text.count)
    }

    private mutating func channelName(_ key: NameRef, _ column: Int) throws(LineError) -> NameRef {
        guard path.count > 0 else {
            try readings.check(key, column, "channel name")
            return key
        }
        guard key.count > 0 else { throw readings.shifted(readings.bytes(key), .emptyKey, 0, 0, "channel name", "a name", column) }
        try readings.reserveText(path.count + Int(key.count), column)
        let start = readings.text.count
        readings.text.append(contentsOf: UnsafePointer(path.base), count: path.count)
        let text = readings.bytes(key)
        for k in 0..<text.count { readings.text.append(text[k]) }
        let name = NameRef.text(start, readings.text.count)
        try readings.check(name, column, "channel name")
        return name
    }
}
