import Alerting
import Readings
import Tabular

/// Which alerts to list.
public struct AlertFilter: Sendable, Equatable {
    /// Opened at or after (nanoseconds since 1970).
    public var since: Int64?
    /// Opened before.
    public var until: Int64?
    /// Glob over the stream key (SQLite GLOB: `*`, `?`, `[...]`).
    public var stream: String?
    public var severityMin: Severity = .info
    public var kind: String?
    public var state: String?
    public var attention: String?
    /// Only these.
    public var ids: [String]?
    /// The newest so many; 0 for all.
    public var limit: Int64 = 0

    public init() {}
}

/// Questions that commands ask; answers are tables with a documented set of columns that only grows.
extension StoreReader {
    /// Columns of `rnnctl alerts query`.
    public static let alertColumns = [
        "id", "stream", "channels", "kind", "severity", "state", "opened_at", "updated_at", "closed_at", "initial_score", "peak_score",
        "threshold", "observed", "expected", "band_low", "band_high", "reason", "attention", "acked_by", "acked_at", "shelved_until",
        "comment",
        "close_reason", "incident", "feedback",
    ]
    /// Columns of `rnnctl alerts show`: those, plus what explains them.
    public static let alertDetailColumns = alertColumns + ["contributions", "evidence", "context", "events"]

    private static let selected = """
        SELECT id, stream, channels, kind, severity, state, opened_at, updated_at, closed_at, initial_score, peak_score, threshold,
        observed, expected, band_low, band_high, reason, contributions, evidence, context, attention, acked_by, acked_at, shelved_until,
        comment, close_reason, incident, feedback FROM alerts
        """

    /// Alerts that pass `filter`, oldest first; times as RFC 3339 through `timeText`.
    public func alerts(_ filter: AlertFilter, timeText: (Int64) -> String) throws(StoreError) -> RecordTable {
        var conditions: [String] = []
        var values: [SQLValue] = []
        if let since = filter.since {
            conditions.append("opened_at >= ?")
            values.append(.integer(since))
        }
        if let until = filter.until {
            conditions.append("opened_at < ?")
            values.append(.integer(until))
        }
        if let stream = filter.stream {
            conditions.append("stream GLOB ?")
            values.append(.text(stream))
        }
        if let kind = filter.kind {
            conditions.append("kind = ?")
            values.append(.text(kind))
        }
        if let state = filter.state {
            conditions.append("state = ?")
            values.append(.text(state))
        }
        if let attention = filter.attention {
            conditions.append("attention = ?")
            values.append(.text(attention))
        }
        if let ids = filter.ids {
            conditions.append("id IN (SELECT value FROM json_each(?))")
            values.append(.text(JSONValue.array(ids.map { .string($0) }).compact))
        }
        let severities = Severity.allCases.filter { $0 >= filter.severityMin }.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        conditions.append("severity IN (\(severities))")
        let sql =
            StoreReader.selected + " WHERE " + conditions.joined(separator: " AND ") + " ORDER BY opened_at DESC, number DESC"
            + " LIMIT ?"
        // Bound, not written into the text: every text is prepared once and kept. Negative: all.
        values.append(.integer(filter.limit > 0 ? filter.limit : -1))
        var rows: [[JSONValue]] = []
        try database.rows(sql, values, doing: "read alerts") { row throws(StoreError) in rows.append(StoreReader.alertRow(row, timeText)) }
        return RecordTable(columns: StoreReader.alertColumns, rows: rows.reversed())
    }

