/// How long readings waited from arrival to score: how many by size, in four bins an octave from 8 microseconds to 2 minutes.
///
/// Keeps the counts since the start for the metrics and those of the last half to whole minute for `status`.
struct LagHistogram: Sendable {
    private static let bins = 96
    private static let smallestExponent = 13
    private static let window: Int64 = 30_000_000_000
    /// Upper limits of the metrics' buckets in seconds.
    static let limits = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private var present = InlineArray<96, Int64>(repeating: 0)
    private var previous = InlineArray<96, Int64>(repeating: 0)
    private var windowStartedAt: Int64 = 0
    /// Readings by `limits`, the last for all above.
    private(set) var counts = InlineArray<17, Int64>(repeating: 0)
    /// Seconds that all readings together waited.
    private(set) var seconds = 0.0

    /// Counts `readings` that waited at most `lag` nanoseconds; `now`: monotonic.
    mutating func add(_ lag: Int64, readings: Int, now: Int64) {
        if now - windowStartedAt > Self.window {
            previous = now - windowStartedAt > 2 * Self.window ? InlineArray(repeating: 0) : present
            present = InlineArray(repeating: 0)
            windowStartedAt = now
        }
        present[Self.bin(lag)] += Int64(readings)
        let waited = Double(lag) * 1e-9
        counts[Self.limits.firstIndex { waited <= $0 } ?? Self.limits.count] += Int64(readings)
        seconds += waited * Double(readings)
    }

    /// The lag in nanoseconds that a share of the recent readings kept within (upper edge of the bin); 0 without readings.
    static func percentile(_ share: Double, of histograms: [LagHistogram], now: Int64) -> Int64 {
        func recent(_ h: LagHistogram, _ i: Int) -> Int64 {
            let age = now - h.windowStartedAt
            return (age <= 2 * window ? h.present[i] : 0) + (age <= window ? h.previous[i] : 0)
        }
        let sums = (0..<bins).map { i in histograms.reduce(0) { $0 + recent($1, i) } }
        let needed = Double(sums.reduce(0, +)) * share
        guard needed > 0 else { return 0 }
        var seen = 0.0
        for (i, count) in sums.enumerated() {
            seen += Double(count)
            if seen >= needed { return upperEdge(i) }
        }
        return upperEdge(bins - 1)
    }

    private static func bin(_ lag: Int64) -> Int {
        guard lag > 0 else { return 0 }
        let exponent = 63 - lag.leadingZeroBitCount
        guard exponent >= smallestExponent else { return 0 }
        return min(bins - 1, (exponent - smallestExponent) * 4 + Int(lag >> (exponent - 2)) & 3)
    }

    private static func upperEdge(_ bin: Int) -> Int64 { Int64(5 + bin & 3) << Int64(smallestExponent + bin / 4 - 2) }
}
