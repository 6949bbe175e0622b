import CHTTP
import Configuration
import Control
import Glibc
import Notification
import Platform
import Tabular
import TimeSeries

/// What the command line asks of rnn-notify.
public struct NotifyOptions: Sendable {
    public var configFile = "/etc/rnn-watchd/rnn-notify.toml"
    /// nil: as the file says.
    public var controlSocket: String?
    public var isOnce = false
    public var isPrinting = false
    public init() {}

    public func configuration() throws -> NotifyConfiguration {
        let bytes = try Files.read(configFile, bytesMax: 1 << 20)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationProblem(file: configFile, line: 0, column: 0, message: "got bytes that are not UTF-8")
        }
        var configuration = try NotifyConfiguration(toml: text, file: configFile)
        if let controlSocket { configuration.controlSocket = controlSocket }
        return configuration
    }
}

/// Asks the daemon what there is to tell and has the sinks told.
public final class NotifyRunner {
    private let options: NotifyOptions
    private var configuration: NotifyConfiguration
    private let log: Log
    private var workers: [SinkWorker] = []
    private var threads: [WorkerThread] = []
    private let snapshots = Locked(Snapshot())
    private var troubles: [String: (since: Int64, words: String)] = [:]
    private var beatAt: Int64 = 0
    private var isSilentFor: String?
    private var unreachableSince: Int64?
    private var step: Int64?

    public init(_ options: NotifyOptions) throws {
        signal(SIGPIPE, SIG_IGN)
        self.options = options
        configuration = try options.configuration()
        log = Log(level: Log.Level.allCases.first { [configuration] in $0.name == configuration.logLevel } ?? .info)
        guard chttp_start() == 0 else { throw PlatformError.refused(verb: "start", object: "libcurl", reason: "it does not initialise") }
    }

    /// - Returns: the exit code.
    public func run() throws -> Int32 {
        try makeWorkers()
        if options.isOnce { return try once() }
        let signals = try SignalSource([SIGTERM, SIGINT, SIGHUP])
        try startThreads()
        Systemd.notify("READY=1\nSTATUS=\(workers.count) sinks")
        log.info("ready", ["sinks": workers.map(\.configuration.name).joined(separator: " ")])
        let watchdog = Systemd.watchdogNanoseconds()
        var pingedAt: Int64 = 0
        while true {
            while let signal = signals.next() {
                if signal == SIGHUP {
                    Systemd.notifyReloading()
                    try reload()
                    Systemd.notify("READY=1\nSTATUS=\(workers.count) sinks")
                } else {
                    Systemd.notify("STOPPING=1")
                    stopThreads()
                    return 0
                }
            }
            if let watchdog, Clocks.monotonic() - pingedAt > watchdog / 3 {
                pingedAt = Clocks.monotonic()
                Systemd.notify("WATCHDOG=1")
            }
            look(waitSeconds: 1)
            if options.isPrinting {
                let snapshot = snapshots.withLock { $0 }
                if snapshot.number > 0 { for worker in workers { worker.rehearse(snapshot) } }
            }
        }
    }

    private func makeWorkers() throws {
        let file = options.isPrinting && !options.isOnce ? nil : try ToldFile(directory: try stateDirectory())
        workers = configuration.sinks.map { SinkWorker($0, file: file, log: log) }
        if workers.isEmpty { log.warning("no sinks are configured; nobody is told", ["file": options.configFile]) }
    }

    /// Where what was told is kept: as configured, the unit's, the system's, or the user's own.
    private func stateDirectory() throws -> String {
        if !configuration.stateDirectory.isEmpty {
            try Files.makeDirectory(configuration.stateDirectory)
            return configuration.stateDirectory
        }
        if let own = getenv("STATE_DIRECTORY") { return String(cString: own) }
        if getuid() == 0 {
            try Files.makeDirectory("/var/lib/rnn-notify")
            return "/var/lib/rnn-notify"
        }
        let home =
            getenv("XDG_STATE_HOME").map { String(cString: $0) } ?? getenv("HOME").map { String(cString: $0) + "/.local/state" } ?? "."
        try Files.makeDirectory(home + "/rnn-notify")
        return home + "/rnn-notify"
    }

    private func startThreads() throws {
        guard !options.isPrinting else { return }
        threads = try workers.map { worker in try WorkerThread("notify-sink") { [snapshots] in worker.run(snapshots) } }
    }

    private func stopThreads() {
        for worker in workers { worker.stop() }
        for thread in threads { thread.join() }
        threads.removeAll()
    }

    private func reload() throws {
        let new: NotifyConfiguration
        do { new = try options.configuration() } catch {
            log.error("the configuration was not reloaded; the old one stays", ["reason": "\(error)"])
            return
        }
        stopThreads()
        configuration = new
        try makeWorkers()
        try startThreads()
        log.notice("reloaded", ["sinks": workers.map(\.configuration.name).joined(separator: " ")])
    }

    private func once() throws -> Int32 {
        let ids = Set(workers.flatMap { $0.status.withLock { $0.ids } })
        let state = try ControlClient(path: configuration.controlSocket).ask(
            "notify.state", .object(["ids": .array(ids.sorted().map { .string($0) })]))
        take(state, ids)
        let snapshot = snapshots.withLock { $0 }
        var isAllTaken = true
        for worker in workers where !worker.runOnce(snapshot, print: options.isPrinting) { isAllTaken = false }
        return isAllTaken ? 0 : 1
    }

    // MARK: - Looking

