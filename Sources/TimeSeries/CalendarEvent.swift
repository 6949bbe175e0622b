/// Why a text is no calendar event.
public struct CalendarEventError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ text: String, _ expected: String) { description = "cannot read calendar event: got \"\(text)\", expected \(expected)" }
}

/// Recurring moments as systemd writes them (`systemd.time(7)`, "Calendar Events"): `Mon..Fri 22:00`, `Sun *-*-* 02:30 Europe/Berlin`,
/// `*-*-01 06:00`, `hourly`. Components may be `*`, lists, ranges (`1..5`) and repetitions (`0/15`). Seconds are whole; days counted from the
/// end of a month (`~`) are not read.
public struct CalendarEvent: Sendable, Equatable {
    /// Monday 0 to Sunday 6.
    public private(set) var weekdays: Set<Int> = []
    private var years: Field = .any
    private var months: Field = .any
    private var days: Field = .any
    private var hours: [Int] = [0]
    private var minutes: [Int] = [0]
    private var seconds: [Int] = [0]
    /// Name of the time zone; nil: that of whoever asks.
    public private(set) var zone: String?

    private enum Field: Sendable, Equatable {
        case any
        case values([Part])

        func holds(_ value: Int) -> Bool {
            guard case .values(let parts) = self else { return true }
            return parts.contains { $0.holds(value) }
        }
    }

    private struct Part: Sendable, Equatable {
        var from: Int
        var through: Int
        var every: Int
        func holds(_ value: Int) -> Bool { value >= from && value <= through && (value - from) % every == 0 }
    }

    private static let dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    private static let shorthands = [
        "minutely": "*-*-* *:*:00", "hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00", "weekly": "Mon *-*-* 00:00:00",
        "monthly": "*-*-01 00:00:00", "quarterly": "*-01,04,07,10-01 00:00:00", "semiannually": "*-01,07-01 00:00:00",
        "yearly": "*-01-01 00:00:00", "annually": "*-01-01 00:00:00",
    ]

    /// - Errors: what could not be read and what was expected.
    public init(_ text: String) throws(CalendarEventError) {
        var words = text.split(separator: " ").map(String.init)
        guard let first = words.first else { throw CalendarEventError(text, "such as Mon..Fri 22:00 or daily") }
        if let long = CalendarEvent.shorthands[first.lowercased()] {
            words = long.split(separator: " ").map(String.init) + words.dropFirst()
        }
        if let word = words.first, let letter = word.first, letter.isLetter, word.lowercased().prefix(3).count == 3,
            CalendarEvent.dayNames.contains(String(word.lowercased().prefix(3)))
        {
            weekdays = try CalendarEvent.weekdays(word)
            words.removeFirst()
        }
        if let word = words.first, word.contains("-"), word.first.map({ $0.isNumber || $0 == "*" }) ?? false {
            try readDate(word)
            words.removeFirst()
        }
        if let word = words.first, word.contains(":") {
            try readTime(word)
            words.removeFirst()
        }
        if let word = words.first {
            guard words.count == 1, let letter = word.first, letter.isLetter else {
                throw CalendarEventError(words.joined(separator: " "), "at the end a time zone such as Europe/Berlin or nothing")
            }
            zone = word
        }
    }

    private static func weekdays(_ text: String) throws(CalendarEventError) -> Set<Int> {
        func day(_ name: Substring) throws(CalendarEventError) -> Int {
            let short = String(name.lowercased().prefix(3))
            guard let place = dayNames.firstIndex(of: short) else { throw CalendarEventError(String(name), "a weekday such as Mon") }
            return place
        }
        var found: Set<Int> = []
        for part in text.split(separator: ",") {
            guard let dots = part.range(of: "..") else {
                found.insert(try day(part))
                continue
            }
            var place = try day(part[..<dots.lower])
            let last = try day(part[dots.upper...])
            found.insert(place)
            while place != last {
                place = (place + 1) % 7
                found.insert(place)
            }
        }
        return found
    }

    private mutating func readDate(_ text: String) throws(CalendarEventError) {
        guard !text.contains("~") else { throw CalendarEventError(text, "days counted from the beginning of the month") }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 else { throw CalendarEventError(text, "a date such as *-*-01 or 12-24") }
        if parts.count == 3 { years = try CalendarEvent.field(parts[0], 1970...2261, "a year") }
        months = try CalendarEvent.field(parts[parts.count - 2], 1...12, "a month")
        days = try CalendarEvent.field(parts[parts.count - 1], 1...31, "a day of the month")
    }

