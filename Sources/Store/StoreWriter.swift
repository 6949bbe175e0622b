import Alerting
import Migrations
import Readings
import TimeSeries

/// How much a crash of the machine may cost.
public enum Durability: String, Sendable, CaseIterable {
    /// Every commit is on the medium before it counts.
    case always
    /// Commits reach the medium at intervals; a power cut costs at most the last interval, a crash of the program nothing.
    case interval
    /// The kernel decides when.
    case none
}

/// Learned state of a block of streams as of a batch.
public struct CheckpointBlock: Sendable, Equatable {
    public var block: Int64
    /// The last batch whose readings are in it.
    public var sequence: Int64
    /// Version of the payload's layout.
    public var layout: UInt32
    public var streams: Int
    public var payload: [UInt8]

    public init(block: Int64, sequence: Int64, layout: UInt32, streams: Int, payload: [UInt8]) {
        (self.block, self.sequence, self.layout, self.streams, self.payload) = (block, sequence, layout, streams, payload)
    }

    /// Over the payload and everything that says what it is.
    var checksum: UInt32 {
        var head = ByteWriter()
        for number in [block, sequence, Int64(layout), Int64(streams)] { head.fixed64(UInt64(bitPattern: number)) }
        return CRC32C.checksum(payload, before: CRC32C.checksum(head.bytes))
    }
}

/// Consecutive batches as they stand in the journal (see `JournalCodec`).
public struct JournalRow: Sendable, Equatable {
    /// Of the last batch.
    public var sequence: Int64
    public var firstSequence: Int64
    public var receivedAt: Int64
    public var readings: Int64
    public var payload: [UInt8]

    public init(sequence: Int64, firstSequence: Int64, receivedAt: Int64, readings: Int64, payload: [UInt8]) {
        (self.sequence, self.firstSequence, self.receivedAt, self.readings) = (sequence, firstSequence, receivedAt, readings)
        self.payload = payload
    }

    /// Over the payload and its place in the journal.
    static func checksum(sequence: Int64, _ payload: [UInt8]) -> UInt32 {
        var head = ByteWriter()
        head.fixed64(UInt64(bitPattern: sequence))
        return CRC32C.checksum(payload, before: CRC32C.checksum(head.bytes))
    }
}

/// Something stored that cannot be read: where it lies, what is wrong, its bytes.
public struct StoredDamage: Sendable, Equatable {
    public enum Place: Sendable, Equatable {
        case checkpoint(block: Int64, slot: Int64)
        case journal(sequence: Int64)
        /// Journal rows of these batches are missing.
        case gap(first: Int64, last: Int64)
        case elsewhere
    }
    public var place: Place
    public var what: String
    public var reason: String
    public var payload: [UInt8]

    public init(place: Place, what: String, reason: String, payload: [UInt8] = []) {
        (self.place, self.what, self.reason, self.payload) = (place, what, reason, payload)
    }
}

/// What may stand among the totals beside them.
enum StoredTotals {
    private static let outside: Set<String> = ["checksum", "retention_clock"]

    /// Whether a name stands outside the common checksum.
    static func isOutside(_ name: String) -> Bool { outside.contains(name) || StreamLosses.isName(name) }

    static func checksum(_ totals: [(name: String, value: Int64)]) -> Int64 {
        var bytes = ByteWriter()
        for total in totals.sorted(by: { $0.name < $1.name }) {
            bytes.text(total.name)
            bytes.signed(total.value)
        }
        return Int64(CRC32C.checksum(bytes.bytes))
    }
}

/// The one writer of the database, for life. Owned by one thread.
public final class StoreWriter {
    private(set) var database: Database
    public let durability: Durability
    /// Which files are open: what stands at their paths must be these.
    var place: StorePlace
    /// What is stored goes into the open file, wherever that is.
    var isRescuing = false
    /// Payload bytes handed to SQLite since the start (before its own overhead).
    public private(set) var payloadBytes: Int64 = 0
    /// A sync failed since the log was last known to be on the medium.
    private var isLogDoubtful = false
    /// Streams that make room in the present transaction.
    private var evicted: Set<UInt32> = []
    /// An alert that opens so soon after one like it closed goes on with its acknowledgement (nanoseconds of reading time).
    public var reopenWithin: Int64 = 0
    /// When an acknowledgement or a shelf ends by itself next (wall time); nil: none does.
    public internal(set) var nextAttentionEnd: Int64?
    /// Silences that alerts begin or that shelve them.
    var watchfulSilences: [Silence] = []
    /// Whether a glob matches a text, for silences.
    public var matches: (String, String) -> Bool = { $0 == $1 }

