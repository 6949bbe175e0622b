import Testing

@testable import TimeSeries

private let second: Int64 = 1_000_000_000
private let day: Int64 = 86_400 * second
/// 2026-01-05T00:00:00Z: 56 years of 365 days, 14 leap days (1972 to 2024), 4 days.
private let monday = (56 * 365 + 14 + 4) * day

@Suite struct TimeTextTests {
    static let moments: [(Int64, String)] = [
        (0, "1970-01-01T00:00:00Z"), (monday, "2026-01-05T00:00:00Z"), (-second, "1969-12-31T23:59:59Z"),
        (1_500_000_000, "1970-01-01T00:00:01.500Z"), (1_000_001_000, "1970-01-01T00:00:01.000001Z"),
        (1_000_000_001, "1970-01-01T00:00:01.000000001Z"), (-1, "1969-12-31T23:59:59.999999999Z"),
        (59 * day, "1970-03-01T00:00:00Z"), (11_016 * day, "2000-02-29T00:00:00Z"),
    ]

    @Test(arguments: moments)
    func `a moment is written and read back`(ns: Int64, text: String) {
        #expect(TimeText.rfc3339(ns) == text)
        #expect(TimeText.parse(text) == ns)
    }

    @Test func `every moment that fits is read back, to both ends of the range`() {
        var moments: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
        moments += stride(from: Int64(-100 * 365), to: 290 * 365, by: 13).map { $0 * day + $0 }
        for moment in moments { #expect(TimeText.parse(TimeText.rfc3339(moment)) == moment, "\(moment)") }
    }

    @Test func `the text of a moment sorts like the moment`() {
        let moments = stride(from: Int64(0), to: 3 * 365, by: 7).map { $0 * day }
        let texts = moments.map(TimeText.rfc3339)
        #expect(texts == texts.sorted())
    }

    @Test func `milliseconds and seconds are cut downwards, also before 1970`() {
        #expect(TimeText.milliseconds(1_999_999) == "1970-01-01T00:00:00.001Z")
        #expect(TimeText.milliseconds(-1) == "1969-12-31T23:59:59.999Z")
        #expect(TimeText.seconds(second + 999_999_999) == "1970-01-01T00:00:01Z")
        #expect(TimeText.seconds(-1) == "1969-12-31T23:59:59Z")
        #expect(!TimeText.milliseconds(.min).isEmpty && !TimeText.seconds(.min).isEmpty)
    }

    static let relaxed: [(String, Int64)] = [
        ("2026-01-05", monday), ("2026-01-05 00:00", monday), ("2026-01-05t00:00:00z", monday), ("2026-01-05T00:00:00", monday),
        ("2026-01-05T01:30:00+01:30", monday), ("2026-01-04 22:00-0200", monday), ("2026-01-05T00:00:00.1234567891Z", monday + 123_456_789),
        ("2026-01-05T00:00:00,5Z", monday + second / 2), ("2026-01-04T23:59:60Z", monday),
    ]

    @Test(arguments: relaxed)
    func `relaxed forms mean what they say`(text: String, ns: Int64) { #expect(TimeText.parse(text) == ns) }

    @Test(arguments: [
        "", "yesterday", "2026", "2026-1-5", "2026-13-01", "2026-00-01", "2026-01-00", "2026-02-29", "2100-02-29", "2026-01-05T",
        "2026-01-05T24:00Z", "2026-01-05T12:60Z", "2026-01-05T12:00:61Z", "2026-01-05T12:00:00.Z", "2026-01-05T12:00Zx",
        "2026-01-05T12:00+24:00", "2026-01-05T12:00+1", "2026-01-05X12:00", "1600-01-01", "2263-01-01", "9999-12-31T23:59:59Z",
        "２０２６-01-05", "-026-01-05", "2026-01-05T12:00:00+", String(repeating: "9", count: 100_000),
    ])
    func `what is no moment is refused`(text: String) { #expect(TimeText.parse(text) == nil) }

    @Test func `every prefix of a moment and every changed byte is read or refused, never a trap`() {
        let text = Array("2026-01-05T12:34:56.789+01:30".utf8)
        for length in 0...text.count { _ = TimeText.parse(Array(text[..<length]).span) }
        for place in text.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[place] = byte
                _ = TimeText.parse(changed.span)
            }
        }
    }

    @Test func `a number is seconds, milliseconds, microseconds or nanoseconds by its size`() {
        for unit in [Int64(1), 1_000, 1_000_000, 1_000_000_000] {
            #expect(TimeText.nanoseconds(epoch: monday / second * unit) == monday)
        }
        let largestSeconds: Int64 = 4_999_999_999 * 1_000_000_000
        let smallestMilliseconds: Int64 = 5_000_000_000 * 1_000_000
        #expect(TimeText.nanoseconds(epoch: 4_999_999_999) == largestSeconds)
        #expect(TimeText.nanoseconds(epoch: 5_000_000_000) == smallestMilliseconds)
        #expect(TimeText.nanoseconds(epoch: -1) == -second)
        #expect(TimeText.nanoseconds(epoch: .min) == .min)
        #expect(TimeText.instant("\(monday)") == monday)
        #expect(TimeText.instant("2026-01-05") == monday)
        #expect(TimeText.instant("99999999999999999999") == nil)
    }
}
