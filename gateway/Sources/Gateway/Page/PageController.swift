import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import Platform
import Tabular
import TimeSeries

/// The page: five views drawn on the server. They read without script; GET changes nothing.
struct PageController: Sendable {
    let parts: GatewayParts
    let control: any ControlPort
    let sampler: Sampler

    func addRoutes(to router: Router<GatewayContext>) {
        router.get("/") { request, context in await page(request, context, "now", now) }
        router.get("alert") { request, context in await page(request, context, "now", alert) }
        router.get("explain") { request, context in await page(request, context, "now", explain) }
        router.get("alerts") { request, context in await page(request, context, "alerts", alerts) }
        router.get("streams") { request, context in await page(request, context, "streams", streams) }
        router.get("stream") { request, context in await page(request, context, "streams", stream) }
        router.get("budget") { request, context in await page(request, context, "budget", budget) }
        router.get("ingest") { request, context in await page(request, context, "ingest", ingest) }
        router.get("style.css") { _, _ in Page.asset(Assets.style, type: "text/css; charset=utf-8") }
        router.get("page.js") { _, _ in Page.asset(Assets.script, type: "text/javascript; charset=utf-8") }
        router.get("try") { request, context in await page(request, context, "try", tryForm) }
        router.post("try") { request, context in await tryFile(request, context) }
        router.post("act") { request, context in await act(request, context) }
    }

    struct View {
        var title: String
        var body: HTML
        /// Asked for again by the script.
        var isLive = true
    }

    typealias Query = [String: String]

    private func page(
        _ request: Request, _ context: GatewayContext, _ place: String, _ view: (Query) async throws(ControlFailure) -> View
    ) async -> Response {
        do { _ = try parts.reception.access.identify(request, context.peer, needs: .read) } catch {
            var response = Page.response(
                error.status, View(title: "Not allowed", body: "<h1>Not allowed</h1><p>\(error.reason)</p>", isLive: false), place)
            if error.status == .unauthorized { response.headers[.wwwAuthenticate] = "Basic realm=\"rnn-gateway\", charset=\"UTF-8\"" }
            return response
        }
        do {
            return Page.response(.ok, try await view(Page.query(request.uri.query ?? "")), place, for: request)
        } catch {
            let status: HTTPResponse.Status = if case .unreachable = error { .badGateway } else { .notFound }
            let title = status == .badGateway ? "The daemon does not answer" : "There is nothing here"
            return Page.response(status, View(title: title, body: "<h1>\(title)</h1><p>\("\(error)")</p>"), place)
        }
    }

    private func ask(_ command: String, _ members: [(String, JSONValue)] = []) async throws(ControlFailure) -> JSONValue {
        try await control.ask(command, .object(members.map { JSONValue.Member($0.0, $0.1) }))
    }

    // MARK: - Now

    private func now(_ query: Query) async throws(ControlFailure) -> View {
        let status = try await ask("status")
        let open = try await ask("alerts.query", [("state", "open"), ("limit", .integer(500))]).rows
        func count(_ severity: String) -> Int { open.count { $0["severity"]?.text == severity } }
        let quiet = open.count { $0["kind"]?.text == "stale" }
        let warming =
            (status["streams"]?.integerValue ?? 0) <= 5000
            ? try await ask("streams.list").rows.filter { ($0["warm_up"]?.doubleValue ?? 1) < 1 }.count : nil
        let refused = Page.sum(status["lines_refused"]) + Page.sum(status["readings_dropped"])
        let lag = status["lag_p99_seconds"]?.doubleValue
        let problem = status["storage_problem"]?.text ?? ""
        let tiles: [HTML] = [
            Page.tile(count("critical"), "critical", count("critical") > 0 ? "critical" : "good"),
            Page.tile(count("warning"), "warnings", count("warning") > 0 ? "warning" : "good"),
            Page.tile(count("info"), "for information", ""),
            Page.tile(quiet, "gone quiet", quiet > 0 ? "warning" : ""),
            Page.tile(Int(status["streams"]?.integerValue ?? 0), warming.map { "streams, \($0) warming up" } ?? "streams", ""),
            "<li><b>\(lag.map { NumberText.fixed($0, $0 < 10 ? 2 : 0) } ?? "–")</b> s lag (99 %)</li>",
            Page.tile(refused, "refused or dropped", ""),
        ]
        let notice: HTML = problem.isEmpty ? "" : "<p class=\"notice\" role=\"alert\">Storage: \(problem)</p>"
        let order = ["critical": 0, "warning": 1, "info": 2]
        let sorted = open.sorted { (order[$0.shown("severity")] ?? 3) < (order[$1.shown("severity")] ?? 3) }
        return View(
            title: open.isEmpty ? "All quiet" : "\(open.count) open alerts",
            body: """
                <h1>\(open.isEmpty ? "All quiet" : "Open alerts")</h1>\(notice)<ul class="tiles">\(tiles)</ul>
                <h2>Open now</h2>\(Page.alertTable(sorted, "Open alerts", empty: "No open alert."))
                <p><a href="/alerts">All alerts</a></p>
                """)
    }

