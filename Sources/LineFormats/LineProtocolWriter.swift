/// Writes readings as line protocol, one per line, into a growing buffer.
///
/// Names get the backslashes that the parser takes away again, numbers the fewest digits that read back as the same Double,
/// times are nanoseconds. A time within 57 days of 1970 would be read as another unit and is written as decimal seconds.
///
/// ```swift
/// var writer = LineProtocolWriter()
/// if writer.begin(measurement: "pump", tags: [("site", "a")]) {
///     writer.field("pressure", 3.1)
///     writer.end(timeNanoseconds: 1_700_000_000_000_000_000)
/// }
/// ```
public struct LineProtocolWriter: Sendable {
    /// The lines written so far; the owner may take and empty it between readings.
    public var bytes: [UInt8] = []
    private var lineStart = 0
    private var fieldCount = 0

    /// Creates an empty writer.
    public init() {}

    /// Begins a reading of the stream with this canonical key (as `ReadingBuffer.canonicalKey` gives it).
    public mutating func begin(canonicalKey: UnsafeBufferPointer<UInt8>) {
        lineStart = bytes.count
        fieldCount = 0
        bytes.append(contentsOf: canonicalKey)
    }

    /// Begins a reading of `measurement` with `tags`, in the given order.
    /// - Returns: false, and nothing is begun, when a name is empty or contains control characters, or the measurement
    ///   begins with `#`.
    public mutating func begin(measurement: String, tags: [(String, String)] = []) -> Bool {
        lineStart = bytes.count
        fieldCount = 0
        var isGood = !measurement.utf8.starts(with: [Ascii.hash]) && append(name: measurement, escapeEquals: false)
        for (key, value) in tags where isGood {
            bytes.append(Ascii.comma)
            isGood = append(name: key, escapeEquals: true)
            bytes.append(Ascii.equals)
            isGood = isGood && append(name: value, escapeEquals: true)
        }
        if !isGood { bytes.removeSubrange(lineStart...) }
        return isGood
    }

    /// Adds a field.
    /// - Returns: false, and the field is left out, when the value is not finite, or the name is empty, not UTF-8 or
    ///   contains control characters.
    @discardableResult
    public mutating func field(_ name: UnsafeBufferPointer<UInt8>, _ value: Double) -> Bool {
        let before = bytes.count
        bytes.append(fieldCount == 0 ? Ascii.space : Ascii.comma)
        guard value.isFinite, append(name: name, escapeEquals: true) else {
            bytes.removeSubrange(before...)
            return false
        }
        bytes.append(Ascii.equals)
        bytes.append(contentsOf: value.description.utf8)
        fieldCount += 1
        return true
    }

    /// Adds a field; see `field(_:_:)` with bytes.
    @discardableResult
    public mutating func field(_ name: String, _ value: Double) -> Bool {
        var name = name
        return name.withUTF8 { field($0, value) }
    }

    /// Ends the reading.
    /// - Returns: false, and the line is taken back, when it got no field.
    @discardableResult
    public mutating func end(timeNanoseconds: Int64?) -> Bool {
        guard fieldCount > 0 else {
            bytes.removeSubrange(lineStart...)
            return false
        }
        if let timeNanoseconds {
            bytes.append(Ascii.space)
            append(time: timeNanoseconds)
        }
        bytes.append(Ascii.newline)
        return true
    }

    private mutating func append(time: Int64) {
        guard time.magnitude < 5_000_000_000_000_000 else { return bytes.append(contentsOf: time.description.utf8) }
        if time < 0 { bytes.append(Ascii.minus) }
        bytes.append(contentsOf: (time.magnitude / 1_000_000_000).description.utf8)
        let fraction = time.magnitude % 1_000_000_000
        if fraction == 0 { return }
        bytes.append(Ascii.dot)
        var divisor: UInt64 = 100_000_000
        while divisor > 0 {
            bytes.append(Ascii.zero + UInt8(truncatingIfNeeded: fraction / divisor % 10))
            divisor /= 10
        }
    }

    private mutating func append(name: String, escapeEquals: Bool) -> Bool {
        var name = name
        return name.withUTF8 { append(name: $0, escapeEquals: escapeEquals) }
    }

    private mutating func append(name: UnsafeBufferPointer<UInt8>, escapeEquals: Bool) -> Bool {
        guard let base = name.baseAddress, name.count > 0 else { return false }
        let b = Bytes(base: base, count: name.count)
        var place = 0
        guard UTF8Check.judge(b, 0, b.count, place: &place) == .fine else { return false }
        for i in 0..<b.count {
            if ReadingBuffer.needsBackslash(b, i, escapeEquals: escapeEquals) { bytes.append(Ascii.backslash) }
            bytes.append(b[i])
        }
        return true
    }
}
