/// A moment as senders write it: what was said, and what was left open.
public struct WrittenTime: Equatable, Sendable {
    /// Nanoseconds since 1970-01-01T00:00:00Z; without a zone, of the clock as it is written.
    public var nanoseconds: Int64
    /// Whether a zone was written. If not, the reader of the text knows whose clock it was.
    public var hasZone: Bool
    /// Only a date was written: the time of day is missing.
    public var isDateOnly: Bool

    public init(nanoseconds: Int64, hasZone: Bool, isDateOnly: Bool = false) {
        (self.nanoseconds, self.hasZone, self.isDateOnly) = (nanoseconds, hasZone, isDateOnly)
    }
}

/// Reads the forms of date and time that sensors, loggers and exports write, beyond RFC 3339.
///
/// Dates: `2026-01-05`, `2026-1-5`, `2026/01/05`, `5.1.2026`, `20260105` before a `T`. Then `T`, `t`, blanks or a comma and a blank. Times:
/// `7:05`, `07:05:00.5`, `070500` in the basic form, `24:00` (the next midnight), `:60` (a leap second), `7:05 PM`. Zones, with or
/// without a blank before: `Z`, `UTC`, `GMT`, `+01`, `+0100`, `+01:00`, `Z+0000`. `5/1/2026` is left to whoever knows which of the two is the
/// month.
public enum TimeForms {
    /// Reads a whole text. nil: it is none of these forms, or not within the years 1678 to 2261.
    public static func read(_ bytes: Span<UInt8>) -> WrittenTime? {
        var cursor = FormCursor(bytes.count)
        guard let (days, isBasic) = date(bytes, &cursor) else { return nil }
        if cursor.atEnd {
            // Eight digits alone are a number.
            guard !isBasic, let ns = nanoseconds(days * 86_400, 0) else { return nil }
            return WrittenTime(nanoseconds: ns, hasZone: false, isDateOnly: true)
        }
        if !cursor.take(bytes, "T"), !cursor.take(bytes, "t") {
            let hadComma = cursor.take(bytes, ",")
            guard cursor.blanks(bytes) > 0 || hadComma, !isBasic || !cursor.atEnd else { return nil }
        }
        guard let time = timeOfDay(bytes, &cursor, isBasic: isBasic) else { return nil }
        let had = cursor.blanks(bytes)
        if cursor.atEnd {
            guard had == 0, let ns = nanoseconds(days * 86_400 + time.seconds, time.fraction) else { return nil }
            return WrittenTime(nanoseconds: ns, hasZone: false)
        }
        guard let east = zone(bytes, &cursor), cursor.atEnd, let ns = nanoseconds(days * 86_400 + time.seconds - east, time.fraction) else {
            return nil
        }
        return WrittenTime(nanoseconds: ns, hasZone: true)
    }

    /// Nanoseconds since midnight of a text that is a time of day and nothing else; nil for any other.
    public static func timeOfDay(_ bytes: Span<UInt8>) -> Int64? {
        var cursor = FormCursor(bytes.count)
        guard let time = timeOfDay(bytes, &cursor, isBasic: false), cursor.atEnd else { return nil }
        return time.seconds * 1_000_000_000 + time.fraction
    }

    /// The same from text, for tests and options.
    public static func read(_ text: String) -> WrittenTime? {
        var text = text
        return text.withUTF8 { read($0.span) }
    }

    static func nanoseconds(_ seconds: Int64, _ fraction: Int64) -> Int64? {
        Int64(exactly: Int128(seconds) * 1_000_000_000 + Int128(fraction))
    }

    private static func date(_ bytes: Span<UInt8>, _ cursor: inout FormCursor) -> (days: Int64, isBasic: Bool)? {
        let start = cursor.at
        guard let (first, width) = cursor.number(bytes, upTo: 8) else { return nil }
        if width == 8 {
            guard let days = TimeText.dayNumber(first / 10_000, first / 100 % 100, first % 100) else { return nil }
            return (days, true)
        }
        let separator: Unicode.Scalar = cursor.take(bytes, "-") ? "-" : cursor.take(bytes, "/") ? "/" : "."
        reading: if separator != "." || cursor.take(bytes, ".") {
            guard let (second, secondWidth) = cursor.number(bytes, upTo: 2), secondWidth <= 2, cursor.take(bytes, separator),
                let (third, thirdWidth) = cursor.number(bytes, upTo: 4)
            else { break reading }
            if width == 4, thirdWidth <= 2 { return TimeText.dayNumber(first, second, third).map { ($0, false) } }
            // The dot is written by people who put the day first; with a slash some do and some do not.
            if separator == ".", width <= 2, thirdWidth == 4 { return TimeText.dayNumber(third, second, first).map { ($0, false) } }
        }
        cursor.at = start
        return nil
    }

