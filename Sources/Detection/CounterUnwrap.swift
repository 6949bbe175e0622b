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
    /// 1 while the channel is judged by its increments.
    private var counting: UInt32 = 0
    private var reserved: UInt32 = 0
    private var lastStep: Double = 0
    /// Value as judged less value as read.
    private(set) var shift: Double = 0

    /// True once a channel counts, as long as it does not fall more often than one rise in fifty.
    var isCounter: Bool {
        fractions == 0 && readings >= 200 && UInt64(rises) * 4 >= UInt64(readings)
            && UInt64(falls) * (counting == 1 ? 50 : 200) <= UInt64(rises)
    }

    /// Looks at one raw reading and returns it as it is to be judged: a counter by its increment per interval (the last one again where it
    /// starts over), anything else as it is. `changed` tells that this way of judging has just changed.
    @inline(__always)
    mutating func judged(_ value: Double, intervals: Double, changed: inout Bool) -> Double {
        let before = last + base
        let startedOver = observe(value)
        changed = isCounter != (counting == 1)
        counting = isCounter ? 1 : 0
        guard counting == 1 else {
            shift = 0
            return value
        }
        if !startedOver { lastStep = (value + base - before) / (intervals > 1.5 ? intervals : 1) }
        shift = lastStep - value
        return lastStep
    }

    /// Looks at one raw reading; `base` holds for it afterwards. True if a counter started over.
    @inline(__always)
    mutating func observe(_ value: Double) -> Bool {
        defer {
            shift = base
            last = value
            if readings < UInt32.max { readings += 1 }
        }
        if value != value.rounded(.towardZero) || value < 0 { fractions = 1 }
        guard readings > 0, fractions == 0 else { return false }
        if value > last {
            if rises < UInt32.max { rises += 1 }
            return false
        }
        guard value < last else { return false }
        if isCounter && value <= 0.1 * last && base < 1e90 {
            base += last
            return true
        }
        if falls < UInt32.max { falls += 1 }
        return false
    }

    /// True if the counters agree (a check for restored state).
    var isSane: Bool {
        last.isFinite && base.isFinite && base >= 0 && rises <= readings && falls <= readings && fractions <= 1 && counting <= 1
            && lastStep.isFinite && shift.isFinite
    }
}
