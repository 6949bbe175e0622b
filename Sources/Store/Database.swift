import CSQLite

/// A thin wrapper of one SQLite connection. Not for sharing between threads: whoever opens it uses it.
final class Database {
    let path: String
    /// nil once it was closed: every call fails then.
    private var handle: OpaquePointer?
    private var statements: [String: Statement] = [:]
    /// Pages in the write-ahead log as of this connection's last commit, and as of the last time it was moved (as far as it could).
    private var logPages = 0
    private var triedPages = 0

    enum Mode {
        case readOnly, readWrite, create
        /// Read only, and nobody writes: for a file system that takes not even the shared memory of a log.
        case immutable
    }

    /// A path inside a `file:` address.
    private static func escaped(_ path: String) -> String {
        path.utf8.map { byte in
            let isPlain = byte < 128 && byte > 32 && ![35, 37, 63].contains(byte)
            return isPlain ? String(UnicodeScalar(byte)) : "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
    }

    /// - Errors: `sqlite` when the file cannot be opened.
    ///
    /// - Parameters:
    ///   - mode: what may be done with it
    init(path: String, _ mode: Mode) throws(StoreError) {
        self.path = path
        var handle: OpaquePointer?
        let access =
            switch mode {
            case .readOnly: SQLITE_OPEN_READONLY
            case .immutable: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
            case .readWrite: SQLITE_OPEN_READWRITE
            case .create: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            }
        let name = mode == .immutable ? "file:" + Database.escaped(path) + "?immutable=1" : path
        let code = sqlite3_open_v2(name, &handle, access | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK, let handle else {
            let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(handle)
            throw .sqlite(doing: "open \(path)", code: code, message: message)
        }
        self.handle = handle
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, 2000)
    }

    deinit { close() }

    /// Gives the file up. Every later call is an error.
    func close() {
        for statement in statements.values { statement.finalize() }
        statements = [:]
        sqlite3_close_v2(handle)
        handle = nil
    }

    func error(_ doing: String) -> StoreError {
        .sqlite(doing: doing, code: sqlite3_extended_errcode(handle), message: String(cString: sqlite3_errmsg(handle)))
    }

    /// Runs SQL without parameters and results, any number of statements.
    func execute(_ sql: String, doing: String) throws(StoreError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw error(doing) }
    }

    /// The prepared statement of `sql`, kept for the life of the connection.
    func statement(_ sql: String) throws(StoreError) -> Statement {
        if let known = statements[sql] { return known }
        var raw: OpaquePointer?
        guard sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &raw, nil) == SQLITE_OK, let raw else {
            throw error("prepare \(sql.prefix(60))")
        }
        let statement = Statement(raw, self)
        statements[sql] = statement
        return statement
    }

    /// Prepared statements that are kept.
    var statementCount: Int { statements.count }

    /// Runs one statement to its end.
    func run(_ sql: String, _ values: [SQLValue] = [], doing: String) throws(StoreError) {
        let statement = try statement(sql)
        defer { statement.reset() }
        statement.bind(values)
        while try statement.step(doing) {}
    }

    /// Runs one statement to its end whose last value is `bytes`, which may be megabytes: they are not copied beforehand.
    func run(_ sql: String, _ values: [SQLValue], bytes: [UInt8], doing: String) throws(StoreError) {
        let statement = try statement(sql)
        statement.bind(values)
        try bytes.withUnsafeBufferPointer { bytes throws(StoreError) in
            // What is bound here must not outlive the bytes.
            defer { statement.reset() }
            statement.bind(UnsafeRawBufferPointer(bytes), at: values.count)
            while try statement.step(doing) {}
        }
    }

    /// The first column of the first row as a number; nil without a row or when it is NULL.
    func number(_ sql: String, _ values: [SQLValue] = [], doing: String) throws(StoreError) -> Int64? {
        let statement = try statement(sql)
        defer { statement.reset() }
        statement.bind(values)
        return try statement.step(doing) && !statement.isNull(0) ? statement.integer(0) : nil
    }

    /// Calls `body` for every row.
    func rows(_ sql: String, _ values: [SQLValue] = [], doing: String, _ body: (Statement) throws(StoreError) -> Void) throws(StoreError) {
        let statement = try statement(sql)
        defer { statement.reset() }
        statement.bind(values)
        while try statement.step(doing) { try body(statement) }
    }

    var changes: Int { handle.map { Int(sqlite3_changes64($0)) } ?? 0 }

    /// Takes over from SQLite when the log is moved into the file: by itself it would do so at the end of a commit and keep every
    /// error of it, also a failed fsync, to itself.
    func watchLog() {
        sqlite3_wal_hook(
            handle,
            { context, _, _, pages in
                guard let context else { return SQLITE_OK }
                Unmanaged<Database>.fromOpaque(context).takeUnretainedValue().noteLog(Int(pages))
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func noteLog(_ pages: Int) {
        logPages = pages
        // A log that began again.
        if pages < triedPages { triedPages = 0 }
    }

    /// Pages that came into the log since it was last moved; what a reader kept there then waits for them.
    var pagesToMove: Int { logPages - triedPages }

    /// Moves what is in the log into the file, as far as readers allow; the log is on the medium before, the file after.
    /// - Parameter isWhole: all of it, and empties the log; a reader in the way is an error.
    func moveLog(isWhole: Bool) throws(StoreError) {
        var pages: Int32 = 0
        let code = sqlite3_wal_checkpoint_v2(handle, nil, isWhole ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &pages, nil)
        // Somebody else is moving it.
        if code & 0xFF == SQLITE_BUSY, !isWhole { return }
        guard code == SQLITE_OK else { throw error("move the log into the file") }
        (logPages, triedPages) = (Int(max(0, pages)), Int(max(0, pages)))
    }

    var isInTransaction: Bool { handle.map { sqlite3_get_autocommit($0) == 0 } ?? false }
}

/// A value to bind.
enum SQLValue {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])

    static func optional(_ value: Double?) -> SQLValue { value.map { .real($0) } ?? .null }
    static func optional(_ value: Int64?) -> SQLValue { value.map { .integer($0) } ?? .null }
    static func optional(_ value: String?) -> SQLValue { value.map { .text($0) } ?? .null }
}