    private static func timeOfDay(_ bytes: Span<UInt8>, _ cursor: inout FormCursor, isBasic: Bool) -> (seconds: Int64, fraction: Int64)? {
        guard let (first, width) = cursor.number(bytes, upTo: 6) else { return nil }
        var (hour, minute, second) = (first, Int64(0), Int64(0))
        var hasSeconds = false
        if isBasic, width == 4 || width == 6 {
            (hour, minute, second) = width == 4 ? (first / 100, first % 100, 0) : (first / 10_000, first / 100 % 100, first % 100)
            hasSeconds = width == 6
        } else {
            guard width <= 2, cursor.take(bytes, ":"), let (found, minuteWidth) = cursor.number(bytes, upTo: 2), minuteWidth == 2 else {
                return nil
            }
            minute = found
            if cursor.take(bytes, ":") {
                guard let (found, secondWidth) = cursor.number(bytes, upTo: 2), secondWidth == 2 else { return nil }
                (second, hasSeconds) = (found, true)
            }
        }
        var fraction: Int64 = 0
        if hasSeconds, cursor.take(bytes, ".") || cursor.take(bytes, ",") {
            guard let digits = cursor.fraction(bytes) else { return nil }
            fraction = digits
        }
        if let isAfternoon = cursor.halfDay(bytes) {
            guard (1...12).contains(hour) else { return nil }
            hour = hour % 12 + (isAfternoon ? 12 : 0)
        }
        // 60 is a leap second, counted into the next minute; 24:00 the end of the day.
        let isMidnight = hour == 24 && minute == 0 && second == 0 && fraction == 0
        guard hour < 24 || isMidnight, minute < 60, second <= 60 else { return nil }
        return (hour * 3600 + minute * 60 + second, fraction)
    }

    /// Seconds east of UTC.
    static func zone(_ bytes: Span<UInt8>, _ cursor: inout FormCursor) -> Int64? {
        if cursor.take(bytes, "Z") || cursor.take(bytes, "z") || cursor.takeWord(bytes, "UTC") || cursor.takeWord(bytes, "GMT"),
            cursor.atEnd
        {
            return 0
        }
        let sign: Int64 = cursor.take(bytes, "+") ? 1 : cursor.take(bytes, "-") ? -1 : 0
        guard sign != 0, let (first, width) = cursor.number(bytes, upTo: 4), width == 2 || width == 4 else { return nil }
        var (hours, minutes) = width == 4 ? (first / 100, first % 100) : (first, 0)
        if width == 2, cursor.take(bytes, ":") {
            guard let (found, minuteWidth) = cursor.number(bytes, upTo: 2), minuteWidth == 2 else { return nil }
            minutes = found
        }
        guard hours < 24, minutes < 60 else { return nil }
        hours = hours * 3600 + minutes * 60
        return sign * hours
    }
}

/// A place in a text of date and time; the bytes are handed to every step.
struct FormCursor {
    let count: Int
    var at = 0

    init(_ count: Int) { self.count = count }

    var atEnd: Bool { at >= count }

    mutating func take(_ bytes: Span<UInt8>, _ character: Unicode.Scalar) -> Bool {
        guard at < bytes.count, UInt32(bytes[at]) == character.value else { return false }
        at += 1
        return true
    }

    mutating func takeWord(_ bytes: Span<UInt8>, _ word: StaticString) -> Bool {
        guard at + word.utf8CodeUnitCount <= bytes.count else { return false }
        for k in 0..<word.utf8CodeUnitCount where bytes[at + k] != word.utf8Start[k] { return false }
        at += word.utf8CodeUnitCount
        return true
    }

    /// Passes over blanks; returns how many.
    mutating func blanks(_ bytes: Span<UInt8>) -> Int {
        let start = at
        while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x09 { at += 1 }
        return at - start
    }

    /// All digits here; nil when there are none or more than `most`.
    mutating func number(_ bytes: Span<UInt8>, upTo most: Int) -> (value: Int64, width: Int)? {
        let start = at
        var value: Int64 = 0
        while at < bytes.count, bytes[at] &- 0x30 < 10 {
            guard at - start < most else { return nil }
            value = value * 10 + Int64(bytes[at] &- 0x30)
            at += 1
        }
        return at > start ? (value, at - start) : nil
    }

    /// One or more digits as nanoseconds; from the tenth on they are cut off.
    mutating func fraction(_ bytes: Span<UInt8>) -> Int64? {
        let start = at
        var value: Int64 = 0
        var unit: Int64 = 100_000_000
        while at < bytes.count, bytes[at] &- 0x30 < 10 {
            value += Int64(bytes[at] &- 0x30) * unit
            unit /= 10
            at += 1
        }
        return at > start ? value : nil
    }

    /// ` AM` or ` pm`: whether it is the afternoon; nil when neither stands here.
    mutating func halfDay(_ bytes: Span<UInt8>) -> Bool? {
        var next = at
        while next < bytes.count, bytes[next] == 0x20 { next += 1 }
        guard next + 1 < bytes.count, bytes[next + 1] | 0x20 == 0x6D, bytes[next] | 0x20 == 0x61 || bytes[next] | 0x20 == 0x70 else {
            return nil
        }
        at = next + 2
        return bytes[next] | 0x20 == 0x70
    }
}
