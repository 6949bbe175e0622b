import Alerting
import Detection
import ModelFiles
import Models
import Readings
import RecurrentNetwork
import Testing

@testable import Watching

/// Two-channel streams with a daily wave, noise and a fault; some readings lack a channel. Everything follows from the seed.
private struct Plant {
    struct Reading {
        var stream: UInt32
        var time: Int64
        var clock: Int64
        var values: [(channel: UInt16, value: Double)]
    }
    var readings: [Reading] = []
    let streams: Int

    init(seed: UInt64, streams: Int, rounds: Int) {
        var noise = Noise(state: seed)
        var clock = FleetClock()
        self.streams = streams
        for round in 0..<rounds {
            for stream in 1...streams {
                let time = 1_000_000_000_000 + Int64(round) * 10_000_000_000 + Int64(stream)
                clock.observe(time)
                let phase = Double(round % 50) - 25
                let fault = round > rounds * 3 / 4 && (round / 30 + stream) % 5 == 0 ? 12.0 : 0
                var values: [(channel: UInt16, value: Double)] = [(0, 20 + abs(phase) / 4 + noise.unit() / 4 + fault)]
                if noise.below(9) != 0 { values.append((1, 50 - abs(phase) / 2 + noise.unit() / 4)) }
                readings.append(Reading(stream: UInt32(stream), time: time, clock: clock.now, values: values))
            }
        }
    }

    /// Batches of at most `size` readings; before reading number n the notes of `notes` with that number.
    func batches(shards: Int = 1, size: Int, notes: [Int: [ModelAssignment]]) -> [ReadingBatch] {
        var batches: [ReadingBatch] = []
        var open = [ReadingBatch?](repeating: nil, count: shards)
        var known: Set<UInt32> = []
        var lastClock: Int64 = 0
        func batch(_ shard: Int) -> ReadingBatch {
            let batch = open[shard] ?? ReadingBatch(entryCapacity: 4096, fieldCapacity: 8192)
            (batch.shard, batch.shards) = (shard, shards)
            open[shard] = batch
            return batch
        }
        func flush() {
            for shard in 0..<shards {
                guard let batch = open[shard] else { continue }
                batch.clock = lastClock
                batch.sequence = Int64(batches.count) + 1
                batches.append(batch)
                open[shard] = nil
            }
        }
        for (index, reading) in readings.enumerated() {
            if let models = notes[index] {
                flush()
                for shard in 0..<shards { batch(shard).notes.append(.models(models)) }
                flush()
            }
            let batch = batch(StreamNumber.shard(of: reading.stream, shards: shards))
            if known.insert(reading.stream).inserted {
                batch.notes.append(.stream(id: reading.stream, key: Array("s\(reading.stream)".utf8)))
                for channel in 0..<2 {
                    batch.notes.append(.channel(stream: reading.stream, index: UInt16(channel), name: Array("c\(channel)".utf8)))
                }
            }
            for (channel, value) in reading.values { batch.append(channel: channel, value: value) }
            batch.endReading(stream: reading.stream, time: reading.time, clock: reading.clock)
            lastClock = reading.clock
            if index % size == size - 1 || index == readings.count - 1 { flush() }
        }
        return batches
    }
}

/// A model of the plant's channels with random weights: what it predicts does not matter to the laws.
private func model(_ cell: CellKind, seed: UInt64, layers: Int = 1, channels: [String]? = ["c1", "c0"]) throws -> WatchModel {
    let network = try RecurrentModel(cell: cell, inputSize: 2, hiddenSize: 20, layerCount: layers, outputSize: 2, seed: seed)
    let scale = ModelCard.Scale(mean: [37, 23], deviation: [7, 3])
    let metadata = channels.map {
        [
            ModelCard.metadataKey: ModelCard(
                channels: $0, horizon: 1, loss: .meanSquared, streams: [("s1", scale), ("s3", scale)], pooled: scale
            )
            .json
        ]
    }
    let bytes = Safetensors.writeModel(network, metadata: metadata ?? [:])
    return try WatchModel(
        id: Digest.sha256(bytes), label: "m@\(seed)", document: try ModelDocument(bytes: bytes, name: "m.safetensors") { _ in [] })
}

private struct Shelf {
    let models: [WatchModel]
    func settings(_ profile: DetectorProfile = .light, without: String = "") -> WatchSettings {
        var settings = WatchSettings(profile: profile, rules: EpisodeRules(closeAfter: 300_000_000_000), staleMin: 60_000_000_000)
        let models = models.filter { $0.label != without }
        settings.model = { id in models.first { $0.id == id } }
        settings.matches = { $0 == "*" || $0 == $1 }
        return settings
    }
    func assign(_ match: String, _ index: Int) -> ModelAssignment {
        ModelAssignment(match: match, model: models[index].id, label: models[index].label)
    }
}

private func told(_ actions: [AlertAction]) -> [String] {
    actions.map { "\($0.alert.id) \($0.transition) \($0.time) \($0.alert)" }.sorted()
}

