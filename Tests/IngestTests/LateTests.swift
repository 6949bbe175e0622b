import Readings
import Testing

@testable import Ingest

/// Readings that come late are put in order as far as the window reaches, and nothing else changes.
@Suite struct LateTests {
    private func bench(_ window: Int64) -> Bench {
        let bench = Bench()
        bench.intake.lateMax = { _ in window }
        return bench
    }

    /// Times of the readings of a stream in the order in which they were passed on.
    private func times(_ bench: Bench) -> [Int64] { bench.book.readings.map { Int64($0.split(separator: " ").last ?? "") ?? -1 } }

    private func feed(_ bench: Bench, _ times: [Int64], now: Int64 = 1_000_000) {
        for time in times { bench.feed("a x=\(time) \(time)", now: now) }
    }

    @Test func `one live reading before a backlog waits for it`() {
        let bench = bench(-1)
        let regular = (0..<20).map { Int64($0) * 60 }
        feed(bench, regular + [6000] + (20..<100).map { Int64($0) * 60 } + [6060, 6120])
        #expect(times(bench) == (0..<103).map { Int64($0) * 60 } && !bench.hasHeld && bench.addsUp)
    }

    @Test func `neighbours that were swapped are put in order`() {
        let bench = bench(-1)
        var order = (0..<60).map { Int64($0) * 10 }
        for place in stride(from: 20, to: 58, by: 7) { order.swapAt(place, place + 1) }
        feed(bench, order)
        #expect(times(bench) == order.sorted() && bench.dropped(.out_of_order) == 0)
    }

    @Test func `a reading that is really lost delays what follows by the window and no more, and nothing is lost by it`() {
        let bench = bench(-1)
        feed(bench, (0..<20).map { Int64($0) * 10 } + [210, 220, 230])
        #expect(times(bench).last == 190 && bench.hasHeld)
        feed(bench, [240, 250, 260])
        #expect(times(bench).last == 260 && !bench.hasHeld)
        feed(bench, [200])
        #expect(bench.dropped(.out_of_order) == 1 && bench.addsUp)
    }

    @Test func `by the wall a reading waits five seconds for a window that nobody asked for, and as long as a stated one`() {
        for (window, wait) in [(Int64(-1), Int64(6)), (3600 * second, 3601)] {
            let bench = bench(window)
            feed(bench, (0..<20).map { Int64($0) * 600 }, now: 12_000)
            feed(bench, [13_800], now: 13_800)
            #expect(times(bench).last == 11_400)
            bench.intake.flush(now: monday + (13_800 + wait - 2) * second)
            #expect(bench.hasHeld)
            bench.intake.flush(now: monday + (13_800 + wait) * second)
            #expect(times(bench).last == 13_800 && !bench.hasHeld)
        }
    }

    @Test func `without a window every reading goes at once, as in the usual flow with one`() {
        let times = (0..<50).map { Int64($0) * 30 + ($0 > 30 ? 5000 : 0) }
        let without = bench(0)
        feed(without, times)
        #expect(self.times(without) == times)
        let steady = (0..<50).map { Int64($0) * 30 }
        let benches = [Int64(0), -1, 600 * second].map { window in
            let bench = bench(window)
            feed(bench, steady)
            return bench
        }
        #expect(benches.allSatisfy { $0.book.lines == benches[0].book.lines && $0.intake.totals == benches[0].intake.totals })
    }

    @Test func `a sender of two time scales is not held for ever`() {
        let bench = bench(-1)
        let times = (0..<40).flatMap { burst in [0, 1, 2].map { Int64(burst) * 600 + $0 } }
        feed(bench, times)
        #expect(self.times(bench) == times && !bench.hasHeld)
    }

    @Test func `the end of the input passes on what waits`() {
        let bench = bench(3600 * second)
        feed(bench, (0..<20).map { Int64($0) * 10 } + [500, 480])
        bench.intake.flush(now: monday + 1_000_000 * second, isLast: true)
        #expect(times(bench).suffix(2) == [480, 500] && bench.addsUp)
    }

    @Test func `what waits of a stream was said before a person forgets, resets or renames it`() {
        let first = StreamNumber.given(inTurn: 1)
        let acts: [(IntakeAct, String)] = [
            (.forget(stream: first, key: [97]), "evicted a"),
            (.reset(stream: first, key: [97]), "person reset(stream: \(first))"),
            (.rename(stream: first, key: [97], to: [98]), "person rename(stream: \(first), key: [98])"),
        ]
        for (act, told) in acts {
            let bench = bench(-1)
            feed(bench, (0..<20).map { Int64($0) * 10 } + [210, 220])
            #expect(bench.hasHeld)
            bench.intake.act([act], number: 3, now: monday + 1_000_000 * second)
            #expect(!bench.hasHeld && bench.addsUp, "\(told)")
            let lines = bench.book.lines
            #expect(lines.firstIndex(of: "a x=220.0 220") ?? .max < lines.firstIndex(of: told) ?? -1, "\(lines.suffix(4))")
        }
    }

    @Test func `whoever has the new name of another stream has said all before it makes room`() {
        let bench = bench(-1)
        feed(bench, (0..<20).map { Int64($0) * 10 } + [210, 220])
        bench.feed("b x=1 0")
        bench.intake.act([.rename(stream: StreamNumber.given(inTurn: 2), key: [98], to: [97])], number: 0, now: monday + 1_000_000 * second)
        #expect(!bench.hasHeld && bench.addsUp)
        #expect(times(bench).suffix(2) == [210, 220])
        #expect(bench.intake.streamCount == 1)
    }

    @Test func `a stream that was renamed has the window of its new name`() {
        let bench = Bench()
        bench.intake.lateMax = { $0 == "a" ? -1 : 0 }
        feed(bench, (0..<20).map { Int64($0) * 10 })
        bench.intake.act([.rename(stream: StreamNumber.given(inTurn: 1), key: [97], to: [98])], number: 0, now: monday)
        bench.feed("b x=1 500")
        #expect(!bench.hasHeld && times(bench).last == 500)
    }

    @Test func `what waits of a stream that makes room for a new one is counted as lost`() {
        let bench = Bench {
            $0.streamsMax = 1
            $0.evicts = true
        }
        bench.intake.lateMax = { _ in -1 }
        feed(bench, (0..<20).map { Int64($0) * 10 } + [210, 220])
        #expect(bench.hasHeld)
        bench.feed("b x=1 230")
        #expect(!bench.hasHeld && bench.dropped(.streams_max) == 2 && bench.addsUp)
    }

    @Test func `after a clock that ran ahead the fleet's clock goes on with the readings of the right time`() {
        let bench = Bench { $0.futureMax = 600 * second }
        for minute in Int64(0)..<100 { bench.feed("a x=1 \(minute * 60)", now: minute * 60) }
        for minute in Int64(0)..<50 { bench.feed("a x=1 \(9_000_000 + minute * 60)", now: 9_000_000 + minute * 60) }
        let before = bench.intake.totals.fleetClock.now
        for minute in Int64(100)..<200 { bench.feed("a x=1 \(minute * 60)", now: minute * 60) }
        let lived = (bench.intake.totals.fleetClock.now - before) / second
        #expect(lived > 97 * 60 && lived <= 100 * 60, "\(lived)")
    }
}
