/// Evidence "stuck": the channel repeats exactly one value for much longer than its own longest run so far.
///
/// Only for a channel that usually changes: at least 50 changes, and at most 8 readings a change on average. Said once per run.
struct StuckDetector: BitwiseCopyable {
    private var last: Double = 0
    private var run: UInt32 = 0
    private var longest: UInt32 = 0
    private var changes: UInt32 = 0
    private var readings: UInt32 = 0

    /// The run length that is called stuck: 20 readings and 5 times the longest run so far.
    private var limit: UInt32 { 20 &+ 5 &* min(longest, 1_000_000) }

    /// True on the one reading where the run of equal values becomes too long.
    @inline(__always)
    mutating func step(_ value: Double) -> Bool {
        if readings < UInt32.max { readings += 1 }
        guard readings > 1, value == last else {
            // A run that was called stuck teaches little: an equal one soon after is called as well, but a machine that rests every
            // night is called only for the first few.
            longest = run > limit ? min(run, min(longest, 1_000_000) * 3 / 2 + 4) : max(longest, run)
            if readings > 1 && changes < UInt32.max { changes += 1 }
            last = value
            run = 1
            return false
        }
        if run < UInt32.max { run += 1 }
        return run == limit + 1 && changes >= 50 && UInt64(readings - run) <= 8 * UInt64(changes)
    }

    /// True while the present run is over the limit.
    var isStuck: Bool { run > limit && changes >= 50 && UInt64(readings - min(run, readings)) <= 8 * UInt64(changes) }

    /// Equal values in a row so far.
    var runLength: Int { Int(run) }

    /// True if the counters agree (a check for restored state).
    var isSane: Bool { last.isFinite && run <= readings && changes <= readings }
}
