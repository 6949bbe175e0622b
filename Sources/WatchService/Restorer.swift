import Alerting
import Platform
import Readings
import Store
import TimeSeries
import Watching

/// What a restore found.
public struct RestoreReport: Sendable {
    public var streams = 0
    public var blocks = 0
    public var batchesReplayed = 0
    public var readingsReplayed = 0
    /// What could not be read, by name.
    public var problems: [StoredDamage] = []
    /// Alerts that the database calls open and the restored state does not know (only after damage or changed settings) ...
    public var orphans: [String] = []
    /// ... and the other way round: told anew under ids of their own.
    public var reissued: [AlertAction] = []
    /// Blocks whose state is not what last checkpoint and journal say, because of the above: to be stored at once.
    public var repaired: Set<Int64> = []
    public var isIntact: Bool { problems.isEmpty && orphans.isEmpty && reissued.isEmpty && repaired.isEmpty }
    /// Highest stream id ever used, and the last turn (see `StreamNumber`) in which one was given.
    public var lastStreamID: UInt32 = 0
    public var lastStreamTurn = 0
    public var sequence: Int64 = 0
    /// Which models run as of the last batch, and how many shards were told.
    public var assignments: [ModelAssignment] = []
    public var assignedShards = 0
    public var totals = IngestTotals()
    public var producers: [ProducerRecord] = []
    /// What was lost of streams.
    public var losses: [UInt32: StreamLosses] { totals.losses }
}

/// Brings shards to the state after the last committed batch: newest intact checkpoint of every block, then the journal.
public enum Restorer {
    /// - Parameters:
    ///   - shards: empty, in order
    ///   - batchCapacity: entries and fields that any stored batch fits in
    ///   - isThorough: read also checkpoints that are not needed, for a check
    ///   - progress: called now and then during long restores
    public static func restore(
        _ reader: StoreReader, into shards: inout ShardSet, batchCapacity: (entries: Int, fields: Int), isThorough: Bool = false,
        progress: () -> Void
    ) throws(StoreError) -> RestoreReport {
        var report = RestoreReport()
        // One view of all tables: a daemon may be writing meanwhile.
        try reader.view { () throws(StoreError) in try read(reader, &shards, &report, batchCapacity, isThorough, progress) }
        return report
    }

    private static func read(
        _ reader: StoreReader, _ shards: inout ShardSet, _ report: inout RestoreReport, _ batchCapacity: (entries: Int, fields: Int),
        _ isThorough: Bool, _ progress: () -> Void
    ) throws(StoreError) {
        let stored = try reader.totals()
        report.totals = TotalsCodec.totals(stored)
        report.sequence = try reader.lastSequence()
        report.producers = try reader.producers()
        try models(reader, &shards, &report)
        // Stream 0 is the daemon itself: it has no row, but its open conditions live in block 0.
        shards.add(stream: 0, key: "rnn-watchd", sequence: 0)
        let before = try reader.namesBefore()
        for stream in try reader.streams() {
            // A replay finds streams under the names that they had when the journal begins; its batches rename them again.
            let key = before[stream.id] ?? String(decoding: stream.key, as: UTF8.self)
            shards.add(stream: stream.id, key: key, sequence: 0, channels: stream.channels)
            report.lastStreamID = max(report.lastStreamID, stream.id)
            report.lastStreamTurn = max(report.lastStreamTurn, StreamNumber.turn(of: stream.id))
            report.streams += 1
        }
        report.lastStreamID = max(report.lastStreamID, UInt32(clamping: stored["last_stream"] ?? 0))
        report.lastStreamTurn = TotalsCodec.lastTurn(stored, present: report.lastStreamTurn, lastStream: report.lastStreamID)
        Failpoint.pass("restore.begin")
        let numbers = try reader.alertNumbers()
        let lost = try blocks(reader, &shards, &report, isThorough, progress)
        // A stream that starts anew must not give its old alerts' ids to new ones.
        for (stream, number) in numbers where lost.contains(Int64(StreamNumber.block(of: stream))) {
            _ = shards.reserve(alertsThrough: number, of: stream)
        }
        report.repaired.formUnion(lost)
        try journal(reader, &shards, &report, batchCapacity, progress)
        for label in shards.missingModels().sorted() {
            report.problems.append(
                StoredDamage(place: .elsewhere, what: "model \(label)", reason: "it is not stored; its streams run on the built-in network")
            )
        }
        Failpoint.pass("restore.end")
        try checkTotals(reader, &shards, &report)
        try matchAlerts(reader, &shards, &report, numbers, lost)
    }

    /// Which models ran when the journal begins; its batches tell the rest.
    private static func models(_ reader: StoreReader, _ shards: inout ShardSet, _ report: inout RestoreReport) throws(StoreError) {
        let (rosters, damaged) = try reader.modelRosters()
        for sequence in damaged {
            report.problems.append(
                StoredDamage(
                    place: .elsewhere, what: "list of models of batch \(sequence)",
                    reason: "it cannot be read; streams may have run on other models than the replay says"))
        }
        (report.assignments, report.assignedShards) = rosters.last.map { ($0.assignments, $0.shards) } ?? ([], 0)
        let first = try reader.firstSequence() ?? .max
        shards.begin(rosters.filter { $0.sequence < first })
    }

