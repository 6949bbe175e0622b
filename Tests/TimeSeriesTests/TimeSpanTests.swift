import Testing

@testable import TimeSeries

@Suite struct TimeSpanTests {
    static let spans: [(String, Int64)] = [
        ("5min", 300), ("1h30min", 5400), ("1.5h", 5400), ("90s", 90), ("1w", 604_800), ("week", 604_800), ("2 days", 172_800),
        ("1 Month", 2_592_000), ("1year", 31_536_000), ("0", 0), ("0s", 0), ("1h 30 m", 5400), ("1H", 3600),
    ]

    @Test(arguments: spans)
    func `a span is the sum of its parts`(text: String, seconds: Int64) throws {
        #expect(try TimeSpan(parsing: text).nanoseconds == seconds * 1_000_000_000)
    }

    @Test func `units below a second are exact`() throws {
        #expect(try TimeSpan(parsing: "250ms").nanoseconds == 250_000_000)
        #expect(try TimeSpan(parsing: "3us").nanoseconds == 3000)
        #expect(try TimeSpan(parsing: "7ns").nanoseconds == 7)
    }

    @Test(arguments: [
        "", " ", "h5", "60", "1.2.3s", "-1s", "+1s", "5 parsecs", "nan", "infs", "1e3s", "1h-5min", "99999999w", "1h30", "٣s",
        String(repeating: "9", count: 100_000) + "s",
    ])
    func `what is no span is refused`(text: String) { #expect(throws: TimeSpanError.self) { try TimeSpan(parsing: text) } }

    @Test func `the text of a span is read back to the same span`() throws {
        let lengths: [Int64] = [0, 1, 999, 1_000_000_001, 90_000_000_000, 86_399_999_999_999, 31_536_000_000_000_000]
        for nanoseconds in lengths {
            let span = TimeSpan(nanoseconds: nanoseconds)
            #expect(try TimeSpan(parsing: span.description) == span, "\(span)")
        }
        #expect(TimeSpan(nanoseconds: 365 * 86_400_000_000_000).description == "365d")
    }

    @Test func `a brief span has two figures and one unit`() {
        let cases: [(Int64, String)] = [(0, "0s"), (119, "119s"), (120, "2min"), (7199, "120min"), (12_600, "3.5h"), (181_440, "2.1d")]
        for (seconds, text) in cases { #expect(TimeSpan(nanoseconds: seconds * 1_000_000_000).brief == text) }
    }

    @Test(arguments: [("1/week", 604_800.0), ("3/d", 28_800), ("0.5/h", 7200), ("2 / 30d", 1_296_000)])
    func `a rate says how long between two events`(text: String, seconds: Double) throws {
        let rate = try EventRate(parsing: text)
        #expect(abs(rate.secondsBetween - seconds) < 1e-6 * seconds)
        #expect(try EventRate(parsing: rate.description) == rate)
    }

    @Test(arguments: ["", "1", "/week", "week", "-1/week", "1/0s", "1/", "1/2/3", "nan/d", "inf/d", "1/fortnight"])
    func `what is no rate is refused`(text: String) { #expect(throws: TimeSpanError.self) { try EventRate(parsing: text) } }

    @Test func `a rate of none never comes`() throws { #expect(try EventRate(parsing: "0/week").secondsBetween == .infinity) }
}
