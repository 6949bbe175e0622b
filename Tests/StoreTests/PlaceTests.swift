import Glibc
import Platform
import Readings
import Testing

@testable import Store

/// What happens to the database's files behind the writer's back.
@Suite struct PlaceTests {
    private final class Folder {
        let path: String
        init() {
            var template = Array("/tmp/rnn-place.XXXXXX\0".utf8).map { CChar(bitPattern: $0) }
            path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        }
        var database: String { path + "/rnn-watchd.db" }
        var names: [String] {
            guard let folder = opendir(path) else { return [] }
            defer { closedir(folder) }
            var names: [String] = []
            while let entry = readdir(folder) {
                names.append(withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
            }
            return names.filter { !$0.allSatisfy { $0 == "." } }
        }
        deinit {
            for name in names { unlink(path + "/" + name) }
            rmdir(path)
        }
    }

    private func append(_ store: StoreWriter, _ sequence: Int64) throws {
        try store.transaction { () throws(StoreError) in
            try store.append(JournalRow(sequence: sequence, firstSequence: sequence, receivedAt: 5, readings: 1, payload: [1, 2, 3]))
        }
    }

    private func isDisplaced(_ body: () throws -> Void) -> Bool {
        do { try body() } catch { if case StoreError.displaced = error { return true } }
        return false
    }

    @Test("a database that was removed takes nothing more, and comes back whole", arguments: [Durability.always, .interval, .none])
    func removed(durability: Durability) throws {
        let folder = Folder()
        let store = try StoreWriter(path: folder.database, durability: durability, now: 1)
        try append(store, 1)
        let reader = try StoreReader(path: folder.database)
        #expect(reader.isInPlace)
        unlink(folder.database)
        #expect(isDisplaced { try append(store, 2) } && isDisplaced { try store.sync() } && !reader.isInPlace)
        try store.recover()
        try append(store, 2)
        try store.sync()
        let again = try StoreReader(path: folder.database)
        #expect(try again.lastSequence() == 2 && again.integrityProblems().isEmpty)
        // Also for a process that starts after a kill.
        let copy = try StoreReader(path: folder.database)
        #expect(try copy.lastSequence() == 2)
        #expect(!folder.names.contains { $0.contains("partial") }, "\(folder.names)")
    }

    @Test(
        "a log that was removed or replaced takes nothing more, and its content is in the file afterwards", arguments: ["-wal", "-shm"],
        [true, false])
    func log(suffix: String, isReplaced: Bool) throws {
        let folder = Folder()
        let store = try StoreWriter(path: folder.database, durability: .interval, now: 1)
        try append(store, 1)
        unlink(folder.database + suffix)
        if isReplaced { try Files.replace(folder.database + suffix, with: [1, 2, 3]) }
        #expect(isDisplaced { try append(store, 2) })
        try store.recover()
        try append(store, 2)
        try store.sync()
        #expect(try StoreReader(path: folder.database).lastSequence() == 2)
    }

    @Test("another file in the database's place is left alone; at the end both are there, and the next start refuses to choose")
    func replaced() throws {
        let folder = Folder()
        do {
            let store = try StoreWriter(path: folder.database, durability: .interval, now: 1)
            try append(store, 1)
            try Files.replace(folder.database, with: Array("another's".utf8))
            #expect(isDisplaced { try append(store, 2) } && isDisplaced { try store.recover() })
            store.beginRescue()
            try append(store, 2)
            #expect(try store.leaveCopy() == folder.database + ".displaced")
        }
        #expect(try Files.read(folder.database) == Array("another's".utf8))
        #expect(try StoreReader(path: folder.database + ".displaced").lastSequence() == 2)
        #expect(isDisplaced { _ = try StoreWriter(path: folder.database, durability: .interval, now: 1) })
    }

    @Test("links where the database or its log belong are refused, and their targets untouched", arguments: ["", "-wal", "-shm", ".new"])
    func links(suffix: String) throws {
        let folder = Folder()
        let target = folder.path + "/target"
        try Files.replace(target, with: Array("precious".utf8))
        #expect(symlink(target, folder.database + suffix) == 0)
        #expect(throws: StoreError.self) { _ = try StoreWriter(path: folder.database, durability: .interval, now: 1) }
        #expect(try Files.read(target) == Array("precious".utf8))
    }

    @Test("the database and its log are for owner and group, a backup for its owner, whatever the umask")
    func modes() throws {
        let before = umask(0)
        defer { umask(before) }
        let folder = Folder()
        let store = try StoreWriter(path: folder.database, durability: .interval, now: 1)
        try append(store, 1)
        try StoreReader(path: folder.database).backup(to: folder.path + "/copy")
        for (name, mode) in [("rnn-watchd.db", 0o640), ("rnn-watchd.db-wal", 0o640), ("rnn-watchd.db-shm", 0o640), ("copy", 0o600)] {
            var status = stat()
            #expect(stat(folder.path + "/" + name, &status) == 0 && status.st_mode & 0o777 == mode_t(mode), "\(name)")
        }
    }

    @Test("a backup never takes the place of a file, and never touches another's unfinished one")
    func exclusive() throws {
        let folder = Folder()
        let store = try StoreWriter(path: folder.database, durability: .interval, now: 1)
        try append(store, 1)
        let reader = try StoreReader(path: folder.database)
        for name in ["/victim", "/victim2.partial"] { try Files.replace(folder.path + name, with: Array("precious".utf8)) }
        #expect(throws: StoreError.self) { try reader.backup(to: folder.path + "/victim") }
        #expect(throws: StoreError.self) { try reader.backup(to: folder.database) }
        try reader.backup(to: folder.path + "/victim2")
        for name in ["/victim", "/victim2.partial"] { #expect(try Files.read(folder.path + name) == Array("precious".utf8)) }
        let copy = try reader.snapshot(in: folder.path)
        #expect(Files.size(copy) > 0 && !folder.names.contains { $0.contains("partial-") }, "a snapshot has no name")
    }

    @Test("questions with other limits use one prepared statement")
    func statements() throws {
        let folder = Folder()
        _ = try StoreWriter(path: folder.database, durability: .interval, now: 1)
        let reader = try StoreReader(path: folder.database)
        _ = try reader.alerts(AlertFilter(), timeText: { "\($0)" })
        let before = reader.database.statementCount
        for limit in [1, 2, 3, 7, Int64.max] {
            var filter = AlertFilter()
            filter.limit = limit
            _ = try reader.alerts(filter, timeText: { "\($0)" })
        }
        #expect(reader.database.statementCount == before)
    }
}
