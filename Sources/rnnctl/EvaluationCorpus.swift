import Control
import Evaluation
import Glibc
import LineFormats
import Platform
import Tabular
import TimeSeries

/// Labelled series on disk: the Numenta benchmark's layout, or `series/<id>.csv` with a file of labels.
enum EvaluationCorpus {
    /// A CSV of a time column and number columns; cells that are no number are missing values.
    struct Table {
        var times: [String] = []
        var nanoseconds: [Int64] = []
        var values: [Double] = []
        var columns = 0

        /// Reads a file. Errors: it is not there, or has a row without a readable time; the line is named.
        init(path: String) throws {
            let bytes = try Files.read(path, bytesMax: Int.max)
            var problem: String?
            var rows: [[(name: [UInt8], value: Double)]] = []
            let sheet: CSVRows
            do {
                sheet = try CSVRows(bytes, options: CSVOptions()) { row in
                    if let found = row.problem, problem == nil { problem = "line \(row.line), \(found)" }
                    guard let time = row.time else { return }
                    times.append(row.timeText)
                    nanoseconds.append(time)
                    rows.append(row.fields)
                }
            } catch { throw ControlError.failed("cannot read \(path): \(error)") }
            if let problem { throw ControlError.failed("cannot read \(path): \(problem)") }
            columns = sheet.channels.count
            var places: [[UInt8]: Int] = [:]
            for (place, name) in sheet.channels.enumerated() { places[name] = place }
            values = [Double](repeating: .nan, count: rows.count * columns)
            for (row, fields) in rows.enumerated() {
                for field in fields { if let place = places[field.name] { values[row * columns + place] = field.value } }
            }
        }

        /// Seconds as a number, or a calendar time in UTC.
        static func time(_ text: String) -> Int64? {
            if let seconds = Double(text) { return abs(seconds) < 9e9 ? Int64(seconds * 1e9) : nil }
            return TimeText.parse(text)
        }
    }

    /// One file of the Numenta benchmark.
    struct NumentaFile {
        var name: String
        var table: Table
        /// Closed ranges of rows.
        var windows: [ClosedRange<Int>]
    }

    /// All files that `combined_windows.json` names, by name.
    static func numenta(_ directory: String) throws -> [NumentaFile] {
        let candidates = [directory + "/combined_windows.json", directory + "/labels/combined_windows.json"]
        guard let path = candidates.first(where: Files.exists) else {
            throw ControlError.failed(
                "no corpus in \(directory): expected combined_windows.json (or labels/combined_windows.json) and data/")
        }
        guard case .object(let members) = try JSONValue.parse(try Files.read(path)) else {
            throw ControlError.failed("cannot read \(path): expected an object of files")
        }
        return try members.sorted { $0.name < $1.name }.map { member in
            let table = try Table(path: "\(directory)/data/\(member.name)")
            let windows = try (member.value.items ?? []).map { window -> ClosedRange<Int> in
                guard let ends = window.items?.compactMap({ $0.text.flatMap(Table.time) }), ends.count == 2,
                    let low = table.nanoseconds.firstIndex(of: ends[0]), let high = table.nanoseconds.lastIndex(of: ends[1]), low <= high
                else { throw ControlError.failed("cannot read \(path): \(member.name) has a window whose ends are no rows of the file") }
                return low...high
            }
            return NumentaFile(name: member.name, table: table, windows: windows)
        }
    }

    /// A series with its labels: half-open ranges of rows, and the first row that counts.
    struct Labelled {
        var name: String
        var table: Table
        var events: [Range<Int>]
        var start: Int
        /// Seconds between rows, for rates per day; 0 when unknown.
        var step: Double
    }

    static func labelled(series directory: String, labels path: String) throws -> [Labelled] {
        guard case .object(let members) = try JSONValue.parse(try Files.read(path)) else {
            throw ControlError.failed(
                "cannot read \(path): expected an object {\"<series>\": {\"ranges\": [[first, end], ...], \"train_end\": n}}")
        }
        return try members.sorted { $0.name < $1.name }.map { member in
            let table = try Table(path: "\(directory)/\(member.name).csv")
            let events = try (member.value["ranges"]?.items ?? []).map { range -> Range<Int> in
                guard let ends = range.items?.compactMap(\.integerValue), ends.count == 2, 0 <= ends[0], ends[0] <= ends[1],
                    ends[1] <= table.times.count
                else {
                    throw ControlError.failed(
                        "cannot read \(path): \(member.name) has a range that does not lie in its \(table.times.count) rows")
                }
                return Int(ends[0])..<Int(ends[1])
            }
            var step = 0.0
            if table.nanoseconds.count > 2 {
                let gaps = zip(table.nanoseconds.dropFirst(), table.nanoseconds).map { Double($0 - $1) * 1e-9 }.sorted()
                step = gaps[gaps.count / 2]
            }
            return Labelled(
                name: member.name, table: table, events: events, start: Int(member.value["train_end"]?.integerValue ?? 0), step: step)
        }
    }
}

/// A bar on standard error while something takes long.
struct ProgressBar {
    private let total: Int
    private let isShown = isatty(2) != 0
    private var told = -1

    init(total: Int) { self.total = max(1, total) }

    mutating func show(_ done: Int, _ what: String) {
        guard isShown, done * 30 / total != told || done == total else { return }
        told = done * 30 / total
        let bar = String(repeating: "#", count: told) + String(repeating: ".", count: 30 - told)
        try? writeAll(2, Array("\r[\(bar)] \(done) of \(total) \(what)\(done == total ? "\n" : "")".utf8), object: "standard error")
    }
}
