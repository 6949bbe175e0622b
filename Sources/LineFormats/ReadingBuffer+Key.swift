/// Stream keys: one canonical form for all formats.
///
/// `measurement,tag=value,...` with tags sorted by the bytes of their keys, escaped as line protocol does it, so that the
/// canonical key is itself a valid head of a line. A backslash goes before `,` and space (in tags also before `=`), and
/// before a backslash that would otherwise be read as the start of an escape. Reading a canonical key gives the same key.
extension ReadingBuffer {
    /// The canonical key of reading `i`; the buffer is valid until the next parse.
    ///
    /// For line protocol this is where the head is checked, so a caller that knows the raw key never pays for it.
    /// - Throws: `empty_key`, `bad_name`, `bad_tag`, `duplicate_tag`, `too_many_tags`, `key_too_long`, `name_too_long`,
    ///   `bad_utf8`, `control_character`, `too_much_text`.
    public mutating func canonicalKey(_ i: Int) throws(LineError) -> UnsafeBufferPointer<UInt8> {
        let record = records[i]
        if record.keyIsCanonical { return resolve(record.key) }
        let column = record.key.offset >= 0 ? Int(record.key.offset) : 0
        let key = try canonicalize(record.key, column)
        return resolve(key)
    }

    /// Reads `head` (at 0-based `column` of the line) as a line-protocol head and writes its canonical form.
    mutating func canonicalize(_ head: NameRef, _ column: Int) throws(LineError) -> NameRef {
        tags.truncate(0)
        let measurement = try readHead(head, column)
        return try writeKey(measurement, column)
    }

    /// Splits a line-protocol head into measurement and tags; tags are appended to `tags`, texts to the arena.
    mutating func readHead(_ head: NameRef, _ column: Int) throws(LineError) -> NameRef {
        try reserveText(Int(head.count), column)
        let b = bytes(head)
        var i = 0
        let measurement = unescape(b, &i, stopAtEquals: false)
        try check(measurement, column, "measurement")
        while i < b.count {
            let start = i + 1
            i = start
            let key = unescape(b, &i, stopAtEquals: true)
            guard key.count > 0 else { throw shifted(b, .emptyKey, start, b.count, "tag key", "a name", column) }
            guard i < b.count, b[i] == Ascii.equals else {
                throw shifted(b, .badTag, start, i, "tag", "tag=value", column)
            }
            i += 1
            let valueStart = i
            let value = unescape(b, &i, stopAtEquals: true)
            guard value.count > 0 else { throw shifted(b, .badTag, valueStart, b.count, "tag value", "a value after =", column) }
            guard i == b.count || b[i] == Ascii.comma else {
                throw shifted(b, .badTag, i, b.count, "tag value", "a comma, or a backslash before =", column)
            }
            try addTag(key, value, column + start, column + valueStart)
        }
        return measurement
    }

    /// Adds one tag, both texts already unescaped; `valueColumn` is where its value stands.
    mutating func addTag(_ key: NameRef, _ value: NameRef, _ column: Int, _ valueColumn: Int) throws(LineError) {
        guard tags.count < limits.tagsMax else {
            throw LineError(
                .tooManyTags, column: column + 1, object: "tags", expected: "at most tagsMax tags",
                excerpt: InlineText(bytes(key), 0, Int(key.count)))
        }
        try check(key, column, "tag key")
        try check(value, valueColumn, "tag value")
        tags.append(TagRecord(key: key, value: value, column: Int32(truncatingIfNeeded: column)))
    }

    /// Writes the canonical form of `measurement` and the tags collected in `tags` to the arena.
    mutating func writeKey(_ measurement: NameRef, _ column: Int) throws(LineError) -> NameRef {
        try checkMeasurement(measurement, column)
        try sortTags()
        var bound = Int(measurement.count) * 2
        for t in 0..<tags.count { bound += (Int(tags[t].key.count) + Int(tags[t].value.count)) * 2 + 2 }
        try reserveText(bound, column)
        let name = bytes(measurement)  // again: the arena may have moved
        let start = text.count
        appendEscaped(measurement, escapeEquals: false)
        for t in 0..<tags.count {
            text.append(Ascii.comma)
            appendEscaped(tags[t].key, escapeEquals: true)
            text.append(Ascii.equals)
            appendEscaped(tags[t].value, escapeEquals: true)
        }
        guard text.count - start <= limits.keyBytesMax else {
            throw shifted(name, .keyTooLong, 0, name.count, "stream key", "at most keyBytesMax bytes", column)
        }
        return .text(start, text.count)
    }

