/// What a line turned out to be.
public enum LineFormat: UInt8, Sendable, CaseIterable {
    /// Nothing but blanks.
    case blank
    /// `#` and the rest.
    case comment
    /// InfluxDB line protocol.
    case influx
    /// One JSON object or an array of them.
    case json
    /// collectd's `PUTVAL`.
    case collectd
    /// `name value [timestamp]`, `name=value [timestamp]`, `name {JSON}`, or a number alone.
    case plain
    /// Prometheus text exposition with labels.
    case prometheus
}

/// Reads one line of any format into `readings`.
///
/// Pure: no clock, no file, no lock; after the first few lines no allocation. Whatever the bytes are, `parse` returns or
/// throws a `LineError`. A line gives no reading (blank, comment), one, or several (collectd value lists, JSON arrays).
///
/// ```swift
/// var parser = LineParser()
/// try parser.parse(line)
/// for i in 0..<parser.readings.count {
///     let stream = table[parser.readings.rawKey(i)] ?? table.add(try parser.readings.canonicalKey(i))
///     for j in 0..<parser.readings.fieldCount(i) { use(parser.readings.fieldName(i, j), parser.readings.fieldValue(i, j)) }
/// }
/// ```
public struct LineParser: ~Copyable {
    /// Result of the last `parse`. Written by the parser only.
    public var readings: ReadingBuffer
    /// What the last line was.
    public internal(set) var format = LineFormat.blank
    /// How numeric timestamps are read; senders that state a precision set it.
    public var timeUnit = TimeUnit.byMagnitude

    /// What the configuration says about senders that name their streams in their own way; tried before anything else.
    public var sources: [SourceRule] = []

    let limits: LineLimits
    let only: LineFormat?
    let defaultStream: [UInt8]
    /// The rule that the object being read follows.
    var rule: SourceRule?
    /// Which things the objects without a name were about.
    var heap = HeapGuard()
    /// JSON that stood in a string, decoded.
    var nested = Arena<UInt8>(capacity: 64)
    /// The name in front of the JSON object being read: `topic {...}`.
    var nameBefore: NameRef?
    var path = Arena<UInt8>(capacity: 64)
    /// The time of the line before, which is often that of the next.
    var newest = Timestamp.Remembered()

    /// Creates a parser.
    /// - Parameters:
    ///   - limits: Bounds of everything.
    ///   - format: nil to find out line by line; else every line that is not blank is read as this one.
    ///   - defaultStream: Name for JSON objects without a stream name and for numbers alone; empty to refuse those.
    public init(limits: LineLimits = LineLimits(), format: LineFormat? = nil, defaultStream: [UInt8] = []) {
        self.limits = limits
        self.only = format
        self.defaultStream = defaultStream
        self.readings = ReadingBuffer(limits: limits)
    }

    /// Reads `line`, with or without its line end, into `readings`.
    ///
    /// Names in `readings` may point into `line`; it must stay alive and unchanged while they are used.
    /// - Throws: a `LineError` when no reading of the line is usable; `readings` is then empty. Readings of a JSON array
    ///   that are refused while others stand are listed in `readings.refusals`.
    public mutating func parse(_ line: UnsafeBufferPointer<UInt8>) throws(LineError) {
        try parse(line, expecting: UnsafeBufferPointer(start: nil, count: 0))
    }

    /// As `parse`; looks first whether the line's key is `key`, any raw or canonical key without space and backslash.
    /// `readings.isKeyExpected` tells; nothing else depends on it.
    public mutating func parse(_ line: UnsafeBufferPointer<UInt8>, expecting key: UnsafeBufferPointer<UInt8>) throws(LineError) {
        let whole = readings.reset(line)
        guard whole.count <= limits.lineBytesMax + 2 else { throw tooLong(whole) }
        let b = whole.prefix(Self.trimmedEnd(whole))
        guard b.count <= limits.lineBytesMax else { throw tooLong(whole) }
        do {
            try dispatch(b, key)
        } catch {
            readings.forgetEverything()
            throw error
        }
    }

