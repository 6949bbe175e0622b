import CSQLite

/// What the database refused.
public enum StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file was made by a newer program.
    case newerSchema(path: String, found: Int, supported: Int)
    /// The file is not a database of ours.
    case foreign(path: String, reason: String)
    /// SQLite said no: what we tried, its extended code, its words.
    case sqlite(doing: String, code: Int32, message: String)
    /// A row's bytes are not what was written.
    case damaged(what: String, reason: String)

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
        case .sqlite(let doing, let code, let message): "cannot \(doing): \(message) (SQLite code \(code))"
        case .damaged(let what, let reason): "cannot read \(what): \(reason)"
        }
    }
}
