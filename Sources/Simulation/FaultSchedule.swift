/// Spreads faults over the streams of a plant: kinds in turn, after the learning period, with pauses, each plausible in size.
struct FaultSchedule {
    private let configuration: PlantConfiguration
    private var random: RandomSource
    private var uses: [Int]
    /// Short plants get short faults and pauses: three weeks and more have the full length.
    private let lengthScale: Double

    init(_ configuration: PlantConfiguration) {
        self.configuration = configuration
        random = RandomSource(seed: configuration.seed, purpose: 0x5C4E_D01E_0000_0000)
        uses = configuration.faults.map { _ in 0 }
        lengthScale = max(0.02, min(1, Double(configuration.spanNs) / (21 * 86_400e9)))
    }

    /// The faults of every machine, in order of time; `offsetsNs` are the times of the machines' readings within an interval.
    mutating func make(for machines: [Machine], weathers: [Weather], offsetsNs: [Int64]) -> [[Fault]] {
        var result = [[Fault]](repeating: [], count: machines.count)
        guard !configuration.faults.isEmpty else { return result }
        let surveys = machines.map { MachineSurvey(of: $0, weather: weathers[$0.site], startNs: configuration.startNs) }
        let firstNs = configuration.startNs + configuration.effectiveLearningNs
        var cursors = machines.map { _ in firstNs + hours(0, 24) }
        var waiting = Array(machines.indices)
        // Round by round, so that all streams get their share whatever the kinds.
        while !waiting.isEmpty {
            var still: [Int] = []
            for index in waiting {
                guard
                    let fault = fault(of: index, after: cursors[index], machine: machines[index], survey: surveys[index], offsetsNs[index])
                else { continue }
                result[index].append(fault)
                cursors[index] = fault.endNs + hours(36, 84)
                still.append(index)
            }
            waiting = still
        }
        return result
    }

    private mutating func fault(of index: Int, after cursorNs: Int64, machine: Machine, survey: MachineSurvey, _ offsetNs: Int64) -> Fault?
    {
        // The kinds used least come first; equal ones in random order.
        let order = uses.indices.map { (uses[$0], random.nextBits(), $0) }.sorted { $0 < $1 }
        let step = configuration.intervalNs
        let gridNs = configuration.startNs + offsetNs
        let startNs = gridNs + (cursorNs - gridNs + step - 1) / step * step
        let quietTailNs = min(Int64(6 * 3600e9), configuration.spanNs / 20)
        for (_, _, position) in order {
            let kind = configuration.faults[position]
            let steps = readings(of: kind, machine: machine)
            guard (configuration.endNs - quietTailNs - startNs) / step >= steps else { continue }
            var fault = Fault(kind: kind, machine: index, channelMask: 0, startNs: startNs, endNs: startNs + steps * step)
            guard shape(&fault, machine: machine, survey: survey) else { continue }
            uses[position] += 1
            return fault
        }
        return nil
    }

    /// How many readings a fault of this kind lasts.
    private mutating func readings(of kind: FaultKind, machine: Machine) -> Int64 {
        let ns: Int64 =
            switch kind {
            case .spike: configuration.intervalNs * Int64(1 + random.below(3))
            case .levelShift: hours(8, 24)
            case .stuck: hours(6, 14)
            case .slowDrift: hours(24, 48)
            // Fewer than six cycles would not show that they are faster or slower.
            case .frequencyChange: max(hours(10, 24), Int64(6 * machine.cycleSeconds * 1e9))
            case .lostRhythm: max(hours(36, 60), Int64(24 * 3600e9))
            case .noiseBurst: hours(3, 8)
            case .dropout: hours(1, 6)
            }
        return max(kind == .spike ? 1 : 10, ns / configuration.intervalNs)
    }

    private mutating func hours(_ low: Double, _ high: Double) -> Int64 { Int64(random.uniform(low, high) * lengthScale * 3600e9) }

    /// Chooses channels and size; false when no channel of the machine can show this kind.
    private mutating func shape(_ fault: inout Fault, machine: Machine, survey: MachineSurvey) -> Bool {
        let force = configuration.faultSize
        switch fault.kind {
        case .dropout: fault.channelMask = Self.mask(machine) { _ in true }
        case .frequencyChange:
            let factor = 1 + force * random.uniform(0.8, 1.2)
            fault.speed = random.below(2) == 0 ? factor : 1 / factor
            // A machine that stands still has no cycle that could change.
            guard machine.runningShare(startNs: fault.startNs, endNs: fault.endNs) > 0.5 else { return false }
            fault.channelMask = Self.mask(machine) { $0.hasCycle }
        case .lostRhythm:
            fault.meanLoad = survey.meanLoad
            fault.channelMask = Self.mask(machine) { $0.hasRhythm }
        case .spike: return place(&fault, in: machine, survey, spreads: force * random.uniform(5, 8))
        case .levelShift: return place(&fault, in: machine, survey, spreads: force * random.uniform(2.5, 4))
        case .slowDrift: return place(&fault, in: machine, survey, spreads: force * random.uniform(3, 5))
        case .noiseBurst: return place(&fault, in: machine, survey, spreads: force * random.uniform(1.0, 1.6))
        case .stuck: return place(&fault, in: machine, survey, spreads: 0)
        }
        return fault.channelMask != 0
    }

