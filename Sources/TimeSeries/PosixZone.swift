/// The rule of a zone for the future: a POSIX TZ text such as `CET-1CEST,M3.5.0,M10.5.0/3` (RFC 8536, 3.3.1).
struct PosixZone {
    /// When in a year a change is.
    private enum Day {
        /// Day 1...365, 29 February never counted.
        case julian(Int)
        /// Day 0...365, 29 February counted.
        case ordinal(Int)
        /// Month, week 1...5 (5: the last), weekday (0: Sunday).
        case weekday(month: Int, week: Int, day: Int)
    }

    /// Seconds east of UTC outside daylight saving.
    let standard: Int32
    private var daylight: Int32 = 0
    private var start: (day: Day, seconds: Int64)?
    private var end: (day: Day, seconds: Int64)?

    var hasDaylightSaving: Bool { start != nil && end != nil }

    init(_ text: [UInt8]) throws(TimeZoneError) {
        var reader = Reader(text)
        try reader.name()
        standard = Int32(-(try reader.time()))
        guard !reader.isAtEnd else { return }
        try reader.name()
        daylight = standard + 3600
        if !reader.isAtEnd, !reader.take(UInt8(ascii: ",")) {
            daylight = Int32(-(try reader.time()))
            _ = reader.take(UInt8(ascii: ","))
        }
        start = try reader.rule()
        guard reader.take(UInt8(ascii: ",")) else { throw .malformed("rule for the future") }
        end = try reader.rule()
        guard reader.isAtEnd else { throw .malformed("rule for the future") }
    }

    /// The two changes of a year in order of time: Unix seconds and the offset from then on.
    func changes(in year: Int64) -> [(at: Int64, offset: Int32)] {
        guard let start, let end else { return [] }
        let begin = PosixZone.days(start.day, year) * 86_400 + start.seconds - Int64(standard)
        let finish = PosixZone.days(end.day, year) * 86_400 + end.seconds - Int64(daylight)
        return begin < finish ? [(begin, daylight), (finish, standard)] : [(finish, standard), (begin, daylight)]
    }

    /// Days since 1970 of a rule's day.
    private static func days(_ day: Day, _ year: Int64) -> Int64 {
        let first = TimeText.dayNumber(year, 1, 1) ?? 0
        switch day {
        case .julian(let n): return first + Int64(n - 1) + (TimeText.daysIn(2, year) == 29 && n >= 60 ? 1 : 0)
        case .ordinal(let n): return first + Int64(n)
        case .weekday(let month, let week, let weekday):
            let start = TimeText.dayNumber(year, Int64(month), 1) ?? 0
            // 1970-01-01 was a Thursday.
            let startWeekday = TimeText.floored(start + 4, by: 7).remainder
            var inMonth = (Int64(weekday) - startWeekday + 7) % 7 + Int64(week - 1) * 7
            if inMonth >= TimeText.daysIn(Int64(month), year) { inMonth -= 7 }
            return start + inMonth
        }
    }

    private struct Reader {
        private let text: [UInt8]
        private var at = 0

        init(_ text: [UInt8]) { self.text = text }

        var isAtEnd: Bool { at >= text.count }

        mutating func take(_ byte: UInt8) -> Bool {
            guard at < text.count, text[at] == byte else { return false }
            at += 1
            return true
        }

        mutating func name() throws(TimeZoneError) {
            if take(UInt8(ascii: "<")) {
                guard let end = text[at...].firstIndex(of: UInt8(ascii: ">")) else { throw .malformed("name in the rule for the future") }
                at = end + 1
                return
            }
            let begin = at
            while at < text.count, (65...90).contains(text[at] & 0xDF) { at += 1 }
            guard at - begin >= 3 else { throw .malformed("name in the rule for the future") }
        }

        private mutating func number() throws(TimeZoneError) -> Int64 {
            let begin = at
            var value: Int64 = 0
            while at < text.count, at - begin < 5, (48...57).contains(text[at]) {
                value = value * 10 + Int64(text[at] - 48)
                at += 1
            }
            guard at > begin else { throw .malformed("number in the rule for the future") }
            return value
        }

        /// `[+-]hh[:mm[:ss]]` in seconds.
        mutating func time() throws(TimeZoneError) -> Int64 {
            let sign: Int64 = take(UInt8(ascii: "-")) ? -1 : 1
            if sign == 1 { _ = take(UInt8(ascii: "+")) }
            var seconds = try number() * 3600
            if take(UInt8(ascii: ":")) { seconds += try number() * 60 }
            if take(UInt8(ascii: ":")) { seconds += try number() }
            guard seconds <= 168 * 3600 else { throw .malformed("time in the rule for the future") }
            return sign * seconds
        }

        mutating func rule() throws(TimeZoneError) -> (day: Day, seconds: Int64) {
            let day: Day
            if take(UInt8(ascii: "M")) {
                let month = try number()
                _ = take(UInt8(ascii: "."))
                let week = try number()
                _ = take(UInt8(ascii: "."))
                let weekday = try number()
                guard (1...12).contains(month), (1...5).contains(week), weekday <= 6 else { throw .malformed("rule for the future") }
                day = .weekday(month: Int(month), week: Int(week), day: Int(weekday))
            } else if take(UInt8(ascii: "J")) {
                let n = try number()
                guard (1...365).contains(n) else { throw .malformed("rule for the future") }
                day = .julian(Int(n))
            } else {
                let n = try number()
                guard n <= 365 else { throw .malformed("rule for the future") }
                day = .ordinal(Int(n))
            }
            return (day, take(UInt8(ascii: "/")) ? try time() : 7200)
        }
    }
}
