import Alerting
import Detection
import Readings
import Testing

@testable import Watching

/// A small fleet with faults, cut into batches at will. Everything follows from the seed.
private struct Fleet {
    struct Reading {
        var stream: UInt32
        var time: Int64
        var clock: Int64
        var values: [Double]
    }
    var readings: [Reading] = []
    let channels = 2

    init(seed: UInt64, streams: Int, rounds: Int) {
        var noise = Noise(state: seed)
        var clock = FleetClock()
        for round in 0..<rounds {
            for stream in 1...streams {
                if stream % 5 == 2, (rounds * 6 / 10..<rounds * 8 / 10).contains(round) { continue }
                let time = 1_000_000_000_000 + Int64(round) * 10_000_000_000 + Int64(stream)
                let level = round > rounds / 2 && (round / 40 + stream) % 4 == 0 ? 15.0 : 0
                let stuck = stream % 5 == 3 && round > rounds * 2 / 3
                let first = 20 + level + noise.unit() + (noise.below(150) == 0 ? 40 : 0)
                clock.observe(time)
                readings.append(
                    Reading(stream: UInt32(stream), time: time, clock: clock.now, values: [first, stuck ? 7 : 50 + noise.unit()]))
            }
        }
    }

    /// The batches of the readings cut where `cut` says; streams and channels are noted where they appear first.
    func batches(shards: Int = 1, cut: (Int) -> Bool) -> [ReadingBatch] {
        var batches: [ReadingBatch] = []
        var open = [ReadingBatch?](repeating: nil, count: shards)
        var known: Set<UInt32> = []
        func flush(_ clock: Int64) {
            for shard in 0..<shards {
                guard let batch = open[shard] else { continue }
                batch.clock = clock
                batch.sequence = Int64(batches.count) + 1
                batches.append(batch)
                open[shard] = nil
            }
        }
        for (index, reading) in readings.enumerated() {
            let shard = StreamNumber.shard(of: reading.stream, shards: shards)
            let batch = open[shard] ?? ReadingBatch(entryCapacity: 4096, fieldCapacity: 8192)
            (batch.shard, batch.shards) = (shard, shards)
            open[shard] = batch
            if known.insert(reading.stream).inserted {
                batch.notes.append(.stream(id: reading.stream, key: Array("s\(reading.stream)".utf8)))
                for channel in 0..<channels {
                    batch.notes.append(.channel(stream: reading.stream, index: UInt16(channel), name: Array("c\(channel)".utf8)))
                }
            }
            for (channel, value) in reading.values.enumerated() { batch.append(channel: UInt16(channel), value: value) }
            batch.endReading(stream: reading.stream, time: reading.time, clock: reading.clock)
            if cut(index) || index == readings.count - 1 { flush(reading.clock) }
        }
        return batches
    }
}

struct Noise {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }
    /// -1 to 1 with a hump.
    mutating func unit() -> Double { (Double(below(1000)) + Double(below(1000)) - 1000) / 1000 }
}

private let settings = WatchSettings(
    profile: .light, rules: EpisodeRules(closeAfter: 300_000_000_000), staleMin: 60_000_000_000)

private func told(_ actions: [AlertAction]) -> [String] {
    actions.map { "\($0.alert.id) \($0.transition) \($0.time) \($0.alert)" }.sorted()
}

private func run(_ batches: [ReadingBatch], shard: Int = 0, shards: Int = 1) -> (digest: UInt32, actions: [String], kinds: Set<AlertKind>) {
    var watch = ShardWatch(settings: settings, shard: shard, shards: shards, channelsMax: 4)
    var actions: [AlertAction] = []
    for batch in batches where batch.shard == shard { watch.apply(batch, actions: &actions) }
    return (watch.digest(), told(actions), Set(actions.map(\.alert.kind)))
}

