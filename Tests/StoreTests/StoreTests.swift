import Alerting
import CSQLite
import Glibc
import Platform
import Migrations
import Readings
import Testing

@testable import Store

/// A directory of its own for each test.
private final class Folder {
    let path: String
    init() {
        var template = Array("/tmp/rnn-store.XXXXXX\0".utf8).map { CChar(bitPattern: $0) }
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    var database: String { path + "/rnn-watchd.db" }
    deinit {
        for suffix in ["", "-wal", "-shm", ".new", ".copy"] { unlink(database + suffix) }
        rmdir(path)
    }
}

/// Any SQL, behind the store's back.
private func damage(_ path: String, _ sql: String) {
    var handle: OpaquePointer?
    sqlite3_open(path, &handle)
    #expect(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
    sqlite3_close(handle)
}

private func writer(_ folder: Folder, _ durability: Durability = .none) throws -> StoreWriter {
    try StoreWriter(path: folder.database, durability: durability, now: 1)
}

private func row(_ sequence: Int64, first: Int64? = nil, _ payload: [UInt8] = [1, 2, 3]) -> JournalRow {
    JournalRow(sequence: sequence, firstSequence: first ?? sequence, receivedAt: 5, readings: 1, payload: payload)
}

private func block(_ number: Int64, _ sequence: Int64, _ payload: [UInt8] = [9], streams: Int = 1) -> CheckpointBlock {
    CheckpointBlock(block: number, sequence: sequence, layout: 1, streams: streams, payload: payload)
}

private func alert(_ id: String, closedAt: Int64? = nil, openedAt: Int64 = 10) -> Alert {
    var alert = Alert(
        id: id, stream: 1, streamKey: "s", channels: ["a"], kind: .anomaly, severity: .warning, openedAt: openedAt, reason: "why")
    if let closedAt { (alert.state, alert.closedAt, alert.updatedAt) = (.closed, closedAt, closedAt) }
    return alert
}

@Suite struct StoreTests {
    @Test("a file of a newer program is refused, and both versions are named")
    func downgrade() throws {
        let folder = Folder()
        _ = try writer(folder)
        damage(folder.database, "PRAGMA user_version = 7")
        let want = StoreError.newerSchema(path: folder.database, found: 7, supported: Migrations.version)
        #expect(throws: want) { try writer(folder) }
        #expect(throws: want) { try StoreReader(path: folder.database) }
        #expect(want.description.contains("version is 7") && want.description.contains("up to \(Migrations.version)"))
    }

    @Test("another program's database, an empty file, and a log without its database are never taken for a new beginning")
    func foreign() throws {
        let folder = Folder()
        damage(folder.database, "CREATE TABLE t (x)")
        #expect(throws: StoreError.self) { try writer(folder) }
        truncate(folder.database, 0)
        #expect(throws: StoreError.lost(path: folder.database, reason: "it is empty")) { try writer(folder) }
        #expect(throws: StoreError.lost(path: folder.database, reason: "it is empty")) { try StoreReader(path: folder.database) }
        unlink(folder.database)
        try Files.replace(folder.database + "-wal", with: [1])
        #expect(throws: StoreError.self) { try writer(folder) }
        #expect(!Files.exists(folder.database))
    }

    @Test("a kill while the file is made leaves nothing under its name, and the next start makes it")
    func halfMade() throws {
        let folder = Folder()
        try Files.replace(folder.database + ".new", with: Array("half a database".utf8))
        _ = try writer(folder)
        #expect(!Files.exists(folder.database + ".new"))
        #expect(try StoreReader(path: folder.database).lastSequence() == 0)
    }

    @Test("an error inside a transaction undoes all of it")
    func atomic() throws {
        let folder = Folder()
        let store = try writer(folder)
        #expect(throws: StoreError.self) {
            try store.transaction { () throws(StoreError) in
                try store.append(row(1))
                try store.sealTotals([("sequence", 1)])
                try store.append(row(1))
            }
        }
        let reader = try StoreReader(path: folder.database)
        #expect(try reader.lastSequence() == 0)
        try store.transaction { () throws(StoreError) in try store.append(row(1)) }
        #expect(try reader.lastSequence() == 1)
    }

