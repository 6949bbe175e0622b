import Tabular

/// Counts of alerts, for the audit of false-alarm budgets.
extension StoreReader {
    /// Anomalies that count against the budget (all but those that people called true) opened at or after `since` (nanoseconds since 1970), by stream.
    public func anomalies(since: Int64) throws(StoreError) -> [UInt32: Int] {
        var counts: [UInt32: Int] = [:]
        try database.rows(
            "SELECT stream_id, count(*) FROM alerts WHERE kind = 'anomaly' AND feedback IS NOT 'true' AND opened_at >= ? GROUP BY stream_id",
            [.integer(since)],
            doing: "count alerts"
        ) { row throws(StoreError) in counts[UInt32(truncatingIfNeeded: row.integer(0))] = Int(row.integer(1)) }
        return counts
    }

    /// The streams of alerts, by id.
    public func streamNumbers(ofAlerts ids: [String]) throws(StoreError) -> [String: UInt32] {
        var numbers: [String: UInt32] = [:]
        try database.rows(
            "SELECT id, stream_id FROM alerts WHERE id IN (SELECT value FROM json_each(?))",
            [.text(JSONValue.array(ids.map { .string($0) }).compact)], doing: "find alerts"
        ) { row throws(StoreError) in numbers[row.text(0)] = UInt32(truncatingIfNeeded: row.integer(1)) }
        return numbers
    }

    /// Ids and kinds of the alerts of a stream that were open at `time`, oldest first.
    public func alerts(of stream: UInt32, openAt time: Int64) throws(StoreError) -> [(id: String, kind: String)] {
        var found: [(String, String)] = []
        try database.rows(
            """
            SELECT id, kind FROM alerts WHERE stream_id = ? AND opened_at <= ? AND (closed_at IS NULL OR closed_at >= ?)
            ORDER BY opened_at, number
            """, [.integer(Int64(stream)), .integer(time), .integer(time)], doing: "find alerts"
        ) { row throws(StoreError) in found.append((row.text(0), row.text(1))) }
        return found
    }
}