    private func look(waitSeconds: Int64) {
        let ids = Set(workers.flatMap { $0.status.withLock { $0.ids } })
        do {
            let client = try ControlClient(path: configuration.controlSocket)
            report(client)
            var arguments: [JSONValue.Member] = [
                .init("ids", .array(ids.sorted().map { .string($0) })), .init("wait_seconds", .integer(waitSeconds)),
            ]
            // What was told since the last look is asked for at once.
            if let step, ids.isSubset(of: snapshots.withLock { $0.asked }) { arguments.append(.init("after", .integer(step))) }
            let state = try client.ask("notify.state", .object(arguments), isPatient: true)
            if unreachableSince != nil { log.notice("the daemon answers again") }
            unreachableSince = nil
            take(state, ids)
            beat(state["alive"]?["ok"]?.truth == true ? nil : state["alive"]?["why"]?.text ?? "the daemon does not say that it moves")
        } catch {
            if unreachableSince == nil { log.warning("cannot ask the daemon; trying again", ["reason": "\(error)"]) }
            let since = unreachableSince ?? Clocks.monotonic()
            unreachableSince = since
            // A restart is no news.
            if Clocks.monotonic() - since > 30_000_000_000 { beat("\(error)") }
            Clocks.sleep(nanoseconds: 500_000_000)
        }
    }

    private func take(_ state: JSONValue, _ ids: Set<String>) {
        step = state["step"]?.integerValue
        let own = ownAlerts()
        let tests = (state["tests"]?.items ?? []).compactMap { test -> (number: Int64, sink: String)? in
            guard let number = test["number"]?.integerValue, let sink = test["sink"]?.text else { return nil }
            return (number, sink)
        }
        for test in tests where !workers.contains(where: { $0.configuration.name == test.sink }) {
            let known = workers.map(\.configuration.name).joined(separator: ", ")
            workers.first?.results.withLock {
                if !$0.contains(where: { $0["number"]?.integerValue == test.number }) {
                    $0.append(
                        .object([
                            "number": .integer(test.number), "ok": .bool(false), "answer": .string("no such sink; there are: \(known)"),
                        ]))
                }
            }
        }
        let alerts = (state["alerts"]?.items ?? []).compactMap { NotifyAlert(row: $0) }
        snapshots.withLock { snapshot in
            snapshot.number += 1
            (snapshot.alerts, snapshot.asked, snapshot.at, snapshot.tests) = (alerts + own, ids, Clocks.wall(), tests)
        }
    }

    /// Sinks that could not be reached for long are told of elsewhere, as alerts of rnn-notify itself.
    private func ownAlerts() -> [NotifyAlert] {
        let now = Clocks.wall()
        var alerts: [NotifyAlert] = []
        for worker in workers {
            let (name, status) = (worker.configuration.name, worker.status.withLock { $0 })
            if let since = status.failingSince, now - since > configuration.giveUp {
                if troubles[name] == nil {
                    log.error("a sink cannot be told; telling others", ["sink": name, "answer": status.trouble ?? ""])
                }
                troubles[name] = (
                    since,
                    "sink \(name) takes nothing since \(TimeText.seconds(since)): \(status.trouble ?? ""); \(status.waiting) messages wait"
                )
            }
            guard let trouble = troubles[name] else { continue }
            let isOpen = status.failingSince != nil
            alerts.append(
                NotifyAlert(
                    own: "notify-\(name)-\(trouble.since / 1_000_000_000)", stream: "rnn-notify,sink=\(name)", reason: trouble.words,
                    startsAt: TimeText.seconds(trouble.since), openedTime: trouble.since, isOpen: isOpen,
                    closedAt: isOpen ? nil : TimeText.seconds(now)))
        }
        return alerts
    }

    // MARK: - Reporting

    private func report(_ client: borrowing ControlClient) {
        let results = workers.flatMap { worker in
            worker.results.withLock { results in
                defer { results.removeAll() }
                return results
            }
        }
        let sinks = workers.map { worker -> JSONValue in
            let (name, status) = (worker.configuration.name, worker.status.withLock { $0 })
            return .object([
                "sink": .string(name), "type": .string(worker.configuration.kind.rawValue), "told": .integer(status.told),
                "waiting": .integer(Int64(status.waiting)), "open": .integer(Int64(status.ids.count)),
                "last_told_at": status.lastToldAt > 0 ? .string(TimeText.seconds(status.lastToldAt)) : .null,
                "failures": .integer(status.failures), "trouble": .optional(status.trouble),
                "failing_since": status.failingSince.map { .string(TimeText.seconds($0)) } ?? .null,
            ])
        }
        let status = JSONValue.object([
            "version": .string(Version.text), "sinks": .array(sinks),
            "dead_man": .string(isSilentFor ?? (configuration.deadManURL.isEmpty ? "off" : "ok")),
        ])
        _ = try? client.ask("notify.report", .object(["status": status, "tests": .array(results)]))
    }

    /// A heartbeat while all is well; when it stops, why. nil: all is well.
    private func beat(_ why: String?) {
        guard !configuration.deadManURL.isEmpty else { return }
        let now = Clocks.monotonic()
        if let why {
            guard isSilentFor == nil else { return }
            isSilentFor = why
            log.error("the heartbeat stops", ["why": why])
            guard !configuration.deadManFailURL.isEmpty else { return }
            _ = HTTP.send(
                url: configuration.deadManFailURL, method: "POST", headers: ["Content-Type: text/plain"], body: Array(why.utf8), user: nil,
                caFile: "", timeout: 10_000_000_000)
        } else if isSilentFor != nil || now - beatAt >= configuration.deadManInterval {
            isSilentFor = nil
            beatAt = now
            let outcome = HTTP.send(
                url: configuration.deadManURL, method: "POST", headers: ["Content-Type: text/plain"], body: Array("ok".utf8), user: nil,
                caFile: "",
                timeout: 10_000_000_000)
            if !outcome.isDelivered { log.warning("the heartbeat was not taken", ["answer": outcome.answer]) }
        }
    }
}
