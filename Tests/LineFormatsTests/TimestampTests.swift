import Testing

@testable import LineFormats

@Suite struct TimestampTests {
    private func number(_ text: String, _ unit: TimeUnit = .byMagnitude) -> Int64? {
        with(text) { b in
            var next = 0
            guard let time = Timestamp.number(b, 0, unit, next: &next), next == b.count else { return nil }
            return time
        }
    }

    private func calendar(_ text: String) -> Int64? { with(text) { Timestamp.calendar($0, 0, $0.count)?.nanoseconds } }

    private func with(_ text: String, _ body: (Bytes) -> Int64?) -> Int64? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { body(Bytes(base: $0, count: buffer.count)) }
        }
    }

    @Test("a number is seconds, milliseconds, microseconds or nanoseconds by its magnitude, on both sides of each bound")
    func magnitude() {
        for sign: Int64 in [1, -1] {
            let mark = sign < 0 ? "-" : ""
            #expect(number(mark + "4999999999") == sign * 4_999_999_999_000_000_000)
            #expect(number(mark + "5000000000") == sign * 5_000_000_000_000_000)
            #expect(number(mark + "4999999999999") == sign * 4_999_999_999_999_000_000)
            #expect(number(mark + "5000000000000") == sign * 5_000_000_000_000_000)
            #expect(number(mark + "4999999999999999") == sign * 4_999_999_999_999_999_000)
            #expect(number(mark + "5000000000000000") == sign * 5_000_000_000_000_000)
        }
        #expect(number("4999999999.999999999") == 4_999_999_999_999_999_999)
        #expect(number("5000000000.5") == 5_000_000_000_500_000)
    }

    @Test("fractions are kept to the nanosecond and cut off below it")
    func fractions() {
        #expect(number("1700000000.123456789") == 1_700_000_000_123_456_789)
        #expect(number("1700000000.1234567899999999999999") == 1_700_000_000_123_456_789)
        #expect(number("1700000000123.000001") == 1_700_000_000_123_000_001)
        #expect(number("0.000000001") == 1)
        #expect(number("0.0000000001") == 0)
        #expect(number("1.7e9") == 1_700_000_000_000_000_000)
        #expect(number("17e-1") == 1_700_000_000)
        #expect(number("0000000000000000000000000000001") == 1_000_000_000)
    }

    @Test("a stated unit is taken as stated")
    func stated() {
        #expect(number("1", .seconds) == 1_000_000_000)
        #expect(number("1", .milliseconds) == 1_000_000)
        #expect(number("1", .microseconds) == 1000)
        #expect(number("1", .nanoseconds) == 1)
        #expect(number("1700000000123456789", .nanoseconds) == 1_700_000_000_123_456_789)
        #expect(number("1700000000123456789", .seconds) == nil)
    }

    @Test("what does not fit in int64 nanoseconds is refused, the last that fits is not")
    func overflow() {
        #expect(number("9223372036854775807") == .max)
        #expect(number("9223372036854775808") == nil)
        #expect(number("-9223372036854775808") == .min)
        #expect(number("-9223372036854775809") == nil)
        #expect(number("1e30") == nil)
        #expect(number("1e999999999999999999999") == nil)
        #expect(calendar("2262-04-11T23:47:16.854775807Z") == .max)
        #expect(calendar("2262-04-11T23:47:16.854775808Z") == nil)
        #expect(calendar("1677-09-21T00:12:43.145224192Z") == .min)
        #expect(calendar("1677-09-21T00:12:43.145224191Z") == nil)
    }

    @Test("calendar days follow one another without gap for 500 years")
    func days() {
        // The reference counts days one by one with its own leap-year rule.
        var day: Int64 = 0
        for year in 1970..<2262 {
            let isLeap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
            for (month, length) in [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].enumerated() {
                for date in [1, length] {
                    let text = "\(year)-\(month < 9 ? "0" : "")\(month + 1)-\(date < 10 ? "0" : "")\(date)"
                    #expect(calendar(text) == (day + Int64(date) - 1) * 86_400_000_000_000, "\(text)")
                }
                #expect(calendar("\(year)-\(month < 9 ? "0" : "")\(month + 1)-\(length + 1)") == nil)
                day += Int64(length)
            }
        }
    }

    @Test("zones, separators and precisions of one moment give one time")
    func zones() {
        let moment: Int64 = 1_396_310_400_000_000_000
        let texts = [
            "2014-04-01", "2014-04-01 00:00", "2014-04-01 00:00:00", "2014-04-01T00:00:00Z", "2014-04-01t00:00:00z",
            "2014-04-01T02:00:00+02:00", "2014-03-31T19:00:00-0500", "2014-04-01T00:00:00.000000000000Z", "2014-03-31T23:59:60Z",
            "2014-04-01T00:00:00,0Z",
        ]
        for text in texts { #expect(calendar(text) == moment, "\(text)") }
    }

    @Test(
        "what is no time is refused",
        arguments: [
            "2014", "2014-4-31", "2014-13-01", "2014-00-01", "2014-02-29", "2014-04-01T", "2014-04-01T24:00:01Z", "2014-04-01T00:60:00Z",
            "2014-04-01T00:00:61Z", "2014-04-01T00:00:00.Z", "2014-04-01T00:00:00+", "2014-04-01T00:00:00+25:00", "2014-04-01T00:00:00Zx",
            "04/01/2014", "1.4.14", "20140401", "2014-04-01 ", "16:41", "noon", "",
        ])
    func refused(_ text: String) {
        #expect(calendar(text) == nil)
    }
}
