import Glibc

/// The only place where time is read. Everything below the effects takes it as an argument.
public enum Clocks {
    /// Nanoseconds since 1970 (UTC); may step.
    public static func wall() -> Int64 { read(CLOCK_REALTIME) }
    /// Nanoseconds since some start; never steps, counts suspended time.
    public static func monotonic() -> Int64 { read(CLOCK_BOOTTIME) }

    /// Blocks this thread.
    public static func sleep(nanoseconds: Int64) {
        var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        var rest = timespec()
        while nanosleep(&time, &rest) != 0 && errno == EINTR { time = rest }
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// Time as text: RFC 3339 in UTC.
public enum TimeText {
    /// `2026-11-23T08:56:43.120Z`; the fraction has as many of 3, 6 or 9 digits as are needed, none when zero.
    public static func rfc3339(_ nanoseconds: Int64) -> String {
        var seconds = nanoseconds / 1_000_000_000
        var fraction = nanoseconds % 1_000_000_000
        if fraction < 0 {
            fraction += 1_000_000_000
            seconds -= 1
        }
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        var text =
            pad(Int64(parts.tm_year) + 1900, 4) + "-" + pad(Int64(parts.tm_mon) + 1, 2) + "-" + pad(Int64(parts.tm_mday), 2) + "T"
            + pad(Int64(parts.tm_hour), 2) + ":" + pad(Int64(parts.tm_min), 2) + ":" + pad(Int64(parts.tm_sec), 2)
        if fraction != 0 {
            if fraction % 1_000_000 == 0 {
                text += "." + pad(fraction / 1_000_000, 3)
            } else if fraction % 1000 == 0 {
                text += "." + pad(fraction / 1000, 6)
            } else {
                text += "." + pad(fraction, 9)
            }
        }
        return text + "Z"
    }

    /// Reads `2026-11-23T08:56:43[.fff][Z|+hh:mm]`, a space instead of T, or a bare date (midnight UTC). nil when it is none.
    public static func parse(_ text: String) -> Int64? {
        var rest = Array(text.utf8)[...]
        guard let year = number(&rest, 4), take(&rest, "-"), let month = number(&rest, 2), take(&rest, "-"), let day = number(&rest, 2),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var seconds = daysFromCivil(year, month, day) * 86_400
        if rest.isEmpty { return seconds * 1_000_000_000 }
        guard take(&rest, "T") || take(&rest, " ") || take(&rest, "t"), let hour = number(&rest, 2), take(&rest, ":"),
            let minute = number(&rest, 2), hour < 24, minute < 60
        else { return nil }
        var second: Int64 = 0
        if take(&rest, ":") {
            guard let parsed = number(&rest, 2), parsed <= 60 else { return nil }
            second = parsed
        }
        seconds += hour * 3600 + minute * 60 + second
        var fraction: Int64 = 0
        if take(&rest, ".") {
            var scale: Int64 = 100_000_000
            guard let first = rest.first, first >= 48, first <= 57 else { return nil }
            while let digit = rest.first, digit >= 48, digit <= 57 {
                fraction += Int64(digit - 48) * scale
                scale /= 10
                rest.removeFirst()
            }
        }
        if rest.isEmpty || (take(&rest, "Z") || take(&rest, "z")) && rest.isEmpty { return seconds * 1_000_000_000 + fraction }
        let sign: Int64
        if take(&rest, "+") { sign = -1 } else if take(&rest, "-") { sign = 1 } else { return nil }
        guard let zoneHour = number(&rest, 2), take(&rest, ":") || true, let zoneMinute = number(&rest, 2), rest.isEmpty else { return nil }
        return (seconds + sign * (zoneHour * 3600 + zoneMinute * 60)) * 1_000_000_000 + fraction
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    private static func take(_ bytes: inout ArraySlice<UInt8>, _ character: Character) -> Bool {
        guard let first = bytes.first, first == character.asciiValue else { return false }
        bytes.removeFirst()
        return true
    }

    private static func number(_ bytes: inout ArraySlice<UInt8>, _ digits: Int) -> Int64? {
        guard bytes.count >= digits else { return nil }
        var value: Int64 = 0
        for byte in bytes.prefix(digits) {
            guard byte >= 48, byte <= 57 else { return nil }
            value = value * 10 + Int64(byte - 48)
        }
        bytes.removeFirst(digits)
        return value
    }

    /// Days since 1970-01-01 of a Gregorian date (H. Hinnant, "chrono-compatible low-level date algorithms").
    private static func daysFromCivil(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
