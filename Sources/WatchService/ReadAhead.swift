import Platform
import Store

/// Reads checkpoints and checks their sums in a thread of its own, while the one before is put in its place.
enum ReadAhead {
    /// Blocks read and not yet taken.
    private static let blocksMax = 8

    /// The reader is lent to the thread: whoever lends it does not touch it until the thread has ended.
    private struct Lent: @unchecked Sendable { let reader: StoreReader }

    /// Calls `body` for each of `wanted` in order, with its place and what was found.
    /// - Errors: the first that reading gives; `body` has then been called for those before.
    static func checkpoints(
        _ reader: StoreReader, _ wanted: [StoreReader.Generation], _ body: (Int, (block: CheckpointBlock, isIntact: Bool)?) -> Void
    ) throws(StoreError) {
        let queue = BoundedQueue<(block: CheckpointBlock, isIntact: Bool)?>(capacity: blocksMax)
        let problem = Locked<StoreError?>(nil)
        let lent = Lent(reader: reader)
        let thread = try? WorkerThread("rnn-reading") {
            do throws(StoreError) {
                for generation in wanted { queue.push(try lent.reader.checkpoint(generation)) }
            } catch {
                problem.withLock { $0 = error }
            }
            queue.close()
        }
        guard let thread else {
            for (place, generation) in wanted.enumerated() { body(place, try reader.checkpoint(generation)) }
            return
        }
        var place = 0
        while let found = queue.pop() {
            body(place, found)
            place += 1
        }
        thread.join()
        if let problem = problem.withLock({ $0 }) { throw problem }
    }
}
