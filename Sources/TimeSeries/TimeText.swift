/// Moments as text: RFC 3339 in UTC, without a clock, a time zone table or a locale.
public enum TimeText {
    /// `2026-11-23T08:56:43.120Z`; the fraction has as many of 3, 6 or 9 digits as are needed, none when zero.
    public static func rfc3339(_ nanoseconds: Int64) -> String {
        let (seconds, fraction) = floored(nanoseconds, by: 1_000_000_000)
        let (days, inDay) = floored(seconds, by: 86_400)
        let (year, month, day) = civil(days)
        var text = pad(year, 4) + "-" + pad(month, 2) + "-" + pad(day, 2) + "T"
        text += pad(inDay / 3600, 2) + ":" + pad(inDay / 60 % 60, 2) + ":" + pad(inDay % 60, 2)
        if fraction % 1000 != 0 {
            text += "." + pad(fraction, 9)
        } else if fraction % 1_000_000 != 0 {
            text += "." + pad(fraction / 1000, 6)
        } else if fraction != 0 {
            text += "." + pad(fraction / 1_000_000, 3)
        }
        return text + "Z"
    }

    /// The same, cut to whole milliseconds: for times read from a clock.
    public static func milliseconds(_ nanoseconds: Int64) -> String { cut(nanoseconds, to: 1_000_000) }

    /// The same, cut to whole seconds: for tables that people read.
    public static func seconds(_ nanoseconds: Int64) -> String { cut(nanoseconds, to: 1_000_000_000) }

    private static func cut(_ nanoseconds: Int64, to unit: Int64) -> String {
        let (whole, overflow) = nanoseconds.subtractingReportingOverflow(floored(nanoseconds, by: unit).remainder)
        return rfc3339(overflow ? nanoseconds : whole)
    }

    /// Nanoseconds since 1970 from RFC 3339 and its usual relaxations: a space or small `t` for the T, no seconds, a fraction
    /// after dot or comma (cut after nine digits), `Z`, `+hh:mm`, `-hhmm` or nothing (UTC) for the zone, or the date alone.
    /// - Returns: nil when the text is none or the time is not within the years 1678 to 2261.
    public static func parse(_ text: String) -> Int64? {
        var text = text
        return text.withUTF8 { parse($0.span) }
    }

    /// The same from bytes.
    public static func parse(_ bytes: Span<UInt8>) -> Int64? {
        var cursor = CalendarCursor(count: bytes.count)
        guard let year = cursor.digits(bytes, 4), cursor.take(bytes, "-"), let month = cursor.digits(bytes, 2), cursor.take(bytes, "-"),
            let day = cursor.digits(bytes, 2),
            let days = dayNumber(year, month, day)
        else { return nil }
        if cursor.atEnd { return nanoseconds(days * 86_400, 0) }
        guard cursor.take(bytes, "T") || cursor.take(bytes, "t") || cursor.take(bytes, " "), let hour = cursor.digits(bytes, 2), hour < 24,
            cursor.take(bytes, ":"),
            let minute = cursor.digits(bytes, 2), minute < 60
        else { return nil }
        var second: Int64 = 0
        var fraction: Int64 = 0
        if cursor.take(bytes, ":") {
            // 60 is a leap second: it is counted into the next minute.
            guard let written = cursor.digits(bytes, 2), written <= 60 else { return nil }
            second = written
            if cursor.take(bytes, ".") || cursor.take(bytes, ",") {
                guard let digits = cursor.fraction(bytes) else { return nil }
                fraction = digits
            }
        }
        guard let east = cursor.zoneSeconds(bytes), cursor.atEnd else { return nil }
        return nanoseconds(days * 86_400 + hour * 3600 + minute * 60 + second - east, fraction)
    }

    /// Nanoseconds since 1970 from a Unix time whose unit is told by its size (the rule of InfluxDB 3): below 5e9 seconds,
    /// below 5e12 milliseconds, below 5e15 microseconds, else nanoseconds; nil when it does not fit.
    public static func nanoseconds(epoch number: Int64) -> Int64? {
        let unit: Int64 =
            switch number.magnitude {
            case ..<5_000_000_000: 1_000_000_000
            case ..<5_000_000_000_000: 1_000_000
            case ..<5_000_000_000_000_000: 1000
            default: 1
            }
        let (nanoseconds, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : nanoseconds
    }

    /// ``parse(_:)-(String)``, or a whole number as ``nanoseconds(epoch:)`` takes it.
    public static func instant(_ text: String) -> Int64? { Int64(text).map { nanoseconds(epoch: $0) } ?? parse(text) }

    private static func nanoseconds(_ seconds: Int64, _ fraction: Int64) -> Int64? {
        Int64(exactly: Int128(seconds) * 1_000_000_000 + Int128(fraction))
    }

    /// Division that rounds down, for times before 1970; `divisor` is positive.
    static func floored(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
    static func dayNumber(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64? {
        guard (1...12).contains(month), day >= 1, day <= daysIn(month, year) else { return nil }
        let y = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = floored(y, by: 400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The inverse of `dayNumber`.
    static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floored(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    static func daysIn(_ month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

/// A place in a calendar text; the bytes are handed to every step (a stored span would need an experimental language feature).
private struct CalendarCursor {
    let count: Int
    private var at = 0

    init(count: Int) { self.count = count }

    var atEnd: Bool { at >= count }

    mutating func take(_ bytes: Span<UInt8>, _ character: Unicode.Scalar) -> Bool {
        guard at < bytes.count, UInt32(bytes[at]) == character.value else { return false }
        at += 1
        return true
    }

    private func digit(_ bytes: Span<UInt8>, _ index: Int) -> Int64? {
        index < bytes.count && (0x30...0x39).contains(bytes[index]) ? Int64(bytes[index] - 0x30) : nil
    }

    /// Exactly `count` digits.
    mutating func digits(_ bytes: Span<UInt8>, _ count: Int) -> Int64? {
        var value: Int64 = 0
        for index in at..<at + count {
            guard let digit = digit(bytes, index) else { return nil }
            value = value * 10 + digit
        }
        at += count
        return value
    }

    /// One or more digits as nanoseconds; from the tenth on they are cut off.
    mutating func fraction(_ bytes: Span<UInt8>) -> Int64? {
        let start = at
        var value: Int64 = 0
        var unit: Int64 = 100_000_000
        while let digit = digit(bytes, at) {
            value += digit * unit
            unit /= 10
            at += 1
        }
        return at > start ? value : nil
    }

    /// Seconds east of UTC; nothing means UTC.
    mutating func zoneSeconds(_ bytes: Span<UInt8>) -> Int64? {
        if atEnd || take(bytes, "Z") || take(bytes, "z") { return 0 }
        let sign: Int64 = take(bytes, "+") ? 1 : take(bytes, "-") ? -1 : 0
        guard sign != 0, let hours = digits(bytes, 2), hours < 24 else { return nil }
        _ = take(bytes, ":")
        guard let minutes = digits(bytes, 2), minutes < 60 else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }
}
