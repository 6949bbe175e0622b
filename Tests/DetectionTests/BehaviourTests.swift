import Foundation
import TimeSeries
import Testing

@testable import Detection

/// Readings of a made-up channel every minute; collects where alarms were raised.
private final class Watch {
    let bench: Bench<LeakyReservoir<Float>>
    private(set) var alarms: [Int] = []
    private(set) var kinds: [AnomalyKind] = []
    private(set) var now = 0
    private var seconds = 1_700_000_000.0

    init(_ profile: DetectorProfile = .standard, channels: Int = 1) { bench = Bench(floatEngine(profile), channels: channels) }

    func feed(_ values: Double?..., after interval: Double = 60) {
        seconds += interval
        bench.step(values, seconds: seconds)
        if bench.verdict.isAlarm {
            alarms.append(now)
            kinds.append(bench.verdict.kind)
        }
        now += 1
    }

    func alarms(in range: Range<Int>) -> Int { alarms.count { range.contains($0) } }
}

private let profiles: [DetectorProfile] = [.standard, .light]

@Suite("Behaviour on the channels one meets")
struct BehaviourTests {
    @Test("A constant channel never alarms, and alarms when it moves", arguments: profiles.indices)
    func constant(index: Int) {
        let watch = Watch(profiles[index])
        for _ in 0..<3000 { watch.feed(42.5) }
        #expect(watch.alarms.isEmpty)
        watch.feed(43.5)
        #expect(watch.alarms == [3000])
    }

