import Migrations
import Readings
import Tabular

/// Reads the database: at start for restoring, at any time for questions. Owned by one thread.
public final class StoreReader {
    let database: Database

    /// Opens an existing file read-only.
    /// - Errors: `newerSchema`, `foreign` when it is not ours or not there.
    public init(path: String) throws(StoreError) {
        database = try Database(path: path, readOnly: true)
        let application = try database.number("PRAGMA application_id", doing: "read \(path)") ?? 0
        let version = Int(try database.number("PRAGMA user_version", doing: "read \(path)") ?? 0)
        guard application == Schema.applicationID else { throw .foreign(path: path, reason: "it is not a database of rnn-watchd") }
        guard version <= Migrations.version else { throw .newerSchema(path: path, found: version, supported: Migrations.version) }
        guard version == Migrations.version else {
            throw .foreign(
                path: path, reason: "its schema version is \(version), expected \(Migrations.version); start rnn-watchd once to upgrade it")
        }
    }

    /// Runs `body` on one consistent view of the database. Keep it short: a long view stops the log from shrinking.
    public func view<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
        try database.execute("BEGIN", doing: "begin reading")
        defer { try? database.execute("COMMIT", doing: "end reading") }
        return try body()
    }

    // MARK: - Restoring

    public struct StoredStream: Sendable {
        public let id: UInt32
        public let key: [UInt8]
        public let createdAt: Int64
        /// Channel names by index.
        public var channels: [[UInt8]]
    }

    /// All streams with their channels, by id.
    public func streams() throws(StoreError) -> [StoredStream] {
        var streams: [StoredStream] = []
        try database.rows("SELECT id, key, created_at FROM streams ORDER BY id", doing: "read streams") { row throws(StoreError) in
            streams.append(
                StoredStream(
                    id: UInt32(truncatingIfNeeded: row.integer(0)), key: Array(row.text(1).utf8), createdAt: row.integer(2), channels: []))
        }
        var place = 0
        try database.rows("SELECT stream_id, name FROM channels ORDER BY stream_id, idx", doing: "read channels") {
            row throws(StoreError) in
            let id = UInt32(truncatingIfNeeded: row.integer(0))
            while place < streams.count, streams[place].id < id { place += 1 }
            if place < streams.count, streams[place].id == id { streams[place].channels.append(Array(row.text(1).utf8)) }
        }
        return streams
    }

    /// Both generations of every block, the newest first. `payload` is nil when the checksum does not match.
    public func checkpoints(
        _ body: (_ block: CheckpointBlock, _ isIntact: Bool) throws(StoreError) -> Void
    ) throws(StoreError) {
        try database.rows(
            "SELECT block, seq, layout, streams, checksum, payload FROM checkpoints ORDER BY block, seq DESC", doing: "read checkpoints"
        ) { row throws(StoreError) in
            let payload = row.blob(5)
            let block = CheckpointBlock(
                block: row.integer(0), sequence: row.integer(1), layout: UInt32(truncatingIfNeeded: row.integer(2)),
                streams: Int(row.integer(3)),
                payload: payload)
            try body(block, Int64(CRC32C.checksum(payload)) == row.integer(4))
        }
    }

    /// Journal rows that end after `sequence`, in order, and whether their checksum holds.
    public func journal(after sequence: Int64, _ body: (_ row: JournalRow, _ isIntact: Bool) throws(StoreError) -> Void) throws(StoreError)
    {
        try database.rows(
            "SELECT seq, first_seq, received_at, readings, checksum, payload FROM journal WHERE seq > ? ORDER BY seq", [.integer(sequence)],
            doing: "read the journal"
        ) { row throws(StoreError) in
            let payload = row.blob(5)
            let journal = JournalRow(
                sequence: row.integer(0), firstSequence: row.integer(1), receivedAt: row.integer(2), readings: row.integer(3),
                payload: payload)
            try body(journal, Int64(CRC32C.checksum(payload)) == row.integer(4))
        }
    }

    /// The number of the newest batch ever stored (0 for none), also when its row is gone.
    public func lastSequence() throws(StoreError) -> Int64 {
        let journal = try database.number("SELECT max(seq) FROM journal", doing: "read the journal") ?? 0
        let checkpoint = try database.number("SELECT max(seq) FROM checkpoints", doing: "read checkpoints") ?? 0
        let total = try totals()["sequence"] ?? 0
        return max(journal, checkpoint, total)
    }

    public func totals() throws(StoreError) -> [String: Int64] {
        var totals: [String: Int64] = [:]
        try database.rows("SELECT name, value FROM totals", doing: "read totals") { row throws(StoreError) in
            totals[row.text(0)] = row.integer(1)
        }
        return totals
    }

    /// The last acknowledged sequence of every producer.
    public func producers() throws(StoreError) -> [String: Int64] {
        var producers: [String: Int64] = [:]
        try database.rows("SELECT name, sequence FROM producers", doing: "read producers") { row throws(StoreError) in
            producers[row.text(0)] = row.integer(1)
        }
        return producers
    }

    public func alertCounts() throws(StoreError) -> (open: Int64, total: Int64) {
        (
            try database.number("SELECT count(*) FROM alerts WHERE state = 'open'", doing: "count alerts") ?? 0,
            try database.number("SELECT count(*) FROM alerts", doing: "count alerts") ?? 0
        )
    }

    /// What SQLite's own check says; empty when all is well.
    public func integrityProblems() throws(StoreError) -> [String] {
        var problems: [String] = []
        try database.rows("PRAGMA integrity_check(20)", doing: "check the database") { row throws(StoreError) in
            if row.text(0) != "ok" { problems.append(row.text(0)) }
        }
        return problems
    }

    /// Copies the whole database into a new file in one consistent state (SQLite's VACUUM INTO).
    public func backup(to path: String) throws(StoreError) {
        try database.run("VACUUM INTO ?", [.text(path)], doing: "back up to \(path)")
    }
}
