import Alerting
import Readings

/// Learned state of one block of streams, to be stored.
public struct BlockSnapshot: Sendable {
    /// Number of the block over all shards: stream id / 16.
    public var block: Int64
    public var sequence: Int64
    public var layout: UInt32
    public var streams: Int
    public var payload: [UInt8]

    public init(block: Int64, sequence: Int64, layout: UInt32, streams: Int, payload: [UInt8]) {
        (self.block, self.sequence, self.layout, self.streams, self.payload) = (block, sequence, layout, streams, payload)
    }
}

/// A stream's newest times, for the side that checks the order of readings.
public struct StreamTimes: Sendable {
    public var stream: UInt32
    public var lastTime: Int64
    /// The fleet clock of its newest reading.
    public var lastClock: Int64
    public var channelTimes: [Int64]
}

extension ShardWatch {
    /// 3: streams remember blocks of readings; 4: and may be on models; 5: and may be paused or have bars raised by feedback. Blocks without
    /// such are written as 3.
    static let checkpointFormats: ClosedRange<UInt8> = 3...5

    /// Blocks of this shard.
    public var blockCount: Int { blocks.count }

    /// Version of the detector's state in the payloads.
    public var layoutVersion: UInt32 { detector.layoutVersion }

    /// The journal is needed after this batch: the oldest generation that may have to serve as the start of a replay.
    public var journalNeededAfter: Int64 {
        var needed = sequence
        for record in blocks where record.pendingWrites > 0 {
            needed = min(needed, record.olderGeneration >= 0 ? record.olderGeneration : record.createdAt)
        }
        return needed
    }

    /// The state of a block as of the last applied batch; nil when both stored generations already tell it.
    ///
    /// - Parameter isFinal: also nil when the newest generation alone tells it (a stop needs one good copy of everything).
    public mutating func snapshot(block: Int, isFinal: Bool = false) -> BlockSnapshot? {
        let record = blocks[block]
        guard record.pendingWrites > 0, !(isFinal && record.pendingWrites == 1) else { return nil }
        let payload = payload(block: block)
        blocks[block].olderGeneration = record.newestGeneration
        blocks[block].newestGeneration = sequence
        blocks[block].pendingWrites -= 1
        return BlockSnapshot(
            block: Int64(block * shards + shard), sequence: sequence, layout: detector.layoutVersion, streams: streamsIn(block),
            payload: payload)
    }

    /// The bytes of a block: format, number of streams, streams.
    /// - Parameter hasOwnStream: with stream 0, the daemon itself.
    func payload(block: Int, hasOwnStream: Bool = true) -> [UInt8] {
        let start = block * StreamNumber.perBlock
        let present = (start..<min(slots.count, start + StreamNumber.perBlock)).filter {
            slots[$0].state != nil && (hasOwnStream || slots[$0].id != 0)
        }
        let channels = present.reduce(0) { $0 + slots[$1].channels.count }
        var out = ByteWriter(reserving: 64 + present.count * (streamStateBytes + 32) + channels * channelStateBytes)
        let isPersonal = present.contains { slots[$0].isPaused || bars[slots[$0].id] != nil }
        out.byte(isPersonal ? 5 : present.contains { slots[$0].seat != nil } ? 4 : 3)
        out.varint(UInt64(present.count))
        for local in present { encode(local, &out) }
        return out.bytes
    }

    private func encode(_ local: Int, _ out: inout ByteWriter) {
        let slot = slots[local]
        out.varint(UInt64(slot.id))
        let own = bars[slot.id]
        out.byte((slot.isStale ? 1 : 0) | (slot.seat != nil ? 2 : 0) | (slot.isPaused ? 4 : 0) | (own != nil ? 8 : 0))
        out.signed(deadlines[local])
        out.varint(UInt64(slot.channels.count))
        if let state = slot.state {
            // What is stored does not depend on whether there was time to spare.
            detector.settle(stream: state)
            out.raw(UnsafeRawBufferPointer(start: state, count: streamStateBytes))
        }
        out.varint(UInt64(historyBlocks * MemoryLayout<StreamMoment>.stride))
        if let state = slot.state {
            out.raw(UnsafeRawBufferPointer(start: moments(state), count: historyBlocks * MemoryLayout<StreamMoment>.stride))
        }
        for channel in slot.channels { out.raw(UnsafeRawBufferPointer(start: channel, count: channelStateBytes)) }
        slot.seat?.encode(&out)
        let episodes = book.episodes(of: slot.id)
        out.varint(UInt64(episodes.count))
        for episode in episodes { EpisodeCodec.encode(episode, &out) }
        if let own { BarCodec.encode(own, slot.isMuffled, &out) }
    }

    private var streamStateBytes: Int { streamExtraOffset + MemoryLayout<StreamExtra>.size }
    private var channelStateBytes: Int { channelExtraOffset + MemoryLayout<ChannelExtra>.size }

