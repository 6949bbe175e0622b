import Testing

@testable import TimeSeries

@Suite struct TwoScaleTests {
    @Test func `copies of a report every ten minutes are no gap after gap`() {
        var cadence = CadenceEstimator()
        var steps: [Double] = []
        for report in 0..<200 {
            for copy in 0..<3 {
                steps.append(cadence.observe(1_700_000_000_000_000_000 + Int64(report) * 600_000_000_000 + Int64(copy) * 15_000_000))
            }
        }
        #expect(steps.suffix(450).allSatisfy { $0 < 2 }, "\(steps.suffix(9))")
        // A report that fails to come is a gap of two, and a day's silence one of 144.
        let silence = cadence.observe(1_700_000_000_000_000_000 + 199 * 600_000_000_000 + 86_400_000_000_000)
        #expect(silence > 100 && silence < 200 && cadence.isSane, "\(silence)")
    }
}

@Suite("Time")
struct TimeTests {
    @Test("A duration is the sum of its parts and prints as a text that reads back to itself")
    func spans() throws {
        let texts: [(String, Int64)] = [
            ("5min", 300), ("1h30min", 5400), ("1.5h", 5400), ("1week", 604_800), ("90 s", 90), ("week", 604_800), ("0s", 0),
        ]
        for (text, seconds) in texts {
            let span = try TimeSpan(parsing: text)
            #expect(span.nanoseconds == seconds * 1_000_000_000)
            #expect(try TimeSpan(parsing: span.description) == span)
        }
        for bad in ["", "5", "5 parsecs", "min5", "999999year"] { #expect(throws: TimeSpanError.self) { try TimeSpan(parsing: bad) } }
    }

    @Test("A rate is a count in a span and prints as a text that reads back to itself")
    func rates() throws {
        #expect(try EventRate(parsing: "1/week").secondsBetween == 604_800)
        #expect(try EventRate(parsing: "3/d").secondsBetween == 28_800)
        #expect(try EventRate(parsing: "0/d").secondsBetween == .infinity)
        for text in ["1/week", "3/d", "0.5/h", "2/1h30min", "1/10d"] {
            let rate = try EventRate(parsing: text)
            #expect(try EventRate(parsing: rate.description) == rate, "\(rate)")
        }
        for bad in ["1", "/week", "-1/week", "x/d", "1/0s"] { #expect(throws: TimeSpanError.self) { try EventRate(parsing: bad) } }
    }

    @Test("The cadence is learned from eight intervals, ignores one gap, and follows a change within seventeen")
    func cadence() {
        var cadence = CadenceEstimator()
        var time: Int64 = 1_700_000_000_000_000_000
        func tick(_ seconds: Double) -> Double {
            time += Int64(seconds * 1e9)
            return cadence.observe(time)
        }
        for _ in 0..<9 { _ = tick(60) }
        #expect(cadence.isKnown && abs(cadence.intervalSeconds - 60) < 1e-6)
        #expect(abs(tick(6000) - 100) < 1e-6)
        #expect(abs(cadence.intervalSeconds - 60) < 1)
        for _ in 0..<5 { _ = tick(60) }
        for _ in 0..<17 { _ = tick(10) }
        #expect(abs(cadence.intervalSeconds - 10) < 1)
        #expect(cadence.observe(time - 1) == 0 && cadence.isSane)
    }

    @Test("Clock features are the sines and cosines of the hour and the weekday at the given offset")
    func clock() {
        var f = [Double](repeating: 0, count: 9)
        // Saturday 2024-06-01 06:00 UTC.
        ClockFeatures.write(seconds: 1_717_221_600, into: &f)
        let expected = [1.0, 0, 0, -1, -1, 0, sine(2 * Double.pi * 5.25 / 7), cosine(2 * Double.pi * 5.25 / 7), 1]
        for i in 0..<9 { #expect(abs(f[i] - expected[i]) < 1e-9, "feature \(i)") }
        ClockFeatures.write(seconds: 1_717_221_600 - 7200, offsetSeconds: 7200, into: &f)
        for i in 0..<9 { #expect(abs(f[i] - expected[i]) < 1e-9) }
    }

    @Test("The same seed gives the same numbers; normal ones have mean 0 and variance 1")
    func random() {
        var a = SeededRandom(seed: 5)
        var b = SeededRandom(seed: 5)
        let x = (0..<20_000).map { _ in a.gaussian() }
        #expect(x == (0..<20_000).map { _ in b.gaussian() })
        let mean = x.reduce(0, +) / 20_000
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20_000
        #expect(abs(mean) < 0.03 && abs(variance - 1) < 0.04)
    }
}
