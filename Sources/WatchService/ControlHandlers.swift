import Alerting
import Configuration
import Control
import Ingest
import LineFormats
import Models
import Platform
import Readings
import Store
import Tabular
import TimeSeries
import Watching

/// What the daemon answers on its control socket. Used from the control thread only.
final class ControlHandlers: @unchecked Sendable {
    // Safety: `reader` is touched by the control thread only; everything else is safe by itself.
    private let pipeline: Pipeline
    private let databasePath: String
    private let status: @Sendable (StoreReader?) -> StatusReport
    private let reload: @Sendable () -> String
    private let configuration: @Sendable () -> Configuration
    private let explain: @Sendable (StoreReader, JSONValue) throws -> JSONValue
    private let assignModels: @Sendable () throws -> [String]
    private var reader: StoreReader?
    private var uploads = ModelUploads()
    private var backups: Backups
    private lazy var people = PeopleHandlers(pipeline: pipeline, open: { () throws(StoreError) in try self.open() })

    init(
        pipeline: Pipeline, databasePath: String, status: @escaping @Sendable (StoreReader?) -> StatusReport,
        reload: @escaping @Sendable () -> String, explain: @escaping @Sendable (StoreReader, JSONValue) throws -> JSONValue,
        assignModels: @escaping @Sendable () throws -> [String], configuration: @escaping @Sendable () -> Configuration
    ) {
        (self.pipeline, self.databasePath, self.status, self.reload) = (pipeline, databasePath, status, reload)
        backups = Backups(stateDirectory: Files.directory(of: databasePath))
        (self.explain, self.assignModels, self.configuration) = (explain, assignModels, configuration)
    }

    /// nil: the answer must wait.
    func handle(_ request: ControlRequest) -> Result<JSONValue, ControlError>? {
        do {
            if PeopleHandlers.commands.contains(request.command) { return try people.answer(request).map { .success($0) } }
            return .success(try answer(request))
        } catch let error as ControlError {
            return .failure(error)
        } catch {
            return .failure(.failed("\(error)"))
        }
    }

    private func answer(_ request: ControlRequest) throws -> JSONValue {
        let arguments = request.arguments
        switch request.command {
        case "status": return status(try? open()).json
        case "metrics": return .string(status(try? open()).metrics)
        case "alerts.query": return ControlProtocol.result(try StoreQuestions.alerts(try open(), arguments))
        case "alerts.show": return try StoreQuestions.alert(try open(), arguments)
        case "alerts.explain": return try explain(try open(), arguments)
        case "checkpoints.list":
            return ControlProtocol.result(try open().checkpointList(timeText: TimeText.milliseconds))
        case "checkpoints.write": return try writeCheckpoints()
        case "streams.list": return ControlProtocol.result(try streams(arguments))
        case "streams.show": return try stream(arguments)
        case "budget": return ControlProtocol.result(try budget(arguments))
        case "why-not": return try WhyNot.answer(try open(), DaemonSettings.watch(configuration(), models: pipeline.models), arguments)
        case "backup": return try backups.direct(arguments, by: request.peer, try open())
        case "backup.begin": return try backups.begin(try open())
        case "backup.read": return try backups.read(arguments)
        case "producers.list": return ControlProtocol.result(try StoreQuestions.producers(try open()))
        case "producers.forget": return try forget(arguments)
        case "check": return ControlProtocol.result(try OfflineState.check(try open()))
        case "digest": return .string(try digest())
        case "reload": return .string(reload())
        case "model.list": return ControlProtocol.result(try ModelLibrary.list(try open(), use: try modelUse()))
        case "model.show":
            return ModelLibrary.object(try ModelLibrary.find(try name(request), among: try open().models()), use: try modelUse())
        case "model.fetch": return try fetch(try name(request), arguments)
        case "model.upload": return try uploads.take(arguments)
        case "model.import":
            let (name, origin) = (try name(request), arguments["origin"]?.text ?? "")
            let bytes = try uploads.finish(arguments["sha256"]?.text ?? "")
            return try change { store throws(ControlError) in
                try ModelLibrary.add(name: name, bytes: bytes, origin: origin, to: store, now: Clocks.wall())
            }
        case "model.activate":
            let name = try name(request)
            return try run(try change { store throws(ControlError) in try ModelLibrary.activate(name, in: store, now: Clocks.wall()) })
        case "model.rollback":
            let name = try name(request)
            return try run(try change { store throws(ControlError) in try ModelLibrary.rollBack(name, in: store) })
        case "model.remove":
            let (name, all) = (try name(request), arguments["all"]?.truth ?? false)
            return try change { store throws(ControlError) in try ModelLibrary.remove(name, all: all, in: store) }
        default:
            let known =
                [
                    "status", "metrics", "alerts.query", "alerts.show", "alerts.explain", "checkpoints.list", "checkpoints.write",
                    "streams.list", "streams.show", "digest", "budget", "why-not",
                    "reload", "backup", "backup.begin", "backup.read", "check", "producers.list",
                    "producers.forget", "model.list", "model.show", "model.fetch", "model.upload",
                    "model.import", "model.activate",
                    "model.rollback", "model.remove",
                ] + PeopleHandlers.commands
            let nearest = Spelling.nearest(to: request.command, among: known).map { "; did you mean \($0)?" } ?? ""
            throw ControlError.badRequest("unknown command \(request.command)\(nearest)")
        }
    }

