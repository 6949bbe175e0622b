import CNumberText

/// Eight digits at once, the first in the lowest byte.
enum Digits {
    static let zeros: UInt64 = 0x3030_3030_3030_3030

    /// Whether all eight bytes are digits: neither adding 0x46 nor taking away 0x30 sets a high bit.
    @inline(always)
    static func areAll(_ word: UInt64) -> Bool { ((word &+ 0x4646_4646_4646_4646) | (word &- zeros)) & 0x8080_8080_8080_8080 == 0 }

    /// Their number: pairs, then fours, then all.
    @inline(always)
    static func number(_ word: UInt64) -> UInt64 {
        let digits = word &- zeros
        let pairs = (digits &* 10 &+ (digits &>> 8)) & 0x00FF_00FF_00FF_00FF
        let fours = (pairs &* 100 &+ (pairs &>> 16)) & 0x0000_FFFF_0000_FFFF
        return (fours &* 10_000 &+ (fours &>> 32)) & 0xFFFF_FFFF
    }
}

/// Decimal text to Double, correctly rounded, and to exact timestamps.
///
/// Fast path by Clinger (How to read floating point numbers accurately, PLDI 1990): a mantissa of at most 2^53 and a power
/// of ten of at most 22 are both exact Doubles, so one multiplication or division rounds once and correctly. Everything
/// else goes to the C library's `strtod_l` on a bounded copy; glibc rounds correctly for any length.
struct DecimalNumber {
    /// Longest number text handed to `strtod_l`.
    static let textBytesMax = 512

    /// Rounded value; infinite when out of range. Undefined unless a scan said yes.
    var value = 0.0
    /// Index after the number.
    var next = 0
    /// No dot and no exponent.
    var isInteger = false
    var isNegative = false
    /// Digits without dot; exact while `digitCount <= 19`.
    var mantissa: UInt64 = 0
    /// Digits before and after the dot, leading zeros counted.
    var digitCount = 0
    /// Power of ten that the mantissa is to be multiplied with.
    var exponent = 0

    /// Reads `[+-] digits [. digits] [e [+-] digits]` at `start`, at least one digit before or after the dot.
    /// - Returns: false when there is no number, or it has more than `textBytesMax` bytes.
    @inline(always)
    mutating func scan(_ b: Bytes, _ start: Int) -> Bool {
        guard scanDigits(b, start) else { return false }
        if digitCount <= 19, mantissa <= 1 << 53, exponent >= -22, exponent <= 22 {
            let magnitude = Double(mantissa)
            let scaled = exponent < 0 ? magnitude / Self.powerOfTen(-exponent) : magnitude * Self.powerOfTen(exponent)
            value = isNegative ? -scaled : scaled
            return true
        }
        return roundSlowly(b, start)
    }

    /// The value of `digits [. digits]`, the first `length` bytes of `word` (1 to 8, the first byte lowest); nil for anything else. The same
    /// Double as `scan` finds.
    @inline(always)
    static func short(_ word: UInt64, _ length: Int) -> Double? {
        guard length > 0 else { return nil }
        // The last byte highest; what stood behind the number makes way for zeros before it.
        let outside = (64 &- 8 &* length) & 63
        var word = word &<< outside | Digits.zeros & (1 &<< outside &- 1)
        // The lowest byte found is exact, see `LineParser.headEnd`.
        let dots = word ^ (0x0101_0101_0101_0101 &* UInt64(Ascii.dot))
        let found = (dots &- 0x0101_0101_0101_0101) & ~dots & 0x8080_8080_8080_8080
        var fraction = 0
        if found != 0 {
            guard length > 1 else { return nil }
            // What is before the dot moves into its place.
            let place = found.trailingZeroBitCount &- 7
            let before: UInt64 = 1 &<< place &- 1
            word = word & ~(before &<< 8 | 0xFF) | (word & before) &<< 8 | UInt64(Ascii.zero)
            fraction = 7 &- place &>> 3
        }
        guard Digits.areAll(word) else { return nil }
        return Double(Digits.number(word)) / powerOfTen(fraction)
    }

    /// As `scan`, without computing `value`.
    @inline(always)
    mutating func scanDigits(_ b: Bytes, _ start: Int) -> Bool {
        var i = start
        let sign = b.peek(i)
        isNegative = sign == Ascii.minus
        if sign == Ascii.minus || sign == Ascii.plus { i &+= 1 }
        var m: UInt64 = 0
        let digitsStart = i
        var digit = b.peek(i) &- Ascii.zero
        while digit <= 9 {
            m = m &* 10 &+ UInt64(digit)
            i &+= 1
            digit = b.peek(i) &- Ascii.zero
        }
        var digits = i &- digitsStart
        exponent = 0
        isInteger = true
        if digit == Ascii.dot &- Ascii.zero {
            isInteger = false
            i &+= 1
            let fractionStart = i
            digit = b.peek(i) &- Ascii.zero
            while digit <= 9 {
                m = m &* 10 &+ UInt64(digit)
                i &+= 1
                digit = b.peek(i) &- Ascii.zero
            }
            exponent = fractionStart &- i
            digits &-= exponent
        }
        guard digits > 0 else { return false }
        if (digit &+ Ascii.zero) | 0x20 == 0x65 {
            isInteger = false
            guard scanExponent(b, &i) else { return false }
        }
        mantissa = m
        digitCount = digits
        next = i
        return true
    }

    /// Reads `e [+-] digits`; magnitudes beyond 100,000 are all the same.
    @inline(never)
    private mutating func scanExponent(_ b: Bytes, _ i: inout Int) -> Bool {
        i += 1
        var negative = false
        if i < b.count, b[i] == Ascii.minus || b[i] == Ascii.plus {
            negative = b[i] == Ascii.minus
            i += 1
        }
        let start = i
        var written = 0
        while i < b.count, Ascii.isDigit(b[i]) {
            if written < 100_000 { written = written * 10 + Int(b[i] - Ascii.zero) }
            i += 1
        }
        exponent += negative ? -written : written
        return i > start
    }

    @inline(never)
    private mutating func roundSlowly(_ b: Bytes, _ start: Int) -> Bool {
        let length = next - start
        guard length <= Self.textBytesMax else { return false }
        value = withUnsafeTemporaryAllocation(of: CChar.self, capacity: length + 1) { copy in
            for k in 0..<length { copy[k] = CChar(bitPattern: b[start + k]) }
            copy[length] = 0
            guard let text = copy.baseAddress else { return .nan }
            return number_text_to_double(text)
        }
        return true
    }

    /// - Parameter n: 0 to 22.
    @inline(always)
    static func powerOfTen(_ n: Int) -> Double { number_text_power_of_ten(UInt32(truncatingIfNeeded: n)) }

    /// Whether the bytes are one of the words for a value that is no finite number: `nan`, `inf`, `infinity`, any sign and case.
    static func isNonFiniteWord(_ b: Bytes, _ start: Int, _ end: Int) -> Bool {
        var i = start
        if i < end, b[i] == Ascii.minus || b[i] == Ascii.plus { i += 1 }
        return b.equalsIgnoringCase(i, end, "nan") || b.equalsIgnoringCase(i, end, "inf") || b.equalsIgnoringCase(i, end, "infinity")
    }
}
