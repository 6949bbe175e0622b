import Foundation
import TimeSeries
import Testing

@testable import Watching

@Suite struct ClockTests {
    /// A day's rhythm by the clock on the wall: high from 8 to 18, a step up at the full hour.
    private func level(_ local: Int64) -> Double {
        let hour = Double(local % 86_400) / 3600
        return hour >= 8 && hour < 18 ? 30 : 10
    }

    /// Alerts in the two days after the change to summer time, of a rhythm in local time that was learned for two weeks.
    private func alertsAfterTheChange(_ zone: TimeZoneRules, local: TimeZoneRules) -> Int {
        let station = Station(start: "2026-03-15T00:00:00Z", zone: zone)
        var random = SeededRandom(seed: 5)
        let change = (TimeText.parse("2026-03-29T01:00:00Z") ?? 0)
        while station.time < change + 2 * 86_400_000_000_000 {
            let seconds = (station.time + 600_000_000_000) / 1_000_000_000
            station.feed(level(seconds + Int64(local.offset(at: seconds))) + 0.5 * random.gaussian(), after: 600)
        }
        return station.opened(since: change).count
    }

    @Test(
        "after the change to summer time a rhythm by local time raises no alert",
        .enabled(if: FileManager.default.fileExists(atPath: berlin)))
    func summerTime() throws {
        let rules = try TimeZoneRules(tzif: Array(Data(contentsOf: URL(fileURLWithPath: berlin))))
        #expect(alertsAfterTheChange(rules, local: rules) == 0)
    }

    @Test("the clock's offset is looked up again only where it changes, also for readings before 1970")
    func edges() {
        let station = Station(start: "1969-12-31T23:50:00Z")
        for _ in 0..<40 { station.feed(1) }
        #expect(station.readings == 40)
    }
}

private let berlin = "/usr/share/zoneinfo/Europe/Berlin"
