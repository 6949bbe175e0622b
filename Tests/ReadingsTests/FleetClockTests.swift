import Testing

@testable import Readings

private let second: Int64 = 1_000_000_000

/// A fleet of `streams` that all report every `interval`, shifted against each other by `shift`.
private func live(_ clock: inout FleetClock, from start: Int64, rounds: Int, interval: Int64, streams: Int = 5, shift: Int64 = second / 100)
    -> Int64
{
    for round in 0..<rounds {
        for stream in 0..<streams { clock.observe(start + Int64(round) * interval + Int64(stream) * shift) }
    }
    return start + Int64(rounds) * interval
}

@Suite struct FleetClockTests {
    @Test("the clock of a steady fleet runs as fast as its timestamps", arguments: [second, 60 * second, 600 * second])
    func steady(interval: Int64) {
        var clock = FleetClock()
        let end = live(&clock, from: 1_000 * second, rounds: 50, interval: interval)
        let before = clock.now
        _ = live(&clock, from: end, rounds: 100, interval: interval)
        let lived = Double(clock.now - before) / Double(100 * interval)
        #expect(abs(lived - 1) < 0.02, "lived \(lived) of the time of the timestamps")
    }

    @Test("a pause of the whole fleet counts as a usual step: nobody is silent for it", arguments: [30, 90, 3600, 7 * 86_400])
    func pause(seconds: Int64) {
        var clock = FleetClock()
        let end = live(&clock, from: 1_000 * second, rounds: 200, interval: second)
        let before = clock.now
        clock.observe(end + seconds * second)
        #expect(clock.now - before <= 2 * second)
        clock.observe(end + seconds * second + second)
        #expect(clock.now - before <= 3 * second)
    }

    @Test("pauses that come now and then are never believed")
    func suspends() {
        var clock = FleetClock()
        var time = live(&clock, from: 1_000 * second, rounds: 200, interval: second)
        for _ in 0..<20 {
            time = live(&clock, from: time, rounds: 3_700, interval: second, streams: 1)
            let before = clock.now
            time += 3_600 * second
            clock.observe(time)
            #expect(clock.now - before <= 2 * second)
        }
    }

    @Test("a fleet that reports in bursts is believed from the third gap on, however many readings a burst has")
    func bursts() {
        var clock = FleetClock()
        let end = live(&clock, from: 1_000 * second, rounds: 10, interval: 60 * second, streams: 2_000, shift: second / 1000)
        let before = clock.now
        _ = live(&clock, from: end, rounds: 50, interval: 60 * second, streams: 2_000, shift: second / 1000)
        let lived = Double(clock.now - before) / Double(50 * 60 * second)
        #expect(abs(lived - 1) < 0.03, "lived \(lived)")
    }

    @Test("a first reading of another century does not stop the clock")
    func firstOfLongAgo() {
        for first: Int64 in [.min + 1, -8_500_000_000_000_000_000, -1] {
            var clock = FleetClock()
            clock.observe(first)
            var time = live(&clock, from: 1_760_000_000 * second, rounds: 100, interval: second)
            let before = clock.now
            time = live(&clock, from: time, rounds: 100, interval: second)
            #expect(clock.now - before >= 90 * second, "after \(first): lived \(clock.now - before)")
        }
    }

    @Test("timestamps that go back or repeat stop the clock and never turn it back; extremes do not trap")
    func backwards() {
        var clock = FleetClock()
        _ = live(&clock, from: 1_000 * second, rounds: 100, interval: second)
        let before = clock.now
        for time: Int64 in [0, -5, .min, .min + 1, 1_000 * second] { clock.observe(time) }
        #expect(clock.now == before)
        for time: Int64 in [.max - 1, .max, .max, .min, 0] { clock.observe(time) }
        #expect(clock.now >= before)
    }
}
