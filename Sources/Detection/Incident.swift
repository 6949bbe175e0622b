/// An incident in progress, so that the calibrators do not take it for ordinary life at once.
///
/// Every block of 25 readings counts one in the histograms. A day-long incident would count forty times, and an equal one a week later would
/// rank as usual. So blocks whose score stays near the threshold count a part only while the incident is young; after that it is learned:
/// a new level becomes normal, but not unnoticed.
struct Incident: BitwiseCopyable {
    private var begin: Int64 = -1_000_000_000
    private var blockMaximum: Double = 0

    /// One score, before habituation.
    @inline(__always)
    mutating func observe(_ score: Double) { if score > blockMaximum { blockMaximum = score } }

    /// An alarm at reading `t`.
    @inline(__always)
    mutating func alarm(t: Int64, readings: Double) { if Double(t - begin) > readings { begin = t } }

    /// What the block that ends at reading `t` counts: `share` within `readings` after an alarm if its score reached `limit`, else 1.
    @inline(__always)
    mutating func closeBlock(t: Int64, readings: Double, limit: Double, share: Double) -> Double {
        defer { blockMaximum = 0 }
        return blockMaximum >= limit && Double(t - begin) <= readings ? share : 1
    }

    /// True if the numbers are in range (a check for restored state).
    func isSane(t: Int64) -> Bool { blockMaximum.isFinite && begin <= t }
}
