/// Evidence "stuck": the channel repeats exactly one value for much longer than it ever did.
///
/// Where a channel has rested longest (a machine that is off, the night) it may rest again: that value is compared with its own runs, every
/// other value with the longest run anywhere else. Only for a channel that usually changes: at least 50 changes, and at most 8 readings a
/// change on average. Said once per run.
///
/// A channel that only grows (hours run, cubic metres) rests at another value every night, so it is judged by its differences: rest is 0.
struct StuckDetector: BitwiseCopyable {
    private var last: Double = 0
    /// Where the longest run was.
    private var rest: Double = 0
    private var run: UInt32 = 0
    /// The longest run at `rest`, and the longest at any other value.
    private var longestAtRest: UInt32 = 0
    private var longestElsewhere: UInt32 = 0
    private var changes: UInt32 = 0
    private var readings: UInt32 = 0
    /// 1 while differences are judged.
    private var grows: UInt32 = 0
    private var rises: UInt32 = 0
    private var falls: UInt32 = 0

    /// The longest run that the present one is compared with.
    private var longest: UInt32 { min(last == rest ? longestAtRest : longestElsewhere, 1_000_000) }
    /// The run length that is called stuck.
    private var limit: UInt32 { 16 &+ 4 &* longest }

    /// True on the one reading where the run of equal values becomes too long. `growth`: what the value is above the reading before; 0 where
    /// growing channels are judged as all others.
    @inline(__always)
    mutating func step(_ reading: Double, growth: Double) -> Bool {
        let value = judged(reading, growth)
        if readings < UInt32.max { readings += 1 }
        guard readings > 1, value == last else {
            if readings > 1 {
                closeRun()
                if changes < UInt32.max { changes += 1 }
            }
            last = value
            run = 1
            return false
        }
        if run < UInt32.max { run += 1 }
        return run == limit + 1 && isLively
    }

    /// The reading, or what it has grown by: of a channel that rose 50 times and fell in less than one of 200 rises.
    @inline(__always)
    private mutating func judged(_ reading: Double, _ growth: Double) -> Double {
        // Without branches: noise goes up and down as it likes.
        rises &+= growth > 0 && rises < .max ? 1 : 0
        falls &+= growth < 0 && falls < .max ? 1 : 0
        let growing: UInt32 = rises >= 50 && UInt64(falls) * 200 < UInt64(rises) ? 1 : 0
        if growing != grows {
            // What was learned of runs is of the other kind.
            let (up, down) = (rises, falls)
            self = StuckDetector()
            (grows, rises, falls) = (growing, up, down)
        }
        return growing == 1 ? growth : reading
    }

    private mutating func closeRun() {
        // A run that was called stuck teaches little: an equal one soon after is called as well, but a machine that rests every
        // night is called only for the first few.
        let taught = run > limit ? min(run, longest * 3 / 2 + 4) : run
        if last == rest {
            longestAtRest = max(longestAtRest, taught)
        } else if taught > longestAtRest {
            (rest, longestElsewhere, longestAtRest) = (last, longestAtRest, taught)
        } else {
            longestElsewhere = max(longestElsewhere, taught)
        }
    }

    private var isLively: Bool { changes >= 50 && UInt64(readings - min(run, readings)) <= 8 * UInt64(changes) }

    /// True while the present run is over the limit.
    var isStuck: Bool { run > limit && isLively }

    /// Equal values in a row so far.
    var runLength: Int { Int(run) }

    /// True if the counters agree (a check for restored state).
    var isSane: Bool {
        last.isFinite && rest.isFinite && grows <= 1 && run <= readings && changes <= readings
            && longestElsewhere <= longestAtRest
    }
}
