import Ingest
import Platform
import Readings

/// The fixed set of batches that go round: ingest, shard, writer, and back. When all are out, the ingest thread waits.
final class BatchPool: BatchCourier, Sendable {
    private let free: BoundedQueue<ReadingBatch>
    private let shards: [BoundedQueue<ShardInput>]
    let size: Int
    private let entryCapacity: Int
    private let fieldCapacity: Int

    init(size: Int, entryCapacity: Int, fieldCapacity: Int, shards: [BoundedQueue<ShardInput>]) {
        (self.size, self.entryCapacity, self.fieldCapacity, self.shards) = (size, entryCapacity, fieldCapacity, shards)
        free = BoundedQueue(capacity: size)
        for _ in 0..<size { free.push(ReadingBatch(entryCapacity: entryCapacity, fieldCapacity: fieldCapacity)) }
    }

    func borrow() -> ReadingBatch {
        // After `close` there is nobody to wait for: the last lines go into a batch of their own.
        guard let batch = free.pop() else { return ReadingBatch(entryCapacity: entryCapacity, fieldCapacity: fieldCapacity) }
        batch.reset()
        return batch
    }

    func deliver(_ batch: ReadingBatch) { shards[batch.shard].push(.batch(batch)) }

    func giveBack(_ batch: ReadingBatch) { free.push(batch) }

    /// Lets a waiting ingest thread go on.
    func close() { free.close() }

    /// Share of batches that are under way, 0 to 1.
    var fill: Double { Double(size - free.count) / Double(size) }
}
