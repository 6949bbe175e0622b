import Detection

/// How good what was expected of one channel is, beside "the same as last time". After the first third of its series; a channel that never
/// changes tells nothing.
struct ForecastTally {
    private var own = 0.0
    private var last = 0.0
    private var count = 0
    private var (low, high, before) = (Double.infinity, -Double.infinity, Double.nan)

    /// One reading and what was expected of it.
    mutating func add(_ value: Double, expected: Double, counts: Bool) {
        if counts, before.isFinite {
            own += abs(value - expected)
            last += abs(value - before)
            count += 1
        }
        (low, high, before) = (min(low, value), max(high, value), value)
    }

    /// Mean error over that of the reading before, which counts at least a thousandth of the channel's range; nil: it never changed.
    var ratio: Double? {
        guard count > 0, high > low else { return nil }
        return own / max(last, 0.001 * (high - low) * Double(count))
    }
}