    private mutating func readTime(_ text: String) throws(CalendarEventError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 else { throw CalendarEventError(text, "a time such as 22:00") }
        hours = try CalendarEvent.list(parts[0], 0...23, "an hour")
        minutes = try CalendarEvent.list(parts[1], 0...59, "a minute")
        seconds = parts.count == 3 ? try CalendarEvent.list(parts[2], 0...59, "a second") : [0]
    }

    private static func list(_ text: Substring, _ range: ClosedRange<Int>, _ what: String) throws(CalendarEventError) -> [Int] {
        let field = try field(text, range, what)
        return range.filter { field.holds($0) }
    }

    private static func field(_ text: Substring, _ range: ClosedRange<Int>, _ what: String) throws(CalendarEventError) -> Field {
        if text == "*" { return .any }
        var parts: [Part] = []
        for piece in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = piece.split(separator: "/", omittingEmptySubsequences: false)
            guard let head = halves.first, halves.count <= 2 else { throw CalendarEventError(String(text), what) }
            var part = Part(from: range.lowerBound, through: range.upperBound, every: 1)
            if let dots = head.range(of: "..") {
                guard let from = Int(head[..<dots.lower]), let through = Int(head[dots.upper...]), from <= through else {
                    throw CalendarEventError(String(piece), "\(what) or a range such as 1..5")
                }
                (part.from, part.through) = (from, through)
            } else if head != "*" {
                guard let value = Int(head) else { throw CalendarEventError(String(piece), what) }
                (part.from, part.through) = (value, halves.count == 2 ? range.upperBound : value)
            }
            if halves.count == 2 {
                guard let every = Int(halves[1]), every > 0 else { throw CalendarEventError(String(piece), "a repetition such as 0/15") }
                part.every = every
            }
            guard range.contains(part.from), range.contains(part.through) else {
                throw CalendarEventError(String(piece), "\(what) from \(range.lowerBound) to \(range.upperBound)")
            }
            parts.append(part)
        }
        return .values(parts)
    }

    // MARK: - Moments

    private func holds(day: Int64) -> Bool {
        // 1970-01-01 was a Thursday.
        let weekday = Int(((day + 3) % 7 + 7) % 7)
        guard weekdays.isEmpty || weekdays.contains(weekday) else { return false }
        let (year, month, dayOfMonth) = TimeText.civil(day)
        return years.holds(Int(year)) && months.holds(Int(month)) && days.holds(Int(dayOfMonth))
    }

    /// Unix seconds of a local second. A time that a clock change leaves out is that much later; of one that comes twice, the first.
    private static func unix(_ local: Int64, _ rules: TimeZoneRules) -> Int64 {
        let before = local - Int64(rules.offset(at: local - 86_400))
        if Int64(rules.offset(at: before)) == local - before { return before }
        let after = local - Int64(rules.offset(at: local + 86_400))
        return Int64(rules.offset(at: after)) == local - after ? after : before
    }

    /// The newest moment at or before `now` and not before `earliest`; all in Unix seconds.
    public func last(at now: Int64, notBefore earliest: Int64, rules: TimeZoneRules) -> Int64? {
        var day = TimeText.floored(now + 86_400, by: 86_400).quotient
        let first = TimeText.floored(max(earliest, 0) - 86_400, by: 86_400).quotient
        while day >= first {
            if holds(day: day) {
                for hour in hours.reversed() {
                    for minute in minutes.reversed() {
                        for second in seconds.reversed() {
                            let moment = CalendarEvent.unix(day * 86_400 + Int64(hour * 3600 + minute * 60 + second), rules)
                            if moment <= now { return moment >= earliest ? moment : nil }
                        }
                    }
                }
            }
            day -= 1
        }
        return nil
    }

    /// The first moment after `now` within the next 5 years; Unix seconds.
    public func next(after now: Int64, rules: TimeZoneRules) -> Int64? {
        let start = TimeText.floored(now, by: 86_400).quotient - 1
        for day in start...(start + 5 * 366) where holds(day: day) {
            for hour in hours {
                for minute in minutes {
                    for second in seconds {
                        let moment = CalendarEvent.unix(day * 86_400 + Int64(hour * 3600 + minute * 60 + second), rules)
                        if moment > now { return moment }
                    }
                }
            }
        }
        return nil
    }
}

extension Substring {
    /// The first place of a short text.
    fileprivate func range(of text: String) -> (lower: Index, upper: Index)? {
        var place = startIndex
        while place < endIndex {
            if self[place...].hasPrefix(text) { return (place, index(place, offsetBy: text.count)) }
            place = index(after: place)
        }
        return nil
    }
}
