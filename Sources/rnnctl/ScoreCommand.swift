import Alerting
import ArgumentParser
import CommandLineTool
import Control
import Detection
import Glibc
import LineFormats
import Platform
import Readings
import Tabular
import TimeSeries
import Watching
import WatchService

struct Score: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Score a file offline: same detector, no daemon, no database.",
        discussion: """
            Writes one row per input row: timestamp, score, alert (1 where an alarm is raised), and per channel what was expected and how far \
            off the reading was (in usual prediction errors). CSV has a header: `timestamp,<channel>...` or `timestamp,value`. A row that \
            cannot be read is reported with line and column and written without a score.

            EXAMPLES
              rnnctl score readings.csv > scores.csv
              rnnctl score --format influx readings.lp --output scores.csv
              cat fleet.csv | rnnctl score - --stream-column host
            """)

    enum Input: String, CaseIterable, ExpressibleByArgument { case csv, influx, jsonl }

    @Argument(help: "The file, or - for standard input.", completion: .file())
    var file: String
    @Option(name: .long, help: ArgumentHelp("csv, influx or jsonl.", valueName: "format"))
    var format: Input = .csv
    @OptionGroup(title: "CSV") var csv: CSVOptionGroup
    @Flag(name: .long, help: "Exit 0 also when less than half of the rows could be read.")
    var lenient = false
    @Option(name: .long, help: ArgumentHelp("Write here instead of standard output.", valueName: "file"), completion: .file())
    var output: String?
    @Option(name: .long, help: ArgumentHelp("default or light.", valueName: "profile"))
    var profile = "default"

    mutating func validate() throws {
        guard ["default", "light"].contains(profile) else {
            throw ValidationError("--profile: got \"\(profile)\", expected default or light")
        }
        if !csv.isEmpty, format != .csv {
            throw ValidationError("--stream-column, --time-column, --time-format, --decimal and --missing go with --format csv")
        }
    }

    func run() throws {
        let bytes = file == "-" ? try Files.readAll(0, object: "standard input") : try Files.read(file, bytesMax: Int.max)
        guard !bytes.isEmpty else { throw ControlError.failed("cannot score \(file): it is empty") }
        let isJSON = format == .csv && (file.hasSuffix(".json") || file.hasSuffix(".jsonl") || bytes.first { $0 > 32 } == UInt8(ascii: "{"))
        if isJSON {
            throw ControlError.failed("cannot score \(file) as CSV: it is JSON; use --format jsonl, with one object a line (jq -c .)")
        }
        let scorer = OfflineScorer(profile: profile == "light" ? .light : .standard)
        var sheet = ScoreSheet()
        switch format {
        case .csv:
            let (options, doubts) = csv.options(for: bytes)
            for doubt in doubts { FileOutput.error("rnnctl score: not sure: \(doubt)") }
            do { try sheet.readCSV(bytes, options, scorer) } catch { throw ControlError.failed("cannot score \(file): \(error)") }
        case .influx, .jsonl: sheet.readLines(bytes, format == .influx ? .influx : .json, scorer)
        }
        if let output {
            try Files.replace(output, with: sheet.bytes())
        } else {
            try writeAll(1, sheet.bytes(), object: "standard output")
        }
        if let odd = sheet.odd {
            FileOutput.error("rnnctl score: \(odd.count) values begin like numbers and are none that are known; the first: \(odd.example)")
        }
        guard sheet.refused > 0 else { return }
        guard sheet.scored > 0 else {
            throw ControlError.failed(
                "cannot score \(file): none of its \(sheet.refused) rows can be read; is --time-column or --format wrong?")
        }
        FileOutput.error("rnnctl score: \(sheet.refused) rows could not be read; they have no score")
        guard sheet.refused > sheet.scored, !lenient else { return }
        throw ControlError.failed("cannot score \(file): less than half of its rows can be read (--lenient ends with 0 all the same)")
    }
}

/// Runs readings through a shard and keeps what the detector says about each.
final class OfflineScorer {
    private var watch: ShardWatch
    private let batch = ReadingBatch(entryCapacity: 1, fieldCapacity: 8192)
    private var streams: [[UInt8]: (id: UInt32, channels: [[UInt8]: UInt16])] = [:]
    private let latest = Latest()
    private var discarded: [AlertAction] = []
    private var sequence: Int64 = 0

