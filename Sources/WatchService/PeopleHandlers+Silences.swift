import Alerting
import Configuration
import Control
import Platform
import Store
import Tabular
import TimeSeries

/// Silences over the control socket.
extension PeopleHandlers {
    static let silenceColumns = [
        "id", "form", "state", "about", "streams", "tags", "kinds", "channels", "starts_at", "ends_at", "duration_seconds", "calendar",
        "in_force_until", "next_at", "learn", "by", "comment", "created_at", "ended_at", "ended_by",
    ]

    /// Short and new.
    func silenceID(_ now: Int64) -> String {
        let known = Set(pipeline.silences.all().map(\.id))
        var number = UInt64(bitPattern: now / 1000)
        while true {
            let text = "s" + String(number % 2_176_782_336, radix: 36)
            if !known.contains(text) { return text }
            number &+= 1
        }
    }

    /// `streams`, `tags`, `kinds`, `channels` (arrays of globs); `from`, `until` (nanoseconds since 1970); `for` (nanoseconds); `calendar`;
    /// `flexible`; `learn`; `text`.
    func addSilence(_ arguments: JSONValue, _ by: String) throws -> JSONValue {
        func list(_ name: String) -> [String] { arguments[name]?.items?.compactMap(\.text) ?? [] }
        let now = Clocks.wall()
        let scope = SilenceScope(streams: list("streams"), tags: list("tags"), kinds: list("kinds"), channels: list("channels"))
        guard !scope.isEmpty else {
            throw ControlError.badRequest("a silence wants streams, tags, kinds or channels; for all streams say stream *")
        }
        for kind in scope.kinds where AlertKind(rawValue: kind) == nil {
            let kinds = AlertKind.allCases.map(\.rawValue)
            let nearest = Spelling.nearest(to: kind, among: kinds).map { "; did you mean \($0)?" } ?? ""
            throw ControlError.badRequest("kind: got \"\(kind)\", expected \(kinds.joined(separator: ", "))\(nearest)")
        }
        let span = arguments["for"]?.integerValue
        if let span, span <= 0 { throw ControlError.badRequest("for: got \(span), expected a positive span") }
        var silence = Silence(
            id: silenceID(now), form: .fixed, scope: scope, startsAt: arguments["from"]?.integerValue ?? now, by: by, createdAt: now)
        silence.learns = arguments["learn"]?.truth ?? true
        silence.comment = try text(arguments)
        silence.endsAt = arguments["until"]?.integerValue
        if let calendar = arguments["calendar"]?.text {
            guard let span else { throw ControlError.badRequest("a recurring silence wants a length: for") }
            do { _ = try pipeline.silences.rules(try CalendarEvent(calendar).zone) } catch { throw ControlError.badRequest("\(error)") }
            (silence.form, silence.calendar, silence.duration) = (.recurring, calendar, span)
        } else if arguments["flexible"]?.truth ?? false {
            guard let span, silence.endsAt != nil else {
                throw ControlError.badRequest("a flexible silence wants until (by when it may begin) and for (how long it lasts)")
            }
            (silence.form, silence.duration) = (.flexible, span)
        } else if silence.endsAt == nil {
            guard let span else { throw ControlError.badRequest("a silence wants an end: until or for") }
            silence.endsAt = silence.startsAt.addingReportingOverflow(span).partialValue
        }
        if let end = silence.endsAt, end <= max(now, silence.startsAt) {
            throw ControlError.badRequest("the silence would be over before it begins")
        }
        guard silence.learns || scope.isAboutStreams else {
            throw ControlError.badRequest("learn = false is about whole streams; leave out kind and channel")
        }
        return try add(silence, now)
    }

    func add(_ silence: Silence, _ now: Int64) throws -> JSONValue {
        try change { store throws(StoreError) in try store.add(silence, now: now) }
        try silencesChanged()
        let row = silenceTable(all: true).objects.first { $0["id"]?.text == silence.id }
        return row ?? .object(["id": .string(silence.id)])
    }

    /// From now on, not only from the next look of the main thread.
    func silencesChanged() throws {
        pipeline.silences.noteChange()
        if let acts = pipeline.silences.news(hasPausedStreams: false) { try pipeline.acts.act(acts, through: pipeline.ingest) }
        pipeline.stepsStored()
    }

    func endSilence(_ arguments: JSONValue, _ by: String) throws -> JSONValue {
        let ids = (arguments["ids"]?.items?.compactMap(\.text) ?? []) + [arguments["id"]?.text].compactMap { $0 }
        guard !ids.isEmpty else { throw ControlError.badRequest("silence.end wants ids; `rnnctl silence list` shows them") }
        let now = Clocks.wall()
        let ended = try change { store throws(StoreError) in
            var ended: [Bool] = []
            for id in ids { ended.append(try store.endSilence(id, by: by, now: now)) }
            return ended
        }
        try silencesChanged()
        let rows = zip(ids, ended).map {
            [JSONValue.string($0), .bool($1), .string($1 ? "ended" : "no silence of that id is in force or to come")]
        }
        return ControlProtocol.result(RecordTable(columns: ["id", "ok", "result"], rows: rows))
    }

    /// - Parameter all: those that are over, too.
    func silenceTable(all: Bool) -> RecordTable {
        let now = Clocks.wall()
        let rows = pipeline.silences.all().filter { all || !$0.isOver(at: now) }.map { silence -> [JSONValue] in
            let spell = pipeline.silences.spell(silence, at: now)
            func moment(_ time: Int64?) -> JSONValue { time.map { $0 == .max ? .null : .string(TimeText.rfc3339($0)) } ?? .null }
            func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
            let state = silence.isOver(at: now) ? "over" : spell != nil ? "in force" : silence.form == .flexible ? "waiting" : "to come"
            return [
                .string(silence.id), .string(silence.form.rawValue), .string(state), .string(silence.scope.words),
                list(silence.scope.streams),
                list(silence.scope.tags), list(silence.scope.kinds), list(silence.scope.channels), moment(silence.startsAt),
                moment(silence.endsAt), silence.duration.map { .number(Double($0) * 1e-9) } ?? .null, .optional(silence.calendar),
                moment(spell?.until), moment(pipeline.silences.next(silence, after: now)), .bool(silence.learns), .string(silence.by),
                .string(silence.comment), moment(silence.createdAt), moment(silence.endedAt), .optional(silence.endedBy),
            ]
        }
        return RecordTable(columns: PeopleHandlers.silenceColumns, rows: rows)
    }
}