    /// Puts back a block whose streams have been added (with their channels).
    ///
    /// Streams in the payload that are not known any more are skipped. On an error nothing of the block is changed: its
    /// streams learn anew (or an older generation is tried).
    /// - Parameter isNewest: it is the newer generation; the older one only fills in for it.
    public mutating func restore(_ snapshot: BlockSnapshot, older: Int64) throws(CodingError) {
        guard snapshot.block >= 0 else { throw CodingError(offset: 0, expected: "a block number") }
        guard snapshot.layout == detector.layoutVersion else {
            throw CodingError(offset: 0, expected: "detector state of layout \(detector.layoutVersion), got \(snapshot.layout)")
        }
        // First a dry run over the whole payload, then the copy: a damaged end must not leave half a block restored.
        _ = try walk(snapshot, isDryRun: true)
        let episodes = try walk(snapshot, isDryRun: false)
        for episode in episodes {
            book.restore(episode)
            if episode.alert.kind == .anomaly, let local = slotOf(episode.alert.stream) {
                slots[local].hasAnomaly = true
                setAnomalyChannel(local, episode.alert.channels.first)
            }
        }
        let block = Int(snapshot.block) / shards
        if block < blocks.count {
            blocks[block].newestGeneration = snapshot.sequence
            blocks[block].olderGeneration = older
            blocks[block].pendingWrites = older == snapshot.sequence ? 0 : 1
        }
        sequence = max(sequence, snapshot.sequence)
    }

