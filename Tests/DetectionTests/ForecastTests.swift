import TimeSeries
import Testing

@testable import Detection

/// Random life of one channel, of a kind that readouts have diverged on or might.
private enum Life: String, CaseIterable, CustomTestStringConvertible {
    /// Works at one level with stops of minutes, rests at night.
    case switching
    /// Exactly still for long, with a few pulses.
    case resting
    /// Steps of a coarse converter on a slow wave.
    case quantised
    /// Ramps that rest at both ends.
    case ramping
    /// Student's t with two degrees of freedom around a wave.
    case heavyTailed
    /// Level, noise and kind of movement change at random.
    case regimes

    var testDescription: String { rawValue }

    func readings(_ n: Int, seed: UInt64) -> [Double] {
        var random = SeededRandom(seed: seed)
        var out: [Double] = []
        var (level, noise, slope, left, works) = (500.0, 1.1, 0.0, 0, true)
        for i in 0..<n {
            switch self {
            case .switching:
                if left == 0 { (works, left) = (!works, works ? 60 + Int(random.uniform() * 300) : 1000 + Int(random.uniform() * 6000)) }
                left -= 1
                out.append(works && i % 20_000 < 13_000 ? 500 + 1.1 * random.gaussian() : 0)
            case .resting: out.append(random.uniform() < 0.0005 ? 1 + 9 * random.uniform() : 20)
            case .quantised: out.append((8 * sine(Double(i) / 700) + 0.3 * random.gaussian()).rounded() / 4)
            case .ramping:
                let phase = i % 3000
                out.append(phase < 1000 ? 0 : (phase < 1500 ? Double(phase - 1000) / 5 : (phase < 2500 ? 100 : Double(3000 - phase) / 5)))
            case .heavyTailed:
                let (a, b) = (random.gaussian(), random.gaussian())
                out.append(10 * sine(Double(i) / 300) + random.gaussian() / max(1e-3, ((a * a + b * b) / 2).squareRoot()))
            case .regimes:
                if left == 0 {
                    left = 200 + Int(random.uniform() * 4000)
                    (level, noise) = (1000 * random.gaussian(), random.uniform() < 0.3 ? 0 : exponential(4 * random.gaussian()))
                    slope = random.uniform() < 0.3 ? random.gaussian() : 0
                }
                left -= 1
                level += slope
                out.append(level + noise * random.gaussian())
            }
        }
        return out
    }
}

/// Sums of absolute errors after the first third, and the largest excursion of an expectation beyond what was shown.
private struct Judgement {
    var own = 0.0
    var last = 0.0
    var beyond = 0.0
    var widest = 0.0

    /// - Parameter readings: at one a second.
    init<Core: RecurrentCore>(_ bench: Bench<Core>, _ readings: [Double]) {
        var (low, high) = (readings[0], readings[0])
        var before = readings[0]
        for (i, value) in readings.enumerated() {
            bench.step([value], seconds: 1_700_000_000 + Double(i))
            let said = bench.verdict.channels[0]
            let range = max(high - low, 1e-9)
            if i > 1 {
                beyond = max(beyond, max(low - said.expected, said.expected - high) / range)
                widest = max(widest, (said.bandHigh - said.bandLow) / range)
            }
            if i >= readings.count / 3 {
                own += abs(value - said.expected)
                last += max(abs(value - before), 0.001 * range)
            }
            (low, high, before) = (min(low, value), max(high, value), value)
        }
    }
}