    private func alerts(_ query: Query) async throws(ControlFailure) -> View {
        var arguments: [(String, JSONValue)] = [("limit", .integer(200))]
        for name in ["stream", "kind", "state", "min_severity"] {
            if let value = query[name], !value.isEmpty { arguments.append((name, .string(value))) }
        }
        let rows = try await ask("alerts.query", arguments).rows
        let form: HTML = """
            <form class="act" method="get" action="/alerts"><label>Stream (glob) <input name="stream" value="\((query["stream"] ?? ""))"></label>
            <label>State <select name="state">\(["", "open", "closed"].map { Page.option($0, (query["state"] ?? "")) })</select></label>
            <label>At least <select name="min_severity">\(["", "info", "warning", "critical"].map { Page.option($0, (query["min_severity"] ?? "")) })</select></label>
            <button>Show</button></form>
            """
        return View(
            title: "Alerts",
            body: "<h1>Alerts</h1>\(form)\(Page.alertTable(rows.reversed(), "Alerts, newest first", empty: "No alert fits."))")
    }

    // MARK: - Alert

    private func alert(_ query: Query) async throws(ControlFailure) -> View {
        let id = (query["id"] ?? "")
        let alert = try await ask("alerts.show", [("id", .string(id))])
        let stream = alert["stream"]?.text ?? ""
        let channel = alert["channels"]?.items?.first?.text ?? ""
        let opened = alert["opened_at"]?.text.flatMap { TimeText.parse($0) }
        let others = try await near(opened)
        let past = try await ask("alerts.query", [("stream", .string(Page.globLiteral(stream))), ("limit", .integer(11))]).rows
        let facts: [(String, HTML)] =
            [
                ("Stream", "<a href=\"/stream?stream=\(HTML(raw: HTML.query(stream)))\">\(stream)</a>"),
                ("Channels", "\(alert.shown("channels"))"),
                ("Kind", "\(alert.shown("kind"))"), ("State", "\(alert.shown("state"))"), ("Opened", Page.time(alert["opened_at"])),
                ("Closed", Page.time(alert["closed_at"])),
                ("Score", "\(alert.shown("initial_score")), at most \(alert.shown("peak_score")); threshold \(alert.shown("threshold"))"),
                (
                    "Observed",
                    "\(alert.shown("observed")), expected \(alert.shown("expected")) (\(alert.shown("band_low")) to \(alert.shown("band_high")))"
                ),
            ]
            + ["attention", "acked_by", "shelved_until", "comment", "close_reason", "incident", "feedback"].compactMap { name in
                alert[name].flatMap { $0 == .null ? nil : (Page.words(name), "\($0.shown)" as HTML) }
            }
        let list = facts.map { "<dt>\($0.0)</dt><dd>\($0.1)</dd>" as HTML }
        let shares = (alert["contributions"]?.items ?? []).map { row in
            ["\(row.shown("name"))", "\(row.shown("share"))", "\(row.shown("note"))"] as [HTML]
        }
        let evidence = (alert["evidence"]?.items ?? []).map { row in
            ["\(row.shown("name"))", "\(row.shown("share"))", "\(row.shown("note"))"] as [HTML]
        }
        let steps = (alert["events"]?.items ?? []).map { row in
            [
                Page.time(row["at"]), "\(row.shown("transition"))", "\(row.shown("score"))", "\(row["by"]?.text ?? "")",
                "\(row["text"]?.text ?? "")",
            ] as [HTML]
        }
        let alertID = alert["id"]?.text ?? id
        return View(
            title: "\(alert.shown("severity")): \(stream)",
            body: """
                <h1>\(Page.badge(alert.shown("severity"))) \(stream)</h1><p class="told">\(alert.shown("reason"))</p>
                \(Page.curve(alert, channel).html)<dl>\(list)</dl>\(actForms(alertID, alert))
                <h2>What made it</h2>\(HTML.table("Contributions of channels", ["Channel", "Share", "Note"], shares, empty: "One channel alone."))
                \(HTML.table("Evidence", ["Evidence", "Points", "Note"], evidence, empty: "No evidence is stored."))
                <p><a href="/explain?id=\(HTML(raw: HTML.query(alertID)))">Explain it reading by reading</a></p>
                <h2>Its steps</h2>\(HTML.table("Steps", ["At", "Step", "Score", "By", "Words"], steps, empty: "No step."))
                <h2>At the same time</h2>\(Page.alertTable(others.filter { $0["id"]?.text != alertID }, "Other alerts within ten minutes", empty: "Nothing else was odd then."))
                <h2>Before, in this stream</h2>\(Page.alertTable(past.reversed().filter { $0["id"]?.text != alertID }, "The last alerts of this stream", empty: "It is the first of this stream."))
                """)
    }

