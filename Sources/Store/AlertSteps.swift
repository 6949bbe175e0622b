import Alerting
import Tabular

/// The steps of all alerts in the order in which they were stored: what `alerts follow` prints and whoever tells people goes by.
extension StoreReader {
    public static let stepColumns = [
        "step", "stored_at", "at", "transition", "id", "stream", "channels", "kind", "severity", "state", "attention", "score", "by",
        "text",
        "reason", "incident", "close_reason",
    ]

    /// Number of the newest step ever stored (0 for none), and of the oldest that is still there.
    public func stepRange() throws(StoreError) -> (oldest: Int64?, newest: Int64) {
        let newest = try database.number("SELECT seq FROM sqlite_sequence WHERE name = 'alert_events'", doing: "read steps of alerts") ?? 0
        return (try database.number("SELECT min(number) FROM alert_events", doing: "read steps of alerts"), newest)
    }

    /// Steps after number `after`, oldest first. State, attention and reason are the alert's as of now, severity as of then.
    public func steps(after: Int64, limit: Int64, stream: String?, timeText: (Int64) -> String) throws(StoreError) -> [JSONValue] {
        var steps: [JSONValue] = []
        try database.rows(
            """
            SELECT e.number, e.stored_at, e.at, e.transition, a.id, a.stream, a.channels, a.kind, coalesce(e.severity, a.severity), a.state,
            a.attention, e.score, e.who, e.note, a.reason, a.incident, a.close_reason FROM alert_events e JOIN alerts a ON a.id = e.alert_id
            WHERE e.number > ? AND (? IS NULL OR a.stream GLOB ?) ORDER BY e.number LIMIT ?
            """, [.integer(after), .optional(stream), .optional(stream), .integer(limit)], doing: "read steps of alerts"
        ) { row throws(StoreError) in
            steps.append(
                .object(
                    zip(
                        StoreReader.stepColumns,
                        [
                            .integer(row.integer(0)), .string(timeText(row.integer(1))), .string(timeText(row.integer(2))),
                            .string(row.text(3)), .string(row.text(4)), .string(row.text(5)),
                            (try? JSONValue.parse(Array(row.text(6).utf8))) ?? .array([]), .string(row.text(7)), .string(row.text(8)),
                            .string(row.text(9)), .string(row.text(10)), .optional(row.optionalReal(11)), .optional(row.optionalText(12)),
                            .optional(row.optionalText(13)), .string(row.text(14)), .optional(row.optionalText(15)),
                            .optional(row.optionalText(16)),
                        ]
                    ).map { JSONValue.Member($0, $1) }))
        }
        return steps
    }
}
