import Testing

@testable import TimeSeries

@Suite("moments that came from outside")
struct SaturatingTests {
    static let extremes: [Int64] = [.min, .min + 1, -9_000_000_000_000_000_000, -1, 0, 1, 1_760_000_000_000_000_000, .max - 1, .max]

    @Test(
        "differences, sums and products are exact where they fit and the end of the range where they do not", arguments: extremes, extremes)
    func exactOrEnd(a: Int64, b: Int64) {
        func clamped(_ value: Int128) -> Int64 { Int64(clamping: value) }
        #expect(a.since(b) == clamped(Int128(a) - Int128(b)))
        #expect(a.later(by: b) == clamped(Int128(a) + Int128(b)))
        #expect(a.earlier(by: b) == clamped(Int128(a) - Int128(b)))
        #expect(a.times(b) == clamped(Int128(a) * Int128(b)))
        #expect(a.apart(from: b) == clamped(Int128((Int128(a) - Int128(b)).magnitude)))
    }

    @Test("a Double of any size becomes a whole number")
    func doubles() {
        #expect(Int64(saturating: .nan) == 0)
        #expect(Int64(saturating: .infinity) == .max && Int64(saturating: -.infinity) == .min)
        #expect(Int64(saturating: 1e300) == .max && Int64(saturating: 9.3e18) == .max && Int64(saturating: -9.3e18) == .min)
        #expect(Int64(saturating: 41.9) == 41 && Int64(saturating: -0x1p63) == .min)
    }
}
