import Alerting
import TimeSeries
import Testing

@testable import Watching

/// The table of behaviours in docs/DETECTION.md, row by row, through shard and episodes as in the daemon.
@Suite struct BehaviourTable {
    @Test func `a constant channel is quiet until it moves, and then alerts`() {
        let station = Station()
        for _ in 0..<1000 { station.feed(21.5) }
        #expect(station.actions.isEmpty)
        station.feed(22.5)
        #expect(station.opened().count == 1)
    }

    @Test func `a nearly constant channel is quiet about its last digit`() {
        let station = Station()
        var random = SeededRandom(seed: 1)
        for _ in 0..<1500 { station.feed(1013 + (random.uniform() < 0.05 ? 1e-9 : 0)) }
        #expect(station.opened().isEmpty, "\(station.opened().map(\.reason))")
    }

    @Test func `whole numbers are quiet about their steps and alert far outside them`() {
        let station = Station()
        var random = SeededRandom(seed: 2)
        for _ in 0..<1200 { station.feed((random.uniform() * 4).rounded()) }
        #expect(station.opened().count <= 1, "\(station.opened().map(\.reason))")
        let before = station.time
        station.feed(40)
        #expect(station.opened(since: before).count == 1)
    }

    @Test func `a counter is judged by its increments, and its reset is nothing`() {
        let station = Station()
        var random = SeededRandom(seed: 3)
        var total = 0.0
        var resets: [Int64] = []
        for i in 0..<1500 {
            total = i % 600 == 599 ? 0 : total + (100 + 5 * random.gaussian()).rounded()
            station.feed(total)
            if total == 0 { resets.append(station.time) }
        }
        for reset in resets { #expect(station.opened(since: reset).allSatisfy { $0.openedAt > reset + 1_800_000_000_000 }) }
        #expect(station.opened().count <= 2, "\(station.opened().map(\.reason))")
    }

    @Test func `a binary channel that toggles at random is quiet`() {
        let station = Station()
        var random = SeededRandom(seed: 4)
        for _ in 0..<1500 { station.feed(random.uniform() < 0.3 ? 1 : 0) }
        #expect(station.opened().count <= 1, "\(station.opened().map(\.reason))")
    }

    @Test func `a channel that is mostly zero is quiet about small counts and alerts at a hundred times as much`() {
        let station = Station()
        var random = SeededRandom(seed: 5)
        for _ in 0..<1500 { station.feed(random.uniform() < 0.03 ? 1 + (random.uniform() * 2).rounded() : 0) }
        #expect(station.opened().count <= 3, "\(station.opened().map(\.reason))")
        let before = station.time
        station.feed(300)
        #expect(station.opened(since: before).count == 1)
    }

    @Test func `no alert merely because data came back after a gap, with jitter, or at another cadence`() {
        let station = Station()
        var random = SeededRandom(seed: 6)
        func calm(_ count: Int, every seconds: Double, jitter: Double = 0) {
            for _ in 0..<count { station.feed(10 + random.gaussian(), after: seconds * (1 + jitter * random.uniform(-1, 1))) }
        }
        calm(800, every: 60)
        var marks = [station.time]
        station.feed(10 + random.gaussian(), after: 4 * 3600)
        calm(30, every: 60)
        marks.append(station.time)
        calm(300, every: 60, jitter: 0.4)
        calm(200, every: 30)
        marks.append(station.time)
        calm(200, every: 300)
        #expect(station.opened(since: marks[0]).filter { $0.openedAt < marks[1] }.isEmpty, "right after the gap")
        #expect(station.opened().count <= 3, "\(station.opened().map(\.reason))")
    }

    @Test func `a channel that comes late, one that leaves and one that never moves do not spoil the others`() {
        let station = Station(channels: ["good", "late", "leaving", "constant"])
        var random = SeededRandom(seed: 7)
        func round(_ i: Int, _ good: Double) {
            let late = i >= 500 ? 100 + random.gaussian() : nil
            let leaving = i < 700 ? 50 + random.gaussian() : nil
            station.feed(good, late, leaving, 7)
        }
        for i in 0..<1100 { round(i, 10 + random.gaussian()) }
        #expect(station.opened().count <= 2, "\(station.opened().map(\.reason))")
        let before = station.time
        for i in 1100..<1110 { round(i, 40 + random.gaussian()) }
        let alerts = station.opened(since: before)
        #expect(alerts.count == 1 && alerts.first?.channels.first == "good", "\(alerts.map(\.reason))")
    }

    @Test func `one huge spike is one alert and blinds nothing`() {
        let station = Station()
        var random = SeededRandom(seed: 8)
        func calm(_ n: Int) { for _ in 0..<n { station.feed(10 + random.gaussian()) } }
        calm(800)
        let spike = station.time
        station.feed(1e12)
        calm(300)
        #expect(station.opened(since: spike).count == 1, "\(station.opened(since: spike).map(\.reason))")
        let second = station.time
        station.feed(35)
        calm(20)
        #expect(station.opened(since: second).count == 1)
    }

    @Test func `a long incident is one alert that stays open, and says what became of it`() {
        let station = Station()
        var random = SeededRandom(seed: 9)
        for _ in 0..<800 { station.feed(10 + random.gaussian()) }
        let start = station.time
        for _ in 0..<300 { station.feed(10 + random.gaussian() * 8) }
        for _ in 0..<300 { station.feed(10 + random.gaussian()) }
        let alerts = station.opened(since: start)
        #expect((1...3).contains(alerts.count), "\(alerts.map(\.reason))")
        #expect(alerts.first.map { $0.openedAt < start + 60 * 60_000_000_000 } == true)
    }

    @Test func `a level shift is told at once and becomes the new normal`() {
        let station = Station()
        var random = SeededRandom(seed: 10)
        for _ in 0..<800 { station.feed(10 + random.gaussian()) }
        let shift = station.time
        for _ in 0..<1200 { station.feed(25 + random.gaussian()) }
        let alerts = station.opened(since: shift)
        #expect(alerts.first.map { $0.openedAt <= shift + 3 * 60_000_000_000 } == true)
        #expect(alerts.count <= 4, "\(alerts.map(\.openedAt))")
        let late = shift + 700 * 60_000_000_000
        #expect(station.opened(since: late).isEmpty, "learned")
        let closed = station.actions.filter { $0.transition == .closed && $0.alert.kind == .anomaly && $0.time > shift }
        #expect(closed.contains { $0.alert.reason.contains("the new level has become usual") }, "\(closed.map(\.alert.reason))")
    }

    @Test func `a second event like the first alerts again`() {
        let station = Station()
        var random = SeededRandom(seed: 11)
        var starts: [Int64] = []
        for i in 0..<1850 {
            let isEvent = (800..<810).contains(i) || (1800..<1810).contains(i)
            if i == 800 || i == 1800 { starts.append(station.time) }
            station.feed((isEvent ? 30 : 10) + random.gaussian())
        }
        for start in starts {
            #expect(
                station.opened(since: start).contains { $0.openedAt < start + 10 * 60_000_000_000 }, "\(station.opened().map(\.openedAt))")
        }
    }

    @Test func `ten times the usual right after the warm-up alerts, and nothing can within it`() {
        let station = Station()
        var random = SeededRandom(seed: 12)
        // 300 readings at one a minute.
        for i in 0..<300 { station.feed((10 + random.gaussian()) * (i == 150 ? 10 : 1)) }
        #expect(station.actions.isEmpty, "nothing in the warm-up")
        for _ in 0..<5 { station.feed(10 + random.gaussian()) }
        let before = station.time
        station.feed(100)
        #expect(station.opened(since: before).count == 1)
    }

    @Test func `a sensor that freezes is stuck, once`() {
        let station = Station()
        var random = SeededRandom(seed: 13)
        for _ in 0..<800 { station.feed(10 + random.gaussian()) }
        for _ in 0..<400 { station.feed(10.25) }
        #expect(station.opened(.stuck).count == 1)
    }
}