    /// One alert with everything that explains it; nil when there is none of that id.
    public func alert(id: String, timeText: (Int64) -> String) throws(StoreError) -> JSONValue? {
        var found: JSONValue?
        try database.rows(StoreReader.selected + " WHERE id = ?", [.text(id)], doing: "read an alert") { row throws(StoreError) in
            var members = zip(StoreReader.alertColumns, StoreReader.alertRow(row, timeText)).map { JSONValue.Member($0, $1) }
            for (column, name) in [(17, "contributions"), (18, "evidence"), (19, "context")] {
                members.append(JSONValue.Member(name, (try? JSONValue.parse(Array(row.text(Int32(column)).utf8))) ?? .array([])))
            }
            found = .object(members)
        }
        guard case .object(var members)? = found else { return nil }
        var events: [JSONValue] = []
        try database.rows(
            "SELECT at, transition, score, severity, who, note, number FROM alert_events WHERE alert_id = ? ORDER BY number", [.text(id)],
            doing: "read an alert's steps"
        ) { row throws(StoreError) in
            events.append(
                .object([
                    "at": .string(timeText(row.integer(0))), "transition": .string(row.text(1)), "score": .optional(row.optionalReal(2)),
                    "severity": .optional(row.optionalText(3)), "by": .optional(row.optionalText(4)),
                    "text": .optional(row.optionalText(5)),
                    "step": .integer(row.integer(6)),
                ]))
        }
        members.append(JSONValue.Member("events", .array(events)))
        return .object(members)
    }

    /// Ids that start with `prefix`, at most `limit`.
    public func alertIDs(prefix: String, limit: Int = 5) throws(StoreError) -> [String] {
        var ids: [String] = []
        try database.rows(
            "SELECT id FROM alerts WHERE substr(id, 1, length(?)) = ? ORDER BY number DESC LIMIT ?",
            [.text(prefix), .text(prefix), .integer(Int64(limit))], doing: "find an alert"
        ) { row throws(StoreError) in ids.append(row.text(0)) }
        return ids
    }

    private static func alertRow(_ row: Statement, _ timeText: (Int64) -> String) -> [JSONValue] {
        [
            .string(row.text(0)), .string(row.text(1)), (try? JSONValue.parse(Array(row.text(2).utf8))) ?? .array([]), .string(row.text(3)),
            .string(row.text(4)), .string(row.text(5)), .string(timeText(row.integer(6))), .string(timeText(row.integer(7))),
            row.optionalInteger(8).map { .string(timeText($0)) } ?? .null, .optional(row.optionalReal(9)), .optional(row.optionalReal(10)),
            .optional(row.optionalReal(11)), .optional(row.optionalReal(12)), .optional(row.optionalReal(13)),
            .optional(row.optionalReal(14)),
            .optional(row.optionalReal(15)), .string(row.text(16)), .string(row.text(20)), .optional(row.optionalText(21)),
            row.optionalInteger(22).map { .string(timeText($0)) } ?? .null, row.optionalInteger(23).map { .string(timeText($0)) } ?? .null,
            .optional(row.optionalText(24)), .optional(row.optionalText(25)), .optional(row.optionalText(26)),
            .optional(row.optionalText(27)),
        ]
    }

    /// Columns of `rnnctl checkpoints list`.
    public static let checkpointColumns = ["block", "generation", "sequence", "written_at", "streams", "bytes", "layout", "state"]

    /// All stored generations with their sizes; `state` is `ok` or `damaged`.
    public func checkpointList(timeText: (Int64) -> String) throws(StoreError) -> RecordTable {
        var rows: [[JSONValue]] = []
        try database.rows(
            "SELECT block, slot, seq, written_at, streams, length(payload), layout, checksum, payload FROM checkpoints ORDER BY block, seq DESC",
            doing: "list checkpoints"
        ) { row throws(StoreError) in
            let block = CheckpointBlock(
                block: row.integer(0), sequence: row.integer(2), layout: UInt32(truncatingIfNeeded: row.integer(6)),
                streams: Int(row.integer(4)), payload: row.blob(8))
            let isIntact = Int64(block.checksum) == row.integer(7)
            rows.append([
                .integer(row.integer(0)), .integer(row.integer(1)), .integer(row.integer(2)), .string(timeText(row.integer(3))),
                .integer(row.integer(4)), .integer(row.integer(5)), .integer(row.integer(6)), .string(isIntact ? "ok" : "damaged"),
            ])
        }
        return RecordTable(columns: StoreReader.checkpointColumns, rows: rows)
    }

    /// When the newest checkpoint was written; nil when there is none.
    public func lastCheckpointAt() throws(StoreError) -> Int64? {
        try database.number("SELECT max(written_at) FROM checkpoints", doing: "read checkpoints")
    }
}
