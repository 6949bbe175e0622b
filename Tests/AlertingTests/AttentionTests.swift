import Alerting
import Testing
import TimeSeries

/// A record that events go into at given times.
private struct Bench {
    var record = AttentionRecord()
    var severity = Severity.warning
    var isOpen = true

    @discardableResult
    mutating func at(_ now: Int64, _ event: AttentionEvent) throws -> [AttentionStep.Name] {
        if case .severity(let new) = event { severity = new }
        let steps = try record.apply(event, now: now, severity: severity, isOpen: isOpen).map(\.name)
        if case .closed = event { isOpen = false }
        return steps
    }
}

private func ack(_ until: Int64? = nil) -> AttentionEvent { .ack(by: "ada", until: until, text: "on it") }

@Suite struct AttentionTests {
    /// Every state against every event: what it is afterwards, and the steps that are told. nil: refused.
    @Test func `the table of states and events in docs-ALERTS holds`() throws {
        let starts: [(String, [AttentionEvent])] = [
            ("new", []), ("acked", [ack()]), ("shelved", [.shelve(by: "ada", until: 50, text: "")]),
            ("both", [ack(), .shelve(by: "ada", until: 50, text: "")]),
        ]
        let events: [(AttentionEvent, [(Attention, [AttentionStep.Name])?])] = [
            (ack(), [(.acked, [.acked]), (.acked, [.acked]), (.shelved, [.acked]), (.shelved, [.acked])]),
            (
                .shelve(by: "bob", until: 60, text: ""),
                [(.shelved, [.shelved]), (.shelved, [.shelved]), (.shelved, [.shelved]), (.shelved, [.shelved])]
            ),
            (.unshelve(by: "bob", text: ""), [nil, nil, (.new, [.unshelved]), (.acked, [.unshelved])]),
            (
                .comment(by: "bob", text: "x"),
                [(.new, [.commented]), (.acked, [.commented]), (.shelved, [.commented]), (.shelved, [.commented])]
            ),
            (.severity(.critical), [(.new, []), (.new, [.ack_ended]), (.shelved, []), (.shelved, [.ack_ended])]),
            (.severity(.warning), [(.new, []), (.acked, []), (.shelved, []), (.shelved, [])]),
            (.joined("other"), [(.new, []), (.new, [.ack_ended]), (.shelved, []), (.shelved, [.ack_ended])]),
            (.closed, [(.new, []), (.new, []), (.new, []), (.new, [])]),
            (.tick, [(.new, []), (.acked, []), (.shelved, []), (.shelved, [])]),
        ]
        for (event, wanted) in events {
            for ((name, before), want) in zip(starts, wanted) {
                var bench = Bench()
                for step in before { try bench.at(1, step) }
                let unchanged = bench.record
                guard let want else {
                    #expect(throws: AttentionError.self, "\(name) and \(event)") { try bench.at(2, event) }
                    #expect(bench.record == unchanged)
                    continue
                }
                let steps = try bench.at(2, event)
                #expect(steps == want.1, "\(name) and \(event)")
                #expect(bench.record.attention == want.0, "\(name) and \(event)")
            }
        }
    }

    @Test func `an acknowledgement with an end is over at that moment and not before`() throws {
        var bench = Bench()
        try bench.at(10, ack(20))
        #expect(bench.record.nextEnd == 20)
        #expect(try bench.at(19, .tick) == [] && bench.record.attention == .acked)
        #expect(try bench.at(20, .tick) == [.ack_ended] && bench.record.attention == .new)
        #expect(bench.record.ackEnd == .expired && bench.record.ackedBy == "ada" && bench.record.nextEnd == nil)
    }

    @Test func `a shelf longer than seven days is cut to them`() throws {
        var bench = Bench()
        try bench.at(0, .shelve(by: "ada", until: .max, text: ""))
        #expect(bench.record.shelvedUntil == Int64(604_800_000_000_000), "7 days")
    }

    @Test func `a closed alert can be commented on and nothing else`() throws {
        var bench = Bench()
        try bench.at(1, .closed)
        #expect(throws: AttentionError.self) { try bench.at(2, ack()) }
        #expect(throws: AttentionError.self) { try bench.at(2, .shelve(by: "a", until: 9, text: "")) }
        #expect(try bench.at(2, .comment(by: "a", text: "seen")) == [.commented] && bench.record.comment == "seen")
    }

