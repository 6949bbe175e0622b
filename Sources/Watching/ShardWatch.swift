import Alerting
import Detection
import Readings
import TimeSeries

/// The streams of one shard: a deterministic machine that turns batches into alert actions.
///
/// It reads no clock and knows no file. The same batches in the same order lead to the same bits and the same actions,
/// however they were cut, which is what makes "last checkpoint plus replay" exact.
public struct ShardWatch: ~Copyable {
    public private(set) var settings: WatchSettings
    public internal(set) var book: EpisodeBook
    let shard: Int
    let shards: Int
    var detector: Detector
    var verdict: Verdict
    var streamSlab: StateSlab
    var channelSlab: StateSlab
    var slots: [StreamSlot] = []
    /// The place of the stream that got a channel last, and of another before it.
    private var newest = (place: 0, model: 0)
    /// The policies of all slots, few: those that the configuration tells apart.
    var policies: [PolicyInForce] = []
    /// Per slot the fleet clock at which it becomes stale; Int64.max: never.
    var deadlines: [Int64] = []
    var blocks: [BlockRecord] = []
    private let nowhere: UnsafeMutableRawPointer
    var inputs: UnsafeMutablePointer<ChannelInput>
    private var inputCapacity: Int
    /// Places of streams whose newest reading left work behind (see `Detector.owes`), oldest first: a ring with room for every slot.
    var debtors: [UInt32] = []
    var firstDebtor = 0
    var debtorCount = 0
    var nextScan: Int64 = 0
    var clock: Int64 = 0
    /// The latest fleet clock that a batch has told.
    var lastClock: Int64 { clock }
    let streamExtraOffset: Int
    let channelExtraOffset: Int
    let momentsOffset: Int
    /// Blocks remembered by each stream.
    let historyBlocks: Int
    /// Which trained models run, as the last note said.
    var assignments: [ModelAssignment] = []
    /// What mistaken alerts raised, by stream; few.
    var bars: [UInt32: FeedbackBars] = [:]
    /// Bytes of all seats.
    private var seatBytes = 0
    /// Models that were asked for and that the store does not have.
    public internal(set) var missingModels: Set<String> = []
    /// Readings scored since the start.
    public private(set) var readingsScored: Int64 = 0
    public private(set) var streamCount = 0
    /// How well channels are forecast, as last counted; the count under way and where it stands.
    public internal(set) var census = ForecastCensus()
    var counting = ForecastCensus()
    var censusAt = 0
    /// Sequence of the last batch applied.
    public internal(set) var sequence: Int64 = 0
    /// Called for every scored reading (offline tools); nil in the daemon.
    public var observer: ((ReadingEntry, borrowing Verdict) -> Void)?

    /// What is known about the stored generations of a block.
    struct BlockRecord {
        /// The batch before the first that touched it.
        var createdAt: Int64
        var olderGeneration: Int64 = -1
        var newestGeneration: Int64 = -1
        /// Generations that are not up to date: 2 after a change, 0 when both slots tell the truth.
        var pendingWrites = 2
    }

    /// - Parameter channelsMax: of one stream.
    public init(settings: WatchSettings, shard: Int, shards: Int, channelsMax: Int) {
        self.settings = settings
        (self.shard, self.shards) = (shard, shards)
        book = EpisodeBook(rules: settings.rules)
        detector = Detector(profile: settings.profile)
        verdict = Verdict(channelsMax: channelsMax)
        streamExtraOffset = detector.streamStateBytes
        channelExtraOffset = detector.channelStateBytes
        momentsOffset = (streamExtraOffset + MemoryLayout<StreamExtra>.stride + 7) / 8 * 8
        historyBlocks = max(1, settings.historyBlocks)
        streamSlab = StateSlab(blockBytes: momentsOffset + historyBlocks * MemoryLayout<StreamMoment>.stride)
        // The kernels of a channel work on groups of 32 bytes.
        channelSlab = StateSlab(blockBytes: detector.channelStateBytes + MemoryLayout<ChannelExtra>.stride, alignment: 32)
        nowhere = .allocate(byteCount: streamSlab.blockBytes, alignment: 64)
        nowhere.initializeMemory(as: UInt8.self, repeating: 0, count: streamSlab.blockBytes)
        inputCapacity = max(1, channelsMax)
        inputs = .allocate(capacity: inputCapacity)
    }

