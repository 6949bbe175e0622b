import Alerting
import Platform
import Readings
import Store
import Watching

/// What could not be restored, by name.
public struct RestoreProblem: Sendable {
    public var what: String
    public var reason: String
    public var payload: [UInt8]
}

/// What a restore found.
public struct RestoreReport: Sendable {
    public var streams = 0
    public var blocks = 0
    public var batchesReplayed = 0
    public var readingsReplayed = 0
    public var problems: [RestoreProblem] = []
    /// Highest stream id ever used.
    public var lastStreamID: UInt32 = 0
    public var sequence: Int64 = 0
    public var totals = IngestTotals()
    public var producers: [String: Int64] = [:]
}

/// Brings shards to the state after the last committed batch: newest intact checkpoint of every block, then the journal.
public enum Restorer {
    /// - Parameters:
    ///   - shards: empty, in order
    ///   - batchCapacity: entries and fields that any stored batch fits in
    ///   - progress: called now and then during long restores
    public static func restore(
        _ reader: StoreReader, into shards: inout ShardSet, batchCapacity: (entries: Int, fields: Int), progress: () -> Void
    ) throws(StoreError) -> RestoreReport {
        var report = RestoreReport()
        let stored = try reader.totals()
        report.totals = TotalsCodec.totals(stored)
        report.sequence = try reader.lastSequence()
        report.producers = try reader.producers()
        // Stream 0 is the daemon itself: it has no row, but its open conditions live in block 0.
        shards.add(stream: 0, key: "rnn-watchd", sequence: 0)
        for stream in try reader.streams() {
            shards.add(stream: stream.id, key: String(decoding: stream.key, as: UTF8.self), sequence: 0, channels: stream.channels)
            report.lastStreamID = max(report.lastStreamID, stream.id)
            report.streams += 1
        }
        report.lastStreamID = max(report.lastStreamID, UInt32(clamping: stored["last_stream"] ?? 0))
        try blocks(reader, &shards, &report, progress)
        try journal(reader, &shards, &report, batchCapacity, progress)
        return report
    }

    private static func blocks(
        _ reader: StoreReader, _ shards: inout ShardSet, _ report: inout RestoreReport, _ progress: () -> Void
    ) throws(StoreError) {
        // Rows come block by block, the newer generation first.
        var current: [(block: CheckpointBlock, isIntact: Bool)] = []
        var counted = 0
        try reader.checkpoints { block, isIntact throws(StoreError) in
            if let first = current.first, first.block.block != block.block {
                restore(current, &shards, &report)
                current.removeAll()
                counted += 1
                if counted % 256 == 0 { progress() }
            }
            current.append((block, isIntact))
        }
        if !current.isEmpty { restore(current, &shards, &report) }
    }

    private static func restore(
        _ generations: [(block: CheckpointBlock, isIntact: Bool)], _ shards: inout ShardSet, _ report: inout RestoreReport
    ) {
        for (place, generation) in generations.enumerated() {
            let name = "checkpoint of block \(generation.block.block), batch \(generation.block.sequence)"
            guard generation.isIntact else {
                report.problems.append(RestoreProblem(what: name, reason: "checksum does not match", payload: generation.block.payload))
                continue
            }
            let snapshot = BlockSnapshot(
                block: generation.block.block, sequence: generation.block.sequence, layout: generation.block.layout,
                streams: generation.block.streams, payload: generation.block.payload)
            let older = place + 1 < generations.count && generations[place + 1].isIntact ? generations[place + 1].block.sequence : -1
            do {
                try shards.restore(snapshot, older: older)
                report.blocks += 1
                return
            } catch {
                report.problems.append(RestoreProblem(what: name, reason: "\(error)", payload: generation.block.payload))
            }
        }
    }

    private static func journal(
        _ reader: StoreReader, _ shards: inout ShardSet, _ report: inout RestoreReport, _ capacity: (entries: Int, fields: Int),
        _ progress: () -> Void
    ) throws(StoreError) {
        let scratch = ReadingBatch(entryCapacity: capacity.entries, fieldCapacity: capacity.fields)
        var replayed = 0
        var readings = 0
        var problems: [RestoreProblem] = []
        try reader.journal(after: 0) { row, isIntact throws(StoreError) in
            let name = "journal row \(row.firstSequence)...\(row.sequence)"
            guard isIntact else {
                problems.append(RestoreProblem(what: name, reason: "checksum does not match", payload: row.payload))
                return
            }
            do {
                try JournalCodec.batches(of: row.payload, scratch: scratch) { batch in
                    shards.replay(batch)
                    replayed += 1
                    readings += batch.entryCount
                }
            } catch {
                problems.append(RestoreProblem(what: name, reason: "\(error)", payload: row.payload))
            }
            progress()
        }
        report.batchesReplayed = replayed
        report.readingsReplayed = readings
        report.problems += problems
    }
}

/// All shards of the daemon before their threads take them over.
public struct ShardSet: ~Copyable {
    private var boxes: [ShardBox]

    public init(settings: WatchSettings, shards: Int, channelsMax: Int) {
        boxes = (0..<shards).map { ShardBox(ShardWatch(settings: settings, shard: $0, shards: shards, channelsMax: channelsMax)) }
    }

    private func box(of stream: UInt32) -> ShardBox { boxes[Int(stream) / ShardWatch.streamsPerBlock % boxes.count] }

    mutating func add(stream id: UInt32, key: String, sequence: Int64, channels: [[UInt8]] = []) {
        let box = box(of: id)
        box.watch.add(stream: id, key: key, sequence: sequence)
        for name in channels { box.watch.addChannel(of: id, String(decoding: name, as: UTF8.self)) }
    }

    mutating func restore(_ snapshot: BlockSnapshot, older: Int64) throws(CodingError) {
        try boxes[Int(snapshot.block) % boxes.count].watch.restore(snapshot, older: older)
    }

    /// Applies a committed batch again; its alerts are stored already.
    mutating func replay(_ batch: ReadingBatch) {
        for box in boxes {
            box.discarded.removeAll(keepingCapacity: true)
            box.watch.apply(batch, isReplay: true, actions: &box.discarded)
        }
    }

    /// Newest times of all streams.
    public func times() -> [StreamTimes] { boxes.flatMap { $0.watch.times() } }

    /// Hands each shard to whoever will own it.
    public consuming func take() -> [ShardBox] { boxes }
}

/// A shard's machine, owned by one thread at a time.
public final class ShardBox: @unchecked Sendable {
    // Safety: handed to its thread before that thread starts, and touched only there until it ends.
    public var watch: ShardWatch
    var discarded: [AlertAction] = []
    init(_ watch: consuming ShardWatch) { self.watch = watch }
}