    /// Opens or makes the file, applies missing migrations.
    ///
    /// A new file is made under another name and put in place when it is complete; so an empty file, or a log without its
    /// database, is damage and never the beginning of a new life.
    /// - Errors: `newerSchema`, `foreign`, `lost`, or what SQLite says.
    public init(path: String, durability: Durability, now: Int64) throws(StoreError) {
        self.durability = durability
        try StoreFiles.check(path)
        if !StoreFiles.exists(path) {
            if StoreFiles.size(path + "-wal") > 0 { throw .lost(path: path, reason: "it is gone, but its log \(path)-wal is there") }
            try StoreWriter.create(path)
        } else if StoreFiles.size(path) == 0 {
            throw .lost(path: path, reason: "it is empty")
        }
        database = try StoreWriter.open(path, durability)
        place = StorePlace(path: path)
        try loadPeople(now: now)
    }

    private static func open(_ path: String, _ durability: Durability) throws(StoreError) -> Database {
        let database = try Database(path: path, .readWrite)
        let application = try database.number("PRAGMA application_id", doing: "read \(path)") ?? 0
        guard application == Schema.applicationID else {
            throw .foreign(path: path, reason: "it is an SQLite database of another program")
        }
        let version = Int(clamping: try database.number("PRAGMA user_version", doing: "read \(path)") ?? 0)
        guard (0...Migrations.version).contains(version) else {
            throw .newerSchema(path: path, found: version, supported: Migrations.version)
        }
        try database.execute(
            """
            PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 16777216;
            PRAGMA synchronous = \(durability == .always ? "FULL" : "NORMAL");
            """, doing: "prepare \(path)")
        try migrate(database, from: version)
        // Makes the log and its index, so that it is known which files they are.
        try database.execute("BEGIN IMMEDIATE; ROLLBACK", doing: "prepare \(path)")
        database.watchLog()
        return database
    }

    /// Lets go of the open files and opens what stands at their path now.
    func reopen() throws(StoreError) {
        let path = database.path
        database.close()
        for suffix in ["-wal", "-shm"] { StoreFiles.remove(path + suffix) }
        database = try StoreWriter.open(path, durability)
        place = StorePlace(path: path)
        isLogDoubtful = false
    }

    /// Makes an empty database of the present schema. A failure leaves nothing at `path`.
    private static func create(_ path: String) throws(StoreError) {
        let making = path + ".new"
        StoreFiles.remove(making)
        StoreFiles.remove(making + "-journal")
        do {
            // SQLite gives the log and its index the mode of the database.
            try StoreFiles.makeEmpty(making, mode: StoreFiles.mode)
            let database = try Database(path: making, .readWrite)
            try database.execute(
                """
                PRAGMA page_size = \(Schema.pageBytes); PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL;
                PRAGMA application_id = \(Schema.applicationID);
                """, doing: "make \(path)")
            try migrate(database, from: 0)
        }
        try StoreFiles.put(making, at: path)
    }

    private static func migrate(_ database: Database, from version: Int) throws(StoreError) {
        for (index, step) in Migrations.all.enumerated().dropFirst(version) {
            try database.execute("BEGIN IMMEDIATE", doing: "begin migration \(step.name)")
            do {
                try database.execute(step.sql + "\n;PRAGMA user_version = \(index + 1);", doing: "apply migration \(step.name)")
                try database.execute("COMMIT", doing: "apply migration \(step.name)")
            } catch {
                try? database.execute("ROLLBACK", doing: "undo migration")
                throw error
            }
        }
    }

    /// Runs `body` as one transaction; an error undoes all of it.
    public func transaction(_ body: () throws(StoreError) -> Void) throws(StoreError) {
        try confirmPlace()
        try database.execute("BEGIN IMMEDIATE", doing: "begin a transaction")
        do {
            try body()
            try database.execute("COMMIT", doing: "commit")
        } catch {
            if database.isInTransaction { try? database.execute("ROLLBACK", doing: "roll back") }
            throw error
        }
    }

