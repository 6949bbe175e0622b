import TimeSeries
import Testing

@testable import Detection

/// Two channels with everything that happens: noise, season, spike, step, absence, a gap in time, values that are not finite.
private struct Story {
    var rows: [[Double?]] = []
    var seconds: [Double] = []

    init(rows n: Int, seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var time = 1_700_000_000.0
        for i in 0..<n {
            let a = 5 * sine(Double(i) / 9) + random.gaussian() + (i == n / 2 ? 40 : 0)
            let b = (random.uniform() * 4).rounded() + (i > 2 * n / 3 ? 9 : 0)
            rows.append([i % 37 == 20 ? .nan : a, i % 50 < 3 && i > 0 ? nil : b])
            time += i == n / 3 ? 90_000 : 300
            seconds.append(time)
        }
    }
}

private let profiles = DetectorProfile.all

@Suite("Laws every profile obeys")
struct LawTests {
    private func bench(_ profile: DetectorProfile, _ channels: Int = 2) -> Bench<LeakyReservoir<Float>> {
        Bench(floatEngine(profile), channels: channels)
    }

    private func play(_ story: Story, _ bench: Bench<LeakyReservoir<Float>>, _ range: Range<Int>) -> [Double] {
        range.map { bench.step(story.rows[$0], seconds: story.seconds[$0]) }
    }

    @Test(
        "Stopping anywhere, copying the bytes to other memory and another detector, and going on gives the same bits as never stopping",
        arguments: profiles.indices)
    func restore(index: Int) {
        let story = Story(rows: 420, seed: 1)
        let whole = bench(profiles[index])
        let expected = play(story, whole, 0..<420)
        var bytes = bench(profiles[index]).snapshot()
        var scores: [Double] = []
        for (low, high) in [(0, 1), (1, 7), (7, 130), (130, 131), (131, 300), (300, 420)] {
            let part = bench(profiles[index])
            part.restore(bytes)
            scores += play(story, part, low..<high)
            bytes = part.snapshot()
        }
        #expect(scores == expected)
        #expect(bytes == whole.snapshot())
    }

