import Configuration
import Control
import CPlatform
import Glibc
import Ingest
import LineFormats
import Notify
import Platform
import Readings
import Store
import Tabular
import Watching

/// What the command line asks of the daemon.
public struct DaemonOptions: Sendable {
    /// nil: defaults only.
    public var configFile: String?
    /// Keys set on the command line; they win over the file, also after a reload.
    public var overrides: [(key: String, text: String)] = []
    /// Read standard input to its end, then stop.
    public var readsStdin = false
    /// With `readsStdin`: end well also when nothing or little of it could be taken.
    public var isLenient = false
    /// How CSV on standard input is read, and whether it is CSV for sure.
    public var csv = CSVOptions()
    public var isCSV = false
    /// Serve no sockets (standard input alone).
    public var servesSockets = true
    public var version = ""

    public init() {}

    /// The configuration that these options mean. Errors: all problems of the file together.
    public func configuration() throws -> Configuration {
        var configuration = Configuration()
        if let configFile {
            let bytes = try Files.read(configFile, bytesMax: 1 << 20)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw ConfigurationProblem(file: configFile, line: 0, column: 0, message: "got bytes that are not UTF-8")
            }
            configuration = try Configuration(toml: text, file: configFile)
        }
        for item in overrides {
            guard configuration.set(item.key, to: item.text) else {
                let expected = Key.all.first { $0.name == item.key }?.kind.expected ?? "a known key"
                throw ConfigurationProblem(
                    file: "command line", line: 0, column: 0, message: "\(item.key): got \"\(item.text)\", expected \(expected)")
            }
        }
        let misfits = configuration.misfits(file: configFile ?? "the configuration")
        guard misfits.isEmpty else { throw ConfigurationErrors(problems: misfits) }
        _ = try Zones.all(of: configuration, file: configFile ?? "the configuration")
        return configuration
    }

    /// What this system lacks for a configuration (for `--check`): a group that was named and does not exist, a source of lines.
    ///
    /// Errors: those, together.
    public func checkSystem(_ configuration: Configuration) throws {
        var problems: [ConfigurationProblem] = []
        func report(_ message: String) {
            problems.append(ConfigurationProblem(file: configFile ?? "the configuration", line: 0, column: 0, message: message))
        }
        let group = configuration.text("control_group")
        // The group of the package is not there before the package is.
        if !group.isEmpty, group != Configuration().text("control_group"), !Groups.exists(group) {
            report("control_group: got \"\(group)\", expected a group that this system knows")
        }
        if !readsStdin, !configuration.hasIngestSocket, getenv("LISTEN_FDS") == nil {
            report("no source of lines: ingest_socket and ingest_datagram_socket are \"\" and --stdin is not given")
        }
        guard problems.isEmpty else { throw ConfigurationErrors(problems: problems) }
    }
}

/// The daemon's life: configuration, lock, store, restore, sockets, READY; then signals; then everything in reverse.
public final class Daemon: @unchecked Sendable {
    // Safety: `configuration` and the meters are locked; the rest is set before other threads exist.
    private let options: DaemonOptions
    private let configuration: Locked<Configuration>
    private let log: Log
    private let startedAt = Clocks.wall()
    private let rate = Locked((readings: Int64(0), at: Int64(0), perSecond: 0.0))
    private let restartsTold = Locked<UInt64>(0)
    /// Streams at the last look and when free memory was given back last.
    private let growth = Locked((seen: 0, released: 0))
    private var pipeline: Pipeline?
    private var databasePath = ""

    public init(options: DaemonOptions) throws {
        self.options = options
        let configuration = try options.configuration()
        self.configuration = Locked(configuration)
        log = Log(level: Daemon.logLevel(configuration))
    }

    private static func logLevel(_ configuration: Configuration) -> Log.Level {
        Log.Level.allCases.first { $0.name == configuration.text("log_level") } ?? .info
    }

    /// Name of the database in the state directory.
    public static let databaseName = "rnn-watchd.db"

    /// What `rnnctl restore` appends while its copy is not complete.
    public static let restoringSuffix = ".restored"

