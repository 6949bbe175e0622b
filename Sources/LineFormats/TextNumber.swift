/// Units that a value may carry behind it. A channel keeps the unit it came with first; a value with another one is not taken for it.
public enum Unit {
    /// By code; 0 is none. The list only grows at its end: codes are stored.
    public static let names: [StaticString] = [
        "", "C", "°C", "F", "°F", "K", "%", "V", "mV", "kV", "A", "mA", "W", "kW", "MW", "Wh", "kWh", "MWh", "VA", "kVA", "var", "kvar",
        "Hz",
        "kHz", "MHz", "GHz", "Pa", "hPa", "kPa", "MPa", "mbar", "bar", "psi", "m", "cm", "mm", "km", "mm/h", "m/s", "km/h", "mph", "l", "L",
        "l/h", "l/min", "m3", "m³", "m3/h", "m³/h", "ppm", "ppb", "lx", "lux", "dB", "dBm", "rpm", "ms", "s", "sec", "min", "h", "d", "B",
        "kB", "KB", "MB", "GB", "KiB", "MiB", "GiB", "bit/s", "kbit/s", "Mbit/s", "g", "kg", "t", "mg", "µg/m³", "µg/m3", "ug/m3", "µS/cm",
        "uS/cm", "pH", "NTU", "J", "kJ", "MJ", "GJ", "°", "deg", "Ω", "ohm", "kΩ", "inHg", "in", "ft", "gal", "%RH", "%rH", "W/m²", "W/m2",
        "uA", "µA", "ml", "mL", "kn", "Bq/m³", "Bq/m3", "TB", "TiB", "Mbps", "kbps", "rad", "N", "Nm", "mm/s", "mol", "cd", "lm",
    ]

    /// The code of the unit in the bytes `start ..< end`; nil for none known.
    static func code(_ b: Bytes, _ start: Int, _ end: Int) -> UInt8? {
        for code in 1..<names.count where b.equals(start, end, names[code]) { return UInt8(code) }
        return nil
    }

    /// The name of a code; empty for none.
    public static func name(_ code: UInt8) -> String { Int(code) < names.count ? "\(names[Int(code)])" : "" }
}

/// What a text says that may be a number: `34.9`, `21,5`, `20.6 C`, `45 %`, `unavailable`.
enum TextNumber {
    case number(Double, unit: UInt8)
    /// It begins like a number, and what it means is not sure: `1,234`, `5 apples`.
    case odd
    /// NaN, infinite, or too large.
    case nonFinite
    /// It says that the value is not known.
    case unknown
    /// Something else: a word, a date, a version, an address.
    case text

    /// Reads all of `b`.
    /// - Parameter isComma: a comma is the decimal mark for sure.
    static func read(_ b: Bytes, isComma: Bool = false) -> TextNumber {
        let start = b.skipBlanks(0)
        var end = b.count
        while end > start, Ascii.isBlank(b[end - 1]) { end -= 1 }
        guard start < end else { return .unknown }
        let first = b[start]
        guard Ascii.isDigit(first) || first == Ascii.minus || first == Ascii.plus || first == Ascii.dot || first == Ascii.comma else {
            return word(b, start, end)
        }
        return number(b, start, end, isComma)
    }

    private static func word(_ b: Bytes, _ start: Int, _ end: Int) -> TextNumber {
        if DecimalNumber.isNonFiniteWord(b, start, end) { return .nonFinite }
        func says(_ word: StaticString) -> Bool { b.equalsIgnoringCase(start, end, word) }
        let isUnknown =
            says("null") || says("none") || says("n/a") || says("na") || says("nil") || says("unknown") || says("unavailable")
            || says("undefined") || says("missing")
        return isUnknown ? .unknown : .text
    }

    private static func number(_ b: Bytes, _ start: Int, _ end: Int, _ isComma: Bool) -> TextNumber {
        if b.equals(start, end, "-") || b.equals(start, end, "--") || b.equals(start, end, "---") { return .unknown }
        if DecimalNumber.isNonFiniteWord(b, start, end) { return .nonFinite }
        var digits = start
        if b[digits] == Ascii.minus || b[digits] == Ascii.plus { digits += 1 }
        let wholeStart = digits
        while digits < end, Ascii.isDigit(b[digits]) { digits += 1 }
        let whole = digits - wholeStart
        let hasComma = digits < end && b[digits] == Ascii.comma
        if hasComma { return decimalComma(b, start, wholeStart, digits, end, isComma) }
        var number = DecimalNumber()
        guard number.scan(b, start), number.next > start, number.next <= end else { return .text }
        // `0012` and twenty digits are names, not amounts.
        let isWhole = number.next == digits
        if isWhole, whole > 1 && b[wholeStart] == Ascii.zero || whole > 15 { return .text }
        return finished(b, number.value, number.next, end)
    }

    /// `21,5`: a decimal comma, unless the digits may as well be thousands.
    private static func decimalComma(
        _ b: Bytes, _ start: Int, _ wholeStart: Int, _ comma: Int, _ end: Int, _ isComma: Bool
    ) -> TextNumber {
        var i = comma + 1
        while i < end, Ascii.isDigit(b[i]) { i += 1 }
        let (whole, decimals) = (comma - wholeStart, i - comma - 1)
        guard decimals > 0 else { return .text }
        if isComma, whole + decimals > 15 { return longComma(b, start, comma, i, end) }
        guard whole + decimals <= 17 else { return .odd }
        if i < end, b[i] == Ascii.comma || b[i] == Ascii.dot { return .odd }
        let mayBeThousands = !isComma && decimals == 3 && whole > 0 && whole <= 3 && b[wholeStart] != Ascii.zero
        if mayBeThousands { return .odd }
        var mantissa: UInt64 = 0
        for k in wholeStart..<i where k != comma { mantissa = mantissa &* 10 &+ UInt64(b[k] &- Ascii.zero) }
        // Both are exact up to 2^53 and 10^22: one rounding, as for a point. Larger ones take the long way.
        guard mantissa <= 1 << 53 else { return .odd }
        var power = 1.0
        for _ in 0..<decimals { power *= 10 }
        let value = Double(mantissa) / power
        return finished(b, b[start] == Ascii.minus ? -value : value, i, end)
    }

    /// Many digits: written anew with a point, for the correct rounding of all of them.
    private static func longComma(_ b: Bytes, _ start: Int, _ comma: Int, _ digitsEnd: Int, _ end: Int) -> TextNumber {
        guard end - start <= 64 else { return .odd }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { room in
            for k in start..<end { room[k - start] = k == comma ? Ascii.dot : b[k] }
            guard let base = room.baseAddress else { return .odd }
            let text = Bytes(base: UnsafePointer(base), count: end - start)
            var number = DecimalNumber()
            guard number.scan(text, 0) else { return .odd }
            return finished(text, number.value, number.next, text.count)
        }
    }

    /// What stands behind the digits.
    private static func finished(_ b: Bytes, _ value: Double, _ at: Int, _ end: Int) -> TextNumber {
        guard value.isFinite else { return .nonFinite }
        guard at < end else { return .number(value, unit: 0) }
        let unitStart = b.skipBlanks(at)
        if let code = Unit.code(b, unitStart, end) { return .number(value, unit: code) }
        // Letters or a sign of a unit make it an amount of something; anything else is a date, a version, an address.
        for i in unitStart..<end {
            let byte = b[i]
            let isLetter = byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A || byte >= 0x80 || byte == 0x25 || byte == Ascii.slash
            guard isLetter else { return .text }
        }
        return .odd
    }
}
