/// What usually follows when a channel that shows a state switches.
///
/// A motor that is switched on makes current, speed and vibration jump, once or twice a day: rare by rank, but no news. The stream remembers the
/// highest score in the readings after a switch; from the fourth switch on, a score there counts only by what it is above the usual one.
/// A switch that brings more than usual still alarms, and so does a jump without a switch.
struct SwitchMemory: BitwiseCopyable {
    /// Readings after a switch that belong to it: what the longest horizon (16) predicted before the switch is wrong for so long.
    static let window: UInt16 = 20
    static let switchesMin: UInt16 = 3

    /// Usual highest score after a switch, and the highest in the present window.
    private var usual: Float = 0
    private var highest: Float = 0
    private var switches: UInt16 = 0
    private var left: UInt16 = 0
    private var reserved: UInt32 = 0

    /// The score without what is usual after a switch; `rise`: what it is never taken below.
    @inline(__always)
    mutating func step(_ score: Double, switched: Bool, rise: Double) -> Double {
        if switched && left == 0 { (left, highest) = (Self.window, 0) }
        guard left > 0 else { return score }
        left -= 1
        highest = max(highest, Float(score))
        let isKnown = switches >= Self.switchesMin
        let known = Double(usual)
        if left == 0 { learn() }
        guard isKnown, score > rise, known > rise else { return score }
        return max(rise, score - (known - rise))
    }

    /// A window is over. Up fast, down slowly: on and off need not be equally loud.
    private mutating func learn() {
        let share: Float = switches == 0 ? 1 : highest > usual ? 0.5 : 0.1
        usual += share * (highest - usual)
        if switches < .max { switches += 1 }
    }

    /// True if the numbers are in range (a check for restored state).
    var isSane: Bool { usual.isFinite && usual >= 0 && highest.isFinite && left <= Self.window }
}