    deinit {
        for slot in slots { slot.storedKey.deallocate() }
        inputs.deallocate()
        nowhere.deallocate()
    }

    /// Bytes held for learned state.
    public var stateBytes: Int { streamSlab.bytes + channelSlab.bytes + seatBytes }
    public var openAlerts: Int { book.openCount }

    /// Takes over reloaded rules; the profile stays as it was at the start.
    public mutating func reload(_ new: WatchSettings) {
        let profile = settings.profile
        settings = new
        settings.profile = profile
        book.rules = new.rules
        policies.removeAll()
        for index in slots.indices where slots[index].state != nil { setPolicy(index, new.policy(slots[index].key)) }
    }

    // MARK: - Batches

    /// Applies a batch and appends what came of it.
    /// - Parameters:
    ///   - isReplay: skip streams whose restored state already contains it.
    ///   - scored: told after every `portion` readings, and after the last, how many were applied since it was told before
    public mutating func apply(
        _ batch: ReadingBatch, isReplay: Bool = false, actions: inout [AlertAction], portion: Int = .max, scored: (Int) -> Void = { _ in }
    ) {
        for note in batch.notes { apply(note, batch, isReplay, &actions) }
        var next = 0
        while next < batch.entryCount {
            let end = next + min(portion, batch.entryCount - next)
            for index in next..<end {
                let entry = batch.entries[index]
                // In a replay the number of shards may have changed since, so a batch may hold streams of other shards.
                if isReplay, slotOf(entry.stream) == nil { continue }
                let local = local(entry.stream)
                guard local < slots.count, slots[local].state != nil else { continue }
                if isReplay, batch.sequence <= blocks[local / StreamNumber.perBlock].newestGeneration { continue }
                blocks[local / StreamNumber.perBlock].pendingWrites = 2
                expect(batch, index + 1)
                expectRings(local)
                score(entry, batch, local, &actions)
            }
            scored(end - next)
            next = end
        }
        sequence = max(sequence, batch.sequence)
        if isReplay, batch.shards != shards || batch.shard != shard { return replayClock(batch, &actions) }
        clock = max(clock, batch.clock)
        if clock > nextScan { scanStale(&actions) }
    }

    /// The memory of the reading after this one is on its way while this one is scored.
    @inline(__always)
    private mutating func expect(_ batch: ReadingBatch, _ index: Int) {
        guard index < batch.entryCount else { return }
        let entry = batch.entries[index]
        let local = local(entry.stream)
        guard local < slots.count, let state = slots[local].state else { return }
        // Of the channels the first that is present; the detector looks after the others.
        let channel = Int(batch.channels[Int(entry.fieldStart)])
        detector.expect(stream: state, channel: entry.fieldCount > 0 && channel == 0 ? slots[local].channels.first : nil)
        Detector.bringNearer(state + streamExtraOffset, bytes: StreamExtra.scalarBytes)
    }

    /// What is written when a reading has been scored is on its way meanwhile.
    @inline(__always)
    private func expectRings(_ local: Int) {
        let extra = extra(local)
        let place = Int(extra.pointee.readings % UInt64(StreamExtra.ring))
        let moment = Int(extra.pointee.readings / StreamMoment.readings % UInt64(historyBlocks))
        if let state = slots[local].state {
            Detector.bringNearer(moments(state) + moment, bytes: MemoryLayout<StreamMoment>.stride)
            Detector.bringNearer(UnsafeRawPointer(extra) + StreamExtra.scalarBytes + place * MemoryLayout<Int64>.stride, bytes: 1)
        }
        for channel in slots[local].channels {
            let kept = UnsafeRawPointer(channelExtra(channel))
            Detector.bringNearer(kept, bytes: 1)
            Detector.bringNearer(kept + ChannelExtra.scalarBytes + place * MemoryLayout<Float>.stride, bytes: 1)
        }
    }