    @Test("the newest two generations of a block are kept, and a new one takes the place of the older")
    func generations() throws {
        let folder = Folder()
        let store = try writer(folder)
        for sequence: Int64 in [3, 8, 9, 20] { try store.store(block(5, sequence), now: 1) }
        let reader = try StoreReader(path: folder.database)
        let kept = try reader.generations()
        #expect(kept.map(\.sequence) == [20, 9])
        for generation in kept { #expect(try reader.checkpoint(generation)?.isIntact == true) }
        try store.store(block(5, 21, streams: 0), now: 1)
        #expect(try reader.generations().isEmpty, "a block without streams needs no checkpoint")
    }

    @Test(
        "a flip in any column of a checkpoint or journal row is noticed",
        arguments: [
            "UPDATE checkpoints SET payload = x'0a'", "UPDATE checkpoints SET seq = seq + 1", "UPDATE checkpoints SET layout = 2",
            "UPDATE checkpoints SET streams = 2", "UPDATE checkpoints SET block = 6", "UPDATE checkpoints SET checksum = checksum + 1",
            "UPDATE journal SET payload = x'010204'", "UPDATE journal SET payload = x'0102'", "UPDATE journal SET seq = 8",
            "UPDATE journal SET checksum = 0", "UPDATE totals SET value = value + 1 WHERE name = 'sequence'",
            "DELETE FROM totals WHERE name = 'lines_received'", "DELETE FROM totals WHERE name = 'checksum'",
        ])
    func flips(sql: String) throws {
        let folder = Folder()
        do {
            let store = try writer(folder)
            try store.store(block(5, 3), now: 1)
            try store.append(row(7))
            try store.sealTotals([("sequence", 7), ("lines_received", 12)])
        }
        func intact() throws -> Bool {
            let reader = try StoreReader(path: folder.database)
            var isIntact = try reader.areTotalsIntact()
            for generation in try reader.generations() { isIntact = try reader.checkpoint(generation)?.isIntact == true && isIntact }
            try reader.journal(after: 0) { _, intact throws(StoreError) in isIntact = isIntact && intact }
            return isIntact
        }
        #expect(try intact())
        damage(folder.database, sql)
        #expect(try !intact())
    }

    @Test("what is quarantined is out of use, kept for inspection, and leaves no hole in the journal")
    func quarantine() throws {
        let folder = Folder()
        let store = try writer(folder)
        try store.store(block(5, 3), now: 1)
        try store.store(block(5, 4), now: 1)
        try store.append(row(7, first: 5))
        try store.quarantine(StoredDamage(place: .checkpoint(block: 5, slot: 0), what: "a", reason: "b", payload: [1]), now: 2)
        try store.quarantine(StoredDamage(place: .journal(sequence: 7), what: "c", reason: "d", payload: [2]), now: 2)
        let reader = try StoreReader(path: folder.database)
        #expect(try reader.generations().map(\.sequence) == [4])
        try reader.journal(after: 0) { row, isIntact throws(StoreError) in
            #expect(isIntact && row.payload.isEmpty && row.firstSequence == 5 && row.sequence == 7)
        }
        #expect(try reader.database.number("SELECT count(*) FROM quarantine", doing: "count") == 2)
    }

    @Test("a stream that comes back under a new number finds its key free, whatever the order of the batches")
    func comeBack() throws {
        let folder = Folder()
        let store = try writer(folder)
        try store.apply([.stream(id: 1, key: [107]), .channel(stream: 1, index: 0, name: [99])], [], receivedAt: 1)
        let notes: [BatchNote] = [
            .stream(id: 9, key: [107]), .channel(stream: 9, index: 0, name: [99]), .stream(id: 4, key: [108]), .evicted(stream: 1),
            .evicted(stream: 4),
        ]
        try store.transaction { () throws(StoreError) in
            try store.evict(notes)
            try store.apply(notes, [], receivedAt: 2)
        }
        #expect(try StoreReader(path: folder.database).streams().map(\.id) == [9])
    }

    @Test("names are stored whole, also with a zero byte inside")
    func zeroByte() throws {
        let folder = Folder()
        let store = try writer(folder)
        try store.apply([.stream(id: 1, key: [97, 0, 98]), .stream(id: 2, key: [97, 0, 99])], [], receivedAt: 1)
        #expect(try StoreReader(path: folder.database).streams().map(\.key) == [[97, 0, 98], [97, 0, 99]])
    }

    @Test("a producer's position never goes back")
    func producers() throws {
        let folder = Folder()
        let store = try writer(folder)
        for sequence: Int64 in [5, 9, 7] {
            try store.apply(
                [], [Acknowledgement(connection: 1, producer: ProducerName(user: 7, name: "p"), sequence: sequence)], receivedAt: 1)
        }
        #expect(
            try StoreReader(path: folder.database).producers() == [
                ProducerRecord(name: ProducerName(user: 7, name: "p"), sequence: 9, heardAt: 1)
            ])
    }

