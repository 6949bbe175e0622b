/// One fault of the schedule, in the terms of the simulation.
struct Fault: Sendable {
    var kind: FaultKind
    var machine: Int
    /// Bit n = channel n is concerned.
    var channelMask: UInt64
    /// Times of the first wrong reading and of the first right one after it, nanoseconds since 1970.
    var startNs: Int64
    var endNs: Int64
    /// Signed size in the unit of the one channel concerned (spike, level shift, slow drift, noise burst).
    var size = 0.0
    /// Speed of the cycle relative to its own (frequency change).
    var speed = 1.0
    /// Mean demand of the machine (lost rhythm).
    var meanLoad = 0.0
}

/// The course of one fault while it lasts: what the sensors say instead of the healthy values.
struct FaultCourse: Sendable {
    let fault: Fault
    private var random: RandomSource
    private var drive = Drive()
    private var extraTurns = 0.0
    private var progress = 0.0
    private var lastNs: Int64

    init(_ fault: Fault, seed: UInt64) {
        self.fault = fault
        random = RandomSource(seed: seed ^ UInt64(bitPattern: fault.startNs), purpose: 0xFA17_0000_0000_0000 | UInt64(fault.machine))
        lastNs = fault.startNs
    }

    /// Follows the healthy `machine` to the reading at `ns`.
    mutating func advance(with machine: Machine, ns: Int64) {
        progress = Double(ns - fault.startNs) / Double(fault.endNs - fault.startNs)
        drive = machine.drive
        switch fault.kind {
        case .frequencyChange:
            extraTurns += (fault.speed - 1) * machine.cycleTurns(seconds: Double(ns - lastNs) / 1e9)
            machine.setCycle(phase: Machine.wrapped(machine.phase + extraTurns), in: &drive)
        case .lostRhythm:
            // An hour of transition at both ends: the rhythm is lost, there is no step to see.
            let share = max(0, min(1, Double(ns - fault.startNs) / 3600e9, Double(fault.endNs - ns) / 3600e9))
            drive.load += share * (machine.flatLoad(mean: fault.meanLoad) - drive.load)
            drive.thermal += share * (fault.meanLoad - drive.thermal)
            drive.running = true
        default: break
        }
        lastNs = ns
    }

    /// What channel number `index` says now in units of its last decimal; nil when the fault does not concern it.
    mutating func reading(of index: Int, channel: Channel) -> Int64? {
        guard fault.channelMask & (1 << UInt64(index)) != 0 else { return nil }
        switch fault.kind {
        case .spike, .levelShift: return channel.quantised(channel.value + fault.size)
        case .slowDrift: return channel.quantised(channel.value + fault.size * progress)
        case .noiseBurst: return channel.quantised(channel.value + fault.size * random.gaussian())
        case .stuck: return channel.written
        case .frequencyChange, .lostRhythm:
            return channel.quantised(channel.spec.role == .state ? channel.state(drive) : channel.analog(drive))
        case .dropout: return nil
        }
    }
}