    /// A batch tells the time to the streams of its own shard only, as it was when it was applied first: with another number
    /// of shards these are other streams than ours.
    private mutating func replayClock(_ batch: ReadingBatch, _ actions: inout [AlertAction]) {
        guard batch.shards != shards else { return }
        for local in deadlines.indices where deadlines[local] < batch.clock && slots[local].state != nil {
            guard StreamNumber.shard(of: slots[local].id, shards: batch.shards) == batch.shard else { continue }
            guard batch.sequence > blocks[local / StreamNumber.perBlock].newestGeneration else { continue }
            beginSilence(local, &actions)
        }
    }

    private mutating func apply(_ note: BatchNote, _ batch: ReadingBatch, _ isReplay: Bool, _ actions: inout [AlertAction]) {
        let sequence = batch.sequence
        switch note {
        case .stream(let id, let key):
            if owns(id), slotOf(id) == nil { add(stream: id, key: String(decoding: key, as: UTF8.self), sequence: sequence) }
        case .channel(let stream, let index, let name):
            guard let local = slotOf(stream), slots[local].channels.count == Int(index) else { return }
            addChannel(local, String(decoding: name, as: UTF8.self))
        case .evicted(let stream):
            guard let local = slotOf(stream) else { return }
            for episode in book.episodes(of: stream) {
                if let action = book.end(
                    stream: stream, kind: episode.alert.kind, time: extra(local).pointee.lastTime, reason: .stream_gone)
                {
                    actions.append(action)
                }
            }
            bars[stream] = nil
            remove(local)
        case .budgetShare(let group, let stream, let streams):
            share(group, stream, streams, sequence, isReplay)
        case .condition(let kind, let reason, let time):
            guard let kind = AlertKind(rawValue: kind) else { return }
            condition(kind, of: 0, reason, time, sequence, isReplay, &actions)
        case .source(let kind, let stream, let reason, let time):
            guard let kind = AlertKind(rawValue: kind) else { return }
            condition(kind, of: stream, reason, time, sequence, isReplay, &actions)
        case .models(let models): assign(models, batch, isReplay)
        case .person(let note): act(note, batch, isReplay, &actions)
        }
    }

    /// A batch assigns models to the streams of its own shard only, as `replayClock` says for the clock.
    private mutating func assign(_ models: [ModelAssignment], _ batch: ReadingBatch, _ isReplay: Bool) {
        if isReplay, batch.shards == shards, batch.shard != shard { return }
        let ids = slots.map(\.id)
        let generations = blocks.map(\.newestGeneration)
        assign(models) { local in
            guard isReplay else { return true }
            return StreamNumber.shard(of: ids[local], shards: batch.shards) == batch.shard
                && batch.sequence > generations[local / StreamNumber.perBlock]
        }
    }

    /// The daemon's own conditions are alerts of stream 0, which has no readings; those of a source are the stream's that it feeds.
    private mutating func condition(
        _ kind: AlertKind, of stream: UInt32, _ reason: String?, _ time: Int64, _ sequence: Int64, _ isReplay: Bool,
        _ actions: inout [AlertAction]
    ) {
        guard owns(stream) else { return }
        if stream == 0, slotOf(0) == nil { add(stream: 0, key: "rnn-watchd", sequence: sequence) }
        guard let local = slotOf(stream) else { return }
        if isReplay, sequence <= blocks[local / StreamNumber.perBlock].newestGeneration { return }
        blocks[local / StreamNumber.perBlock].pendingWrites = 2
        let action: AlertAction?
        if let reason {
            action = begin(kind, .warning, local, time) {
                AlertFacts(channels: [], reason: reason, contributions: [], evidence: [], context: [])
            }
        } else {
            action = book.end(stream: stream, kind: kind, time: time)
        }
        if let action { actions.append(action) }
    }

