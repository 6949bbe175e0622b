import TimeSeries
import Testing

@testable import Detection

/// Largest allowed difference between this program in double precision and the definition in C: the definition's own strict and fast builds
/// differ by 3e-11, sums here are taken in another order.
private let goldenTolerance = 1e-5

@Suite("Golden vectors")
struct GoldenTests {
    @Test("The rank rule in double gives every score and inner value of its definition", arguments: [true, false])
    func ranksFull(clock: Bool) throws { try checkRanks("rw1-full", .ranksPerChannel, clock) }

    @Test("The rank rule with other sizes gives the scores of its definition too", arguments: [true, false])
    func ranksSmall(clock: Bool) throws {
        var profile = DetectorProfile.ranksPerChannel
        profile.weights = try smallWeights()
        profile.prototypes = 8
        try checkRanks("rw1-small", profile, clock)
    }

    private func checkRanks(_ name: String, _ profile: DetectorProfile, _ clock: Bool) throws {
        let lines = try fixture("\(name)-\(clock ? "clock" : "no-clock").csv")
        let bench = Bench(doubleEngine(profile), channels: 1)
        let signal = goldenSignal(lines.count)
        var worst = 0.0
        for (i, line) in lines.enumerated() {
            let score = bench.step([signal[i]], seconds: clock ? 1_700_000_000 + 300 * Double(i) : nil)
            let expected = try #require(Double(line[15]))
            worst = max(worst, abs(score - expected))
            guard !line[1].isEmpty else { continue }
            for column in 0..<15 {
                let value = try #require(Double(line[1 + column]))
                let difference = abs(bench.engine.trace[column] - value) / max(1, abs(value))
                #expect(difference <= goldenTolerance, "row \(i) column \(column): \(bench.engine.trace[column]) against \(value)")
            }
            if i >= 100, let emitted = Double(line[16]) { #expect(bench.verdict.isAlarm == (emitted >= 4.4), "row \(i)") }
        }
        #expect(worst <= goldenTolerance, "largest difference of a score: \(worst)")
    }

    private func smallWeights() throws -> ReservoirWeights {
        let rows = try fixture("weights-small.csv", header: false).map { $0.dropFirst().compactMap(Double.init) }
        return ReservoirWeights(
            predictor: .init(units: 8, input: rows[0], bias: rows[1], leak: rows[2], recurrent: rows[3]),
            novelty: .init(units: 4, input: rows[4], bias: rows[5], leak: rows[6], recurrent: rows[7]))
    }

    @Test("The per-stream rule in double gives every score, alarm and evidence of its definition on one channel with a clock")
    func perStreamOne() throws {
        let signal = goldenSignal(1500).map { [$0] }
        try checkPerStream("rw2-one-channel-clock.csv", signal, clock: true, .calibratedPerStream)
    }

    @Test("The per-stream rule in double gives every score, alarm and evidence of its definition on four channels without a clock")
    func perStreamFour() throws {
        try checkPerStream("rw2-four-channels-no-clock.csv", goldenChannels(1500), clock: false, .calibratedPerStream)
    }

    @Test("The combined rule in double gives every score, raised score and inner value of its definition", arguments: [1, 4])
    func combined(channels: Int) throws {
        let rows = channels == 1 ? goldenSignal(1500).map { [$0] } : goldenChannels(1500)
        let lines = try fixture(channels == 1 ? "rw3-one-channel-clock.csv" : "rw3-four-channels-no-clock.csv")
        let bench = Bench(doubleEngine(.combinedRanks), channels: channels)
        var worst = 0.0
        for (i, line) in lines.enumerated() {
            bench.step(rows[i], seconds: channels == 1 ? 1_700_000_000 + 300 * Double(i) : nil)
            let raised = bench.verdict.isRaised ? bench.verdict.score : 0
            worst = max(
                worst, abs(raised - (try #require(Double(line[1])))), abs(bench.engine.trace[21] - (try #require(Double(line[23])))))
            guard !line[2].isEmpty else { continue }
            for k in 0..<22 {
                let value = try #require(Double(line[2 + k]))
                let difference = abs(bench.engine.trace[k] - value) / max(1, abs(value))
                try #require(difference <= goldenTolerance, "row \(i) column \(k): \(bench.engine.trace[k]) against \(value)")
            }
        }
        #expect(worst <= goldenTolerance, "largest difference of a score: \(worst)")
    }

    private func checkPerStream(_ name: String, _ rows: [[Double]], clock: Bool, _ profile: DetectorProfile) throws {
        let lines = try fixture(name)
        let bench = Bench(doubleEngine(profile), channels: rows[0].count)
        var worst = 0.0
        let columns: [Evidence] = [.valueRecord, .fastResidual, .residualDrift, .localDeviation, .jump, .stateNovelty]
        for (i, line) in lines.enumerated() {
            let score = bench.step(rows[i], seconds: clock ? 1_700_000_000 + 300 * Double(i) : nil)
            worst = max(worst, abs(score - (try #require(Double(line[1])))))
            if i >= 100 { #expect(bench.verdict.isAlarm == (line[2] == "1" && score >= 2.03), "row \(i)") }
            guard !line[3].isEmpty else { continue }
            for (k, e) in columns.enumerated() {
                let value = try #require(Double(line[3 + k]))
                #expect(abs(bench.verdict[e].calibrated - value) <= goldenTolerance * max(1, value), "row \(i) \(e.name)")
            }
        }
        #expect(worst <= goldenTolerance, "largest difference of a score: \(worst)")
    }
}
