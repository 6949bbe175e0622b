/// Recognises a channel that shows a state (on/off, modes, commands): two to four different values so far.
///
/// That such a channel switches is no anomaly of a stream that also measures something; its switches would only hide what the measuring
/// channels do. So next to measuring channels it counts with its record (a value never seen before) alone.
struct StateChannel: BitwiseCopyable {
    private var values = InlineArray<4, Double>(repeating: 0)
    private var last: Double = 0
    /// Different values so far, 5 = more than four.
    private var known: UInt16 = 0
    /// 1 if the newest reading switched to another value seen before.
    private var switched: UInt16 = 0
    private var changes: UInt32 = 0

    /// Looks at one reading.
    @inline(__always)
    mutating func step(_ value: Double) {
        switched = 0
        if known > 4 { return }
        if known > 0 && value != last && changes < UInt32.max { changes += 1 }
        if known == 0 || value != last {
            let before = known
            remember(value)
            switched = known == before ? 1 : 0
        }
        last = value
    }

    private mutating func remember(_ value: Double) {
        for i in 0..<Int(known) where values[i] == value { return }
        if known < 4 { values[Int(known)] = value }
        known += 1
    }

    /// True if it may show a state.
    var isCandidate: Bool { known >= 2 && known <= 4 }
    /// True if it shows a state: one that has changed three times, or one of at least three such channels of the reading.
    func isState(among candidates: Int) -> Bool { isCandidate && (changes >= 3 || candidates >= 3) }
    /// True if the newest reading switched to another value seen before.
    var hasSwitched: Bool { switched == 1 }
    /// True if it measures: it has shown more values than a state has.
    var measures: Bool { known > 4 }
    /// True if the counters agree (a check for restored state).
    var isSane: Bool { known <= 5 && last.isFinite }
}