@Suite("What is expected of the next reading")
struct ForecastTests {
    @Test(
        """
        On any bounded input expectations stay in the range shown, bands are no wider than it, and the error is hardly ever above that of \
        the reading before
        """,
        arguments: Life.allCases, [1, 2, 3] as [UInt64])
    private func bounded(life: Life, seed: UInt64) {
        let readings = life.readings(40_000, seed: seed)
        for profile in [DetectorProfile.standard, .light] {
            let single = Judgement(Bench(floatEngine(profile), channels: 1), readings)
            #expect(single.beyond <= 0.1, "\(profile.name), \(life.rawValue), seed \(seed): \(single.beyond) of the range beyond it")
            #expect(single.widest <= 1.2, "\(profile.name), \(life.rawValue), seed \(seed): band \(single.widest) ranges wide")
            #expect(
                single.own <= 1.2 * single.last,
                "\(profile.name), \(life.rawValue), seed \(seed): \(single.own / single.last) times as wrong")
        }
    }

    @Test("In double precision the same laws hold", arguments: Life.allCases)
    private func boundedInDouble(life: Life) {
        let readings = life.readings(20_000, seed: 9)
        for profile in [DetectorProfile.standard, .light] {
            let double = Judgement(Bench(doubleEngine(profile), channels: 1), readings)
            #expect(double.beyond <= 0.1 && double.widest <= 1.2)
            #expect(double.own <= 1.2 * double.last, "\(profile.name), \(life.rawValue): \(double.own / double.last) times as wrong")
        }
    }

    @Test("What can be learned is learned: the forecast of a wave with noise is clearly better than the reading before")
    func learns() {
        var random = SeededRandom(seed: 4)
        let wave = (0..<20_000).map { 10 * sine(Double($0) / 6) + 0.3 * random.gaussian() }
        for profile in [DetectorProfile.standard, .light] {
            let bench = Bench(floatEngine(profile), channels: 1)
            let judged = Judgement(bench, wave)
            #expect(judged.own < 0.6 * judged.last, "\(profile.name): \(judged.own / judged.last)")
            let quality = bench.engine.forecastQuality(bench.channels[0])
            #expect(quality.skill > 0.4 && quality.expert == .recurrent && quality.restarts == 0)
        }
    }

    @Test("Features that stand still make least squares forget next to nothing, where constant forgetting winds up")
    func noWindUp() {
        let n = 16
        var random = SeededRandom(seed: 11)
        /// Largest variance after rich features, and after the same features again and again.
        func variances(share: Double) -> (working: Double, resting: Double) {
            var p = [Double](repeating: 0, count: 3 * 64)
            let diagonal: [Int] = (0..<n).map { (i: Int) -> Int in
                let b = i / 8
                return (b * (b + 1) / 2 + b) * 64 + 9 * (i % 8)
            }
            for i in diagonal { p[i] = 10 }
            var gain = [Double](repeating: 0, count: n)
            func largest() -> Double { diagonal.map { p[$0] }.max() ?? 0 }
            for _ in 0..<20_000 {
                let phi = (0..<n).map { _ in random.gaussian() }
                _ = Double.leastSquares(&p, phi, &gain, 1 - 1 / 4000, share, 10, Int32(n), nil)
            }
            let working = largest()
            let still = (0..<n).map { _ in random.gaussian() }
            for _ in 0..<40_000 { _ = Double.leastSquares(&p, still, &gain, 1 - 1 / 4000, share, 10, Int32(n), nil) }
            return (working, largest())
        }
        let constant = variances(share: 0)
        let measured = variances(share: 4000 / (ReadoutMemory.fullShare * Double(n)))
        #expect(constant.resting > 100 * constant.working, "constant forgetting is expected to wind up: \(constant)")
        #expect(measured.resting < 4 * measured.working, "\(measured)")
        #expect(abs(measured.working - constant.working) < 0.2 * constant.working, "rich features are forgotten as before")
    }

    @Test("A readout that has been far worse than the reading before for an hour of readings begins anew, and says so")
    func restarts() {
        let bench = Bench(floatEngine(.standard), channels: 1)
        var random = SeededRandom(seed: 5)
        for i in 0..<2000 { bench.step([sine(Double(i) / 5) + 0.01 * random.gaussian()], seconds: 1_700_000_000 + 60 * Double(i)) }
        #expect(bench.engine.forecastQuality(bench.channels[0]).restarts == 0)
        // Weights as a fault of memory or a bug would leave them, with nothing to learn from.
        bench.spoilReadout()
        var readings = 0
        while bench.engine.forecastQuality(bench.channels[0]).restarts == 0 && readings < 1000 {
            bench.spoilReadout()
            bench.step([sine(Double(2000 + readings) / 5)], seconds: 1_700_000_000 + 60 * Double(2000 + readings))
            #expect(abs(bench.verdict.channels[0].expected) <= 1.3)
            readings += 1
        }
        // An hour of one-minute readings is less than the hundred it takes at least.
        #expect((100...200).contains(readings))
    }
}

extension Bench {
    /// Sets the weights of the next reading's readout to nonsense.
    fileprivate func spoilReadout() {
        let w = engine.array(channels[0], engine.layout.readoutsAt)
        for i in 0..<engine.layout.features { w[i] = i % 2 == 0 ? 40 : -40 }
    }
}

@Suite("A channel that only grows")
struct GrowingTests {
    /// Hours run, in tenths: grows by uneven steps by day, stands still at another value every night.
    private func hours(days: Int, freezesOn frozen: Int?) -> [Double] {
        var random = SeededRandom(seed: 3)
        var total = 1000.0
        var out: [Double] = []
        for day in 0..<days {
            for minute in stride(from: 0, to: 1440, by: 5) {
                let works = minute >= 360 && minute < 1320 && !(day == frozen && minute > 700)
                if works { total += 0.05 + 0.1 * random.uniform() }
                out.append(total)
            }
        }
        return out
    }

    private func stuckDays(_ readings: [Double]) -> Set<Int> {
        let bench = Bench(floatEngine(.standard), channels: 1)
        var days: Set<Int> = []
        for (i, value) in readings.enumerated() {
            bench.step([value], seconds: 1_700_006_400 + 300 * Double(i))
            if bench.verdict.isAlarm && bench.verdict.kind == .stuck { days.insert(i / 288) }
        }
        return days
    }

    @Test("rests every night without being called stuck, from the fourth night on")
    func nights() { #expect(stuckDays(hours(days: 20, freezesOn: nil)).filter { $0 > 3 }.isEmpty) }

    @Test("is not called stuck for growing evenly")
    func even() { #expect(stuckDays((0..<5000).map { 0.25 * Double($0) }).isEmpty) }
}
