import TimeSeries

/// Objects that carry their identity in members of their own.
extension LineParser {
    /// Presets that no other object can be mistaken for; they hold where an object names no stream.
    static let automaticRules = SourceRule.presets.filter { !$0.has.isEmpty }

    /// The first rule that the object at `i` follows.
    func rule(of rules: [SourceRule], _ b: Bytes, _ i: Int) -> SourceRule? {
        for rule in rules {
            if let nameBefore {
                guard rule.matches(readings.bytes(nameBefore)) else { continue }
            } else if rule.match != "*" {
                continue
            }
            guard rule.has.allSatisfy({ member($0, b, i) != nil }) else { continue }
            // Without its first name an object is another's.
            if let first = rule.streamFrom.first, member(first, b, i) == nil { continue }
            return rule
        }
        return nil
    }

    /// Where the value of a member stands; `path` may lead into objects, with dots. nil: there is none, or the JSON is broken before it.
    func member(_ path: String, _ b: Bytes, _ object: Int) -> Int? {
        var path = path
        return path.withUTF8 { find(Bytes(base: $0.baseAddress ?? b.base, count: $0.count), 0, b, object, 1) }
    }

    /// The same for a name that is known here.
    func has(_ name: StaticString, _ b: Bytes, _ object: Int) -> Bool {
        find(Bytes(base: name.utf8Start, count: name.utf8CodeUnitCount), 0, b, object, 1) != nil
    }

    private func find(_ path: Bytes, _ from: Int, _ b: Bytes, _ object: Int, _ depth: Int) -> Int? {
        guard b.peek(object) == Ascii.leftBrace, depth <= limits.jsonDepthMax else { return nil }
        var i = skipJSONSpace(b, object + 1)
        while b.peek(i) == Ascii.quote {
            let nameStart = i + 1
            guard (try? skipJSONString(b, &i)) != nil else { return nil }
            let length = i - 1 - nameStart
            guard takeJSON(b, &i, Ascii.colon) else { return nil }
            var isHere = length <= path.count - from
            var k = 0
            while isHere, k < length {
                isHere = b[nameStart + k] == path[from + k]
                k += 1
            }
            if isHere, from + length == path.count { return i }
            if isHere, path.peek(from + length) == Ascii.dot, let found = find(path, from + length + 1, b, i, depth + 1) { return found }
            guard (try? skipJSONValue(b, &i, depth)) != nil, takeJSON(b, &i, Ascii.comma) else { return nil }
        }
        return nil
    }

    /// Reads an object as its rule says.
    mutating func readRuled(_ b: Bytes, _ i: inout Int, _ found: SourceRule, _ depth: Int) throws(LineError) {
        let start = i
        rule = found
        defer { rule = nil }
        try skipJSONValue(b, &i, depth - 1)
        let fieldStart = readings.fields.count
        readings.tags.truncate(0)
        let key = try ruledKey(b, start, i, found)
        let time = try ruledTime(b, start, found)
        if found.valueFrom.isEmpty {
            try readRuledMembers(b, start, found, depth)
        } else if let place = member(found.valueFrom, b, start) {
            try readRuledValue(b, place, depth)
        } else {
            throw b.error(.missingFields, start, i, "object", "the member with the values that value_from names")
        }
        guard readings.fields.count > fieldStart else { throw readings.emptiness(b, start, i) }
        readings.isTimeLocal = time?.isLocal ?? false
        readings.appendReading(key: key, isCanonical: true, time: time?.nanoseconds, fieldStart: fieldStart)
    }

    private mutating func ruledKey(_ b: Bytes, _ start: Int, _ end: Int, _ rule: SourceRule) throws(LineError) -> NameRef {
        guard !rule.streamFrom.isEmpty else {
            // Named as without a rule.
            var name: NameRef?
            if nameBefore == nil, let place = member("stream", b, start) ?? member("name", b, start) ?? member("measurement", b, start) {
                name = try scalarText(b, place)
            }
            if let name { return try readings.writeKey(try readings.readHead(name, start), start) }
            return try readings.writeKey(try defaultMeasurement(b, start, end), start)
        }
        var measurement: NameRef?
        for path in rule.streamFrom {
            guard let place = member(path, b, start), let text = try scalarText(b, place) else { continue }
            guard measurement != nil else {
                measurement = text
                continue
            }
            try readings.addTag(try tagName(path, place), text, place, place)
        }
        guard let measurement else {
            throw b.error(.emptyKey, start, end, "object", "the first member that stream_from names, as text or number")
        }
        return try readings.writeKey(measurement, start)
    }

    /// The last part of a path, as text that stays.
    private mutating func tagName(_ path: String, _ column: Int) throws(LineError) -> NameRef {
        try readings.reserveText(path.utf8.count, column)
        let start = readings.text.count
        var last = start
        for byte in path.utf8 {
            readings.text.append(byte)
            if byte == Ascii.dot { last = readings.text.count }
        }
        return .text(last, readings.text.count)
    }

    /// The text of a string, or a number or boolean as it is written; nil for null, an empty text and containers.
    private mutating func scalarText(_ b: Bytes, _ place: Int) throws(LineError) -> NameRef? {
        var i = place
        if b.peek(i) == Ascii.quote {
            let text = try readJSONString(b, &i)
            return text.count > 0 ? text : nil
        }
        guard b.peek(i) != Ascii.leftBrace, b.peek(i) != Ascii.leftBracket, !takeJSONWord(b, &i, "null") else { return nil }
        return .line(place, Self.jsonTokenEnd(b, place))
    }

    private static let timeNames = ["time", "timestamp", "ts", "@timestamp", "_time", "Time", "datetime", "date", "unixtime"]

