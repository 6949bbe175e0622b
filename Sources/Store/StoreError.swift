import CSQLite

/// What the database refused.
public enum StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file was made by a newer program.
    case newerSchema(path: String, found: Int, supported: Int)
    /// The file is not a database of ours.
    case foreign(path: String, reason: String)
    /// The file should be there and is not, or is there and empty.
    case lost(path: String, reason: String)
    /// SQLite said no: what we tried, its extended code, its words.
    case sqlite(doing: String, code: Int32, message: String)
    /// The learned state is intact but made for other settings.
    case otherState(reason: String)
    /// The open database is not what stands at its path any more; what is stored now would be gone after a restart.
    case displaced(path: String, reason: String)
    /// A file beside the database could not be made.
    case file(doing: String, reason: String)
    /// A row's bytes are not what was written.
    case damaged(what: String, reason: String)

    /// SQLite's code of a failed read or write.
    public static let inputOutputCode = SQLITE_IOERR

    /// A cause that may go away by itself: full disk, I/O error, read-only or locked file.
    public var isTransient: Bool {
        guard case .sqlite(_, let code, _) = self else { return false }
        return [SQLITE_FULL, SQLITE_IOERR, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_NOMEM].contains(code & 0xFF)
    }

    public var description: String {
        switch self {
        case .newerSchema(let path, let found, let supported):
            "cannot open \(path): its schema version is \(found), this program knows up to \(supported); upgrade rnn-watchd"
        case .foreign(let path, let reason): "cannot open \(path): \(reason)"
        case .lost(let path, let reason):
            "cannot open \(path): \(reason); put a backup in place (rnnctl restore), or remove it with its -wal file to learn anew"
        case .sqlite(let doing, let code, let message): "cannot \(doing): \(message) (SQLite code \(code))"
        case .otherState(let reason): "cannot use the learned state: \(reason)"
        case .displaced(let path, let reason): "cannot store in \(path): \(reason)"
        case .file(let doing, let reason): "cannot \(doing): \(reason)"
        case .damaged(let what, let reason): "cannot read \(what): \(reason)"
        }
    }
}