    private func checkMeasurement(_ measurement: NameRef, _ column: Int) throws(LineError) {
        let name = bytes(measurement)
        guard name.count > 0 else { throw shifted(name, .emptyKey, 0, 0, "measurement", "a name", column) }
        guard name[0] != Ascii.hash else {
            throw shifted(name, .badName, 0, name.count, "measurement", "a name that does not begin with #", column)
        }
    }

    /// Checks that `name` may stand in a key or be a channel.
    func check(_ name: NameRef, _ column: Int, _ object: StaticString) throws(LineError) {
        let b = bytes(name)
        guard b.count > 0 else { throw shifted(b, .emptyKey, 0, 0, object, "a name", column) }
        guard b.count <= limits.nameBytesMax else {
            throw shifted(b, .nameTooLong, 0, b.count, object, "at most nameBytesMax bytes", column)
        }
        if b.plainRunEnd(0) == b.count { return }
        var place = 0
        switch UTF8Check.judge(b, 0, b.count, place: &place) {
        case .fine: return
        case .control: throw shifted(b, .controlCharacter, place, b.count, object, "no control characters", column)
        case .malformed: throw shifted(b, .badUTF8, place, b.count, object, "UTF-8", column)
        }
    }

    /// An error in `b`, which begins at `column` of the line. Escapes make a name shorter than what was written and flattening
    /// makes it longer, so the column is near rather than exact then, but never beyond the line.
    func shifted(
        _ b: Bytes, _ reason: LineError.Reason, _ start: Int, _ end: Int, _ object: StaticString, _ expected: StaticString, _ column: Int
    ) -> LineError {
        LineError(
            reason, column: min(column + start, lineCount) + 1, object: object, expected: expected, excerpt: InlineText(b, start, end))
    }

    /// Copies one name to the arena without its escapes, up to an unescaped comma, or `=` if told so, or the end.
    ///
    /// `\` before comma, space, `=`, `\` or `"` goes away; before anything else (`\t`, `\n` of Telegraf, `C:\data`) it stays.
    private mutating func unescape(_ b: Bytes, _ i: inout Int, stopAtEquals: Bool) -> NameRef {
        let start = text.count
        while i < b.count {
            var byte = b[i]
            if byte == Ascii.comma || (stopAtEquals && byte == Ascii.equals) { break }
            if byte == Ascii.backslash, i + 1 < b.count, Self.isEscapable(b[i + 1]) {
                i += 1
                byte = b[i]
            }
            text.append(byte)
            i += 1
        }
        return .text(start, text.count)
    }

    /// Appends a name with the backslashes that `unescape` takes away again. Room must have been reserved.
    private mutating func appendEscaped(_ name: NameRef, escapeEquals: Bool) {
        let b = bytes(name)
        if b.plainRunEnd(0) == b.count {
            // Never in need of growth, so that `b` may lie in this very arena.
            text.append(contentsOf: b.base, count: b.count)
            return
        }
        for i in 0..<b.count {
            if Self.needsBackslash(b, i, escapeEquals: escapeEquals) { text.append(Ascii.backslash) }
            text.append(b[i])
        }
    }

    /// Whether a backslash before this byte is an escape.
    @inline(always)
    static func isEscapable(_ byte: UInt8) -> Bool {
        byte == Ascii.comma || byte == Ascii.space || byte == Ascii.equals || byte == Ascii.backslash || byte == Ascii.quote
    }

    /// Whether the byte at `i` of an unescaped name must be written with a backslash before it.
    static func needsBackslash(_ b: Bytes, _ i: Int, escapeEquals: Bool) -> Bool {
        switch b[i] {
        case Ascii.comma, Ascii.space: return true
        case Ascii.equals: return escapeEquals
        case Ascii.backslash: return i + 1 == b.count || isEscapable(b[i + 1])
        default: return false
        }
    }

    /// Sorts `tags` by key bytes; insertion sort, because tags usually arrive sorted and are few.
    private mutating func sortTags() throws(LineError) {
        guard tags.count > 1 else { return }
        for i in 1..<tags.count {
            let tag = tags[i]
            var j = i
            while j > 0 {
                let order = compare(tags[j - 1].key, tag.key)
                if order == 0 {
                    throw LineError(
                        .duplicateTag, column: Int(tag.column) + 1, object: "tag", expected: "each tag key once",
                        excerpt: InlineText(bytes(tag.key), 0, Int(tag.key.count)))
                }
                if order < 0 { break }
                tags[j] = tags[j - 1]
                j -= 1
            }
            tags[j] = tag
        }
    }

    private func compare(_ a: NameRef, _ b: NameRef) -> Int {
        let x = bytes(a)
        let y = bytes(b)
        for i in 0..<min(x.count, y.count) where x[i] != y[i] { return Int(x[i]) - Int(y[i]) }
        return x.count - y.count
    }
}
