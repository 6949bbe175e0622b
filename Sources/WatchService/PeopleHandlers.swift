import Alerting
import Configuration
import Control
import Glibc
import Ingest
import LineFormats
import Platform
import Readings
import Store
import Tabular
import TimeSeries
import Watching

/// What people do and hear: the part of the control protocol about attention, silences, feedback and the life of streams. Used from the
/// control thread only.
final class PeopleHandlers {
    static let commands = [
        "alerts.ack", "alerts.shelve", "alerts.unshelve", "alerts.close", "alerts.comment", "alerts.feedback", "alerts.follow",
        "silence.add", "silence.list", "silence.end", "streams.forget", "streams.rename", "streams.reset", "streams.mute", "streams.unmute",
        "notify.state", "notify.report", "notify.status", "notify.test",
    ]

    let pipeline: Pipeline
    let open: () throws(StoreError) -> StoreReader
    /// Tests that were asked for, by when.
    var asked: [Int64: Int64] = [:]
    /// Alerts and streams of one request; texts and globs of any.
    static let manyMax = 10_000
    static let textMax = 4096

    init(pipeline: Pipeline, open: @escaping () throws(StoreError) -> StoreReader) { (self.pipeline, self.open) = (pipeline, open) }

    /// nil: the answer must wait.
    func answer(_ request: ControlRequest) throws -> JSONValue? {
        let by = PeopleHandlers.person(request)
        switch request.command {
        case "alerts.ack", "alerts.shelve", "alerts.unshelve", "alerts.comment": return try attend(request, by)
        case "alerts.close": return try close(request, by)
        case "alerts.feedback": return try feedback(request, by)
        case "alerts.follow": return try follow(request)
        case "silence.add": return try addSilence(request.arguments, by)
        case "silence.list": return ControlProtocol.result(silenceTable(all: request.arguments["all"]?.truth ?? false))
        case "silence.end": return try endSilence(request.arguments, by)
        case "streams.forget", "streams.reset", "streams.rename", "streams.mute", "streams.unmute":
            return try changeStreams(request, by)
        case "notify.state": return try notifyState(request)
        case "notify.report":
            pipeline.board.take(request.arguments)
            return .bool(true)
        case "notify.status": return notifyStatus()
        case "notify.test": return try notifyTest(request)
        default: throw ControlError.badRequest("unknown command \(request.command)")
        }
    }

    // MARK: - Who and what

    /// Who acts: the peer as the kernel knows it. The daemon's own user and root speak for others, and in a user namespace other users
    /// have no name: there the request may say who it is.
    static func person(_ request: ControlRequest) -> String {
        let said = request.arguments["by"]?.text.map { String($0.prefix(64)) } ?? ""
        guard let peer = request.peer else { return said.isEmpty ? "unknown" : said }
        let overflow: UInt32 = 65_534
        if !said.isEmpty, peer.userID == 0 || peer.userID == overflow || peer.userID == getuid() { return said }
        let name = getpwuid(peer.userID).map { String(cString: $0.pointee.pw_name) } ?? "uid \(peer.userID)"
        return said.isEmpty || said == name ? name : "\(said) via \(name)"
    }

    /// The comment of a request. Errors: too long.
    func text(_ arguments: JSONValue) throws -> String {
        let text = arguments["text"]?.text ?? ""
        guard text.utf8.count <= PeopleHandlers.textMax else {
            throw ControlError.badRequest("text: got \(text.utf8.count) bytes, expected at most \(PeopleHandlers.textMax)")
        }
        return text
    }

    struct Found {
        var id: String
        var row: JSONValue
    }