    @inline(__always)
    mutating func score(_ entry: ReadingEntry, _ batch: ReadingBatch, _ local: Int, _ actions: inout [AlertAction]) {
        let extra = extra(local)
        if slots[local].isStale || deadlines[local] < entry.clock { endSilence(entry, local, &actions) }
        if slots[local].isPaused { return pass(entry, batch, local, extra) }
        extra.pointee.observe(clock: entry.clock, time: entry.time)
        let fields = min(Int(entry.fieldCount), inputCapacity)
        var count = 0
        for field in Int(entry.fieldStart)..<Int(entry.fieldStart) + fields {
            let channel = Int(batch.channels[field])
            guard channel < slots[local].channels.count else { continue }
            inputs[count] = ChannelInput(
                state: slots[local].channels[channel], value: batch.values[field], index: UInt16(truncatingIfNeeded: channel))
            count += 1
        }
        guard let state = slots[local].state else { return }
        let policy = Int(slots[local].policy)
        if entry.time < policies[policy].clockOffsetFrom || entry.time >= policies[policy].clockOffsetUntil { setClock(policy, entry.time) }
        if let seat = slots[local].seat { drive(seat, local, count) }
        let settings = StreamSettings(
            secondsBetweenFalseAlarms: policies[policy].policy.secondsBetween(sharedBy: extra.pointee.budgetShare),
            quietSeconds: Double(self.settings.rules.closeAfter) * 1e-9, clockOffsetSeconds: policies[policy].clockOffset)
        extra.pointee.budgetSeconds = settings.secondsBetweenFalseAlarms.isFinite ? Float(settings.secondsBetweenFalseAlarms) : 0
        detector.step(
            stream: state, channels: UnsafeBufferPointer(start: inputs, count: count), time: entry.time, hasClock: true, settings: settings,
            verdict: &verdict)
        remember(entry, local, extra)
        if detector.owes(stream: state), !slots[local].isInDebt { addDebtor(local) }
        readingsScored += 1
        extra.pointee.readings += 1
        extra.pointee.lastTime = entry.time
        let silence = extra.pointee.silenceMax(after: policies[policy].policy.staleAfter, min: self.settings.staleMin)
        expectReading(local, entry.clock, silence)
        if verdict.isAlarm || slots[local].hasAnomaly || extra.pointee.stuckChannel != 0 || slots[local].isMuffled {
            judge(entry, local, extra, &actions)
        }
        if let observer { observer(entry, verdict) }
    }

    /// The stream is stale when nothing comes for so long.
    @inline(__always)
    mutating func expectReading(_ local: Int, _ clock: Int64, _ silence: Int64) {
        deadlines[local] = clock.later(by: silence)
        nextScan = min(nextScan, deadlines[local])
    }

    /// Looks up the clock of a policy's zone at a moment, and until when it holds.
    private mutating func setClock(_ policy: Int, _ time: Int64) {
        let second: Int64 = 1_000_000_000
        let found = policies[policy].policy.zone.span(at: time / second - (time % second < 0 ? 1 : 0))
        policies[policy].clockOffset = found.offset
        policies[policy].clockOffsetFrom = found.from > Int64.min / second ? found.from * second : .min
        policies[policy].clockOffsetUntil = found.until < Int64.max / second ? found.until * second : .max
    }

    /// The policy of a present stream.
    func policy(_ local: Int) -> StreamPolicy { policies[Int(slots[local].policy)].policy }

    mutating func setPolicy(_ local: Int, _ wanted: StreamPolicy) {
        var wanted = wanted
        slots[local].budgetGroup = wanted.budgetGroup
        wanted.budgetGroup = 0
        // The newest first: streams of one kind come one after another.
        let place = policies.lastIndex { $0.policy == wanted } ?? policies.count
        if place == policies.count { policies.append(PolicyInForce(policy: wanted)) }
        slots[local].policy = UInt32(place)
    }