    /// The daemon's own clocks may be as damaged as anything; the streams know how late it is.
    private static func checkTotals(_ reader: StoreReader, _ shards: inout ShardSet, _ report: inout RestoreReport) throws(StoreError) {
        guard try !reader.areTotalsIntact() else { return }
        report.problems.append(
            StoredDamage(place: .elsewhere, what: "totals", reason: "checksum does not match; the counters of readings may be wrong"))
        let clocks = shards.clocks()
        report.totals.fleetClock = FleetClock()
        report.totals.fleetClock.now = max(0, clocks.fleet)
        report.totals.fleetClock.watermark = clocks.newest
    }

    /// Open alerts of database and state are the same ones, but after damage (or when settings changed between a kill and this
    /// start, so that the replay saw other rules). A stream that learned anew from the journal has its own idea of what is open: it goes
    /// on with the alert of that kind that was told, or keeps silent about what never was.
    private static func matchAlerts(
        _ reader: StoreReader, _ shards: inout ShardSet, _ report: inout RestoreReport, _ numbers: [UInt32: UInt32], _ lost: Set<Int64>
    ) throws(StoreError) {
        for (stream, number) in numbers where shards.reserve(alertsThrough: number, of: stream) {
            report.repaired.insert(Int64(StreamNumber.block(of: stream)))
        }
        let stored = try reader.openAlerts()
        let storedIDs = Set(stored.map(\.id))
        for alert in shards.openEpisodes() where lost.contains(Int64(StreamNumber.block(of: alert.stream))) {
            shards.settle(alert, as: stored.first { $0.stream == alert.stream && $0.kind == alert.kind.rawValue }?.id)
        }
        let open = shards.openEpisodes()
        let openIDs = Set(open.map(\.id))
        for alert in stored where !openIDs.contains(alert.id) {
            report.orphans.append(alert.id)
            report.repaired.insert(Int64(StreamNumber.block(of: alert.stream)))
        }
        for alert in open where !storedIDs.contains(alert.id) {
            if let action = shards.reissue(alert) { report.reissued.append(action) }
            report.repaired.insert(Int64(StreamNumber.block(of: alert.stream)))
        }
    }

    /// - Parameter isThorough: read also the generations that are not needed.
    /// - Returns: numbers of blocks that no generation could restore.
    private static func blocks(
        _ reader: StoreReader, _ shards: inout ShardSet, _ report: inout RestoreReport, _ isThorough: Bool, _ progress: () -> Void
    ) throws(StoreError) -> Set<Int64> {
        var newest: [(generation: StoreReader.Generation, older: Int64)] = []
        var older: [StoreReader.Generation] = []
        for generation in try reader.generations() {
            if newest.last?.generation.block == generation.block {
                if newest[newest.count - 1].older < 0 { newest[newest.count - 1].older = generation.sequence }
                older.append(generation)
            } else {
                newest.append((generation, -1))
            }
        }
        var lost = Set(newest.map(\.generation.block))
        try ReadAhead.checkpoints(reader, newest.map(\.generation)) { place, found in
            if restore(found, newest[place].generation, older: newest[place].older, &shards, &report) {
                lost.remove(newest[place].generation.block)
            }
            if place % 256 == 0 { progress() }
        }
        for generation in older {
            if lost.contains(generation.block) {
                if restore(try reader.checkpoint(generation), generation, older: -1, &shards, &report) { lost.remove(generation.block) }
            } else if isThorough, let found = try reader.checkpoint(generation), !found.isIntact {
                report.problems.append(damage(found.block, generation, "checksum does not match"))
            }
        }
        return lost
    }

    private static func damage(_ block: CheckpointBlock, _ generation: StoreReader.Generation, _ reason: String) -> StoredDamage {
        StoredDamage(
            place: .checkpoint(block: block.block, slot: generation.slot),
            what: "checkpoint of block \(block.block), batch \(block.sequence)",
            reason: reason, payload: block.payload)
    }

    /// false: there is nothing to restore from in it.
    private static func restore(
        _ found: (block: CheckpointBlock, isIntact: Bool)?, _ generation: StoreReader.Generation, older: Int64, _ shards: inout ShardSet,
        _ report: inout RestoreReport
    ) -> Bool {
        guard let (block, isIntact) = found else { return false }
        guard isIntact else {
            report.problems.append(damage(block, generation, "checksum does not match"))
            return false
        }
        let snapshot = BlockSnapshot(
            block: block.block, sequence: block.sequence, layout: block.layout, streams: block.streams, payload: block.payload)
        do { try shards.restore(snapshot, older: older) } catch {
            report.problems.append(damage(block, generation, "\(error)"))
            return false
        }
        report.blocks += 1
        return true
    }