    @Test("What a reading leaves behind may be done at any moment before the next one: same bits", arguments: [1, 2, 3] as [UInt64])
    func settling(seed: UInt64) {
        let story = Story(rows: 700, seed: seed)
        for profile in profiles {
            let (never, sometimes) = (bench(profile), bench(profile))
            var random = SeededRandom(seed: seed &+ 7)
            var left = 0
            for row in 0..<700 {
                #expect(
                    never.step(story.rows[row], seconds: story.seconds[row]) == sometimes.step(story.rows[row], seconds: story.seconds[row])
                )
                let isOwing = never.owes
                if isOwing { left += 1 }
                #expect(sometimes.owes == isOwing)
                if random.uniform() < 0.5 {
                    sometimes.settle()
                    #expect(!sometimes.owes)
                }
            }
            #expect(left == (profile.rule == .combinedRanks ? 700 / 25 : 0))
            never.settle()
            sometimes.settle()
            #expect(never.snapshot() == sometimes.snapshot())
        }
    }

    @Test("A state that owes more than a block is refused")
    func owedBlocks() throws {
        let bench = bench(.standard)
        _ = play(Story(rows: 30, seed: 1), bench, 0..<30)
        let scalars = bench.stream.assumingMemoryBound(to: StreamScalars<Float>.self)
        scalars.pointee.owedHalves = 2
        try bench.engine.validateStream(bench.stream)
        scalars.pointee.owedHalves = 3
        #expect(throws: StateError.outOfRange("block owed")) { try bench.engine.validateStream(bench.stream) }
    }

    @Test("Streams that share a detector do not see each other", arguments: profiles.indices)
    func interleaving(index: Int) {
        let stories = [Story(rows: 200, seed: 2), Story(rows: 200, seed: 3)]
        let alone = stories.map { story -> [UInt8] in
            let b = bench(profiles[index])
            _ = play(story, b, 0..<200)
            return b.snapshot()
        }
        // One bench, its memory exchanged before every reading.
        let shared = bench(profiles[index])
        var bytes = [shared.snapshot(), shared.snapshot()]
        var random = SeededRandom(seed: 5)
        var at = [0, 0]
        while at[0] < 200 || at[1] < 200 {
            let k = at[0] == 200 ? 1 : (at[1] == 200 ? 0 : Int(random.next() % 2))
            shared.restore(bytes[k])
            _ = play(stories[k], shared, at[k]..<(at[k] + 1))
            bytes[k] = shared.snapshot()
            at[k] += 1
        }
        #expect(bytes == alone)
    }

    @Test("A score never depends on the future", arguments: profiles.indices)
    func future(index: Int) {
        let story = Story(rows: 400, seed: 4)
        var changed = story
        for i in 340..<400 { changed.rows[i] = [1e6 * Double(i), -7] }
        let a = play(story, bench(profiles[index]), 0..<400)
        let b = play(changed, bench(profiles[index]), 0..<400)
        #expect(a[..<340] == b[..<340])
        #expect(a[340...] != b[340...])
    }

    @Test("A value that is not finite leaves the channel's bytes as they were", arguments: profiles.indices)
    func notFinite(index: Int) {
        let story = Story(rows: 150, seed: 6)
        for poison in [Double.nan, .infinity, -.infinity, .signalingNaN] {
            let b = bench(profiles[index])
            _ = play(story, b, 0..<150)
            let before = b.snapshot()
            b.step([poison, poison], seconds: story.seconds[149] + 300)
            let channelsAt = b.engine.layout.streamBytes
            #expect(b.snapshot()[channelsAt...] == before[channelsAt...])
            #expect(b.verdict.score == 0 && !b.verdict.isAlarm)
        }
    }

    @Test("Scores, expected values and all state stay finite for every finite input, however extreme", arguments: profiles.indices)
    func extremes(index: Int) throws {
        var random = SeededRandom(seed: 8)
        let b = bench(profiles[index])
        let hard = [1e300, -1e300, 5e-324, -5e-324, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0, 1e-300, 1e100, 1]
        for i in 0..<1500 {
            let calm = (400..<800).contains(i)
            let a = calm ? random.gaussian() : hard[Int(random.next() % UInt64(hard.count))]
            let score = b.step([a, i % 2 == 0 ? 1e300 : 5e-324], seconds: Double(i) * 60)
            try #require(score.isFinite && score >= 0, "reading \(i)")
            for c in b.verdict.channels {
                try #require(
                    c.expected.isFinite && c.bandLow.isFinite && c.bandHigh.isFinite && c.error.isFinite && c.contribution.isFinite,
                    "reading \(i)")
            }
            for e in Evidence.allCases { try #require(b.verdict[e].contribution.isFinite && b.verdict[e].statistic.isFinite) }
        }
        try b.engine.validateStream(b.stream)
        for c in b.channels { try b.engine.validateChannel(c) }
    }

    @Test("No alarm in warm-up, whatever comes; its progress rises to 1 and then stays there", arguments: profiles.indices)
    func warmUp(index: Int) {
        var random = SeededRandom(seed: 9)
        let b = bench(profiles[index])
        var last = -1.0
        var ended: Int?
        for i in 0..<400 {
            b.step([random.uniform() < 0.1 ? 1e9 * random.gaussian() : random.gaussian(), Double(i % 3)], seconds: Double(i))
            if b.verdict.isWarmingUp {
                #expect(ended == nil && !b.verdict.isAlarm && b.verdict.warmUpReason == .readings)
                #expect(b.verdict.warmUpProgress >= last && b.verdict.warmUpProgress < 1)
                last = b.verdict.warmUpProgress
            } else {
                ended = ended ?? i
                #expect(b.verdict.warmUpProgress == 1 && b.verdict.warmUpReason == .none)
            }
        }
        // A reading a second: a day is more than the longest warm-up.
        #expect(ended == (profiles[index].rule == .combinedRanks ? 300 : 100))
    }

    @Test(
        "The contributions of the evidence and the offset add up to the score, the shares of the channels to one",
        arguments: profiles.indices)
    func attribution(index: Int) {
        let story = Story(rows: 420, seed: 10)
        let b = bench(profiles[index])
        // The rank rule reports the evidence of its highest channel, so only a single channel adds up there.
        let single = profiles[index].rule == .ranksPerChannel
        for i in 0..<420 {
            let score = b.step(single ? [story.rows[i][0]] : story.rows[i], seconds: story.seconds[i])
            guard score > 0, b.verdict.kind != .stuck else { continue }
            let sum = Evidence.allCases.reduce(b.verdict.offset) { $0 + b.verdict[$1].contribution }
            #expect(abs(sum - score) < 1e-9, "reading \(i)")
            let shares = b.verdict.channels.reduce(0.0) { $0 + $1.contribution }
            let named = Evidence.allCases.contains { b.verdict[$0].contribution > 0 }
            #expect(abs(shares - 1) < 1e-9 || !named && shares == 0, "reading \(i)")
        }
    }

    @Test("A block of a detector passes its own check; one flipped field does not", arguments: profiles.indices)
    func validation(index: Int) throws {
        let story = Story(rows: 300, seed: 11)
        let b = bench(profiles[index])
        _ = play(story, b, 0..<300)
        try b.engine.validateStream(b.stream)
        try b.engine.validateChannel(b.channels[0])
        let good = b.snapshot()
        b.stream.storeBytes(of: 1, as: UInt32.self)
        #expect(throws: StateError.wrongVersion(found: 1, expected: b.engine.layout.version)) { try b.engine.validateStream(b.stream) }
        b.restore(good)
        let at = b.engine.layout.covarianceAt + 8
        b.channels[0].storeBytes(of: Float.nan, toByteOffset: at, as: Float.self)
        #expect(throws: StateError.notFinite(offset: at)) { try b.engine.validateChannel(b.channels[0]) }
        b.restore(good)
        let channel = b.channels[0].assumingMemoryBound(to: ChannelScalars<Float>.self)
        channel.pointee.resumedAt = channel.pointee.age + 1
        #expect(throws: StateError.outOfRange("channel age")) { try b.engine.validateChannel(b.channels[0]) }
    }

    @Test("Profiles with different sizes have different layout versions; equal ones the same")
    func versions() {
        let versions = profiles.map { Detector(profile: $0).layoutVersion }
        #expect(Set(versions).count == versions.count)
        var renamed = DetectorProfile.standard
        (renamed.name, renamed.threshold) = ("other", 9)
        #expect(Detector(profile: renamed).layoutVersion == versions[0])
    }

    @Test(
        "The default keeps a univariate stream in 32 KB, the light profile in 7 KB with 4 KB a channel; every block is a multiple of 64 bytes"
    )
    func sizes() {
        let standard = Detector(profile: .standard)
        let light = Detector(profile: .light)
        #expect(standard.channelStateBytes + standard.streamStateBytes <= 32 * 1024)
        #expect(light.channelStateBytes <= 4096 && light.channelStateBytes + light.streamStateBytes <= 7 * 1024)
        for bytes in [standard.channelStateBytes, standard.streamStateBytes, light.channelStateBytes, light.streamStateBytes] {
            #expect(bytes % 64 == 0)
        }
    }
}