    /// Brings everything committed to the medium. SQLite itself does so only before it moves its log into the file
    /// (`Durability.interval`, `.none`) or at every commit (`.always`).
    /// - Errors: also `displaced`: what was committed is not where a restart looks for it, so nobody may be told that it is stored.
    public func sync() throws(StoreError) {
        if durability == .interval {
            let isDoubtful = isLogDoubtful
            isLogDoubtful = true
            if isDoubtful { try writeLogAgain() } else { try StoreFiles.sync(database.path + "-wal") }
            isLogDoubtful = false
        }
        try confirmPlace()
    }

    /// Holding the write lock: nobody else may change the log meanwhile.
    private func writeLogAgain() throws(StoreError) {
        try database.execute("BEGIN IMMEDIATE", doing: "lock the database")
        defer { try? database.execute("ROLLBACK", doing: "unlock the database") }
        try StoreFiles.writeAgain(database.path + "-wal")
    }

    /// Pages in the log from which on it is moved into the file.
    public static let logPagesMax = 2000
    /// Whether the log has grown enough to be moved into the file.
    public var isLogLong: Bool { database.pagesToMove >= StoreWriter.logPagesMax }

    /// Moves the log into the database file, as far as readers allow, so that it can begin again. Never inside a transaction.
    public func moveLog() throws(StoreError) {
        if isLogDoubtful { try writeLogAgain() }
        isLogDoubtful = true
        try database.moveLog(isWhole: false)
        isLogDoubtful = false
    }

    // MARK: - In a transaction

    /// Removes streams that made room, before `apply` adds others: a stream that comes back under a new number must find its key
    /// free, also when its new batch belongs to another shard and so comes first. Call once a transaction, with all its notes.
    public func evict(_ notes: [BatchNote]) throws(StoreError) {
        evicted.removeAll(keepingCapacity: true)
        for case .evicted(let stream) in notes {
            evicted.insert(stream)
            try database.run("DELETE FROM streams WHERE id = ?", [.integer(Int64(stream))], doing: "remove a stream")
        }
    }

    /// Stores what a batch tells beside its readings: new streams, and who is up to where.
    /// - Parameter sequence: of the batch.
    public func apply(
        _ notes: [BatchNote], _ acknowledgements: [Acknowledgement], receivedAt: Int64, sequence: Int64 = 0
    ) throws(StoreError) {
        for (ordinal, note) in notes.enumerated() {
            switch note {
            case .stream(let id, let key) where !evicted.contains(id):
                try database.run(
                    "INSERT OR IGNORE INTO streams (id, key, created_at) VALUES (?, ?, ?)",
                    [.integer(Int64(id)), .text(String(decoding: key, as: UTF8.self)), .integer(receivedAt)], doing: "store a stream")
            case .channel(let stream, let index, let name) where !evicted.contains(stream):
                try database.run(
                    "INSERT OR IGNORE INTO channels (stream_id, idx, name) VALUES (?, ?, ?)",
                    [.integer(Int64(stream)), .integer(Int64(index)), .text(String(decoding: name, as: UTF8.self))],
                    doing: "store a channel")
            case .person(let person): try apply(person, sequence: sequence, ordinal: ordinal)
            default: break
            }
        }
        for acknowledgement in acknowledgements where !acknowledgement.isAct {
            let producer = acknowledgement.producer
            guard acknowledgement.sequence >= 0 else {
                try forget(producer)
                continue
            }
            try database.run(
                """
                INSERT INTO producers (uid, name, sequence, updated_at, checksum) VALUES (?, ?, ?, ?, ?) ON CONFLICT (uid, name) DO UPDATE
                SET sequence = excluded.sequence, updated_at = excluded.updated_at, checksum = excluded.checksum
                WHERE excluded.sequence >= sequence
                """,
                [
                    .integer(ProducerColumn.user(producer.user)), .text(producer.name), .integer(acknowledgement.sequence),
                    .integer(receivedAt), .optional(acknowledgement.checksum.map { Int64($0) }),
                ], doing: "store a producer")
        }
    }