    /// Runs until a signal says stop or standard input ended.
    /// - Errors: what kept it from starting.
    public func run() throws {
        ProcessMemory.returnLargeBlocks()
        _ = DescriptorLimit.raised
        let signals = try SignalSource([SIGTERM, SIGINT, SIGHUP, SIGUSR1])
        let configuration = configuration.withLock { $0 }
        let directory = configuration.text("state_dir")
        try Files.makeDirectory(directory)
        let lock = try DirectoryLock(path: directory + "/lock")
        databasePath = directory + "/" + Daemon.databaseName
        // What a backup or a restore left that was killed.
        NewFile.removeLeftovers(in: directory)
        Files.remove(databasePath + Daemon.restoringSuffix)
        // Opening may migrate or recover; the restore itself asks again as long as it gets on.
        Systemd.notify("STATUS=restoring state\nEXTEND_TIMEOUT_USEC=30000000")
        let voice = AlertVoice(log: log, usesJournal: getenv("JOURNAL_STREAM") != nil)
        let began = Clocks.monotonic()
        var toldAt = began
        let pipeline = try Pipeline(
            configuration: configuration, databasePath: databasePath, log: log, csv: (options.csv, options.isCSV), tell: { voice.tell($0) },
            progress: {
                let now = Clocks.monotonic()
                guard now - toldAt > 5_000_000_000 else { return }
                toldAt = now
                Systemd.notify("EXTEND_TIMEOUT_USEC=30000000")
            })
        self.pipeline = pipeline
        let restored = pipeline.restored
        log.info(
            "state restored",
            [
                "streams": "\(restored.streams)", "readings_replayed": "\(restored.readingsReplayed)",
                "seconds": "\(Double((Clocks.monotonic() - began) / 1_000_000) / 1000)",
            ])
        var sockets = try openSockets(configuration)
        let control = try serveControl(sockets.control, pipeline)
        if options.readsStdin { sockets.ingest.append(.file(0, name: "stdin")) }
        guard !sockets.ingest.isEmpty else {
            throw PlatformError.refused(
                verb: "start", object: "rnn-watchd", reason: "no ingest socket is configured and --stdin is not given")
        }
        ProcessMemory.releaseFreeHeap()
        try pipeline.start(sources: sockets.ingest)
        Systemd.notify("READY=1\nSTATUS=\(statusLine())")
        log.info("ready", ["state_dir": directory, "version": options.version])
        ProcessMemory.releaseStartupCode()
        var metricsReader: StoreReader?
        serve(signals, pipeline, &metricsReader)
        Systemd.notify("STOPPING=1\nSTATUS=storing state")
        control?.stop()
        stop(pipeline)
        handOver(pipeline.ingest.handedOver.withLock { $0 })
        for made in sockets.made { UnixSocket.remove(path: made.path, made.identity) }
        let totals = pipeline.ingest.snapshot.withLock { $0.totals }
        writeMetrics(configuration, &metricsReader)
        log.info(
            "stopped",
            [
                "lines_received": "\(totals.linesReceived)", "lines_refused": "\(totals.refused.reduce(0, +))",
                "readings_accepted": "\(totals.readingsAccepted)", "readings_dropped": "\(totals.dropped.reduce(0, +))",
                "alerts_opened": "\(pipeline.writer.statistics.alertsOpened)",
            ])
        _ = consume lock
        let lost = pipeline.writer.lost
        guard lost == 0 else {
            throw PlatformError.refused(verb: "store", object: "\(lost) readings", reason: "the database refused until the end")
        }
        guard options.readsStdin else { return }
        let summary = IntakeSummary(totals, since: restored.totals)
        if !summary.text.isEmpty { FileOutput.error("rnn-watchd: \(summary.text)") }
        if summary.isFailure, !options.isLenient {
            throw PlatformError.refused(
                verb: "take", object: "standard input", reason: "less than half of it was taken (--lenient ends with 0 all the same)")
        }
    }

    // MARK: - Sockets

    private struct Sockets {
        var ingest: [IngestSource] = []
        var control: Int32?
        /// Paths of sockets that we made and remove again.
        var made: [(path: String, identity: UnixSocket.Identity?)] = []
    }