    /// Puts a fault of one channel where it stays within the sensor's limits and is larger than the sensor's step.
    private mutating func place(_ fault: inout Fault, in machine: Machine, _ survey: MachineSurvey, spreads: Double) -> Bool {
        let first = random.below(machine.channels.count)
        let prefersUp = random.below(2) == 0
        let mostlyRuns = machine.runningShare(startNs: fault.startNs, endNs: fault.endNs) > 0.5
        for turn in machine.channels.indices {
            let index = (first + turn) % machine.channels.count
            let (channel, range) = (machine.channels[index], survey.ranges[index])
            let quantum = 1 / channel.stepsPerUnit
            fault.channelMask = 1 << UInt64(index)
            if fault.kind == .stuck {
                if range.spread > 4 * quantum, channel.spec.whenOff == nil, channel.spec.isNeverIdle { return true }
                continue
            }
            // At rest the sensor's lower limit would hide what goes wrong.
            guard channel.spec.role == .analog, mostlyRuns || channel.spec.whenOff == nil else { continue }
            // White noise alone can be the whole spread; a burst has to stand out from it.
            let ownNoise = (channel.spec.noise * channel.spec.noise + channel.spec.wander * channel.spec.wander).squareRoot()
            let size = fault.kind == .noiseBurst ? max(spreads * range.spread, 2.5 * spreads * ownNoise) : spreads * range.spread
            guard size > 5 * quantum else { continue }
            let roomUp = range.high + size <= channel.spec.high
            let roomDown = range.low - size >= channel.spec.low
            guard roomUp || roomDown, fault.kind != .noiseBurst || (roomUp && roomDown) || turn > 2 else { continue }
            fault.size = roomUp && (prefersUp || !roomDown) ? size : -size
            return true
        }
        return false
    }

    private static func mask(_ machine: Machine, where condition: (ChannelSpec) -> Bool) -> UInt64 {
        machine.channels.indices.reduce(0) { condition(machine.channels[$1].spec) ? $0 | 1 << UInt64($1) : $0 }
    }
}

extension ChannelSpec {
    /// The channel shows the machine's own cycle.
    var hasCycle: Bool { sine != 0 || square != 0 || triangle != 0 }

    /// The channel shows the demand's daily rhythm.
    var hasRhythm: Bool { role == .analog && (load != 0 || thermal != 0) }

    /// The channel moves all the time when it is healthy, so that standing still means something.
    var isNeverIdle: Bool {
        switch role {
        case .analog: wander != 0 || noise != 0
        case .state: false
        case .counter(let source): source == 0
        }
    }
}

/// What a healthy machine does in a week: the yardstick for the size of its faults.
struct MachineSurvey {
    /// Course of one channel; of a channel that rests with its machine only the time in which the machine runs counts.
    struct Range {
        private var count = 0.0
        private var sum = 0.0
        private var squares = 0.0
        private(set) var low = Double.infinity
        private(set) var high = -Double.infinity

        /// Standard deviation, rhythm and cycle included; 0 without values.
        var spread: Double { count > 0 ? max(0, squares / count - (sum / count) * (sum / count)).squareRoot() : 0 }

        mutating func add(_ value: Double) {
            count += 1
            sum += value
            squares += value * value
            low = min(low, value)
            high = max(high, value)
        }
    }

    private(set) var ranges: [Range]
    private(set) var meanLoad = 0.0

    /// Lets a copy of `machine` run for a week in steps of 15 minutes.
    init(of machine: Machine, weather: Weather, startNs: Int64) {
        var (machine, weather) = (machine, weather)
        let steps = 7 * 96
        ranges = machine.channels.map { _ in Range() }
        for step in 0..<steps {
            let moment = Moment(ns: startNs + Int64(step) * 900_000_000_000, stepSeconds: 900)
            weather.advance(moment)
            machine.advance(moment, ambient: weather.ambient)
            meanLoad += machine.drive.load / Double(steps)
            for (index, channel) in machine.channels.enumerated() where machine.drive.running || channel.spec.whenOff == nil {
                ranges[index].add(channel.value)
            }
        }
    }
}
