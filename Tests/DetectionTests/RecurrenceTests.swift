import TimeSeries
import Testing

@testable import Detection

/// Runs readings of one stream, oldest first, and returns where alarms were raised.
private func alarms(
    _ profile: DetectorProfile = .standard, every seconds: Double, jitter: Double = 0, seed: UInt64 = 1, channels: Int = 1, count: Int,
    _ values: (Int, inout SeededRandom) -> [Double]
) -> [Int] {
    let bench = Bench(floatEngine(profile), channels: channels)
    var random = SeededRandom(seed: seed)
    var clock = SeededRandom(seed: seed + 1000)
    // A Monday, 00:00 UTC.
    var now = 1_704_067_200.0
    var out: [Int] = []
    for i in 0..<count {
        bench.step(values(i, &random), seconds: now)
        if bench.verdict.isAlarm { out.append(i) }
        now += seconds * (1 + jitter * clock.uniform(-1, 1))
    }
    return out
}

@Suite("What comes back")
struct RecurrenceTests {
    @Test("An incident as long and as high as one before is told again, for most seeds")
    func secondIncident() {
        var second = 0
        for seed in 1...10 as ClosedRange<UInt64> {
            let found = alarms(every: 60, seed: seed, count: 6000) { i, r in
                [10 + r.gaussian() + ((2500..<2600).contains(i) || (4500..<4600).contains(i) ? 6 : 0)]
            }
            #expect(found.contains { (2500..<2510).contains($0) }, "seed \(seed): \(found)")
            if found.contains(where: { (4500..<4610).contains($0) }) { second += 1 }
        }
        #expect(second >= 8, "second incidents found: \(second) of 10")
    }

    @Test("A counter is judged by its rate: a burst alarms, and the next one too; a steady rate and a reset do not", arguments: [0, 1])
    func counterBurst(index: Int) {
        var value = 0.0
        let found = alarms([DetectorProfile.standard, .light][index], every: 60, count: 6000) { i, r in
            let burst = (3000..<3040).contains(i) || (4600..<4640).contains(i)
            value = i == 2000 ? 7 : value + max(0, (100 + 10 * r.gaussian()).rounded()) * (burst ? 3 : 1)
            return [value]
        }
        #expect(found.contains { (3000..<3004).contains($0) }, "\(found)")
        #expect(found.contains { (4600..<4640).contains($0) }, "\(found)")
        #expect(!found.contains { (2000..<2003).contains($0) }, "\(found)")
        #expect(found.count { $0 < 3000 } <= 4, "\(found)")
    }

    @Test("The expected value of a counter is a reading, not an increment")
    func counterExpectation() {
        let bench = Bench(floatEngine(.standard), channels: 1)
        var random = SeededRandom(seed: 3)
        var value = 1e6
        var worst = 0.0
        for i in 0..<2000 {
            value += (100 + 10 * random.gaussian()).rounded()
            bench.step([value], seconds: Double(i) * 60)
            guard i > 600 else { continue }
            let c = bench.verdict.channels[0]
            worst = max(worst, abs(c.expected - value))
            #expect(c.bandLow < c.bandHigh && c.value == value)
        }
        // Deviations of 10 from a rate of 100.
        #expect(worst < 60, "\(worst)")
    }

    @Test("A clock that jitters raises no more alarms than one that does not")
    func jitter() {
        var even = 0
        var shaken = 0
        for seed in 1...10 as ClosedRange<UInt64> {
            even += alarms(every: 60, seed: seed, count: 4000) { _, r in [10 + r.gaussian()] }.count
            shaken += alarms(every: 60, jitter: 0.5, seed: seed, count: 4000) { _, r in [10 + r.gaussian()] }.count
        }
        #expect(shaken <= even + even / 4 + 3, "even \(even), jittering \(shaken) in 40,000 readings")
        #expect(even <= 28, "\(even) in 40,000 readings")
    }

