import Glibc
import Platform

/// One shard against two, by the clock.
///
/// A rented machine changes its speed from one second to the next, so the daemons take turns of less than half a second: each has always a sender
/// with more than it can take, and stands still (SIGSTOP) but in its turn. What follows upon one another is compared.
struct ShardScaling {
    let report: Report
    let program: String
    let rounds: Int

    /// Nanoseconds of a turn, and of its beginning that does not count.
    private static let turn: Int64 = 400_000_000
    private static let settling: Int64 = 30_000_000
    private static let turnsPerRound = 6
    /// Lines of one channel a second that are surely more than two shards can do; lines of more channels count as many.
    private static let valuesPerSecond = 1_300_000

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        let cores = Int(Glibc.sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        report.begin(
            "shards",
            "One shard against two on \(cores) cores, default detector and settings, thousand lines a second by the clock. Alone: shards' threads on batches in memory. In the daemon the sender, ingest, writer and control threads run on the same cores as the shards: all of them with one shard on one core (in turn each of the two), with one shard on both, with two shards on both, in turns of \(Self.turn / 1_000_000) ms. x: median over the \(rounds * Self.turnsPerRound) pairs of neighbouring turns, in brackets their quartiles:",
            [
                "streams", "alone, 1 shard", "2 shards", "x (min-max)", "daemon, 1 core, 1 shard", "2 cores, 1 shard", "2 cores, 2 shards",
                "x 1 core", "x 1 shard", "ns of a shard's thread a line", "2 cores, 1 shard",
                "2 cores, 2 shards",
            ])
        // The last fleet is one of few sensors.
        for (streams, channels) in [(1000, 1), (1000, 4), (1000, 16), (10, 16)] {
            let (alone, aloneRatio) = try alone(streams, channels)
            let turns = try turns(streams, channels, cores: cores)
            func middle(_ values: (Turn) -> Double) -> [String] {
                (0..<3).map { place in Report.number(Measure.median(turns.map { values($0[place]) }.sorted())) }
            }
            report.row(
                ["\(streams) of \(channels) channels"] + alone.map { Report.number($0 / 1000) } + [aloneRatio] + middle { $0.rate / 1000 }
                    + [ratio(turns, 2, 0), ratio(turns, 2, 1)] + middle(\.cost))
        }
    }

    private struct Turn {
        /// Lines a second.
        var rate: Double
        /// Nanoseconds of the shards' threads for one.
        var cost: Double
    }

    /// The median ratio of two places in the turns, with quartiles.
    private func ratio(_ turns: [[Turn]], _ a: Int, _ b: Int) -> String {
        let all = turns.map { $0[a].rate / $0[b].rate }.sorted()
        let (low, high) = (Measure.percentile(all, 0.25), Measure.percentile(all, 0.75))
        return "\(Report.number(Measure.median(all))) (\(Report.number(low))-\(Report.number(high)))"
    }

    private func turns(_ streams: Int, _ channels: Int, cores: Int) throws -> [[Turn]] {
        let count = rounds * Self.turnsPerRound
        let warm = 130 * streams
        let seconds = Double(count + 1) * Double(Self.turn + Self.settling) * 1e-9
        let load = Workload(
            streams: streams, channels: channels, lines: warm + Int(seconds * Double(Self.valuesPerSecond / channels)))
        let daemons = try [1, 1, 2].map { shards in
            try SaturatedDaemon(TestedDaemon(program: program, settings: ["shards": "\(shards)"]), load)
        }
        defer { for daemon in daemons { daemon.stop() } }
        for daemon in daemons { try daemon.warmUp(lines: Int64(warm)) }
        var turns: [[Turn]] = []
        for number in 0..<count {
            var turn: [Turn] = []
            for (place, daemon) in daemons.enumerated() {
                daemon.confine(to: place == 0 ? number % min(2, cores) : nil)
                let (rate, cost) = try daemon.turn(settling: Self.settling, nanoseconds: Self.turn)
                turn.append(Turn(rate: rate, cost: cost))
            }
            guard !daemons.contains(where: \.isStarved) else { break }
            turns.append(turn)
        }
        return turns
    }

    /// Lines a second of one and of two shards without a daemon around them, and their ratio by rounds.
    private func alone(_ streams: Int, _ channels: Int) throws -> ([Double], String) {
        let lines = max(130 * streams, 260_000 / channels)
        let load = Workload(streams: streams, channels: channels, lines: lines, segments: 1 + rounds)
        let pairs = [1, 2].map { ShardPair($0, channels: channels) }
        var rates: [[Double]] = [[], []]
        for round in 0...rounds {
            for (place, pair) in pairs.enumerated() {
                let nanoseconds = try pair.run(load, round)
                if round > 0 { rates[place].append(Double(lines) / (nanoseconds * 1e-9)) }
            }
        }
        let ratios = zip(rates[1], rates[0]).map { $0 / $1 }.sorted()
        return (
            rates.map { Measure.median($0.sorted()) },
            "\(Report.number(Measure.median(ratios))) (\(Report.number(ratios[0]))-\(Report.number(ratios[ratios.count - 1])))"
        )
    }
}

/// A daemon whose socket is always full, and that stands still but in its turns.
private final class SaturatedDaemon {
    private let daemon: TestedDaemon
    private let sender: WorkerThread
    private let senderTask = Locked<pid_t>(0)
    private let hasSentAll = Locked(false)

    init(_ daemon: TestedDaemon, _ load: Workload) throws {
        self.daemon = daemon
        sender = try WorkerThread("sender") { [path = daemon.ingestPath, senderTask, hasSentAll] in
            senderTask.withLock { $0 = Processors.thread }
            guard let socket = try? UnixSocket.connect(path: path) else { return }
            // Ends with an error when the daemon does.
            if (try? writeAll(socket.raw, load.bytes, object: path)) != nil { hasSentAll.withLock { $0 = true } }
        }
    }

    /// Everything was sent: what was measured last was not a daemon that has always more to do.
    var isStarved: Bool { hasSentAll.withLock { $0 } }

    func warmUp(lines: Int64) throws {
        try daemon.wait(lines: lines)
        kill(daemon.pid, SIGSTOP)
    }

    func confine(to core: Int?) {
        daemon.confine(to: core)
        Processors.confine(thread: senderTask.withLock { $0 }, to: core)
    }

    /// Lines a second, and nanoseconds of the shards' threads for one.
    func turn(settling: Int64, nanoseconds: Int64) throws -> (rate: Double, cost: Double) {
        kill(daemon.pid, SIGCONT)
        Clocks.sleep(nanoseconds: settling)
        let first = try look()
        Clocks.sleep(nanoseconds: nanoseconds)
        let last = try look()
        kill(daemon.pid, SIGSTOP)
        let lines = Double(last.done - first.done)
        return (lines / (Double(last.at - first.at) * 1e-9), (last.cpu - first.cpu) / max(1, lines))
    }

    private func look() throws -> (at: Int64, done: Int64, cpu: Double) {
        let done = try daemon.count("readings_scored")
        return (Clocks.monotonic(), done, daemon.cpu().shard)
    }

    func stop() {
        kill(daemon.pid, SIGKILL)
        kill(daemon.pid, SIGCONT)
        sender.join()
    }
}