    private mutating func ruledTime(_ b: Bytes, _ start: Int, _ rule: SourceRule) throws(LineError) -> JSONTime.Moment? {
        var time = JSONTime()
        if !rule.timeField.isEmpty {
            guard var place = member(rule.timeField, b, start) else { return nil }
            if case .unit(let unit)? = rule.timeForm, b.peek(place) != Ascii.quote {
                var next = place
                guard let found = Timestamp.number(b, place, unit, next: &next) else {
                    throw b.error(.badTimestamp, place, Self.jsonTokenEnd(b, place), "time", "a number of the unit that time_format names")
                }
                return JSONTime.Moment(nanoseconds: found, isLocal: false)
            }
            _ = try readJSONTime(b, &place, .must, &time)
            return time.moment
        }
        for name in Self.timeNames {
            guard var place = member(name, b, start) else { continue }
            if try readJSONTime(b, &place, name == "date" || name == "unixtime" ? .may : .must, &time), time.isComplete { break }
        }
        return time.moment
    }

    /// All members but those that the rule uses or ignores, and the usual names of the time.
    private mutating func readRuledMembers(_ b: Bytes, _ start: Int, _ rule: SourceRule, _ depth: Int) throws(LineError) {
        var i = start
        let hasName = nameBefore != nil
        try readJSONMembers(b, &i, depth) { (parser, key, column, i) throws(LineError) in
            let isName =
                rule.streamFrom.isEmpty && !hasName
                && (parser.isNamed(key, "stream") || parser.isNamed(key, "name") || parser.isNamed(key, "measurement"))
            let isTime = rule.timeField.isEmpty ? parser.timeKey(key) == .must : parser.isNamed(key, rule.timeField)
            let isKnown =
                isName || isTime || rule.streamFrom.contains { parser.isNamed(key, $0) }
                || rule.ignoreFields.contains { parser.isNamed(key, $0) }
            if isKnown { return try parser.skipJSONValue(b, &i, depth) }
            try parser.readChannel(b, &i, key, column, depth)
        }
    }

    /// Whether the member `key` inside others is one that the rule in force uses for something else than a value.
    func isUsed(_ key: NameRef) -> Bool {
        guard let rule, path.count > 0, rule.valueFrom.isEmpty else { return false }
        func isHere(_ wanted: String) -> Bool {
            let bytes = wanted.utf8
            guard bytes.count == path.count + Int(key.count) else { return false }
            let name = readings.bytes(key)
            return zip(bytes, 0..<bytes.count).allSatisfy { $1 < path.count ? path[$1] == $0 : name[$1 - path.count] == $0 }
        }
        return isHere(rule.timeField) || rule.streamFrom.contains(where: isHere) || rule.ignoreFields.contains(where: isHere)
    }

    private func isNamed(_ name: NameRef, _ word: String) -> Bool { readings.resolve(name).elementsEqual(word.utf8) }

    /// Reads what `value_from` names: an object's members, a value, or a text that holds one of both.
    private mutating func readRuledValue(_ b: Bytes, _ place: Int, _ depth: Int) throws(LineError) {
        var i = place
        switch b.peek(i) {
        case Ascii.leftBrace:
            let time = rule.flatMap {
                $0.timeField.hasPrefix($0.valueFrom + ".") ? String($0.timeField.dropFirst($0.valueFrom.count + 1)) : nil
            }
            return try readJSONMembers(b, &i, depth + 1) { (parser, key, column, i) throws(LineError) in
                if let time, parser.isNamed(key, time) { return try parser.skipJSONValue(b, &i, depth + 1) }
                try parser.readChannel(b, &i, key, column, depth + 1)
            }
        case Ascii.quote:
            let text = try readJSONString(b, &i)
            let content = readings.bytes(text)
            let first = content.skipBlanks(0)
            if content.peek(first) == Ascii.leftBrace || content.peek(first) == Ascii.leftBracket {
                return try readNested(content, place, depth)
            }
        default: break
        }
        i = place
        try readings.reserveText(5, place)
        let start = readings.text.count
        readings.appendText("value")
        try readChannel(b, &i, .text(start, readings.text.count), place, depth)
    }

    /// Reads JSON that stood in a string. The names of its members lie in `nested` from here on, so it must be the line's only one.
    private mutating func readNested(_ content: Bytes, _ place: Int, _ depth: Int) throws(LineError) {
        nested.truncate(0)
        nested.append(contentsOf: content.base, count: content.count)
        guard readings.records.count == 0 else {
            throw content.error(.badShape, 0, content.count, "text", "JSON in a string only in an object that stands alone in its line")
        }
        readings.enter(nested.base, nested.count)
        let b = Bytes(base: UnsafePointer(nested.base), count: nested.count)
        var i = b.skipBlanks(0)
        if b.peek(i) == Ascii.leftBrace {
            try readFields(b, &i, depth + 1)
        } else {
            try readings.reserveText(5, place)
            let start = readings.text.count
            readings.appendText("value")
            try readChannel(b, &i, .text(start, readings.text.count), place, depth)
        }
        guard skipJSONSpace(b, i) == b.count else { throw b.error(.badJSON, i, b.count, "JSON in a string", "nothing after the value") }
    }

    /// The number that a word stands for in the rule in force.
    func state(_ text: Bytes) -> Double? {
        guard let rule, !rule.states.isEmpty, text.count <= 24 else { return nil }
        for (word, value) in rule.states where word.utf8.count == text.count {
            if zip(word.utf8, 0..<text.count).allSatisfy({ Ascii.lowered($0) == Ascii.lowered(text[$1]) }) { return value }
        }
        return nil
    }
}

extension ReadingBuffer {
    /// From here on names in the line are names in these bytes, which must live until the next line.
    mutating func enter(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        lineBase = UnsafePointer(bytes)
        lineCount = count
    }
}
