import Notification
import Tabular
import Testing
import TimeSeries

private let second: Int64 = 1_000_000_000
private let hour: Int64 = 3600 * second

private func alert(
    _ id: String, _ severity: String = "warning", open: Bool = true, stream: String = "pump,site=a", attention: String = "new",
    silencedBy: String? = nil, incident: String? = nil
) throws -> NotifyAlert {
    let row = JSONValue.object([
        "id": .string(id), "stream": .string(stream), "channels": .array([.string("t")]), "kind": .string("anomaly"),
        "severity": .string(severity), "state": .string(open ? "open" : "closed"), "opened_at": .string("2026-11-23T08:00:00Z"),
        "closed_at": open ? .null : .string("2026-11-23T09:00:00Z"), "reason": .string("because"), "attention": .string(attention),
        "silenced_by": .optional(silencedBy), "incident": .optional(incident),
    ])
    return try #require(NotifyAlert(row: row))
}

/// A sink that takes everything, or nothing.
private final class Bench {
    var engine: SinkEngine
    var heard: [Notice] = []
    var takes = true

    init(_ change: (inout SinkRules) -> Void = { _ in }) {
        var rules = SinkRules()
        (rules.groupWait, rules.groupInterval, rules.flapMax) = (0, 0, 0)
        change(&rules)
        engine = SinkEngine(sink: "s", rules: rules, book: ToldBook(), glob: { pattern, text in pattern == "*" || pattern == text })
    }

    @discardableResult
    func look(_ alerts: [NotifyAlert], at now: Int64, minute: Int = 720, asked: Set<String>? = nil) -> [String] {
        let notices = engine.due(alerts, asked: asked ?? Set(engine.book.ids), now: now, minute: minute)
        guard takes else { return [] }
        for notice in notices {
            heard.append(notice)
            _ = engine.told(notice, now: now)
        }
        return notices.map {
            "\($0.reason)" + $0.firing.map { " +\($0.id)" }.joined() + $0.resolved.map { " -\($0.id)" }.joined()
        }
    }
}

@Suite struct SinkEngineTests {
    @Test func `an alert is told once, its rise at once, its end to whom it was told`() throws {
        let bench = Bench()
        #expect(bench.look([try alert("a")], at: 1) == ["first +a"])
        #expect(bench.look([try alert("a")], at: 2) == [])
        #expect(bench.look([try alert("a", "critical")], at: 3) == ["worse +a"])
        #expect(bench.look([try alert("a", "critical")], at: 4) == [])
        #expect(bench.look([try alert("a", "critical", open: false)], at: 5) == ["resolved -a"])
        #expect(bench.look([try alert("a", "critical", open: false)], at: 6) == [])
        #expect(bench.engine.book.ids.isEmpty)
    }

    @Test func `what was over before anybody was told is never told`() throws {
        let bench = Bench { $0.groupWait = 10 }
        #expect(bench.look([try alert("a")], at: 1) == [])
        #expect(bench.look([try alert("a", open: false)], at: 20) == [])
        bench.takes = false
        bench.look([try alert("b")], at: 40)
        bench.look([try alert("b")], at: 60)
        bench.takes = true
        #expect(bench.look([try alert("b", open: false)], at: 1000) == [], "it could not be told in time")
    }

    @Test func `a silence keeps back the problem but not the recovery of what was told`() throws {
        let bench = Bench { $0.reminders = [1] }
        bench.look([try alert("a")], at: 1)
        #expect(bench.look([try alert("a", silencedBy: "s1"), try alert("b", silencedBy: "s1")], at: 2) == [])
        #expect(bench.look([try alert("a", "critical", silencedBy: "s1")], at: 3) == [], "no rise, no reminder")
        #expect(bench.look([try alert("a", open: false, silencedBy: "s1"), try alert("b", silencedBy: "s1")], at: 4) == ["resolved -a"])
        #expect(bench.look([try alert("b")], at: 5) == ["first +b"], "one comparison at the end")
    }

    @Test func `an acknowledged alert is not told or reminded of, but that it is over is`() throws {
        let bench = Bench { $0.reminders = [10] }
        bench.look([try alert("a")], at: 1)
        #expect(bench.look([try alert("a", attention: "acked")], at: 50) == [])
        #expect(bench.look([try alert("a")], at: 60) == ["reminder +a"], "the acknowledgement ended")
        #expect(bench.look([try alert("a", open: false)], at: 61) == ["resolved -a"])
    }