    /// Forgets how far a client was.
    /// - Returns: whether it was known.
    @discardableResult
    public func forget(_ producer: ProducerName) throws(StoreError) -> Bool {
        try database.run(
            "DELETE FROM producers WHERE uid = ? AND name = ?", [.integer(ProducerColumn.user(producer.user)), .text(producer.name)],
            doing: "forget a producer")
        return database.changes > 0
    }

    /// Stores the readings of consecutive batches as one row.
    public func append(_ row: JournalRow) throws(StoreError) {
        payloadBytes += Int64(row.payload.count)
        try database.run(
            "INSERT INTO journal (seq, first_seq, received_at, readings, checksum, payload) VALUES (?, ?, ?, ?, ?, ?)",
            [
                .integer(row.sequence), .integer(row.firstSequence), .integer(row.receivedAt), .integer(row.readings),
                .integer(Int64(JournalRow.checksum(sequence: row.sequence, row.payload))),
            ], bytes: row.payload, doing: "store readings")
    }

    /// Stores the ingest side's totals as of the last batch of the transaction, all of them, under a common checksum.
    public func sealTotals(_ totals: [(name: String, value: Int64)]) throws(StoreError) {
        try setTotals(totals + [("checksum", StoredTotals.checksum(totals))])
    }

    /// Stores what was lost of streams so far.
    public func store(losses: [UInt32: StreamLosses]) throws(StoreError) {
        for (stream, lost) in losses where !evicted.contains(stream) { try setTotals(lost.names(of: stream)) }
    }

    private func setTotals(_ totals: [(name: String, value: Int64)]) throws(StoreError) {
        for total in totals {
            try database.run(
                "INSERT INTO totals (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
                [.text(total.name), .integer(total.value)], doing: "store totals")
        }
    }