    @inline(always)
    private mutating func dispatch(_ b: Bytes, _ expected: UnsafeBufferPointer<UInt8>) throws(LineError) {
        let start = Self.contentStart(b)
        guard start < b.count else {
            format = .blank
            return
        }
        let found = only ?? Self.sniff(b, start)
        format = found
        switch found {
        case .influx:
            do { try parseInflux(b, start, expected) } catch { try parseOtherwise(b, start, error) }
        case .comment, .blank: return
        case .json:
            do { try parseJSON(b, start) } catch { try parseOtherwise(b, start, error) }
        case .collectd: try parseCollectd(b, start)
        case .plain: try parsePlain(b, start)
        case .prometheus: try parsePrometheus(b, start)
        }
    }

    /// A line that began like line protocol and is none: with labels in braces or JSON behind a name it may have looked like one up to a
    /// blank or `=` inside a string. No line is good in two of these forms.
    @inline(never)
    mutating func parseOtherwise(_ b: Bytes, _ start: Int, _ problem: LineError) throws(LineError) {
        rule = nil
        if let piece = Self.pieceOfJSON(b, start) { throw piece }
        guard only == nil else { throw problem }
        let nameEnd = Self.headEnd(b, start)
        if b[start] == Ascii.leftBrace || b[start] == Ascii.leftBracket {
            guard Self.startsQuotedMetric(b, start) else { throw problem }
            readings.forgetReadings()
            format = .prometheus
            try parsePrometheus(b, start)
        } else if Self.startsPrometheus(b, start) {
            readings.forgetReadings()
            format = .prometheus
            try parsePrometheus(b, start)
        } else if let object = Self.cookieEnd(b, start) {
            readings.forgetReadings()
            format = .json
            try parseJSON(b, object)
        } else if format == .influx, b.peek(b.skipBlanks(nameEnd)) == Ascii.leftBrace {
            readings.forgetReadings()
            format = .plain
            try parsePlain(b, start)
        } else if let end = Self.spacedNameEnd(b, start) {
            readings.forgetReadings()
            format = .plain
            try parseNamed(b, start, end)
        } else {
            throw Self.foreign(b, start) ?? problem
        }
    }

    /// The format by the first bytes. Line protocol and the plain form look alike until the first field: `parseInflux` decides.
    @inline(always)
    static func sniff(_ b: Bytes, _ start: Int) -> LineFormat {
        switch b[start] {
        case Ascii.hash: return .comment
        case Ascii.leftBrace, Ascii.leftBracket: return .json
        case 0x50, 0x70: return b.peek(start &+ 2) | 0x20 == 0x74 && startsPutval(b, start) ? .collectd : .influx
        default: return .influx
        }
    }

    @inline(never)
    private static func startsPutval(_ b: Bytes, _ start: Int) -> Bool {
        guard b.count > start + 7, b.equalsIgnoringCase(start, start + 6, "putval") else { return false }
        return b[start + 6] == Ascii.space || b[start + 6] == Ascii.tab
    }

    /// Index of the first byte that is neither blank nor part of a byte order mark.
    @inline(always)
    static func contentStart(_ b: Bytes) -> Int {
        guard b.count > 0 else { return 0 }
        let first = b[0]
        if first > Ascii.space, first != 0xEF { return 0 }
        return b.skipBlanks(b.equals(0, min(3, b.count), "\u{FEFF}") ? 3 : 0)
    }

    @inline(always)
    private static func trimmedEnd(_ b: Bytes) -> Int {
        var end = b.count
        while end > 0, Ascii.isBlank(b[end &- 1]) { end &-= 1 }
        return end
    }

    @inline(never)
    private func tooLong(_ b: Bytes) -> LineError {
        b.error(.lineTooLong, 0, b.count, "line", "at most lineBytesMax bytes")
    }
}