    @Test("A nearly constant channel does not alarm for its last digit", arguments: profiles.indices)
    func nearlyConstant(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 1)
        for _ in 0..<5000 { watch.feed(1000 + (random.uniform() < 0.05 ? 1e-9 : 0)) }
        #expect(watch.alarms.count <= 1, "\(watch.alarms)")
        watch.feed(1001)
        #expect(watch.alarms.last == 5000)
    }

    @Test("A channel of small whole numbers does not alarm for its usual steps and alarms far outside them", arguments: profiles.indices)
    func integers(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 2)
        for _ in 0..<5000 { watch.feed((random.uniform() * 4).rounded()) }
        #expect(watch.alarms.count <= 2, "\(watch.alarms)")
        watch.feed(40)
        #expect(watch.alarms.last == 5000)
    }

    @Test("A binary channel that toggles at random does not alarm", arguments: profiles.indices)
    func binary(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 3)
        for _ in 0..<5000 { watch.feed(random.uniform() < 0.3 ? 1 : 0) }
        #expect(watch.alarms.count <= 2, "\(watch.alarms)")
    }

    @Test(
        "A channel that is mostly zero does not alarm for its usual small counts and alarms for a hundred times as much",
        arguments: profiles.indices)
    func mostlyZero(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 4)
        for _ in 0..<5000 { watch.feed(random.uniform() < 0.03 ? 1 + (random.uniform() * 2).rounded() : 0) }
        #expect(watch.alarms.count <= 4, "\(watch.alarms)")
        watch.feed(300)
        #expect(watch.alarms.last == 5000)
    }

    @Test("The reset of a counter is no anomaly", arguments: profiles.indices)
    func counter(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 5)
        var value = 0.0
        for i in 0..<6000 {
            value = i % 1500 == 1499 ? 0 : value + (100 + 10 * random.gaussian()).rounded()
            watch.feed(value)
        }
        for reset in [1499, 2999, 4499, 5999] { #expect(watch.alarms(in: reset..<(reset + 30)) == 0, "\(watch.alarms)") }
        // It is judged by its rate, which is as noisy as any other channel.
        #expect(watch.alarms.count <= 6, "\(watch.alarms)")
    }

    @Test("One huge spike does not blind it: an ordinary spike soon after, and one long after, still alarm", arguments: profiles.indices)
    func spikeDoesNotBlind(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 6)
        func calm(_ n: Int) { for _ in 0..<n { watch.feed(10 + random.gaussian()) } }
        calm(1000)
        watch.feed(1e6)
        calm(150)
        watch.feed(10 + 25)
        calm(1000)
        watch.feed(10 - 25)
        // The coarse calibration of the light profile needs longer to recover.
        for moment in index == 0 ? [1000, 1151, 2152] : [1000, 2152] {
            #expect(watch.alarms.contains(moment), "\(moment): \(watch.alarms)")
        }
    }

    @Test("A level shift is told and then learned: hardly an alarm in the two thousand readings after it", arguments: profiles.indices)
    func levelShift(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 7)
        for i in 0..<6000 { watch.feed((i < 2000 || i >= 4000 ? 10 : 30) + random.gaussian()) }
        #expect(watch.alarms.contains(2000))
        #expect(watch.alarms(in: 2001..<4000) <= 4, "\(watch.alarms)")
        if index == 0 { #expect(watch.alarms(in: 4000..<4010) >= 1, "\(watch.alarms)") }
        #expect(watch.alarms(in: 4010..<6000) <= 4, "\(watch.alarms)")
    }

    @Test("A second event equal to the first alarms again", arguments: profiles.indices)
    func secondEvent(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 8)
        for i in 0..<4000 { watch.feed(5 * sine(Double(i) / 20) + 0.5 * random.gaussian() + (i % 1000 == 999 && i > 1000 ? 20 : 0)) }
        for moment in [1999, 2999, 3999] { #expect(watch.alarms.contains(moment), "\(moment): \(watch.alarms)") }
    }

    @Test("Nothing alarms merely because data comes back after a gap, whether minutes or weeks", arguments: profiles.indices)
    func gaps(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 9)
        var level = 20.0
        for gap in [0, 3600, 86_400, 1_209_600.0] {
            // The world went on meanwhile: another level within the usual range.
            level = gap == 0 ? 20 : 22
            for i in 0..<1200 {
                let season = 5 * sine(Double(i) / 50)
                watch.feed(level + season + 0.5 * random.gaussian(), after: i == 0 ? 60 + gap : 60)
            }
        }
        for start in [1200, 2400, 3600] { #expect(watch.alarms(in: start..<(start + 60)) == 0, "\(start): \(watch.alarms)") }
    }

    @Test("Jitter and a changed cadence alone do not alarm", arguments: profiles.indices)
    func cadence(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 10)
        for i in 0..<4000 {
            let interval = (i < 2000 ? 60.0 : 10) * (0.5 + random.uniform())
            watch.feed(10 + random.gaussian(), after: interval)
        }
        #expect(watch.alarms.count <= 6, "\(watch.alarms)")
        #expect(abs(watch.bench.verdict.cadenceSeconds - 10) < 3)
    }

    @Test(
        "A channel that appears late, disappears or never moves does not make the others alarm or hide their alarm",
        arguments: profiles.indices)
    func comingAndGoing(index: Int) {
        let watch = Watch(profiles[index], channels: 4)
        var random = SeededRandom(seed: 11)
        for i in 0..<4000 {
            let late: Double? = i >= 1500 ? 1e6 + 100 * random.gaussian() : nil
            let leaving: Double? = i < 2500 || i >= 3200 ? random.gaussian() : nil
            watch.feed(10 + random.gaussian(), late, leaving, 7)
        }
        #expect(watch.alarms(in: 1500..<1640) == 0, "\(watch.alarms)")
        #expect(watch.alarms(in: 2500..<2540) == 0, "\(watch.alarms)")
        #expect(watch.alarms(in: 3200..<3240) == 0, "\(watch.alarms)")
        #expect(watch.alarms.count <= 4, "\(watch.alarms)")
        watch.feed(10 + 60, 1e6, 0, 7)
        #expect(watch.alarms.last == 4000)
        let first = watch.bench.verdict.channels[0]
        #expect(first.contribution > 0.8, "share of the channel that moved: \(first.contribution)")
    }

    @Test("Where a machine usually rests it may rest; frozen elsewhere it is stuck after a run far shorter", arguments: profiles.indices)
    func stuckElsewhere(index: Int) {
        let watch = Watch(profiles[index])
        for night in 0..<8 {
            for i in 0..<300 { watch.feed(50 + 10 * Foundation.sin(Double(i) / 9) + 0.01 * Double((i * 7 + night * 3) % 11)) }
            for _ in 0..<60 { watch.feed(0) }
        }
        let before = watch.kinds.count
        for i in 0..<100 { watch.feed(50 + 10 * Foundation.sin(Double(i) / 9) + 0.01 * Double(i * 7 % 11)) }
        #expect(!watch.kinds[before...].contains(.stuck))
        for _ in 0..<60 { watch.feed(47.25) }
        #expect(watch.kinds[before...].contains(.stuck))
    }

    @Test("After a long quiet time an ordinary burst is compared with the bursts of the channel's life, a large one stands out")
    func jumpAfterQuiet() {
        func evidence(lifeShare: Double, burst: Double) -> Double {
            var jump = Jump<Float>()
            var ring = [Float](repeating: 0, count: 300)
            var age = 0.0
            func step(_ value: Double) -> Double {
                defer { age += 1 }
                return jump.step(
                    value, age: age, fresh: false, clip: age > 30 ? 1e6 : .infinity, lifeShare: lifeShare, ring: &ring, length: 300)
            }
            for round in 0..<40 {
                for _ in 0..<100 { _ = step(0) }
                _ = step(3 + Double(round % 3))
            }
            for _ in 0..<400 { _ = step(0) }
            return step(burst)
        }
        #expect(evidence(lifeShare: 0, burst: 4) > 1e6)
        let (usual, large) = (evidence(lifeShare: 0.6, burst: 4), evidence(lifeShare: 0.6, burst: 40))
        #expect((5...20).contains(usual), "\(usual)")
        #expect(large > 9.9 * usual)
    }

    @Test("A channel that freezes is called stuck once, also when it freezes again; a quiet one is not", arguments: profiles.indices)
    func stuck(index: Int) {
        let watch = Watch(profiles[index])
        var random = SeededRandom(seed: 12)
        for round in 0..<3 {
            for _ in 0..<800 { watch.feed(10 + random.gaussian()) }
            let before = watch.alarms.count
            for _ in 0..<200 { watch.feed(10.25) }
            #expect(watch.kinds[before...].count { $0 == .stuck } == 1, "round \(round): \(watch.kinds)")
        }
        let resting = Watch(profiles[index])
        for _ in 0..<20 {
            for _ in 0..<400 { resting.feed(10 + random.gaussian()) }
            for _ in 0..<300 { resting.feed(10.25) }
        }
        let called = resting.kinds.count { $0 == .stuck }
        #expect((1...6).contains(called), "a machine that rests every night was called stuck \(called) times in 20 nights")
        let quiet = Watch(profiles[index])
        for i in 0..<4000 { quiet.feed(Double(i / 100 % 2)) }
        #expect(!quiet.kinds.contains(.stuck))
    }

    @Test("Without a clock the detector works from the order of readings alone")
    func noClock() {
        let bench = Bench(floatEngine(.standard), channels: 1)
        var random = SeededRandom(seed: 13)
        var alarms: [Int] = []
        for i in 0..<2001 {
            bench.step([10 + random.gaussian() + (i == 2000 ? 30 : 0)], seconds: nil)
            if bench.verdict.isAlarm { alarms.append(i) }
        }
        #expect(alarms.last == 2000 && alarms.count <= 6, "\(alarms)")
        #expect(bench.verdict.cadenceSeconds == 0)
    }

    @Test("The band holds the readings of a calm channel and the expected value follows its season")
    func band() {
        let bench = Bench(floatEngine(.standard), channels: 1)
        var random = SeededRandom(seed: 14)
        var outside = 0
        var error = 0.0
        for i in 0..<5000 {
            let clean = 100 + 50 * sine(Double(i) / 15)
            bench.step([clean + random.gaussian()], seconds: 60 * Double(i))
            guard i >= 2000 else { continue }
            let c = bench.verdict.channels[0]
            if c.value < c.bandLow || c.value > c.bandHigh { outside += 1 }
            error += abs(c.expected - clean)
        }
        #expect(outside < 3000 / 50, "readings outside the band: \(outside) of 3000")
        // A forecast that only repeats the last reading would be off by 2.1 on average.
        #expect(error / 3000 < 1.5, "mean distance of the forecast from the clean signal: \(error / 3000)")
    }

    @Test("The asked false-alarm rate sets the threshold: rarer asked, higher threshold, fewer alarms")
    func budget() {
        var counts: [Int] = []
        for asked in [300.0, 3000] {
            let bench = Bench(floatEngine(.standard), channels: 1)
            var random = SeededRandom(seed: 15)
            let settings = StreamSettings(secondsBetweenFalseAlarms: asked * 60)
            var alarms = 0
            for i in 0..<15_000 {
                bench.step([10 + random.gaussian()], seconds: 60 * Double(i), settings: settings)
                if i >= 1500 && bench.verdict.isAlarm { alarms += 1 }
            }
            counts.append(alarms)
        }
        // 13,500 readings: 45 and 4.5 asked for.
        #expect((20...80).contains(counts[0]), "\(counts)")
        #expect((0...14).contains(counts[1]), "\(counts)")
        #expect(counts[0] > counts[1])
    }
}
