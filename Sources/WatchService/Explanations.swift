import Configuration
import Control
import Detection
import Platform
import Readings
import Store
import Tabular
import TimeSeries
import Watching

/// Explanations of alerts: those that were stored, or worked out from checkpoint and journal. The same for the daemon and for
/// `rnnctl --state-dir`. Nothing is needed in the path of a reading.
public enum Explanations {
    /// Answers `alerts.explain`: `id` (or a beginning of it), `fresh` to ignore what is stored.
    /// - Parameter configuration: whose budgets were in force; nil: defaults.
    public static func answer(_ reader: StoreReader, _ arguments: JSONValue, _ configuration: Configuration? = nil) throws -> JSONValue {
        let id = try resolve(reader, arguments["id"]?.text ?? "")
        if arguments["fresh"]?.truth != true, let stored = try reader.explanation(id: id) { return try JSONValue.parse(Array(stored.utf8)) }
        return try make(reader, id, configuration ?? Configuration(), ModelShelf(databasePath: reader.path))
    }

    private static func resolve(_ reader: StoreReader, _ text: String) throws -> String {
        guard !text.isEmpty else { throw ControlError.badRequest("explain wants the id of an alert") }
        if try reader.alertOrigin(id: text) != nil { return text }
        let candidates = try reader.alertIDs(prefix: text)
        guard candidates.count <= 1 else {
            throw ControlError.failed("several alerts begin with \(text): \(candidates.joined(separator: ", "))")
        }
        guard let only = candidates.first else { throw ControlError.failed("no alert \(text); `rnnctl alerts query` shows all") }
        return only
    }

    /// Works an explanation out: the stream's last checkpoint before the alert, then the journal up to its reading.
    /// - Parameter isCancelled: asked now and then; true makes it end with an error.
    /// - Errors: an alert of another kind, or one whose readings are gone.
    static func make(
        _ reader: StoreReader, _ id: String, _ configuration: Configuration, _ models: ModelShelf,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> JSONValue {
        var result: Result<JSONValue, any Error>?
        try reader.view { () throws(StoreError) in
            do { result = .success(try read(reader, id, configuration, models, isCancelled)) } catch { result = .failure(error) }
        }
        guard let result else { throw ControlError.failed("no alert \(id)") }
        return try result.get()
    }

    private static func read(
        _ reader: StoreReader, _ id: String, _ configuration: Configuration, _ models: ModelShelf,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) throws -> JSONValue {
        guard let origin = try reader.alertOrigin(id: id) else { throw ControlError.failed("no alert \(id)") }
        guard origin.kind == "anomaly" else {
            throw ControlError.failed(
                "cannot explain \(id): got an alert of kind \(origin.kind), expected anomaly; `rnnctl alerts show \(id)` tells all about it"
            )
        }
        let gone = ControlError.failed(
            "cannot explain \(id): its readings are no longer in the journal and no explanation was stored (explanations_max)")
        guard let first = try reader.firstSequence(), origin.sequence >= first,
            let stream = try reader.streams().first(where: { $0.id == origin.stream })
        else { throw gone }
        let block = Int64(StreamNumber.block(of: origin.stream))
        let generation = try reader.generations().first {
            $0.block == block && $0.sequence < origin.sequence && $0.sequence + 1 >= first
        }
        let checkpoint = try generation.flatMap { try reader.checkpoint($0) }
        let settings = try settings(configuration, models, layouts: checkpoint.map { [$0.block.layout] } ?? reader.layouts())
        let rosters = try reader.modelRosters().rosters.filter { $0.sequence < first }
        var replay = StreamReplay(
            settings: settings, stream: origin.stream, key: origin.streamKey,
            channels: stream.channels.map { String(decoding: $0, as: UTF8.self) },
            assignments: rosters.last?.assignments ?? [])
        if let checkpoint, checkpoint.isIntact {
            let stored = checkpoint.block
            try replay.restore(
                BlockSnapshot(
                    block: stored.block, sequence: stored.sequence, layout: stored.layout, streams: stored.streams, payload: stored.payload)
            )
        } else if try !isBorn(in: reader, origin) {
            throw gone
        }
        guard try approach(reader, &replay, origin, after: generation?.sequence ?? 0, isCancelled) else { throw gone }
        let facts = AlertExplainer.AlertFactsToExplain(
            id: origin.id, stream: origin.streamKey, channels: origin.channels, threshold: origin.threshold ?? settings.profile.threshold,
            score: origin.initialScore)
        guard var explainer = AlertExplainer(replay, alert: facts, isCancelled: isCancelled) else { throw gone }
        return try explainer.explain().json(timeText: TimeText.rfc3339)
    }

    /// The profile is that of the stored state.
    private static func settings(_ configuration: Configuration, _ models: ModelShelf, layouts: [UInt32]) throws -> WatchSettings {
        for name in [configuration.text("profile"), "default", "light"] {
            var trial = configuration
            _ = trial.set("profile", to: name)
            let settings = DaemonSettings.watch(trial, models: models)
            if layouts.isEmpty || layouts.contains(Detector(profile: settings.profile).layoutVersion) { return settings }
        }
        throw ControlError.failed("cannot explain: the learned state was made by another version of this program")
    }

    /// Whether the stream's first reading is in the journal.
    private static func isBorn(in reader: StoreReader, _ origin: AlertOrigin) throws -> Bool {
        var isBorn = false
        let scratch = ReadingBatch(entryCapacity: 4096, fieldCapacity: 1 << 17)
        try reader.journal(after: 0, through: origin.sequence) { row, isIntact in
            guard isIntact, !isBorn else { return }
            try? JournalCodec.batches(of: row.payload, scratch: scratch) { batch in
                for note in batch.notes { if case .stream(origin.stream, _) = note { isBorn = true } }
            }
        }
        return isBorn
    }

    /// Replays up to the reading that opened the alert; false when it does not come.
    private static func approach(
        _ reader: StoreReader, _ replay: inout StreamReplay, _ origin: AlertOrigin, after: Int64, _ isCancelled: () -> Bool
    ) throws -> Bool {
        let scratch = ReadingBatch(entryCapacity: 4096, fieldCapacity: 1 << 17)
        let tracked = replay.place(of: origin.channels.first ?? "")
        var isThere = false
        var problem: CodingError?
        try reader.journal(after: after, through: origin.sequence) { row, isIntact in
            guard isIntact, !isThere, problem == nil, !isCancelled() else { return }
            do throws(CodingError) {
                try JournalCodec.batches(of: row.payload, scratch: scratch) { batch in
                    if isThere || batch.sequence <= after || isCancelled() { return }
                    isThere = replay.apply(
                        batch, tracked: tracked, isWanted: { batch.sequence == origin.sequence && $0 == origin.openedAt })
                }
            } catch { problem = error }
        }
        if let problem { throw problem }
        return isThere
    }
}
