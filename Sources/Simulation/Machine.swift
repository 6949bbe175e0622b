/// One simulated machine, which is one stream. Its healthy course never depends on the faults.
struct Machine: Sendable {
    let key: String
    let site: Int
    let cycleSeconds: Double
    private(set) var channels: [Channel]
    private(set) var drive = Drive()
    private let keyBytes: [UInt8]
    private let lineBytesMax: Int
    private let spec: MachineSpec
    /// Demand by the hour of the week and once more the first hour, 169 values.
    private let demand: [Float]
    private let shiftSeconds: Double
    private var random: RandomSource
    private var loadNoise: SlowNoise
    private var cycleNoise: SlowNoise
    /// Share of a turn, 0 to 1, of the cycle without faults.
    private(set) var phase: Double
    private var isFirst = true

    /// Machine number `index` of the plant; channels vary around their kind by some per cent.
    init(index: Int, seed: UInt64, intervalSeconds: Double) {
        let kinds = MachineSpec.catalogue
        let spec = kinds[index % kinds.count]
        let perSite = 2 * kinds.count
        var random = RandomSource(seed: seed, purpose: UInt64(index) + 1)
        site = index / perSite
        key = "\(spec.measurement),asset=\(spec.assetPrefix)\(index % perSite / kinds.count + 1),site=\(Self.siteName(site))"
        keyBytes = Array((key + " ").utf8)
        self.spec = spec
        shiftSeconds = random.uniform(0, 2400)
        let hours = Self.demand(spec, random: &random)
        demand = hours
        loadNoise = SlowNoise(timeConstant: 2 * 3600, random: &random)
        cycleNoise = SlowNoise(timeConstant: 3 * 3600, random: &random)
        phase = random.unit()
        // Twenty readings a cycle at least, otherwise the cycle is noise to everybody.
        cycleSeconds = max(spec.cycleSeconds * random.uniform(0.85, 1.15), 20 * intervalSeconds)
        channels = []
        for (position, kind) in spec.channels.enumerated() {
            channels.append(Self.channel(kind, position: position, random: &random))
        }
        lineBytesMax = keyBytes.count + channels.reduce(0) { $0 + $1.prefix.count + 24 } + 24
        self.random = random
    }

    private static func channel(_ kind: ChannelSpec, position: Int, random: inout RandomSource) -> Channel {
        var spec = kind
        let size = random.uniform(0.85, 1.15)
        if spec.role == .analog {
            spec.base *= 1 + spec.baseVariation * random.uniform(-1, 1)
            for path in [\ChannelSpec.load, \.thermal, \.ambient, \.sine, \.square, \.triangle, \.wander, \.noise] {
                spec[keyPath: path] *= size
            }
        }
        var scale = 1.0
        for _ in 0..<spec.decimals { scale *= 10 }
        var channel = Channel(
            spec: spec, name: "\(kind.name)", prefix: Array("\(position == 0 ? "" : ",")\(kind.name)=".utf8),
            stepsPerUnit: scale / Double(spec.quantum), wander: SlowNoise(timeConstant: 1200, random: &random))
        if case .counter = spec.role { channel.sum = random.uniform(1000, 60_000).rounded() }
        return channel
    }

    private static func demand(_ spec: MachineSpec, random: inout RandomSource) -> [Float] {
        var hours: [Float] = []
        for day in 0..<7 {
            for value in day < 5 ? spec.workday : spec.weekend { hours.append(Float(value * (1 + 0.04 * random.gaussian()))) }
        }
        hours.append(hours[0])
        return hours
    }

    private static func siteName(_ site: Int) -> String {
        var rest = site
        var name = ""
        repeat {
            let letter = UnicodeScalar(UInt8(ascii: "a") + UInt8(rest % 26))
            name = String(Character(letter)) + name
            rest = rest / 26 - 1
        } while rest >= 0
        return name
    }