@Suite struct ModelLaws {
    private func shelf() throws -> Shelf {
        Shelf(models: [try model(.gru, seed: 1), try model(.lstm, seed: 2, layers: 2), try model(.elman, seed: 3)])
    }

    private func course(_ shelf: Shelf) -> [Int: [ModelAssignment]] {
        [
            300: [shelf.assign("s1", 0), shelf.assign("s2", 0)], 900: [shelf.assign("s1", 1), shelf.assign("*", 2)],
            1500: [shelf.assign("s2", 1)], 1700: [shelf.assign("*", 0)],
        ]
    }

    @Test("readings cut at will around activations give the same state, bit for bit, and the same alerts", arguments: [1, 7, 211])
    func cuts(size: Int) throws {
        let (shelf, plant) = (try shelf(), Plant(seed: 4, streams: 5, rounds: 500))
        func run(_ size: Int) -> (UInt32, [String]) {
            var watch = ShardWatch(settings: shelf.settings(), shard: 0, shards: 1, channelsMax: 4)
            var actions: [AlertAction] = []
            for batch in plant.batches(size: size, notes: course(shelf)) { watch.apply(batch, actions: &actions) }
            #expect(watch.modelUse()[shelf.models[0].id]?.bound == 5)
            return (watch.digest(), told(actions))
        }
        let (whole, other) = (run(500), run(size))
        #expect(whole.0 == other.0)
        #expect(whole.1 == other.1)
        #expect(!whole.1.isEmpty, "a plant without alerts proves nothing")
    }

    @Test("checkpoints at any batch plus replay across activations = never stopped", arguments: 1...12)
    func restore(seed: UInt64) throws {
        var noise = Noise(state: seed)
        let (shelf, plant) = (try shelf(), Plant(seed: 9, streams: 20, rounds: 160))
        let notes = [
            400: [shelf.assign("*", 0)], 2100: [shelf.assign("s3", 1), shelf.assign("*", 2)],
            2600: [shelf.assign("s7", 1), shelf.assign("s3", 0)],
        ]
        let batches = plant.batches(size: 37, notes: notes)
        var watch = ShardWatch(settings: shelf.settings(), shard: 0, shards: 1, channelsMax: 4)
        var stored: [Int64: [BlockSnapshot]] = [:]
        var needed: Int64 = 0
        var before: [AlertAction] = []
        let end = batches.count / 3 + noise.below(batches.count / 2)
        for batch in batches[..<end] {
            watch.apply(batch, actions: &before)
            for block in 0..<watch.blockCount where noise.below(15) == 0 {
                if let snapshot = watch.snapshot(block: block) { stored[snapshot.block, default: []].append(snapshot) }
                needed = watch.journalNeededAfter
            }
        }
        var again = ShardWatch(settings: shelf.settings(), shard: 0, shards: 1, channelsMax: 4)
        // What the store keeps beside the journal: the newest list of models before it.
        let past = batches[..<end].filter { $0.sequence <= needed }.flatMap(\.notes).compactMap {
            if case .models(let models) = $0 { models } else { nil }
        }
        again.begin(assignments: past.last ?? [])
        let known = Set(batches[..<end].flatMap { batch in (0..<batch.entryCount).map { batch.entries[$0].stream } })
        for id in known.sorted() {
            again.add(stream: id, key: "s\(id)", sequence: 0)
            for channel in 0..<2 { again.addChannel(of: id, "c\(channel)") }
        }
        for generations in stored.values {
            let back = generations.count > 1 && noise.below(2) == 0 ? 2 : 1
            let older = generations.count > back ? generations[generations.count - back - 1].sequence : -1
            try again.restore(generations[generations.count - back], older: back == 1 ? older : -1)
        }
        var discarded: [AlertAction] = []
        for batch in batches[..<end] where batch.sequence > needed { again.apply(batch, isReplay: true, actions: &discarded) }
        #expect(again.digest() == watch.digest())
        var after: [AlertAction] = []
        var (mine, theirs): ([AlertAction], [AlertAction]) = ([], [])
        for batch in batches[end...] {
            again.apply(batch, actions: &mine)
            watch.apply(batch, actions: &theirs)
        }
        after = mine
        #expect(again.digest() == watch.digest())
        #expect(told(after) == told(theirs))
    }

    @Test("another number of shards replays to the same state of every stream", arguments: [(1, 3), (2, 1), (3, 2)])
    func shards(from: Int, to: Int) throws {
        let (shelf, plant) = (try shelf(), Plant(seed: 11, streams: 40, rounds: 150))
        let batches = plant.batches(
            shards: from, size: 61, notes: [100: [shelf.assign("*", 0)], 4700: [shelf.assign("s9", 1), shelf.assign("*", 2)]])
        func blocks(_ count: Int, isReplay: Bool) -> [Int64: [UInt8]] {
            var payloads: [Int64: [UInt8]] = [:]
            for shard in 0..<count {
                var watch = ShardWatch(settings: shelf.settings(), shard: shard, shards: count, channelsMax: 4)
                var actions: [AlertAction] = []
                for batch in batches where isReplay || batch.shard == shard { watch.apply(batch, isReplay: isReplay, actions: &actions) }
                for block in 0..<watch.blockCount {
                    if let snapshot = watch.snapshot(block: block) { payloads[snapshot.block] = snapshot.payload }
                }
            }
            return payloads
        }
        let live = blocks(from, isReplay: false)
        #expect(live.count == 3)
        #expect(live == blocks(to, isReplay: true))
    }

