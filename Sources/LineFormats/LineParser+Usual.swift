/// A line as a sensor sends it again and again: line protocol with the key of before, one field, nanoseconds.
public struct UsualLine: BitwiseCopyable {
    public var value: Double
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    public var time: Int64
    @usableFromInline var nameStart: Int
    @usableFromInline var nameCount: Int

    /// The field's name, in `line`.
    @inlinable
    @inline(always)
    public func name(in line: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: line[nameStart..<nameStart + nameCount])
    }
}

extension LineParser {
    /// Reads `line` if it is a usual one with the key `key` (of a line taken before, without space and backslash), a number of at most eight
    /// bytes and a timestamp of 19 digits that ends it.
    /// - Returns: what `parse` would find; nil for any other line, good or bad. `readings` and `format` are those of before.
    public mutating func usual(_ line: UnsafeBufferPointer<UInt8>, key: UnsafeBufferPointer<UInt8>) -> UsualLine? {
        guard let base = line.baseAddress else { return nil }
        let b = Bytes(base: base, count: line.count)
        let timeStart = b.count &- Timestamp.nanosecondDigits
        let valueEnd = timeStart &- 1
        let nameStart = key.count &+ 1
        guard valueEnd > nameStart, b[valueEnd] == Ascii.space, b.count <= limits.lineBytesMax, only == nil, timeUnit == .byMagnitude,
            Self.startsWith(key, b, 0), Self.contentStart(b) == 0, Self.sniff(b, 0) == .influx
        else { return nil }
        let nameEnd = b.plainRunEnd(nameStart)
        let nameCount = nameEnd &- nameStart
        guard nameCount > 0, nameCount <= limits.nameBytesMax, nameEnd < valueEnd, b[nameEnd] == Ascii.equals,
            let value = DecimalNumber.short(b, nameEnd &+ 1, valueEnd), let time = newest.time(b, timeStart)
        else { return nil }
        return UsualLine(value: value, time: time, nameStart: nameStart, nameCount: nameCount)
    }
}