@Suite struct ReplayLaws {
    @Test(
        "any cut of the same readings into batches gives the same state, bit for bit, and the same alerts",
        arguments: [1, 2, 3] as [UInt64])
    func cuts(seed: UInt64) {
        let fleet = Fleet(seed: seed, streams: 6, rounds: 500)
        let whole = run(fleet.batches { $0 % 500 == 499 })
        #expect(whole.kinds.isSuperset(of: [.anomaly, .stale]), "a fleet without alerts proves nothing: \(whole.kinds)")
        var noise = Noise(state: seed &+ 99)
        for size in [1, 7, 60] {
            let other = run(fleet.batches { _ in noise.below(size) == 0 })
            #expect(other.digest == whole.digest)
            #expect(other.actions == whole.actions)
        }
        // A batch in portions is the same batch, and every reading of it is told of once.
        var watch = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4)
        var actions: [AlertAction] = []
        for batch in fleet.batches(cut: { $0 % 500 == 499 }) {
            var portions: [Int] = []
            watch.apply(batch, actions: &actions, portion: 32) { portions.append($0) }
            #expect(portions.reduce(0, +) == batch.entryCount && portions.dropLast().allSatisfy { $0 == 32 } && portions.last ?? 1 > 0)
        }
        #expect(watch.digest() == whole.digest && told(actions) == whole.actions)
    }

    @Test(
        "time to spare changes nothing: streams settled between any two batches, evicted and added meanwhile, give the same state and alerts",
        arguments: 1...6 as ClosedRange<UInt64>)
    func settling(seed: UInt64) {
        let fleet = Fleet(seed: seed, streams: 40, rounds: 160)
        let batches = fleet.batches { $0 % 23 == 0 }
        // Two streams leave half-way and come back under their old number, into the same place.
        let evicted = batches[batches.count / 2]
        for id in [3, 33] as [UInt32] {
            evicted.notes.insert(.evicted(stream: id), at: 0)
            evicted.notes.append(.stream(id: id, key: Array("s\(id)".utf8)))
            for channel in 0..<fleet.channels {
                evicted.notes.append(.channel(stream: id, index: UInt16(channel), name: Array("c\(channel)".utf8)))
            }
        }
        let want = run(batches)
        var noise = Noise(state: seed)
        var watch = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4)
        var actions: [AlertAction] = []
        var settled = 0
        for batch in batches {
            watch.apply(batch, actions: &actions)
            while watch.hasDebtors, noise.below(3) > 0 {
                watch.settle(1 + noise.below(4))
                settled += 1
            }
        }
        #expect(settled > 50)
        #expect(watch.digest() == want.digest)
        #expect(told(actions) == want.actions)
        watch.settle(.max)
        let isOwing = watch.hasDebtors
        #expect(!isOwing && watch.digest() == want.digest)
    }

    @Test("checkpoints at any batch plus replay = never stopped, also when the newer generation is damaged", arguments: 1...12)
    func restore(seed: UInt64) throws {
        var noise = Noise(state: seed)
        let fleet = Fleet(seed: 7, streams: 40, rounds: 160)
        let batches = fleet.batches { index in index % 37 == 5 }
        let want = run(batches)
        var watch = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4)
        var stored: [Int64: [BlockSnapshot]] = [:]
        var needed: Int64 = 0
        var before: [AlertAction] = []
        let end = batches.count / 2 + noise.below(batches.count / 2)
        for batch in batches[..<end] {
            watch.apply(batch, actions: &before)
            for block in 0..<watch.blockCount where noise.below(20) == 0 {
                if let snapshot = watch.snapshot(block: block) { stored[snapshot.block, default: []].append(snapshot) }
                needed = watch.journalNeededAfter
            }
        }
        // The start after a kill: streams from their table, one of the two newest generations, then the journal as far as it reaches.
        var again = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4)
        let known = Set(batches[..<end].flatMap { batch in (0..<batch.entryCount).map { batch.entries[$0].stream } })
        again.add(stream: 0, key: "rnn-watchd", sequence: 0)
        for id in known.sorted() {
            again.add(stream: id, key: "s\(id)", sequence: 0)
            for channel in 0..<fleet.channels { again.addChannel(of: id, "c\(channel)") }
        }
        for generations in stored.values {
            let back = generations.count > 1 && noise.below(2) == 0 ? 2 : 1
            let older = generations.count > back ? generations[generations.count - back - 1].sequence : -1
            try again.restore(generations[generations.count - back], older: back == 1 ? older : -1)
        }
        var discarded: [AlertAction] = []
        for batch in batches[..<end] where batch.sequence > needed { again.apply(batch, isReplay: true, actions: &discarded) }
        var after: [AlertAction] = []
        for batch in batches[end...] { again.apply(batch, actions: &after) }
        var reference = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4)
        reference.add(stream: 0, key: "rnn-watchd", sequence: 0)
        var all: [AlertAction] = []
        for batch in batches { reference.apply(batch, actions: &all) }
        #expect(again.digest() == reference.digest())
        #expect(told(before + after) == want.actions)
    }

    @Test(
        "a journal of another number of shards is replayed to the same alerts and the same state of every stream",
        arguments: [(1, 3), (2, 1), (3, 2)])
    func shards(from: Int, to: Int) {
        let fleet = Fleet(seed: 11, streams: 70, rounds: 120)
        let batches = fleet.batches(shards: from) { $0 % 61 == 0 }
        func blocks(_ watches: [(Int, Int)], isReplay: Bool) -> [Int64: [UInt8]] {
            var payloads: [Int64: [UInt8]] = [:]
            for (shard, count) in watches {
                var watch = ShardWatch(settings: settings, shard: shard, shards: count, channelsMax: 4)
                var actions: [AlertAction] = []
                for batch in batches where isReplay || batch.shard == shard { watch.apply(batch, isReplay: isReplay, actions: &actions) }
                for block in 0..<watch.blockCount {
                    if let snapshot = watch.snapshot(block: block) { payloads[snapshot.block] = snapshot.payload }
                }
            }
            return payloads
        }
        let live = blocks((0..<from).map { ($0, from) }, isReplay: false)
        let replayed = blocks((0..<to).map { ($0, to) }, isReplay: true)
        #expect(live.count == 5)
        #expect(live == replayed)
    }

    @Test("a damaged checkpoint is refused whole: no stream of the block is half restored", arguments: 1...40)
    func damagedPayload(seed: UInt64) {
        var noise = Noise(state: seed)
        let batches = Fleet(seed: 5, streams: 6, rounds: 120).batches { $0 % 50 == 0 }
        var watch = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4)
        var actions: [AlertAction] = []
        for batch in batches { watch.apply(batch, actions: &actions) }
        guard var snapshot = watch.snapshot(block: 0) else { return #expect(Bool(false), "no snapshot") }
        var fresh = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4)
        for id in 1...6 {
            fresh.add(stream: UInt32(id), key: "s\(id)", sequence: 0)
            for channel in 0..<2 { fresh.addChannel(of: UInt32(id), "c\(channel)") }
        }
        let before = fresh.digest()
        if noise.below(2) == 0 {
            snapshot.payload.removeLast(1 + noise.below(snapshot.payload.count - 1))
        } else {
            // The head is what the checksum protects less well than the validators: its first bytes.
            snapshot.payload[noise.below(2)] ^= UInt8(1 + noise.below(255))
        }
        #expect(throws: CodingError.self) { try fresh.restore(snapshot, older: -1) }
        #expect(fresh.digest() == before)
    }

    @Test("a pause of the whole fleet, of a minute or a week, releases no alert of silence", arguments: [70, 600, 604_800] as [Int64])
    func pause(seconds: Int64) {
        var clock = FleetClock()
        var watch = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4)
        var actions: [AlertAction] = []
        var noise = Noise(state: 3)
        var sequence: Int64 = 0
        func second(_ time: Int64) {
            for stream in 1...10 {
                // One batch a reading: the worst case, the clock is told before the others could speak.
                let batch = ReadingBatch(entryCapacity: 4, fieldCapacity: 8)
                sequence += 1
                batch.sequence = sequence
                if time == 0 {
                    batch.notes = [
                        .stream(id: UInt32(stream), key: Array("s\(stream)".utf8)), .channel(stream: UInt32(stream), index: 0, name: [99]),
                    ]
                }
                let at = (1_000 + time) * 1_000_000_000 + Int64(stream) * 1_000_000
                clock.observe(at)
                batch.append(channel: 0, value: noise.unit())
                batch.endReading(stream: UInt32(stream), time: at, clock: clock.now)
                batch.clock = clock.now
                watch.apply(batch, actions: &actions)
            }
        }
        for time in 0..<120 { second(Int64(time)) }
        for time in 120..<150 { second(Int64(time) + seconds) }
        #expect(!actions.contains { $0.alert.kind == .stale }, "\(actions.filter { $0.alert.kind == .stale }.count) alerts of silence")
    }
}
