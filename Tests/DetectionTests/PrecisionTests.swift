import TimeSeries
import Testing

@testable import Detection

/// The detector in production computes in single precision and keeps part of its state in 8 and 16 bits. Beside the same rule in double precision
/// its scores differ by so much.
@Suite("Single against double precision")
struct PrecisionTests {
    private static let signals: [(String, @Sendable (Int, inout SeededRandom) -> Double)] = [
        ("noise", { _, r in 10 + r.gaussian() }),
        ("daily", { i, r in 20 + 5 * sine(Double(i) / 1440 * 2 * Double.pi) + 0.3 * r.gaussian() }),
        ("counts", { _, r in (8 + 3 * r.gaussian()).rounded() }),
        ("shift and spikes", { i, r in (i > 3000 ? 14 : 10) + r.gaussian() + (i % 1111 == 1110 ? 12 : 0) }),
    ]

    @Test("Scores of six thousand readings stay near those of double precision; alarms at the threshold agree but for those at its edge")
    func scores() {
        var differences: [Double] = []
        var (both, either) = (0, 0)
        for (_, signal) in Self.signals {
            let single = Bench(floatEngine(.standard), channels: 1)
            let double = Bench(doubleEngine(.standard), channels: 1)
            var random = SeededRandom(seed: 11)
            for i in 0..<6000 {
                let value = signal(i, &random)
                let seconds = 1_704_067_200.0 + 60 * Double(i)
                single.step([value], seconds: seconds)
                double.step([value], seconds: seconds)
                guard i >= 300 else { continue }
                differences.append(abs(single.verdict.score - double.verdict.score))
                if single.verdict.isAlarm || double.verdict.isAlarm { either += 1 }
                if single.verdict.isAlarm && double.verdict.isAlarm { both += 1 }
            }
        }
        differences.sort()
        let (median, high) = (differences[differences.count / 2], differences[differences.count * 99 / 100])
        #expect(median < 0.01, "\(median)")
        #expect(high < 0.3, "\(high)")
        #expect(Double(both) >= 0.8 * Double(either), "\(both) of \(either)")
    }
}