    /// Keeps what later questions ask for: newest values, bands, the ring for the picture in an alert.
    @inline(__always)
    private func remember(_ entry: ReadingEntry, _ local: Int, _ extra: UnsafeMutablePointer<StreamExtra>) {
        let place = Int(extra.pointee.readings % UInt64(StreamExtra.ring))
        extra.pointee.recentTimes[place] = entry.time
        extra.pointee.score = Float(verdict.score)
        extra.pointee.threshold = Float(verdict.threshold)
        extra.pointee.warmUp = Float(verdict.warmUpProgress)
        extra.pointee.warmUpReason = UInt32(verdict.warmUpReason.rawValue)
        extra.pointee.warmUpReadings = verdict.warmUpReadings
        if extra.pointee.judgedFrom == .min, verdict.warmUpReason != .readings { extra.pointee.judgedFrom = entry.time }
        if let state = slots[local].state { remember(entry.time, extra.pointee.readings, moments(state)) }
        for pointer in slots[local].channels { channelExtra(pointer).pointee.recent[place] = .nan }
        for index in 0..<verdict.channelCount {
            let channel = verdict.channels[index]
            let kept = channelExtra(slots[local].channels[Int(channel.index)])
            kept.pointee.lastTime = entry.time
            kept.pointee.lastValue = channel.value
            kept.pointee.expected = Float(finite: channel.expected)
            kept.pointee.bandLow = Float(finite: channel.bandLow)
            kept.pointee.bandHigh = Float(finite: channel.bandHigh)
            kept.pointee.recent[place] = Float(finite: channel.value)
        }
    }

    // MARK: - Slots

    /// Place of a stream of this shard.
    @inline(__always)
    func local(_ stream: UInt32) -> Int {
        StreamNumber.block(of: stream) / shards * StreamNumber.perBlock + Int(stream) % StreamNumber.perBlock
    }

    /// Whether a stream belongs here. A replay shows every batch to every shard, as their number may have changed.
    func owns(_ stream: UInt32) -> Bool { StreamNumber.shard(of: stream, shards: shards) == shard }

    /// The place of a present stream of this shard; nil for others.
    func slotOf(_ stream: UInt32) -> Int? {
        guard owns(stream) else { return nil }
        let local = local(stream)
        return local < slots.count && slots[local].state != nil ? local : nil
    }

    @inline(__always)
    func extra(_ local: Int) -> UnsafeMutablePointer<StreamExtra> {
        // A slot without state is never asked (callers come from `slotOf` or have checked); if it were, it would be told nothing.
        ((slots[local].state ?? nowhere) + streamExtraOffset).assumingMemoryBound(to: StreamExtra.self)
    }

    /// The ring of the stream's blocks.
    @inline(__always)
    func moments(_ state: UnsafeMutableRawPointer) -> UnsafeMutablePointer<StreamMoment> {
        (state + momentsOffset).assumingMemoryBound(to: StreamMoment.self)
    }

    /// Keeps the reading of the present block that came nearest to an alarm. `reading`: readings before this one.
    @inline(__always)
    private func remember(_ time: Int64, _ reading: UInt64, _ ring: UnsafeMutablePointer<StreamMoment>) {
        let slot = ring + Int(reading / StreamMoment.readings % UInt64(historyBlocks))
        let isNew = reading % StreamMoment.readings == 0
        // An alarm stays the moment of its block: that it was raised explains more than any higher score after it.
        guard isNew || slot.pointee.restraint != Restraint.none.rawValue || slot.pointee.time == .min else { return }
        guard isNew || verdict.isAlarm || Float(verdict.score - verdict.threshold) > slot.pointee.margin else { return }
        slot.pointee = StreamMoment(verdict, time: time)
    }

    @inline(__always)
    func channelExtra(_ channel: UnsafeMutableRawPointer) -> UnsafeMutablePointer<ChannelExtra> {
        (channel + channelExtraOffset).assumingMemoryBound(to: ChannelExtra.self)
    }

    /// Makes room for a stream. Batches of the same shard must come here in order.
    public mutating func add(stream id: UInt32, key: String, sequence: Int64) {
        let local = local(id)
        while slots.count <= local {
            slots.append(StreamSlot())
            deadlines.append(.max)
        }
        if debtors.count < slots.count { growDebtors() }
        while blocks.count <= local / StreamNumber.perBlock { blocks.append(BlockRecord(createdAt: max(0, sequence - 1))) }
        let state = streamSlab.allocate()
        detector.initializeStream(state)
        (state + streamExtraOffset).initializeMemory(as: StreamExtra.self, repeating: StreamExtra(), count: 1)
        (state + momentsOffset).initializeMemory(as: StreamMoment.self, repeating: StreamMoment(), count: historyBlocks)
        slots[local].storedKey.deallocate()
        replaceSlot(local, StreamSlot(id: id, key: key, state: state))
        setPolicy(local, settings.policy(key))
        if id != 0 { setSeat(local, seat(for: key)) }
        deadlines[local] = .max
        if blocks[local / StreamNumber.perBlock].newestGeneration < 0, streamsIn(local / StreamNumber.perBlock) == 1 {
            blocks[local / StreamNumber.perBlock].createdAt = max(0, sequence - 1)
        }
        blocks[local / StreamNumber.perBlock].pendingWrites = 2
        if id != 0 { streamCount += 1 }
    }