    /// Stores a step of an alert; `ordinal` is its place within the batch `sequence`.
    public func store(_ action: AlertAction, sequence: Int64, ordinal: Int, now: Int64) throws(StoreError) {
        try database.run(AlertColumns.upsert, AlertColumns.values(action.alert, now: now), doing: "store an alert")
        try database.run(
            """
            INSERT OR IGNORE INTO alert_events (alert_id, seq, ordinal, at, stored_at, transition, score, severity, who, note)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                .text(action.alert.id), .integer(sequence), .integer(Int64(ordinal)), .integer(action.time), .integer(now),
                .text(action.transition.rawValue), .optional(action.alert.peakScore), .text(action.alert.severity.rawValue),
                action.by.isEmpty ? .null : .text(action.by), action.text.isEmpty ? .null : .text(action.text),
            ], doing: "store an alert's step")
        try attend(action, now: now)
    }

    /// Stores a block's state in the older of its two slots. A block without streams needs none.
    public func store(_ block: CheckpointBlock, now: Int64) throws(StoreError) {
        guard block.streams > 0 else {
            return try database.run("DELETE FROM checkpoints WHERE block = ?", [.integer(block.block)], doing: "remove a checkpoint")
        }
        let newest = try database.number(
            "SELECT slot FROM checkpoints WHERE block = ? ORDER BY seq DESC, slot LIMIT 1", [.integer(block.block)],
            doing: "find a checkpoint")
        payloadBytes += Int64(block.payload.count)
        try database.run(
            "INSERT OR REPLACE INTO checkpoints (block, slot, seq, written_at, layout, streams, checksum, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                .integer(block.block), .integer(newest == 0 ? 1 : 0), .integer(block.sequence), .integer(now),
                .integer(Int64(block.layout)),
                .integer(Int64(block.streams)), .integer(Int64(block.checksum)),
            ], bytes: block.payload, doing: "store a checkpoint")
    }

    /// Removes journal rows that no checkpoint generation needs any more: all up to and including `sequence`.
    public func truncateJournal(through sequence: Int64) throws(StoreError) {
        try database.run("DELETE FROM journal WHERE seq <= ?", [.integer(sequence)], doing: "shorten the journal")
        try truncateModelRosters(through: sequence)
        try database.run("DELETE FROM stream_renames WHERE seq <= ?", [.integer(sequence)], doing: "shorten the list of renamed streams")
    }

    /// Keeps damaged bytes for inspection and takes them out of use, so that they are reported once.
    public func quarantine(_ damage: StoredDamage, now: Int64) throws(StoreError) {
        try database.run(
            "INSERT INTO quarantine (found_at, what, reason, payload) VALUES (?, ?, ?, ?)",
            [.integer(now), .text(damage.what), .text(damage.reason), .blob(damage.payload)], doing: "quarantine damaged state")
        switch damage.place {
        case .checkpoint(let block, let slot):
            try database.run(
                "DELETE FROM checkpoints WHERE block = ? AND slot = ?", [.integer(block), .integer(slot)], doing: "set a checkpoint aside")
        case .journal(let sequence):
            // The row stays, empty: the journal has no holes but by damage.
            try database.run(
                "UPDATE journal SET readings = 0, checksum = ?, payload = zeroblob(0) WHERE seq = ?",
                [.integer(Int64(JournalRow.checksum(sequence: sequence, []))), .integer(sequence)], doing: "set readings aside")
        case .gap(let first, let last):
            // An empty row stands for what is missing.
            try append(JournalRow(sequence: last, firstSequence: first, receivedAt: now, readings: 0, payload: []))
        case .elsewhere: break
        }
    }

    /// Closes an alert whose episode did not survive damage, and says so in it.
    public func closeOrphan(_ id: String, at time: Int64, sequence: Int64) throws(StoreError) {
        try database.run(
            """
            UPDATE alerts SET state = 'closed', closed_at = max(opened_at, ?), updated_at = max(updated_at, ?), stored_at = max(stored_at, ?),
            attention = 'new', shelved_until = NULL, close_reason = 'stream_gone', reason = reason || '; closed because what was learned about the stream was lost' WHERE id = ? AND state = 'open'
            """, [.integer(time), .integer(time), .integer(time), .text(id)], doing: "close an alert")
        try database.run(
            """
            INSERT OR IGNORE INTO alert_events (alert_id, seq, ordinal, at, stored_at, transition, score, severity)
            SELECT id, ?, 1000000, ?, ?, 'closed', NULL, severity FROM alerts WHERE id = ?
            """, [.integer(sequence), .integer(time), .integer(time), .text(id)], doing: "store an alert's step")
    }

    /// Deletes closed alerts that were stored longer than `retention` ago or are beyond the newest `keep`; likewise clients that
    /// were not heard of and damaged bytes that were set aside. Returns how many alerts.
    ///
    /// Age is told by a clock of its own that follows `now` (wall time), but at most 30 times as fast as time goes by
    /// (`elapsed`): a wall clock that stands in the wrong century for an hour deletes nothing.
    public func retain(now: Int64, elapsed: Int64, retention: Int64, keep: Int64) throws(StoreError) -> Int {
        let last = try database.number("SELECT value FROM totals WHERE name = 'retention_clock'", doing: "read totals")
        let clock = last.map { now > $0 ? min(now, $0.later(by: max(0, elapsed).times(30))) : $0 } ?? now
        try setTotals([("retention_clock", clock)])
        let before = clock.earlier(by: retention)
        try database.run("DELETE FROM producers WHERE updated_at < ?", [.integer(before)], doing: "forget old clients")
        try database.run("DELETE FROM quarantine WHERE found_at < ?", [.integer(before)], doing: "delete old damage")
        try forgetOldSilences(before: before)
        try database.run("DELETE FROM alerts WHERE state = 'closed' AND stored_at < ?", [.integer(before)], doing: "delete old alerts")
        var removed = database.changes
        try database.run(
            """
            DELETE FROM alerts WHERE state = 'closed' AND number <=
            (SELECT number FROM alerts WHERE state = 'closed' ORDER BY number DESC LIMIT 1 OFFSET ?)
            """, [.integer(keep)], doing: "delete surplus alerts")
        removed += database.changes
        return removed
    }

    // MARK: - Outside

    /// Moves the write-ahead log into the database file and gives free pages back.
    public func compact() throws(StoreError) {
        try database.execute("PRAGMA incremental_vacuum(256)", doing: "compact the database")
        try database.moveLog(isWhole: true)
    }
}

enum Schema {
    /// "rnnw" in ASCII: tells our files from others (PRAGMA application_id).
    static let applicationID: Int64 = 0x726E_6E77
    /// A commit writes whole pages: small ones cost less.
    static let pageBytes = 4096
}
