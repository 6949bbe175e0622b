import Alerting
import Platform
import Readings
import Store
import Tabular
import Watching

/// What a shard's queue holds.
enum ShardInput: Sendable {
    case batch(ReadingBatch)
    /// Something to do between two batches, by whoever holds the shard.
    case task(@Sendable (ShardBox) -> Void)
}

/// What a shard gives to the writer.
struct CommitUnit: Sendable {
    /// Encoded for the journal.
    var batch: ReadingBatch?
    var actions: [AlertAction] = []
    var blocks: [BlockSnapshot] = []
    /// With blocks: the shard needs the journal after this batch once they are stored.
    var journalNeededAfter: Int64?
    var shard = 0
    /// The shard has ended; nothing follows.
    var isLast = false
}

/// What a thread does for one shard while it holds it: batches in, units for the writer out, checkpoints paced between them.
final class ShardRunner: @unchecked Sendable {
    // Safety: `statistics`, `checkpointInterval` and `stretch` are locked; the rest is used by the thread only that holds the shard's queue.
    private let box: ShardBox
    private let output: BoundedQueue<CommitUnit>
    private let shard: Int
    private let room: BlockRoom
    private let checkpointInterval: Locked<Int64>
    private let stretch = Locked(1.0)
    private var nextBlock = 0
    private var rotationStartedAt: Int64
    private var rotationBegan: Int64 = 0
    private var actions: [AlertAction] = []
    /// Readings of a thread's shards after which a rotation through all their blocks ends (a replay takes about a second for so many) ...
    static let rotationReadingsMax: Int64 = 1_000_000
    /// ... as this shard's part of them ...
    private let rotationReadings: Int64
    /// ... if it took at least so long (nanoseconds), as states are larger than readings.
    static let rotationMin: Int64 = 600_000_000_000
    /// Readings after which it is looked at the clock how late they are (of one channel: less than a tenth of a millisecond).
    private static let readingsPerLag = 32
    /// Values that wait for a shard when another thread takes it over (about 0.1 milliseconds; one that is woken needs a tenth of it).
    static let valuesWorthMoving = 64
    /// Streams whose left work is done before the queue is asked again (about 10 microseconds).
    private static let settledAtOnce = 4
    private let statisticsBox = Locked(Statistics())

    struct Statistics: Sendable {
        var readingsScored: Int64 = 0
        var batches: Int64 = 0
        var openAlerts = 0
        var streams = 0
        var stateBytes = 0
        /// Nanoseconds from arrival to score of the newest readings.
        var lag: Int64 = 0
        var lags = LagHistogram()
        /// Monotonic time of the last sign of life.
        var aliveAt: Int64 = 0
        var sequence: Int64 = 0
        var forecasts = ForecastCensus()
    }

    init(
        box: ShardBox, shard: Int, shardsPerThread: Int, output: BoundedQueue<CommitUnit>, room: BlockRoom, checkpointInterval: Int64
    ) {
        (self.box, self.shard, self.output, self.room) = (box, shard, output, room)
        self.checkpointInterval = Locked(checkpointInterval)
        rotationReadings = ShardRunner.rotationReadingsMax / Int64(shardsPerThread)
        rotationStartedAt = Clocks.monotonic()
    }

    var statistics: Statistics { statisticsBox.withLock { $0 } }
    /// The write budget multiplies the interval, up to a day.
    func setStretch(_ factor: Double) { stretch.withLock { $0 = factor } }
    func setCheckpointInterval(_ nanoseconds: Int64) { checkpointInterval.withLock { $0 = nanoseconds } }

    /// Readings left work behind that can wait until no reading does.
    var owes: Bool { box.watch.hasDebtors }

    /// Does what the shard's queue has; after `.end` the shard has written what changed since the last checkpoint.
    func work(_ work: CrewQueues<ShardInput>.Work) {
        switch work {
        case .element(.batch(let batch)): judge(batch)
        case .element(.task(let task)): task(box)
        case .debt: box.watch.settle(ShardRunner.settledAtOnce)
        case .visit: break
        case .end: return finish()
        }
        pace(Clocks.monotonic())
    }

