/// What a CSV file says about its columns that its header cannot say.
public struct CSVOptions: Sendable {
    /// Name of the time column; empty: the first called `timestamp`, `time`, `ts`, `date`, `datetime`,
    /// `time_stamp` or `date_time`, else the first column.
    public var timeColumn: [UInt8] = []
    /// Name of the column with the stream; empty: one called `stream`, if there is any.
    public var streamColumn: [UInt8] = []
    /// The stream of rows without stream column, as a line-protocol head.
    public var defaultStream: [UInt8] = Array("csv".utf8)
    /// How numeric times are read.
    public var timeUnit = TimeUnit.byMagnitude
    /// Name of the column with the date, when the time column has only the time of day.
    public var dateColumn: [UInt8] = []
    /// How times are written; nil: any form that is known.
    public var timeForm: TimeForm?
    /// The byte between cells; nil: as the header has it.
    public var delimiter: UInt8?
    /// Whether a comma is the decimal mark; nil: where it is not the delimiter.
    public var decimalComma: Bool?
    /// Lines before the header.
    public var linesBefore = 0
    /// Lines between header and rows, such as one with units.
    public var linesAfter = 0
    /// false: the first line is a row; columns are called `c1`, `c2`, ... then.
    public var hasHeader = true
    /// Values that stand for a missing one.
    public var missing: [Double] = []

    /// The defaults.
    public init() {}
}

/// Reads CSV with a header, row by row, into the same `readings` as `LineParser`.
///
/// Delimiter comma, semicolon or tab, whichever the header has most; cells may be quoted with `"`, doubled inside; a row is
/// one line. Empty cells are absent values, cells that are no numbers are left out, both counted; blank rows and rows that
/// begin with `#` give no reading.
public struct CSVParser: ~Copyable {
    /// Result of the last `parseRow`: no reading or one. Written by the parser only.
    public var readings: ReadingBuffer
    /// Whether a header was read.
    public internal(set) var hasHeader = false
    /// The byte between cells: `,`, `;` or tab.
    public internal(set) var delimiter = Ascii.comma

    /// The time of the last row, also when the row had no value; nil when it has none that can be read.
    public private(set) var rowTime: Int64?

    /// Whether the header calls a column the time; otherwise the first one is taken.
    public internal(set) var namesTime = false

    let limits: LineLimits
    var options: CSVOptions
    /// Lines seen before the header, and after it.
    var passed = (before: 0, after: 0)
    /// A number with a decimal point was seen: then a comma that may be thousands is not sure.
    private var hasPoint = false
    var columns = Arena<CSVColumn>(capacity: 16)
    var defaultKey = NameRef.none
    var streamColumnIndex = -1
    var timeIndex = 0
    var dateIndex = -1

    /// Creates a parser for one file.
    public init(limits: LineLimits = LineLimits(), options: CSVOptions = CSVOptions()) {
        self.limits = limits
        self.options = options
        self.readings = ReadingBuffer(limits: limits)
    }

    /// Number of columns of the header.
    public var columnCount: Int { columns.count }

    /// Name of column `i` of the header, valid until the next parse.
    public func columnName(_ i: Int) -> UnsafeBufferPointer<UInt8> { readings.resolve(columns[i].name) }

    /// Whether column `i` holds the time.
    public func isTime(_ i: Int) -> Bool { columns[i].role == .time }

    /// Whether column `i` holds the date beside a time of day.
    public func isDate(_ i: Int) -> Bool { columns[i].role == .date }

    /// Whether column `i` names the stream.
    public func isStream(_ i: Int) -> Bool { columns[i].role == .stream }

    /// Whether column `i` holds values, and not time, stream or nothing.
    public func isChannel(_ i: Int) -> Bool { columns[i].role == .channel }

    /// Reads a header or a row, whichever is due: the first line that is neither blank nor a comment is the header.
    public mutating func parse(_ line: UnsafeBufferPointer<UInt8>) throws(LineError) {
        if hasHeader {
            if passed.after < options.linesAfter {
                passed.after += 1
                _ = readings.reset(line)
                return
            }
            return try parseRow(line)
        }
        if passed.before < options.linesBefore {
            passed.before += 1
            _ = readings.reset(line)
            return
        }
        try parseHeader(line)
        if hasHeader, !options.hasHeader { try parseRow(line) }
    }

