import TimeSeries
import Testing

@testable import Detection

/// Runs a stream under a budget; alarms within the warm-up.
private func alarmsInWarmUp(
    _ profile: DetectorProfile, readings: Int, cadence: Double, seconds: Double, seed: UInt64, value: (inout SeededRandom, Int) -> Double
) -> Int {
    let bench = Bench(floatEngine(profile), channels: 1)
    var random = SeededRandom(seed: seed)
    let settings = StreamSettings(secondsBetweenFalseAlarms: seconds)
    var alarms = 0
    for i in 0..<readings {
        bench.step([value(&random, i)], seconds: 1_700_000_000 + cadence * Double(i), settings: settings)
        if bench.verdict.isWarmingUp, bench.verdict.isAlarm { alarms += 1 }
    }
    return alarms
}

@Suite("The false-alarm budget")
struct BudgetTests {
    /// Feeds scores with an exponential tail of mean `slope` to a budget of one alarm in `between` readings; alarms per alarm asked for.
    private func realised(between: Double, slope: Double, readings: Int, seed: UInt64) -> Double {
        let bins = StateLayout.budgetBins
        let counts = UnsafeMutablePointer<Float>.allocate(capacity: bins)
        let last = UnsafeMutablePointer<UInt32>.allocate(capacity: bins)
        let peaks = UnsafeMutablePointer<BudgetPeak>.allocate(capacity: StateLayout.budgetPeaks)
        defer {
            counts.deallocate()
            last.deallocate()
            peaks.deallocate()
        }
        counts.initialize(repeating: 0, count: bins)
        last.initialize(repeating: 1 << 31, count: bins)
        peaks.initialize(repeating: BudgetPeak(), count: StateLayout.budgetPeaks)
        let memory = BudgetThreshold<Float>.Memory(counts: counts, last: last, peaks: peaks)
        var budget = BudgetThreshold<Float>()
        var random = SeededRandom(seed: seed)
        var raised = 0
        for t in 0..<UInt64(readings) {
            let score = -slope * logarithm(max(random.uniform(), 1e-12))
            let threshold = budget.threshold(oneAlarmIn: between, t: t, memory: memory)
            budget.count(score, t: t, time: Int64(t), hold: 20, readings: between, memory: memory)
            let isAlarm = score >= threshold && budget.mayAlarm(t: t, hold: 20)
            budget.settle(isAlarm: isAlarm, t: t)
            raised += isAlarm ? 1 : 0
        }
        return Double(raised) * between / Double(readings)
    }

    @Test("The asked rate is honoured within a factor of 1.5 for thin and thick tails", arguments: [0.35, 0.6, 1.2], [300.0, 3000])
    func honoured(slope: Double, between: Double) {
        let ratio = (1...3).map { realised(between: between, slope: slope, readings: 30_000, seed: $0) }.reduce(0, +) / 3
        #expect(ratio > 1 / 1.5 && ratio < 1.5, "\(ratio)")
    }

    @Test("A young stream keeps its promise: long before the first alarm is due, next to nothing is raised")
    func young() {
        // 30 streams of a tenth of the time between two alarms: three alarms asked for.
        let raised = (1...30).map { realised(between: 20_000, slope: 0.5, readings: 2000, seed: $0) * 0.1 }.reduce(0, +)
        #expect(raised <= 4.5, "\(raised)")
    }

    @Test("Nothing can alarm in the warm-up, however wild the readings and generous the budget", arguments: [1.0, 60, 3600])
    func warmUp(cadence: Double) {
        for seed in 1...3 {
            let alarms = alarmsInWarmUp(.light, readings: 320, cadence: cadence, seconds: 2 * cadence, seed: UInt64(seed)) { random, i in
                random.gaussian() * (i % 37 == 0 ? 1e9 : 1) + (i > 50 ? 1e4 : 0)
            }
            #expect(alarms == 0)
        }
    }

    @Test("The thresholds of other settings order as the settings do, and their moments are counted")
    func report() {
        let bench = Bench(floatEngine(.light), channels: 1)
        var random = SeededRandom(seed: 9)
        let settings = StreamSettings(secondsBetweenFalseAlarms: 172_800)
        var alarms: [Int64] = []
        for i in 0..<6000 {
            bench.step([random.gaussian()], seconds: 300 * Double(i), settings: settings)
            if bench.verdict.isAlarm { alarms.append(Int64(300 * Double(i) * 1e9)) }
        }
        let report = bench.engine.budgetReport(bench.stream, since: 0)
        #expect(report.thresholds.count == BudgetReport.factors.count)
        #expect(report.thresholds == report.thresholds.sorted(by: >), "\(report.thresholds)")
        let raised = report.thresholds.map { report.alarms(at: $0) }
        #expect(raised == raised.sorted(), "\(raised)")
        #expect(abs(report.secondsBetween - 172_800) < 1728)
        // Later than any of the alarms nothing happened.
        #expect(bench.engine.budgetReport(bench.stream, since: Int64(300 * 6000e9)).peaks.isEmpty)
        #expect(!alarms.isEmpty && raised[4] >= raised[0])
    }

    @Test("A budget changed while the stream runs holds from the next reading on")
    func changed() {
        let bench = Bench(floatEngine(.light), channels: 1)
        var random = SeededRandom(seed: 3)
        for i in 0..<2000 {
            bench.step([random.gaussian()], seconds: 60 * Double(i), settings: StreamSettings(secondsBetweenFalseAlarms: 86_400))
        }
        let generous = bench.verdict.threshold
        bench.step([0], seconds: 60 * 2000, settings: StreamSettings(secondsBetweenFalseAlarms: 2_592_000))
        #expect(bench.verdict.threshold > generous + 0.3)
    }

    @Test("A budget's state survives a snapshot bit for bit")
    func snapshot() {
        let settings = StreamSettings(secondsBetweenFalseAlarms: 86_400, quietSeconds: 1800)
        let whole = Bench(floatEngine(.light), channels: 1)
        let halves = Bench(floatEngine(.light), channels: 1)
        var random = SeededRandom(seed: 21)
        for i in 0..<1200 {
            let value = random.gaussian()
            whole.step([value], seconds: 30 * Double(i), settings: settings)
            if i == 600 { halves.restore(halves.snapshot()) }
            halves.step([value], seconds: 30 * Double(i), settings: settings)
        }
        #expect(whole.snapshot() == halves.snapshot())
    }
}