    private func near(_ opened: Int64?) async throws(ControlFailure) -> [JSONValue] {
        guard let opened else { return [] }
        let (from, to) = (opened - 600_000_000_000, opened + 600_000_000_000)
        return try await ask("alerts.query", [("since", .integer(from)), ("until", .integer(to)), ("limit", .integer(20))]).rows
    }

    private func explain(_ query: Query) async throws(ControlFailure) -> View {
        let id = (query["id"] ?? "")
        let answer = try await ask("alerts.explain", [("id", .string(id))])
        let parts = answer["score_parts"]
        let readings = (parts?["readings"]?.items ?? []).map { row in
            [
                Page.time(row["time"]), "\(row.shown("observed"))", "\(row.shown("expected"))", "\(row.shown("score"))",
                "\(row.shown("score_without"))",
            ] as [HTML]
        }
        let evidence = (parts?["evidence"]?.items ?? []).map { row in ["\(row.shown("name"))", "\(row.shown("points"))"] as [HTML] }
        let counter = answer["counterfactual"]
        let changes = (counter?["changes"]?.items ?? []).map { row in
            [Page.time(row["time"]), "\(row.shown("channel"))", "\(row.shown("from"))", "\(row.shown("to"))"] as [HTML]
        }
        let sentence: HTML =
            counter?["found"]?.truth == true
            ? "<p>It would not have been an alert with these values:</p>\(HTML.table("Counterfactual", ["Time", "Channel", "Was", "Would be"], changes, empty: "No change."))"
            : "<p>No change of single readings would have kept it below the threshold.</p>"
        return View(
            title: "Why: \(answer.shown("stream"))",
            body: """
                <h1>Why \(answer.shown("stream"))</h1><p><a href="/alert?id=\(HTML(raw: HTML.query(id)))">Back to the alert</a></p>
                <dl><dt>Network</dt><dd>\(answer.shown("network"))</dd><dt>Score</dt><dd>\(answer.shown("score")), threshold \(answer.shown("threshold"))</dd></dl>
                <h2>What would have kept it quiet</h2>\(sentence)
                <h2>Readings</h2>\(HTML.table("Readings before the alert", ["Time", "Observed", "Expected", "Score", "Score without it"], readings, empty: "None."))
                <h2>Evidence</h2>\(HTML.table("Evidence", ["Evidence", "Points"], evidence, empty: "None."))
                """, isLive: false)
    }

    // MARK: - Streams