    private func forget(_ arguments: JSONValue) throws -> JSONValue {
        let name = try StoreQuestions.producer(arguments, try open())
        guard let isKnown = pipeline.ingest.forget(name) else {
            throw ControlError.failed("the ingest thread is too busy to answer; try again")
        }
        guard isKnown else { throw ControlError.failed("no producer \(name.name) of uid \(name.user); `rnnctl producers list` shows all") }
        return .bool(true)
    }

    private func name(_ request: ControlRequest) throws(ControlError) -> String {
        guard let name = request.arguments["name"]?.text, !name.isEmpty else { throw .badRequest("\(request.command) wants a name") }
        return name
    }

    /// A change of the store, done by its one writer.
    private func change(_ body: @escaping @Sendable (StoreWriter) throws(ControlError) -> JSONValue) throws(ControlError) -> JSONValue {
        let answer = pipeline.writer.ask { store -> Result<JSONValue, ControlError> in
            do throws(ControlError) { return .success(try body(store)) } catch { return .failure(error) }
        }
        guard let answer else { throw .failed("the store is too busy to answer; try again") }
        return try answer.get()
    }

    /// After another version became active: it runs at once where the configuration names it. The answer says where.
    private func run(_ row: JSONValue) throws -> JSONValue {
        _ = try assignModels()
        guard case .object(let members) = row else { return row }
        let globs = pipeline.globs(of: row["sha256"]?.text ?? "")
        return .object(members + [.init("runs_on", .array(globs.map { .string($0) }))])
    }

    /// Streams on each model, by its hash.
    private func modelUse() throws(ControlError) -> [String: (bound: Int, waiting: Int)] {
        guard let parts = pipeline.askShards({ $0.watch.modelUse() }) else {
            throw .failed("the detector is too busy to answer; try again")
        }
        return parts.reduce(into: [:]) { sum, part in
            sum.merge(part) { ($0.bound + $1.bound, $0.waiting + $1.waiting) }
        }
    }

    /// A piece of a model's bytes from `offset` on: `size` of the whole, `data` in base64.
    private func fetch(_ name: String, _ arguments: JSONValue) throws -> JSONValue {
        let (row, bytes) = try ModelLibrary.payload(name, try open())
        let offset = min(bytes.count, max(0, Int(clamping: arguments["offset"]?.integerValue ?? 0)))
        let piece = bytes[offset..<min(bytes.count, offset + 4 << 20)]
        return .object([
            "model": ModelLibrary.object(row), "size": .integer(Int64(bytes.count)), "data": .string(Base64.encode(piece)),
        ])
    }

    private func open() throws(StoreError) -> StoreReader {
        if let reader, reader.isInPlace { return reader }
        let made = try StoreReader(path: databasePath)
        reader = made
        return made
    }

    /// Which streams a glob means. It is worked out here: a long glob over long keys takes time that the shards have not.
    private func matcher(_ arguments: JSONValue) throws(ControlError) -> @Sendable (String) -> Bool {
        let glob = try StoreQuestions.glob(arguments)
        guard let glob, glob != "*" else { return { _ in true } }
        guard let keys = pipeline.askShards({ $0.watch.streamKeys }) else { throw .failed("the detector is too busy to answer; try again") }
        let matched = Set(keys.joined().filter { Glob.matches(glob, $0) })
        return { matched.contains($0) }
    }

    private func streams(_ arguments: JSONValue) throws(ControlError) -> RecordTable {
        let matches = try matcher(arguments)
        let losses = pipeline.losses
        let rows = pipeline.askShards { box in box.watch.streamRows(matching: matches, losses: losses, timeText: TimeText.rfc3339) }
        guard let rows else { throw .failed("the detector is too busy to answer; try again") }
        return RecordTable(columns: ShardWatch.streamColumns, rows: Array(rows.joined()))
    }

    private func stream(_ arguments: JSONValue) throws(ControlError) -> JSONValue {
        guard let key = arguments["stream"]?.text else { throw .badRequest("streams.show wants a stream") }
        let losses = pipeline.losses
        guard
            let found = pipeline.askShards({
                $0.watch.streamDetail(key: key, losses: losses, unitName: Unit.name, timeText: TimeText.rfc3339)
            })
        else {
            throw .failed("the detector is too busy to answer; try again")
        }
        if let detail = found.compactMap({ $0 }).first { return detail }
        throw .failed("no stream \(key); `rnnctl streams list` shows all")
    }

    private func budget(_ arguments: JSONValue) throws -> RecordTable {
        let matches = try matcher(arguments)
        let since = arguments["since"]?.integerValue
        let found = pipeline.askShards { box in box.watch.budgets(matching: matches, since: since ?? .min) }
        guard let found else { throw ControlError.failed("the detector is too busy to answer; try again") }
        let configuration = configuration()
        return BudgetAudit.table(
            Array(found.joined()), realised: try open().anomalies(since: since ?? .min), since: since,
            groupName: { configuration.budgetGroup($0) })
    }

