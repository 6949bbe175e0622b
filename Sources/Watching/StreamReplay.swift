import Alerting
import Detection
import Readings

/// One stream brought back to the moments before an alert, for explanations: the last checkpoint, then the journal, exactly as a
/// restart would. Afterwards the newest readings can be judged again, changed or not.
public struct StreamReplay: ~Copyable {
    /// One reading of the stream as it came.
    struct Reading {
        var time: Int64
        var clock: Int64
        var values: [(channel: UInt16, value: Double)]
    }

    /// The stream's state as bytes.
    struct Copy {
        var stream: [UInt8]
        var channels: [[UInt8]]
        var seat: [UInt8]?
        var readings: UInt64
    }

    /// Readings of the window: at least so many (if the stream has them), less than twice as many.
    static let windowMin = 16
    /// Readings whose hidden units are remembered to know their usual range.
    static let historyMax = 2048

    var watch: ShardWatch
    let stream: UInt32
    let local: Int
    /// Two states, `windowMin` readings apart, and the readings since the older one.
    private var older: Copy?
    private var newer: Copy?
    private(set) var readings: [Reading] = []
    /// Hidden units after each reading: [readings][units], of the channel in `channel` or of the stream's model.
    private(set) var history: [[Float]] = []
    private var discarded: [AlertAction] = []

    /// - Parameters: as the store has the stream; `assignments`: which models ran when the journal begins.
    public init(settings: WatchSettings, stream: UInt32, key: String, channels: [String], assignments: [ModelAssignment]) {
        watch = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: max(16, channels.count))
        self.stream = stream
        watch.begin(assignments: assignments)
        watch.add(stream: stream, key: key, sequence: 0)
        for name in channels { watch.addChannel(of: stream, name) }
        local = watch.local(stream)
    }

    /// The number of a channel; 0 for one that is not there.
    public func place(of channel: String) -> Int { watch.slots[local].names.firstIndex(of: channel) ?? 0 }

    /// The block of the stream as a checkpoint has it.
    public mutating func restore(_ snapshot: BlockSnapshot) throws(CodingError) { try watch.restore(snapshot, older: -1) }

    /// Applies a batch up to, and without, the first reading that `isWanted` names by its time.
    /// - Parameter tracked: the channel whose units are remembered (of a stream without a model).
    /// - Returns: the wanted reading is the next.
    public mutating func apply(_ batch: ReadingBatch, tracked: Int, isWanted: (Int64) -> Bool) -> Bool {
        guard batch.sequence > (watch.blocks.last?.newestGeneration ?? -1) else { return false }
        for note in batch.notes {
            let isBreak =
                switch note {
                case .models, .person(.reset), .person(.pause): true
                default: false
                }
            if isBreak {
                // The window must not reach over a change of models, nor over what is not learned from.
                (older, newer) = (nil, nil)
                readings.removeAll()
                history.removeAll()
            }
        }
        // Only the notes: the readings follow one by one.
        let rest = ReadingBatch(entryCapacity: 1, fieldCapacity: 1)
        (rest.sequence, rest.shard, rest.shards, rest.clock) = (batch.sequence, batch.shard, batch.shards, watch.lastClock)
        rest.notes = batch.notes.filter {
            switch $0 {
            case .models, .budgetShare, .person: true
            default: false
            }
        }
        watch.apply(rest, isReplay: true, actions: &discarded)
        for index in 0..<batch.entryCount where batch.entries[index].stream == stream {
            let entry = batch.entries[index]
            let reading = Reading(
                time: entry.time, clock: entry.clock,
                values: (Int(entry.fieldStart)..<Int(entry.fieldStart) + Int(entry.fieldCount)).map {
                    (batch.channels[$0], batch.values[$0])
                })
            if isWanted(entry.time) {
                readings.append(reading)
                return true
            }
            if readings.count == 2 * StreamReplay.windowMin {
                readings.removeFirst(StreamReplay.windowMin)
                older = newer
            }
            if readings.count % StreamReplay.windowMin == 0 {
                newer = copy()
                if older == nil { older = newer }
            }
            readings.append(reading)
            judge(reading)
            history.append(units(tracked))
            if history.count > 2 * StreamReplay.historyMax { history.removeFirst(StreamReplay.historyMax) }
        }
        let end = ReadingBatch(entryCapacity: 1, fieldCapacity: 1)
        (end.sequence, end.shard, end.shards, end.clock) = (batch.sequence, batch.shard, batch.shards, batch.clock)
        watch.apply(end, isReplay: true, actions: &discarded)
        return false
    }

    /// The state before `readings[0]`; the last of `readings` is the one that was wanted.
    var start: Copy? { older }

    /// Scores one reading; `watch.verdict` holds the answer.
    mutating func judge(_ reading: Reading) {
        let batch = ReadingBatch(entryCapacity: 2, fieldCapacity: max(1, reading.values.count))
        for (channel, value) in reading.values { batch.append(channel: channel, value: value) }
        batch.endReading(stream: stream, time: reading.time, clock: reading.clock)
        discarded.removeAll(keepingCapacity: true)
        watch.scoreOne(batch, local, &discarded)
    }

    /// Hidden units: of the model's layers one after the other, or of a channel.
    func units(_ channel: Int) -> [Float] {
        if let seat = watch.slots[local].seat, seat.isBound { return seat.hidden() }
        guard channel < watch.slots[local].channels.count else { return [] }
        return watch.detector.units(channel: watch.slots[local].channels[channel])
    }

    /// Everything about the stream that decides about its next score.
    func copy() -> Copy {
        let slot = watch.slots[local]
        func bytes(_ block: UnsafeMutableRawPointer?, _ count: Int) -> [UInt8] {
            block.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) } ?? []
        }
        return Copy(
            stream: bytes(slot.state, watch.streamSlab.blockBytes), channels: slot.channels.map { bytes($0, watch.channelSlab.blockBytes) },
            seat: slot.seat?.body(), readings: watch.extra(local).pointee.readings)
    }

    /// Puts the stream back to `copy`. Open alerts do not matter to scores.
    mutating func put(_ copy: Copy) throws(CodingError) {
        let slot = watch.slots[local]
        copy.stream.withUnsafeBytes { source in source.baseAddress.map { slot.state?.copyMemory(from: $0, byteCount: source.count) } }
        for (block, bytes) in zip(slot.channels, copy.channels) {
            bytes.withUnsafeBytes { source in source.baseAddress.map { block.copyMemory(from: $0, byteCount: source.count) } }
        }
        if let bytes = copy.seat { try slot.seat?.decode(bytes) }
    }
}

extension ShardWatch {
    /// Scores the only reading of a batch, whatever the generations say.
    mutating func scoreOne(_ batch: ReadingBatch, _ local: Int, _ actions: inout [AlertAction]) {
        score(batch.entries[0], batch, local, &actions)
    }
}