    /// Sockets from systemd by their names (ingest, ingest-datagram, control), else our own by their paths.
    private func openSockets(_ configuration: Configuration) throws -> Sockets {
        var sockets = Sockets()
        guard options.servesSockets else { return sockets }
        let passed = try Systemd.passedDescriptors()
        sockets.ingest = takeOver(passed.stored).map { .client($0) }
        var hasStream = false
        var hasDatagram = false
        for socket in passed.sockets {
            switch socket.name {
            case "control": sockets.control = socket.descriptor
            default:
                if socket.isDatagram {
                    hasDatagram = true
                    sockets.ingest.append(.datagram(socket.descriptor, name: socket.name))
                } else {
                    hasStream = true
                    sockets.ingest.append(.listener(socket.descriptor, name: socket.name))
                }
            }
        }
        let mode = UInt32(configuration.number("socket_mode"))
        func make(_ key: String, _ kind: UnixSocket.Kind) throws(PlatformError) -> Int32? {
            let path = configuration.text(key)
            guard !path.isEmpty else { return nil }
            if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
                try Files.makeDirectory(String(path[..<slash]), mode: 0o755)
            }
            let socket = try UnixSocket.bind(path: path, kind: kind, mode: mode)
            sockets.made.append((path, UnixSocket.Identity(path: path)))
            return socket.release()
        }
        if !hasStream, let descriptor = try make("ingest_socket", .stream) {
            sockets.ingest.append(.listener(descriptor, name: "ingest.sock"))
        }
        if !hasDatagram, let descriptor = try make("ingest_datagram_socket", .datagram) {
            sockets.ingest.append(.datagram(descriptor, name: "ingest.dgram"))
        }
        if sockets.control == nil { sockets.control = try make("control_socket", .stream) }
        return sockets
    }

    /// Clients that the process before us left in the descriptor store. What cannot be continued is closed: clients connect again.
    private func takeOver(_ stored: [(name: String, descriptor: Int32)]) -> [OpenClient] {
        guard !stored.isEmpty else { return [] }
        var descriptors: [String: Int32] = [:]
        for item in stored {
            descriptors[item.name] = item.descriptor
            Systemd.forget(name: item.name)
        }
        var clients: [OpenClient] = []
        if let list = descriptors.removeValue(forKey: Daemon.clientList) {
            do {
                lseek(list, 0, SEEK_SET)
                clients = try OpenClient.decode(try Files.readAll(list, object: "list of open clients"), descriptors: descriptors)
            } catch {
                log.warning("open clients of the process before are closed", ["reason": "\(error)"])
            }
            close(list)
        }
        let kept = Set(clients.map(\.descriptor))
        for descriptor in descriptors.values where !kept.contains(descriptor) { close(descriptor) }
        log.info("took over open clients", ["clients": "\(clients.count)"])
        return clients
    }

    /// Leaves open clients to the next process of this service.
    private func handOver(_ clients: [OpenClient]) {
        guard !clients.isEmpty else { return }
        do {
            let list = try Files.memoryFile(Daemon.clientList, OpenClient.encode(clients))
            for (index, client) in clients.enumerated() { Systemd.store(client.descriptor, name: OpenClient.label(index)) }
            Systemd.store(list.raw, name: Daemon.clientList)
            Systemd.settle()
            log.info("left open clients to the next process", ["clients": "\(clients.count)"])
        } catch {
            log.warning("open clients are closed", ["reason": "\(error)"])
        }
        for client in clients { close(client.descriptor) }
    }

    private static let clientList = "clients"

    /// Stores everything; asks for more time as long as the writer moves.
    private func stop(_ pipeline: Pipeline) {
        let isStored = Locked(false)
        let asking = try? WorkerThread("rnn-stopping") {
            var toldAt = Clocks.monotonic()
            while !isStored.withLock({ $0 }) {
                Clocks.sleep(nanoseconds: 50_000_000)
                let now = Clocks.monotonic()
                guard now - toldAt > 5_000_000_000, now - pipeline.writer.statistics.aliveAt < 20_000_000_000 else { continue }
                toldAt = now
                Systemd.notify("EXTEND_TIMEOUT_USEC=30000000\nWATCHDOG=1")
            }
        }
        pipeline.stop()
        isStored.withLock { $0 = true }
        asking?.join()
    }

    private func serveControl(_ listener: Int32?, _ pipeline: Pipeline) throws -> ControlServer? {
        guard let listener else { return nil }
        let handlers = ControlHandlers(
            pipeline: pipeline, databasePath: databasePath, status: { [self] in status(pipeline, $0) },
            reload: { [self] in reload(pipeline) },
            explain: { [self] in try Explanations.answer($0, $1, self.configuration.withLock { $0 }) },
            assignModels: { [self] in try pipeline.assignModels(self.configuration.withLock { $0 }) },
            configuration: { [self] in configuration.withLock { $0 } })
        let ownUser = getuid()
        let server = try ControlServer(
            log: log,
            isAllowed: { [configuration] peer in
                if peer.userID == 0 || peer.userID == ownUser { return true }
                return Groups.contains(peer, group: configuration.withLock { $0.text("control_group") })
            }, handle: { handlers.handle($0) })
        pipeline.onSteps.withLock { $0 = { server.wake() } }
        _ = try WorkerThread("rnn-control") { [log] in
            do { try server.run(listener: listener) } catch { log.error("the control thread ended", ["reason": "\(error)"]) }
        }
        return server
    }

    // MARK: - While it runs

    /// Waits for signals; pings the watchdog only while ingest, shards and writer move; writes metrics; returns when told to stop.
    private func serve(_ signals: borrowing SignalSource, _ pipeline: Pipeline, _ metricsReader: inout StoreReader?) {
        let watchdog = Systemd.watchdogNanoseconds()
        var pingedAt: Int64 = 0
        var measuredAt: Int64 = 0
        var statusAt: Int64 = 0
        var silencesAt: Int64 = 0
        while true {
            var waiting = pollfd(fd: signals.descriptor.raw, events: Int16(POLLIN), revents: 0)
            _ = poll(&waiting, 1, 200)
            while let signal = signals.next() {
                switch signal {
                case SIGHUP:
                    Systemd.notifyReloading()
                    _ = reload(pipeline)
                    Systemd.notify("READY=1\nSTATUS=\(statusLine())")
                case SIGUSR1: pipeline.tellShards { runner, _ in runner.checkpointAll() }
                default: return
                }
            }
            if pipeline.hasIngestEnded.withLock({ $0 }) { return }
            let now = Clocks.monotonic()
            if let watchdog, now - pingedAt > watchdog / 2, isMoving(pipeline, now, within: watchdog) {
                pingedAt = now
                Systemd.notify("WATCHDOG=1")
            }
            if now - silencesAt > 1_000_000_000 {
                silencesAt = now
                pipeline.silences.tick(pipeline.ingest)
            }
            if now - statusAt > 5_000_000_000 {
                statusAt = now
                measureRate(pipeline, now)
                releaseAfterGrowth(pipeline)
                Systemd.notify("STATUS=\(statusLine())")
            }
            let configuration = configuration.withLock { $0 }
            if !configuration.text("metrics_file").isEmpty, now - measuredAt > configuration.number("metrics_interval") {
                measuredAt = now
                writeMetrics(configuration, &metricsReader)
            }
        }
    }

    /// Every thread gave a sign of life lately. A writer that waits for a full disk counts as alive: killing it would not help.
    private func isMoving(_ pipeline: Pipeline, _ now: Int64, within: Int64) -> Bool {
        let ingest = pipeline.ingest.snapshot.withLock { $0.aliveAt }
        let isHeldBack = pipeline.writer.statistics.problem != nil
        let signs = pipeline.signsOfLife + [ingest]
        return now - pipeline.writer.statistics.aliveAt < within && (isHeldBack || signs.allSatisfy { now - $0 < within })
    }

    /// Once a fleet of new streams has settled, what their arrival needed is given back.
    private func releaseAfterGrowth(_ pipeline: Pipeline) {
        let streams = Int(pipeline.ingest.snapshot.withLock { $0.streams })
        let hasSettled = growth.withLock { growth in
            let settled = streams == growth.seen
            growth.seen = streams
            let known = max(growth.released, pipeline.restored.streams)
            guard settled, streams - known >= max(10_000, known / 8) else { return false }
            growth.released = streams
            return true
        }
        if hasSettled { ProcessMemory.releaseFreeHeap() }
    }

    private func measureRate(_ pipeline: Pipeline, _ now: Int64) {
        tellRestarts(pipeline.runners.map { $0.statistics.forecasts.restarts }.reduce(0, +))
        let accepted = pipeline.ingest.snapshot.withLock { $0.totals.readingsAccepted }
        rate.withLock {
            if $0.at > 0 { $0.perSecond = Double(accepted - $0.readings) / (Double(now - $0.at) * 1e-9) }
            ($0.readings, $0.at) = (accepted, now)
        }
    }

    /// Says that readouts began anew since this was looked at before.
    private func tellRestarts(_ restarts: UInt64) {
        let before = restartsTold.withLock { told in
            defer { told = max(told, restarts) }
            return told
        }
        guard restarts > before else { return }
        log.notice(
            "forecasts that were worse than the reading before for an hour began anew", ["channels": "\(restarts - before)"])
    }

    private func statusLine() -> String {
        guard let pipeline else { return "starting" }
        let open = pipeline.runners.map { $0.statistics.openAlerts }.reduce(0, +)
        let streams = pipeline.ingest.snapshot.withLock { $0.streams }
        return "\(max(streams, pipeline.restored.streams)) streams, \(Int(rate.withLock { $0.perSecond })) readings/s, \(open) open alerts"
    }

    /// `reader` belongs to the calling thread; nil: the database cannot be read now.
    private func status(_ pipeline: Pipeline, _ reader: StoreReader?) -> StatusReport {
        let ingest = pipeline.ingest.snapshot.withLock { $0 }
        let writer = pipeline.writer.statistics
        var counts: (open: Int64, total: Int64) = (0, 0)
        var last: Int64?
        if let reader {
            counts = (try? reader.alertCounts()) ?? counts
            last = writer.lastCheckpointAt ?? (try? reader.lastCheckpointAt())
        }
        return StatusReport(
            version: options.version, startedAt: startedAt, now: Clocks.wall(), ingest: ingest.totals, streams: ingest.streams,
            connections: ingest.connections, door: ingest, refusals: ingest.refusals.map { ($0.time, $0.source, $0.line, $0.text) },
            shards: pipeline.runners.map(\.statistics), writer: writer, alertsOpen: counts.open, alertsTotal: counts.total,
            queueFill: pipeline.pool.fill, databaseBytes: Files.size(databasePath) + Files.size(databasePath + "-wal"),
            lastCheckpointAt: last,
            residentBytes: Files.residentBytes(), writeBudget: pipeline.writer.intervals.withLock { $0.budget },
            readingsPerSecond: rate.withLock { $0.perSecond })
    }

    private func writeMetrics(_ configuration: Configuration, _ reader: inout StoreReader?) {
        let path = configuration.text("metrics_file")
        guard !path.isEmpty, let pipeline else { return }
        if reader?.isInPlace != true { reader = try? StoreReader(path: databasePath) }
        do { try Files.replace(path, with: Array(status(pipeline, reader).metrics.utf8), isPublic: true) } catch {
            log.warning("cannot write metrics", ["reason": error.description])
        }
    }

    /// Reads the configuration again and takes over what can be; says what cannot. A broken file changes nothing.
    private func reload(_ pipeline: Pipeline) -> String {
        let new: Configuration
        do {
            new = try options.configuration()
        } catch {
            log.error("the configuration was not reloaded; the old one stays", ["reason": "\(error)"])
            return "not reloaded: \(error)"
        }
        let (taken, left) = configuration.withLock { current in
            let differences = new.differences(from: current)
            for key in differences where key.isReloadable { current.adopt(key.name, from: new) }
            let hadRules = current.streamRules
            current.streamRules = new.streamRules
            let hadSources = current.sourceSections
            current.sourceSections = new.sourceSections
            return (
                differences.filter(\.isReloadable).map(\.name) + (hadRules == new.streamRules ? [] : ["streams"])
                    + (hadSources == new.sourceSections ? [] : ["sources"]),
                differences.filter { !$0.isReloadable }.map(\.name)
            )
        }
        let configuration = configuration.withLock { $0 }
        // What was reloaded is told under either level.
        log.level = max(log.level, Daemon.logLevel(configuration))
        let settings = DaemonSettings.watch(configuration, models: pipeline.models)
        for runner in pipeline.runners { runner.setCheckpointInterval(configuration.number("checkpoint_interval")) }
        pipeline.tellShards { $1.watch.reload(settings) }
        pipeline.writer.intervals.withLock { $0 = DaemonSettings.writer(configuration) }
        pipeline.explanations.reload(configuration)
        var keys: [UInt32: String] = [:]
        if let reader = try? StoreReader(path: databasePath), let streams = try? reader.streams() {
            for stream in streams { keys[stream.id] = String(decoding: stream.key, as: UTF8.self) }
        }
        let (zones, zone) = DaemonSettings.zones(configuration)
        var rules = IntakeRules(
            limits: DaemonSettings.intake(configuration), isIgnored: DaemonSettings.isIgnored(configuration),
            budgetGroup: DaemonSettings.budgetGroup(configuration), zones: zones, zone: zone,
            sources: DaemonSettings.sources(configuration), keys: keys)
        rules.checks = DaemonSettings.checks(configuration)
        rules.lateMax = DaemonSettings.lateMax(configuration)
        pipeline.ingest.reload(
            rules, open: (try? StoreReader(path: databasePath).openAlerts().map(\.stream)) ?? [], at: Clocks.wall())
        let problems: [String]
        do { problems = try pipeline.assignModels(configuration) } catch { problems = ["\(error)"] }
        let message =
            "reloaded" + (taken.isEmpty ? ": nothing changed" : ": " + taken.joined(separator: ", "))
            + (left.isEmpty ? "" : "; a restart is needed for: " + left.joined(separator: ", "))
            + problems.map { "; " + $0 }.joined()
        log.notice(message)
        log.level = Daemon.logLevel(configuration)
        return message
    }
}