/// A prepared statement.
final class Statement {
    private let raw: OpaquePointer
    private unowned let database: Database

    init(_ raw: OpaquePointer, _ database: Database) {
        (self.raw, self.database) = (raw, database)
    }

    func finalize() { sqlite3_finalize(raw) }

    func reset() {
        sqlite3_reset(raw)
        sqlite3_clear_bindings(raw)
    }

    func bind(_ values: [SQLValue]) {
        for (index, value) in values.enumerated() {
            let place = Int32(index + 1)
            switch value {
            case .null: sqlite3_bind_null(raw, place)
            case .integer(let number): sqlite3_bind_int64(raw, place, number)
            case .real(let number): sqlite3_bind_double(raw, place, number)
            case .text(var text):
                // With its length: a text that holds a zero byte is stored whole.
                if text.isEmpty {
                    sqlite3_bind_text(raw, place, "", 0, rw_sqlite_transient())
                } else {
                    text.withUTF8 { bytes in
                        bytes.withMemoryRebound(to: CChar.self) {
                            _ = sqlite3_bind_text(raw, place, $0.baseAddress, Int32(clamping: $0.count), rw_sqlite_transient())
                        }
                    }
                }
            case .blob(let bytes):
                // A nil pointer would bind NULL; an empty blob needs its own call.
                if bytes.isEmpty {
                    sqlite3_bind_zeroblob(raw, place, 0)
                } else {
                    bytes.withUnsafeBytes { _ = sqlite3_bind_blob64(raw, place, $0.baseAddress, UInt64($0.count), rw_sqlite_transient()) }
                }
            }
        }
    }

    /// Binds bytes that stay where they are until `reset`; `index` from 0.
    func bind(_ bytes: UnsafeRawBufferPointer, at index: Int) {
        let place = Int32(index + 1)
        // A nil pointer would bind NULL; an empty blob needs its own call.
        if bytes.isEmpty {
            sqlite3_bind_zeroblob(raw, place, 0)
        } else {
            sqlite3_bind_blob64(raw, place, bytes.baseAddress, UInt64(bytes.count), nil)
        }
    }

    /// true: a row is there; false: done.
    func step(_ doing: String) throws(StoreError) -> Bool {
        switch sqlite3_step(raw) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw database.error(doing)
        }
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(raw, column) == SQLITE_NULL }
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(raw, column) }
    func real(_ column: Int32) -> Double { sqlite3_column_double(raw, column) }
    func optionalReal(_ column: Int32) -> Double? { isNull(column) ? nil : real(column) }
    func optionalInteger(_ column: Int32) -> Int64? { isNull(column) ? nil : integer(column) }
    func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }
    func text(_ column: Int32) -> String {
        guard let base = sqlite3_column_text(raw, column) else { return "" }
        return String(decoding: UnsafeBufferPointer(start: base, count: Int(sqlite3_column_bytes(raw, column))), as: UTF8.self)
    }
    func blob(_ column: Int32) -> [UInt8] {
        guard let base = sqlite3_column_blob(raw, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(raw, column))))
    }
}