    /// The alerts that `ids` (whole ids, beginnings, or globs over ids of open alerts) and `stream` (a glob: its open alerts) name.
    /// What names none is in `missing` with the reason.
    func alerts(_ arguments: JSONValue) throws -> (found: [Found], missing: [(id: String, why: String)]) {
        let reader = try open()
        var wanted = arguments["ids"]?.items?.compactMap(\.text) ?? []
        if let one = arguments["id"]?.text { wanted.append(one) }
        let stream = arguments["stream"]?.text
        guard !wanted.isEmpty || stream != nil else { throw ControlError.badRequest("expected ids or a stream") }
        guard wanted.count <= PeopleHandlers.manyMax else {
            throw ControlError.badRequest("got \(wanted.count) ids, expected at most \(PeopleHandlers.manyMax)")
        }
        var ids: [String] = []
        var missing: [(String, String)] = []
        var filter = AlertFilter()
        filter.state = "open"
        let openOnes =
            wanted.contains { $0.contains("*") || $0.contains("?") } || stream != nil
            ? try reader.alerts(filter, timeText: TimeText.rfc3339).objects : []
        for one in wanted {
            if one.contains("*") || one.contains("?") {
                let hits = openOnes.compactMap { $0["id"]?.text }.filter { Glob.matches(one, $0) }
                if hits.isEmpty { missing.append((one, "no open alert matches")) }
                ids += hits
            } else {
                let candidates = try reader.alertIDs(prefix: one)
                if candidates.contains(one) || candidates.count == 1, let first = candidates.contains(one) ? one : candidates.first {
                    ids.append(first)
                } else {
                    missing.append(
                        (
                            one,
                            candidates.isEmpty ? "there is no such alert" : "several alerts begin so: \(candidates.joined(separator: ", "))"
                        ))
                }
            }
        }
        if let stream {
            ids += openOnes.filter { Glob.matches(stream, $0["stream"]?.text ?? "") }.compactMap { $0["id"]?.text }
        }
        var seen: Set<String> = []
        ids = ids.filter { seen.insert($0).inserted }
        return (try rows(ids), missing)
    }

    /// Rows of alerts as they are now, in the order of `ids`.
    func rows(_ ids: [String]) throws -> [Found] {
        var filter = AlertFilter()
        filter.ids = ids
        let rows = try open().alerts(filter, timeText: TimeText.rfc3339).objects
        let byID = Dictionary(rows.map { ($0["id"]?.text ?? "", $0) }, uniquingKeysWith: { first, _ in first })
        return ids.compactMap { id in byID[id].map { Found(id: id, row: $0) } }
    }

    /// The alerts after an act, with `ok` and what became of each.
    func table(_ results: [(id: String, ok: Bool, text: String)]) throws -> JSONValue {
        let known = Dictionary(try rows(results.map(\.id)).map { ($0.id, $0.row) }, uniquingKeysWith: { first, _ in first })
        let columns = StoreReader.alertColumns + ["ok", "result"]
        let rows = results.map { result -> [JSONValue] in
            let row = known[result.id]
            return StoreReader.alertColumns.map { $0 == "id" ? .string(result.id) : row?[$0] ?? .null } + [
                .bool(result.ok), .string(result.text),
            ]
        }
        return ControlProtocol.result(RecordTable(columns: columns, rows: rows))
    }

    /// A change of the store by its one writer, as one transaction.
    func change<Answer: Sendable>(_ body: @escaping @Sendable (StoreWriter) throws(StoreError) -> Answer) throws -> Answer {
        let answer = pipeline.writer.ask { store -> Result<Answer, StoreError> in
            var answer: Answer?
            do throws(StoreError) {
                try store.transaction { () throws(StoreError) in answer = try body(store) }
                try store.sync()
            } catch { return .failure(error) }
            guard let answer else { return .failure(.damaged(what: "answer", reason: "there is none")) }
            return .success(answer)
        }
        guard let answer else { throw ControlError.failed("the store is too busy to answer; try again") }
        return try answer.get()
    }

    // MARK: - Attention

    private func attend(_ request: ControlRequest, _ by: String) throws -> JSONValue {
        let arguments = request.arguments
        let text = try text(arguments)
        let now = Clocks.wall()
        let until = try end(arguments, now)
        let event: AttentionEvent
        switch request.command {
        case "alerts.ack": event = .ack(by: by, until: until, text: text)
        case "alerts.shelve":
            let until = until ?? now + AttentionRecord.shelfMax
            guard until - now <= AttentionRecord.shelfMax else {
                throw ControlError.badRequest("nothing is shelved for more than 7 days; a silence or a mute has no such limit")
            }
            event = .shelve(by: by, until: until, text: text)
        case "alerts.unshelve": event = .unshelve(by: by, text: text)
        default:
            guard !text.isEmpty else { throw ControlError.badRequest("a comment wants a text") }
            event = .comment(by: by, text: text)
        }
        let (found, missing) = try alerts(arguments)
        // A shelf for streams takes what opens later, too.
        if request.command == "alerts.shelve", let stream = arguments["stream"]?.text, case .shelve(_, let until, _) = event {
            var shelf = Silence(
                id: silenceID(now), form: .shelf, scope: SilenceScope(streams: [stream]), startsAt: now, by: by, createdAt: now)
            (shelf.endsAt, shelf.comment) = (until, text)
            let kept = shelf
            try change { store throws(StoreError) in try store.add(kept, now: now) }
            pipeline.silences.noteChange()
        }
        if request.command == "alerts.unshelve", let stream = arguments["stream"]?.text {
            let shelves = pipeline.silences.all().filter { $0.form == .shelf && $0.scope.streams == [stream] && !$0.isOver(at: now) }
            for shelf in shelves { _ = try change { store throws(StoreError) in try store.endSilence(shelf.id, by: by, now: now) } }
            pipeline.silences.noteChange()
        }
        let ids = found.map(\.id)
        let refusals = try change { store throws(StoreError) in
            var refusals: [String?] = []
            for id in ids { refusals.append(try store.act(event, on: id, now: now)?.description) }
            return refusals
        }
        pipeline.stepsStored()
        let words =
            switch event {
            case .ack(_, let until, _):
                until.map { "acknowledged until \(TimeText.seconds($0))" } ?? "acknowledged until it closes or gets worse"
            case .shelve(_, let until, _): "shelved until it closes, at the latest \(TimeText.seconds(until))"
            case .unshelve: "not shelved any more"
            default: "noted"
            }
        return try table(
            zip(ids, refusals).map { ($0, $1 == nil, $1 ?? words) } + missing.map { ($0.id, false, $0.why) })
    }