    /// What the last reading got.
    final class Latest {
        var score = 0.0
        var isAlarm = false
        var channels: [(index: UInt16, expected: Double, error: Double)] = []
    }

    init(profile: DetectorProfile) {
        watch = ShardWatch(settings: WatchSettings(profile: profile), shard: 0, shards: 1, channelsMax: 4096)
        let latest = latest
        watch.observer = { _, verdict in
            latest.score = verdict.score
            latest.isAlarm = verdict.isAlarm
            latest.channels.removeAll(keepingCapacity: true)
            for index in 0..<verdict.channelCount {
                let channel = verdict.channels[index]
                latest.channels.append((channel.index, channel.expected, channel.error))
            }
        }
    }

    /// Scores one reading. `fields`: name and value of each channel present.
    /// - Returns: score, alarm, and per channel its name with expectation and error.
    func score(
        stream key: [UInt8], time: Int64, fields: [(name: [UInt8], value: Double)]
    ) -> (score: Double, isAlarm: Bool, channels: [(name: [UInt8], expected: Double, error: Double)]) {
        var stream = streams[key] ?? (UInt32(streams.count + 1), [:])
        if streams[key] == nil { watch.add(stream: stream.id, key: String(decoding: key, as: UTF8.self), sequence: 0) }
        var names: [UInt16: [UInt8]] = [:]
        batch.reset()
        for field in fields where batch.hasRoom(fields: batch.pendingCount + 1) {
            let index: UInt16
            if let known = stream.channels[field.name] {
                index = known
            } else {
                index = UInt16(truncatingIfNeeded: stream.channels.count)
                stream.channels[field.name] = index
                watch.addChannel(of: stream.id, String(decoding: field.name, as: UTF8.self))
            }
            names[index] = field.name
            batch.append(channel: index, value: field.value)
        }
        streams[key] = stream
        sequence += 1
        batch.sequence = sequence
        batch.endReading(stream: stream.id, time: time, clock: 0)
        discarded.removeAll(keepingCapacity: true)
        watch.apply(batch, actions: &discarded)
        return (latest.score, latest.isAlarm, latest.channels.map { (names[$0.index] ?? [], $0.expected, $0.error) })
    }
}

/// The rows to be written: columns are known once all channels were seen.
struct ScoreSheet {
    private struct Row {
        var time: String
        var stream: [UInt8]
        var score: Double?
        var isAlarm = false
        var channels: [(column: Int, expected: Double, error: Double)] = []
        var named: [(name: [UInt8], expected: Double, error: Double)] = []
    }
    /// Messages about rows that cannot be read; more are only counted.
    static let refusalsShown = 20
    private var rows: [Row] = []
    private var columns: [[UInt8]] = []
    private var places: [[UInt8]: Int] = [:]
    private var namesStreams = false
    private(set) var refused = 0
    /// Values that begin like numbers and were not understood.
    private(set) var odd: (count: Int, example: LineError)?

    /// Rows with a score.
    var scored: Int { rows.count { $0.score != nil } }

    private mutating func column(_ name: [UInt8]) -> Int {
        if let known = places[name] { return known }
        columns.append(name)
        places[name] = columns.count - 1
        return columns.count - 1
    }

