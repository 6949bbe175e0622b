/// Calendar times and durations as text, in UTC, without a clock and without a time zone table.
public enum TimeText {
    static let dayNs: Int64 = 86_400_000_000_000

    /// Times that are taken from files, 1970 to 2223: differences of two, and a slack of 31 years, stay within 64 bits.
    static let fileTimesNs: ClosedRange<Int64> = 0...8_000_000_000_000_000_000

    /// `ns` since 1970-01-01T00:00:00Z as RFC 3339 text: whole seconds plainly, else three or nine decimals.
    public static func rfc3339(ns: Int64) -> String {
        let (days, inDay) = ns.flooredQuotientAndRemainder(by: dayNs)
        let (year, month, day) = civil(daysSince1970: days)
        let seconds = inDay / 1_000_000_000
        let fraction = inDay % 1_000_000_000
        var text = "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))"
        text += "T\(pad(seconds / 3600, 2)):\(pad(seconds / 60 % 60, 2)):\(pad(seconds % 60, 2))"
        if fraction % 1_000_000 != 0 {
            text += ".\(pad(fraction, 9))"
        } else if fraction != 0 {
            text += ".\(pad(fraction / 1_000_000, 3))"
        }
        return text + "Z"
    }

    /// Nanoseconds since 1970 from RFC 3339 text (`2026-11-23`, `2026-11-23T09:00Z`, `...T09:00:00.5+01:00`) or from a whole
    /// number of seconds, milliseconds, microseconds or nanoseconds (told apart by size: below 5e9, 5e12, 5e15).
    ///
    /// A missing offset means UTC. Years 1678 to 2261 fit into the result, others are refused.
    public static func nanoseconds(rfc3339 text: String) throws(SimulationError) -> Int64 {
        let refusal = SimulationError.text(got: text, expected: "a time such as 2026-11-23T09:00:00Z")
        if let number = Int64(text) {
            guard let ns = nanoseconds(epoch: number) else { throw refusal }
            return ns
        }
        var scanner = TextScanner(text)
        guard let year = scanner.digits(4), scanner.take("-"), let month = scanner.digits(2), scanner.take("-"),
            let day = scanner.digits(2), (1678...2261).contains(year), (1...12).contains(month),
            (1...daysIn(month: month, year: year)).contains(day)
        else { throw refusal }
        let days = daysSince1970(year: year, month: month, day: day)
        if scanner.atEnd { return days * dayNs }
        guard scanner.take("T") || scanner.take("t") || scanner.take(" "), let hour = scanner.digits(2), hour < 24, scanner.take(":"),
            let minute = scanner.digits(2), minute < 60
        else { throw refusal }
        var second: Int64 = 0
        var fraction: Int64 = 0
        if scanner.take(":") {
            guard let whole = scanner.digits(2), whole <= 60 else { throw refusal }
            second = whole
            if scanner.take(".") {
                guard let ns = scanner.fraction() else { throw refusal }
                fraction = ns
            }
        }
        guard let offset = scanner.offsetSeconds(), scanner.atEnd else { throw refusal }
        return days * dayNs + (hour * 3600 + minute * 60 + second - offset) * 1_000_000_000 + fraction
    }

    /// Nanoseconds from a Unix time whose unit is told by its size; nil when the result does not fit.
    static func nanoseconds(epoch number: Int64) -> Int64? {
        let scale: Int64 =
            switch number.magnitude {
            case ..<5_000_000_000: 1_000_000_000
            case ..<5_000_000_000_000: 1_000_000
            case ..<5_000_000_000_000_000: 1_000
            default: 1
            }
        let (ns, overflow) = number.multipliedReportingOverflow(by: scale)
        return overflow ? nil : ns
    }

    /// Nanoseconds from a duration such as `250ms`, `60s`, `1.5h`, `2d`, `1w`; a bare number means seconds.
    public static func nanoseconds(duration text: String) throws(SimulationError) -> Int64 {
        let units: [(String, Double)] = [
            ("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9), ("d", 86_400e9), ("w", 604_800e9),
        ]
        let number = text.prefix { $0.isNumber || $0 == "." }
        let suffix = text.dropFirst(number.count)
        let scale = suffix.isEmpty ? 1e9 : units.first { $0.0 == suffix }?.1
        guard let scale, let value = Double(number), value * scale < 9e18 else {
            throw .text(got: text, expected: "a duration such as 250ms, 60s, 5m, 1.5h, 2d, 1w")
        }
        return Int64((value * scale).rounded())
    }

    /// A duration in two figures of the largest fitting unit, for people: `45s`, `12m`, `3.5h`, `2.1d`.
    public static func brief(ns: Int64) -> String {
        let seconds = Double(ns) / 1e9
        return switch seconds.magnitude {
        case ..<120: "\(Int64(seconds.rounded()))s"
        case ..<7200: "\(Int64((seconds / 60).rounded()))m"
        case ..<172_800: "\(decimal(seconds / 3600, 1))h"
        default: "\(decimal(seconds / 86_400, 1))d"
        }
    }

    /// `value` with a fixed number of decimals; a dash when it is not a finite number of ordinary size.
    static func decimal(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, value.magnitude < 1e12 else { return "-" }
        var scale: Int64 = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int64((value * Double(scale)).rounded())
        let sign = scaled < 0 ? "-" : ""
        let magnitude = Int64(scaled.magnitude)
        return decimals == 0 ? "\(scaled)" : "\(sign)\(magnitude / scale).\(pad(magnitude % scale, decimals))"
    }

    /// Days since 1970-01-01 of a date of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The inverse of ``daysSince1970(year:month:day:)``.
    private static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).flooredQuotientAndRemainder(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func daysIn(month: Int64, year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func pad(_ number: Int64, _ width: Int) -> String {
        let text = "\(number)"
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
}

/// Reads fixed pieces of ASCII text from left to right.
private struct TextScanner {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = text[...].utf8 }

    var atEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let first = rest.first, UInt32(first) == character.value else { return false }
        rest = rest.dropFirst()
        return true
    }

    mutating func digits(_ count: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<count {
            guard let byte = rest.first, (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - 0x30)
            rest = rest.dropFirst()
        }
        return value
    }

    /// One or more decimals as nanoseconds; decimals after the ninth are dropped.
    mutating func fraction() -> Int64? {
        guard var value = digits(1) else { return nil }
        var count = 1
        while let digit = digits(1) {
            if count < 9 { value = value * 10 + digit }
            count += 1
        }
        for _ in min(count, 9)..<9 { value *= 10 }
        return value
    }

    /// `Z`, `+01:00`, `-0130` or nothing, in seconds.
    mutating func offsetSeconds() -> Int64? {
        if atEnd || take("Z") || take("z") { return 0 }
        let sign: Int64 = take("+") ? 1 : take("-") ? -1 : 0
        guard sign != 0, let hours = digits(2), hours < 24 else { return nil }
        _ = take(":")
        guard let minutes = digits(2), minutes < 60 else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }
}

extension Int64 {
    /// Division that rounds down, for times before 1970; `divisor` is a positive constant.
    func flooredQuotientAndRemainder(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
