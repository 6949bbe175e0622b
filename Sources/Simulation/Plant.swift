/// A plant of sensors as InfluxDB line protocol, with labelled faults: deterministic, as fast as memory.
///
/// The healthy course never depends on the faults: outside the labels a plant with faults and one without give the same bytes.
///
/// ```swift
/// var plant = try Plant(configuration)
/// while plant.fill(bytesMin: 1 << 16) { plant.withLines { write($0) } }
/// ```
public struct Plant: Sendable {
    /// What was asked for.
    public let configuration: PlantConfiguration
    /// Every fault of the whole span, in order of its start; known before the first line is made.
    public let labels: [FaultLabel]
    /// Lines made so far.
    public private(set) var lineCount = 0
    /// Readings left out by dropouts so far.
    public private(set) var droppedCount = 0
    /// Time of the next round of readings, nanoseconds since 1970; at or after the end when there is none.
    public private(set) var nextNs: Int64

    private var machines: [Machine]
    private var weathers: [Weather]
    private var schedule: [[Fault]]
    private var upcoming: [Int]
    private var courses: [FaultCourse?]
    private var buffer = LineBuffer()
    private let offsetsNs: [Int64]
    private let stepSeconds: Double

    /// Builds the machines and plans the faults; throws when a setting is out of range.
    public init(_ configuration: PlantConfiguration) throws(SimulationError) {
        try configuration.validate()
        self.configuration = configuration
        stepSeconds = Double(configuration.intervalNs) / 1e9
        let step = stepSeconds
        let machines = (0..<configuration.streams).map { Machine(index: $0, seed: configuration.seed, intervalSeconds: step) }
        let weathers = (0...(machines.last?.site ?? 0)).map { Weather(seed: configuration.seed, site: $0) }
        // Machines report one after the other within an interval, each always at the same moment of it, on whole milliseconds.
        let count = Int64(configuration.streams)
        let offsets = (0..<count).map { configuration.intervalNs / 1_000_000 * $0 / count * 1_000_000 }
        var planner = FaultSchedule(configuration)
        let schedule = planner.make(for: machines, weathers: weathers, offsetsNs: offsets)
        self.machines = machines
        self.weathers = weathers
        self.schedule = schedule
        offsetsNs = offsets
        upcoming = machines.map { _ in 0 }
        courses = machines.map { _ in nil }
        nextNs = configuration.startNs
        labels = schedule.joined().map { FaultLabel($0, machine: machines[$0.machine]) }
            .sorted { ($0.startNs, $0.stream) < ($1.startNs, $1.stream) }
    }

    /// Canonical keys of all streams: measurement and sorted tags, as in the lines.
    public var streamKeys: [String] { machines.map(\.key) }

    /// Replaces the held lines by the next rounds: one round, and more until there are `bytesMin` bytes.
    ///
    /// Returns false, with nothing held, when the span is over.
    public mutating func fill(bytesMin: Int = 0) -> Bool {
        buffer.removeAll()
        let before = nextNs
        while nextNs < configuration.endNs {
            advanceRound()
            if buffer.count >= bytesMin { break }
        }
        return nextNs > before
    }

    /// Calls `body` with the held lines: complete lines in order of time, newline at the end; empty in a dropout of all streams.
    public func withLines<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R { try buffer.withBytes(body) }

    private mutating func advanceRound() {
        let moment = Moment(ns: nextNs, stepSeconds: stepSeconds)
        for site in weathers.indices { weathers[site].advance(moment) }
        for index in machines.indices {
            machines[index].advance(moment, ambient: weathers[machines[index].site].ambient)
            let ns = nextNs + offsetsNs[index]
            guard ns < configuration.endNs else { continue }
            updateCourse(of: index, ns: ns)
            if courses[index]?.fault.kind == .dropout {
                droppedCount += 1
            } else {
                machines[index].write(ns: ns, fault: &courses[index], into: &buffer)
                lineCount += 1
            }
        }
        nextNs += configuration.intervalNs
    }

    /// Begins and ends the machine's faults at the reading at `ns`.
    private mutating func updateCourse(of index: Int, ns: Int64) {
        if let course = courses[index], ns >= course.fault.endNs { courses[index] = nil }
        let next = upcoming[index]
        guard next < schedule[index].count, ns >= schedule[index][next].startNs else { return }
        courses[index] = FaultCourse(schedule[index][next], seed: configuration.seed)
        upcoming[index] = next + 1
    }
}