    private static func journal(
        _ reader: StoreReader, _ shards: inout ShardSet, _ report: inout RestoreReport, _ capacity: (entries: Int, fields: Int),
        _ progress: () -> Void
    ) throws(StoreError) {
        let scratch = ReadingBatch(entryCapacity: capacity.entries, fieldCapacity: capacity.fields)
        var counts = (batches: 0, readings: 0)
        var problems: [StoredDamage] = []
        var last: Int64?
        func missing(_ from: Int64, _ through: Int64) {
            problems.append(
                StoredDamage(
                    place: .gap(first: from, last: through), what: "journal, batches \(from)...\(through)",
                    reason: "they are missing between others"))
        }
        try reader.journal(after: 0) { row, isIntact throws(StoreError) in
            if let last, row.firstSequence.since(last) > 1 { missing(last + 1, row.firstSequence - 1) }
            last = row.sequence
            let what = "journal row \(row.firstSequence)...\(row.sequence)"
            var reason = isIntact ? nil : "checksum does not match"
            if CrashMarks.ended(.journal, UInt64(bitPattern: row.sequence)) { reason = "the daemon crashed when it replayed it" }
            if reason == nil {
                CrashMarks.begin(.journal, UInt64(bitPattern: row.sequence))
                defer { CrashMarks.end(.journal) }
                do {
                    try JournalCodec.batches(of: row.payload, scratch: scratch) { batch in
                        shards.replay(batch)
                        counts.batches += 1
                        counts.readings += batch.entryCount
                        progress()
                    }
                } catch { reason = "\(error)" }
            }
            if let reason {
                problems.append(StoredDamage(place: .journal(sequence: row.sequence), what: what, reason: reason, payload: row.payload))
            }
        }
        if let last, last < report.sequence { missing(last + 1, report.sequence) }
        report.batchesReplayed = counts.batches
        report.readingsReplayed = counts.readings
        // Readings of any stream may be among what is lost, so every state is stored as it is now.
        if !problems.isEmpty { report.repaired.formUnion(shards.blockNumbers()) }
        report.problems += problems
        shards.advance(to: report.sequence)
    }
}

/// All shards of the daemon before their threads take them over.
public struct ShardSet: ~Copyable {
    private var boxes: [ShardBox]

    public init(settings: WatchSettings, shards: Int, channelsMax: Int) {
        boxes = (0..<shards).map { ShardBox(ShardWatch(settings: settings, shard: $0, shards: shards, channelsMax: channelsMax)) }
    }

    /// The version of the learned state that these shards read.
    public var layout: UInt32 { boxes[0].watch.layoutVersion }

    /// Which models run at the beginning: the newest each shard was told.
    func begin(_ rosters: [ModelRoster]) {
        for (shard, box) in boxes.enumerated() {
            let own = rosters.last { $0.shard == shard && $0.shards == boxes.count } ?? rosters.last
            box.watch.begin(assignments: own?.assignments ?? [])
        }
    }
    /// Labels of models that were asked for and are not stored.
    func missingModels() -> Set<String> { boxes.reduce(into: []) { $0.formUnion($1.watch.missingModels) } }

    func blockNumbers() -> [Int64] { boxes.flatMap { $0.watch.blockNumbers } }
    func openEpisodes() -> [Alert] { boxes.flatMap { $0.watch.openEpisodes } }
    mutating func reissue(_ alert: Alert) -> AlertAction? { box(of: alert.stream).watch.reissue(alert) }
    mutating func settle(_ alert: Alert, as id: String?) { box(of: alert.stream).watch.settle(alert, as: id) }
    mutating func reserve(alertsThrough number: UInt32, of stream: UInt32) -> Bool {
        box(of: stream).watch.reserve(alertsThrough: number, of: stream)
    }
    mutating func advance(to sequence: Int64) { for box in boxes { box.watch.advance(to: sequence) } }

    /// The states of `blocks` as they are now.
    mutating func snapshots(_ blocks: Set<Int64>) -> [BlockSnapshot] {
        blocks.sorted().compactMap { boxes[Int($0) % boxes.count].watch.snapshot(repaired: $0) }
    }

    /// The latest fleet clock and time that any stream knows.
    func clocks() -> (fleet: Int64, newest: Int64) {
        boxes.reduce(into: (fleet: 0, newest: Int64.min)) {
            let clocks = $1.watch.clocks()
            ($0.fleet, $0.newest) = (max($0.fleet, clocks.fleet), max($0.newest, clocks.newest))
        }
    }

    private func box(of stream: UInt32) -> ShardBox { boxes[StreamNumber.shard(of: stream, shards: boxes.count)] }

    mutating func add(stream id: UInt32, key: String, sequence: Int64, channels: [[UInt8]] = []) {
        let box = box(of: id)
        box.watch.add(stream: id, key: key, sequence: sequence)
        for name in channels { box.watch.addChannel(of: id, String(decoding: name, as: UTF8.self)) }
    }

    mutating func restore(_ snapshot: BlockSnapshot, older: Int64) throws(CodingError) {
        // A number below zero is refused there.
        try boxes[Int(snapshot.block.magnitude % UInt64(boxes.count))].watch.restore(snapshot, older: older)
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
