import Alerting
import Tabular

/// Silences in their table.
private enum SilenceRows {
    static let columns =
        "id, form, scope, starts_at, ends_at, duration, calendar, began_at, learns, who, comment, created_at, ended_at, ended_by"

    static func silence(_ row: Statement) -> Silence {
        var silence = Silence(
            id: row.text(0), form: Silence.Form(rawValue: row.text(1)) ?? .fixed, scope: SilenceScope(text: row.text(2)),
            startsAt: row.integer(3), by: row.text(9), createdAt: row.integer(11))
        (silence.endsAt, silence.duration, silence.calendar) = (row.optionalInteger(4), row.optionalInteger(5), row.optionalText(6))
        (silence.beganAt, silence.learns, silence.comment) = (row.optionalInteger(7), row.integer(8) != 0, row.text(10))
        (silence.endedAt, silence.endedBy) = (row.optionalInteger(12), row.optionalText(13))
        return silence
    }

    static func all(_ database: Database) throws(StoreError) -> [Silence] {
        var all: [Silence] = []
        try database.rows("SELECT \(columns) FROM silences ORDER BY created_at, id", doing: "read silences") { row throws(StoreError) in
            all.append(silence(row))
        }
        return all
    }
}

extension SilenceScope {
    /// As it stands in a row and in a note of a batch.
    public var text: String {
        func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
        return JSONValue.object(["streams": list(streams), "tags": list(tags), "kinds": list(kinds), "channels": list(channels)]).compact
    }

    /// Reads `text`; what cannot be read matches nothing.
    public init(text: String) {
        guard let value = try? JSONValue.parse(Array(text.utf8)) else {
            self.init(streams: [""])
            return
        }
        func list(_ name: String) -> [String] { value[name]?.items?.compactMap(\.text) ?? [] }
        self.init(streams: list("streams"), tags: list("tags"), kinds: list("kinds"), channels: list("channels"))
    }
}

extension StoreReader {
    /// All silences that are remembered, oldest first.
    public func silences() throws(StoreError) -> [Silence] { try SilenceRows.all(database) }
}

extension StoreWriter {
    public func silences() throws(StoreError) -> [Silence] { try SilenceRows.all(database) }

    func loadSilences(now: Int64) throws(StoreError) {
        watchfulSilences = try silences().filter { [.flexible, .shelf].contains($0.form) && !$0.isOver(at: now) }
    }

    public func add(_ silence: Silence, now: Int64) throws(StoreError) {
        try database.run(
            "INSERT INTO silences (\(SilenceRows.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                .text(silence.id), .text(silence.form.rawValue), .text(silence.scope.text), .integer(silence.startsAt),
                .optional(silence.endsAt), .optional(silence.duration), .optional(silence.calendar), .optional(silence.beganAt),
                .integer(silence.learns ? 1 : 0), .text(silence.by), .text(silence.comment), .integer(silence.createdAt),
                .optional(silence.endedAt), .optional(silence.endedBy),
            ], doing: "store a silence")
        try loadSilences(now: now)
    }

    /// false: there is none of that id that is not over.
    public func endSilence(_ id: String, by: String, now: Int64) throws(StoreError) -> Bool {
        guard let silence = try silences().first(where: { $0.id == id }), !silence.isOver(at: now) else { return false }
        try database.run(
            "UPDATE silences SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL", [.integer(now), .text(by), .text(id)],
            doing: "end a silence")
        try loadSilences(now: now)
        return true
    }

    /// An alert opened: it begins the flexible silences that waited for it, and a shelf for its stream takes it.
    func beginSilences(_ alert: Alert, now: Int64) throws(StoreError) {
        for silence in watchfulSilences
        where silence.scope.matches(stream: alert.streamKey, kind: alert.kind.rawValue, channels: alert.channels, glob: matches) {
            if silence.begins(at: now) {
                try database.run(
                    "UPDATE silences SET began_at = ? WHERE id = ? AND began_at IS NULL", [.integer(now), .text(silence.id)],
                    doing: "begin a silence")
                try loadSilences(now: now)
            } else if silence.form == .shelf, let spell = silence.spell(at: now, occurrence: { _ in nil }) {
                _ = try act(.shelve(by: silence.by, until: spell.until, text: silence.comment), on: alert.id, now: now)
            }
        }
    }

    func forgetOldSilences(before: Int64) throws(StoreError) {
        for silence in try silences() where silence.isOver(at: before) {
            try database.run("DELETE FROM silences WHERE id = ?", [.text(silence.id)], doing: "forget an old silence")
        }
    }
}
