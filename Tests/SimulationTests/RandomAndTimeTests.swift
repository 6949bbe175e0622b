import Testing

@testable import Simulation

@Suite struct RandomAndTimeTests {
    @Test func equalSeedAndPurposeGiveEqualBitsAndOtherPurposesOthers() {
        var one = RandomSource(seed: 7, purpose: 1)
        var same = RandomSource(seed: 7, purpose: 1)
        var other = RandomSource(seed: 7, purpose: 2)
        let bits = (0..<100).map { _ in one.nextBits() }
        #expect(bits == (0..<100).map { _ in same.nextBits() })
        #expect(bits != (0..<100).map { _ in other.nextBits() })
        #expect(Set(bits).count == 100)
    }

    @Test func gaussianHasMeanZeroVarianceOneAndTheTailsOfTheNormalDistribution() {
        var random = RandomSource(seed: 3, purpose: 0)
        let count = 200_000
        let values = (0..<count).map { _ in random.gaussian() }
        // Standard errors: mean 1/sqrt(n) = 0.0022, variance sqrt(2/n) = 0.0032; four of each.
        #expect(mean(values).magnitude < 0.009)
        #expect((deviation(values) * deviation(values) - 1).magnitude < 0.013)
        // P(|z| > 2) = 4.55 %, P(|z| > 3) = 0.27 %.
        #expect((Double(values.count { $0.magnitude > 2 }) / Double(count) - 0.0455).magnitude < 0.003)
        #expect((Double(values.count { $0.magnitude > 3 }) / Double(count) - 0.0027).magnitude < 0.0008)
    }

    @Test func polynomialSineStaysWithinItsStatedError() {
        // sin at multiples of 30 degrees is known without libm.
        let root = 3.0.squareRoot() / 2
        let known = [0, 0.5, root, 1, root, 0.5, 0, -0.5, -root, -1, -root, -0.5]
        for (index, value) in known.enumerated() {
            #expect((Moment.sine(turns: Double(index) / 12) - value).magnitude < 0.0011)
        }
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00Z"), (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
        (1_767_571_200_000_000_000, "2026-01-05T00:00:00Z"), (-1_000_000_000, "1969-12-31T23:59:59Z"),
        (1_500_000_000, "1970-01-01T00:00:01.500Z"), (1_000_000_001, "1970-01-01T00:00:01.000000001Z"),
        (4_107_542_399_000_000_000, "2100-02-28T23:59:59Z"),
    ])
    func timesAreWrittenAndReadBack(ns: Int64, text: String) throws {
        #expect(TimeText.rfc3339(ns: ns) == text)
        #expect(try TimeText.nanoseconds(rfc3339: text) == ns)
    }

    @Test func everyDayOfFourCenturiesIsReadBack() throws {
        var day = Int64(-100 * 365)
        while day < 290 * 365 {
            #expect(try TimeText.nanoseconds(rfc3339: TimeText.rfc3339(ns: day * dayNs)) == day * dayNs)
            day += 13
        }
    }

    @Test func offsetsFractionsAndEpochsAreUnderstood() throws {
        let noon = try TimeText.nanoseconds(rfc3339: "2026-01-05T12:00:00Z")
        #expect(noon == mondayNs + 12 * hourNs)
        #expect(try TimeText.nanoseconds(rfc3339: "2026-01-05T13:30:00+01:30") == noon)
        #expect(try TimeText.nanoseconds(rfc3339: "2026-01-05 10:00-0200") == noon)
        #expect(try TimeText.nanoseconds(rfc3339: "2026-01-05T12:00:00.1234567891Z") == noon + 123_456_789)
        #expect(try TimeText.nanoseconds(rfc3339: "2026-01-05") == mondayNs)
        for unit in [Int64(1), 1_000, 1_000_000, 1_000_000_000] {
            #expect(try TimeText.nanoseconds(rfc3339: "\(mondayNs / 1_000_000_000 * unit)") == mondayNs)
        }
    }

    @Test(arguments: [
        "", "yesterday", "2026-13-01", "2026-02-29", "2026-01-05T25:00Z", "2026-01-05T12:00:00.Z", "2026-01-05T12:00Zx", "1600-01-01",
    ])
    func timesThatAreNoneAreRefused(text: String) {
        #expect(throws: SimulationError.self) { try TimeText.nanoseconds(rfc3339: text) }
    }

    @Test func durationsHaveUnitsAndBareNumbersAreSeconds() throws {
        #expect(try TimeText.nanoseconds(duration: "60") == 60_000_000_000)
        #expect(try TimeText.nanoseconds(duration: "250ms") == 250_000_000)
        #expect(try TimeText.nanoseconds(duration: "1.5h") == 3 * hourNs / 2)
        #expect(try TimeText.nanoseconds(duration: "1w") == 7 * dayNs)
        for wrong in ["", "h", "1y", "1.2.3s", "-1s", "99999999w", "nan"] {
            #expect(throws: SimulationError.self) { try TimeText.nanoseconds(duration: wrong) }
        }
    }

    @Test func numbersAreWrittenWithTheirDecimals() {
        func written(_ number: Int64, _ decimals: Int) -> String {
            var buffer = LineBuffer(capacity: 64)
            buffer.put(number: number, decimals: decimals)
            return buffer.withBytes { span in String(decoding: span.indices.map { span[$0] }, as: UTF8.self) }
        }
        #expect(written(0, 0) == "0")
        #expect(written(0, 2) == "0.00")
        #expect(written(-5, 2) == "-0.05")
        #expect(written(12_345, 1) == "1234.5")
        #expect(written(10, 1) == "1.0")
        #expect(written(Int64.max, 0) == "\(Int64.max)")
        #expect(written(Int64.min, 0) == "\(Int64.min)")
    }
}
