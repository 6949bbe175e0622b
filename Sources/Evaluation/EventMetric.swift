/// Counts events found and false alarms at given alarms.
///
/// An event is found when an alarm falls into its rows, widened by `before` and `after`. Outside, alarms at most `merge` rows apart are one false
/// alarm; one that lasts counts again every 4 `merge` rows. Only rows from `start` on count.
public struct EventMetric: Sendable {
    /// How rows are grouped.
    public struct Settings: Sendable {
        /// Largest distance in rows of alarms that are one.
        public var merge: Int
        /// Rows before an event in which an alarm still finds it.
        public var before: Int
        /// Rows after it.
        public var after: Int

        /// Settings in rows.
        public init(merge: Int = 10, before: Int = 0, after: Int = 10) {
            self.merge = merge
            self.before = before
            self.after = after
        }
    }

    /// Events that an alarm found.
    public private(set) var found = 0
    /// Events without one.
    public private(set) var missed = 0
    /// Groups of alarms outside events.
    public private(set) var falseAlarms = 0
    /// Rows that counted.
    public private(set) var rows = 0
    /// Rows from the beginning of each found event to its first alarm (negative: before it).
    public private(set) var delays: [Int] = []
    private let settings: Settings

    /// Nothing counted yet.
    public init(_ settings: Settings) { self.settings = settings }

    /// Adds a series: one flag per row, events as half-open ranges of rows.
    public mutating func add(alarms: [Bool], events: [Range<Int>], start: Int) {
        let n = alarms.count
        rows += max(0, n - start)
        var outside = [Bool](repeating: true, count: n)
        for i in 0..<min(start, n) { outside[i] = false }
        for event in events where event.upperBound > start {
            let low = max(event.lowerBound - settings.before, start)
            let high = max(low, min(event.upperBound + settings.after, n))
            var first: Int?
            for i in low..<high {
                outside[i] = false
                if first == nil && alarms[i] { first = i }
            }
            if let first {
                found += 1
                delays.append(first - event.lowerBound)
            } else {
                missed += 1
            }
        }
        var begin = -1
        var last = -1
        func close() -> Int { begin < 0 ? 0 : (last - begin + 1 + 4 * settings.merge - 1) / (4 * settings.merge) }
        for i in 0..<n where alarms[i] && outside[i] {
            if begin >= 0 && i - last <= settings.merge {
                last = i
                continue
            }
            falseAlarms += close()
            begin = i
            last = i
        }
        falseAlarms += close()
    }

    /// 2 found / (2 found + missed + false alarms).
    public var f1: Double { 2 * Double(found) / Double(max(1, 2 * found + missed + falseAlarms)) }
    /// Share of events found.
    public var recall: Double { Double(found) / Double(max(1, found + missed)) }
    /// False alarms per 10,000 counted rows.
    public var falseAlarmsPer10k: Double { rows > 0 ? 1e4 * Double(falseAlarms) / Double(rows) : 0 }
    /// Median delay in rows; nil without found events.
    public var medianDelay: Double? {
        guard !delays.isEmpty else { return nil }
        let sorted = delays.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? Double(sorted[middle]) : Double(sorted[middle - 1] + sorted[middle]) / 2
    }
}
