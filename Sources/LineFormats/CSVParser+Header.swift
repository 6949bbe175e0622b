/// Header and cells.
extension CSVParser {
    /// Reads the header; the names stay valid for all rows. Blank lines and comments before it are passed over.
    /// - Throws: `bad_header` (no channel column, nothing but values, a wanted column missing), `duplicate_member` (a name
    ///   twice), and what is wrong with a name.
    public mutating func parseHeader(_ line: UnsafeBufferPointer<UInt8>) throws(LineError) {
        readings.pinnedText = 0
        hasHeader = false
        columns.truncate(0)
        let b = try content(line)
        let start = b.equals(0, min(3, b.count), "\u{FEFF}") ? 3 : 0
        guard b.skipBlanks(start) < b.count, b[start] != Ascii.hash else { return }
        do {
            try readHeader(b, start)
        } catch {
            readings.forgetEverything()
            columns.truncate(0)
            throw error
        }
        readings.pinnedText = readings.text.count
        hasHeader = true
    }

    private mutating func readHeader(_ b: Bytes, _ start: Int) throws(LineError) {
        delimiter = options.delimiter ?? Self.sniffDelimiter(b, start)
        if !options.hasHeader { return try nameColumns(b, start) }
        var i = start
        var isMore = true
        var valueCount = 0
        while isMore {
            guard columns.count < limits.channelsPerReadingMax + 2 else {
                throw b.error(.tooManyChannels, i, b.count, "header", "at most channelsPerReadingMax channels")
            }
            let cell = try readCell(b, &i)
            if isValue(cell.text) { valueCount += 1 }
            try addColumn(cell)
            isMore = i < b.count
            if isMore { i += 1 }
        }
        guard valueCount < columns.count else { throw b.error(.badHeader, start, b.count, "header", "names of columns, not values") }
        try assignRoles(b, start)
        let key = try pin(options.defaultStream, start)
        defaultKey = try readings.canonicalize(key, start)
    }

    /// A file without header: columns are called by their places.
    private mutating func nameColumns(_ b: Bytes, _ start: Int) throws(LineError) {
        var i = start
        var isMore = true
        while isMore {
            guard columns.count < limits.channelsPerReadingMax + 2 else {
                throw b.error(.tooManyChannels, i, b.count, "row", "at most channelsPerReadingMax channels")
            }
            _ = try readCell(b, &i)
            columns.append(CSVColumn(name: try pin(Array("c\(columns.count + 1)".utf8), start), role: .channel))
            isMore = i < b.count
            if isMore { i += 1 }
        }
        try assignRoles(b, start)
        defaultKey = try readings.canonicalize(try pin(options.defaultStream, start), start)
    }

    private mutating func addColumn(_ cell: CSVCell) throws(LineError) {
        guard cell.text.count > 0 else { return columns.append(CSVColumn(name: .none, role: .ignored)) }
        try readings.check(cell.text, cell.column, "column name")
        for k in 0..<columns.count where same(columns[k].name, cell.text) {
            throw readings.shifted(
                readings.bytes(cell.text), .duplicateMember, 0, Int(cell.text.count), "header", "each column name once", cell.column)
        }
        let pinned = try pin(cell.text, cell.column)
        columns.append(CSVColumn(name: pinned, role: .channel))
    }

    /// Copies a name to the arena, where it stays when the line goes.
    private mutating func pin(_ name: NameRef, _ column: Int) throws(LineError) -> NameRef {
        try readings.reserveText(Int(name.count), column)
        let start = readings.text.count
        let b = readings.bytes(name)
        for k in 0..<b.count { readings.text.append(b[k]) }
        return .text(start, readings.text.count)
    }

    private mutating func pin(_ name: [UInt8], _ column: Int) throws(LineError) -> NameRef {
        try readings.reserveText(name.count, column)
        let start = readings.text.count
        for byte in name { readings.text.append(byte) }
        return .text(start, readings.text.count)
    }

    private mutating func assignRoles(_ b: Bytes, _ start: Int) throws(LineError) {
        let time = try timeColumnIndex(b, start)
        columns[time].role = .time
        timeIndex = time
        dateIndex = -1
        if let date = dateColumnIndex(beside: time) {
            columns[date].role = .date
            dateIndex = date
        }
        streamColumnIndex = try streamColumn(b, start)
        if streamColumnIndex == time { throw b.error(.badHeader, start, b.count, "header", "time and stream in different columns") }
        if streamColumnIndex >= 0 { columns[streamColumnIndex].role = .stream }
        var channels = 0
        for k in 0..<columns.count where columns[k].role == .channel { channels += 1 }
        guard channels > 0 else { throw b.error(.badHeader, start, b.count, "header", "at least one column of values beside the time") }
        guard channels <= limits.channelsPerReadingMax else {
            throw b.error(.tooManyChannels, start, b.count, "header", "at most channelsPerReadingMax channels")
        }
    }

    /// The column with the date beside one with the time of day.
    private mutating func dateColumnIndex(beside time: Int) -> Int? {
        if !options.dateColumn.isEmpty { return indexOf(options.dateColumn).flatMap { $0 == time ? nil : $0 } }
        guard options.timeColumn.isEmpty else { return nil }
        func says(_ k: Int, _ words: [StaticString]) -> Bool {
            let name = readings.bytes(columns[k].name)
            return words.contains { name.equalsIgnoringCase(0, name.count, $0) }
        }
        let (dates, times): ([StaticString], [StaticString]) = (
            ["date", "datum", "fecha", "data"], ["time", "zeit", "uhrzeit", "hora", "ora", "heure"]
        )
        let all = 0..<columns.count
        guard let date = all.first(where: { says($0, dates) }), let ofDay = all.first(where: { says($0, times) }) else {
            return nil
        }
        if ofDay != time {
            columns[time].role = .channel
            columns[ofDay].role = .time
            timeIndex = ofDay
        }
        return date
    }

