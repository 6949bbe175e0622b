import Ingest
import Platform
import Readings

/// The batches that go round: ingest, shard, writer, and back. When too much is under way, the ingest thread waits.
///
/// What counts is how full the delivered batches are: an even load makes many small ones, and those must not keep readings from the
/// detector while the writer is busy with a commit. The batch given back last is lent first, so a quiet fleet touches the memory of a few;
/// what a stalled disk piled up goes back to the system afterwards.
final class BatchPool: BatchCourier, Sendable {
    private struct State {
        var free: [ReadingBatch] = []
        var made = 0
        /// Sum of `share` over the delivered batches.
        var underWay = 0
        /// As much was under way as may be: the ingest thread rests until there is room for many batches.
        var isFull = false
        var isClosed = false
    }

    private let state = Monitor(State())
    private let shards: CrewQueues<ShardInput>
    private let entryCapacity: Int
    private let fieldCapacity: Int
    /// Most under way, in full batches, and most batches.
    let fullMax: Int
    let batchesMax: Int
    /// Small batches for every full one.
    static let batchesPerFull = 16
    private static let full = 1024
    /// Free batches that are kept: many times as many as an even load has under way.
    static let kept = 64

    /// - Parameter fullMax: full batches under way at most.
    init(fullMax: Int, entryCapacity: Int, fieldCapacity: Int, shards: CrewQueues<ShardInput>) {
        (self.fullMax, self.entryCapacity, self.fieldCapacity, self.shards) = (fullMax, entryCapacity, fieldCapacity, shards)
        // The ingest thread holds one open batch a shard while it waits for another.
        batchesMax = max(fullMax * BatchPool.batchesPerFull, 2 * shards.count)
    }

    func borrow() -> ReadingBatch {
        let lent: ReadingBatch? = state.wait { state in
            // After `close` there is nobody to wait for: the last lines go into a batch of their own.
            if state.isClosed { return .some(nil) }
            state.isFull = !hasRoom(state)
            guard !state.isFull else { return nil }
            if let batch = state.free.popLast() { return batch }
            guard state.made < batchesMax else { return nil }
            state.made += 1
            return .some(nil)
        }
        guard let batch = lent else { return ReadingBatch(entryCapacity: entryCapacity, fieldCapacity: fieldCapacity) }
        batch.reset()
        return batch
    }

    func deliver(_ batch: ReadingBatch) {
        let share = share(batch)
        state.change {
            $0.underWay += share
        } isNews: { _ in
            false
        }
        shards.push(.batch(batch), to: batch.shard, size: batch.fieldCount, postponesWake: true)
    }

    func isIdle(shard: Int) -> Bool { shards.isAwaited(shard) }

    func endDelivery() { shards.wakePostponed() }

    func giveBack(_ batch: ReadingBatch) {
        let share = share(batch)
        state.change {
            $0.underWay -= share
            if $0.free.count < BatchPool.kept { $0.free.append(batch) } else { $0.made = max(0, $0.made - 1) }
        } isNews: {
            hasRoom($0)
        }
    }

    /// Another batch may be filled. After all was full an eighth must be free again: woken for each batch the ingest thread would change
    /// places with others a thousand times a second, and find its caches cold.
    private func hasRoom(_ state: State) -> Bool {
        let most = fullMax * BatchPool.full
        return state.underWay < (state.isFull ? most - most / 8 : most)
    }

    /// Lets a waiting ingest thread go on.
    func close() { state.change { $0.isClosed = true } }

    /// New streams or channels that are worth a full batch: each costs a shard and the writer as much as dozens of readings, and what is
    /// under way must not keep other clients waiting for long.
    static let newPerFull = 32

    /// How full it is, from 1 to `full`, and more where it has many new streams.
    private func share(_ batch: ReadingBatch) -> Int {
        max(1, BatchPool.full * batch.entryCount / entryCapacity, BatchPool.full * batch.fieldCount / fieldCapacity)
            + BatchPool.full * batch.notes.count / BatchPool.newPerFull
    }

    /// Share of what may be under way, 0 to 1.
    var fill: Double { min(1, Double(state.read { $0.underWay }) / Double(fullMax * BatchPool.full)) }
}
