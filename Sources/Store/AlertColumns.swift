import Alerting
import Tabular

/// How an alert stands in its row and in the rows that commands print.
enum AlertColumns {
    static let names = [
        "id", "stream_id", "stream", "channels", "kind", "severity", "state", "opened_at", "updated_at", "closed_at", "stored_at",
        "initial_score",
        "peak_score", "threshold", "observed", "expected", "band_low", "band_high", "reason", "contributions", "evidence", "context",
        "close_reason", "incident",
    ]

    /// What people did about the alert stays as it is (see `StoreWriter+People`).
    static let upsert = """
        INSERT INTO alerts (\(names.joined(separator: ", "))) VALUES (\(names.map { _ in "?" }.joined(separator: ", ")))
        ON CONFLICT (id) DO UPDATE SET \(names.dropFirst(3).dropLast().map { "\($0) = excluded.\($0)" }.joined(separator: ", ")),
        incident = coalesce(excluded.incident, incident)
        """

    static func values(_ alert: Alert, now: Int64) -> [SQLValue] {
        [
            .text(alert.id), .integer(Int64(alert.stream)), .text(alert.streamKey),
            .text(JSONValue.array(alert.channels.map { .string($0) }).compact), .text(alert.kind.rawValue), .text(alert.severity.rawValue),
            // A clock that was set back may date the end before the beginning; the table does not take that.
            .text(alert.state.rawValue), .integer(alert.openedAt), .integer(max(alert.updatedAt, alert.openedAt)),
            .optional(alert.closedAt.map { max($0, alert.openedAt) }),
            .integer(now),
            .optional(alert.initialScore), .optional(alert.peakScore), .optional(alert.threshold), .optional(alert.observed),
            .optional(alert.expected), .optional(alert.bandLow), .optional(alert.bandHigh), .text(alert.reason),
            .text(json(alert.contributions)), .text(json(alert.evidence)),
            .text(JSONValue.array(alert.context.map { .object(["time": .integer($0.time), "value": .number($0.value)]) }).compact),
            .optional(alert.closeReason?.rawValue), .optional(alert.incident),
        ]
    }

    private static func json(_ contributions: [Contribution]) -> String {
        JSONValue.array(
            contributions.map { .object(["name": .string($0.name), "share": .number($0.share), "note": .string($0.note)]) }
        ).compact
    }
}