    private func judge(_ batch: ReadingBatch) {
        actions.removeAll(keepingCapacity: true)
        let arrival = batch.firstArrival
        box.watch.apply(batch, actions: &actions, portion: ShardRunner.readingsPerLag) { noteLag(arrival, readings: $0) }
        note()
        // Here, where the readings are at hand: the writer is one for all shards. Armed only to measure what the journal costs.
        if !Failpoint.fails("journal.skip") { JournalCodec.encode(batch) }
        output.push(CommitUnit(batch: batch, actions: actions, shard: shard), isUrgent: !batch.acknowledgements.isEmpty)
    }

    private func noteLag(_ arrival: Int64, readings: Int) {
        let now = Clocks.monotonic()
        let lag = arrival > 0 ? now - arrival : 0
        statisticsBox.withLock {
            $0.lag = lag
            $0.lags.add(lag, readings: readings, now: now)
        }
    }

    private func note() {
        let now = Clocks.monotonic()
        box.watch.continueCensus()
        let forecasts = box.watch.census
        let (scored, open, streams, bytes, sequence) = (
            box.watch.readingsScored, box.watch.openAlerts, box.watch.streamCount, box.watch.stateBytes, box.watch.sequence
        )
        statisticsBox.withLock {
            $0.readingsScored = scored
            $0.batches += 1
            $0.forecasts = forecasts
            ($0.openAlerts, $0.streams, $0.stateBytes, $0.sequence, $0.aliveAt) = (open, streams, bytes, sequence, now)
        }
    }

    /// Writes the blocks that are due: a rotation through all of them takes one checkpoint interval.
    private func pace(_ now: Int64) {
        statisticsBox.withLock { $0.aliveAt = now }
        let count = box.watch.blockCount
        guard count > 0 else {
            rotationStartedAt = now
            return
        }
        let standard = checkpointInterval.withLock { $0 }
        let stretch = stretch.withLock { $0 }
        let interval = max(standard, min(86_400_000_000_000, Int64(Double(standard) * stretch)))
        let elapsed = max(0, now - rotationStartedAt)
        // A restart replays up to two rotations: many readings make them shorter, but not below ten minutes.
        let readings = Double(box.watch.readingsScored - rotationBegan) / Double(rotationReadings)
        let shortest = Double(elapsed) / min(Double(interval), Double(ShardRunner.rotationMin) * stretch)
        let progress = max(Double(elapsed) / Double(interval), min(readings, shortest))
        let due = min(count, Int(progress * Double(count)))
        guard due > nextBlock, !room.isFull else { return }
        // A few at a time, so that readings do not wait behind a long row of them.
        write(nextBlock..<min(due, nextBlock + 4), isFinal: false)
        nextBlock = min(due, nextBlock + 4)
        if nextBlock >= count {
            nextBlock = 0
            rotationStartedAt = now
            rotationBegan = box.watch.readingsScored
        }
    }

    private func write(_ range: Range<Int>, isFinal: Bool) {
        Failpoint.pass("checkpoint.snapshot")
        let blocks = range.compactMap { box.watch.snapshot(block: $0, isFinal: isFinal) }
        room.take(blocks.reduce(0) { $0 + $1.payload.count })
        guard !blocks.isEmpty || range.upperBound == box.watch.blockCount else { return }
        output.push(CommitUnit(blocks: blocks, journalNeededAfter: box.watch.journalNeededAfter, shard: shard))
    }

    /// Writes every block that changed, now (a question to the shard).
    func checkpointAll() {
        var start = 0
        while start < box.watch.blockCount {
            let end = min(start + 4, box.watch.blockCount)
            room.wait { statisticsBox.withLock { $0.aliveAt = Clocks.monotonic() } }
            write(start..<end, isFinal: true)
            start = end
        }
    }

    private func finish() {
        checkpointAll()
        output.push(CommitUnit(shard: shard, isLast: true), isUrgent: true)
    }
}
