import Alerting
import Foundation
import Readings
import Testing

@testable import Watching

/// What people do changes what is told, not what is learned.
@Suite struct PersonalLaws {
    /// A quiet channel with noise of its own (splitmix64).
    private struct Noise {
        var state: UInt64
        mutating func next() -> Double {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return Double((z ^ (z >> 31)) >> 11) / Double(1 << 53) - 0.5
        }
    }

    /// Two thousand usual readings, then `jump` for three, then `acts`, then usual ones, then the jump again for three.
    private func run(jump: Double, again: Double, _ acts: (Station) -> Void) -> (first: [Alert], second: [Alert], station: Station) {
        let station = Station()
        var noise = Noise(state: 4)
        for _ in 0..<2000 { station.feed(20 + noise.next()) }
        for _ in 0..<3 { station.feed(20 + jump + noise.next()) }
        let first = station.opened()
        acts(station)
        for _ in 0..<600 { station.feed(20 + noise.next()) }
        let since = station.time
        for _ in 0..<3 { station.feed(20 + again + noise.next()) }
        return (first, station.opened(since: since), station)
    }

    private func bar(_ points: Double, moment: Int64? = nil) -> FeedbackBarNote {
        FeedbackBarNote(channel: Array("value".utf8), points: points, fade: FeedbackBar.fadeAlways, moment: moment)
    }

    private func feedback(_ station: Station, _ bar: FeedbackBarNote) {
        let id = station.opened().first?.id ?? ""
        station.act(.feedback(stream: 1, alert: id, verdict: "false", by: "ada", text: "", at: 0, bar: bar))
    }

    @Test func `the like of a mistake is kept back while its bar holds, and told again when it was taken back`() throws {
        let plain = run(jump: 3, again: 3) { _ in }
        #expect(!plain.first.isEmpty)
        let second = try #require(plain.second.first)
        let over = (second.initialScore ?? 0) - (second.threshold ?? 0)
        #expect(over >= 0)
        // A bar just above what the second jump reaches.
        let barred = run(jump: 3, again: 3) { feedback($0, bar(min(3, over + 1.5))) }
        #expect(barred.second.isEmpty)
        let takenBack = run(jump: 3, again: 3) {
            feedback($0, bar(min(3, over + 1.5)))
            feedback($0, bar(0))
        }
        #expect(takenBack.second.map(\.initialScore) == plain.second.map(\.initialScore))
    }

    @Test func `a bar for an hour of another weekday keeps nothing back`() {
        let plain = run(jump: 3, again: 3) { _ in }
        let other = run(jump: 3, again: 3) { feedback($0, bar(3, moment: $0.time + 3 * 86_400_000_000_000)) }
        #expect(other.second.map(\.id) == plain.second.map(\.id) && !plain.second.isEmpty)
    }

    @Test func `what the detector learns does not depend on feedback`() {
        let plain = run(jump: 3, again: 3) { _ in }
        let barred = run(jump: 3, again: 3) { feedback($0, bar(3)) }
        #expect(plain.station.history().map(\.score) == barred.station.history().map(\.score))
    }

    @Test func `an alert that a person closed is closed by hand, and a paused stream neither alarms nor learns`() throws {
        let closed = run(jump: 3, again: 3) { station in
            if let id = station.opened().first?.id { station.act(.close(stream: 1, alert: id, by: "ada", text: "seen")) }
        }
        let action = try #require(closed.station.actions.first { $0.transition == .closed })
        #expect(action.alert.closeReason == .by_hand && action.by == "ada" && action.text == "seen")
        let paused = run(jump: 3, again: 30) { $0.act(.pause(["station"])) }
        #expect(paused.second.isEmpty && paused.station.detail().contains("\"state\":\"paused\""))
        let readings = paused.station.detail()
        #expect(readings.contains("\"readings\":2003"), "\(readings.prefix(300))")
    }

    @Test func `a stream that was reset has learned nothing and goes on counting its alerts`() {
        let reset = run(jump: 3, again: 3) { $0.act(.reset(stream: 1)) }
        #expect(reset.station.actions.contains { $0.alert.closeReason == .by_hand })
        #expect(reset.station.detail().contains("\"readings\":603"))
        #expect(Set(reset.station.opened().map(\.id)).count == reset.station.opened().count)
    }
}
