import TimeSeries
import Testing

@Suite struct CalendarEventTests {
    private func seconds(_ text: String) throws -> Int64 { try #require(TimeText.parse(text)) / 1_000_000_000 }

    private func next(_ event: String, after: String, count: Int, rules: TimeZoneRules = .utc) throws -> [String] {
        let event = try CalendarEvent(event)
        var now = try seconds(after)
        var found: [String] = []
        for _ in 0..<count {
            now = try #require(event.next(after: now, rules: rules))
            #expect(event.last(at: now, notBefore: now, rules: rules) == now, "looking back finds it, too")
            #expect(event.last(at: now - 1, notBefore: now - 1, rules: rules) == nil || count > 1)
            found.append(TimeText.rfc3339(now * 1_000_000_000))
        }
        return found
    }

    /// The moments that `systemd-analyze calendar --iterations=4` prints for these events after 2026-03-27 12:00 UTC.
    @Test func `moments are those of systemd`() throws {
        let start = "2026-03-27T12:00:00Z"
        #expect(
            try next("Mon..Fri 22:00", after: start, count: 4) == [
                "2026-03-27T22:00:00Z", "2026-03-30T22:00:00Z", "2026-03-31T22:00:00Z", "2026-04-01T22:00:00Z",
            ])
        #expect(
            try next("*-*-01 06:00", after: start, count: 3) == ["2026-04-01T06:00:00Z", "2026-05-01T06:00:00Z", "2026-06-01T06:00:00Z"])
        #expect(try next("hourly", after: start, count: 2) == ["2026-03-27T13:00:00Z", "2026-03-27T14:00:00Z"])
        #expect(
            try next("Sat,Sun 8..10:0/30", after: start, count: 4) == [
                "2026-03-28T08:00:00Z", "2026-03-28T08:30:00Z", "2026-03-28T09:00:00Z", "2026-03-28T09:30:00Z",
            ])
    }

    @Test func `the newest moment before is found only as far back as asked`() throws {
        let event = try CalendarEvent("Sun 03:00")
        let now = try seconds("2026-11-25T12:00:00Z")
        let sunday = try seconds("2026-11-22T03:00:00Z")
        #expect(event.last(at: now, notBefore: now - 7 * 86_400, rules: .utc) == sunday)
        #expect(event.last(at: now, notBefore: sunday, rules: .utc) == sunday)
        #expect(event.last(at: now, notBefore: sunday + 1, rules: .utc) == nil)
        #expect(event.last(at: sunday - 1, notBefore: sunday - 86_400, rules: .utc) == nil)
    }

    @Test(arguments: [
        "", "Foo 22:00", "25:00", "10:61", "*-13-01", "*-*-32", "10:00 Europe/Berlin now", "*-*~1 10:00", "5..1:00", "0/0:00", "Mon..",
        "1-2-3-4",
        "10",
    ])
    func `what is no calendar event is refused with what was expected`(_ text: String) {
        let error = #expect(throws: CalendarEventError.self) { try CalendarEvent(text) }
        #expect(error?.description.contains("expected") ?? false)
    }

    @Test func `a zone is read as a name, and days may go over the end of the week`() throws {
        let event = try CalendarEvent("Sat..Mon 22:00 Europe/Berlin")
        #expect(event.zone == "Europe/Berlin" && event.weekdays == [5, 6, 0])
        #expect(try CalendarEvent("daily UTC").zone == "UTC")
    }
}