    private mutating func walk(_ snapshot: BlockSnapshot, isDryRun: Bool) throws(CodingError) -> [EpisodeBook.Episode] {
        var reader = ByteReader(snapshot.payload)
        var episodes: [EpisodeBook.Episode] = []
        let format = try reader.byte()
        guard ShardWatch.checkpointFormats.contains(format) else {
            throw CodingError(offset: 0, expected: "checkpoint format 3 to 5, got \(format)")
        }
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: max(streamStateBytes, channelStateBytes), alignment: 64)
        defer { scratch.deallocate() }
        var seats = 0
        for _ in 0..<(try reader.count(max: StreamNumber.perBlock, "number of streams")) {
            let id = UInt32(try reader.count(max: Int(UInt32.max), "stream"))
            let flagsAt = reader.offset
            let flags = try reader.byte()
            guard flags < (format == 3 ? 2 : format == 4 ? 4 : 16) else {
                throw CodingError(offset: flagsAt, expected: "flags of format \(format)")
            }
            if flags & 2 != 0 { seats += 1 }
            let deadline = try reader.signed()
            let channels = try reader.count(max: 65_536, "number of channels")
            let local = slotOf(id)
            try copy(&reader, streamStateBytes, local.flatMap { isDryRun ? nil : slots[$0].state }, scratch, isStream: true)
            try restoreMoments(&reader, local.flatMap { isDryRun ? nil : $0 })
            for channel in 0..<channels {
                let target = local.flatMap { isDryRun || channel >= slots[$0].channels.count ? nil : slots[$0].channels[channel] }
                try copy(&reader, channelStateBytes, target, scratch, isStream: false)
            }
            try restoreSeat(&reader, flags & 2 != 0, local, isDryRun)
            for _ in 0..<(try reader.count(max: AlertKind.allCases.count, "number of episodes")) {
                let episode = try EpisodeCodec.decode(stream: id, &reader)
                if local != nil { episodes.append(episode) }
            }
            let kept = flags & 8 != 0 ? try BarCodec.decode(&reader) : nil
            if let local, !isDryRun {
                slots[local].isStale = flags & 1 != 0
                slots[local].isPaused = flags & 4 != 0
                bars[id] = kept?.bars
                slots[local].isMuffled = kept?.isMuffled ?? false
                deadlines[local] = deadline
            }
        }
        guard reader.isAtEnd else { throw CodingError(offset: reader.offset, expected: "the end") }
        guard format == 5 || (format == 3) == (seats == 0) else { throw CodingError(offset: 0, expected: "streams on models in format 4") }
        return episodes
    }

    /// Reads the blocks of a stream, whose number may have been another one, into the slot `local` (nil: skip them).
    private func restoreMoments(_ reader: inout ByteReader, _ local: Int?) throws(CodingError) {
        let bytes = try reader.blob()
        let stride = MemoryLayout<StreamMoment>.stride
        let stored = bytes.count / stride
        guard stored > 0, bytes.count % stride == 0 else {
            throw CodingError(offset: reader.offset, expected: "whole blocks of readings, got \(bytes.count) bytes")
        }
        guard let local, let state = slots[local].state else { return }
        let ring = moments(state)
        let newest = extra(local).pointee.readings > 0 ? (extra(local).pointee.readings - 1) / StreamMoment.readings : 0
        ring.update(repeating: StreamMoment(), count: historyBlocks)
        bytes.withUnsafeBytes { all in
            for age in 0..<UInt64(min(stored, historyBlocks)) where newest >= age {
                let block = newest - age
                ring[Int(block % UInt64(historyBlocks))] = all.loadUnaligned(
                    fromByteOffset: Int(block % UInt64(stored)) * stride, as: StreamMoment.self)
            }
        }
    }

    /// The stream's model as it was, also none. A model that the store does not have any more gives way to the built-in network.
    private mutating func restoreSeat(_ reader: inout ByteReader, _ isThere: Bool, _ local: Int?, _ isDryRun: Bool) throws(CodingError) {
        guard isThere else {
            if let local, !isDryRun { setSeat(local, nil) }
            return
        }
        let id = try reader.text()
        let label = try reader.text()
        let offset = reader.offset
        let bytes = try reader.blob()
        guard let local else { return }
        guard let seat = seat(id, label) else {
            // What the readouts learned belongs to features that nobody makes any more.
            if !isDryRun {
                setSeat(local, nil)
                release(Array(slots[local].channels.indices), local)
            }
            return
        }
        do { try seat.decode(bytes) } catch { throw CodingError(offset: offset, expected: error.expected) }
        seat.match(slots[local].names)
        if !isDryRun { setSeat(local, seat) }
    }

    private func copy(
        _ reader: inout ByteReader, _ count: Int, _ target: UnsafeMutableRawPointer?, _ scratch: UnsafeMutableRawPointer, isStream: Bool
    ) throws(CodingError) {
        let offset = reader.offset
        // What the dry run has found sane goes straight to its place.
        if let target { return try reader.copy(count, to: target) }
        try reader.copy(count, to: scratch)
        do {
            if isStream { try detector.validateStream(scratch) } else { try detector.validateChannel(scratch) }
        } catch {
            throw CodingError(offset: offset, expected: "sane state, got: \(error)")
        }
        guard isStream else { return }
        // What is counted on from here must not reach the end of its range.
        let extra = (scratch + streamExtraOffset).assumingMemoryBound(to: StreamExtra.self).pointee
        guard extra.readings < 1 << 60, extra.alerts < 1 << 31, extra.stuckChannel <= 1 << 16, extra.meanGap.isFinite,
            extra.longestGap.isFinite
        else {
            throw CodingError(offset: offset, expected: "sane counts of a stream")
        }
    }

    /// The state of a block of ours by its number over all shards, whether it changed or not.
    public mutating func snapshot(repaired number: Int64) -> BlockSnapshot? {
        let local = Int(number) / shards
        guard number >= 0, Int(number) % shards == shard, local < blocks.count else { return nil }
        blocks[local].pendingWrites = 2
        return snapshot(block: local)
    }

    /// Numbers of this shard's blocks over all shards.
    public var blockNumbers: [Int64] { blocks.indices.map { Int64($0 * shards + shard) } }

    /// Everything up to batch `sequence` is applied, also when its readings could not be read.
    public mutating func advance(to sequence: Int64) { self.sequence = max(self.sequence, sequence) }

    /// The latest fleet clock and the newest time of any stream (0 and Int64.min for none).
    public func clocks() -> (fleet: Int64, newest: Int64) {
        slots.indices.reduce(into: (fleet: 0, newest: Int64.min)) {
            guard slots[$1].state != nil else { return }
            $0 = (max($0.fleet, extra($1).pointee.lastClock), max($0.newest, extra($1).pointee.lastTime))
        }
    }

    /// All open alerts with their streams.
    public var openEpisodes: [Alert] {
        guard book.openCount > 0 else { return [] }
        return slots.filter { $0.state != nil }.flatMap { book.episodes(of: $0.id).map(\.alert) }
    }

    /// Makes sure that no id of an alert of `stream` up to `number` is given again. false: there was no need.
    public mutating func reserve(alertsThrough number: UInt32, of stream: UInt32) -> Bool {
        guard let local = slotOf(stream), extra(local).pointee.alerts < number else { return false }
        extra(local).pointee.alerts = number
        return true
    }

    /// Gives an open alert of a stream that learned anew the id it was told under, or forgets it if it was never told.
    public mutating func settle(_ alert: Alert, as id: String?) {
        guard var episode = book.episode(alert.stream, alert.kind) else { return }
        guard let id else { return book.forget(alert.stream, alert.kind) }
        episode.alert.id = id
        book.restore(episode)
    }

    /// Gives an open alert that is not stored under its id the next free id, and returns the step that tells it.
    public mutating func reissue(_ alert: Alert) -> AlertAction? {
        guard let local = slotOf(alert.stream), var episode = book.episode(alert.stream, alert.kind) else { return nil }
        let identity = identity(slots[local], extra(local))
        extra(local).pointee.alerts += 1
        episode.alert.id = identity.id
        book.restore(episode)
        return AlertAction(.opened, episode.alert, time: episode.alert.openedAt)
    }

    /// The newest times of every stream of the shard.
    public func times() -> [StreamTimes] {
        slots.indices.compactMap { local in
            let slot = slots[local]
            guard slot.state != nil, slot.id != 0 else { return nil }
            return StreamTimes(
                stream: slot.id, lastTime: extra(local).pointee.lastTime, lastClock: extra(local).pointee.lastClock,
                channelTimes: slot.channels.map { channelExtra($0).pointee.lastTime })
        }
    }
}
