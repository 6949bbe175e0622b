import TimeSeries

/// When an object of JSON says it was taken: one member, or a date and a time of day in two.
struct JSONTime {
    /// How surely a member of some name is the time.
    enum Strength {
        /// `time`, `timestamp`: its text must be one.
        case must
        /// `unixtime`, `date`: a channel or a text like others when it is none.
        case may
    }

    struct Moment {
        var nanoseconds: Int64
        var isLocal: Bool
    }

    private(set) var whole: Moment?
    private var isKnown = false
    private var date: Int64?
    private var timeOfDay: Int64?

    /// No further member is the time.
    var isComplete: Bool { isKnown }

    mutating func take(_ written: WrittenTime) {
        if written.isDateOnly {
            if date == nil { date = written.nanoseconds }
        } else {
            take(written.nanoseconds, isLocal: !written.hasZone)
        }
    }

    mutating func take(_ nanoseconds: Int64, isLocal: Bool) {
        (whole, isKnown) = (Moment(nanoseconds: nanoseconds, isLocal: isLocal), true)
    }
    mutating func take(timeOfDay: Int64) { self.timeOfDay = timeOfDay }
    /// The sender said that it does not know.
    mutating func takeNone() { isKnown = true }

    /// nil: the receiver decides. A time of day alone is no time.
    var moment: Moment? {
        if let whole { return whole }
        guard !isKnown, let date else { return nil }
        let (sum, overflow) = date.addingReportingOverflow(timeOfDay ?? 0)
        return overflow ? nil : Moment(nanoseconds: sum, isLocal: true)
    }
}

extension LineParser {
    /// Whether a member of this name says the time; compared without case.
    func timeKey(_ key: NameRef) -> JSONTime.Strength? {
        let b = readings.bytes(key)
        switch b.count {
        case 2: return b.equalsIgnoringCase(0, 2, "ts") ? .must : nil
        case 3: return b.equalsIgnoringCase(0, 3, "tst") ? .may : nil
        case 4: return b.equalsIgnoringCase(0, 4, "time") ? .must : b.equalsIgnoringCase(0, 4, "date") ? .may : nil
        case 5: return b.equalsIgnoringCase(0, 5, "_time") ? .must : b.equalsIgnoringCase(0, 5, "epoch") ? .may : nil
        case 8: return b.equalsIgnoringCase(0, 8, "datetime") || b.equalsIgnoringCase(0, 8, "unixtime") ? .may : nil
        case 9:
            if b.equalsIgnoringCase(0, 9, "timestamp") { return .must }
            return b.equalsIgnoringCase(0, 9, "date_time") || b.equalsIgnoringCase(0, 9, "unix_time") ? .may : nil
        case 10: return b.equalsIgnoringCase(0, 10, "@timestamp") ? .must : nil
        default: return nil
        }
    }

    /// Reads the time at `i`. false: it is none, and nothing was read.
    /// - Throws: it is said to be a time and cannot be read.
    mutating func readJSONTime(_ b: Bytes, _ i: inout Int, _ strength: JSONTime.Strength, _ time: inout JSONTime) throws(LineError) -> Bool
    {
        guard !time.isComplete else { return false }
        if takeJSONWord(b, &i, "null") {
            time.takeNone()
            return true
        }
        let start = i
        if b.peek(i) == Ascii.quote {
            let text = readings.bytes(try readJSONString(b, &i))
            if take(text, &time) { return true }
        } else if b.peek(i) == Ascii.minus || Ascii.isDigit(b.peek(i)) {
            var next = i
            let number = try readJSONNumber(b, &i)
            // Ten million seconds: a smaller number is no time unless it is called one.
            let isTime = strength == .must || number.value >= 1e7
            if isTime, let found = Timestamp.number(b, start, timeUnit, next: &next), next == i {
                time.take(found, isLocal: false)
                return true
            }
        } else {
            i = Self.jsonTokenEnd(b, i)
        }
        guard strength == .may else {
            throw b.error(
                .badTimestamp, start, i, "time", "a number, or a date and time such as 2026-01-05T00:00:00Z, between 1677 and 2262")
        }
        i = start
        return false
    }

    /// A text as a time, as the rule in force says or in any form that is known.
    func take(_ text: Bytes, _ time: inout JSONTime) -> Bool {
        if let form = rule?.timeForm {
            guard let written = form.read(text) else { return false }
            time.take(written)
            return true
        }
        if let written = Timestamp.calendar(text, 0, text.count) {
            time.take(written)
            return true
        }
        if let ofDay = Timestamp.timeOfDay(text, 0, text.count) {
            time.take(timeOfDay: ofDay)
            return true
        }
        var next = 0
        guard text.count > 0, let found = Timestamp.number(text, 0, timeUnit, next: &next), next == text.count else { return false }
        time.take(found, isLocal: false)
        return true
    }
}