    @Test("streams on models do not change others, and streams without models are as if there were none")
    func neighbours() throws {
        let (shelf, plant) = (try shelf(), Plant(seed: 4, streams: 5, rounds: 400))
        func states(_ notes: [Int: [ModelAssignment]]) -> [String] {
            var watch = ShardWatch(settings: shelf.settings(), shard: 0, shards: 1, channelsMax: 4)
            var actions: [AlertAction] = []
            for batch in plant.batches(size: 40, notes: notes) { watch.apply(batch, actions: &actions) }
            return (1...5).map { "\(watch.streamDetail(key: "s\($0)", losses: [:], timeText: { "\($0)" })?.compact ?? "")" }
        }
        let (without, with) = (states([:]), states([700: [shelf.assign("s2", 0)]]))
        #expect(without[1] != with[1])
        for stream in [0, 2, 3, 4] { #expect(without[stream] == with[stream]) }
    }

    @Test("a model that wants a channel the stream does not have waits and says so; the stream is watched meanwhile")
    func missingChannel() throws {
        let odd = try model(.gru, seed: 5, channels: ["c0", "pressure"])
        let shelf = Shelf(models: [odd])
        let plant = Plant(seed: 4, streams: 2, rounds: 400)
        func run(_ notes: [Int: [ModelAssignment]]) -> (String, [String]) {
            var watch = ShardWatch(settings: shelf.settings(), shard: 0, shards: 1, channelsMax: 4)
            var actions: [AlertAction] = []
            for batch in plant.batches(size: 40, notes: notes) { watch.apply(batch, actions: &actions) }
            return (watch.streamDetail(key: "s1", losses: [:], timeText: { "\($0)" })?["model_state"]?.text ?? "none", told(actions))
        }
        let waiting = run([200: [shelf.assign("*", 0)]])
        #expect(waiting.0 == "waits: the stream has no channel pressure")
        #expect(waiting.1 == run([:]).1)
    }

    @Test("a model that is not stored any more gives way to the built-in network, and that is told")
    func lostModel() throws {
        let (shelf, plant) = (try shelf(), Plant(seed: 4, streams: 3, rounds: 300))
        let batches = plant.batches(size: 40, notes: [300: [shelf.assign("*", 0)]])
        var watch = ShardWatch(settings: shelf.settings(), shard: 0, shards: 1, channelsMax: 4)
        var actions: [AlertAction] = []
        for batch in batches { watch.apply(batch, actions: &actions) }
        guard let snapshot = watch.snapshot(block: 0) else { return #expect(Bool(false), "no snapshot") }
        var again = ShardWatch(settings: shelf.settings(without: "m@1"), shard: 0, shards: 1, channelsMax: 4)
        for id in 1...3 {
            again.add(stream: UInt32(id), key: "s\(id)", sequence: 0)
            for channel in 0..<2 { again.addChannel(of: UInt32(id), "c\(channel)") }
        }
        try again.restore(snapshot, older: -1)
        #expect(again.missingModels == ["m@1"])
        #expect(again.modelUse().isEmpty)
        for batch in batches { again.apply(batch, actions: &actions) }
    }

    @Test("damage in a model's state is refused whole")
    func damage() throws {
        let (shelf, plant) = (try shelf(), Plant(seed: 4, streams: 1, rounds: 200))
        var watch = ShardWatch(settings: shelf.settings(), shard: 0, shards: 1, channelsMax: 4)
        var actions: [AlertAction] = []
        for batch in plant.batches(size: 40, notes: [120: [shelf.assign("*", 0)]]) { watch.apply(batch, actions: &actions) }
        guard let snapshot = watch.snapshot(block: 0) else { return #expect(Bool(false), "no snapshot") }
        guard let seat = watch.slots.compactMap(\.seat).first else { return #expect(Bool(false), "no stream on a model") }
        var inside = ByteWriter()
        seat.encode(&inside)
        let at = try #require((0..<snapshot.payload.count).first { snapshot.payload[$0...].starts(with: inside.bytes) })
        // Any float of the hidden state that is no number.
        for place in [at + inside.bytes.count - 4, at + inside.bytes.count - 64] {
            var bad = snapshot
            for i in 0..<4 { bad.payload[place + i] = 255 }
            var fresh = ShardWatch(settings: shelf.settings(), shard: 0, shards: 1, channelsMax: 4)
            fresh.add(stream: 1, key: "s1", sequence: 0)
            for channel in 0..<2 { fresh.addChannel(of: 1, "c\(channel)") }
            let before = fresh.digest()
            #expect(throws: CodingError.self) { try fresh.restore(bad, older: -1) }
            #expect(fresh.digest() == before)
        }
    }
}
