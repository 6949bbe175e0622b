import Alerting
import Ingest
import LineFormats
import Platform
import Readings
import Watching

/// Shards of one intake without the rest of the daemon: batches made beforehand, one thread a shard.
final class ShardPair: BatchCourier {
    private var shards: [BenchShard] = []
    private var intake: Intake?
    private var parser = LineParser()

    /// - Parameter count: shards, each with its own thread.
    init(_ count: Int, channels: Int) {
        shards = (0..<count).map { BenchShard($0, of: count, channels: channels) }
        var limits = IntakeLimits()
        limits.streamsMax = 1_000_000
        limits.shards = count
        intake = Intake(limits: limits, totals: IngestTotals(), nextSequence: 1, seed: 1, courier: self, isIgnored: { _ in false })
    }

    func borrow() -> ReadingBatch { ReadingBatch(entryCapacity: 512, fieldCapacity: 8192) }
    func deliver(_ batch: ReadingBatch) { shards[batch.shard].batches.append(batch) }

    /// Makes the batches of a segment, then lets all shards judge them at once. Returns the nanoseconds of that by the clock.
    func run(_ load: Workload, _ segment: Int) throws -> Double {
        guard var intake = intake.take() else { return 0 }
        load.feed(segment, &parser, &intake)
        self.intake = consume intake
        let began = Clocks.monotonic()
        let threads = try shards.map { shard in try WorkerThread("bench-shard") { shard.judge() } }
        for thread in threads { thread.join() }
        return Double(Clocks.monotonic() - began)
    }
}

/// One shard and what waits for it.
private final class BenchShard: @unchecked Sendable {
    // Safety: filled before its thread starts, and looked at again after it was joined.
    var batches: [ReadingBatch] = []
    private var watch: ShardWatch
    private var actions: [AlertAction] = []

    init(_ shard: Int, of count: Int, channels: Int) {
        watch = ShardWatch(settings: WatchSettings(profile: .standard), shard: shard, shards: count, channelsMax: max(16, channels))
    }

    func judge() {
        for batch in batches {
            actions.removeAll(keepingCapacity: true)
            watch.apply(batch, actions: &actions)
        }
        batches.removeAll(keepingCapacity: true)
    }
}
