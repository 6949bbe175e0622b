/// JSON Lines: one object per line, or an array of objects. The accepted shapes are listed in docs/FORMATS.md.
extension LineParser {
    /// What one object said besides its fields and tags, which go straight to `readings`.
    struct JSONObject {
        var start = 0
        var fieldStart = 0
        var measurement: NameRef?
        var time = JSONTime()
        var collectd = CollectdMembers()
    }

    /// Reads an object or an array of objects.
    mutating func parseJSON(_ b: Bytes, _ start: Int) throws(LineError) {
        var i = start
        switch b[i] {
        case Ascii.leftBrace: try readJSONObject(b, &i, depth: 1)
        case Ascii.leftBracket:
            if nameBefore == nil, startsSenML(b, i) { try readSenML(b, &i) } else { try readJSONArray(b, &i) }
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
            readings.skipLeftOut()
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
        if !sources.isEmpty, let rule = rule(of: sources, b, i) { return try readRuled(b, &i, rule, depth) }
        try readJSONMembers(b, &i, depth) { (parser, key, column, i) throws(LineError) in
            try parser.readTopMember(b, &i, key, column, depth, &object)
        }
        if object.measurement == nil, nameBefore == nil, object.collectd.isComplete {
            return try finishCollectd(b, object, before)
        }
        if object.measurement == nil, nameBefore == nil {
            if let rule = rule(of: Self.automaticRules, b, object.start) {
                readings.restore(before)
                readings.tags.truncate(0)
                i = object.start
                return try readRuled(b, &i, rule, depth)
            }
            try refuseForeign(b, object.start, i)
        }
        guard readings.fields.count > object.fieldStart else { throw readings.emptiness(b, object.start, i) }
        if object.measurement == nil {
            if nameBefore == nil, !defaultStream.isEmpty { try refuseHeap(b, object.start) }
            object.measurement = try defaultMeasurement(b, object.start, i)
        }
        let key = try readings.writeKey(object.measurement ?? .none, object.start)
        let time = object.time.moment
        readings.isTimeLocal = time?.isLocal ?? false
        readings.appendReading(key: key, isCanonical: true, time: time?.nanoseconds, fieldStart: object.fieldStart)
    }

    /// Walks through the members of the object at `i`; `read` gets each key and reads its value.
    mutating func readJSONMembers(
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
        } else if let strength = timeKey(key), try readJSONTime(b, &i, strength, &object.time) {
            return
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

    mutating func readFields(_ b: Bytes, _ i: inout Int, _ depth: Int) throws(LineError) {
        try readJSONMembers(b, &i, depth) { (parser, key, column, i) throws(LineError) in
            if parser.rule != nil, parser.isUsed(key) { return try parser.skipJSONValue(b, &i, depth) }
            try parser.readChannel(b, &i, key, column, depth)
        }
    }

    /// Reads a value as a channel; objects and short arrays are flattened with dots between the names.
    mutating func readChannel(_ b: Bytes, _ i: inout Int, _ key: NameRef, _ column: Int, _ depth: Int) throws(LineError) {
        switch b.peek(i) {
        case Ascii.leftBrace:
            let outer = path.count
            appendPath(key)
            path.append(Ascii.dot)
            try readFields(b, &i, depth + 1)
            path.truncate(outer)
        case Ascii.leftBracket: try readElements(b, &i, key, column, depth)
        case Ascii.quote:
            let place = i + 1
            let text = try readJSONString(b, &i)
            guard let value = textValue(b, text, place) else { return }
            let name = try channelName(key, column)
            try append(b, name, value.number, column, from: currentFieldStart)
            readings.note(unit: value.unit)
        default:
            guard let value = try readJSONScalar(b, &i) else { return }
            let name = try channelName(key, column)
            try append(b, name, value, column, from: currentFieldStart)
        }
    }

    /// The number that a text is, with its unit; nil when it is none, which is counted.
    mutating func textValue(_ b: Bytes, _ text: NameRef, _ place: Int) -> (number: Double, unit: UInt8)? {
        let bytes = readings.bytes(text)
        switch TextNumber.read(bytes) {
        case .number(let number, let unit): return (number, unit)
        case .odd:
            readings.leaveOdd(
                LineError(
                    .badNumber, column: place + 1, object: "number in quotes",
                    expected: "a number, with a decimal point or one comma that cannot be thousands, and a known unit or none",
                    excerpt: InlineText(bytes, 0, bytes.count)))
        case .nonFinite: readings.nonFinite += 1
        case .unknown: readings.unknownValues += 1
        case .text:
            if let state = state(bytes) { return (state, 0) }
            readings.ignoredNonNumeric += 1
        }
        return nil
    }

    /// An array of a few values or objects gives channels `name.0`, `name.1`; a longer one is left out and counted.
    private mutating func readElements(_ b: Bytes, _ i: inout Int, _ key: NameRef, _ column: Int, _ depth: Int) throws(LineError) {
        let start = i
        let mark = readings.mark()
        try checkJSONDepth(b, i, depth + 1)
        let outer = path.count
        appendPath(key)
        path.append(Ascii.dot)
        defer { path.truncate(outer) }
        i = skipJSONSpace(b, i + 1)
        var index = 0
        while b.peek(i) != Ascii.rightBracket || index > 0 {
            guard index < Self.elementsMax else {
                readings.restore(mark)
                readings.ignoredNonNumeric += 1
                i = start
                return try skipJSONValue(b, &i, depth)
            }
            try readChannel(b, &i, try indexName(index, column), column, depth + 1)
            index += 1
            if takeJSON(b, &i, Ascii.comma) { continue }
            i = skipJSONSpace(b, i)
            guard b.peek(i) == Ascii.rightBracket else { throw unclosed(b, i, Ascii.rightBracket) }
            break
        }
        i += 1
    }

    /// Elements of an array that become channels.
    static let elementsMax = 32

    private mutating func indexName(_ index: Int, _ column: Int) throws(LineError) -> NameRef {
        try readings.reserveText(2, column)
        let start = readings.text.count
        if index >= 10 { readings.text.append(Ascii.zero + UInt8(index / 10)) }
        readings.text.append(Ascii.zero + UInt8(index % 10))
        return .text(start, readings.text.count)
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

    mutating func channelName(_ key: NameRef, _ column: Int) throws(LineError) -> NameRef {
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
