import Control
import Models
import Platform
import RecurrentNetwork
import Readings
import Store
import Tabular
import TimeSeries

/// Models as rows of the store: the same rules for the daemon and for `rnnctl --state-dir`.
public enum ModelLibrary {
    /// The largest model that is stored.
    public static let payloadBytesMax = 64 << 20
    /// Columns of `rnnctl model list`.
    public static let columns = [
        "name", "version", "active", "architecture", "parameters", "bytes", "format", "created_at", "active_since", "origin", "sha256",
        "streams", "streams_waiting",
    ]

    /// A version as the columns above say.
    /// - Parameter use: streams that models drive and streams that wait for them, by hash; nil: no daemon was asked.
    public static func object(_ row: ModelRow, use: [String: (bound: Int, waiting: Int)]? = nil) -> JSONValue {
        let streams = use.map { $0[row.sha256] ?? (bound: 0, waiting: 0) }
        return .object([
            "name": .string(row.name), "version": .integer(row.version), "active": .bool(row.activeSince != nil),
            "architecture": .string(row.architecture), "parameters": .integer(row.parameters), "bytes": .integer(row.payloadBytes),
            "format": .string(row.format), "created_at": .string(TimeText.rfc3339(row.createdAt)),
            "active_since": .optional(row.activeSince.map(TimeText.rfc3339)), "origin": .string(row.origin), "sha256": .string(row.sha256),
            "streams": .optional(streams.map { Int64($0.bound) }), "streams_waiting": .optional(streams.map { Int64($0.waiting) }),
        ])
    }

    /// All versions.
    public static func list(_ reader: StoreReader, use: [String: (bound: Int, waiting: Int)]? = nil) throws -> RecordTable {
        RecordTable(columns: columns, objects: try reader.models().map { object($0, use: use) })
    }

    /// The version that `text` means: `NAME` is the active one, else the newest; `NAME@VERSION` that one.
    public static func find(_ text: String, among rows: [ModelRow]) throws(ControlError) -> ModelRow {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        let versions = rows.filter { $0.name == parts.first.map(String.init) }
        guard let newest = versions.last else { throw .failed("no model \(parts.first ?? ""); `rnnctl model list` shows all") }
        guard parts.count > 1 else { return versions.first { $0.activeSince != nil } ?? newest }
        guard parts.count == 2, let version = Int64(parts[1]), let found = versions.first(where: { $0.version == version }) else {
            throw .failed("no version \(parts[1]) of \(newest.name); there are \(versions.map { "\($0.version)" }.joined(separator: ", "))")
        }
        return found
    }

    /// One version and its bytes, whose hash must be that of the row.
    public static func payload(_ text: String, _ reader: StoreReader) throws -> (row: ModelRow, bytes: [UInt8]) {
        let row = try find(text, among: try reader.models())
        guard let bytes = try reader.modelPayload(id: row.id) else { throw ControlError.failed("no model \(text)") }
        guard Digest.sha256(bytes) == row.sha256 else {
            throw ControlError.failed("model \(row.name)@\(row.version) is damaged: its hash is not \(row.sha256)")
        }
        return (row, bytes)
    }

    /// Stores bytes as a new version; the same bytes again are the version that is there.
    /// - Errors: a bad name, too many bytes, no model that can run.
    public static func add(name: String, bytes: [UInt8], origin: String, to store: StoreWriter, now: Int64) throws(ControlError)
        -> JSONValue
    {
        let allowed = name.utf8.allSatisfy {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || "._-".utf8.contains($0)
        }
        guard allowed, (1...64).contains(name.utf8.count) else {
            throw .badRequest(
                "cannot store model \"\(RecordTable.printable(name))\": expected 1 to 64 letters, digits, '.', '_' or '-' as its name")
        }
        guard bytes.count <= payloadBytesMax else {
            throw .badRequest("cannot store model \(name): got \(bytes.count) bytes, expected at most \(payloadBytesMax)")
        }
        let document: ModelDocument
        do {
            document = try ModelDocument(bytes: bytes, name: name) { location in
                throw ControlError.failed("its data is in \(location); export it as safetensors first")
            }
            _ = try RecurrentEngine(model: document.model)
        } catch { throw .failed("cannot store model \(name): \(error)") }
        let hash = Digest.sha256(bytes)
        return try change(store) { () throws(StoreError) -> JSONValue in
            let versions = try store.models().filter { $0.name == name }
            if let known = versions.first(where: { $0.sha256 == hash }) { return object(known) }
            let row = ModelRow(
                name: name, version: (versions.last?.version ?? 0) + 1, sha256: hash, createdAt: now, origin: String(origin.prefix(512)),
                format: document.format.rawValue, architecture: ModelDocument.architecture(of: document.model),
                parameters: Int64(document.model.parameterCount))
            try store.insertModel(row, payload: bytes)
            return try store.models().first { $0.name == name && $0.version == row.version }.map { object($0) } ?? .null
        }
    }

    /// Makes a version active: the newest for `NAME`, that one for `NAME@VERSION`.
    public static func activate(_ text: String, in store: StoreWriter, now: Int64) throws(ControlError) -> JSONValue {
        let rows = try models(store)
        let found = try find(text, among: rows)
        let row = text.utf8.contains(UInt8(ascii: "@")) ? found : rows.last { $0.name == found.name } ?? found
        guard row.activeSince == nil else { return object(row) }
        return try change(store) { () throws(StoreError) -> JSONValue in
            try store.activateModel(id: row.id, name: row.name, now: now)
            return try store.models().first { $0.id == row.id }.map { object($0) } ?? .null
        }
    }

