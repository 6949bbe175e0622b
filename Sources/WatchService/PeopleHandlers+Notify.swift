import Alerting
import Control
import Platform
import Store
import Tabular
import TimeSeries

/// What `rnn-notify` and `rnnctl notify` ask.
extension PeopleHandlers {
    /// What there is to tell: open alerts and those of `ids`, each with `silenced_by` (null: nobody keeps it back); waits up to `wait_seconds`
    /// for a step after `after`. With signs of life for a dead man's switch.
    func notifyState(_ request: ControlRequest) throws -> JSONValue? {
        let arguments = request.arguments
        let reader = try open()
        let wait = min(max(0, arguments["wait_seconds"]?.integerValue ?? 0), 60)
        let range = try reader.stepRange()
        if let after = arguments["after"]?.integerValue, after >= range.newest, !pipeline.board.hasTests,
            Clocks.monotonic() - request.askedAt < wait * 1_000_000_000
        {
            return nil
        }
        let now = Clocks.wall()
        let ids = arguments["ids"]?.items?.compactMap(\.text) ?? []
        let rows = try reader.view { () throws(StoreError) -> [JSONValue] in
            var filter = AlertFilter()
            filter.state = "open"
            var rows = try reader.alerts(filter, timeText: TimeText.rfc3339).objects
            let known = Set(rows.compactMap { $0["id"]?.text })
            (filter.state, filter.ids) = (nil, ids.filter { !known.contains($0) })
            if filter.ids?.isEmpty == false { rows += try reader.alerts(filter, timeText: TimeText.rfc3339).objects }
            return rows
        }
        let inForce = pipeline.silences.inForce(at: now)
        let alerts = rows.map { row -> JSONValue in
            guard case .object(let members) = row else { return row }
            let silence = SilenceKeeper.silencing(
                inForce, stream: row["stream"]?.text ?? "", kind: row["kind"]?.text ?? "",
                channels: row["channels"]?.items?.compactMap(\.text) ?? [])
            return .object(members + [.init("silenced_by", .optional(silence?.silence.id))])
        }
        return .object([
            "step": .integer(range.newest), "now": .string(TimeText.milliseconds(now)), "alerts": .array(alerts),
            "tests": pipeline.board.tests,
            "alive": pipeline.signsForWatchers(now),
        ])
    }

    func notifyStatus() -> JSONValue {
        guard let (report, at) = pipeline.board.status else {
            return .object(["running": .bool(false), "reason": .string("rnn-notify has not been heard of since the daemon started")])
        }
        let age = Double(Clocks.wall() - at) * 1e-9
        var members: [JSONValue.Member] = [.init("running", .bool(age < 120)), .init("heard_at", .string(TimeText.seconds(at)))]
        if case .object(let reported) = report { members += reported }
        return .object(members)
    }

    /// Asks rnn-notify for a test message and waits for what became of it.
    func notifyTest(_ request: ControlRequest) throws -> JSONValue? {
        guard let sink = request.arguments["sink"]?.text, !sink.isEmpty else { throw ControlError.badRequest("notify.test wants a sink") }
        let timeout: Int64 = 40_000_000_000
        let number: Int64
        if let known = asked[request.askedAt] {
            number = known
        } else {
            number = try pipeline.board.ask(test: sink)
            asked[request.askedAt] = number
            pipeline.stepsStored()
        }
        if let result = pipeline.board.result(number) {
            asked[request.askedAt] = nil
            return result
        }
        guard Clocks.monotonic() - request.askedAt > timeout else { return nil }
        asked[request.askedAt] = nil
        pipeline.board.forget(number)
        throw ControlError.failed("rnn-notify did not answer; is it running? systemctl status rnn-notify")
    }
}
