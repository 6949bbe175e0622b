import Alerting
import CAllocationCount
import Detection
import Glibc
import Ingest
import LineFormats
import Platform
import Readings
import Watching

/// Benchmarks of the way of a reading. Rounds are interleaved, the median counts, and every figure stands beside a reference
/// measured in the same run.
@main
struct Bench {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        let rounds = Int(Bench.value("--rounds", arguments) ?? "5") ?? 5
        let parts = arguments.filter { !$0.hasPrefix("-") && Int($0) == nil }
        if parts.contains("allocations") { exit(allocations() ? 0 : 3) }
        print("instruction set \(Detector.instructionSet); medians of \(rounds) interleaved rounds, CPU time of one thread")
        if parts.isEmpty || parts.contains("stages") { stages(rounds) }
        if parts.isEmpty || parts.contains("streams") { streams(rounds) }
        if parts.isEmpty || parts.contains("age") { age() }
        if parts.isEmpty || parts.contains("memory") { memory() }
        if parts.isEmpty || parts.contains("models") { models(rounds) }
        if parts.contains("intake") { intake() }
    }

    private static func value(_ name: String, _ arguments: ArraySlice<String>) -> String? {
        guard let place = arguments.firstIndex(of: name), place + 1 < arguments.endIndex else { return nil }
        return arguments[place + 1]
    }

    // MARK: - Measuring

    /// CPU nanoseconds of this thread: other processes on the machine do not count.
    static func cpu() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Runs each body once a round, in turn, and returns per body its nanoseconds per unit, sorted.
    static func measure(_ rounds: Int, per units: Int, _ bodies: [() -> Void]) -> [[Double]] {
        var results = bodies.map { _ in [Double]() }
        for _ in 0..<rounds {
            for (index, body) in bodies.enumerated() {
                let start = cpu()
                body()
                results[index].append(Double(cpu() - start) / Double(units))
            }
        }
        return results.map { $0.sorted() }
    }

    static func row(_ name: String, _ sorted: [Double], reference: Double) {
        let median = sorted[sorted.count / 2]
        let cells = [
            name.padded(44), number(median).leftPadded(9), (number(sorted[0]) + "-" + number(sorted[sorted.count - 1])).leftPadded(17),
            number(1000 / median).leftPadded(9), number(median / reference).leftPadded(9),
        ]
        print(cells.joined(separator: " "))
    }

    static func head(_ unit: String, _ reference: String) {
        print("stage".padded(44), "ns/\(unit)".leftPadded(9), "min-max".leftPadded(17), "M/s".leftPadded(9), "x \(reference)".leftPadded(9))
    }

    static func number(_ value: Double) -> String {
        let scale = value >= 100 ? 1.0 : value >= 10 ? 10.0 : 100.0
        return "\((value * scale).rounded() / scale)"
    }

    // MARK: - Parts

    /// Cumulative stages over the same bytes: copy, parse, intake, engine.
    private static func stages(_ rounds: Int) {
        for (streams, channels) in [(1000, 1), (10_000, 1), (10_000, 6)] {
            let load = Workload(streams: streams, channels: channels, lines: max(100_000, streams * 10))
            print("\n\(streams) streams of \(channels) channels, \(load.bytes.count / load.lines) bytes a line")
            head("line", "copy")
            var copy = [UInt8](repeating: 0, count: load.bytes.count)
            let full = Pipe(.standard, channels: channels)
            let light = Pipe(.light, channels: channels)
            let idle = Pipe(nil, channels: channels)
            // Every stream is known and warm before the clock runs.
            for pipe in [full, light, idle] { pipe.run(load) }
            let results = measure(
                rounds, per: load.lines,
                [
                    { copy.withUnsafeMutableBytes { target in load.bytes.withUnsafeBytes { target.copyMemory(from: $0) } } },
                    { parseOnly(load) }, { idle.run(load) }, { light.run(load) }, { full.run(load) },
                ])
            let reference = results[0][results[0].count / 2]
            for (name, result) in zip(
                [
                    "copy of the same bytes", "parse", "parse + intake", "parse + intake + light detector",
                    "parse + intake + default detector",
                ], results)
            {
                row(name, result, reference: reference)
            }
        }
    }

    private static func parseOnly(_ load: Workload) {
        var parser = LineParser()
        var fields = 0
        load.forEachLine { line in
            if (try? parser.parse(line)) != nil { fields &+= parser.readings.fieldCount(0) }
        }
        precondition(fields == load.lines * load.channels)
    }

    /// Cost against the number of streams.
    private static func streams(_ rounds: Int) {
        print("\none reading of one channel, all stages, against the number of streams")
        head("line", "1 stream")
        for (name, profile, counts) in [
            ("default", DetectorProfile.standard, [1, 100, 1000, 10_000]), ("light", .light, [1, 100, 1000, 10_000, 100_000]),
        ] {
            var reference = 0.0
            for count in counts {
                let load = Workload(streams: count, channels: 1, lines: max(50_000, count * 2))
                let pipe = Pipe(profile, channels: 1)
                pipe.run(load)
                let result = measure(rounds, per: load.lines, [{ pipe.run(load) }])[0]
                if reference == 0 { reference = result[result.count / 2] }
                row("\(name), \(count) streams", result, reference: reference)
            }
        }
    }

    /// Cost against the age of a stream.
    private static func age() {
        print("\none stream, default detector, against its age")
        head("line", "young")
        let pipe = Pipe(.standard, channels: 1)
        let load = Workload(streams: 1, channels: 1, lines: 50_000)
        pipe.run(load)
        var reference = 0.0
        for step in 1...20 {
            let result = measure(1, per: load.lines, [{ pipe.run(load) }])[0]
            if reference == 0 { reference = result[0] }
            if [1, 2, 5, 10, 20].contains(step) { row("after \((step + 1) * 50_000) readings", result, reference: reference) }
        }
    }

    /// The test of the hot path: once everything is known, a reading is parsed, interned, batched and scored without one
    /// allocation. Runs in release form, because debug code allocates where optimised code does not. true: it holds.
    private static func allocations() -> Bool {
        var holds = true
        for (name, profile, channels) in [("default", DetectorProfile.standard, 1), ("default", .standard, 6), ("light", .light, 1)] {
            let load = Workload(streams: 100, channels: channels, lines: 20_000)
            let pipe = Pipe(profile, channels: channels)
            for _ in 0..<3 { pipe.run(load) }
            let before = allocation_count()
            let alarmsBefore = pipe.actionsSeen
            pipe.run(load)
            let count = allocation_count() - before
            let alarms = pipe.actionsSeen - alarmsBefore
            // Telling an alert allocates (its sentences and numbers); a reading does not.
            let isFine = count <= 20 * UInt64(alarms)
            holds = holds && isFine
            print(
                "\(isFine ? "ok  " : "FAIL") \(name), \(channels) channels: \(count) allocations for \(load.lines) readings and \(alarms) steps of alerts"
            )
        }
        for channels in [1, 6] { holds = modelAllocations(channels: channels) && holds }
        print(holds ? "5 passed, 0 failed" : "0 passed, 1 failed")
        return holds
    }

    /// Parse and intake alone, for a profiler.
    private static func intake() {
        let load = Workload(streams: 10_000, channels: 6, lines: 200_000)
        let pipe = Pipe(nil, channels: 6)
        for _ in 0..<20 { pipe.run(load) }
    }

    private static func memory() {
        print("\nlearned state in bytes")
        for (name, profile) in [("default", DetectorProfile.standard), ("light", .light)] {
            let detector = Detector(profile: profile)
            print("\(name): stream \(detector.streamStateBytes), channel \(detector.channelStateBytes)")
        }
    }
}