    private mutating func timeColumnIndex(_ b: Bytes, _ start: Int) throws(LineError) -> Int {
        if !options.timeColumn.isEmpty {
            guard let k = indexOf(options.timeColumn) else {
                throw b.error(.badHeader, start, b.count, "header", "the time column that was asked for")
            }
            return k
        }
        for k in 0..<columns.count {
            let name = readings.bytes(columns[k].name)
            let isTime =
                name.equalsIgnoringCase(0, name.count, "zeit") || name.equalsIgnoringCase(0, name.count, "zeitstempel")
                || name.equalsIgnoringCase(0, name.count, "datum") || name.equalsIgnoringCase(0, name.count, "_time")
                || name.equalsIgnoringCase(0, name.count, "date time") || name.equalsIgnoringCase(0, name.count, "date/time")
                || name.equalsIgnoringCase(0, name.count, "timestamp") || name.equalsIgnoringCase(0, name.count, "time")
                || name.equalsIgnoringCase(0, name.count, "ts") || name.equalsIgnoringCase(0, name.count, "date")
                || name.equalsIgnoringCase(0, name.count, "datetime") || name.equalsIgnoringCase(0, name.count, "time_stamp")
                || name.equalsIgnoringCase(0, name.count, "date_time")
            guard isTime else { continue }
            namesTime = true
            return k
        }
        namesTime = false
        return 0
    }

    private func streamColumn(_ b: Bytes, _ start: Int) throws(LineError) -> Int {
        if !options.streamColumn.isEmpty {
            guard let k = indexOf(options.streamColumn) else {
                throw b.error(.badHeader, start, b.count, "header", "the stream column that was asked for")
            }
            return k
        }
        for k in 0..<columns.count {
            let name = readings.bytes(columns[k].name)
            if name.equalsIgnoringCase(0, name.count, "stream"), columns[k].role != .time { return k }
        }
        return -1
    }

    private func indexOf(_ wanted: [UInt8]) -> Int? {
        for k in 0..<columns.count where readings.resolve(columns[k].name).elementsEqual(wanted) { return k }
        return nil
    }

    private func same(_ a: NameRef, _ b: NameRef) -> Bool {
        readings.resolve(a).elementsEqual(readings.resolve(b))
    }

    /// Whether a header cell is a number or a time: a file without header.
    private func isValue(_ name: NameRef) -> Bool {
        let text = readings.bytes(name)
        var number = DecimalNumber()
        if number.scanDigits(text, 0), number.next == text.count { return true }
        return Timestamp.calendar(text, 0, text.count) != nil
    }

    /// The delimiter that stands most often outside quotes; on a tie comma before semicolon before tab.
    private static func sniffDelimiter(_ b: Bytes, _ start: Int) -> UInt8 {
        var commas = 0
        var semicolons = 0
        var tabs = 0
        var isQuoted = false
        for i in start..<b.count {
            if b[i] == Ascii.quote { isQuoted.toggle() }
            if isQuoted { continue }
            if b[i] == Ascii.comma { commas += 1 }
            if b[i] == Ascii.semicolon { semicolons += 1 }
            if b[i] == Ascii.tab { tabs += 1 }
        }
        if commas >= semicolons, commas >= tabs { return Ascii.comma }
        return semicolons >= tabs ? Ascii.semicolon : Ascii.tab
    }

    /// Reads the cell at `i`; `i` ends on the delimiter behind it or at the end.
    mutating func readCell(_ b: Bytes, _ i: inout Int) throws(LineError) -> CSVCell {
        while i < b.count, b[i] == Ascii.space { i += 1 }
        if b.peek(i) == Ascii.quote { return try readQuotedCell(b, &i) }
        let start = i
        while i < b.count, b[i] != delimiter { i += 1 }
        var end = i
        while end > start, b[end - 1] == Ascii.space || b[end - 1] == Ascii.tab { end -= 1 }
        return CSVCell(text: .line(start, end), column: start)
    }

    private mutating func readQuotedCell(_ b: Bytes, _ i: inout Int) throws(LineError) -> CSVCell {
        let start = i
        i += 1
        var doubled = 0
        while i < b.count {
            if b[i] == Ascii.quote {
                guard b.peek(i + 1) == Ascii.quote else { break }
                doubled += 1
                i += 1
            }
            i += 1
        }
        guard i < b.count else { throw b.error(.badString, start, b.count, "cell", "a closing quote on the same line") }
        let end = i
        i += 1
        while i < b.count, b[i] == Ascii.space { i += 1 }
        guard i == b.count || b[i] == delimiter else {
            throw b.error(.badString, i, b.count, "cell", "the delimiter after the closing quote")
        }
        if doubled == 0 { return CSVCell(text: .line(start + 1, end), column: start) }
        return CSVCell(text: try undouble(b, start + 1, end), column: start)
    }

    private mutating func undouble(_ b: Bytes, _ start: Int, _ end: Int) throws(LineError) -> NameRef {
        try readings.reserveText(end - start, start)
        let textStart = readings.text.count
        var i = start
        while i < end {
            readings.text.append(b[i])
            i += b[i] == Ascii.quote ? 2 : 1
        }
        return .text(textStart, readings.text.count)
    }
}
