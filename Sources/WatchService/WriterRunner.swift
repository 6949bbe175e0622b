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
        /// Everything written before this is on the medium (wall time); nil when the durability level does not ask.
        var lastSyncAt: Int64?
        /// Bytes given to block devices since the start, and a day at the present rate (nil: not known yet).
        var bytesWritten: Int64 = 0
        var bytesWrittenPerDay: Int64?
        /// The intervals are multiplied by this to keep to the write budget.
        var stretch = 1.0
        /// Why commits fail at present; nil when they do not.
        var problem: String?
        var aliveAt: Int64 = 0
        var checkpoints: Int64 = 0
        /// Readings that were accepted and could not be stored; known at the end.
        var readingsLost: Int64 = 0
    }

    struct Intervals: Sendable {
        var commit: Int64
        var durability: Int64
        var retention: Int64
        var alertsMax: Int64
        /// An alert that opens so soon after one like it closed goes on with its acknowledgement.
        var reopenWithin: Int64
        /// Bytes a day; nil for no limit.
        var budget: Int64?
    }

    /// The write budget stretches commits and syncs at most to this: what a kill or a power cut may cost stays small.
    static let commitIntervalMax: Int64 = 60_000_000_000

    let store: StoreWriter
    private let input: BoundedQueue<CommitUnit>
    private let pool: BatchPool
    private let room: BlockRoom
    private let shards: Int
    let log: Log
    let intervals: Locked<Intervals>
    private let statisticsBox = Locked(Statistics())
    /// Called after each commit with what can be acknowledged and told.
    private let onCommit: @Sendable ([Acknowledgement], [AlertAction]) -> Void
    /// Called when the database stops or starts to take commits.
    private let onProblem: @Sendable (String?) -> Void
    /// Called when the write budget stretches the intervals by another factor.
    private let onStretch: @Sendable (Double) -> Void
    /// Called when steps of alerts were stored that nobody's readings made.
    let onSteps: @Sendable () -> Void
    var attendedAt: Int64 = 0

    // Units that wait for those before them, by sequence of their batch.
    private var early: [Int64: CommitUnit] = [:]
    /// The first batch that is not in `pending` (or stored) yet, and the first that is not in `tail` either.
    private var nextSequence: Int64
    private var tailSequence: Int64
    private var pending = Pending()
    /// Batches of a group whose end has not come yet (a line may be cut over several batches): never committed alone.
    private var tail = Pending()
    /// Acknowledgements of what is committed but not yet on the medium.
    private var held: [Acknowledgement] = []
    private var isUnsynced = false
    private var budget = WriteBudget(bytesPerDay: nil)
    private var budgetLookedAt: Int64 = 0
    /// Monotonic time from which on a database that refuses is given up; nil while nobody wants to stop.
    private let stopBy = Locked<Int64?>(nil)
    /// Once something was given up nothing may follow it: a hole would break the replay.
    private var hasGivenUp = false
    /// Readings that were given up.
    private var readingsLost: Int64 = 0
    /// What is stored goes into a file that is not at its path any more; nobody is told that it is stored.
    private var isRescuing = false
    private var placeLookedAt: Int64 = 0
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
        var notes: [(notes: [BatchNote], acknowledgements: [Acknowledgement], receivedAt: Int64, sequence: Int64)] = []
        /// Notes in `notes`.
        var noteCount = 0
        var rosters: [ModelRoster] = []
        var actions: [(action: AlertAction, sequence: Int64, ordinal: Int)] = []
        var acknowledgements: [Acknowledgement] = []
        var totals: IngestTotals?
        /// The highest number and the last turn of `StreamNumber`.
        var lastStream: (number: UInt32, turn: Int) = (0, 0)
        var blocks: [BlockSnapshot] = []
        var since: Int64 = 0
        var isEmpty: Bool { lastSequence == 0 && blocks.isEmpty }

        /// Appends what follows.
        mutating func take(_ next: Pending) {
            guard next.lastSequence > 0 else { return }
            if lastSequence == 0 { firstSequence = next.firstSequence }
            row.append(next.row)
            (lastSequence, receivedAt) = (next.lastSequence, next.receivedAt)
            readings += next.readings
            notes += next.notes
            noteCount += next.noteCount
            rosters += next.rosters
            actions += next.actions
            acknowledgements += next.acknowledgements
            if var newer = next.totals {
                newer.losses.merge(totals?.losses ?? [:]) { new, _ in new }
                totals = newer
            }
            lastStream = (max(lastStream.number, next.lastStream.number), max(lastStream.turn, next.lastStream.turn))
        }

        /// Empties it; the memory of a usual row is kept.
        mutating func clear() {
            var kept = row.bytes.capacity <= Pending.rowBytesKept ? row : ByteWriter()
            row = ByteWriter()
            kept.removeAll()
            self = Pending()
            row = kept
        }
        private static let rowBytesKept = 1 << 20
    }

    init(
        store: StoreWriter, input: BoundedQueue<CommitUnit>, pool: BatchPool, room: BlockRoom, hasStreams: [Bool], firstSequence: Int64,
        lastStream: (number: UInt32, turn: Int), intervals: Intervals, log: Log,
        onCommit: @escaping @Sendable ([Acknowledgement], [AlertAction]) -> Void,
        onProblem: @escaping @Sendable (String?) -> Void, onStretch: @escaping @Sendable (Double) -> Void,
        onSteps: @escaping @Sendable () -> Void
    ) {
        (self.store, self.input, self.pool, self.room, self.shards, self.log) = (store, input, pool, room, hasStreams.count, log)
        nextSequence = firstSequence
        tailSequence = firstSequence
        // A shard without streams needs nothing until its first batch; one with streams everything until it says otherwise.
        neededAfter = hasStreams.map { $0 ? 0 : .max }
        self.intervals = Locked(intervals)
        (self.onCommit, self.onProblem, self.onStretch, self.onSteps) = (onCommit, onProblem, onStretch, onSteps)
        pending.lastStream = lastStream
        statisticsBox.withLock { $0.committedSequence = firstSequence - 1 }
    }

    var statistics: Statistics { statisticsBox.withLock { $0 } }

    /// What is pending takes so much memory from here on that it is committed before its time: bytes of readings, and of checkpoint blocks.
    static let bytesMax = 4 << 20
    /// New streams and channels of one commit: each is a row.
    static let notesMax = 4096
    /// The same where readings come faster than so many bytes a second (about 32,000 readings). What a commit takes of a processor at a stretch,
    /// nobody else has there: after one of 4 MB two shards that shared the other processor with everything else had fallen behind.
    static let bytesOfHighRate = 256 << 10

    /// Whether so many bytes of readings, gathered in so many nanoseconds, are committed before their time. Many small commits write more
    /// pages than few large ones, so there are none where a write budget stretches the intervals.
    static func isLarge(rowBytes: Int, nanoseconds: Int64, stretch: Double) -> Bool {
        guard rowBytes >= bytesOfHighRate else { return false }
        if rowBytes >= bytesMax { return true }
        return stretch <= 1 && Double(rowBytes) >= Double(bytesOfHighRate) * Double(nanoseconds) * 1e-9
    }

    /// Begins the end: a database that does not recover within `seconds` is given up.
    func prepareStop(seconds: Int64 = 20) {
        let until = Clocks.monotonic() + seconds * 1_000_000_000
        stopBy.withLock { $0 = $0 ?? until }
    }

    /// Work that others ask of the store's owner, done between commits.
    private let jobs = Locked<[@Sendable (StoreWriter) -> Void]>([])

    /// Has the writer's thread do something with the store, outside any transaction of its own; waits for the answer.
    /// - Returns: nil when the writer did not come to it in time (it holds readings back, or has ended); then it never will.
    func ask<Answer: Sendable>(timeoutSeconds: Int64 = 10, _ job: @escaping @Sendable (StoreWriter) -> Answer) -> Answer? {
        let isGivenUp = Locked(false)
        let answers = BoundedQueue<Answer>(capacity: 1)
        jobs.withLock {
            $0.append { store in
                isGivenUp.withLock { if !$0 { answers.push(job(store)) } }
            }
        }
        if let answer = answers.pop(timeoutNanoseconds: timeoutSeconds * 1_000_000_000) { return answer }
        return isGivenUp.withLock {
            $0 = true
            return answers.pop(timeoutNanoseconds: 0)
        }
    }

    private func doJobs() {
        let waiting = jobs.withLock { list in
            defer { list.removeAll() }
            return list
        }
        for job in waiting { job(store) }
    }

    /// Serves until every shard has ended and all is committed.
    func run() {
        while true {
            doJobs()
            attend()
            let now = Clocks.monotonic()
            statisticsBox.withLock { $0.aliveAt = now }
            let settings = stretchedIntervals(now)
            let wait = min(200_000_000, commitDue(settings) - now, syncDue(settings) - now)
            if let unit = input.pop(timeoutNanoseconds: max(0, wait)) {
                take(unit)
                gather(settings)
            }
            let isLate = Clocks.monotonic() >= commitDue(settings)
            if !pending.isEmpty, isLate || isLarge || ended == shards {
                persist(settings)
            } else if isUnsynced, Clocks.monotonic() >= syncDue(settings) || ended == shards {
                persist(settings)
            } else if now - placeLookedAt > 200_000_000 {
                placeLookedAt = now
                do { try store.confirmPlace() } catch { persist(settings) }
            }
            if ended == shards && pending.isEmpty { return finish() }
        }
    }

    /// What is pending is committed before its time.
    private var isLarge: Bool {
        WriterRunner.isLarge(
            rowBytes: pending.row.bytes.count, nanoseconds: Clocks.monotonic() - pending.since, stretch: budget.stretch)
            || pending.noteCount >= WriterRunner.notesMax || readyBlocks.reduce(0) { $0 + $1.payload.count } >= WriterRunner.bytesMax
    }

    /// Blocks are only as new as what is committed with them.
    private var readyBlocks: [BlockSnapshot] { pending.blocks.filter { $0.sequence < nextSequence } }

    /// When what is pending must be committed (monotonic time): sooner when somebody waits for an answer.
    private func commitDue(_ settings: Intervals) -> Int64 {
        guard !pending.isEmpty else { return .max }
        // An alert is told once it is stored: that should be soon.
        let due = pending.since + (pending.actions.isEmpty ? settings.commit : min(settings.commit, 100_000_000))
        guard !pending.acknowledgements.isEmpty else { return due }
        // A person waits.
        if pending.acknowledgements.contains(where: \.isAct) { return min(due, pending.since + 10_000_000) }
        switch store.durability {
        case .always: return min(due, pending.since + 10_000_000)
        // An answer waits for the medium, so a commit before the next sync is due would be of no use to it.
        case .interval: return min(due, max(syncedAt + settings.durability, pending.since + 10_000_000))
        case .none: return min(due, pending.since + 100_000_000)
        }
    }

    /// When what is committed must be on the medium.
    private func syncDue(_ settings: Intervals) -> Int64 {
        guard isUnsynced else { return .max }
        return held.contains(where: \.isAct) ? syncedAt : syncedAt + settings.durability
    }

    /// The intervals under the write budget.
    private func stretchedIntervals(_ now: Int64) -> Intervals {
        var settings = intervals.withLock { $0 }
        if now - budgetLookedAt > 5_000_000_000 || budget.bytesPerDay != settings.budget {
            budgetLookedAt = now
            budget.bytesPerDay = settings.budget
            let bytes = WriteBudget.processBytes() ?? store.payloadBytes
            let isNews = budget.observe(bytes: bytes, now: now)
            statisticsBox.withLock {
                ($0.bytesWritten, $0.bytesWrittenPerDay, $0.stretch) = (bytes, budget.measuredPerDay, budget.stretch)
            }
            if isNews {
                onStretch(budget.stretch)
                let factor = (budget.stretch * 10).rounded() / 10
                log.info("write budget: intervals are multiplied by \(factor)", ["bytes_per_day": "\(budget.measuredPerDay ?? 0)"])
            }
        }
        settings.commit = budget.stretched(settings.commit, max: WriterRunner.commitIntervalMax)
        settings.durability = budget.stretched(settings.durability, max: WriterRunner.commitIntervalMax)
        return settings
    }

    // MARK: - Gathering

    /// Takes what waits and, when nothing is due, rests a moment before it looks again: a shard that hands over a batch need not wake
    /// the writer every time, nor share its processor with it. A batch for whose storage somebody waits ends the rest.
    private func gather(_ settings: Intervals) {
        let due = min(commitDue(settings), syncDue(settings))
        while !isLarge, Clocks.monotonic() < due, let unit = input.pop(timeoutNanoseconds: 0) { take(unit) }
        let moment = min(WriterRunner.momentMax, settings.commit / 8)
        guard !isLarge, ended < shards, input.count == 0, min(commitDue(settings), syncDue(settings)) - Clocks.monotonic() > moment
        else { return }
        input.rest(nanoseconds: moment, count: min(WriterRunner.unitsAtOnce * max(2, shards), pool.fullMax / 4))
    }

    /// The writer's longest rest between two looks at its queue (nanoseconds), and how many batches of each shard end it before: fewer where
    /// few may be under way.
    static let momentMax: Int64 = 10_000_000
    static let unitsAtOnce = 16

    private func take(_ unit: CommitUnit) {
        if pending.isEmpty { pending.since = Clocks.monotonic() }
        if unit.isLast { ended += 1 }
        if let needed = unit.journalNeededAfter { neededAfter[unit.shard] = needed }
        pending.blocks += unit.blocks
        guard let batch = unit.batch else { return }
        guard batch.sequence == tailSequence else {
            early[batch.sequence] = unit
            return
        }
        add(batch, unit.actions)
        while !early.isEmpty, let next = early.removeValue(forKey: tailSequence), let batch = next.batch { add(batch, next.actions) }
    }

    /// Adds the next batch.
    private func add(_ batch: ReadingBatch, _ actions: [AlertAction]) {
        let isGroupEnd = batch.isGroupEnd
        if tail.lastSequence == 0 { tail.firstSequence = batch.sequence }
        tail.lastSequence = batch.sequence
        if neededAfter[batch.shard] == .max { neededAfter[batch.shard] = batch.sequence - 1 }
        tail.readings += Int64(batch.entryCount)
        tail.receivedAt = batch.receivedAt
        if !Failpoint.fails("journal.skip") { JournalCodec.append(batch, to: &tail.row) }
        for note in batch.notes {
            guard case .stream(let id, _) = note else { continue }
            tail.lastStream = (max(tail.lastStream.number, id), max(tail.lastStream.turn, StreamNumber.turn(of: id)))
        }
        for note in batch.notes {
            guard case .models(let models) = note else { continue }
            tail.rosters.append(ModelRoster(sequence: batch.sequence, shard: batch.shard, shards: batch.shards, assignments: models))
        }
        if !batch.notes.isEmpty || !batch.acknowledgements.isEmpty {
            tail.notes.append((batch.notes, batch.acknowledgements, batch.receivedAt, batch.sequence))
            tail.noteCount += batch.notes.count
        }
        tail.acknowledgements += batch.acknowledgements
        for (ordinal, action) in actions.enumerated() { tail.actions.append((action, batch.sequence, ordinal)) }
        if isGroupEnd { tail.totals = batch.totals }
        pool.giveBack(batch)
        tailSequence += 1
        guard isGroupEnd else { return }
        if pending.isEmpty { pending.since = Clocks.monotonic() }
        pending.take(tail)
        tail.clear()
        nextSequence = tailSequence
    }

    // MARK: - Committing

    /// Commits what is pending and syncs when that is due; while the database refuses, it waits and tries again, and everybody
    /// before it waits too.
    private func persist(_ settings: Intervals) {
        var attempt = 0
        while !hasGivenUp {
            do {
                try store.confirmPlace()
                if !pending.isEmpty { try commitOnce(settings) }
                try syncIfDue(settings)
                try moveLogIfLong()
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
                if case .displaced = error, recover() { continue }
                if let until = stopBy.withLock({ $0 }), Clocks.monotonic() >= until {
                    abandon(error)
                } else {
                    Clocks.sleep(nanoseconds: Int64(min(4, attempt)) * 250_000_000)
                }
            }
        }
        if hasGivenUp {
            readingsLost += pending.readings
            giveBack(pending.blocks)
            return clear()
        }
        if attempt > 0, !isRescuing {
            log.notice("storing readings again", ["attempts": "\(attempt)"])
            statisticsBox.withLock { $0.problem = nil }
            onProblem(nil)
        }
    }

    /// true: the database is at its path again, with everything that was committed.
    private func recover() -> Bool {
        do {
            try store.recover()
            log.notice("the database is at its path again, whole")
            return true
        } catch {
            statisticsBox.withLock { $0.problem = error.description }
            return false
        }
    }

    private func abandon(_ error: StoreError) {
        if case .displaced = error, !isRescuing {
            isRescuing = true
            store.beginRescue()
            return
        }
        hasGivenUp = true
        log.error("the database still refuses at the end; nothing more is stored", ["reason": error.description])
    }

    /// Readings that were accepted and are not stored where the next start looks; after the end.
    var lost: Int64 { statisticsBox.withLock { $0.readingsLost } }

    /// The place of a failpoint inside a step of the store.
    private func failpoint(_ name: StaticString) throws(StoreError) {
        if Failpoint.fails(name) { throw .sqlite(doing: "pass failpoint \(name)", code: StoreError.inputOutputCode, message: "injected") }
    }

    private func commitOnce(_ settings: Intervals) throws(StoreError) {
        let wall = Clocks.wall()
        let ready = readyBlocks
        try failpoint("commit.begin")
        try store.transaction { () throws(StoreError) in
            if pending.lastSequence > 0 { try storePending(wall) }
            for block in ready {
                try failpoint("commit.block")
                try store.store(
                    CheckpointBlock(
                        block: block.block, sequence: block.sequence, layout: block.layout, streams: block.streams, payload: block.payload),
                    now: wall)
            }
            try failpoint("commit.end")
        }
        Failpoint.pass("commit.done")
        isUnsynced = true
        giveBack(ready)
        held += pending.acknowledgements
        count(ready.count, wall)
        let (actions, stored) = (pending.actions.map(\.action), pending.readings)
        let waiting = pending.blocks.filter { $0.sequence >= nextSequence }
        clear()
        pending.blocks = waiting
        if isRescuing { readingsLost += stored } else { onCommit([], actions) }
        Failpoint.pass("commit.told")
        if store.durability != .interval {
            try store.confirmPlace()
            settle(wall)
        }
        if !ready.isEmpty { try tidy(wall, settings) }
    }

    /// What came of the readings, with the readings themselves.
    private func storePending(_ wall: Int64) throws(StoreError) {
        try store.evict(pending.notes.flatMap(\.notes))
        for item in pending.notes {
            try store.apply(item.notes, item.acknowledgements, receivedAt: item.receivedAt, sequence: item.sequence)
        }
        for roster in pending.rosters { try store.store(roster) }
        try failpoint("commit.journal")
        if !pending.row.bytes.isEmpty {
            try store.append(
                JournalRow(
                    sequence: pending.lastSequence, firstSequence: pending.firstSequence, receivedAt: pending.receivedAt,
                    readings: pending.readings, payload: pending.row.bytes))
        }
        try failpoint("commit.alerts")
        for item in pending.actions {
            try store.store(item.action, sequence: item.sequence, ordinal: item.ordinal, now: wall)
            try failpoint("commit.alert")
        }
        try failpoint("commit.totals")
        guard let totals = pending.totals else { return }
        try store.sealTotals(
            TotalsCodec.names(
                totals, sequence: pending.lastSequence, lastStream: pending.lastStream.number, lastTurn: pending.lastStream.turn))
        try store.store(losses: totals.losses)
    }

    private func count(_ blocks: Int, _ wall: Int64) {
        let opened = pending.actions.count { $0.action.transition == .opened }
        let (sequence, bytes) = (pending.lastSequence, store.payloadBytes)
        statisticsBox.withLock {
            $0.commits += 1
            if sequence > 0 { $0.committedSequence = sequence }
            $0.lastCommitAt = wall
            $0.alertsOpened += Int64(opened)
            $0.payloadBytes = bytes
            $0.checkpoints += Int64(blocks)
            if blocks > 0 { $0.lastCheckpointAt = wall }
        }
    }

    /// Brings commits to the medium when the interval is over, and only then acknowledges what they hold.
    private func syncIfDue(_ settings: Intervals) throws(StoreError) {
        guard isUnsynced, Clocks.monotonic() >= syncDue(settings) || ended == shards else { return }
        try failpoint("sync.begin")
        try store.sync()
        settle(Clocks.wall())
    }

    /// After acknowledging, not before: nobody waits for it.
    private func moveLogIfLong() throws(StoreError) {
        // Armed only so that a test need not write so much.
        guard store.isLogLong || Failpoint.fails("log.early") else { return }
        try failpoint("log.begin")
        try store.moveLog()
        Failpoint.pass("log.end")
    }

    /// Everything committed is as safe as the durability level promises: whoever waits may be told.
    private func settle(_ wall: Int64) {
        isUnsynced = false
        syncedAt = Clocks.monotonic()
        if store.durability != .none { statisticsBox.withLock { $0.lastSyncAt = wall } }
        Failpoint.pass("acknowledge.begin")
        if !isRescuing { onCommit(held, []) }
        held.removeAll(keepingCapacity: true)
        Failpoint.pass("acknowledge.end")
    }

    private func giveBack(_ blocks: [BlockSnapshot]) { room.giveBack(blocks.reduce(0) { $0 + $1.payload.count }) }

    private func clear() {
        let last = pending.lastStream
        pending.clear()
        pending.lastStream = last
        pending.since = Clocks.monotonic()
    }

    /// After checkpoints: the journal before them is not needed any more. Now and then: old alerts.
    private func tidy(_ wall: Int64, _ settings: Intervals) throws(StoreError) {
        // Blocks that still wait are not stored, so what their shards said about the journal does not hold yet.
        guard pending.blocks.isEmpty, early.isEmpty, let needed = neededAfter.min() else { return }
        let through = min(needed, nextSequence - 1)
        if through > truncatedThrough {
            try failpoint("truncate.begin")
            try store.transaction { () throws(StoreError) in
                try store.truncateJournal(through: through)
                try failpoint("truncate.end")
            }
            Failpoint.pass("truncate.done")
            truncatedThrough = through
        }
        let now = Clocks.monotonic()
        guard now - retainedAt > 60_000_000_000 || retainedAt == 0 else { return }
        let elapsed = retainedAt == 0 ? 0 : now - retainedAt
        retainedAt = now
        var removed = 0
        try store.transaction { () throws(StoreError) in
            removed = try store.retain(now: wall, elapsed: elapsed, retention: settings.retention, keep: settings.alertsMax)
            try failpoint("retain.end")
        }
        if removed > 0 { log.info("deleted old alerts", ["alerts": "\(removed)"]) }
    }

    private func finish() {
        Failpoint.pass("finish.begin")
        if hasGivenUp || isRescuing { tellLoss() }
        guard !hasGivenUp, !isRescuing else { return }
        do { try store.compact() } catch { log.warning("cannot compact the database", ["reason": error.description]) }
        Failpoint.pass("finish.end")
    }

    private func tellLoss() {
        readingsLost += tail.readings
        for unit in early.values { readingsLost += Int64(unit.batch?.entryCount ?? 0) }
        statisticsBox.withLock { $0.readingsLost = readingsLost }
        if isRescuing, !hasGivenUp {
            do {
                let path = try store.leaveCopy()
                return log.error(
                    "everything was stored beside the file that took the database's place; the next start refuses until one is put away",
                    ["file": path, "readings_not_acknowledged": "\(readingsLost)"])
            } catch { log.error("cannot leave a copy of the database", ["reason": error.description]) }
        }
        log.error(
            "gave up storing at the end; readings that were not stored are lost, senders that wait for acknowledgement send them again",
            ["readings": "\(readingsLost)"])
    }
}
