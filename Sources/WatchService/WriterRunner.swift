import Alerting
import Platform
import Readings
import Store
import Watching

/// The thread that owns the database: commits batches with their alerts in order, then tells whoever waits.
final class WriterRunner: @unchecked Sendable {
    // Safety: `statistics` and `intervals` are locked; everything else belongs to the writer's thread.
    struct Statistics: Sendable {
        var commits: Int64 = 0
        var committedSequence: Int64 = 0
        var lastCommitAt: Int64 = 0
        var lastCheckpointAt: Int64?
        var alertsOpened: Int64 = 0
        var payloadBytes: Int64 = 0
        var journalRows: Int64 = 0
        /// Why commits fail at present; nil when they do not.
        var problem: String?
        var aliveAt: Int64 = 0
        var checkpoints: Int64 = 0
    }

    struct Intervals: Sendable {
        var commit: Int64
        var durability: Int64
        var retention: Int64
        var alertsMax: Int64
    }

    private let store: StoreWriter
    private let input: BoundedQueue<CommitUnit>
    private let pool: BatchPool
    private let shards: Int
    private let log: Log
    let intervals: Locked<Intervals>
    private let statisticsBox = Locked(Statistics())
    /// Called after each commit with what can be acknowledged and told.
    private let onCommit: @Sendable ([Acknowledgement], [AlertAction]) -> Void
    /// Called when the database stops or starts to take commits.
    private let onProblem: @Sendable (String?) -> Void

    // Units that wait for those before them, by sequence of their batch.
    private var early: [Int64: CommitUnit] = [:]
    private var nextSequence: Int64
    private var pending = Pending()
    private var neededAfter: [Int64]
    private var truncatedThrough: Int64 = 0
    private var ended = 0
    private var syncedAt: Int64 = 0
    private var retainedAt: Int64 = 0

    /// What the next commit will contain.
    private struct Pending {
        var row = ByteWriter()
        var firstSequence: Int64 = 0
        var lastSequence: Int64 = 0
        var readings: Int64 = 0
        var receivedAt: Int64 = 0
        var notes: [(notes: [BatchNote], acknowledgements: [Acknowledgement], receivedAt: Int64)] = []
        var actions: [(action: AlertAction, sequence: Int64, ordinal: Int)] = []
        var acknowledgements: [Acknowledgement] = []
        var totals: IngestTotals?
        var lastStream: UInt32 = 0
        var blocks: [BlockSnapshot] = []
        var since: Int64 = 0
        var isEmpty: Bool { lastSequence == 0 && blocks.isEmpty }
    }

    init(
        store: StoreWriter, input: BoundedQueue<CommitUnit>, pool: BatchPool, hasStreams: [Bool], firstSequence: Int64, lastStream: UInt32,
        intervals: Intervals, log: Log, onCommit: @escaping @Sendable ([Acknowledgement], [AlertAction]) -> Void,
        onProblem: @escaping @Sendable (String?) -> Void
    ) {
        (self.store, self.input, self.pool, self.shards, self.log) = (store, input, pool, hasStreams.count, log)
        nextSequence = firstSequence
        // A shard without streams needs nothing until its first batch; one with streams everything until it says otherwise.
        neededAfter = hasStreams.map { $0 ? 0 : .max }
        self.intervals = Locked(intervals)
        (self.onCommit, self.onProblem) = (onCommit, onProblem)
        pending.lastStream = lastStream
        statisticsBox.withLock { $0.committedSequence = firstSequence - 1 }
    }

    var statistics: Statistics { statisticsBox.withLock { $0 } }

    static let rowBytesMax = 4 << 20

    /// Serves until every shard has ended and all is committed.
    func run() {
        while true {
            let interval = intervals.withLock { $0.commit }
            let now = Clocks.monotonic()
            statisticsBox.withLock { $0.aliveAt = now }
            // Somebody waits for an answer: commit soon. Otherwise gather for the commit interval.
            let gather = pending.acknowledgements.isEmpty ? interval : min(interval, 10_000_000)
            let wait = pending.isEmpty ? 200_000_000 : max(0, pending.since + gather - now)
            if let unit = input.pop(timeoutNanoseconds: wait) { take(unit) }
            let isDue = !pending.isEmpty && Clocks.monotonic() - pending.since >= gather
            if isDue || pending.row.bytes.count >= WriterRunner.rowBytesMax || ended == shards { commit() }
            if ended == shards && pending.isEmpty { return finish() }
        }
    }

    // MARK: - Gathering

    private func take(_ unit: CommitUnit) {
        if pending.isEmpty { pending.since = Clocks.monotonic() }
        if unit.isLast { ended += 1 }
        if let needed = unit.journalNeededAfter { neededAfter[unit.shard] = needed }
        pending.blocks += unit.blocks
        guard let batch = unit.batch else { return }
        early[batch.sequence] = unit
        while let next = early.removeValue(forKey: nextSequence), let batch = next.batch {
            add(batch, next.actions)
            nextSequence += 1
        }
    }