    @Test("an alert that ends before it began, after a clock was set back, is stored all the same")
    func clockSetBack() throws {
        let folder = Folder()
        let store = try writer(folder)
        try store.store(AlertAction(.closed, alert("x-1", closedAt: 3, openedAt: 10), time: 3), sequence: 1, ordinal: 0, now: 1)
        #expect(try StoreReader(path: folder.database).alertCounts().total == 1)
    }

    @Test("channels that join an episode reach its row")
    func channels() throws {
        let folder = Folder()
        let store = try writer(folder)
        var grown = alert("x-1")
        try store.store(AlertAction(.opened, grown, time: 10), sequence: 1, ordinal: 0, now: 1)
        grown.channels.append("b")
        try store.store(AlertAction(.updated, grown, time: 11), sequence: 2, ordinal: 0, now: 1)
        let reader = try StoreReader(path: folder.database)
        #expect(try reader.database.number("SELECT json_array_length(channels) FROM alerts", doing: "read") == 2)
    }

    @Test("a wall clock in the wrong century for an hour deletes no alert; a year that passes does")
    func retention() throws {
        let folder = Folder()
        let store = try writer(folder)
        let day: Int64 = 86_400_000_000_000
        let hour = day / 24
        let start = 20_000 * day
        try store.store(AlertAction(.closed, alert("x-1", closedAt: 12), time: 12), sequence: 1, ordinal: 0, now: start)
        func pass(_ now: Int64, _ elapsed: Int64) throws -> Int {
            try store.retain(now: now, elapsed: elapsed, retention: 365 * day, keep: 100)
        }
        #expect(try pass(start, 0) == 0)
        for minute in 0..<60 { #expect(try pass(start + 36_500 * day, hour / 60 * Int64(min(minute, 1))) == 0) }
        #expect(try pass(start + hour, hour) == 0)
        var removed = 0
        for days in 1...400 { removed += try pass(start + Int64(days) * day, day) }
        #expect(removed == 1)
    }

    @Test("only the newest closed alerts beyond the limit stay; open ones always do")
    func surplus() throws {
        let folder = Folder()
        let store = try writer(folder)
        for number in 0..<8 {
            try store.store(
                AlertAction(number == 0 ? .opened : .closed, alert("x-\(number)", closedAt: number == 0 ? nil : 20), time: 20), sequence: 1,
                ordinal: number, now: 5)
        }
        #expect(try store.retain(now: 6, elapsed: 0, retention: 1000, keep: 3) == 4)
        #expect(try StoreReader(path: folder.database).alertCounts() == (open: 1, total: 4))
    }

    @Test("a backup is complete or not there, and holds what the original holds")
    func backup() throws {
        let folder = Folder()
        let store = try writer(folder)
        try store.append(row(3, first: 1))
        try store.sealTotals([("sequence", 3)])
        let reader = try StoreReader(path: folder.database)
        try reader.backup(to: folder.database + ".copy")
        let copy = try StoreReader(path: folder.database + ".copy")
        #expect(try copy.lastSequence() == 3 && copy.integrityProblems().isEmpty && copy.areTotalsIntact())
        #expect(throws: StoreError.self) { try reader.backup(to: folder.path + "/not/there") }
    }

    @Test("a database whose log is empty can be read where nothing can be written")
    func immutable() throws {
        let folder = Folder()
        do {
            let store = try writer(folder)
            try store.append(row(3))
            try store.compact()
        }
        #expect(Files.size(folder.database + "-wal") == 0)
        let database = try Database(path: folder.database, .immutable)
        #expect(try database.number("SELECT max(seq) FROM journal", doing: "read") == 3)
    }

    @Test("the log is moved into the file when it is long, and then begins again")
    func logMoves() throws {
        let folder = Folder()
        let store = try writer(folder, .interval)
        let payload = [UInt8](repeating: 7, count: 400_000)
        var moves = 0
        for sequence in 1...Int64(80) {
            try store.transaction { () throws(StoreError) in try store.append(row(sequence, payload)) }
            if store.isLogLong {
                try store.moveLog()
                moves += 1
                #expect(!store.isLogLong)
            }
        }
        #expect((3...4).contains(moves), "about 100 pages a row")
        #expect(Files.size(folder.database + "-wal") < 2200 * 4200)
        let reader = try StoreReader(path: folder.database)
        try reader.view { () throws(StoreError) in
            _ = try reader.lastSequence()
            for sequence in 81...Int64(105) {
                try store.transaction { () throws(StoreError) in try store.append(row(sequence, payload)) }
                // What came after the view stays in the log; that is tried again now and then, not at every commit.
                if store.isLogLong {
                    try store.moveLog()
                    moves += 1
                }
            }
        }
        #expect(moves <= 6)
        #expect(try reader.lastSequence() == 105)
    }

    @Test("the log that could not be synced is written again before anything counts as stored")
    func doubtfulLog() throws {
        let folder = Folder()
        let store = try writer(folder, .interval)
        try store.transaction { () throws(StoreError) in try store.append(row(1)) }
        // A log that cannot be opened for the sync is one whose sync failed.
        let log = folder.database + "-wal"
        let bytes = try Files.read(log)
        rename(log, log + ".away")
        #expect(throws: StoreError.self) { try store.sync() }
        rename(log + ".away", log)
        let before = try modified(log)
        usleep(20_000)
        try store.sync()
        #expect(try modified(log) > before, "written again")
        #expect(try Files.read(log) == bytes)
        let after = try modified(log)
        try store.sync()
        #expect(try modified(log) == after)
    }

    private func modified(_ path: String) throws -> Double {
        var status = stat()
        #expect(stat(path, &status) == 0)
        return Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) * 1e-9
    }

    @Test("a locked database is a passing trouble, a damaged one is not")
    func transience() throws {
        let folder = Folder()
        let store = try writer(folder)
        var other: OpaquePointer?
        sqlite3_open(folder.database, &other)
        sqlite3_exec(other, "BEGIN IMMEDIATE", nil, nil, nil)
        do {
            try store.transaction { () throws(StoreError) in try store.append(row(1)) }
            Issue.record("the lock did not hold")
        } catch { #expect(error.isTransient) }
        sqlite3_exec(other, "ROLLBACK", nil, nil, nil)
        sqlite3_close(other)
        try store.transaction { () throws(StoreError) in try store.append(row(1)) }
        #expect(!StoreError.sqlite(doing: "", code: SQLITE_CORRUPT, message: "").isTransient)
        #expect(StoreError.sqlite(doing: "", code: SQLITE_IOERR | 4 << 8, message: "").isTransient)
    }
}
