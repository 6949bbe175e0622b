/// Numbers as the parser of the daemon reads them back, bit for bit.
enum NumberWriter {
    /// Appends a finite value with the fewest digits; whole numbers below 2^53 without a point.
    @inline(always)
    static func append(_ value: Double, to out: inout [UInt8]) {
        if value.magnitude < 9_007_199_254_740_992, value == value.rounded(.towardZero), !(value == 0 && value.sign == .minus) {
            return append(Int64(value), to: &out)
        }
        out.append(contentsOf: value.description.utf8)
    }

    static func append(_ value: Int64, to out: inout [UInt8]) {
        if value < 0 { out.append(Ascii.minus) }
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        withUnsafeMutableBytes(of: &digits) { buffer in
            var rest = value.magnitude
            var place = buffer.count
            repeat {
                place -= 1
                buffer[place] = Ascii.zero + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            out.append(contentsOf: UnsafeRawBufferPointer(rebasing: buffer[place...]))
        }
    }

    /// Nanoseconds. Within 57 days of 1970, where the daemon would take them for another unit, decimal seconds.
    static func append(time: Int64, to out: inout [UInt8]) {
        guard time.magnitude < 5_000_000_000_000_000 else { return append(time, to: &out) }
        if time < 0 { out.append(Ascii.minus) }
        append(Int64(time.magnitude / 1_000_000_000), to: &out)
        let fraction = time.magnitude % 1_000_000_000
        if fraction == 0 { return }
        out.append(Ascii.dot)
        var divisor: UInt64 = 100_000_000
        while divisor > 0 {
            out.append(Ascii.zero + UInt8(truncatingIfNeeded: fraction / divisor % 10))
            divisor /= 10
        }
    }
}