    private func streams(_ query: Query) async throws(ControlFailure) -> View {
        let match = (query["match"] ?? "")
        let rows = try await ask("streams.list", match.isEmpty ? [] : [("stream", .string(match))]).rows
        let shown = rows.prefix(500).map { row in
            [
                "<a href=\"/stream?stream=\(HTML(raw: HTML.query(row.shown("stream"))))\">\(row.shown("stream"))</a>",
                "\(row.shown("channels"))",
                "\(row.shown("readings"))", Page.time(row["last_reading_at"]), "\(row.shown("score"))", "\(row.shown("threshold"))",
                "\(Int(((row["warm_up"]?.doubleValue ?? 0) * 100).rounded())) %", "\(row.shown("state"))",
            ] as [HTML]
        }
        let more: HTML = rows.count > 500 ? "<p>\(rows.count - 500) more: narrow the pattern.</p>" : ""
        return View(
            title: "Streams",
            body: """
                <h1>Streams</h1><form class="act" method="get" action="/streams"><label>Pattern <input name="match" value="\(match)" placeholder="pump*"></label><button>Show</button></form>
                \(HTML.table("\(rows.count) streams", ["Stream", "Channels", "Readings", "Last", "Score", "Threshold", "Warm-up", "State"], shown, empty: "No stream."))\(more)
                """)
    }

    private func stream(_ query: Query) async throws(ControlFailure) -> View {
        let key = (query["stream"] ?? "")
        let state = try await ask("streams.show", [("stream", .string(key))])
        _ = sampler.look(key)
        sampler.take(key, state)
        let curves = sampler.look(key)
        let past = try await ask("alerts.query", [("stream", .string(Page.globLiteral(key))), ("limit", .integer(20))]).rows
        let spans = past.compactMap { row -> (from: Int64, to: Int64)? in
            guard let from = row["opened_at"]?.text.flatMap({ TimeText.parse($0) }) else { return nil }
            return (from, row["closed_at"]?.text.flatMap { TimeText.parse($0) } ?? Int64.max)
        }
        let charts = curves.sorted { $0.key < $1.key }.map {
            Chart(title: "\(key): \($0.key)", points: $0.value, spans: spans).html(stream: key)
        }
        let channels = (state["channel_states"]?.items ?? []).map { row in
            [
                "\(row.shown("channel"))", "\(row.shown("value"))", "\(row.shown("expected"))",
                "\(row.shown("band_low")) to \(row.shown("band_high"))", Page.time(row["last_value_at"]),
            ] as [HTML]
        }
        let facts = [
            "readings", "last_reading_at", "interval_seconds", "score", "threshold", "threshold_reason", "warm_up_reason", "model",
            "model_state", "alerts_so_far", "state",
        ]
        .compactMap { name in
            state[name].flatMap { $0 == .null || $0.text == "" ? nil : "<dt>\(Page.words(name))</dt><dd>\($0.shown)</dd>" as HTML }
        }
        return View(
            title: key,
            body: """
                <h1>\(key)</h1>\(try await whyNot(key, query["at"]))
                \(charts)<p><small>The curves begin when a page of this stream was opened first, and follow for fifteen minutes after the last look. Choose a moment to ask why it was or was not an alert.</small></p>
                <form class="act" method="get" action="/stream"><input type="hidden" name="stream" value="\(key)"><label>Why, or why not, at <input name="at" value="\((query["at"] ?? ""))" placeholder="2026-03-01T12:00:00Z"></label><button>Ask</button></form>
                <h2>Channels</h2>\(HTML.table("Channels now", ["Channel", "Value", "Expected", "Band", "At"], channels, empty: "No channel."))
                <dl>\(facts)</dl><h2>Alerts</h2>\(Page.alertTable(past.reversed(), "Alerts of this stream", empty: "None so far."))
                """)
    }

    private func whyNot(_ stream: String, _ at: String?) async throws(ControlFailure) -> HTML {
        guard let at, !at.isEmpty else { return "" }
        guard let moment = TimeText.instant(at) else {
            return "<p class=\"notice\" role=\"alert\">Cannot read the moment: expected 2026-03-01T12:00:00Z.</p>"
        }
        do {
            let answer = try await ask("why-not", [("stream", .string(stream)), ("at", .integer(moment))])
            return
                "<section aria-label=\"Why or why not\"><p class=\"told\">\(answer.shown("why"))</p><p>At \(Page.time(answer["reading_at"])): score \(answer.shown("score")), threshold \(answer.shown("threshold")); \(answer.shown("channel")) was \(answer.shown("observed")), expected \(answer.shown("expected")).</p></section>"
        } catch {
            if case .unreachable = error { throw error }
            return "<p class=\"notice\" role=\"alert\">\("\(error)")</p>"
        }
    }

