import Configuration
import Control
import LineFormats
import Models
import Platform
import Readings
import Store
import Tabular
import TimeSeries
import Watching

/// What a state directory tells without a daemon: learned state is restored in memory, nothing is written.
public enum OfflineState {
    /// Restores everything with default settings or those of `configuration`. The answers about streams do not depend on the settings
    /// but for thresholds.
    private static func restore(
        _ reader: StoreReader, _ configuration: Configuration = Configuration(), isThorough: Bool = false
    ) throws -> (shards: [ShardBox], report: RestoreReport) {
        let models = ModelShelf(databasePath: reader.path)
        // The profile is part of the stored layout: try the default, then the other.
        var best: (shards: [ShardBox], report: RestoreReport)?
        for profile in ["default", "light"] {
            var trial = configuration
            _ = trial.set("profile", to: profile)
            var set = ShardSet(settings: DaemonSettings.watch(trial, models: models), shards: 1, channelsMax: 4096)
            let report = try Restorer.restore(reader, into: &set, batchCapacity: (4096, 1 << 17), isThorough: isThorough, progress: {})
            let found = (shards: set.take(), report: report)
            if report.problems.isEmpty { return found }
            if best.map({ report.problems.count < $0.report.problems.count }) ?? true { best = found }
        }
        guard let best else { throw StoreError.damaged(what: "state", reason: "nothing could be restored") }
        return best
    }

    /// - Parameter notice: told when part of what was learned could not be read.
    public static func streams(_ reader: StoreReader, matching glob: String, notice: (String) -> Void) throws -> RecordTable {
        let state = try restore(reader)
        tell(state.report, notice)
        let rows = state.shards.flatMap {
            $0.watch.streamRows(matching: { Glob.matches(glob, $0) }, losses: state.report.losses, timeText: TimeText.rfc3339)
        }
        return RecordTable(columns: ShardWatch.streamColumns, rows: rows)
    }

    private static func tell(_ report: RestoreReport, _ notice: (String) -> Void) {
        guard let first = report.problems.first else { return }
        let others = report.problems.count > 1 ? ", and \(report.problems.count - 1) more: see `rnnctl check`" : ""
        notice(
            "part of what was learned cannot be read (\(first.what): \(first.reason)\(others)); shown is what the rest and the journal tell"
        )
    }

    /// `rnnctl budget` without a daemon. `arguments`: `since`, `stream`; `configuration`: for the groups that share a budget; `notice`: as for
    /// `streams`.
    public static func budget(
        _ reader: StoreReader, _ arguments: JSONValue, _ configuration: Configuration, notice: (String) -> Void
    ) throws -> RecordTable {
        let glob = arguments["stream"]?.text ?? "*"
        let since = arguments["since"]?.integerValue
        let state = try restore(reader, configuration)
        tell(state.report, notice)
        let found = state.shards.flatMap {
            $0.watch.budgets(matching: { Glob.matches(glob, $0) }, since: since ?? .min)
        }
        return BudgetAudit.table(
            found, realised: try reader.anomalies(since: since ?? .min), since: since, groupName: { configuration.budgetGroup($0) })
    }

    /// `rnnctl why-not` without a daemon. `configuration`: that the readings were judged with.
    public static func whyNot(_ reader: StoreReader, _ arguments: JSONValue, _ configuration: Configuration) throws -> JSONValue {
        var configuration = configuration
        let models = ModelShelf(databasePath: reader.path)
        // The profile is part of the stored layout.
        let stored = try reader.layouts()
        var isKnown = stored.isEmpty
        for profile in ["default", "light"] {
            var trial = configuration
            _ = trial.set("profile", to: profile)
            let layout = ShardSet(settings: DaemonSettings.watch(trial, models: models), shards: 1, channelsMax: 1).layout
            if stored.contains(layout) { (configuration, isKnown) = (trial, true) }
        }
        guard isKnown else {
            throw ControlError.failed(
                "the learned state in \(reader.path) was written by another version of the detector, which would have to judge the reading: ask its rnnctl, or start this version's daemon, whose streams learn anew"
            )
        }
        return try WhyNot.answer(reader, DaemonSettings.watch(configuration, models: models), arguments)
    }

    /// - Parameter notice: as for `streams`.
    public static func stream(_ reader: StoreReader, key: String, notice: (String) -> Void) throws -> JSONValue? {
        let state = try restore(reader)
        tell(state.report, notice)
        return state.shards.compactMap {
            $0.watch.streamDetail(key: key, losses: state.report.losses, unitName: Unit.name, timeText: TimeText.rfc3339)
        }.first
    }

    /// The persistent part of `rnnctl status`.
    public static func status(_ reader: StoreReader) throws -> JSONValue {
        let stored = try reader.totals()
        let alerts = try reader.alertCounts()
        func group(_ prefix: String) -> JSONValue {
            .object(
                stored.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }.map {
                    JSONValue.Member(String($0.key.dropFirst(prefix.count)), .integer($0.value))
                })
        }
        return .object([
            "daemon": .string("not running (read from the database)"), "lines_received": .integer(stored["lines_received"] ?? 0),
            "lines_refused": group("refused."), "lines_ignored": .integer(stored["lines_ignored"] ?? 0),
            "readings_accepted": .integer(stored["readings_accepted"] ?? 0), "values_accepted": .integer(stored["values_accepted"] ?? 0),
            "readings_dropped": group("dropped."), "values_dropped": group("values_dropped."),
            "streams": .integer(Int64(try reader.streams().count)),
            "alerts_open": .integer(alerts.open),
            "alerts_total": .integer(alerts.total), "queue_fill": .number(0),
            "last_checkpoint": (try reader.lastCheckpointAt()).map { .string(TimeText.milliseconds($0)) } ?? .null,
            "bytes_received": .integer(stored["bytes_received"] ?? 0), "bytes_written": .null,
        ])
    }

    /// Problems of database, checkpoints and journal; no rows when all is well.
    public static func check(_ reader: StoreReader) throws -> RecordTable {
        var table = RecordTable(columns: ["what", "problem"])
        for problem in try reader.integrityProblems() { table.rows.append([.string("database"), .string(problem)]) }
        for model in try reader.models() {
            let bytes = try reader.modelPayload(id: model.id) ?? []
            if Digest.sha256(bytes) != model.sha256 {
                table.rows.append([.string("model \(model.name)@\(model.version)"), .string("its bytes do not have the stored hash")])
            }
        }
        for problem in try restore(reader, isThorough: true).report.problems {
            table.rows.append([.string(problem.what), .string(problem.reason)])
        }
        return table
    }

    /// A checksum over all learned state, equal to the daemon's with one shard.
    public static func digest(_ reader: StoreReader) throws -> String {
        try restore(reader).shards.map { String($0.watch.digest(), radix: 16) }.joined(separator: "-")
    }
}
