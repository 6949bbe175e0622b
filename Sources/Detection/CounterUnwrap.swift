/// Makes a counter that starts over go on instead: a whole-number channel that has only risen and drops to a tenth of itself or less.
///
/// A counter is a channel with at least 200 readings, whole and not negative, that rose in a quarter of them and (almost) never fell. At a reset
/// the last value is added to `base`, so that value + base keeps rising and its rate stays visible to the statistics.
struct CounterUnwrap: BitwiseCopyable {
    /// What past resets swallowed; 0 for a channel that is no counter.
    private(set) var base: Double = 0
    private var last: Double = 0
    private var readings: UInt32 = 0
    private var rises: UInt32 = 0
    private var falls: UInt32 = 0
    private var fractions: UInt32 = 0

    /// Looks at one raw reading; `base` holds for it afterwards.
    @inline(__always)
    mutating func observe(_ value: Double) {
        defer {
            last = value
            if readings < UInt32.max { readings += 1 }
        }
        if value != value.rounded(.towardZero) || value < 0 { fractions = 1 }
        guard readings > 0, fractions == 0 else { return }
        if value > last {
            if rises < UInt32.max { rises += 1 }
            return
        }
        guard value < last else { return }
        let isCounter = readings >= 200 && UInt64(rises) * 4 >= UInt64(readings) && UInt64(falls) * 200 <= UInt64(rises)
        if isCounter && value <= 0.1 * last && base < 1e90 {
            base += last
        } else if falls < UInt32.max {
            falls += 1
        }
    }

    /// True if the counters agree (a check for restored state).
    var isSane: Bool { last.isFinite && base.isFinite && base >= 0 && rises <= readings && falls <= readings && fractions <= 1 }
}
