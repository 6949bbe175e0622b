import ArgumentParser
import Control
import LineFormats
import Platform
import Tabular
import TimeSeries

/// Readings of a file in their order, as models take them: rows of all channels. A missing value is NaN here and nowhere else.
struct HistoryTable {
    /// Kinds of files.
    enum Format: String, CaseIterable, ExpressibleByArgument { case csv, influx, jsonl }

    /// One reading.
    struct Row {
        /// Index in `streams`.
        var stream: Int
        /// The time as the file has it.
        var time: String
        /// From 1; 0 when the row does not come from a file.
        var line: Int
        /// By channel; shorter when later channels were not known yet.
        var values: [Double]
    }

    private(set) var channels: [String] = []
    private(set) var streams: [String] = []
    private(set) var rows: [Row] = []
    /// Whether the file names streams.
    private(set) var namesStreams = false
    /// Lines that are no readings.
    private(set) var refused = 0
    /// Values of a CSV file that stand for a missing one.
    private var missing: [Double] = []
    private var channelPlaces: [String: Int] = [:]
    private var timeColumn: String?
    private var streamPlaces: [String: Int] = [:]

    /// Readings from elsewhere, row after row with `append`.
    init() {}

    /// Reads a whole file; `-` is standard input.
    /// - Errors: the first line of a CSV file that is no row of numbers; influx and jsonl lines are counted and reported instead.
    init(file: String, format: Format?, streamColumn: String? = nil, timeColumn: String? = nil, missing: [Double] = []) throws {
        (self.missing, self.timeColumn) = (missing, timeColumn)
        let bytes = file == "-" ? try Files.readAll(0, object: "standard input") : try Files.read(file, bytesMax: Int.max)
        switch format ?? HistoryTable.format(of: file) {
        case .csv: try readCSV(bytes, file: file, streamColumn: streamColumn)
        case .influx: readLines(bytes, .influx, file: file)
        case .jsonl: readLines(bytes, .json, file: file)
        }
    }

    /// By the end of the name; CSV if that says nothing.
    static func format(of file: String) -> Format {
        if file.hasSuffix(".lp") || file.hasSuffix(".influx") { return .influx }
        return file.hasSuffix(".jsonl") || file.hasSuffix(".ndjson") ? .jsonl : .csv
    }

    /// The value of a row, NaN when it is missing.
    func value(_ row: Row, _ channel: Int) -> Double { channel < row.values.count ? row.values[channel] : .nan }

    /// The index of a channel.
    func place(of channel: String) -> Int? { channelPlaces[channel] }

    // MARK: - Filling

    mutating func channel(_ name: String) -> Int {
        if let known = channelPlaces[name] { return known }
        channels.append(name)
        channelPlaces[name] = channels.count - 1
        return channels.count - 1
    }

    mutating func stream(_ key: String) -> Int {
        if let known = streamPlaces[key] { return known }
        streams.append(key)
        streamPlaces[key] = streams.count - 1
        return streams.count - 1
    }

    mutating func append(stream: Int, time: String, line: Int = 0, fields: [(channel: Int, value: Double)]) {
        var values = [Double](repeating: .nan, count: channels.count)
        for field in fields { values[field.channel] = field.value }
        rows.append(Row(stream: stream, time: time, line: line, values: values))
    }

    // MARK: - CSV

    private enum Role { case time, stream, channel(Int), none }

    private mutating func readCSV(_ bytes: [UInt8], file: String, streamColumn: String?) throws {
        var roles: [Role] = []
        var delimiter = UInt8(ascii: ",")
        let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        try text.withUnsafeBufferPointer { all in
            for (index, line) in Lines(all).enumerated() {
                guard line.contains(where: { $0 != 32 && $0 != 9 }), line.first != UInt8(ascii: "#") else { continue }
                func fail(_ reason: String) -> ControlError { .failed("cannot read \(file): line \(index + 1): \(reason)") }
                if roles.isEmpty {
                    delimiter = HistoryTable.delimiter(of: line)
                    roles = try header(HistoryTable.cells(line, delimiter), streamColumn, fail)
                    continue
                }
                let cells = HistoryTable.cells(line, delimiter)
                guard cells.count == roles.count else { throw fail("got \(cells.count) cells, expected \(roles.count) as in the header") }
                var row = Row(stream: 0, time: "", line: index + 1, values: [Double](repeating: .nan, count: channels.count))
                for (cell, role) in zip(cells, roles) {
                    switch role {
                    case .none: continue
                    case .time: row.time = cell
                    case .stream: row.stream = stream(cell)
                    case .channel(let place):
                        if cell.isEmpty { continue }
                        let text = delimiter == UInt8(ascii: ",") ? cell : HistoryTable.pointed(cell)
                        if let marker = Double(text), missing.contains(marker) { continue }
                        guard let value = Double(text) else {
                            throw fail(
                                "channel \"\(channels[place])\": got \"\(RecordTable.printable(String(cell.prefix(40))))\", expected a number"
                            )
                        }
                        guard value.isFinite else { throw fail("channel \"\(channels[place])\": got \(cell), expected a finite number") }
                        row.values[place] = value
                    }
                }
                rows.append(row)
            }
        }
        guard !roles.isEmpty else { throw ControlError.failed("cannot read \(file): got no header, expected timestamp,<channel>...") }
        if streams.isEmpty { _ = stream("csv") }
    }

