/// What a token adds to every stream that comes with it.
public struct Decoration: Sendable, Equatable {
    /// Before the measurement, escaped as in line protocol.
    public let prefix: [UInt8]
    /// `,key=value` behind the tags, escaped.
    public let tags: [UInt8]

    public static let none = Decoration(prefix: "", tags: [])

    public init(prefix: String, tags: [(String, String)]) {
        var bytes: [UInt8] = []
        LineBatch.escape(Array(prefix.utf8), into: &bytes)
        self.prefix = bytes
        bytes = []
        for (key, value) in tags.sorted(by: { $0.0 < $1.0 }) {
            bytes.append(Ascii.comma)
            LineBatch.escape(Array(key.utf8), into: &bytes)
            bytes.append(Ascii.equals)
            LineBatch.escape(Array(value.utf8), into: &bytes)
        }
        self.tags = bytes
    }

    public var isNone: Bool { prefix.isEmpty && tags.isEmpty }
}

/// Why part of a request is not stored, and which part.
public struct Refusal: Sendable, Equatable {
    /// 1-based place in the request: a line, or the number of the series or data point.
    public var place: Int
    public var reason: String
    /// Readings that were lost with it, at least 1.
    public var readings: Int

    public init(place: Int, reason: String, readings: Int = 1) { (self.place, self.reason, self.readings) = (place, reason, readings) }
}

/// The lines that a request became, ready for the ingest socket, and what did not become a line.
public struct LineBatch: Sendable {
    /// Whole lines of line protocol, each ended.
    public internal(set) var bytes: [UInt8] = []
    /// For every line, the 1-based place in the request that it came from.
    public internal(set) var places: [UInt32] = []
    public private(set) var refusals: [Refusal] = []
    /// All that was refused, also what is no longer listed.
    public private(set) var refusedCount = 0
    /// Values that are no readings by their sender's own rules (NaN, stale markers, text): passed over, counted.
    public internal(set) var skippedCount = 0
    /// Lines are never more bytes than this together.
    let bytesMax: Int
    let decoration: Decoration
    /// The head of the series at hand: measurement and tags.
    private var head: [UInt8] = []

    /// So many refusals are listed; more are counted.
    public static let refusalsMax = 100
    static let headBytesMax = 4096

    public init(decoration: Decoration = .none, bytesMax: Int = 64 << 20) {
        (self.decoration, self.bytesMax) = (decoration, bytesMax)
    }

    public var lineCount: Int { places.count }

    mutating func refuse(_ place: Int, _ reason: String, readings: Int = 1) {
        refusedCount += readings
        if refusals.count < LineBatch.refusalsMax { refusals.append(Refusal(place: place, reason: reason, readings: readings)) }
    }

    // MARK: - Heads

    /// Begins the head of a series. false: the name is empty or cannot be a measurement.
    mutating func begin(measurement name: UnsafeRawBufferPointer) -> Bool {
        head.removeAll(keepingCapacity: true)
        head.append(contentsOf: decoration.prefix)
        guard let first = name.first, head.isEmpty ? first != Ascii.hash : true else { return false }
        return LineBatch.escape(name, into: &head)
    }

    /// Adds a tag; an empty value is no tag. false: control characters, or no key.
    mutating func tag(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        if value.isEmpty { return true }
        guard !key.isEmpty else { return false }
        head.append(Ascii.comma)
        guard LineBatch.escape(key, into: &head) else { return false }
        head.append(Ascii.equals)
        return LineBatch.escape(value, into: &head)
    }

    mutating func tag(_ key: String, _ value: String) -> Bool {
        var (key, value) = (key, value)
        return key.withUTF8 { key in value.withUTF8 { tag(UnsafeRawBufferPointer(key), UnsafeRawBufferPointer($0)) } }
    }

    mutating func begin(measurement: String) -> Bool {
        var name = measurement
        return name.withUTF8 { begin(measurement: UnsafeRawBufferPointer($0)) }
    }

    /// Ends the head with the token's tags. false: it is too long.
    mutating func endHead() -> Bool {
        head.append(contentsOf: decoration.tags)
        return head.count <= LineBatch.headBytesMax
    }