    /// Reads one row.
    /// - Throws: a `LineError` with the name of the column; `readings` is then empty.
    public mutating func parseRow(_ line: UnsafeBufferPointer<UInt8>) throws(LineError) {
        let b = try content(line)
        guard b.count > 0, b[0] != Ascii.hash else { return }
        do {
            try readRow(b)
        } catch {
            readings.forgetEverything()
            throw error
        }
    }

    /// The line without byte order mark at its start and line end; tabs may be delimiters and stay.
    mutating func content(_ line: UnsafeBufferPointer<UInt8>) throws(LineError) -> Bytes {
        let whole = readings.reset(line)
        var end = whole.count
        while end > 0, whole[end - 1] == Ascii.newline || whole[end - 1] == Ascii.carriageReturn { end -= 1 }
        guard end <= limits.lineBytesMax else { throw whole.error(.lineTooLong, 0, end, "row", "at most lineBytesMax bytes") }
        let isBlank = whole.prefix(end).skipBlanks(0) == end
        return whole.prefix(isBlank ? 0 : end)
    }

    // MARK: Rows

    private struct RowState {
        var time: Int64?
        var date: Int64?
        var timeOfDay: Int64?
        var dateError: LineError?
        var key = NameRef.none
        var keyIsCanonical = true
        var firstBad: LineError?
    }

    private mutating func readRow(_ b: Bytes) throws(LineError) {
        rowTime = nil
        guard hasHeader else { throw b.error(.badHeader, 0, b.count, "row", "a header first") }
        var row = RowState()
        row.key = defaultKey
        var i = 0
        var index = 0
        var isMore = true
        while isMore {
            guard index < columns.count else {
                // One delimiter too many at the end, as some programs write it.
                if index == columns.count, b.skipBlanks(i) == b.count { break }
                throw b.error(.wrongColumnCount, i, b.count, "row", "as many cells as the header has")
            }
            let cell = try readCell(b, &i)
            try readColumn(b, cell, columns[index], &row)
            index += 1
            isMore = i < b.count
            if isMore { i += 1 }
        }
        guard index == columns.count else {
            throw b.error(.wrongColumnCount, b.count, b.count, "row", "as many cells as the header has")
        }
        if columns[timeIndex].role == .time, dateIndex >= 0 { try combine(&row, b) }
        guard readings.fields.count > 0 else { throw row.firstBad ?? readings.emptiness(b, 0, b.count) }
        readings.appendReading(key: row.key, isCanonical: row.keyIsCanonical, time: row.time, fieldStart: 0)
    }

    private mutating func readColumn(_ b: Bytes, _ cell: CSVCell, _ column: CSVColumn, _ row: inout RowState) throws(LineError) {
        switch column.role {
        case .ignored: return
        case .channel: try readChannel(cell, column, &row)
        case .time:
            if dateIndex >= 0 {
                let text = readings.bytes(cell.text)
                row.timeOfDay = Timestamp.timeOfDay(text, 0, text.count)
                if row.timeOfDay != nil { return }
            }
            row.time = try readTime(cell, column)
            rowTime = row.time
        case .date:
            let text = readings.bytes(cell.text)
            let written = options.timeForm?.read(text) ?? Timestamp.calendar(text, 0, text.count)
            if let written, written.isDateOnly {
                row.date = written.nanoseconds
            } else {
                row.dateError = named(cell, .badTimestamp, "date", "a date such as 2026-01-05 or 5.1.2026", column)
            }
        case .stream:
            guard cell.text.count > 0 else { throw named(cell, .emptyKey, "stream", "a stream", column) }
            guard Int(cell.text.count) <= limits.keyBytesMax else {
                throw named(cell, .keyTooLong, "stream", "at most keyBytesMax bytes", column)
            }
            row.key = cell.text
            row.keyIsCanonical = false
        }
    }

    private mutating func readTime(_ cell: CSVCell, _ column: CSVColumn) throws(LineError) -> Int64 {
        let text = readings.bytes(cell.text)
        var next = 0
        if let form = options.timeForm, dateIndex < 0 {
            guard let written = form.read(text) else {
                throw named(cell, .badTimestamp, "time", "a time as --time-format or the other rows have it", column)
            }
            readings.isTimeLocal = !written.hasZone
            return written.nanoseconds
        }
        if let time = Timestamp.number(text, 0, options.timeUnit, next: &next), next == text.count { return time }
        if let time = Timestamp.calendar(text, 0, text.count) {
            readings.isTimeLocal = !time.hasZone
            return time.nanoseconds
        }
        throw named(cell, .badTimestamp, "time", "a number or a time like 2014-04-01 00:00:00, between 1677 and 2262", column)
    }