    @Test func `an acknowledgement goes on over a flicker unless it is worse, over, or had ended before`() throws {
        var bench = Bench()
        try bench.at(1, ack(100))
        try bench.at(2, .closed)
        #expect(bench.record.attention == .new, "it ends with the alert")
        #expect(bench.record.inherited(now: 3, severity: .warning)?.attention == .acked)
        #expect(bench.record.inherited(now: 3, severity: .critical) == nil, "worse")
        #expect(bench.record.inherited(now: 100, severity: .warning) == nil, "its time is over")
        var worse = Bench()
        try worse.at(1, ack())
        try worse.at(2, .severity(.critical))
        try worse.at(3, .closed)
        #expect(worse.record.inherited(now: 4, severity: .warning) == nil, "it had ended")
        // Twice in a row.
        var second = Bench()
        second.record = try #require(bench.record.inherited(now: 3, severity: .info))
        try second.at(4, .closed)
        #expect(second.record.inherited(now: 5, severity: .warning)?.ackedBy == "ada")
    }

    @Test func `whatever comes, an acknowledgement holds only while nothing ended it, and each end is told once`() throws {
        var numbers = SeededRandom(seed: 23)
        for _ in 0..<3000 {
            var bench = Bench()
            var (acked, ended, shelved, unshelved) = (0, 0, 0, 0)
            var now: Int64 = 0
            for _ in 0..<Int.random(in: 1...30, using: &numbers) where bench.isOpen {
                now += Int64.random(in: 0...5, using: &numbers)
                let until = now + Int64.random(in: 1...12, using: &numbers)
                let event: AttentionEvent =
                    switch Int.random(in: 0..<10, using: &numbers) {
                    case 0, 1: ack(Bool.random(using: &numbers) ? until : nil)
                    case 2: .shelve(by: "b", until: until, text: "")
                    case 3: .unshelve(by: "b", text: "")
                    case 4: .severity(max(bench.severity, Severity.allCases.randomElement(using: &numbers) ?? .info))
                    case 5: .joined("x")
                    case 6: .comment(by: "b", text: "y")
                    case 7: Int.random(in: 0..<4, using: &numbers) == 0 ? .closed : .tick
                    default: .tick
                    }
                let held = bench.record.holdsAck
                let steps = (try? bench.at(now, event)) ?? []
                acked += steps.count { $0 == .acked }
                ended += steps.count { $0 == .ack_ended }
                shelved += steps.count { $0 == .shelved }
                unshelved += steps.count { $0 == .unshelved }
                #expect(steps.count { $0 == .ack_ended } <= 1 && (held || !steps.contains(.ack_ended)))
                #expect(ended <= acked && unshelved <= shelved)
                if let next = bench.record.nextEnd { #expect(next > now, "what is over has ended") }
                if bench.record.attention == .acked { #expect(bench.isOpen && bench.severity <= bench.record.ackedSeverity ?? .info) }
                if !bench.isOpen { #expect(bench.record.attention == .new && bench.record.nextEnd == nil) }
            }
        }
    }
}

@Suite struct CloseReasonTests {
    private func book(closing observed: Double) -> AlertAction? {
        var book = EpisodeBook(rules: EpisodeRules(closeAfter: 10, quietReadingsMin: 2))
        func score(_ score: Double, _ time: Int64, _ value: Double) -> AlertAction? {
            book.scored(
                stream: 1, time: time, score: score, threshold: 2, isAlarm: score >= 2, observed: value, identify: { ("a-1", "s") },
                facts: { AlertFacts(channels: ["c"], observed: 9, expected: 5, bandLow: 4, bandHigh: 6, reason: "r") })
        }
        _ = score(3, 0, 9)
        _ = score(0, 20, observed)
        return score(0, 40, observed)
    }

    @Test func `an alert that went back has recovered and one whose level stayed was learned`() {
        #expect(book(closing: 5)?.alert.closeReason == .recovered)
        #expect(book(closing: 9)?.alert.closeReason == .learned)
    }

    @Test func `a person closes the alert that was named and no other`() throws {
        var book = EpisodeBook(rules: EpisodeRules(closeAfter: 10))
        for kind in [AlertKind.stale, .stuck] {
            _ = book.begin(
                stream: 1, kind: kind, severity: .warning, time: 5, identify: { ("\(kind)", "s") },
                facts: { AlertFacts(channels: [], reason: "") })
        }
        #expect(book.close(stream: 1, id: "other", time: 6, by: "ada", text: "") == nil)
        #expect(book.close(stream: 2, id: "stale", time: 6, by: "ada", text: "") == nil)
        let closed = book.close(stream: 1, id: "stale", time: 1, by: "ada", text: "gone")
        let action = try #require(closed)
        #expect(action.alert.closeReason == .by_hand && action.by == "ada" && action.text == "gone")
        #expect(action.alert.closedAt == 5, "never before it opened")
        #expect(book.episodes(of: 1).map(\.alert.id) == ["stuck"])
    }
}
