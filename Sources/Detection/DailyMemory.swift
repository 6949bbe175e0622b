/// What happens every day: the quarter hours in which the score rose on most of the last days, and how high.
///
/// A machine that is switched on at seven every morning makes a rare jump, and the rank of that jump knows nothing of the clock. Here a
/// quarter hour (of the stream's local time, with its two neighbours) in which a new rise was seen gets a strength: + gain (1 - strength) on a
/// day with a rise, times `keep` on a day without. From the fourth day in a row on (strength over .6) a score there counts only by what it is above
/// the usual rise. A single event, or a second and third one on the next days, is not touched. Needs a clock and a cadence of at most half an hour.
struct DailyMemory: BitwiseCopyable {
    static let slots = 96
    static let gain = 0.25
    static let keep = 0.8

    /// Strength per slot in 1/255 and level of the rise in tenths of a point.
    private var strength = InlineArray<96, UInt8>(repeating: 0)
    private var level = InlineArray<96, UInt8>(repeating: 0)
    private var slot: Int32 = -1
    private var reserved: Int32 = 0
    /// Highest score in the present slot and in the one before.
    private var highest: Double = 0
    private var before: Double = 0

    /// The score without what is usual at this time of day. `second`: second of the local day; `rise`: the score from which on a
    /// moment counts as a rise; `counts` false: only answer (warm-up).
    @inline(__always)
    mutating func step(_ score: Double, secondOfDay second: Int, rise: Double, counts: Bool) -> Double {
        let now = min(Self.slots - 1, max(0, second / 900))
        if Int32(now) != slot {
            if slot >= 0 { close(Int(slot), rise) }
            slot = Int32(now)
            highest = 0
        }
        if counts && score > highest { highest = score }
        guard score > rise else { return score }
        var known = 0
        for offset in Self.slots - 1...Self.slots + 1 { known = max(known, Int(strength[(now + offset) % Self.slots])) }
        let share = min(1, max(0, (Double(known) / 255 - 0.6) / 0.25))
        guard share > 0 else { return score }
        var usual = 0
        for offset in Self.slots - 1...Self.slots + 1 {
            let i = (now + offset) % Self.slots
            if 2 * Int(strength[i]) > known { usual = max(usual, Int(level[i])) }
        }
        return score - share * min(score - rise, max(0, Double(usual) / 10 - rise))
    }

    /// A slot is over: learns whether the score rose in it.
    private mutating func close(_ i: Int, _ rise: Double) {
        if highest < rise {
            strength[i] = UInt8(Double(strength[i]) * Self.keep)
        } else if before < rise {
            strength[i] = UInt8(min(255, Double(strength[i]) + Self.gain * (255 - Double(strength[i])) + 0.5))
            let old = Double(level[i]) / 10
            let new = max(rise, max(highest, old + 0.3 * (highest - old)))
            level[i] = UInt8(min(255, new * 10))
        }
        before = highest
    }

    /// True if the numbers are in range (a check for restored state).
    var isSane: Bool { slot >= -1 && Int(slot) < Self.slots && highest.isFinite && before.isFinite }
}