    /// A canonical key of the parser as the head.
    mutating func head(canonical key: UnsafeBufferPointer<UInt8>) {
        head.removeAll(keepingCapacity: true)
        head.append(contentsOf: decoration.prefix)
        head.append(contentsOf: key)
        head.append(contentsOf: decoration.tags)
    }

    // MARK: - Lines

    private var lineStart: Int { bytes.count }

    /// Writes the head; fields and the end of the line follow. Errors: the lines of one request grow over their bound.
    mutating func beginLine() throws(WireError) {
        guard bytes.count + head.count + 1024 <= bytesMax else {
            throw .tooLarge(what: "lines of the request", got: bytes.count + head.count, max: bytesMax)
        }
        bytes.append(contentsOf: head)
    }

    /// Adds a field; `isFirst` is the first of the line.
    mutating func field(_ name: StaticString, _ value: Double, isFirst: Bool) {
        bytes.append(isFirst ? Ascii.space : Ascii.comma)
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(Ascii.equals)
        NumberWriter.append(value, to: &bytes)
    }

    mutating func field(_ name: UnsafeBufferPointer<UInt8>, _ value: Double, isFirst: Bool) {
        bytes.append(isFirst ? Ascii.space : Ascii.comma)
        LineBatch.escape(UnsafeRawBufferPointer(name), into: &bytes)
        bytes.append(Ascii.equals)
        NumberWriter.append(value, to: &bytes)
    }

    /// Ends the line. `time` in nanoseconds since 1970; nil: the daemon's time of arrival.
    mutating func endLine(time: Int64?, place: Int) {
        if let time {
            bytes.append(Ascii.space)
            NumberWriter.append(time: time, to: &bytes)
        }
        bytes.append(Ascii.newline)
        places.append(UInt32(clamping: place))
    }

    /// A line as it came, without its end.
    mutating func append(line: UnsafeBufferPointer<UInt8>, place: Int) throws(WireError) {
        guard bytes.count + line.count + 1 <= bytesMax else {
            throw .tooLarge(what: "lines of the request", got: bytes.count + line.count, max: bytesMax)
        }
        bytes.append(contentsOf: line)
        bytes.append(Ascii.newline)
        places.append(UInt32(clamping: place))
    }

    // MARK: - Escapes

    /// Appends a name with its backslashes. false: it has control characters, which would break lines.
    @discardableResult
    static func escape(_ name: some Sequence<UInt8>, into out: inout [UInt8]) -> Bool {
        for byte in name {
            switch byte {
            case 0..<0x20, 0x7F: return false
            case Ascii.comma, Ascii.space, Ascii.equals, Ascii.backslash, Ascii.quote: out.append(Ascii.backslash)
            default: break
            }
            out.append(byte)
        }
        return true
    }
}

enum Ascii {
    static let newline: UInt8 = 10
    static let carriageReturn: UInt8 = 13
    static let space: UInt8 = 32
    static let quote: UInt8 = 34
    static let hash: UInt8 = 35
    static let comma: UInt8 = 44
    static let minus: UInt8 = 45
    static let dot: UInt8 = 46
    static let zero: UInt8 = 48
    static let equals: UInt8 = 61
    static let openBracket: UInt8 = 91
    static let backslash: UInt8 = 92
    static let openBrace: UInt8 = 123
}

extension LineBatch {
    /// Asks about the head of each line (as a hash); a line for which `judge` gives a reason is taken out and refused.
    public mutating func keepLines(_ judge: (Int) -> String?) {
        var kept: [UInt8] = []
        var keptPlaces: [UInt32] = []
        var start = 0
        for place in places {
            var end = start
            var headEnd = -1
            while end < bytes.count, bytes[end] != Ascii.newline {
                if headEnd < 0, bytes[end] == Ascii.space, end == start || bytes[end - 1] != Ascii.backslash { headEnd = end }
                end += 1
            }
            var hasher = Hasher()
            bytes.withUnsafeBytes { hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: $0[start..<max(headEnd, start)])) }
            if let reason = judge(hasher.finalize()) {
                refuse(Int(place), reason)
            } else {
                kept.append(contentsOf: bytes[start...min(end, bytes.count - 1)])
                keptPlaces.append(place)
            }
            start = end + 1
        }
        (bytes, places) = (kept, keptPlaces)
    }
}

extension LineBatch {
    /// Counts something that is no reading by its sender's own rules.
    public mutating func pass() { skippedCount += 1 }
}
