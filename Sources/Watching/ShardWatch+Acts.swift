import Alerting
import Detection
import Readings

/// What people do, as it comes with the batches. A replay does it again at the same place.
extension ShardWatch {
    mutating func act(_ note: PersonalNote, _ batch: ReadingBatch, _ isReplay: Bool, _ actions: inout [AlertAction]) {
        switch note {
        case .close(let stream, let alert, let by, let text):
            guard let local = changing(stream, batch, isReplay) else { return }
            let time = stream == 0 ? batch.receivedAt : extra(local).pointee.lastTime
            guard let action = book.close(stream: stream, id: alert, time: time, by: by, text: text) else { return }
            if action.alert.kind == .anomaly { slots[local].hasAnomaly = false }
            actions.append(action)
        case .settle(let stream):
            guard let local = changing(stream, batch, isReplay) else { return }
            closeAll(local, .stream_gone, &actions)
            // Nothing is expected of it.
            deadlines[local] = .max
        case .reset(let stream):
            guard let local = changing(stream, batch, isReplay) else { return }
            closeAll(local, .by_hand, &actions)
            reset(local)
        case .rename(let stream, let key):
            // Also in a replay of what is in the checkpoint already: the names at its beginning are those of the journal's.
            guard let local = slotOf(stream) else { return }
            rename(local, String(decoding: key, as: UTF8.self))
        case .feedback(let stream, _, _, _, _, _, let bar):
            guard let bar, let local = changing(stream, batch, isReplay) else { return }
            raise(bar, local)
        case .pause(let scopes): pause(scopes, batch, isReplay)
        }
    }

    /// The place of a stream of ours that this batch changes; nil: there is none, or its state contains the batch already.
    private mutating func changing(_ stream: UInt32, _ batch: ReadingBatch, _ isReplay: Bool) -> Int? {
        guard let local = slotOf(stream) else { return nil }
        let block = local / StreamNumber.perBlock
        if isReplay, batch.sequence <= blocks[block].newestGeneration { return nil }
        blocks[block].pendingWrites = 2
        return local
    }

    private mutating func closeAll(_ local: Int, _ reason: CloseReason, _ actions: inout [AlertAction]) {
        for episode in book.episodes(of: slots[local].id) {
            let time = extra(local).pointee.lastTime
            let action = book.end(stream: slots[local].id, kind: episode.alert.kind, time: time, reason: reason)
            if let action { actions.append(action) }
        }
        slots[local].hasAnomaly = false
        slots[local].isStale = false
        extra(local).pointee.stuckChannel = 0
    }

    /// Nothing is left of what was learned. Numbers of alerts go on, and so do the times that order readings.
    private mutating func reset(_ local: Int) {
        guard let state = slots[local].state else { return }
        let kept = extra(local).pointee
        detector.initializeStream(state)
        var fresh = StreamExtra()
        (fresh.alerts, fresh.lastTime, fresh.lastClock, fresh.budgetShare) = (kept.alerts, kept.lastTime, kept.lastClock, kept.budgetShare)
        extra(local).pointee = fresh
        moments(state).update(repeating: StreamMoment(), count: historyBlocks)
        for channel in slots[local].channels {
            let last = channelExtra(channel).pointee.lastTime
            detector.initializeChannel(channel)
            channelExtra(channel).pointee = ChannelExtra()
            channelExtra(channel).pointee.lastTime = last
        }
        setSeat(local, slots[local].id == 0 ? nil : seat(for: slots[local].key))
        deadlines[local] = .max
        bars[slots[local].id] = nil
        slots[local].isMuffled = false
    }

    /// Another name, with the policy that the configuration has for it. What was learned stays, its model too.
    private mutating func rename(_ local: Int, _ key: String) {
        slots[local].storedKey.deallocate()
        slots[local].storedKey = StreamKey(key)
        setPolicy(local, settings.policy(key))
        for var episode in book.episodes(of: slots[local].id) {
            episode.alert.streamKey = key
            book.restore(episode)
        }
    }

    // MARK: - Feedback

    private mutating func raise(_ note: FeedbackBarNote, _ local: Int) {
        let name = String(decoding: note.channel, as: UTF8.self)
        let channel = slots[local].names.firstIndex(of: name).map { UInt16(truncatingIfNeeded: $0) } ?? FeedbackBar.anyChannel
        var bar = FeedbackBar(
            channel: channel, points: note.points, since: extra(local).pointee.lastTime, fade: max(1, note.fade), weekHour: -1)
        if let moment = note.moment { bar.weekHour = weekHour(local, moment) }
        bars[slots[local].id, default: FeedbackBars()].raise(bar)
    }

    /// Hour of the week of a moment on the clock that people around the stream live by.
    private func weekHour(_ local: Int, _ time: Int64) -> Int16 {
        let seconds = time / 1_000_000_000 - (time % 1_000_000_000 < 0 ? 1 : 0)
        return FeedbackBar.weekHour(seconds: seconds, offset: policy(local).zone.span(at: seconds).offset)
    }

