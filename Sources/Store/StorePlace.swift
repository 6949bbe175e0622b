import CSQLite
import Platform

/// Which files the database, its log and the log's index were when they were opened.
///
/// A file that was unlinked or replaced stays open and takes everything, but the next start finds another one: what is stored there is
/// lost without a word.
struct StorePlace {
    let path: String
    private let database: FileIdentity?
    private let log: FileIdentity?
    private let index: FileIdentity?

    init(path: String) {
        self.path = path
        database = FileIdentity(path: path)
        log = FileIdentity(path: path + "-wal")
        index = FileIdentity(path: path + "-shm")
    }

    enum Problem {
        case databaseGone, databaseReplaced, logReplaced
    }

    var isSameDatabase: Bool { database != nil && FileIdentity(path: path) == database }

    /// What is wrong now; nil: nothing. Three calls of the system.
    var problem: Problem? {
        guard let now = FileIdentity(path: path) else { return .databaseGone }
        if now != database { return .databaseReplaced }
        return FileIdentity(path: path + "-wal") == log && FileIdentity(path: path + "-shm") == index ? nil : .logReplaced
    }
}

extension StoreWriter {
    /// - Errors: `displaced` when what is open is not what stands at its path.
    public func confirmPlace() throws(StoreError) {
        guard !isRescuing, let problem = place.problem else { return }
        throw displaced(problem)
    }

    private func displaced(_ problem: StorePlace.Problem) -> StoreError {
        let reason =
            switch problem {
            case .databaseGone: "it was removed or renamed"
            case .databaseReplaced:
                "another file has taken its place; remove that one and everything is written anew, "
                    + "or stop the daemon, which then leaves its own as \(StoreFiles.displaced(place.path))"
            case .logReplaced: "its log \(place.path)-wal was removed or replaced"
            }
        return .displaced(path: place.path, reason: reason)
    }

    /// Brings the database back to its path where that harms nothing: a whole copy of what is open, when nothing stands there, or the
    /// lost log's content inside the file. Another file in its place is left alone.
    /// - Errors: `displaced`, or what the system says; then nothing has changed.
    public func recover() throws(StoreError) {
        switch place.problem {
        case nil: return
        case .databaseReplaced: throw displaced(.databaseReplaced)
        case .logReplaced: try database.moveLog(isWhole: true)
        case .databaseGone: try copyWhole(to: place.path)
        }
        try reopen()
    }

    /// From here on everything goes into the open file, wherever that is: for the end, when another file stands at the path.
    public func beginRescue() { isRescuing = true }

    /// Leaves a whole copy of the open file beside the one that has taken its place; the next start finds it and refuses.
    /// - Returns: where it is.
    public func leaveCopy() throws(StoreError) -> String {
        let path = StoreFiles.displaced(place.path)
        try copyWhole(to: path)
        return path
    }

    private func copyWhole(to path: String) throws(StoreError) {
        try database.copy(to: path, mode: StoreFiles.mode)
    }
}

extension StoreReader {
    /// Copies the whole database into a new file in one consistent state (SQLite's VACUUM INTO), readable by its owner only. The file
    /// appears under its name when it is complete and on the medium, and never in place of another.
    public func backup(to path: String) throws(StoreError) { try database.copy(to: path, mode: 0o600) }

    /// A whole copy in one consistent state as an open file without a name: it is gone when it is closed, also by a kill.
    /// - Parameter directory: on whose file system it lies.
    public func snapshot(in directory: String) throws(StoreError) -> Descriptor {
        let need = (try database.number("PRAGMA page_count", doing: "read \(path)") ?? 0) * Int64(Schema.pageBytes)
        if let free = Files.freeBytes(directory), free - need < StoreReader.freeBytesKept {
            throw .sqlite(
                doing: "back up \(path)", code: SQLITE_FULL,
                message: "got \(free) free bytes in \(directory), expected \(need) for the copy and \(StoreReader.freeBytesKept) to go on")
        }
        do {
            let making = try NewFile(in: directory)
            try database.vacuum(into: making.temporary)
            return try making.nameless()
        } catch let error as StoreError { throw error } catch {
            throw .file(doing: "back up \(path)", reason: "\(error)")
        }
    }

    /// Disk that a copy in the state directory leaves for readings.
    static let freeBytesKept: Int64 = 64 << 20
}

extension Database {
    /// A whole copy under a name that was free.
    func copy(to path: String, mode: UInt32) throws(StoreError) {
        do {
            let making = try NewFile.beside(path)
            try vacuum(into: making.temporary)
            try making.setMode(mode)
            try making.publish(at: path)
        } catch let error as StoreError { throw error } catch {
            throw .file(doing: "copy \(self.path)", reason: "\(error)")
        }
    }

    /// Into an empty file.
    func vacuum(into path: String) throws(StoreError) { try run("VACUUM INTO ?", [.text(path)], doing: "copy \(self.path)") }
}
