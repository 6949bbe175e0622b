import Configuration
import Models
import Platform
import Readings
import Store
import Watching

/// Stored models that are ready to run, shared by all shards: each is read and packed once.
final class ModelShelf: Sendable {
    private let databasePath: String
    private let models = Locked<[String: WatchModel]>([:])

    init(databasePath: String) { self.databasePath = databasePath }

    /// A model by the SHA-256 of its bytes; nil: it is not stored, or damaged. The first call for one reads it.
    func model(_ id: String) -> WatchModel? {
        if let known = models.withLock({ $0[id] }) { return known }
        guard let reader = try? StoreReader(path: databasePath) else { return nil }
        try? load([id], reader)
        return models.withLock { $0[id] }
    }

    /// Reads these models beforehand, so that no shard has to wait for them.
    /// - Errors: one is damaged.
    func load(_ ids: Set<String>, _ reader: StoreReader) throws {
        let known = models.withLock { Set($0.keys) }
        for row in try reader.models() where ids.contains(row.sha256) && !known.contains(row.sha256) {
            guard let bytes = try reader.modelPayload(id: row.id), Digest.sha256(bytes) == row.sha256 else {
                throw StoreError.damaged(what: "model \(row.name)@\(row.version)", reason: "its hash is not \(row.sha256)")
            }
            let label = "\(row.name)@\(row.version)"
            let document = try ModelDocument(bytes: bytes, name: label) { _ in [] }
            let model = try WatchModel(id: row.sha256, label: label, document: document)
            models.withLock { $0[row.sha256] = model }
        }
    }

    /// What the configuration means with the versions that are active, and what of it cannot be had.
    static func assignments(_ configuration: Configuration, _ rows: [ModelRow]) -> (assignments: [ModelAssignment], problems: [String]) {
        guard configuration.streamRules.contains(where: { !$0.model.isEmpty }) else { return ([], []) }
        var problems: [String] = []
        let assignments = configuration.streamRules.map { rule in
            let none = ModelAssignment(match: rule.match, model: "", label: "")
            guard !rule.model.isEmpty else { return none }
            let parts = rule.model.split(separator: "@", maxSplits: 1).map(String.init)
            let versions = rows.filter { $0.name == parts.first }
            let found = parts.count == 2 ? versions.first { "\($0.version)" == parts[1] } : versions.first { $0.activeSince != nil }
            guard let found else {
                let what =
                    versions.isEmpty ? "no such model is stored" : parts.count == 2 ? "no such version" : "no version of it is active"
                problems.append("streams \(rule.match) run on the built-in network: model \(rule.model): \(what)")
                return none
            }
            return ModelAssignment(match: rule.match, model: found.sha256, label: "\(found.name)@\(found.version)")
        }
        return (assignments, problems)
    }
}