    @Test("A motor that is switched on and off twice a day, and says so, is told in the first days only; a fault while it runs is told")
    func motor() {
        var found: [Int] = []
        for seed in 1...3 as ClosedRange<UInt64> {
            found += alarms(every: 60, seed: seed, channels: 4, count: 20 * 1440) { i, r in
                let minute = i % 1440
                let on = (300..<1260).contains(minute) != (600..<640).contains(minute)
                let fault = i == 19 * 1440 + 800 ? 60.0 : 0
                return [
                    on ? 1 : 0, (on ? 1475 : 0) + 2 * r.gaussian(), (on ? 20 : 0.1) + 0.2 * r.gaussian() + fault,
                    40 + (on ? 1 : 0) + 0.3 * r.gaussian(),
                ]
            }
        }
        let late = found.filter { (5 * 1440..<19 * 1440).contains($0) }
        #expect(late.count <= 6, "alarms in three times fourteen days: \(late)")
        #expect(found.count { $0 == 19 * 1440 + 800 } == 3, "\(found)")
    }

    @Test("The switching of commands does not hide a fault of the one channel that measures, nor alarm by itself")
    func commands() {
        let channels = 20
        var states = [Double](repeating: 0, count: channels)
        let found = alarms(every: 60, channels: channels, count: 4001) { i, r in
            for j in 1..<channels where r.uniform() < (j < 8 ? 0.003 : 0.0005) { states[j] = 1 - states[j] }
            states[0] = r.gaussian() + (i == 4000 ? 12 : 0)
            return states
        }
        #expect(found.last == 4000, "\(found)")
        #expect(found.count <= 8, "\(found)")
    }
}

@Suite("Pieces of the alarm rule")
struct AlarmPieceTests {
    @Test("A young incident counts a part in the calibrators, an old one fully")
    func incident() {
        var incident = Incident()
        func block(_ score: Double, _ t: Int64) -> Double {
            incident.observe(score)
            return incident.closeBlock(t: t, readings: 300, limit: 3.5, share: 0.5)
        }
        #expect(block(9, 24) == 1)
        incident.alarm(t: 30, readings: 300)
        #expect(block(9, 49) == 0.5)
        #expect(block(1, 74) == 1)
        incident.alarm(t: 200, readings: 300)
        #expect(block(5, 324) == 0.5)
        #expect(block(5, 349) == 1)
    }

    @Test("Every alarm lowers the next scores for a while; many of them for long")
    func habituation() {
        let f = CombinedFusion.standard
        var h = Habituation()
        #expect(h.step(5, f) == 5)
        h.alarm()
        let after = h.step(5, f)
        #expect(abs(after - (5 - f.habit - f.slowHabit)) < 0.01)
        for _ in 0..<2000 { _ = h.step(5, f) }
        let later = h.step(5, f)
        #expect(later > 5 - f.slowHabit && later < 5 - f.slowHabit / 2)
    }

    @Test("What usually follows a switch is taken off from the fourth switch on, what is beyond it stays, and without a switch nothing is")
    func switching() {
        var memory = SwitchMemory()
        func after(_ height: Double, switched: Bool = true) -> Double {
            var highest = 0.0
            for i in 0..<40 { highest = max(highest, memory.step(i == 2 ? height : 1, switched: switched && i == 0, rise: 3.5)) }
            return highest
        }
        #expect((0..<3).map { _ in after(6) } == [6, 6, 6])
        #expect(after(6) == 3.5)
        #expect(abs(after(8) - 5.5) < 1e-5)
        #expect(after(6, switched: false) == 6)
        #expect(memory.isSane)
    }

    @Test("Two to four values that change are a state; more are a measurement, one is neither")
    func states() {
        var constant = StateChannel()
        var binary = StateChannel()
        var analog = StateChannel()
        for i in 0..<100 {
            constant.step(3)
            binary.step(Double(i / 10 % 2))
            analog.step(Double(i))
        }
        #expect(!constant.isCandidate && !constant.measures)
        #expect(binary.isState(among: 1) && !binary.measures)
        #expect(analog.measures && !analog.isState(among: 9))
    }
}
