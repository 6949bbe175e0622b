import Readings

/// What a person does that changes streams or open alerts. `key`: the stream's canonical key; an act about a stream that has another key by
/// now, or none, does nothing.
public enum IntakeAct: Sendable, Equatable {
    case forget(stream: UInt32, key: [UInt8])
    case reset(stream: UInt32, key: [UInt8])
    /// A stream that has the new key makes room.
    case rename(stream: UInt32, key: [UInt8], to: [UInt8])
    /// A note as it is for the shard of a stream; 0: the daemon itself.
    case note(PersonalNote, stream: UInt32)
    /// A note for every shard.
    case all(PersonalNote)
}

extension Intake {
    /// Puts acts into the log of batches, together, at once.
    /// - Parameter number: acknowledged when they are stored; 0: nobody waits.
    public mutating func act(_ acts: [IntakeAct], number: Int64, now: Int64) {
        settleOrder(before: acts, now)
        // Many that go at once go in one pass over the table.
        let gone = acts.compactMap { act -> UInt32? in
            if case .forget(let stream, let key) = act, isKnown(stream, key) { stream } else { nil }
        }
        forget(gone)
        for act in acts { self.act(act) }
        flush(now: now, acknowledgements: number > 0 ? [Acknowledgement(act: number)] : [])
    }

    private mutating func act(_ act: IntakeAct) {
        switch act {
        case .forget: break
        case .reset(let stream, let key): if isKnown(stream, key) { note(.person(.reset(stream: stream)), stream: stream) }
        case .rename(let stream, let key, let new):
            guard isKnown(stream, key), key != new else { return }
            let other = new.withUnsafeBufferPointer { table.find($0) }
            if other != 0, other != stream { forget([other]) }
            new.withUnsafeBufferPointer { table.rename(stream, canonical: $0) }
            note(.person(.rename(stream: stream, key: new)), stream: stream)
            let text = String(decoding: new, as: UTF8.self)
            leaveBudget(stream)
            table.infos[Int(stream)].isIgnored = isIgnored(text)
            table.infos[Int(stream)].zone = zone(text)
            watchValues(of: stream, text)
            watchOrder(of: stream, text)
            tellBudget(of: stream, group: joinBudget(stream, text))
        case .note(let note, let stream): self.note(.person(note), stream: stream)
        case .all(let note): for shard in 0..<limits.shards { self.note(.person(note), shard: shard) }
        }
    }

    /// Readings that wait for late ones were taken before the acts and go before them.
    private mutating func settleOrder(before acts: [IntakeAct], _ now: Int64) {
        guard hasHeld else { return }
        for act in acts {
            switch act {
            case .forget(let stream, let key), .reset(let stream, let key):
                if isKnown(stream, key) { settleOrder(of: stream, now, all: true) }
            case .rename(let stream, let key, let new):
                guard isKnown(stream, key) else { continue }
                let other = new.withUnsafeBufferPointer { table.find($0) }
                for stream in [stream, other] { settleOrder(of: stream, now, all: true) }
            case .note, .all: continue
            }
        }
        // Notes of a batch stand before its readings.
        flush(now: now, isGroupEnd: false)
    }

    private mutating func isKnown(_ stream: UInt32, _ key: [UInt8]) -> Bool {
        stream != 0 && key.withUnsafeBufferPointer { table.find($0) } == stream
    }

    private mutating func forget(_ streams: [UInt32]) {
        guard !streams.isEmpty else { return }
        for stream in streams {
            leaveBudget(stream)
            losses.remove(stream)
            checked.remove(stream)
            late.remove(stream)
        }
        table.remove(Set(streams))
        for stream in streams { note(.evicted(stream: stream), stream: stream) }
    }

    /// Ends what is open of streams that the configuration ignores. `open`: streams with open alerts.
    public mutating func settleIgnored(among open: [UInt32], now: Int64) {
        let ignored = open.filter { $0 != 0 && $0 <= table.lastID && table.infos[Int($0)].isPresent && table.infos[Int($0)].isIgnored }
        guard !ignored.isEmpty else { return }
        for stream in ignored { note(.person(.settle(stream: stream)), stream: stream) }
        flush(now: now)
    }
}