    // MARK: - Budget

    /// The multiples that the daemon counts beforehand.
    private static let rates = [("quarter", "¼ ×"), ("half", "½ ×"), ("same", "as now"), ("double", "2 ×"), ("fourfold", "4 ×")]

    private func budget(_ query: Query) async throws(ControlFailure) -> View {
        let place = Int(query["rate"] ?? "").map { min(max($0, 0), 4) } ?? 2
        let rows = try await ask("budget").rows
        let (column, label) = PageController.rates[place]
        let shown = rows.reversed().prefix(300).map { row in
            [
                "\(row.shown("scope"))", "\(row.shown("name"))", "\(row.shown("budget"))", "\(row.shown("promised"))",
                "\(row.shown("realised"))",
                "\(row.shown("ratio"))", "\(row.shown("raised_" + column))", "\(row.shown("state"))",
            ] as [HTML]
        }
        return View(
            title: "Budget",
            body: """
                <h1>False-alarm budget</h1><p>Promised against realised, and what another setting would have raised in the same time.</p>
                <form class="act" method="get" action="/budget"><label>Budget: \(label) <input type="range" name="rate" min="0" max="4" step="1" value="\(place)" list="rates"></label>
                <datalist id="rates">\(PageController.rates.enumerated().map { "<option value=\"\($0.offset)\" label=\"\($0.element.1)\"></option>" as HTML })</datalist><button>Show</button></form>
                \(HTML.table("Budget by stream, group and in all", ["Scope", "Name", "Budget", "Promised", "Realised", "Ratio", "Would have raised (\(label))", "State"], shown, empty: "No stream yet."))
                """, isLive: false)
    }

    // MARK: - Ingest

    private func ingest(_ query: Query) async throws(ControlFailure) -> View {
        let status = try await ask("status")
        let senders = parts.tally.senders.map { sender in
            [
                "\(sender.identity)", "\(sender.door)", "\(sender.agent)", "\(sender.requests)", "\(sender.lines)", "\(sender.refused)",
                "\(sender.lastStatus)",
                "\(TimeText.seconds(sender.lastAt))",
            ] as [HTML]
        }
        let examples = parts.tally.examples.map {
            ["\(TimeText.seconds($0.at))", "\($0.identity)", "\($0.door)", "\($0.reason)"] as [HTML]
        }
        var reasons: [[HTML]] = []
        for (name, told) in [("lines_refused", "refused"), ("readings_dropped", "dropped"), ("values_dropped", "values left out")] {
            guard case .object(let members) = status[name] ?? .null else { continue }
            for member in members where member.value.integerValue ?? 0 > 0 {
                reasons.append(["\(told)", "\(member.name)", "\(member.value.shown)"])
            }
        }
        let recent = (status["recent_refusals"]?.items ?? []).map { ["\($0.text ?? $0.compact)"] as [HTML] }
        return View(
            title: "Ingest",
            body: """
                <h1>Ingest</h1><h2>Who sends through this gateway</h2>
                \(HTML.table("Senders", ["Who", "Door", "Program", "Requests", "Readings", "Refused", "Last answer", "Last"], senders, empty: "Nobody yet."))
                <h2>What was refused here</h2>\(HTML.table("Refusals, newest first", ["At", "Who", "Door", "What and why"], examples, empty: "Nothing."))
                <h2>What the daemon counts</h2><p>\(status.shown("readings_accepted")) readings accepted, \(status.shown("readings_per_second")) a second now.</p>
                \(HTML.table("Reasons", ["What", "Reason", "Number"], reasons, empty: "Nothing is refused."))
                \(HTML.table("Recent refusals of the daemon", ["Line"], recent, empty: "None."))
                """)
    }
}
