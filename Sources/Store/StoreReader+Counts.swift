/// Counts of alerts, for the audit of false-alarm budgets.
extension StoreReader {
    /// Anomalies opened at or after `since` (nanoseconds since 1970), by stream.
    public func anomalies(since: Int64) throws(StoreError) -> [UInt32: Int] {
        var counts: [UInt32: Int] = [:]
        try database.rows(
            "SELECT stream_id, count(*) FROM alerts WHERE kind = 'anomaly' AND opened_at >= ? GROUP BY stream_id", [.integer(since)],
            doing: "count alerts"
        ) { row throws(StoreError) in counts[UInt32(truncatingIfNeeded: row.integer(0))] = Int(row.integer(1)) }
        return counts
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
