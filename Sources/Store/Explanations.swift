import Alerting
import Tabular

/// What an explanation needs to know about an alert.
public struct AlertOrigin: Sendable, Equatable {
    public var id: String
    public var stream: UInt32
    public var streamKey: String
    public var channels: [String]
    public var kind: String
    public var threshold: Double?
    public var initialScore: Double?
    /// Time of the reading that opened it, and the batch it came in.
    public var openedAt: Int64
    public var sequence: Int64
}

extension StoreReader {
    /// One alert by its whole id.
    public func alertOrigin(id: String) throws(StoreError) -> AlertOrigin? {
        var found: AlertOrigin?
        try database.rows(
            """
            SELECT a.id, a.stream_id, a.stream, a.channels, a.kind, a.threshold, a.initial_score, a.opened_at, min(e.seq) FROM alerts a
            JOIN alert_events e ON e.alert_id = a.id AND e.transition = 'opened' WHERE a.id = ? GROUP BY a.id
            """, [.text(id)], doing: "read an alert"
        ) { row throws(StoreError) in
            let channels = (try? JSONValue.parse(Array(row.text(3).utf8)))?.items?.compactMap(\.text) ?? []
            found = AlertOrigin(
                id: row.text(0), stream: UInt32(truncatingIfNeeded: row.integer(1)), streamKey: row.text(2), channels: channels,
                kind: row.text(4), threshold: row.optionalReal(5), initialScore: row.optionalReal(6), openedAt: row.integer(7),
                sequence: row.integer(8))
        }
        return found
    }

    /// The stored explanation of an alert, as JSON.
    public func explanation(id: String) throws(StoreError) -> String? {
        var found: String?
        try database.rows("SELECT content FROM explanations WHERE alert_id = ?", [.text(id)], doing: "read an explanation") {
            row throws(StoreError) in found = row.text(0)
        }
        return found
    }

    /// Anomalies without an explanation whose readings the journal still holds, newest first.
    public func unexplainedAlerts(limit: Int) throws(StoreError) -> [String] {
        var ids: [String] = []
        try database.rows(
            """
            SELECT a.id FROM alerts a JOIN alert_events e ON e.alert_id = a.id AND e.transition = 'opened'
            WHERE a.kind = 'anomaly' AND e.seq >= (SELECT min(first_seq) FROM journal)
            AND NOT EXISTS (SELECT 1 FROM explanations x WHERE x.alert_id = a.id) ORDER BY a.number DESC LIMIT ?
            """, [.integer(Int64(limit))], doing: "find alerts without explanation"
        ) { row throws(StoreError) in ids.append(row.text(0)) }
        return ids
    }
}

extension StoreWriter {
    /// Stores an explanation and keeps the newest `keep` of all. Nothing happens for an alert that is gone.
    public func storeExplanation(id: String, content: String, now: Int64, keep: Int64) throws(StoreError) {
        try database.run(
            """
            INSERT INTO explanations (alert_id, made_at, content) SELECT id, ?, ? FROM alerts WHERE id = ?
            ON CONFLICT (alert_id) DO UPDATE SET made_at = excluded.made_at, content = excluded.content
            """, [.integer(now), .text(content), .text(id)], doing: "store an explanation")
        try database.run(
            "DELETE FROM explanations WHERE made_at < (SELECT made_at FROM explanations ORDER BY made_at DESC LIMIT 1 OFFSET ?)",
            [.integer(max(0, keep - 1))], doing: "delete old explanations")
    }
}
