/// A stored version of a model, without its bytes.
public struct ModelRow: Sendable, Equatable {
    /// What activations refer to.
    public var id: Int64
    public var name: String
    /// From 1, counted for each name.
    public var version: Int64
    /// Of the payload, 64 hexadecimal digits.
    public var sha256: String
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    /// Where it came from, for people.
    public var origin: String
    /// `safetensors` or `onnx`.
    public var format: String
    /// One line, for people.
    public var architecture: String
    public var parameters: Int64
    public var payloadBytes: Int64
    /// When it became the active version of its name; nil when it is not.
    public var activeSince: Int64?

    /// A row as given; `id`, `payloadBytes` and `activeSince` come from the database.
    public init(
        name: String, version: Int64, sha256: String, createdAt: Int64, origin: String, format: String, architecture: String,
        parameters: Int64
    ) {
        (id, payloadBytes, activeSince) = (0, 0, nil)
        (self.name, self.version, self.sha256, self.createdAt, self.origin) = (name, version, sha256, createdAt, origin)
        (self.format, self.architecture, self.parameters) = (format, architecture, parameters)
    }
}

private enum ModelRows {
    /// All versions with what is active, by name and version.
    static func all(_ database: Database) throws(StoreError) -> [ModelRow] {
        var rows: [ModelRow] = []
        try database.rows(
            """
            SELECT m.id, m.name, m.version, m.sha256, m.created_at, m.origin, m.format, m.architecture, m.parameters, length(m.payload),
            (SELECT activated_at FROM model_activations a WHERE a.model_id = m.id
             AND a.id = (SELECT max(id) FROM model_activations n WHERE n.name = m.name))
            FROM models m ORDER BY m.name, m.version
            """, doing: "read models"
        ) { row throws(StoreError) in
            var model = ModelRow(
                name: row.text(1), version: row.integer(2), sha256: row.text(3), createdAt: row.integer(4), origin: row.text(5),
                format: row.text(6), architecture: row.text(7), parameters: row.integer(8))
            (model.id, model.payloadBytes, model.activeSince) = (row.integer(0), row.integer(9), row.optionalInteger(10))
            rows.append(model)
        }
        return rows
    }

    static func payload(_ database: Database, id: Int64) throws(StoreError) -> [UInt8]? {
        var bytes: [UInt8]?
        try database.rows("SELECT payload FROM models WHERE id = ?", [.integer(id)], doing: "read a model") { row throws(StoreError) in
            bytes = row.blob(0)
        }
        return bytes
    }
}

extension StoreReader {
    /// All versions of all models, by name and version.
    public func models() throws(StoreError) -> [ModelRow] { try ModelRows.all(database) }

    /// The bytes of one version; nil when it is gone.
    public func modelPayload(id: Int64) throws(StoreError) -> [UInt8]? { try ModelRows.payload(database, id: id) }
}

/// Changes of models; call them inside `transaction`.
extension StoreWriter {
    /// All versions of all models.
    public func models() throws(StoreError) -> [ModelRow] { try ModelRows.all(database) }

    /// Adds a version.
    public func insertModel(_ row: ModelRow, payload: [UInt8]) throws(StoreError) {
        try database.run(
            """
            INSERT INTO models (name, version, sha256, created_at, origin, format, architecture, parameters, payload)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                .text(row.name), .integer(row.version), .text(row.sha256), .integer(row.createdAt), .text(row.origin), .text(row.format),
                .text(row.architecture), .integer(row.parameters), .blob(payload),
            ], doing: "store a model")
    }

    /// Makes a version the one that counts for its name.
    public func activateModel(id: Int64, name: String, now: Int64) throws(StoreError) {
        try database.run(
            "INSERT INTO model_activations (name, model_id, activated_at) VALUES (?, ?, ?)", [.text(name), .integer(id), .integer(now)],
            doing: "activate a model")
    }

    /// Takes back the newest activation of `name`. false: there is none.
    public func revertModelActivation(name: String) throws(StoreError) -> Bool {
        try database.run(
            "DELETE FROM model_activations WHERE id = (SELECT max(id) FROM model_activations WHERE name = ?)", [.text(name)],
            doing: "roll a model back")
        return database.changes > 0
    }

    /// The versions that were active one after the other, as ids, the present one last.
    public func modelActivations(name: String) throws(StoreError) -> [Int64] {
        var ids: [Int64] = []
        try database.rows("SELECT model_id FROM model_activations WHERE name = ? ORDER BY id", [.text(name)], doing: "read activations") {
            row throws(StoreError) in ids.append(row.integer(0))
        }
        return ids
    }

    /// Removes a version and its activations.
    public func removeModel(id: Int64) throws(StoreError) {
        try database.run("DELETE FROM models WHERE id = ?", [.integer(id)], doing: "remove a model")
    }
}
