/// Prometheus text exposition: `name{label="value",...} value [timestamp]`, as exporters print it and OpenMetrics with exemplars.
///
/// The stream is the name with the labels as tags, its channel `value`. A line without labels is the plain form already, and `# HELP`
/// and `# TYPE` are comments.
extension LineParser {
    /// Whether a metric name stands at `start` with labels behind it. `name {"a":1}` has none: that is a name and JSON.
    static func startsPrometheus(_ b: Bytes, _ start: Int) -> Bool {
        let nameEnd = metricNameEnd(b, start)
        guard nameEnd > start else { return false }
        let brace = b.skipBlanks(nameEnd)
        guard b.peek(brace) == Ascii.leftBrace else { return false }
        return brace == nameEnd || b.peek(b.skipBlanks(brace + 1)) != Ascii.quote
    }

    /// Reads one sample.
    mutating func parsePrometheus(_ b: Bytes, _ start: Int) throws(LineError) {
        if b[start] == Ascii.leftBrace { return try parseQuotedMetric(b, start) }
        var i = Self.metricNameEnd(b, start)
        guard i > start else { throw b.error(.badName, start, b.tokenEnd(start), "metric", "a name of letters, digits, _ and :") }
        let name = NameRef.line(start, i)
        try readings.check(name, start, "metric")
        readings.tags.truncate(0)
        i = b.skipBlanks(i)
        if b.peek(i) == Ascii.leftBrace {
            i += 1
            try readLabels(b, &i)
        }
        try finishSample(b, name, start, i)
    }

    /// Reads `{"metric.name",label="value"} 1`, the syntax of names that are not plain words.
    private mutating func parseQuotedMetric(_ b: Bytes, _ start: Int) throws(LineError) {
        var i = b.skipBlanks(start + 1)
        let name = try readLabelValue(b, &i)
        try readings.check(name, start + 1, "metric")
        readings.tags.truncate(0)
        i = b.skipBlanks(i)
        if b.peek(i) == Ascii.comma { i += 1 }
        try readLabels(b, &i)
        try finishSample(b, name, start, i)
    }

    private mutating func finishSample(_ b: Bytes, _ name: NameRef, _ start: Int, _ i: Int) throws(LineError) {
        let key = try readings.writeKey(name, start)
        let valueStart = b.skipBlanks(i)
        guard valueStart < b.count else { throw b.error(.missingFields, b.count, b.count, "sample", "a number after the labels") }
        let valueEnd = b.tokenEnd(valueStart)
        try appendPlainValue(b, valueStart, valueEnd)
        let sample = b.prefix(Self.exemplarStart(b, valueEnd))
        let time = try plainTime(sample, sample.skipBlanks(valueEnd))
        readings.appendReading(key: key, isCanonical: true, time: time, fieldStart: 0)
    }

    /// Reads `label="value",...}`; `i` ends behind the closing brace. An empty value is no label, as in Prometheus. Names may be quoted.
    private mutating func readLabels(_ b: Bytes, _ i: inout Int) throws(LineError) {
        while true {
            i = b.skipBlanks(i)
            if b.peek(i) == Ascii.rightBrace {
                i += 1
                return
            }
            let start = i
            let label: NameRef
            if b.peek(start) == Ascii.quote {
                label = try readLabelValue(b, &i)
            } else {
                i = Self.metricNameEnd(b, start)
                label = .line(start, i)
            }
            i = b.skipBlanks(i)
            guard label.count > 0, b.peek(i) == Ascii.equals else {
                throw b.error(.badTag, start, b.tokenEnd(start), "label", "label=\"value\"")
            }
            i = b.skipBlanks(i + 1)
            let valueStart = i
            let value = try readLabelValue(b, &i)
            if value.count > 0 { try readings.addTag(label, value, start, valueStart) }
            i = b.skipBlanks(i)
            if b.peek(i) == Ascii.comma {
                i += 1
            } else if b.peek(i) != Ascii.rightBrace {
                throw b.error(.badTag, i, b.tokenEnd(i), "labels", "a comma or a closing brace")
            }
        }
    }

    /// Reads a quoted value with the escapes `\\`, `\"` and `\n`.
    private mutating func readLabelValue(_ b: Bytes, _ i: inout Int) throws(LineError) -> NameRef {
        let start = i
        guard b.peek(i) == Ascii.quote else { throw b.error(.badString, start, b.tokenEnd(start), "label value", "a quoted string") }
        try readings.reserveText(b.count - start, start)
        let textStart = readings.text.count
        i += 1
        while i < b.count, b[i] != Ascii.quote {
            if b[i] == Ascii.backslash, i + 1 < b.count {
                i += 1
                readings.text.append(b[i] == 0x6E ? Ascii.newline : b[i])
            } else {
                readings.text.append(b[i])
            }
            i += 1
        }
        guard i < b.count else { throw b.error(.badString, start, b.count, "label value", "a closing quote") }
        i += 1
        return .text(textStart, readings.text.count)
    }

    /// The end of `[a-zA-Z_:][a-zA-Z0-9_:]*`; `start` when there is none.
    private static func metricNameEnd(_ b: Bytes, _ start: Int) -> Int {
        var i = start
        while i < b.count {
            let byte = b[i]
            let isLetter = byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A || byte == 0x5F || byte == Ascii.colon
            guard isLetter || i > start && Ascii.isDigit(byte) else { break }
            i += 1
        }
        return i
    }

    /// The end of what stands before OpenMetrics' ` # {...} exemplar`, or the end of the line.
    static func exemplarStart(_ b: Bytes, _ start: Int) -> Int {
        var i = start
        while i < b.count, b[i] != Ascii.hash || b.peek(b.skipBlanks(i + 1)) != Ascii.leftBrace { i += 1 }
        while i > start, b[i - 1] == Ascii.space || b[i - 1] == Ascii.tab { i -= 1 }
        return i
    }
}
