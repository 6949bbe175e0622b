import CSQLite
import Platform

/// What must be done with whole files beside SQLite.
enum StoreFiles {
    static func exists(_ path: String) -> Bool { Files.exists(path) }
    static func size(_ path: String) -> Int64 { Files.size(path) }
    static func remove(_ path: String) { Files.remove(path) }

    /// Of a new database: nobody but its owner and the group.
    static let mode: UInt32 = 0o640

    /// What a daemon that stopped beside somebody else's database left (see `StoreWriter.rescue`).
    static func displaced(_ path: String) -> String { path + ".displaced" }

    /// Errors: links or other things than files stand where the database and its log belong, or there are two databases to choose from.
    static func check(_ path: String) throws(StoreError) {
        do { try Files.refuseLinks(["", "-wal", "-shm", ".new"].map { path + $0 }) } catch {
            throw .foreign(path: path, reason: error.description)
        }
        guard !exists(displaced(path)) else {
            throw .displaced(
                path: path,
                reason: "\(displaced(path)) holds what was learned when another file had taken its place; "
                    + "put the right one of the two there and move the other away")
        }
    }

    /// Makes a file that was not there.
    static func makeEmpty(_ path: String, mode: UInt32) throws(StoreError) {
        do { try Files.makeEmpty(path, mode: mode) } catch {
            throw .sqlite(doing: "make \(path)", code: SQLITE_CANTOPEN, message: error.description)
        }
    }

    /// Brings a file's bytes to the medium.
    static func sync(_ path: String) throws(StoreError) {
        do { try Files.sync(path) } catch {
            throw .sqlite(doing: "bring \(path) to the medium", code: SQLITE_IOERR, message: error.description)
        }
    }

    /// Writes a file's own bytes over themselves and brings them to the medium: for a file whose last sync failed. The kernel may
    /// take the pages it could not write for clean since then, and a sync that succeeds afterwards says nothing about them
    /// (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
    static func writeAgain(_ path: String) throws(StoreError) {
        do { try Files.writeAgain(path) } catch {
            throw .sqlite(doing: "write \(path) again", code: SQLITE_IOERR, message: error.description)
        }
    }

    /// Moves a complete file to its name, lasting: the bytes first, then the name.
    static func put(_ making: String, at path: String) throws(StoreError) {
        do { try Files.put(making, at: path) } catch {
            throw .sqlite(doing: "put \(path) in place", code: SQLITE_IOERR, message: error.description)
        }
    }
}
