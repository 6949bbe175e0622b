import Alerting
import Migrations
import Readings

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
}

/// The one writer of the database, for life. Owned by one thread.
public final class StoreWriter {
    private let database: Database
    public let durability: Durability
    /// Payload bytes handed to SQLite since the start (before its own overhead).
    public private(set) var payloadBytes: Int64 = 0

    /// Opens or makes the file, applies missing migrations.
    /// - Errors: `newerSchema`, `foreign`, or what SQLite says.
    public init(path: String, durability: Durability, now: Int64) throws(StoreError) {
        self.durability = durability
        database = try Database(path: path, readOnly: false)
        let pageCount = try database.number("PRAGMA page_count", doing: "read \(path)") ?? 0
        let version = Int(try database.number("PRAGMA user_version", doing: "read \(path)") ?? 0)
        let application = try database.number("PRAGMA application_id", doing: "read \(path)") ?? 0
        guard pageCount == 0 || application == Schema.applicationID else {
            throw .foreign(path: path, reason: "it is an SQLite database of another program")
        }
        guard version <= Migrations.version else {
            throw .newerSchema(path: path, found: version, supported: Migrations.version)
        }
        if pageCount == 0 { try database.execute("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL", doing: "prepare \(path)") }
        try database.execute(
            """
            PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;
            PRAGMA wal_autocheckpoint = 2000; PRAGMA application_id = \(Schema.applicationID);
            """, doing: "prepare \(path)")
        try setSynchronous(durability == .always ? "FULL" : durability == .interval ? "NORMAL" : "OFF")
        for (index, step) in Migrations.all.enumerated().dropFirst(version) {
            try database.execute("BEGIN IMMEDIATE", doing: "migrate \(path)")
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
        try database.execute("BEGIN IMMEDIATE", doing: "begin a transaction")
        do {
            try body()
            try database.execute("COMMIT", doing: "commit")
        } catch {
            if database.isInTransaction { try? database.execute("ROLLBACK", doing: "roll back") }
            throw error
        }
    }

    /// Makes the next commit reach the medium (used at intervals with `Durability.interval`).
    public func withSync(_ isNeeded: Bool, _ body: () throws(StoreError) -> Void) throws(StoreError) {
        guard isNeeded, durability == .interval else { return try body() }
        try setSynchronous("FULL")
        defer { try? setSynchronous("NORMAL") }
        try body()
    }

    private func setSynchronous(_ level: String) throws(StoreError) {
        try database.execute("PRAGMA synchronous = \(level)", doing: "set durability")
    }

    // MARK: - In a transaction

    /// Stores what a batch tells beside its readings: new and evicted streams, and who is up to where.
    public func apply(_ notes: [BatchNote], _ acknowledgements: [Acknowledgement], receivedAt: Int64) throws(StoreError) {
        for note in notes {
            switch note {
            case .stream(let id, let key):
                try database.run(
                    "INSERT OR IGNORE INTO streams (id, key, created_at) VALUES (?, ?, ?)",
                    [.integer(Int64(id)), .text(String(decoding: key, as: UTF8.self)), .integer(receivedAt)], doing: "store a stream")
            case .channel(let stream, let index, let name):
                try database.run(
                    "INSERT OR IGNORE INTO channels (stream_id, idx, name) VALUES (?, ?, ?)",
                    [.integer(Int64(stream)), .integer(Int64(index)), .text(String(decoding: name, as: UTF8.self))],
                    doing: "store a channel")
            case .evicted(let stream):
                try database.run("DELETE FROM streams WHERE id = ?", [.integer(Int64(stream))], doing: "remove a stream")
            case .condition: break
            }
        }
        for acknowledgement in acknowledgements {
            try database.run(
                """
                INSERT INTO producers (name, sequence, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET
                sequence = max(sequence, excluded.sequence), updated_at = excluded.updated_at
                """, [.text(acknowledgement.producer), .integer(acknowledgement.sequence), .integer(receivedAt)], doing: "store a producer")
        }
    }

    /// Stores the readings of consecutive batches as one row.
    public func append(_ row: JournalRow) throws(StoreError) {
        payloadBytes += Int64(row.payload.count)
        try database.run(
            "INSERT INTO journal (seq, first_seq, received_at, readings, checksum, payload) VALUES (?, ?, ?, ?, ?, ?)",
            [
                .integer(row.sequence), .integer(row.firstSequence), .integer(row.receivedAt), .integer(row.readings),
                .integer(Int64(CRC32C.checksum(row.payload))), .blob(row.payload),
            ], doing: "store readings")
    }

    /// Stores the ingest side's totals as of the last batch of the transaction.
    public func setTotals(_ totals: [(name: String, value: Int64)]) throws(StoreError) {
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
            "INSERT OR IGNORE INTO alert_events (alert_id, seq, ordinal, at, transition, score) VALUES (?, ?, ?, ?, ?, ?)",
            [
                .text(action.alert.id), .integer(sequence), .integer(Int64(ordinal)), .integer(action.time),
                .text(action.transition.rawValue), .optional(action.alert.peakScore),
            ], doing: "store an alert's step")
    }

    /// Stores a block's state in the older of its two slots.
    public func store(_ block: CheckpointBlock, now: Int64) throws(StoreError) {
        let newest = try database.number(
            "SELECT slot FROM checkpoints WHERE block = ? ORDER BY seq DESC, slot LIMIT 1", [.integer(block.block)],
            doing: "find a checkpoint")
        payloadBytes += Int64(block.payload.count)
        try database.run(
            "INSERT OR REPLACE INTO checkpoints (block, slot, seq, written_at, layout, streams, checksum, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                .integer(block.block), .integer(newest == 0 ? 1 : 0), .integer(block.sequence), .integer(now),
                .integer(Int64(block.layout)),
                .integer(Int64(block.streams)), .integer(Int64(CRC32C.checksum(block.payload))), .blob(block.payload),
            ], doing: "store a checkpoint")
    }

    /// Removes journal rows that no checkpoint generation needs any more: all up to and including `sequence`.
    public func truncateJournal(through sequence: Int64) throws(StoreError) {
        try database.run("DELETE FROM journal WHERE seq <= ?", [.integer(sequence)], doing: "shorten the journal")
    }

    /// Removes state of blocks whose streams are all gone.
    public func removeCheckpoints(block: Int64) throws(StoreError) {
        try database.run("DELETE FROM checkpoints WHERE block = ?", [.integer(block)], doing: "remove a checkpoint")
    }

    /// Keeps damaged bytes for inspection.
    public func quarantine(what: String, reason: String, payload: [UInt8], now: Int64) throws(StoreError) {
        try database.run(
            "INSERT INTO quarantine (found_at, what, reason, payload) VALUES (?, ?, ?, ?)",
            [.integer(now), .text(what), .text(reason), .blob(payload)], doing: "quarantine damaged state")
    }

    /// Deletes closed alerts that were stored before `before` (wall time) or are beyond the newest `keep`. Returns how many.
    public func retain(storedAfter before: Int64, keep: Int64) throws(StoreError) -> Int {
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
        try database.execute("PRAGMA incremental_vacuum(256); PRAGMA wal_checkpoint(TRUNCATE)", doing: "compact the database")
    }
}

enum Schema {
    /// "rnnw" in ASCII: tells our files from others (PRAGMA application_id).
    static let applicationID: Int64 = 0x726E_6E77
}