    /// Makes the version that was active before active again.
    public static func rollBack(_ name: String, in store: StoreWriter) throws(ControlError) -> JSONValue {
        let row = try find(name, among: try models(store))
        return try change(store) { () throws(StoreError) -> JSONValue? in
            let activations = try store.modelActivations(name: row.name)
            guard activations.count > 1, try store.revertModelActivation(name: row.name) else { return nil }
            return try store.models().first { $0.id == activations[activations.count - 2] }.map { object($0) }
        }.orFail("no version of \(row.name) was active before")
    }

    /// Removes one version (`NAME@VERSION`, not the active one) or all (`NAME` with `all`).
    public static func remove(_ text: String, all: Bool, in store: StoreWriter) throws(ControlError) -> JSONValue {
        let rows = try models(store)
        let row = try find(text, among: rows)
        let versions = rows.filter { $0.name == row.name }
        if !all {
            guard text.utf8.contains(UInt8(ascii: "@")) || versions.count == 1 else {
                throw .badRequest(
                    "\(row.name) has \(versions.count) versions: name one as \(row.name)@\(row.version), or remove all with --all")
            }
            guard row.activeSince == nil else {
                throw .failed("\(row.name)@\(row.version) is active: activate another version first, or remove all with --all")
            }
        }
        let gone = all ? versions : [row]
        try requireUnused(gone, store)
        return try change(store) { () throws(StoreError) -> JSONValue in
            for version in gone { try store.removeModel(id: version.id) }
            return .integer(Int64(gone.count))
        }
    }

    /// What runs, or ran within the reach of the journal, is needed to restart exactly.
    private static func requireUnused(_ rows: [ModelRow], _ store: StoreWriter) throws(ControlError) {
        let rosters: [ModelRoster]
        do { rosters = try store.modelRosters().rosters } catch { throw .failed(error.description) }
        let needed = Set(rosters.flatMap { $0.assignments.map(\.model) })
        guard let row = rows.first(where: { needed.contains($0.sha256) }) else { return }
        throw .failed(
            "\(row.name)@\(row.version) runs, or ran since the oldest checkpoint and is needed for a restart: take it out of the "
                + "configuration or activate another version, and try again after two checkpoint intervals")
    }

    private static func models(_ store: StoreWriter) throws(ControlError) -> [ModelRow] {
        do { return try store.models() } catch { throw .failed(error.description) }
    }

    private static func change<Result>(_ store: StoreWriter, _ body: () throws(StoreError) -> Result) throws(ControlError) -> Result {
        var result: Result?
        do {
            try store.transaction { () throws(StoreError) in result = try body() }
            // An answer means that it lasts.
            try store.sync()
        } catch { throw .failed(error.description) }
        guard let result else { throw .failed("nothing was changed") }
        return result
    }
}

extension Optional {
    fileprivate func orFail(_ reason: String) throws(ControlError) -> Wrapped {
        guard let self else { throw .failed(reason) }
        return self
    }
}

/// Models that arrive in pieces over the control socket, whose requests are small. Used from the control thread only.
struct ModelUploads {
    private var parts: [(sha256: String, size: Int, bytes: [UInt8])] = []
    /// Uploads at the same time; the oldest gives way.
    private static let countMax = 4

    /// Takes a piece: `sha256` and `size` of the whole, `offset`, `data` (base64). Returns how much is there.
    mutating func take(_ arguments: JSONValue) throws(ControlError) -> JSONValue {
        guard let hash = arguments["sha256"]?.text, hash.utf8.count == 64, let size = arguments["size"]?.integerValue,
            (1...Int64(ModelLibrary.payloadBytesMax)).contains(size), let offset = arguments["offset"]?.integerValue,
            let data = arguments["data"]?.text.flatMap(Base64.decode)
        else {
            throw .badRequest(
                "model.upload wants sha256, size (at most \(ModelLibrary.payloadBytesMax)), offset and data in base64")
        }
        if offset == 0 {
            parts.removeAll { $0.sha256 == hash }
            if parts.count >= ModelUploads.countMax { parts.removeFirst() }
            parts.append((hash, Int(size), []))
        }
        guard let place = parts.firstIndex(where: { $0.sha256 == hash }), parts[place].bytes.count == Int(offset),
            parts[place].size == Int(size),
            Int(offset) + data.count <= Int(size)
        else { throw .badRequest("model.upload: this piece does not follow the one before; begin again with offset 0") }
        parts[place].bytes += data
        return .integer(Int64(parts[place].bytes.count))
    }

    /// The whole, which is then forgotten here.
    mutating func finish(_ hash: String) throws(ControlError) -> [UInt8] {
        guard let place = parts.firstIndex(where: { $0.sha256 == hash }) else { throw .badRequest("model.import wants an upload first") }
        let part = parts.remove(at: place)
        guard part.bytes.count == part.size, Digest.sha256(part.bytes) == hash else {
            throw .badRequest("model.import: the bytes received are not those of \(hash)")
        }
        return part.bytes
    }
}
