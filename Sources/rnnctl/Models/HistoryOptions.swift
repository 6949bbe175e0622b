import ArgumentParser
import Control
import Platform
import Readings
import Store
import WatchService

/// Where readings to learn from come from.
struct HistoryOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("CSV, line protocol (.lp, .influx) or JSON lines (.jsonl); - for standard input.", valueName: "file"),
        completion: .file())
    var history: String?
    @Option(
        name: .long, help: ArgumentHelp("Readings that the daemon keeps in this directory (its journal).", valueName: "dir"),
        completion: .directory)
    var fromStateDir: String?
    @Option(name: .long, help: ArgumentHelp("csv, influx or jsonl; else by the file's name.", valueName: "format"))
    var historyFormat: HistoryTable.Format?
    @Option(name: .long, help: ArgumentHelp("CSV column that names the stream.", valueName: "name"))
    var streamColumn: String?
    @Option(name: .long, help: ArgumentHelp("CSV column with the time.", valueName: "name"))
    var timeColumn: String?
    @Option(name: .long, help: ArgumentHelp("CSV value that stands for a missing one; may be repeated.", valueName: "value"))
    var missing: [Double] = []
    @Option(name: .long, help: ArgumentHelp("Only streams that match this glob.", valueName: "glob"))
    var streams = "*"
    @Option(name: .long, help: ArgumentHelp("Channels, comma-separated, in the order of the inputs.", valueName: "names"))
    var channels: String?

    mutating func validate() throws {
        guard (history == nil) != (fromStateDir == nil) else { throw ValidationError("give --history FILE or --from-state-dir DIR") }
    }

    /// The channels asked for.
    var chosenChannels: [String]? { channels?.split(separator: ",").map(String.init) }

    /// All readings.
    func table() throws -> HistoryTable {
        if let history {
            let table = try HistoryTable(
                file: history, format: historyFormat, streamColumn: streamColumn, timeColumn: timeColumn, missing: missing)
            if table.refused > 0 { FileOutput.error("rnnctl: \(table.refused) lines of \(history) are no readings; they were left out") }
            return table
        }
        return try HistoryOptions.journal(fromStateDir ?? "")
    }

    /// What the journal of a state directory holds: about two checkpoint intervals of every stream.
    private static func journal(_ directory: String) throws -> HistoryTable {
        let reader = try StoreReader(path: try TargetOptions.database(directory))
        var table = HistoryTable()
        try reader.view { () throws(StoreError) in
            var streams: [UInt32: (place: Int, channels: [Int])] = [:]
            for stream in try reader.streams() {
                streams[stream.id] = (
                    table.stream(String(decoding: stream.key, as: UTF8.self)),
                    stream.channels.map { table.channel(String(decoding: $0, as: UTF8.self)) }
                )
            }
            let batch = ReadingBatch(entryCapacity: 1 << 16, fieldCapacity: 1 << 20)
            var failure: String?
            try reader.journal(after: 0) { row, isIntact in
                guard isIntact else {
                    failure = "a journal row is damaged; `rnnctl check` tells more"
                    return
                }
                do {
                    try JournalCodec.batches(of: row.payload, scratch: batch) { HistoryOptions.append($0, streams, &table) }
                } catch { failure = "\(error)" }
            }
            if let failure { FileOutput.error("rnnctl: \(failure)") }
        }
        guard !table.rows.isEmpty else { throw ControlError.failed("cannot train: the journal in \(directory) holds no readings") }
        return table
    }

    private static func append(_ batch: ReadingBatch, _ streams: [UInt32: (place: Int, channels: [Int])], _ table: inout HistoryTable) {
        for index in 0..<batch.entryCount {
            let entry = batch.entries[index]
            guard let stream = streams[entry.stream] else { continue }
            var fields: [(channel: Int, value: Double)] = []
            for field in Int(entry.fieldStart)..<Int(entry.fieldStart) + Int(entry.fieldCount) {
                let channel = Int(batch.channels[field])
                if stream.channels.indices.contains(channel) { fields.append((stream.channels[channel], batch.values[field])) }
            }
            table.append(stream: stream.place, time: "\(entry.time)", fields: fields)
        }
    }
}