    /// Whether an alarm of the detector, or a score after one that was kept back, is over what feedback asks of the stream.
    mutating func clears(_ time: Int64, _ local: Int, _ isAlarm: Bool, _ isStuckAlarm: Bool) -> Bool {
        guard var kept = bars[slots[local].id] else { return isAlarm }
        let wasMuffled = slots[local].isMuffled && time < kept.mutedUntil
        if slots[local].isMuffled, !wasMuffled { slots[local].isMuffled = false }
        guard isAlarm || wasMuffled, !isStuckAlarm else { return isAlarm }
        let height = kept.height(channel: mainChannel(), time: time, weekHour: weekHour(local, time))
        if verdict.score >= verdict.threshold + height {
            if wasMuffled || isAlarm { slots[local].isMuffled = false }
            return true
        }
        if isAlarm {
            slots[local].isMuffled = true
            kept.mutedUntil = time.addingReportingOverflow(settings.rules.closeAfter).partialValue
            bars[slots[local].id] = kept
        }
        return false
    }

    /// The channel that carries most of the verdict; of equals the first.
    private func mainChannel() -> UInt16 {
        var best = 0
        for index in 0..<verdict.channelCount where verdict.channels[index].contribution > verdict.channels[best].contribution {
            best = index
        }
        return verdict.channelCount > 0 ? verdict.channels[best].index : FeedbackBar.anyChannel
    }

    /// The bars of a stream with what is left of them, for people.
    public struct BarInForce: Sendable {
        /// Empty: any channel.
        public var channel: String
        public var points: Double
        /// Moment of reading time at which nothing is left of it.
        public var until: Int64
        public var weekHour: Int16
    }

    func barsInForce(_ local: Int) -> [BarInForce] {
        let time = extra(local).pointee.lastTime
        return (bars[slots[local].id]?.bars ?? []).compactMap { bar in
            let left = bar.height(at: time)
            guard left > 0 else { return nil }
            let name = Int(bar.channel) < slots[local].names.count ? slots[local].names[Int(bar.channel)] : ""
            return BarInForce(
                channel: name, points: left, until: bar.since.addingReportingOverflow(bar.fade).partialValue, weekHour: bar.weekHour)
        }
    }

    // MARK: - Pauses

    /// A batch is about the streams of its own shard only, as `assign` says for models.
    private mutating func pause(_ scopes: [String], _ batch: ReadingBatch, _ isReplay: Bool) {
        if isReplay, batch.shards == shards, batch.shard != shard { return }
        let covers = scopes.map { settings.covers($0) }
        for local in slots.indices where slots[local].state != nil && slots[local].id != 0 {
            if isReplay {
                guard StreamNumber.shard(of: slots[local].id, shards: batch.shards) == batch.shard,
                    batch.sequence > blocks[local / StreamNumber.perBlock].newestGeneration
                else { continue }
            }
            let isPaused = covers.contains { $0(slots[local].key) }
            guard isPaused != slots[local].isPaused else { continue }
            slots[local].isPaused = isPaused
            blocks[local / StreamNumber.perBlock].pendingWrites = 2
        }
    }

    /// Some stream is paused.
    public var hasPausedStreams: Bool { slots.contains { $0.isPaused } }

    /// A reading of a paused stream: known to have come, nothing more.
    mutating func pass(_ entry: ReadingEntry, _ batch: ReadingBatch, _ local: Int, _ extra: UnsafeMutablePointer<StreamExtra>) {
        extra.pointee.lastClock = entry.clock
        extra.pointee.lastTime = entry.time
        for field in Int(entry.fieldStart)..<Int(entry.fieldStart) + Int(entry.fieldCount) {
            let channel = Int(batch.channels[field])
            guard channel < slots[local].channels.count else { continue }
            let kept = channelExtra(slots[local].channels[channel])
            (kept.pointee.lastTime, kept.pointee.lastValue) = (entry.time, batch.values[field])
        }
        expectReading(local, entry.clock, extra.pointee.silenceMax(after: policy(local).staleAfter, min: settings.staleMin))
    }
}

/// How the bars of a stream stand in a checkpoint.
enum BarCodec {
    static func encode(_ bars: FeedbackBars, _ isMuffled: Bool, _ out: inout ByteWriter) {
        out.byte(isMuffled ? 1 : 0)
        out.signed(bars.mutedUntil)
        out.varint(UInt64(bars.bars.count))
        for bar in bars.bars {
            out.varint(UInt64(bar.channel))
            out.double(bar.points)
            out.signed(bar.since)
            out.signed(bar.fade)
            out.signed(Int64(bar.weekHour))
        }
    }

    static func decode(_ reader: inout ByteReader) throws(CodingError) -> (bars: FeedbackBars, isMuffled: Bool) {
        let start = reader.offset
        let isMuffled = try reader.byte() == 1
        var bars = FeedbackBars()
        bars.mutedUntil = try reader.signed()
        for _ in 0..<(try reader.count(max: FeedbackBars.barsMax, "number of bars")) {
            let channel = UInt16(try reader.count(max: Int(UInt16.max), "channel"))
            let (points, since, fade, hour) = (try reader.double(), try reader.signed(), try reader.signed(), try reader.signed())
            guard points.isFinite, (0...FeedbackBar.pointsMax).contains(points), fade > 0, (-1..<168).contains(hour) else {
                throw CodingError(offset: start, expected: "a sane bar")
            }
            bars.bars.append(FeedbackBar(channel: channel, points: points, since: since, fade: fade, weekHour: Int16(hour)))
        }
        return (bars, isMuffled)
    }
}