/// Parser, intake and one shard in one thread.
final class Pipe: BatchCourier {
    private var parser = LineParser()
    private var intake: Intake?
    private var watch: ShardWatch?
    private let batch: ReadingBatch
    private var actions: [AlertAction] = []
    private var shift: Int64 = 0
    private(set) var actionsSeen = 0

    /// - Parameters:
    ///   - profile: nil leaves the shard out.
    ///   - model: what all streams run on; nil: the built-in network.
    init(_ profile: DetectorProfile?, channels: Int, model: WatchModel? = nil) {
        batch = ReadingBatch(entryCapacity: 512, fieldCapacity: 8192)
        if let profile {
            var settings = WatchSettings(profile: profile)
            settings.model = { _ in model }
            settings.matches = { _, _ in true }
            watch = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: max(16, channels))
        }
        var limits = IntakeLimits()
        limits.streamsMax = 1_000_000
        intake = Intake(limits: limits, totals: IngestTotals(), nextSequence: 1, seed: 1, courier: self, isIgnored: { _ in false })
        if let model { watch?.begin(assignments: [ModelAssignment(match: "*", model: model.id, label: model.label)]) }
    }

    func borrow() -> ReadingBatch {
        batch.reset()
        return batch
    }

    func deliver(_ batch: ReadingBatch) {
        actions.removeAll(keepingCapacity: true)
        watch?.apply(batch, actions: &actions)
        actionsSeen += actions.count
    }

    /// All lines once more. Timestamps repeat, so the intake's order check is told to forget: times are left out.
    func run(_ load: Workload) {
        guard var intake = intake.take() else { return }
        shift += 1_000_000_000_000_000
        let now: Int64 = 1_760_000_000_000_000_000 + shift
        load.forEachLine { line in
            // Without its timestamp (20 bytes) the reading is taken now: each run goes on where the last ended.
            let cut = UnsafeBufferPointer(rebasing: line.dropLast(20))
            intake.received(bytes: line.count + 1, now: now)
            if (try? parser.parse(cut)) != nil { _ = intake.accept(&parser.readings, now: now, arrival: 0) }
        }
        intake.flush(now: now)
        self.intake = consume intake
    }
}

extension String {
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
    func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