    mutating func readCSV(_ bytes: [UInt8], _ options: CSVOptions, _ scorer: OfflineScorer) throws {
        var clock = Int64.min
        var found: [Row] = []
        var refusals = 0
        var valued = 0
        let defaultStream = options.defaultStream
        let sheet = try CSVRows(bytes, options: options) { row in
            if let problem = row.problem {
                refusals += 1
                if refusals <= ScoreSheet.refusalsShown { FileOutput.error("line \(row.line), \(problem)") }
                return found.append(Row(time: row.timeText, stream: row.stream))
            }
            // Rows out of order are judged as they come, at the latest time so far.
            clock = max(clock, row.time ?? (clock == .min ? 0 : clock + 1_000_000_000))
            valued += row.fields.count
            let stream = row.stream.isEmpty ? defaultStream : row.stream
            let verdict = scorer.score(stream: stream, time: clock, fields: row.fields)
            var scored = Row(time: row.timeText, stream: row.stream, score: verdict.score, isAlarm: verdict.isAlarm)
            scored.named = verdict.channels
            found.append(scored)
        }
        refused += refusals
        namesStreams = sheet.namesStreams
        if sheet.odd.count > 0, let example = sheet.odd.example { odd = (sheet.odd.count, example) }
        if let guess = sheet.guessedTimeColumn {
            FileOutput.error("rnnctl score: no column is called timestamp, time, ts, date or datetime; \"\(guess)\" is taken as the time")
        }
        if valued == 0, found.count > refusals {
            throw ControlError.failed("no cell of its \(found.count) rows is a number")
        }
        for name in sheet.channels { _ = column(name) }
        for var row in found {
            row.channels = row.named.map { (column($0.name), $0.expected, $0.error) }
            row.named = []
            rows.append(row)
        }
    }

    mutating func readLines(_ bytes: [UInt8], _ format: LineFormat, _ scorer: OfflineScorer) {
        var parser = LineParser(limits: LineLimits(lineBytesMax: 16 << 20), format: format, defaultStream: Array("stdin".utf8))
        namesStreams = true
        var clock = Int64.min
        bytes.withUnsafeBufferPointer { all in
            for (number, line) in Lines(all).enumerated() {
                do {
                    try parser.parse(line)
                    for index in 0..<parser.readings.count {
                        let time = parser.readings.time(index)
                        clock = max(clock, time ?? (clock == .min ? 0 : clock + 1_000_000_000))
                        score(&parser.readings, index, at: time ?? clock, text: TimeText.rfc3339(time ?? clock), scorer)
                    }
                } catch {
                    FileOutput.error("line \(number + 1), \(error)")
                    refused += 1
                }
            }
        }
    }

    private mutating func score(_ readings: inout ReadingBuffer, _ index: Int, at time: Int64, text: String, _ scorer: OfflineScorer) {
        guard index < readings.count, let key = try? readings.canonicalKey(index) else {
            rows.append(Row(time: text, stream: []))
            return
        }
        let stream = Array(key)
        var fields: [(name: [UInt8], value: Double)] = []
        for field in 0..<readings.fieldCount(index) {
            fields.append((Array(readings.fieldName(index, field)), readings.fieldValue(index, field)))
        }
        let verdict = scorer.score(stream: stream, time: time, fields: fields)
        var row = Row(time: text, stream: stream, score: verdict.score, isAlarm: verdict.isAlarm)
        for channel in verdict.channels { row.channels.append((column(channel.name), channel.expected, channel.error)) }
        rows.append(row)
    }

    /// The CSV text: timestamp, (stream,) score, alert, then per channel expected and score.
    func bytes() -> [UInt8] {
        var out: [UInt8] = []
        func cell(_ bytes: [UInt8], _ suffix: String) {
            out.append(44)
            quoted(String(decoding: bytes, as: UTF8.self) + suffix)
        }
        func quoted(_ text: String) {
            let needsQuotes = text.utf8.contains { $0 == 44 || $0 == 34 }
            out += Array(
                (needsQuotes ? "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\"" : text)
                    .utf8)
        }
        out += Array("timestamp".utf8)
        if namesStreams { out += Array(",stream".utf8) }
        out += Array(",score,alert".utf8)
        for name in columns {
            cell(name, ".expected")
            cell(name, ".score")
        }
        out.append(10)
        var cells = [String](repeating: ",", count: columns.count)
        for row in rows {
            quoted(row.time)
            if namesStreams { cell(row.stream, "") }
            out += Array((row.score.map { ",\($0)" } ?? ",").utf8)
            out += Array(row.isAlarm ? ",1".utf8 : ",0".utf8)
            for index in cells.indices { cells[index] = "," }
            for channel in row.channels { cells[channel.column] = "\(channel.expected),\(channel.error)" }
            for text in cells {
                out.append(44)
                out += Array(text.utf8)
            }
            out.append(10)
        }
        return out
    }
}
