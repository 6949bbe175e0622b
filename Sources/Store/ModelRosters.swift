import Readings

/// Which models run, as a shard was told in one of its batches.
public struct ModelRoster: Sendable, Equatable {
    /// The batch that says so.
    public var sequence: Int64
    public var shard: Int
    public var shards: Int
    public var assignments: [ModelAssignment]

    public init(sequence: Int64, shard: Int, shards: Int, assignments: [ModelAssignment]) {
        (self.sequence, self.shard, self.shards, self.assignments) = (sequence, shard, shards, assignments)
    }
}

private enum ModelRosterRows {
    /// Oldest first, and the batches of rows that cannot be read.
    static func all(_ database: Database) throws(StoreError) -> (rosters: [ModelRoster], damaged: [Int64]) {
        var rosters: [ModelRoster] = []
        var damaged: [Int64] = []
        try database.rows("SELECT seq, shard, shards, assignments FROM model_rosters ORDER BY seq", doing: "read which models run") {
            row throws(StoreError) in
            do throws(CodingError) {
                rosters.append(
                    ModelRoster(
                        sequence: row.integer(0), shard: Int(row.integer(1)), shards: Int(row.integer(2)),
                        assignments: try JournalCodec.assignments(of: row.blob(3))))
            } catch { damaged.append(row.integer(0)) }
        }
        return (rosters, damaged)
    }
}

extension StoreReader {
    /// Which models ran, oldest first, as far back as the journal; and the batches of rows that cannot be read.
    public func modelRosters() throws(StoreError) -> (rosters: [ModelRoster], damaged: [Int64]) { try ModelRosterRows.all(database) }
}

extension StoreWriter {
    /// As `StoreReader.modelRosters`.
    public func modelRosters() throws(StoreError) -> (rosters: [ModelRoster], damaged: [Int64]) { try ModelRosterRows.all(database) }

    /// Stores what a shard was told; in the transaction of its batch.
    public func store(_ roster: ModelRoster) throws(StoreError) {
        try database.run(
            "INSERT OR REPLACE INTO model_rosters (seq, shard, shards, assignments) VALUES (?, ?, ?, ?)",
            [
                .integer(roster.sequence), .integer(Int64(roster.shard)), .integer(Int64(roster.shards)),
                .blob(JournalCodec.encode(roster.assignments)),
            ], doing: "store which models run")
    }

    /// Forgets what no replay can ask for any more: of each shard all but the newest up to `sequence`.
    func truncateModelRosters(through sequence: Int64) throws(StoreError) {
        try database.run(
            """
            DELETE FROM model_rosters WHERE seq < (SELECT max(seq) FROM model_rosters newer
            WHERE newer.seq <= ? AND newer.shard = model_rosters.shard)
            """, [.integer(sequence)], doing: "shorten the list of models that ran")
    }
}