    @Test func `members of a group come together, later ones after the interval, and the group is over with its last`() throws {
        let bench = Bench { ($0.groupBy, $0.groupWait, $0.groupInterval) = (["site"], 5, 100) }
        #expect(bench.look([try alert("a")], at: 1) == [])
        #expect(bench.look([try alert("a"), try alert("b", stream: "fan,site=a")], at: 6) == ["first +a +b"])
        let three = [try alert("a"), try alert("b", stream: "fan,site=a"), try alert("c")]
        #expect(bench.look(three, at: 50) == [])
        #expect(bench.look(three, at: 106) == ["newAlerts +a +b +c"])
        #expect(bench.look([try alert("a", open: false), try alert("b"), try alert("c")], at: 150) == [])
        #expect(
            bench.look([try alert("a", open: false), try alert("b", open: false), try alert("c", open: false)], at: 151) == [
                "resolved -a -b -c"
            ])
    }

    @Test func `alerts of an incident are one group and stay in it when the incident comes later`() throws {
        let bench = Bench()
        bench.look([try alert("a")], at: 1)
        #expect(bench.look([try alert("a", incident: "i"), try alert("b", incident: "i")], at: 2) == ["first +b"])
        #expect(bench.look([try alert("a", open: false, incident: "i"), try alert("b", incident: "i")], at: 3) == ["resolved -a"])
    }

    @Test func `reminders come at growing pauses and begin anew after a change`() throws {
        let bench = Bench { $0.reminders = [10, 20] }
        bench.look([try alert("a")], at: 0)
        let times = (1...100).filter { now in !bench.look([(try? alert("a"))].compactMap { $0 }, at: Int64(now)).isEmpty }
        #expect(times == [10, 30, 50, 70, 90])
        #expect(bench.look([try alert("a", "critical")], at: 95) == ["worse +a"])
        #expect(bench.look([try alert("a", "critical")], at: 104) == [])
        #expect(bench.look([try alert("a", "critical")], at: 105) == ["reminder +a"])
    }

    @Test func `what is over the rate comes in one digest, and each alert once`() throws {
        let bench = Bench { $0.messagesPerHour = 3 }
        let storm = try (0..<500).map { try alert("x\($0)", stream: "s\($0)") }
        bench.look(storm, at: second)
        #expect(bench.heard.count == 3 && bench.heard.last?.reason == .digest)
        #expect(bench.heard.flatMap { $0.firing.map(\.id) }.sorted() == storm.map(\.id).sorted())
        let over = try (0..<500).map { try alert("x\($0)", open: false, stream: "s\($0)") }
        #expect(bench.look(over, at: 2 * second) == [], "no room")
        bench.look(over, at: hour + 2 * second)
        #expect(bench.heard.count == 6 && bench.heard[3...].flatMap { $0.resolved.map(\.id) }.sorted() == storm.map(\.id).sorted())
        #expect(Set(bench.heard.map(\.key)).count == 6)
    }

    @Test func `quiet hours hold back all but the severe, over midnight too`() throws {
        let bench = Bench { $0.quiet = (22 * 60, 7 * 60) }
        let both = [try alert("a"), try alert("b", "critical", stream: "t")]
        #expect(bench.look(both, at: 1, minute: 23 * 60) == ["first +b"])
        #expect(bench.look(both, at: 2, minute: 6 * 60 + 59) == [])
        #expect(bench.look(both, at: 3, minute: 7 * 60) == ["first +a"])
    }

    @Test func `a stream that flaps is told only when it stays`() throws {
        let bench = Bench { ($0.flapMax, $0.flapWindow, $0.flapHold) = (3, 1000, 100) }
        for round in 0..<2 {
            #expect(bench.look([try alert("f\(round)")], at: Int64(round * 10)).count == 1)
            bench.look([try alert("f\(round)", open: false)], at: Int64(round * 10 + 5))
        }
        #expect(bench.look([try alert("f2")], at: 20) == [])
        #expect(bench.look([], at: 25) == [], "the third is held, and over")
        #expect(bench.look([try alert("f3")], at: 30) == [])
        #expect(bench.look([try alert("f3")], at: 129) == [])
        #expect(bench.look([try alert("f3")], at: 130) == ["first +f3"])
        #expect(bench.look([try alert("g", stream: "other")], at: 31, asked: []).count == 1, "others are not held")
    }

    @Test func `an alert that is not stored any more is over, one that was not asked for is left alone`() throws {
        let bench = Bench()
        bench.look([try alert("a")], at: 1)
        #expect(bench.look([], at: 2, asked: []) == [])
        #expect(bench.look([], at: 3) == ["resolved -a"])
    }

    @Test func `a message that is tried again has the same key, another content another`() throws {
        let bench = Bench()
        let first = bench.engine.due([try alert("a")], asked: [], now: 1, minute: 0).map(\.key)
        #expect(bench.engine.due([try alert("a")], asked: [], now: 99, minute: 0).map(\.key) == first)
        #expect(bench.engine.due([try alert("a", "critical")], asked: [], now: 99, minute: 0).map(\.key) != first)
    }

    /// Alerts open, worsen, are silenced, close; the sink refuses at random and the program starts again from its records at random.
    @Test func `whatever comes, each step is heard once by its key and in the end the sink believes what is`() throws {
        var numbers = SeededRandom(seed: 5)
        for _ in 0..<60 {
            let bench = Bench { ($0.groupWait, $0.groupInterval, $0.messagesPerHour) = (3, 7, Bool.random(using: &numbers) ? 5 : 0) }
            var records: [String: JSONValue] = [:]
            var alerts: [String: NotifyAlert] = [:]
            var keys: Set<String> = []
            var believed: Set<String> = []
            var now: Int64 = 0
            for step in 0..<120 {
                // At the end there is time for what the rate limit holds back.
                now += step < 100 ? Int64.random(in: 1...(hour / 20), using: &numbers) : hour
                if step < 100 {
                    let id = "a\(Int.random(in: 0..<40, using: &numbers))"
                    if var known = alerts[id], known.isOpen {
                        switch Int.random(in: 0..<4, using: &numbers) {
                        case 0: known = try alert(id, "critical", stream: id)
                        case 1: known.silencedBy = known.silencedBy == nil ? "s" : nil
                        default: known = try alert(id, known.severity.rawValue, open: false, stream: id)
                        }
                        alerts[id] = known
                    } else if alerts[id] == nil {
                        alerts[id] = try alert(id, stream: id)
                    }
                } else {
                    for id in alerts.keys { alerts[id]?.silencedBy = nil }
                }
                if Int.random(in: 0..<10, using: &numbers) == 0 {
                    var book = ToldBook()
                    for record in records.values { book.take(record) }
                    bench.engine = SinkEngine(sink: "s", rules: bench.engine.rules, book: book, glob: { $0 == $1 })
                }
                let shown = alerts.values.filter { $0.isOpen || bench.engine.book.ids.contains($0.id) }
                for notice in bench.engine.due(Array(shown), asked: Set(bench.engine.book.ids), now: now, minute: 0) {
                    guard step >= 100 || Int.random(in: 0..<3, using: &numbers) > 0 else { continue }
                    #expect(keys.insert(notice.key).inserted, "told twice: \(notice.key)")
                    for alert in notice.firing { believed.insert(alert.id) }
                    for alert in notice.resolved { #expect(believed.remove(alert.id) != nil, "over, and never told: \(alert.id)") }
                    for group in bench.engine.told(notice, now: now) {
                        let record = bench.engine.book.record(of: group, sink: "s")
                        records[group] = record["over"]?.truth == true ? nil : try JSONValue.parse(Array(record.compact.utf8))
                    }
                }
            }
            #expect(believed == Set(alerts.values.filter(\.isOpen).map(\.id)))
            #expect(Set(bench.engine.book.ids) == believed)
        }
    }
}

