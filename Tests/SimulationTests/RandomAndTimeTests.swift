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
