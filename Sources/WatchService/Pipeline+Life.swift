import Ingest
import Platform
import Readings
import Tabular
import TimeSeries

extension Pipeline {
    /// Whether ingest, detector and writer move, for those who sound an alarm when nothing is heard: `ok`, and `why` not.
    func signsForWatchers(_ now: Int64) -> JSONValue {
        let monotonic = Clocks.monotonic()
        let limit: Int64 = 30_000_000_000
        let statistics = writer.statistics
        var reasons: [String] = []
        if monotonic - ingest.snapshot.withLock({ $0.aliveAt }) > limit { reasons.append("the ingest thread does not move") }
        if signsOfLife.contains(where: { $0 > 0 && monotonic - $0 > limit }) { reasons.append("a detector thread does not move") }
        if statistics.aliveAt > 0, monotonic - statistics.aliveAt > limit { reasons.append("the writer does not move") }
        if let problem = statistics.problem { reasons.append("readings cannot be stored: \(problem)") }
        let totals = ingest.snapshot.withLock { $0.totals }
        return .object([
            "ok": .bool(reasons.isEmpty), "why": .string(reasons.joined(separator: "; ")),
            "readings_accepted": .integer(totals.readingsAccepted), "committed_batch": .integer(statistics.committedSequence),
            "last_commit_at": statistics.lastCommitAt > 0 ? .string(TimeText.milliseconds(statistics.lastCommitAt)) : .null,
        ])
    }
}