    /// `until` (nanoseconds since 1970) or `for` (nanoseconds); nil: neither.
    func end(_ arguments: JSONValue, _ now: Int64) throws -> Int64? {
        if let span = arguments["for"]?.integerValue {
            guard span > 0 else { throw ControlError.badRequest("for: got \(span), expected a positive span") }
            return now.addingReportingOverflow(span).overflow ? Int64.max : now + span
        }
        guard let until = arguments["until"]?.integerValue else { return nil }
        guard until > now else { throw ControlError.badRequest("until: got \(TimeText.seconds(until)), which is over") }
        return until
    }

    private func close(_ request: ControlRequest, _ by: String) throws -> JSONValue {
        let text = try text(request.arguments)
        let (found, missing) = try alerts(request.arguments)
        let streams = try streamNumbers(found)
        let acts = found.filter { $0.row["state"]?.text == "open" }.compactMap { alert -> IntakeAct? in
            guard let stream = streams[alert.id] else { return nil }
            return .note(.close(stream: stream, alert: alert.id, by: by, text: text), stream: stream)
        }
        try pipeline.acts.act(acts, through: pipeline.ingest)
        let after = Dictionary(try rows(found.map(\.id)).map { ($0.id, $0.row) }, uniquingKeysWith: { first, _ in first })
        return try table(
            found.map { alert in
                if alert.row["state"]?.text == "closed" { return (alert.id, false, "it is closed already") }
                let isClosed = after[alert.id]?["state"]?.text == "closed"
                return (alert.id, isClosed, isClosed ? "closed" : "it could not be closed")
            } + missing.map { ($0.id, false, $0.why) })
    }

    /// The stream number of each alert.
    func streamNumbers(_ found: [Found]) throws -> [String: UInt32] {
        try open().streamNumbers(ofAlerts: found.map(\.id))
    }

    // MARK: - Feedback

    private func feedback(_ request: ControlRequest, _ by: String) throws -> JSONValue {
        let verdict = request.arguments["verdict"]?.text ?? ""
        guard ["true", "false", "expected"].contains(verdict) else {
            throw ControlError.badRequest("feedback: got \"\(verdict)\", expected true, false or expected")
        }
        let text = try text(request.arguments)
        let (found, missing) = try alerts(request.arguments)
        let streams = try streamNumbers(found)
        let now = Clocks.wall()
        var acts: [IntakeAct] = []
        for alert in found {
            guard let stream = streams[alert.id] else { continue }
            acts.append(
                .note(
                    .feedback(
                        stream: stream, alert: alert.id, verdict: verdict, by: by, text: text, at: now, bar: bar(alert.row, verdict)),
                    stream: stream))
        }
        try pipeline.acts.act(acts, through: pipeline.ingest)
        pipeline.stepsStored()
        var results: [(String, Bool, String)] = []
        for alert in found { results.append((alert.id, true, try effect(alert.row, verdict))) }
        return try table(results + missing.map { ($0.id, false, $0.why) })
    }

