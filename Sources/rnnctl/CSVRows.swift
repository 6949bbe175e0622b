import Control
import Glibc
import LineFormats
import TimeSeries

/// The rows of a CSV file one after the other, whatever their state: what could be read of each, and why the rest could not.
struct CSVRows {
    struct Row {
        /// 1-based line of the file.
        var line: Int
        /// The time cell as it stands in the file, without quotes.
        var timeText: String
        /// nil when the cell cannot be read.
        var time: Int64?
        /// Canonical key of the stream.
        var stream: [UInt8] = []
        var fields: [(name: [UInt8], value: Double)] = []
        /// Why the row as a whole could not be read; a row whose cells are merely all missing is readable.
        var problem: LineError?
    }

    /// Names of the value columns, in order.
    private(set) var channels: [[UInt8]] = []
    /// The column taken as the time because none is called so; nil when one is.
    private(set) var guessedTimeColumn: String?

    /// The time column, with that of the date when there are two.
    private(set) var timeName = ""
    /// Whether a column names the stream.
    private(set) var namesStreams = false
    /// Values that begin like numbers and were not understood, and the first of them.
    private(set) var odd: (count: Int, example: LineError?) = (0, nil)

    /// Reads `bytes` and hands every row to `body`; blank lines and lines that begin with `#` are no rows.
    /// - Errors: the header cannot be read.
    init(_ bytes: [UInt8], options: CSVOptions, _ body: (Row) -> Void) throws {
        var parser = CSVParser(limits: LineLimits(lineBytesMax: 16 << 20, channelsPerReadingMax: 8192), options: options)
        var names: [[UInt8]] = []
        var timeColumn = 0
        var guess: String?
        var timeNames: [String] = []
        var hasStream = false
        var odds: (count: Int, example: LineError?) = (0, nil)
        try bytes.withUnsafeBufferPointer { all in
            for (number, line) in Lines(all).enumerated() {
                let isHeader = !parser.hasHeader
                var row = Row(line: number + 1, timeText: "")
                do throws(LineError) {
                    try parser.parse(line)
                    if isHeader {
                        for index in 0..<parser.columnCount where parser.hasHeader {
                            if parser.isStream(index) { hasStream = true }
                            if parser.isDate(index) { timeNames.insert(String(decoding: parser.columnName(index), as: UTF8.self), at: 0) }
                            if parser.isTime(index) { timeNames.append(String(decoding: parser.columnName(index), as: UTF8.self)) }
                            if parser.isChannel(index) { names.append(Array(parser.columnName(index))) }
                            guard parser.isTime(index) else { continue }
                            timeColumn = index
                            if options.timeColumn.isEmpty, !parser.namesTime {
                                guess = String(decoding: parser.columnName(index), as: UTF8.self)
                            }
                        }
                        guard parser.readings.count > 0 else { continue }
                    }
                    odds.count += parser.readings.oddNumbers
                    if odds.example == nil { odds.example = parser.readings.oddExample }
                    guard parser.readings.count > 0 else { continue }
                    row.time = parser.readings.time(0)
                    row.stream = Array(try parser.readings.canonicalKey(0))
                    for field in 0..<parser.readings.fieldCount(0) {
                        row.fields.append((Array(parser.readings.fieldName(0, field)), parser.readings.fieldValue(0, field)))
                    }
                } catch {
                    guard parser.hasHeader else { throw ControlError.failed("line \(number + 1), \(error)") }
                    row.time = parser.rowTime
                    let empty: [LineError.Reason] = [.notFinite, .noNumericField, .unknownValue, .missingFields]
                    let isEmpty = empty.contains(error.reason)
                    if row.time == nil || !isEmpty { row.problem = error }
                }
                row.timeText = CSVRows.cell(line, timeColumn, parser.delimiter)
                // Of two columns neither says it alone.
                if timeNames.count > 1, let time = row.time { row.timeText = TimeText.rfc3339(time) }
                body(row)
            }
        }
        guard parser.hasHeader else { throw ControlError.failed("it has no header line") }
        channels = names
        (timeName, namesStreams, odd) = (timeNames.joined(separator: " + "), hasStream, odds)
        guessedTimeColumn = guess
    }

    /// Text of the cell `wanted` of a line, without quotes and blanks around it.
    private static func cell(_ line: UnsafeBufferPointer<UInt8>, _ wanted: Int, _ delimiter: UInt8) -> String {
        var index = 0
        var isQuoted = false
        var text: [UInt8] = []
        for byte in line {
            if byte == 34 {
                // A doubled quote ends and begins again: one quote of the text.
                if !isQuoted, index == wanted, !text.isEmpty { text.append(34) }
                isQuoted.toggle()
            } else if byte == delimiter, !isQuoted {
                if index == wanted { break }
                index += 1
            } else if index == wanted {
                text.append(byte)
            }
        }
        while let last = text.last, last == 32 || last == 13 || last == 9 { text.removeLast() }
        return String(decoding: text.drop { $0 == 32 }, as: UTF8.self)
    }
}

/// Lines of a whole file, without their ends. A last empty line does not count.
struct Lines: Sequence, IteratorProtocol {
    private var rest: UnsafeBufferPointer<UInt8>

    init(_ bytes: UnsafeBufferPointer<UInt8>) { rest = bytes }

    mutating func next() -> UnsafeBufferPointer<UInt8>? {
        guard let base = rest.baseAddress, rest.count > 0 else { return nil }
        let length: Int
        if let found = memchr(base, 10, rest.count) {
            length = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
        } else {
            length = rest.count
        }
        var line = UnsafeBufferPointer(start: base, count: length)
        rest = UnsafeBufferPointer(rebasing: rest.dropFirst(length < rest.count ? length + 1 : length))
        if line.last == 13 { line = UnsafeBufferPointer(rebasing: line.dropLast()) }
        return line
    }
}
