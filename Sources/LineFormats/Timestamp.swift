import TimeSeries

/// How many nanoseconds one unit of a numeric timestamp is.
public enum TimeUnit: Sendable {
    /// By size, the rule of InfluxDB 3: below 5e9 seconds, below 5e12 milliseconds, below 5e15 microseconds, else nanoseconds.
    case byMagnitude
    case seconds, milliseconds, microseconds, nanoseconds
}

/// Text to nanoseconds since 1970-01-01T00:00:00Z.
enum Timestamp {
    /// Digits of nanoseconds in the years 2001 to 2262.
    static let nanosecondDigits = 19

    /// An integer or decimal number. Digits beyond a nanosecond are cut off.
    /// - Returns: nil when it is no number or the time does not fit in Int64; else the time, `next` after it.
    @inline(always)
    static func number(_ b: Bytes, _ start: Int, _ unit: TimeUnit, next: inout Int) -> Int64? {
        if start &+ nanosecondDigits == b.count, unit == .byMagnitude, let time = nineteenDigits(b, start) {
            next = b.count
            return time
        }
        return anyNumber(b, start, unit, next: &next)
    }

    @inline(never)
    private static func anyNumber(_ b: Bytes, _ start: Int, _ unit: TimeUnit, next: inout Int) -> Int64? {
        var number = DecimalNumber()
        guard number.scanDigits(b, start) else { return nil }
        next = number.next
        return scaled(number, b, start, unit)
    }

    /// The usual case, nanoseconds of this century: 19 digits that end the line. Nil for anything else.
    @inline(always)
    static func nineteenDigits(_ b: Bytes, _ start: Int) -> Int64? {
        let high = b.word(start)
        let low = b.word(start &+ 8)
        let hundreds = b[start &+ 16] &- Ascii.zero
        let tens = b[start &+ 17] &- Ascii.zero
        let units = b[start &+ 18] &- Ascii.zero
        guard Digits.areAll(high), Digits.areAll(low), max(hundreds, tens, units) <= 9, high & 0xFF != UInt64(Ascii.zero) else {
            return nil
        }
        let tail = UInt64(hundreds) &* 100 &+ UInt64(tens) &* 10 &+ UInt64(units)
        return Int64(exactly: Digits.number(high) &* 100_000_000_000 &+ Digits.number(low) &* 1000 &+ tail)
    }

    /// The time read last and its digits.
    struct Remembered {
        /// The text of a time at first, too: `1000000000000000000`.
        private var words: (UInt64, UInt64, UInt64) = (Digits.zeros + 1, Digits.zeros, Digits.zeros)
        private var time: Int64 = 1_000_000_000_000_000_000

        /// As `nineteenDigits`.
        @inline(always)
        mutating func time(_ b: Bytes, _ start: Int) -> Int64? {
            // The last word overlaps the one before it.
            let (high, low, last) = (b.word(start), b.word(start &+ 8), b.word(start &+ nanosecondDigits &- 8))
            if high ^ words.0 | low ^ words.1 | last ^ words.2 == 0 { return time }
            guard let read = nineteenDigits(b, start) else { return nil }
            (words, time) = ((high, low, last), read)
            return read
        }
    }

    /// `mantissa * 10^exponent` units as nanoseconds, exactly.
    private static func scaled(_ number: DecimalNumber, _ b: Bytes, _ start: Int, _ unit: TimeUnit) -> Int64? {
        var number = number
        if number.digitCount > 19 { shorten(&number, b, start) }
        let m = number.mantissa
        if m == 0 { return 0 }
        if number.exponent == 0, unit == .byMagnitude { return wholeNumber(m, number.isNegative) }
        var shift = number.exponent
        switch unit {
        case .byMagnitude:
            if isBelow(m, shift, 9) {
                shift += 9
            } else if isBelow(m, shift, 12) {
                shift += 6
            } else if isBelow(m, shift, 15) {
                shift += 3
            }
        case .seconds: shift += 9
        case .milliseconds: shift += 6
        case .microseconds: shift += 3
        case .nanoseconds: break
        }
        return power(m, shift, number.isNegative)
    }

    /// The rule of magnitudes for a number without fraction.
    private static func wholeNumber(_ m: UInt64, _ negative: Bool) -> Int64? {
        var unit: UInt64 = 1
        if m < 5_000_000_000 {
            unit = 1_000_000_000
        } else if m < 5_000_000_000_000 {
            unit = 1_000_000
        } else if m < 5_000_000_000_000_000 {
            unit = 1000
        }
        let (magnitude, overflow) = m.multipliedReportingOverflow(by: unit)
        if overflow { return nil }
        return negative ? Int64(exactly: -Int128(magnitude)) : Int64(exactly: magnitude)
    }

    /// Whether m * 10^shift < 5 * 10^digits.
    private static func isBelow(_ m: UInt64, _ shift: Int, _ digits: Int) -> Bool {
        let place = digits - shift
        if place < 0 { return false }
        if place > 19 { return true }
        let (bound, overflow) = tenTo(place).multipliedReportingOverflow(by: 5)
        return overflow || m < bound
    }

    private static func power(_ m: UInt64, _ shift: Int, _ negative: Bool) -> Int64? {
        var magnitude = m
        if shift > 0 {
            guard shift <= 19 else { return nil }
            let (product, overflow) = m.multipliedReportingOverflow(by: tenTo(shift))
            if overflow { return nil }
            magnitude = product
        } else if shift < 0 {
            magnitude = shift < -19 ? 0 : m / tenTo(-shift)
        }
        return negative ? Int64(exactly: -Int128(magnitude)) : Int64(exactly: magnitude)
    }

    /// Reads the mantissa again from its first digit that is not zero and keeps 19 digits; the exponent makes up for the rest.
    private static func shorten(_ number: inout DecimalNumber, _ b: Bytes, _ start: Int) {
        var m: UInt64 = 0
        var kept = 0
        for i in start..<number.next {
            let byte = b[i]
            if byte | 0x20 == 0x65 { break }
            guard Ascii.isDigit(byte) else { continue }
            if kept == 19 {
                number.exponent += 1
            } else if kept > 0 || byte != Ascii.zero {
                m = m * 10 + UInt64(byte - Ascii.zero)
                kept += 1
            }
        }
        number.mantissa = m
    }

    private static func tenTo(_ n: Int) -> UInt64 {
        var power: UInt64 = 1
        for _ in 0..<n { power &*= 10 }
        return power
    }

    /// The forms of ``TimeForms``; nil when the bytes `start ..< end` are none of them.
    static func calendar(_ b: Bytes, _ start: Int, _ end: Int) -> WrittenTime? {
        precondition(start >= 0 && start <= end && end <= b.count)
        return TimeForms.read(UnsafeBufferPointer(start: b.base + start, count: end - start).span)
    }

    /// Nanoseconds since midnight when the bytes `start ..< end` are a time of day without a date.
    static func timeOfDay(_ b: Bytes, _ start: Int, _ end: Int) -> Int64? {
        precondition(start >= 0 && start <= end && end <= b.count)
        return TimeForms.timeOfDay(UnsafeBufferPointer(start: b.base + start, count: end - start).span)
    }
}