    /// Date and time of day together are the time.
    private mutating func combine(_ row: inout RowState, _ b: Bytes) throws(LineError) {
        if row.time == nil {
            if let problem = row.dateError { throw problem }
            guard let date = row.date, let ofDay = row.timeOfDay else {
                throw b.error(.badTimestamp, 0, b.count, "time", "a date and a time of day")
            }
            let (sum, overflow) = date.addingReportingOverflow(ofDay)
            guard !overflow else { throw b.error(.badTimestamp, 0, b.count, "time", "a time between 1677 and 2262") }
            row.time = sum
            readings.isTimeLocal = true
        }
        rowTime = row.time
    }

    private mutating func readChannel(_ cell: CSVCell, _ column: CSVColumn, _ row: inout RowState) throws(LineError) {
        let text = readings.bytes(cell.text)
        if text.count == 0 {
            readings.unknownValues += 1
            return
        }
        var number = DecimalNumber()
        if number.scan(text, 0), number.next == text.count {
            if number.value.isFinite {
                guard !options.missing.contains(number.value) else {
                    readings.unknownValues += 1
                    return
                }
                if !hasPoint, number.exponent != 0 { hasPoint = true }
                return readings.fields.append(FieldRecord(name: column.name, value: number.value))
            }
            readings.nonFinite += 1
            note(named(cell, .notFinite, "cell", "a finite number", column), &row)
        } else if text.equalsIgnoringCase(0, text.count, "true") || text.equalsIgnoringCase(0, text.count, "false") {
            let isTrue = text.equalsIgnoringCase(0, text.count, "true")
            readings.fields.append(FieldRecord(name: column.name, value: isTrue ? 1 : 0))
        } else if DecimalNumber.isNonFiniteWord(text, 0, text.count) {
            readings.nonFinite += 1
            note(named(cell, .notFinite, "cell", "a finite number", column), &row)
        } else {
            readText(cell, text, column, &row)
        }
    }

    /// A cell that is no plain number: a decimal comma, a unit, a word.
    private mutating func readText(_ cell: CSVCell, _ text: Bytes, _ column: CSVColumn, _ row: inout RowState) {
        let isComma = options.decimalComma ?? (delimiter != Ascii.comma && !hasPoint)
        switch TextNumber.read(text, isComma: isComma) {
        case .number(let value, let unit) where !options.missing.contains(value):
            readings.fields.append(FieldRecord(name: column.name, value: value))
            readings.note(unit: unit)
        case .number, .unknown: readings.unknownValues += 1
        case .nonFinite: readings.nonFinite += 1
        case .odd:
            let problem = named(cell, .badNumber, "cell", "a number, and a known unit or none", column)
            readings.leaveOdd(problem)
            note(problem, &row)
        case .text:
            readings.ignoredNonNumeric += 1
            note(named(cell, .noNumericField, "cell", "a number", column), &row)
        }
    }

    /// Keeps the first offence, the reason of a row in which nothing else is a number.
    private func note(_ error: LineError, _ row: inout RowState) {
        if row.firstBad == nil { row.firstBad = error }
    }

    private func named(
        _ cell: CSVCell, _ reason: LineError.Reason, _ object: StaticString, _ expected: StaticString, _ column: CSVColumn
    ) -> LineError {
        let text = readings.bytes(cell.text)
        let name = readings.bytes(column.name)
        return LineError(
            reason, column: cell.column + 1, object: object, expected: expected, excerpt: InlineText(text, 0, text.count),
            columnName: InlineText(name, 0, name.count))
    }
}

/// One column of the header.
struct CSVColumn: BitwiseCopyable {
    enum Role: UInt8 { case ignored, time, date, stream, channel }

    var name: NameRef
    var role: Role
}

/// One cell: its text without quotes and blanks around it, and where it begins.
struct CSVCell: BitwiseCopyable {
    var text: NameRef
    var column: Int
}
