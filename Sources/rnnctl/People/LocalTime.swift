import ArgumentParser
import Glibc
import Platform
import Tabular
import TimeSeries

/// Moments in the time zone of whoever reads (TZ or /etc/localtime); UTC with `--utc`.
enum LocalTime {
    nonisolated(unsafe) static var isUTC = false

    /// `2026-11-23 09:56:43`, of today only the time.
    static func text(_ nanoseconds: Int64, now: Int64 = Clocks.wall()) -> String {
        guard !isUTC else { return TimeText.seconds(nanoseconds) }
        let (then, today) = (parts(nanoseconds), parts(now))
        func pad(_ value: Int32) -> String { (value < 10 ? "0" : "") + "\(value)" }
        let clock = "\(pad(then.tm_hour)):\(pad(then.tm_min)):\(pad(then.tm_sec))"
        if (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday) { return clock }
        return "\(then.tm_year + 1900)-\(pad(then.tm_mon + 1))-\(pad(then.tm_mday)) \(clock)"
    }

    /// A cell with a moment in RFC 3339 as people read it.
    static func cell(_ value: JSONValue?) -> JSONValue {
        value?.text.flatMap { TimeText.parse($0) }.map { .string(text($0)) } ?? .null
    }

    private static func parts(_ nanoseconds: Int64) -> tm {
        var seconds = time_t(nanoseconds / 1_000_000_000 - (nanoseconds % 1_000_000_000 < 0 ? 1 : 0))
        var parts = tm()
        localtime_r(&seconds, &parts)
        return parts
    }

    /// Reads `10:00`, `today 10:00`, `yesterday`, `tomorrow 8:00`, `now`, `2h ago`, `in 2h`, a date with or without a time (local unless it
    /// names a zone), RFC 3339, or a whole number (Unix time).
    static func parse(_ text: String, now: Int64 = Clocks.wall()) -> Int64? {
        let words = text.lowercased().split(separator: " ").map(String.init)
        guard let first = words.first else { return nil }
        if first == "now", words.count == 1 { return now }
        if words.last == "ago", let span = try? TimeSpan(parsing: words.dropLast().joined()) { return now - span.nanoseconds }
        if first == "in", let span = try? TimeSpan(parsing: words.dropFirst().joined()) { return now + span.nanoseconds }
        if let days = (["yesterday": -1, "today": 0, "tomorrow": 1] as [String: Int32])[first], words.count <= 2 {
            return day(days, now, words.count == 2 ? words[1] : "0:00")
        }
        if words.count == 1, first.contains(":"), !first.contains("-") { return day(0, now, first) }
        if let number = Int64(text) { return TimeText.nanoseconds(epoch: number) }
        return hasZone(text) || isUTC ? TimeText.parse(text) : local(text)
    }

    /// After its date it names a zone.
    private static func hasZone(_ text: String) -> Bool {
        let rest = text.dropFirst(10)
        return rest.contains { "Zz+-".contains($0) }
    }

    private static func local(_ text: String) -> Int64? {
        guard let moment = TimeText.parse(text) else { return nil }
        // The clock reading is right, the zone is not: read its parts as local time.
        var seconds = time_t(moment / 1_000_000_000)
        var clock = tm()
        gmtime_r(&seconds, &clock)
        clock.tm_isdst = -1
        return Int64(mktime(&clock)) * 1_000_000_000 + moment % 1_000_000_000
    }

    private static func day(_ days: Int32, _ now: Int64, _ clock: String) -> Int64? {
        let numbers = clock.split(separator: ":").map { Int32($0) }
        guard (2...3).contains(numbers.count), !numbers.contains(nil), let hour = numbers[0], let minute = numbers[1], hour < 24,
            minute < 60,
            hour >= 0, minute >= 0
        else { return nil }
        var then = parts(now)
        if isUTC {
            var seconds = time_t(now / 1_000_000_000)
            gmtime_r(&seconds, &then)
        }
        then.tm_mday += days
        (then.tm_hour, then.tm_min, then.tm_sec) = (hour, minute, numbers.count == 3 ? numbers[2] ?? 0 : 0)
        then.tm_isdst = -1
        return Int64(isUTC ? timegm(&then) : mktime(&then)) * 1_000_000_000
    }
}

/// A moment to come: a time of day that is over is tomorrow's; a bare span counts from now.
struct FutureMoment: ExpressibleByArgument {
    let nanoseconds: Int64
    init?(argument: String) {
        let now = Clocks.wall()
        if let span = try? TimeSpan(parsing: argument) {
            nanoseconds = now + span.nanoseconds
            return
        }
        guard let moment = LocalTime.parse(argument, now: now) else { return nil }
        let isClock = argument.contains(":") && !argument.contains("-") && !argument.contains(" ")
        nanoseconds = isClock && moment <= now ? moment + 86_400_000_000_000 : moment
    }
}
