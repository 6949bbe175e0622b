/// A line as a sensor sends it again and again: line protocol that begins as one before it up to its only number, and nanoseconds.
public struct UsualLine: BitwiseCopyable {
    public var value: Double
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    public var time: Int64
    /// Index after the line's end.
    public var end: Int

    /// Most bytes of such a line after its head: minus, eight bytes of a number, space, time, line end.
    static let restBytesMax = 9 + 1 + Timestamp.nanosecondDigits + 2

    /// Whether a field of this name is recognised by its bytes alone, up to the `=`.
    public static func isPlain(fieldName name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let base = name.baseAddress else { return false }
        return Bytes(base: base, count: name.count).plainRunEnd(0) == name.count
    }
}

extension LineParser {
    /// Reads the line at `start` if it is a usual one with a number of at most eight bytes, a timestamp of 19 digits and a line end.
    /// - Parameter head: a key of a line taken before, without space and backslash; a space; the plain name of a field; `=`. Empty: none.
    /// - Parameter nameCount: bytes of the field's name.
    /// - Returns: what `parse` would find; nil for any other line, good or bad, and near the end of the bytes. `readings` and `format` are
    ///   those of before.
    public mutating func usual(
        _ bytes: UnsafeBufferPointer<UInt8>, from start: Int, head: UnsafeBufferPointer<UInt8>, nameCount: Int
    ) -> UsualLine? {
        guard let base = bytes.baseAddress, head.count >= 8 else { return nil }
        let b = Bytes(base: base, count: bytes.count)
        let valueStart = start &+ head.count
        guard valueStart &+ UsualLine.restBytesMax <= b.count, Self.stands(head, b, start), b[start] > Ascii.space, b[start] != 0xEF,
            Self.sniff(b, start) == .influx, only == nil, timeUnit == .byMagnitude, nameCount <= limits.nameBytesMax
        else { return nil }
        let isNegative = b[valueStart] == Ascii.minus
        let first = isNegative ? valueStart &+ 1 : valueStart
        let word = b.word(first)
        // The lowest byte found is exact, see `headEnd`.
        let ones: UInt64 = 0x0101_0101_0101_0101
        let spaces = word ^ (ones &* UInt64(Ascii.space))
        let found = (spaces &- ones) & ~spaces & (ones &* 0x80)
        let length = found == 0 ? 8 : found.trailingZeroBitCount &>> 3
        let timeStart = first &+ length &+ 1
        let timeEnd = timeStart &+ Timestamp.nanosecondDigits
        guard b[timeStart &- 1] == Ascii.space, let magnitude = DecimalNumber.short(word, length), let time = newest.time(b, timeStart)
        else { return nil }
        var end = timeEnd
        if b[end] == Ascii.carriageReturn { end &+= 1 }
        guard b[end] == Ascii.newline, timeEnd &- start <= limits.lineBytesMax else { return nil }
        return UsualLine(value: isNegative ? -magnitude : magnitude, time: time, end: end &+ 1)
    }
}