    /// What a verdict does to the bar of the alert's stream.
    private func bar(_ alert: JSONValue, _ verdict: String) -> FeedbackBarNote? {
        guard alert["kind"]?.text == "anomaly", let peak = alert["peak_score"]?.doubleValue, let threshold = alert["threshold"]?.doubleValue
        else {
            return nil
        }
        let channel = Array((alert["channels"]?.items?.first?.text ?? "").utf8)
        switch verdict {
        case "false":
            return FeedbackBarNote(
                channel: channel, points: FeedbackBar.points(peak: peak, threshold: threshold), fade: FeedbackBar.fadeAlways, moment: nil)
        case "expected":
            return FeedbackBarNote(
                channel: channel, points: FeedbackBar.points(peak: peak, threshold: threshold), fade: FeedbackBar.fadeHour,
                moment: alert["opened_at"]?.text.flatMap { TimeText.parse($0) })
        default:
            // It takes back what an earlier verdict raised.
            guard let before = alert["feedback"]?.text, before != "true" else { return nil }
            return FeedbackBarNote(
                channel: channel, points: 0, fade: 1,
                moment: before == "expected" ? alert["opened_at"]?.text.flatMap { TimeText.parse($0) } : nil)
        }
    }

    /// In words, as the shard has it now.
    private func effect(_ alert: JSONValue, _ verdict: String) throws -> String {
        if verdict == "true" { return "true: it does not count against the false-alarm budget" }
        let counts = "\(verdict): it counts against the false-alarm budget"
        guard let key = alert["stream"]?.text, alert["kind"]?.text == "anomaly", let channel = alert["channels"]?.items?.first?.text,
            let details = pipeline.askShards({ [losses = pipeline.losses] in
                $0.watch.streamDetail(key: key, losses: losses, unitName: Unit.name, timeText: TimeText.rfc3339)
            }),
            let detail = details.compactMap({ $0 }).first, let threshold = detail["threshold"]?.doubleValue
        else {
            return counts + "; an alert of kind \(alert["kind"]?.text ?? "?") has no score, so no bar is raised (see stale_after, stuck)"
        }
        let bars = detail["feedback_bars"]?.items ?? []
        let own = bars.filter { $0["channel"]?.text == channel && ($0["hour_of_week"]?.integerValue != nil) == (verdict == "expected") }
        guard let points = own.compactMap({ $0["points"]?.doubleValue }).max() else { return counts }
        let needed = NumberText.short(((threshold + points) * 10).rounded() / 10)
        let days = (verdict == "expected" ? FeedbackBar.fadeHour : FeedbackBar.fadeAlways) / 86_400_000_000_000
        let hour = own.last?["hour_of_week"]?.integerValue.map { " on \(PeopleHandlers.hourOfWeek($0))" } ?? ""
        return counts
            + "; the like of it on this stream\(hour) now needs \(needed) points (\(NumberText.short((threshold * 10).rounded() / 10)) before), fading over \(days) days"
    }

    /// `Mon 02:00 to 05:00`: the hour and one to both sides.
    static func hourOfWeek(_ hour: Int64) -> String {
        let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
        func clock(_ hour: Int64) -> String { (hour % 24 < 10 ? "0" : "") + "\(hour % 24):00" }
        let from = (hour + 167) % 168
        return "\(days[Int(from / 24) % 7]) \(clock(from)) to \(clock((hour + 2) % 168))"
    }

    // MARK: - Steps

    private static let stepsMax: Int64 = 1000
    private static let waitMax: Int64 = 60

    /// Steps after `after`, at once or as soon as there are some, at most `wait_seconds`.
    private func follow(_ request: ControlRequest) throws -> JSONValue? {
        let arguments = request.arguments
        let limit = min(max(1, arguments["limit"]?.integerValue ?? 100), PeopleHandlers.stepsMax)
        let reader = try open()
        return try reader.view { () throws(StoreError) -> JSONValue? in
            let range = try reader.stepRange()
            // Without a cursor: from now on.
            let after = arguments["after"]?.integerValue ?? range.newest
            let steps = try reader.steps(after: after, limit: limit, stream: arguments["stream"]?.text, timeText: TimeText.rfc3339)
            let wait = min(max(0, arguments["wait_seconds"]?.integerValue ?? 0), PeopleHandlers.waitMax)
            // What begins now must not be missed while it waits.
            if steps.isEmpty, arguments["after"] != nil, Clocks.monotonic() - request.askedAt < wait * 1_000_000_000 { return nil }
            let last = steps.count < limit ? max(after, range.newest) : steps.last?["step"]?.integerValue ?? after
            return .object([
                "steps": .array(steps), "next": .integer(last), "newest": .integer(range.newest),
                "oldest": range.oldest.map { .integer($0) } ?? .null,
            ])
        }
    }
}
