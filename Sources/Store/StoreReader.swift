import Migrations
import Readings
import Tabular

/// Reads the database: at start for restoring, at any time for questions. Owned by one thread.
public final class StoreReader {
    let database: Database
    /// The file.
    public let path: String
    private let place: StorePlace

    /// Whether the open file is still the one at its path.
    public var isInPlace: Bool { place.isSameDatabase }

    /// Opens an existing file read-only.
    /// - Errors: `newerSchema`, `foreign` when it is not ours or not there.
    public init(path: String) throws(StoreError) {
        self.path = path
        place = StorePlace(path: path)
        if StoreFiles.exists(path), StoreFiles.size(path) == 0 { throw .lost(path: path, reason: "it is empty") }
        var database = try Database(path: path, .readOnly)
        let application: Int64
        do {
            application = try database.number("PRAGMA application_id", doing: "read \(path)") ?? 0
        } catch {
            // Where the log's shared memory cannot be made (a read-only medium), a file without a log can be read as it is.
            guard error.isTransient, StoreFiles.size(path + "-wal") == 0 else { throw error }
            database = try Database(path: path, .immutable)
            application = try database.number("PRAGMA application_id", doing: "read \(path)") ?? 0
        }
        self.database = database
        let version = Int(clamping: try database.number("PRAGMA user_version", doing: "read \(path)") ?? 0)
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

    /// Beyond it no number of a batch or a line is believed.
    static let sequenceMax: Int64 = 1 << 62

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

    /// A stored generation of a block: which one, not what.
    public struct Generation: Sendable, Equatable {
        public let block: Int64
        public let slot: Int64
        public let sequence: Int64
    }

    /// All generations, block by block, the newest of each first.
    public func generations() throws(StoreError) -> [Generation] {
        var list: [Generation] = []
        try database.rows("SELECT block, slot, seq FROM checkpoints ORDER BY block, seq DESC", doing: "read checkpoints") {
            row throws(StoreError) in
            list.append(Generation(block: row.integer(0), slot: row.integer(1), sequence: row.integer(2)))
        }
        return list
    }

    /// One generation, and whether its checksum holds; nil when it is not there.
    public func checkpoint(_ generation: Generation) throws(StoreError) -> (block: CheckpointBlock, isIntact: Bool)? {
        var found: (CheckpointBlock, Bool)?
        try database.rows(
            "SELECT block, seq, layout, streams, checksum, payload FROM checkpoints WHERE block = ? AND slot = ?",
            [.integer(generation.block), .integer(generation.slot)], doing: "read a checkpoint"
        ) { row throws(StoreError) in
            let block = CheckpointBlock(
                block: row.integer(0), sequence: row.integer(1), layout: UInt32(truncatingIfNeeded: row.integer(2)),
                streams: Int(row.integer(3)), payload: row.blob(5))
            found = (block, Int64(block.checksum) == row.integer(4))
        }
        return found
    }

    /// Journal rows that end after `sequence` and begin no later than `last`, in order, and whether their checksum holds.
    public func journal(
        after sequence: Int64, through last: Int64 = .max, _ body: (_ row: JournalRow, _ isIntact: Bool) throws(StoreError) -> Void
    ) throws(StoreError) {
        try database.rows(
            "SELECT seq, first_seq, received_at, readings, checksum, payload FROM journal WHERE seq > ? AND first_seq <= ? ORDER BY seq",
            [.integer(sequence), .integer(last)],
            doing: "read the journal"
        ) { row throws(StoreError) in
            let payload = row.blob(5)
            let journal = JournalRow(
                sequence: row.integer(0), firstSequence: row.integer(1), receivedAt: row.integer(2), readings: row.integer(3),
                payload: payload)
            try body(journal, Int64(JournalRow.checksum(sequence: journal.sequence, payload)) == row.integer(4))
        }
    }

    /// The number of the newest batch ever stored (0 for none), also when its row is gone.
    public func lastSequence() throws(StoreError) -> Int64 {
        let journal = try database.number("SELECT max(seq) FROM journal", doing: "read the journal") ?? 0
        let checkpoint = try database.number("SELECT max(seq) FROM checkpoints", doing: "read checkpoints") ?? 0
        let total = try totals()["sequence"] ?? 0
        // A number near the end of the range is damage: counting on from it would end the daemon.
        return min(max(journal, checkpoint, total, 0), StoreReader.sequenceMax)
    }

    /// The first batch that the journal still holds; nil for none.
    public func firstSequence() throws(StoreError) -> Int64? {
        try database.number("SELECT min(first_seq) FROM journal", doing: "read the journal")
    }

    public func totals() throws(StoreError) -> [String: Int64] {
        var totals: [String: Int64] = [:]
        try database.rows("SELECT name, value FROM totals", doing: "read totals") { row throws(StoreError) in
            totals[row.text(0)] = row.integer(1)
        }
        return totals
    }

    /// Whether the totals are as they were stored; also true when there are none.
    public func areTotalsIntact() throws(StoreError) -> Bool {
        let stored = try totals()
        let inside = stored.filter { !StoredTotals.isOutside($0.key) }.map { (name: $0.key, value: $0.value) }
        return stored["checksum"].map { $0 == StoredTotals.checksum(inside) } ?? inside.isEmpty
    }

    /// The versions of the learned state in the checkpoints.
    public func layouts() throws(StoreError) -> [UInt32] {
        var layouts: [UInt32] = []
        try database.rows("SELECT DISTINCT layout FROM checkpoints ORDER BY layout", doing: "read checkpoints") { row throws(StoreError) in
            layouts.append(UInt32(truncatingIfNeeded: row.integer(0)))
        }
        return layouts
    }

    /// How far every client that numbers its lines is, by user and name.
    public func producers() throws(StoreError) -> [ProducerRecord] {
        var producers: [ProducerRecord] = []
        try database.rows("SELECT uid, name, sequence, updated_at, checksum FROM producers ORDER BY uid, name", doing: "read producers") {
            row throws(StoreError) in
            producers.append(
                ProducerRecord(
                    name: ProducerName(user: ProducerColumn.user(stored: row.integer(0)), name: row.text(1)),
                    sequence: min(max(row.integer(2), 0), StoreReader.sequenceMax),
                    checksum: row.optionalInteger(4).flatMap { UInt32(exactly: $0) }, heardAt: row.integer(3)))
        }
        return producers
    }

    /// Ids, streams and kinds of all alerts that are open.
    public func openAlerts() throws(StoreError) -> [(id: String, stream: UInt32, kind: String)] {
        var open: [(id: String, stream: UInt32, kind: String)] = []
        try database.rows("SELECT id, stream_id, kind FROM alerts WHERE state = 'open' ORDER BY number", doing: "read open alerts") {
            row throws(StoreError) in
            open.append((row.text(0), UInt32(truncatingIfNeeded: row.integer(1)), row.text(2)))
        }
        return open
    }

    /// The highest number in the ids of each stream's alerts.
    public func alertNumbers() throws(StoreError) -> [UInt32: UInt32] {
        var numbers: [UInt32: UInt32] = [:]
        try database.rows(
            "SELECT stream_id, max(CAST(substr(id, instr(id, '-') + 1) AS INTEGER)) FROM alerts GROUP BY stream_id", doing: "read alerts"
        ) { row throws(StoreError) in
            numbers[UInt32(truncatingIfNeeded: row.integer(0))] = UInt32(clamping: row.integer(1))
        }
        return numbers
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
}

/// Users in the table of producers: -1 for names from before they had one.
enum ProducerColumn {
    static func user(_ user: UInt32) -> Int64 { user == ProducerName.anyUser ? -1 : Int64(user) }
    static func user(stored: Int64) -> UInt32 { UInt32(exactly: stored) ?? ProducerName.anyUser }
}
