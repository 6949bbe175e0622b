/// Bytes of line protocol, written without an allocation a line.
struct LineBuffer: Sendable {
    private(set) var bytes: [UInt8]
    private(set) var count = 0

    init(capacity: Int = 1 << 16) { bytes = [UInt8](repeating: 0, count: max(64, capacity)) }

    /// Makes the buffer empty, its memory stays.
    mutating func removeAll() { count = 0 }

    /// Makes room for `extra` more bytes.
    @inline(__always)
    mutating func reserve(_ extra: Int) {
        if bytes.count - count < extra { bytes.append(contentsOf: repeatElement(0, count: bytes.count + extra)) }
    }

    /// Appends a piece of text; the caller has reserved the room.
    @inline(__always)
    mutating func put(_ text: [UInt8]) {
        let start = count
        var span = bytes.mutableSpan
        let source = text.span
        for index in source.indices { span[start &+ index] = source[index] }
        count &+= text.count
    }

    @inline(__always)
    mutating func put(_ byte: UInt8) {
        bytes[count] = byte
        count &+= 1
    }

    /// Appends `number` / 10^`decimals` in decimal notation; at most 22 bytes, the caller has reserved the room.
    @inline(__always)
    mutating func put(number: Int64, decimals: Int) {
        if number < 0 { put(0x2D) }
        var rest = number.magnitude
        var digits = 1
        var bound: UInt64 = 10
        while digits < 19, rest >= bound {
            digits &+= 1
            bound &*= 10
        }
        digits = max(digits, decimals &+ 1)
        var length = decimals > 0 ? digits &+ 1 : digits
        let point = decimals > 0 ? length &- decimals &- 1 : -1
        let start = count
        count &+= length
        var span = bytes.mutableSpan
        while length > 0 {
            length &-= 1
            if length == point {
                span[start &+ length] = 0x2E
            } else {
                let quotient = rest / 10
                span[start &+ length] = 0x30 &+ UInt8(truncatingIfNeeded: rest &- quotient &* 10)
                rest = quotient
            }
        }
    }

    /// Calls `body` with the bytes that were written.
    func withBytes<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R { try body(bytes.span.extracting(0..<count)) }
}
