import Evaluation
import Glibc

/// A folder of labelled series: `data/<category>/<file>.csv` with `combined_windows.json`, or `series/<id>.csv` with `labels.json`.
struct Corpus {
    enum Problem: Error, CustomStringConvertible {
        case unreadable(String)
        case malformed(String)
        var description: String {
            switch self {
            case .unreadable(let path): "cannot read \(path)"
            case .malformed(let path): "cannot understand \(path)"
            }
        }
    }

    /// The folder's last name.
    let name: String
    /// How alarms are matched with events, if the path says it: `FOLDER:MERGE,BEFORE,AFTER`.
    let metric: EventMetric.Settings?
    var series: [LabelledSeries]
    /// True for the layout of the Numenta benchmark.
    var isNab: Bool

    /// Reads the whole folder. `clock`: whether the times of `labels.json` corpora are those of a wall clock.
    init(_ path: String, clock: Bool) throws(Problem) {
        let parts = path.split(separator: ":", maxSplits: 1)
        let numbers = parts.count > 1 ? parts[1].split(separator: ",").compactMap { Int($0) } : []
        guard parts.count == 1 || numbers.count == 3 else { throw .malformed("\(path), expected FOLDER:MERGE,BEFORE,AFTER") }
        metric = numbers.count == 3 ? EventMetric.Settings(merge: numbers[0], before: numbers[1], after: numbers[2]) : nil
        let folder = parts.first.map(String.init) ?? path
        name = folder.split(separator: "/").last.map(String.init) ?? folder
        if let labels = Self.bytes("\(folder)/labels.json") {
            isNab = false
            series = try Self.labelled(folder, labels, clock)
        } else if let labels = Self.bytes("\(folder)/combined_windows.json") ?? Self.bytes("\(folder)/labels/combined_windows.json") {
            isNab = true
            series = try Self.numenta(folder, labels)
        } else {
            throw .unreadable("\(folder)/labels.json or \(folder)/combined_windows.json")
        }
    }

    static func bytes(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var out: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let n = read(file, &chunk, chunk.count)
            guard n > 0 else { return n < 0 ? nil : out }
            out += chunk[0..<n]
        }
    }

    private static func labelled(_ folder: String, _ labels: [UInt8], _ clock: Bool) throws(Problem) -> [LabelledSeries] {
        guard let json = JsonValue(labels) else { throw .malformed("\(folder)/labels.json") }
        var out: [LabelledSeries] = []
        for (id, entry) in json.members.sorted(by: { $0.0 < $1.0 }) {
            let path = "\(folder)/series/\(id).csv"
            let table = try Table(path)
            let events = entry["ranges"]?.elements.compactMap { r -> Range<Int>? in
                guard r.elements.count == 2, let a = r.elements[0].double, let b = r.elements[1].double, a <= b else { return nil }
                return Int(a)..<Int(b)
            }
            out.append(
                LabelledSeries(
                    name: id, times: table.seconds.map { Int64($0 * 1e9) }, values: table.values, channels: table.columns, hasClock: clock,
                    events: events ?? [], start: Int(entry["train_end"]?.double ?? 0)))
        }
        return out
    }

    private static func numenta(_ folder: String, _ labels: [UInt8]) throws(Problem) -> [LabelledSeries] {
        guard let json = JsonValue(labels) else { throw .malformed("\(folder)/combined_windows.json") }
        var out: [LabelledSeries] = []
        for (name, entry) in json.members.sorted(by: { $0.0 < $1.0 }) {
            let table = try Table("\(folder)/data/\(name)")
            let events = entry.elements.compactMap { w -> Range<Int>? in
                guard w.elements.count == 2, let a = w.elements[0].text.flatMap(Table.seconds),
                    let b = w.elements[1].text.flatMap(Table.seconds),
                    let low = table.seconds.firstIndex(of: a), let high = table.seconds.lastIndex(of: b)
                else { return nil }
                return low..<(high + 1)
            }
            guard events.count == entry.elements.count else { throw .malformed("\(folder)/combined_windows.json: \(name)") }
            out.append(
                LabelledSeries(
                    name: name, times: table.seconds.map { Int64($0 * 1e9) }, values: table.values, channels: table.columns, hasClock: true,
                    events: events, start: NabScorer.probation(rows: table.seconds.count)))
        }
        return out
    }
}

/// A CSV of a time column and number columns.
struct Table {
    var seconds: [Double] = []
    var values: [Double] = []
    var columns = 0

    init(_ path: String) throws(Corpus.Problem) {
        guard let bytes = Corpus.bytes(path) else { throw .unreadable(path) }
        for line in bytes.split(separator: UInt8(ascii: "\n")).dropFirst() {
            let fields = line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            guard fields.count >= 2, let t = Self.seconds(String(decoding: fields[0], as: UTF8.self)) else { throw .malformed(path) }
            seconds.append(t)
            columns = fields.count - 1
            for field in fields.dropFirst() {
                let text = String(decoding: field, as: UTF8.self).filter { !$0.isWhitespace }
                values.append(Double(text) ?? .nan)
            }
        }
        guard values.count == seconds.count * columns else { throw .malformed(path) }
    }

    /// Unix seconds of a number or of `2014-04-10 07:15:00[.000000]` (UTC).
    static func seconds(_ text: String) -> Double? {
        if let number = Double(text) { return number }
        let parts = text.split(whereSeparator: { "-: T".contains($0) }).compactMap { Double($0.filter { !$0.isWhitespace }) }
        guard parts.count == 6 else { return nil }
        let (y, m, d) = (Int(parts[0]), Int(parts[1]), Int(parts[2]))
        // Days from the civil date (H. Hinnant's algorithm).
        let shifted = m <= 2 ? y - 1 : y
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return Double(days) * 86400 + parts[3] * 3600 + parts[4] * 60 + parts[5]
    }
}
