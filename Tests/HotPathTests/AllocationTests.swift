import Alerting
import CAllocationCount
import Detection
import Ingest
import LineFormats
import Readings
import Testing
import Watching

/// Parser, intake and one shard in this thread, with one batch that goes round.
private final class Pipeline: BatchCourier {
    var parser = LineParser()
    var intake: Intake?
    var watch: ShardWatch
    let batch = ReadingBatch(entryCapacity: 256, fieldCapacity: 4096)
    var actions: [AlertAction] = []

    init(profile: DetectorProfile) {
        watch = ShardWatch(settings: WatchSettings(profile: profile), shard: 0, shards: 1, channelsMax: 16)
        actions.reserveCapacity(1024)
        intake = Intake(limits: IntakeLimits(), totals: IngestTotals(), nextSequence: 1, seed: 1, courier: self, isIgnored: { _ in false })
    }

    func borrow() -> ReadingBatch {
        batch.reset()
        return batch
    }

    func deliver(_ batch: ReadingBatch) {
        actions.removeAll(keepingCapacity: true)
        watch.apply(batch, actions: &actions)
    }

    /// All lines, taken at `start` and each one microsecond later. Allocations of this thread while it ran.
    func run(_ lines: [[UInt8]], from start: Int64) -> UInt64 {
        guard var intake = intake.take() else { return .max }
        let before = allocation_count()
        for place in lines.indices {
            lines[place].withUnsafeBufferPointer { line in
                intake.received(bytes: line.count + 1, now: start)
                if (try? parser.parse(line)) != nil { _ = intake.accept(&parser.readings, now: start + Int64(place) * 1000, arrival: 0) }
            }
        }
        intake.flush(now: start)
        let count = allocation_count() - before
        self.intake = consume intake
        return count
    }
}

@Suite("The way of a reading")
struct AllocationTests {
    /// 20 streams of two channels with a smooth rhythm: nothing alarms, so nothing but readings passes.
    private func lines(_ count: Int) -> [[UInt8]] {
        (0..<count).map { index in
            let phase = Double(index / 20 % 60) / 60
            let wave = phase < 0.5 ? phase : 1 - phase
            return Array("pump,site=a,unit=u\(index % 20) pressure=\(3 + wave),flow=\(12 + 4 * wave)".utf8)
        }
    }

    @Test("A known stream's readings are parsed, interned, batched and scored without one allocation", arguments: [DetectorProfile.standard, .light])
    func noAllocation(profile: DetectorProfile) {
        let pipeline = Pipeline(profile: profile)
        let lines = lines(4000)
        // Names, arenas and scratch are made in the first rounds.
        for round in 0..<3 { _ = pipeline.run(lines, from: 1_760_000_000_000_000_000 + Int64(round) * 1_000_000_000_000) }
        let readingsBefore = pipeline.watch.readingsScored
        let allocations = pipeline.run(lines, from: 1_760_000_009_000_000_000)
        #expect(pipeline.watch.readingsScored - readingsBefore == 4000)
        // A batch may be flushed and delivered; what remains must not grow with the readings.
        #expect(allocations <= 8, "\(allocations) allocations for 4000 readings")
    }
}