    /// Makes room for the next channel of a stream, by the stream's number.
    public mutating func addChannel(of stream: UInt32, _ name: String) {
        if let local = slotOf(stream) { addChannel(local, name) }
    }

    /// Makes room for the next channel of a stream.
    mutating func addChannel(_ local: Int, _ name: String) {
        let state = channelSlab.allocate()
        detector.initializeChannel(state)
        (state + channelExtraOffset).initializeMemory(as: ChannelExtra.self, repeating: ChannelExtra(), count: 1)
        slots[local].channels.append(state)
        slots[local].names.append(name)
        // Streams of one kind, which come one after another, share one list.
        if newest.place != local { newest = (local, newest.place) }
        if slots[newest.model].names == slots[local].names { slots[local].names = slots[newest.model].names }
    }

    private mutating func remove(_ local: Int) {
        book.forget(slots[local].id)
        for channel in slots[local].channels { channelSlab.deallocate(channel) }
        if let state = slots[local].state { streamSlab.deallocate(state) }
        if slots[local].id != 0 { streamCount -= 1 }
        setSeat(local, nil)
        slots[local].storedKey.deallocate()
        replaceSlot(local, StreamSlot())
        deadlines[local] = .max
        blocks[local / StreamNumber.perBlock].pendingWrites = 2
    }

    /// Another stream or none in a place; its entry in the row of debtors stays.
    private mutating func replaceSlot(_ local: Int, _ slot: StreamSlot) {
        let isInDebt = slots[local].isInDebt
        slots[local] = slot
        slots[local].isInDebt = isInDebt
    }

    /// Puts a stream on a model, or off it.
    mutating func setSeat(_ local: Int, _ seat: ModelSeat?) {
        seatBytes += (seat?.model.seatBytes ?? 0) - (slots[local].seat?.model.seatBytes ?? 0)
        slots[local].seat = seat
    }

    func streamsIn(_ block: Int) -> Int {
        let start = block * StreamNumber.perBlock
        return (start..<min(slots.count, start + StreamNumber.perBlock)).count { slots[$0].state != nil }
    }

    func identity(_ slot: StreamSlot, _ extra: UnsafeMutablePointer<StreamExtra>) -> (id: String, key: String) {
        // The number keeps the ids of a stream that was evicted and came back apart from its earlier ones.
        let hash = String(CRC32C.checksum(Array("\(slot.key)#\(slot.id)".utf8)), radix: 16)
        return (String(repeating: "0", count: 8 - hash.count) + hash + "-" + String(extra.pointee.alerts + 1), slot.key)
    }

    func channelName(_ slot: StreamSlot, _ index: UInt16) -> String {
        Int(index) < slot.names.count ? slot.names[Int(index)] : "channel \(index)"
    }

    /// The newest readings of a channel, oldest first, including the present one.
    func context(_ slot: StreamSlot, _ channel: UInt16, _ extra: UnsafeMutablePointer<StreamExtra>) -> [ContextPoint] {
        guard Int(channel) < slot.channels.count else { return [] }
        let ring = channelExtra(slot.channels[Int(channel)])
        let newest = extra.pointee.readings - 1
        return (0..<UInt64(StreamExtra.ring)).compactMap { age in
            guard newest >= UInt64(StreamExtra.ring) - 1 - age else { return nil }
            let place = Int((newest - (UInt64(StreamExtra.ring) - 1 - age)) % UInt64(StreamExtra.ring))
            let value = ring.pointee.recent[place]
            return value.isNaN ? nil : ContextPoint(time: extra.pointee.recentTimes[place], value: Double(value))
        }
    }
}