    private func add(_ batch: ReadingBatch, _ actions: [AlertAction]) {
        if pending.lastSequence == 0 { pending.firstSequence = batch.sequence }
        pending.lastSequence = batch.sequence
        if neededAfter[batch.shard] == .max { neededAfter[batch.shard] = batch.sequence - 1 }
        pending.readings += Int64(batch.entryCount)
        pending.receivedAt = batch.receivedAt
        JournalCodec.append(batch, to: &pending.row)
        for note in batch.notes { if case .stream(let id, _) = note { pending.lastStream = max(pending.lastStream, id) } }
        if !batch.notes.isEmpty || !batch.acknowledgements.isEmpty {
            pending.notes.append((batch.notes, batch.acknowledgements, batch.receivedAt))
        }
        pending.acknowledgements += batch.acknowledgements
        for (ordinal, action) in actions.enumerated() { pending.actions.append((action, batch.sequence, ordinal)) }
        pending.totals = batch.totals
        pool.giveBack(batch)
    }

    // MARK: - Committing

    /// Commits what is pending; while the database refuses, it waits and tries again, and everybody before it waits too.
    private func commit() {
        var attempt = 0
        while true {
            do {
                try commitOnce()
                break
            } catch {
                attempt += 1
                statisticsBox.withLock {
                    $0.problem = error.description
                    $0.aliveAt = Clocks.monotonic()
                }
                if attempt == 1 {
                    log.error("cannot store readings; holding them back", ["reason": error.description])
                    onProblem(error.description)
                }
                if !isWorthRetrying(error, attempt) { return abandon(error) }
                Clocks.sleep(nanoseconds: Int64(min(5, attempt)) * 1_000_000_000)
            }
        }
        if attempt > 0 {
            log.notice("storing readings again", ["attempts": "\(attempt)"])
            statisticsBox.withLock { $0.problem = nil }
            onProblem(nil)
        }
    }

    /// On the way out a database that does not recover must not hang the stop for ever.
    private func isWorthRetrying(_ error: StoreError, _ attempt: Int) -> Bool { ended < shards || attempt < 20 }

    private func abandon(_ error: StoreError) {
        log.error(
            "gave up storing at the end; unacknowledged readings are lost",
            ["readings": "\(pending.readings)", "reason": error.description])
        clear()
    }

    private func commitOnce() throws(StoreError) {
        let now = Clocks.monotonic()
        let wall = Clocks.wall()
        let settings = intervals.withLock { $0 }
        let isSyncDue = now - syncedAt >= settings.durability || ended == shards
        // Blocks are only as new as what is committed with them.
        let ready = pending.blocks.filter { $0.sequence < nextSequence }
        try store.withSync(isSyncDue) { () throws(StoreError) in
            try store.transaction { () throws(StoreError) in
                if pending.lastSequence > 0 {
                    for item in pending.notes { try store.apply(item.notes, item.acknowledgements, receivedAt: item.receivedAt) }
                    try store.append(
                        JournalRow(
                            sequence: pending.lastSequence, firstSequence: pending.firstSequence, receivedAt: pending.receivedAt,
                            readings: pending.readings, payload: pending.row.bytes))
                    for item in pending.actions { try store.store(item.action, sequence: item.sequence, ordinal: item.ordinal, now: wall) }
                    if let totals = pending.totals {
                        try store.setTotals(
                            TotalsCodec.names(totals, sequence: pending.lastSequence) + [("last_stream", Int64(pending.lastStream))])
                    }
                }
                for block in ready {
                    try store.store(
                        CheckpointBlock(
                            block: block.block, sequence: block.sequence, layout: block.layout, streams: block.streams,
                            payload: block.payload),
                        now: wall)
                }
            }
        }
        if isSyncDue { syncedAt = now }
        onCommit(pending.acknowledgements, pending.actions.map(\.action))
        let opened = pending.actions.count { $0.action.transition == .opened }
        let (sequence, bytes, blocks) = (pending.lastSequence, store.payloadBytes, ready.count)
        statisticsBox.withLock {
            $0.commits += 1
            if sequence > 0 { $0.committedSequence = sequence }
            $0.lastCommitAt = wall
            $0.alertsOpened += Int64(opened)
            $0.payloadBytes = bytes
            $0.checkpoints += Int64(blocks)
            if blocks > 0 { $0.lastCheckpointAt = wall }
        }
        let waiting = pending.blocks.filter { $0.sequence >= nextSequence }
        clear()
        pending.blocks = waiting
        if !ready.isEmpty { try tidy(now, wall, settings) }
    }

    private func clear() {
        let last = pending.lastStream
        pending = Pending()
        pending.lastStream = last
        pending.since = Clocks.monotonic()
    }

    /// After checkpoints: the journal before them is not needed any more. Now and then: old alerts.
    private func tidy(_ now: Int64, _ wall: Int64, _ settings: Intervals) throws(StoreError) {
        // Blocks that still wait are not stored, so what their shards said about the journal does not hold yet.
        guard pending.blocks.isEmpty, early.isEmpty, let needed = neededAfter.min() else { return }
        let through = min(needed, nextSequence - 1)
        if through > truncatedThrough {
            try store.transaction { () throws(StoreError) in try store.truncateJournal(through: through) }
            truncatedThrough = through
        }
        guard now - retainedAt > 60_000_000_000 || retainedAt == 0 else { return }
        retainedAt = now
        var removed = 0
        try store.transaction { () throws(StoreError) in
            removed = try store.retain(storedAfter: wall - settings.retention, keep: settings.alertsMax)
        }
        if removed > 0 { log.info("deleted old alerts", ["alerts": "\(removed)"]) }
    }

    private func finish() {
        do { try store.compact() } catch { log.warning("cannot compact the database", ["reason": error.description]) }
    }
}