    private func writeCheckpoints() throws(ControlError) -> JSONValue {
        pipeline.tellShards { runner, _ in runner.checkpointAll() }
        // A hundred thousand streams are gigabytes.
        guard pipeline.askShards(timeoutSeconds: 120, { _ in true }) != nil else {
            throw .failed("the detector is too busy to answer; try again")
        }
        return .bool(true)
    }

    /// A checksum over all learned state and open alerts; equal digests mean equal futures.
    private func digest() throws(ControlError) -> String {
        guard let parts = pipeline.askShards(timeoutSeconds: 60, { $0.watch.digest() }) else {
            throw .failed("the detector is too busy to answer; try again")
        }
        return parts.map { String($0, radix: 16) }.joined(separator: "-")
    }
}

/// Questions that the database alone answers: the daemon's and `rnnctl --state-dir`'s.
public enum StoreQuestions {
    /// Alerts by `since`, `until` (nanoseconds since 1970), `stream`, `kind`, `state`, `min_severity`, `limit`.
    public static func alerts(_ reader: StoreReader, _ arguments: JSONValue) throws -> RecordTable {
        var filter = AlertFilter()
        filter.since = arguments["since"]?.integerValue
        filter.until = arguments["until"]?.integerValue
        filter.stream = try glob(arguments)
        filter.kind = arguments["kind"]?.text
        filter.state = arguments["state"]?.text
        filter.attention = arguments["attention"]?.text
        filter.ids = arguments["ids"]?.items?.compactMap(\.text)
        filter.limit = arguments["limit"]?.integerValue ?? 0
        if let text = arguments["min_severity"]?.text {
            guard let severity = Severity(rawValue: text) else {
                throw ControlError.badRequest("cannot read min_severity: got \"\(text)\", expected info, warning or critical")
            }
            filter.severityMin = severity
        }
        return try reader.view { () throws(StoreError) in try reader.alerts(filter, timeText: TimeText.rfc3339) }
    }

    /// Longest glob of a question, in bytes.
    public static let globBytesMax = 1024

    /// The glob `stream` of a question; nil: none.
    static func glob(_ arguments: JSONValue) throws(ControlError) -> String? {
        guard let text = arguments["stream"]?.text else { return nil }
        guard text.utf8.count <= globBytesMax else {
            throw .badRequest("cannot read stream: got a glob of \(text.utf8.count) bytes, expected at most \(globBytesMax)")
        }
        return text
    }

    /// Columns of `rnnctl producers list`.
    public static let producerColumns = ["uid", "name", "lines", "heard_at"]

    /// Clients that number their lines, by user and name.
    public static func producers(_ reader: StoreReader) throws -> RecordTable {
        RecordTable(
            columns: producerColumns,
            rows: try reader.producers().map {
                [
                    $0.name.user == ProducerName.anyUser ? .null : .integer(Int64($0.name.user)), .string($0.name.name),
                    .integer($0.sequence), .string(TimeText.milliseconds($0.heardAt)),
                ]
            })
    }

    /// The producer that `name` and `uid` mean; the uid may be left out when only one user has the name.
    public static func producer(_ arguments: JSONValue, _ reader: StoreReader) throws -> ProducerName {
        guard let text = arguments["name"]?.text, !text.isEmpty else { throw ControlError.badRequest("producers.forget wants a name") }
        if let uid = arguments["uid"]?.integerValue {
            guard let user = UInt32(exactly: uid) else {
                throw ControlError.badRequest("producers.forget: got uid \(uid), expected a user's number")
            }
            return ProducerName(user: user, name: text)
        }
        let found = try reader.producers().filter { $0.name.name == text }.map(\.name)
        guard found.count < 2 else {
            throw ControlError.failed(
                "several users have a producer \(text): \(found.map { "\($0.user)" }.joined(separator: ", ")); expected its uid")
        }
        guard let only = found.first else { throw ControlError.failed("no producer \(text); `rnnctl producers list` shows all") }
        return only
    }

    /// One alert by its id or a beginning of it that no other has.
    public static func alert(_ reader: StoreReader, _ arguments: JSONValue) throws -> JSONValue {
        guard let id = arguments["id"]?.text, !id.isEmpty else { throw ControlError.badRequest("alerts.show wants an id") }
        if let alert = try reader.alert(id: id, timeText: TimeText.rfc3339) { return alert }
        let candidates = try reader.alertIDs(prefix: id)
        if candidates.count == 1, let only = candidates.first, let alert = try reader.alert(id: only, timeText: TimeText.rfc3339) {
            return alert
        }
        guard candidates.isEmpty else {
            throw ControlError.failed("several alerts begin with \(id): \(candidates.joined(separator: ", "))")
        }
        throw ControlError.failed("no alert \(id); `rnnctl alerts query` shows all")
    }
}
