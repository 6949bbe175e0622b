import Platform
import Readings
import Testing

@testable import WatchService

@Suite("Between sockets and journal")
struct FlowTests {
    private func queue() -> CrewQueues<ShardInput> { CrewQueues(queues: 1, crew: 1, capacity: 2000, helpedFrom: 1) }

    private func pool(_ shards: CrewQueues<ShardInput>, fullMax: Int = 4) -> BatchPool {
        BatchPool(fullMax: fullMax, entryCapacity: 8, fieldCapacity: 16, shards: shards)
    }

    private func fill(_ batch: ReadingBatch, readings: Int) {
        for reading in 0..<readings {
            batch.append(channel: 0, value: 1)
            batch.endReading(stream: 1, time: Int64(reading), clock: 0)
        }
    }

    /// Delivers so many full batches, and returns them.
    private func deliverFull(_ pool: BatchPool, _ count: Int) -> [ReadingBatch] {
        (0..<count).map { _ in
            let batch = pool.borrow()
            fill(batch, readings: 8)
            pool.deliver(batch)
            return batch
        }
    }

    @Test func `small batches go on while full ones would have to wait`() {
        let queue = queue()
        let small = pool(queue)
        // Eight times as many batches as full ones may be under way.
        for _ in 0..<31 {
            let batch = small.borrow()
            fill(batch, readings: 1)
            small.deliver(batch)
        }
        queue.close()
        var delivered = 0
        while let turn = queue.next(member: 0, done: delivered > 0 ? (0, false) : nil), case .element = turn.work { delivered += 1 }
        #expect(delivered == 31)
        #expect(small.fill > 0.95 && small.fill < 1)
        let full = pool(self.queue())
        for _ in 0..<4 {
            let batch = full.borrow()
            fill(batch, readings: 8)
            full.deliver(batch)
        }
        #expect(full.fill == 1)
    }

    @Test func `a full pool lets the ingest thread wait until a batch comes back`() throws {
        let pool = pool(queue())
        let lent = deliverFull(pool, 4)
        let isThrough = Locked(false)
        let thread = try WorkerThread("borrower") {
            let batch = pool.borrow()
            #expect(batch.isEmpty)
            isThrough.withLock { $0 = true }
        }
        Clocks.sleep(nanoseconds: 20_000_000)
        #expect(!isThrough.withLock { $0 })
        pool.giveBack(lent[2])
        thread.join()
        #expect(isThrough.withLock { $0 })
        #expect(pool.fill == 0.75)
    }

    @Test func `after all was full the ingest thread goes on when an eighth is free again`() throws {
        let pool = pool(queue(), fullMax: 32)
        let lent = deliverFull(pool, 32)
        let isThrough = Locked(false)
        let thread = try WorkerThread("borrower") {
            _ = pool.borrow()
            isThrough.withLock { $0 = true }
        }
        Clocks.sleep(nanoseconds: 200_000_000)
        for batch in lent.prefix(4) { pool.giveBack(batch) }
        Clocks.sleep(nanoseconds: 50_000_000)
        #expect(!isThrough.withLock { $0 })
        pool.giveBack(lent[4])
        thread.join()
        #expect(isThrough.withLock { $0 })
        // With room for some it does not wait for more.
        let batch = pool.borrow()
        fill(batch, readings: 8)
        pool.deliver(batch)
        _ = pool.borrow()
    }

    @Test func `what piled up while the disk stood still is let go of, and as much may pile up again`() {
        let pool = pool(queue(), fullMax: 32)
        for round in 0..<3 {
            var lent: [ReadingBatch] = []
            for _ in 0..<200 {
                let batch = pool.borrow()
                fill(batch, readings: 1)
                lent.append(batch)
            }
            weak var last = lent.last
            for batch in lent { pool.giveBack(batch) }
            lent = []
            #expect(last == nil, "round \(round): of 200 batches given back the last is beyond those kept")
        }
        let kept = (0..<BatchPool.kept).map { _ in pool.borrow() }
        #expect(Set(kept.map { ObjectIdentifier($0) }).count == BatchPool.kept && kept.allSatisfy(\.isEmpty))
    }

    @Test func `no number of a stream is given again, whichever version stored the last`() {
        let turn = StreamNumber.turn(of: 300)
        #expect(TotalsCodec.lastTurn(["stream_turn": Int64(turn)], present: turn - 5, lastStream: 300) == turn)
        #expect(TotalsCodec.lastTurn(["stream_turn": 7], present: 9, lastStream: 0) == 9)
        #expect(TotalsCodec.lastTurn([:], present: 0, lastStream: 0) == 0, "a new database")
        // An earlier version had given all numbers up to 300, or did so after this one.
        for stored in [[:], ["stream_turn": 20 as Int64]] {
            let last = TotalsCodec.lastTurn(stored, present: 3, lastStream: 300)
            #expect((1...300).allSatisfy { StreamNumber.turn(of: $0) <= last })
        }
        let names = TotalsCodec.names(IngestTotals(), sequence: 1, lastStream: 300, lastTurn: turn)
        #expect(names.contains { $0 == ("stream_turn", Int64(turn)) } && names.contains { $0 == ("last_stream", 300) })
    }

    @Test func `a batch that brings new streams weighs as much more as they cost`() {
        let pool = pool(queue(), fullMax: 4)
        let batch = pool.borrow()
        for id in 1...UInt32(BatchPool.newPerFull) { batch.notes.append(.stream(id: id, key: [97])) }
        pool.deliver(batch)
        #expect(pool.fill > 0.25 && pool.fill < 0.26, "as one full batch of four, and the least that any batch weighs: \(pool.fill)")
        pool.giveBack(batch)
        #expect(pool.fill == 0, "what was taken is given back")
    }

    @Test func `lag percentiles are upper edges of their bins, of the last minute`() {
        var lags = LagHistogram()
        let second: Int64 = 1_000_000_000
        lags.add(100_000, readings: 990, now: second)
        lags.add(3_000_000, readings: 10, now: second)
        func percentile(_ share: Double, at now: Int64) -> Double {
            Double(LagHistogram.percentile(share, of: [lags], now: now)) * 1e-6
        }
        #expect((0.1...0.125).contains(percentile(0.5, at: 2 * second)))
        #expect((0.1...0.125).contains(percentile(0.98, at: 2 * second)))
        #expect((3...3.75).contains(percentile(0.999, at: 2 * second)))
        // Two windows later nothing of it is recent; the metrics keep it.
        #expect(percentile(0.5, at: 100 * second) == 0)
        lags.add(50_000_000, readings: 1, now: 100 * second)
        #expect((50...62.5).contains(percentile(0.5, at: 100 * second)))
        #expect(lags.counts[0] == 990 && lags.counts[5] == 10)
        // A clock that stands still and an absurd wait stay in range.
        lags.add(0, readings: 1, now: 100 * second)
        lags.add(.max, readings: 1, now: 100 * second)
        #expect(percentile(1, at: 100 * second) > 60_000)
    }
}