@Suite struct PayloadTests {
    @Test func `the labels of an alert never change over its life, and its severity is told beside them`() throws {
        let before = Payloads.alertmanager(try alert("a"), severityAtOpen: .warning, until: "x")
        let after = Payloads.alertmanager(try alert("a", "critical", open: false), severityAtOpen: .warning, until: "x")
        #expect(before["labels"] == after["labels"])
        #expect(before["annotations"]?["severity"]?.text == "warning" && after["annotations"]?["severity"]?.text == "critical")
        #expect(before["endsAt"]?.text == "x" && after["endsAt"]?.text == "2026-11-23T09:00:00Z")
        #expect(before["labels"]?["site"]?.text == "a" && before["labels"]?["alertname"]?.text == "rnn_watchd_anomaly")
    }

    @Test func `the webhook document has the members of Alertmanager's version 4`() throws {
        let notice = Notice(key: "k", group: "g", reason: .first, firing: [try alert("a")], resolved: [try alert("b", open: false)])
        let document = Payloads.webhook(notice, sink: "s", atOpen: { _ in nil })
        for name in [
            "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels", "commonAnnotations",
            "externalURL", "alerts",
        ] { #expect(document[name] != nil, "\(name)") }
        #expect(document["version"]?.text == "4" && document["status"]?.text == "firing" && document["receiver"]?.text == "s")
        let alerts = try #require(document["alerts"]?.items)
        #expect(alerts.map { $0["status"]?.text } == ["firing", "resolved"])
        for alert in alerts {
            for name in ["labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"] { #expect(alert[name] != nil) }
        }
        #expect(alerts[0]["fingerprint"] != alerts[1]["fingerprint"])
        #expect(document["commonLabels"]?["stream"]?.text == "pump,site=a" && document["commonLabels"]?["alert_id"] == nil)
    }

    @Test func `a title and an environment have no line end and no zero byte`() throws {
        let notice = Notice(key: "k", group: "g", reason: .first, firing: [try alert("a", stream: "x\ny\u{0}z")], resolved: [])
        #expect(!Payloads.title(notice).unicodeScalars.contains { $0.value < 32 })
        #expect(Payloads.environment(notice, sink: "s").allSatisfy { !$0.value.unicodeScalars.contains("\u{0}") })
    }
}
