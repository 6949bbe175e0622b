import LineFormats
import Readings
import Testing
import TimeSeries

@testable import Ingest

/// What is not taken is counted for its stream, told, and has an alert when it is much.
@Suite struct LossTests {
    private func counts(_ bench: Bench, _ stream: UInt32) -> [String: Int64] {
        Dictionary(uniqueKeysWithValues: (bench.intake.losses.all[stream]?.counts ?? []).map { ($0.reason.rawValue, $0.count) })
    }

    @Test func `every stream counts what was lost of it by reason`() {
        let bench = Bench { $0.futureMax = 60 * second }
        bench.feed("a x=1 100", "b x=1 100", now: 100)
        bench.feed("a x=2 90", "a x=2 99999", "a x=3 100", "b x=\"dry\",y=2 101", now: 101)
        let (one, other) = (StreamNumber.given(inTurn: 1), StreamNumber.given(inTurn: 2))
        #expect(counts(bench, one) == ["out_of_order": 1, "future": 1, "duplicate": 1])
        #expect(counts(bench, other) == ["not_numeric": 1] && bench.addsUp)
        let newest = bench.intake.takeLoss()
        let hasMore = bench.intake.hasLoss
        #expect(newest?.reason == .not_numeric && !hasMore)
    }

    @Test func `what was lost goes into the totals and comes back with them`() {
        let bench = Bench()
        bench.feed("a x=1 100", "a x=2 90")
        bench.intake.flush(now: monday + 2_000_000 * second, isLast: true)
        let told = bench.book.losses
        #expect(told.count == 1)
        var stored: [String: Int64] = [:]
        for (stream, losses) in told { for (name, value) in losses.names(of: stream) { stored[name] = value } }
        #expect(StreamLosses.read(stored) == told && stored.keys.allSatisfy(StreamLosses.isName))
        stored["lost.x.readings.future"] = 1
        stored["lost.1.readings.nonsense"] = 1
        #expect(StreamLosses.read(stored) == told)
    }

    @Test func `a stream of which more than a tenth is lost in a window has an alert until a window is better`() {
        let bench = Bench {
            $0.futureMax = 60 * second
            $0.lossWindow = 600 * second
        }
        func minutes(_ range: Range<Int64>, lostEvery: Int64) {
            for minute in range {
                let ahead = minute % lostEvery == 0 ? Int64(7200) : 0
                bench.feed("a x=\(minute) \(minute * 60 + ahead)", now: minute * 60)
            }
        }
        minutes(0..<30, lostEvery: 1000)
        #expect(!bench.book.lines.contains { $0.hasPrefix("input") })
        minutes(30..<60, lostEvery: 2)
        #expect(bench.book.lines.filter { $0.hasPrefix("input") } == ["input of a begins"])
        minutes(60..<120, lostEvery: 1000)
        #expect(bench.book.lines.filter { $0.hasPrefix("input") } == ["input of a begins", "input of a over"])
    }

    @Test func `a marker of a missing value is left out, and a value outside its range has an alert as long as such values come`() {
        let bench = Bench { $0.rangeQuiet = 300 * second }
        bench.intake.checks = { stream in
            guard stream.hasPrefix("t") else { return nil }
            return { $0 == "x" ? ChannelCheck(missing: [-127], range: -40...85) : nil }
        }
        bench.feed("t x=20,y=500 0", "t x=-127,y=500 60", "t x=-127 120", "t x=90,y=1 180", "u x=-127 180")
        #expect(bench.book.readings == ["t x=20.0,y=500.0 0", "t y=500.0 60", "t y=1.0 180", "u x=-127.0 180"])
        #expect(counts(bench, StreamNumber.given(inTurn: 1)) == ["missing": 3, "out_of_range": 1])
        #expect(bench.book.lines.filter { $0.hasPrefix("range") } == ["range of t begins"])
        for minute in Int64(4)..<8 { bench.feed("t x=\(minute == 5 ? 99 : 20) \(minute * 60)") }
        #expect(bench.book.lines.filter { $0.hasPrefix("range") } == ["range of t begins"])
        for minute in Int64(8)..<12 { bench.feed("t x=20 \(minute * 60)") }
        #expect(bench.book.lines.filter { $0.hasPrefix("range") } == ["range of t begins", "range of t over"])
    }

