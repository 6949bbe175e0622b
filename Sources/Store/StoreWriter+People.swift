import Alerting
import Readings
import Tabular

/// What people do, in rows. All in the transaction of whoever calls.
extension StoreWriter {
    /// Marks of batches in `alert_events` are left to the detector's steps.
    private func step(_ step: AttentionStep, _ id: String, severity: Severity, now: Int64) throws(StoreError) {
        try database.run(
            "INSERT INTO alert_events (alert_id, at, stored_at, transition, severity, who, note) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                .text(id), .integer(now), .integer(now), .text(step.name.rawValue), .text(severity.rawValue),
                step.by.isEmpty ? .null : .text(step.by), step.text.isEmpty ? .null : .text(step.text),
            ], doing: "store an alert's step")
    }

    private static let recordColumns =
        "acked_by, acked_at, acked_until, acked_severity, ack_end, shelved_by, shelved_until, comment, severity, state"

    private static func record(_ row: Statement) -> (record: AttentionRecord, severity: Severity, isOpen: Bool) {
        var record = AttentionRecord()
        (record.ackedBy, record.ackedAt, record.ackedUntil) = (row.optionalText(0), row.optionalInteger(1), row.optionalInteger(2))
        record.ackedSeverity = row.optionalText(3).flatMap { Severity(rawValue: $0) }
        record.ackEnd = row.optionalText(4).flatMap { AckEnd(rawValue: $0) }
        (record.shelvedBy, record.shelvedUntil, record.comment) = (row.optionalText(5), row.optionalInteger(6), row.optionalText(7))
        return (record, Severity(rawValue: row.text(8)) ?? .info, row.text(9) == "open")
    }

    private func save(_ record: AttentionRecord, _ id: String) throws(StoreError) {
        try database.run(
            """
            UPDATE alerts SET attention = ?, acked_by = ?, acked_at = ?, acked_until = ?, acked_severity = ?, ack_end = ?, shelved_by = ?,
            shelved_until = ?, comment = ? WHERE id = ?
            """,
            [
                .text(record.attention.rawValue), .optional(record.ackedBy), .optional(record.ackedAt), .optional(record.ackedUntil),
                .optional(record.ackedSeverity?.rawValue), .optional(record.ackEnd?.rawValue), .optional(record.shelvedBy),
                .optional(record.shelvedUntil), .optional(record.comment), .text(id),
            ], doing: "store what was done about an alert")
        try findNextAttentionEnd()
    }

    /// What people did about alerts before.
    func loadPeople(now: Int64) throws(StoreError) {
        try findNextAttentionEnd()
        try loadSilences(now: now)
    }

    private func findNextAttentionEnd() throws(StoreError) {
        nextAttentionEnd = try database.number(
            """
            SELECT min(until) FROM (SELECT acked_until AS until FROM alerts WHERE attention <> 'new' AND ack_end IS NULL
            UNION ALL SELECT shelved_until FROM alerts WHERE attention <> 'new')
            """, doing: "read what was done about alerts")
    }

    /// An act of a person about one alert.
    /// - Returns: why it was refused, or nil. An unknown id is refused.
    public func act(_ event: AttentionEvent, on id: String, now: Int64) throws(StoreError) -> AttentionError? {
        var found: (record: AttentionRecord, severity: Severity, isOpen: Bool)?
        try database.rows(
            "SELECT \(StoreWriter.recordColumns) FROM alerts WHERE id = ?", [.text(id)], doing: "read an alert"
        ) { row throws(StoreError) in found = StoreWriter.record(row) }
        guard var found else { return AttentionError.unknown }
        let steps: [AttentionStep]
        do {
            steps = try found.record.apply(event, now: now, severity: found.severity, isOpen: found.isOpen)
        } catch { return error }
        try save(found.record, id)
        for step in steps { try self.step(step, id, severity: found.severity, now: now) }
        return nil
    }

    /// Ends what ends by itself at `now`. Returns how many alerts changed.
    public func endAttention(now: Int64) throws(StoreError) -> Int {
        var ids: [String] = []
        try database.rows(
            """
            SELECT id FROM alerts WHERE attention <> 'new' AND ((ack_end IS NULL AND acked_until <= ?) OR shelved_until <= ?)
            """, [.integer(now), .integer(now)], doing: "read what was done about alerts"
        ) { row throws(StoreError) in ids.append(row.text(0)) }
        for id in ids { _ = try act(.tick, on: id, now: now) }
        if ids.isEmpty { try findNextAttentionEnd() }
        return ids.count
    }

    /// What a step of the detector means for what people did.
    func attend(_ action: AlertAction, now: Int64) throws(StoreError) {
        let alert = action.alert
        switch action.transition {
        case .opened:
            try goOn(alert, now: now)
            try beginSilences(alert, now: now)
            guard let incident = alert.incident else { return }
            var others: [String] = []
            try database.rows(
                "SELECT id FROM alerts WHERE incident = ? AND id <> ? AND attention <> 'new'", [.text(incident), .text(alert.id)],
                doing: "read an incident"
            ) { row throws(StoreError) in others.append(row.text(0)) }
            for other in others { _ = try act(.joined(alert.id), on: other, now: now) }
        case .updated: try attend(.severity(alert.severity), alert.id, now)
        case .closed: try attend(.closed, alert.id, now)
        }
    }

    private func attend(_ event: AttentionEvent, _ id: String, _ now: Int64) throws(StoreError) {
        let attended = try database.number(
            "SELECT count(*) FROM alerts WHERE id = ? AND attention <> 'new'", [.text(id)], doing: "read an alert")
        if attended ?? 0 > 0 { _ = try act(event, on: id, now: now) }
    }

    /// An alert that came back soon goes on with its acknowledgement.
    private func goOn(_ alert: Alert, now: Int64) throws(StoreError) {
        var before: (id: String, record: AttentionRecord)?
        try database.rows(
            """
            SELECT \(StoreWriter.recordColumns), id FROM alerts WHERE stream_id = ? AND kind = ? AND state = 'closed' AND closed_at >= ?
            AND id <> ? AND ack_end = 'closed' ORDER BY number DESC LIMIT 1
            """,
            [
                .integer(Int64(alert.stream)), .text(alert.kind.rawValue),
                .integer(alert.openedAt.subtractingReportingOverflow(reopenWithin).partialValue), .text(alert.id),
            ], doing: "find the alert before"
        ) { row throws(StoreError) in before = (row.text(10), StoreWriter.record(row).record) }
        guard let before, let record = before.record.inherited(now: now, severity: alert.severity) else { return }
        try save(record, alert.id)
        try step(
            AttentionStep(.acked, by: record.ackedBy ?? "", text: "as \(before.id) was, which ended a moment before"), alert.id,
            severity: alert.severity, now: now)
    }

    /// What was thought of an alert, and what became of it for its stream, as its batch says.
    func apply(_ note: PersonalNote, sequence: Int64, ordinal: Int) throws(StoreError) {
        if case .rename(let stream, let key) = note {
            return try rename(stream, to: String(decoding: key, as: UTF8.self), sequence: sequence, ordinal: ordinal)
        }
        guard case .feedback(_, let id, let verdict, let by, let text, let at, _) = note else { return }
        try database.run(
            "UPDATE alerts SET feedback = ?, feedback_by = ?, feedback_at = ?, comment = coalesce(?, comment) WHERE id = ?",
            [.text(verdict), .text(by), .integer(at), text.isEmpty ? .null : .text(text), .text(id)], doing: "store feedback")
        try database.run(
            """
            INSERT INTO alert_events (alert_id, at, stored_at, transition, severity, who, note)
            SELECT id, ?, ?, 'feedback', severity, ?, ? FROM alerts WHERE id = ?
            """, [.integer(at), .integer(at), .text(by), .text(text.isEmpty ? verdict : "\(verdict): \(text)"), .text(id)],
            doing: "store an alert's step")
    }

    /// A stream has another name: so have its alerts. `ordinal`: place among the renames of batch `sequence`.
    func rename(_ stream: UInt32, to key: String, sequence: Int64, ordinal: Int) throws(StoreError) {
        try database.run(
            "INSERT OR IGNORE INTO stream_renames (seq, ordinal, stream_id, key) SELECT ?, ?, id, key FROM streams WHERE id = ?",
            [.integer(sequence), .integer(Int64(ordinal)), .integer(Int64(stream))], doing: "rename a stream")
        try database.run(
            "UPDATE OR IGNORE streams SET key = ? WHERE id = ?", [.text(key), .integer(Int64(stream))], doing: "rename a stream")
        try database.run(
            "UPDATE alerts SET stream = ? WHERE stream_id = ?", [.text(key), .integer(Int64(stream))], doing: "rename a stream")
    }
}

extension AttentionError {
    /// No alert has that id.
    static let unknown = AttentionError("there is no such alert")
}

extension StoreReader {
    /// What streams were called as of the first batch of the journal, where that is not what they are called now.
    public func namesBefore() throws(StoreError) -> [UInt32: String] {
        var names: [UInt32: String] = [:]
        try database.rows("SELECT stream_id, key FROM stream_renames ORDER BY seq DESC, ordinal DESC", doing: "read renamed streams") {
            row throws(StoreError) in names[UInt32(truncatingIfNeeded: row.integer(0))] = row.text(1)
        }
        return names
    }
}