    /// A number with a decimal comma as one with a point.
    private static func pointed(_ cell: String) -> String {
        guard !cell.contains("."), cell.count(where: { $0 == "," }) == 1 else { return cell }
        return String(cell.map { $0 == "," ? "." : $0 })
    }

    private mutating func header(_ names: [String], _ streamColumn: String?, _ fail: (String) -> ControlError) throws -> [Role] {
        let times = ["timestamp", "time", "ts", "date", "datetime"]
        if let timeColumn, !names.contains(timeColumn) { throw fail("got no column \"\(timeColumn)\" for the time") }
        let time = names.firstIndex { $0 == timeColumn } ?? names.firstIndex { times.contains($0.lowercased()) } ?? 0
        let stream = names.firstIndex { name in streamColumn.map { $0 == name } ?? (name.lowercased() == "stream") }
        if let streamColumn, stream == nil { throw fail("got no column \"\(streamColumn)\" for the stream") }
        guard !names.contains(where: { Double($0) != nil }) else { throw fail("got values, expected a header such as timestamp,a,b") }
        namesStreams = stream != nil
        var roles: [Role] = []
        for (index, name) in names.enumerated() {
            if index == time {
                roles.append(.time)
            } else if index == stream {
                roles.append(.stream)
            } else if name.isEmpty {
                roles.append(.none)
            } else {
                guard channelPlaces[name] == nil else { throw fail("got column \"\(name)\" twice") }
                roles.append(.channel(channel(name)))
            }
        }
        guard !channels.isEmpty else { throw fail("got no column of values beside the time") }
        return roles
    }

    /// The separator that stands most often in the header; comma before semicolon before tab.
    private static func delimiter(of line: UnsafeBufferPointer<UInt8>) -> UInt8 {
        let candidates: [UInt8] = [UInt8(ascii: ","), UInt8(ascii: ";"), 9]
        let counts = candidates.map { candidate in line.count { $0 == candidate } }
        return candidates[counts.indices.max { counts[$0] < counts[$1] || counts[$0] == counts[$1] && $0 > $1 } ?? 0]
    }

    /// The cells of a line without blanks and quotes around them; doubled quotes inside become one.
    static func cells(_ line: UnsafeBufferPointer<UInt8>, _ delimiter: UInt8) -> [String] {
        var cells: [String] = []
        var cell: [UInt8] = []
        var isQuoted = false
        var wasQuoted = false
        func finished() -> String {
            guard !wasQuoted else { return String(decoding: cell, as: UTF8.self) }
            let start = cell.firstIndex { $0 != 32 && $0 != 9 } ?? cell.endIndex
            let end = cell.lastIndex { $0 != 32 && $0 != 9 }.map { $0 + 1 } ?? start
            return String(decoding: cell[start..<end], as: UTF8.self)
        }
        var index = 0
        while index < line.count {
            let byte = line[index]
            if isQuoted {
                if byte != 34 {
                    cell.append(byte)
                } else if index + 1 < line.count, line[index + 1] == 34 {
                    cell.append(34)
                    index += 1
                } else {
                    isQuoted = false
                }
            } else if byte == 34, cell.allSatisfy({ $0 == 32 }) {
                (isQuoted, wasQuoted) = (true, true)
                cell.removeAll(keepingCapacity: true)
            } else if byte == delimiter {
                cells.append(finished())
                cell.removeAll(keepingCapacity: true)
                wasQuoted = false
            } else if !wasQuoted {
                cell.append(byte)
            }
            index += 1
        }
        cells.append(finished())
        return cells
    }

    // MARK: - Lines

    private mutating func readLines(_ bytes: [UInt8], _ format: LineFormat, file: String) {
        var parser = LineParser(limits: LineLimits(lineBytesMax: 16 << 20), format: format)
        namesStreams = true
        bytes.withUnsafeBufferPointer { all in
            for (number, line) in Lines(all).enumerated() {
                do {
                    try parser.parse(line)
                    for index in 0..<parser.readings.count {
                        guard let key = try? parser.readings.canonicalKey(index) else { continue }
                        let place = stream(String(decoding: key, as: UTF8.self))
                        let time = parser.readings.time(index).map(TimeText.rfc3339) ?? "\(number + 1)"
                        var fields: [(channel: Int, value: Double)] = []
                        for field in 0..<parser.readings.fieldCount(index) {
                            let name = String(decoding: parser.readings.fieldName(index, field), as: UTF8.self)
                            fields.append((channel(name), parser.readings.fieldValue(index, field)))
                        }
                        append(stream: place, time: time, line: number + 1, fields: fields)
                    }
                } catch {
                    refused += 1
                    if refused <= 10 { FileOutput.error("\(file): line \(number + 1), \(error)") }
                }
            }
        }
    }
}