    @Test func `a time without a zone is read by the clock of its stream`() throws {
        let bench = Bench()
        bench.intake.zones = [.utc, try TimeZoneRules(tzif: berlin)]
        bench.intake.zone = { $0.hasPrefix("b") ? 1 : 0 }
        var parser = LineParser()
        for line in ["b 1 2026-01-05T01:00:00", "b 2 2026-01-05T00:30:00Z", "u 1 2026-01-05T01:00:00"] {
            Array(line.utf8).withUnsafeBufferPointer { bytes in
                do throws(LineError) {
                    try parser.parse(bytes)
                    try bench.intake.accept(&parser.readings, now: monday + 86_400 * second, arrival: 0)
                } catch { Issue.record("\(error)") }
            }
        }
        bench.intake.flush(now: monday + 86_400 * second)
        #expect(bench.book.readings == ["b value=1.0 0", "b value=2.0 1800", "u value=1.0 3600"])
    }

    /// A compiled zone table with one rule: CET, one hour east, and CEST from the last Sunday of March to the last of October.
    private var berlin: [UInt8] {
        func block(_ version: UInt8) -> [UInt8] {
            var bytes = Array("TZif".utf8) + [version] + [UInt8](repeating: 0, count: 15)
            for count in [0, 0, 0, 0, 1, 4] { bytes += [0, 0, 0, UInt8(count)] }
            return bytes + [0, 0, 0x0E, 0x10, 0, 0] + Array("CET\0".utf8)
        }
        return block(0x32) + block(0x32) + Array("\nCET-1CEST,M3.5.0,M10.5.0/3\n".utf8)
    }

    @Test func `an hour that comes twice goes on after the reading before it, and one that is skipped counts on`() throws {
        let zone = try TimeZoneRules(tzif: berlin)
        // 2026-10-25: at 01:00 UTC the clock goes from 03:00 back to 02:00; 2026-03-29: at 01:00 UTC from 02:00 to 03:00.
        let autumn = try #require(TimeText.parse("2026-10-25T00:00:00Z"))
        let half = autumn + 2 * 3600 * second + 1800 * second
        #expect(zone.moment(local: half) == autumn + 1800 * second)
        #expect(zone.moment(local: half, after: autumn + 3000 * second) == autumn + 3600 * second + 1800 * second)
        let spring = try #require(TimeText.parse("2026-03-29T00:00:00Z"))
        #expect(zone.moment(local: spring + 2 * 3600 * second + 1800 * second) == spring + 3600 * second + 1800 * second)
        #expect(zone.moment(local: spring + 4 * 3600 * second) == spring + 2 * 3600 * second)
    }
}

@Suite struct OpenStringTests {
    private func totals(_ text: String) throws -> (IngestTotals, [String]) {
        let running = try Running()
        let client = try Client(running.path)
        try client.send(text)
        client.end()
        #expect(running.wait(lines: Int64(text.filter { $0 == "\n" }.count)))
        let totals = running.finish()
        return (totals, running.book.readings)
    }

    @Test func `a line end inside a quoted string belongs to the string and makes no stream`() throws {
        let (totals, readings) = try totals("m log=\"first\nq 7\nlast\",v=2.5 \(monday)\nn v=1 \(monday)\n")
        #expect(readings == ["m v=2.5 0", "n v=1.0 0"])
        #expect(totals.linesReceived == 4 && totals.readingsAccepted == 2 && totals.linesIgnored == 2)
    }

    @Test func `a string that never ends costs its own line and no other`() throws {
        let (totals, readings) = try totals("m log=\"first\n" + (0..<50).map { "n v=\($0) \(monday + Int64($0) * second)\n" }.joined())
        #expect(readings.count == 50 && totals.refused.reduce(0, +) == 1 && totals.linesReceived == 51)
    }
}