    /// Moves on to `moment` and computes the healthy value of every channel.
    mutating func advance(_ moment: Moment, ambient: Double) {
        let seconds = moment.stepSeconds
        loadNoise.advance(seconds: seconds, random: &random)
        cycleNoise.advance(seconds: seconds, random: &random)
        let planned = plannedDemand(weekSeconds: moment.weekSeconds)
        drive.running = spec.runsAbove.map { planned > $0 } ?? true
        drive.load = drive.running ? max(0, planned + spec.loadNoise * loadNoise.value) : 0
        drive.thermal = isFirst ? drive.load : drive.thermal + (drive.load - drive.thermal) * seconds / (5400 + seconds)
        drive.ambient = ambient
        isFirst = false
        phase = Self.wrapped(phase + cycleTurns(seconds: seconds))
        setCycle(phase: phase, in: &drive)
        for index in channels.indices { advanceChannel(index, seconds: seconds) }
    }

    /// Demand by the hour of the week, without its irregular part.
    @inline(__always)
    private func plannedDemand(weekSeconds: Double) -> Double {
        var position = weekSeconds + shiftSeconds
        if position >= 604_800 { position -= 604_800 }
        let hours = position / 3600
        let hour = min(167, Int(hours))
        let (before, after) = (Double(demand[hour]), Double(demand[hour + 1]))
        return before + (after - before) * (hours - Double(hour))
    }

    /// Share of the time from `startNs` to `endNs` in which the machine is planned to run.
    func runningShare(startNs: Int64, endNs: Int64) -> Double {
        guard let limit = spec.runsAbove else { return 1 }
        let probes = 48
        let running = (0..<probes).count { probe in
            let ns = startNs + (endNs - startNs) / Int64(probes) * Int64(probe)
            return plannedDemand(weekSeconds: Moment(ns: ns, stepSeconds: 0).weekSeconds) > limit
        }
        return Double(running) / Double(probes)
    }

    private mutating func advanceChannel(_ index: Int, seconds: Double) {
        switch channels[index].spec.role {
        case .analog:
            channels[index].wander.advance(seconds: seconds, random: &random)
            let spec = channels[index].spec
            channels[index].irregular = spec.wander * channels[index].wander.value + spec.noise * random.gaussian()
            channels[index].value = channels[index].analog(drive)
        case .state:
            channels[index].value = channels[index].state(drive)
        case .counter(let source):
            let rate = channels[source]
            channels[index].sum += max(rate.spec.low, rate.value) * seconds / 3600
            channels[index].value = channels[index].sum
        }
    }

    /// Turns of the machine's own cycle in `seconds` at this moment; cycles are not clockwork.
    func cycleTurns(seconds: Double) -> Double { seconds / cycleSeconds * max(0.5, 1 + 0.04 * cycleNoise.value) }

    static func wrapped(_ turns: Double) -> Double { turns - turns.rounded(.down) }

    /// Fills in the cycle's shapes at `phase` (0 to 1): on during the first part, when the triangle falls, then off, when it rises.
    func setCycle(phase: Double, in drive: inout Drive) {
        let duty = max(0.15, min(0.85, spec.duty + spec.dutyLoad * drive.load + spec.dutyAmbient * drive.ambient))
        drive.sine = Moment.sine(turns: phase)
        drive.square = phase < duty ? 1 : -1
        drive.triangle = phase < duty ? 1 - 2 * phase / duty : 2 * (phase - duty) / (1 - duty) - 1
    }

    /// Demand without its rhythm, around `mean`.
    func flatLoad(mean: Double) -> Double { max(0, mean + spec.loadNoise * loadNoise.value) }

    /// Writes one line with the time `ns`; a fault changes what the sensors say, never the machine's healthy course.
    mutating func write(ns: Int64, fault: inout FaultCourse?, into buffer: inout LineBuffer) {
        buffer.reserve(lineBytesMax)
        buffer.put(keyBytes)
        fault?.advance(with: self, ns: ns)
        for index in channels.indices {
            var steps = channels[index].quantised(channels[index].value)
            if let changed = fault?.reading(of: index, channel: channels[index]) { steps = changed }
            channels[index].written = steps
            buffer.put(channels[index].prefix)
            buffer.put(number: steps, decimals: channels[index].spec.decimals)
            if channels[index].spec.role == .state { buffer.put(0x69) }
        }
        buffer.put(0x20)
        buffer.put(number: ns, decimals: 0)
        buffer.put(0x0A)
    }
}
