import Alerting
import Glibc
import Ingest
import Platform
import Readings

/// Load over real Unix sockets.
struct SocketLoad {
    let report: Report
    let program: String
    let rounds: Int

    /// Sends a segment from `clients` threads, each line whole and the lines of one stream by one client.
    static func send(_ load: Workload, _ segment: Int, clients: Int, path: String) throws {
        let shares = share(load, segment, clients)
        let failure = Locked<PlatformError?>(nil)
        let threads = try shares.map { bytes in
            try WorkerThread("client") {
                do throws(PlatformError) {
                    let socket = try UnixSocket.connect(path: path)
                    try writeAll(socket.raw, bytes, object: path)
                } catch {
                    failure.withLock { $0 = error }
                }
            }
        }
        for thread in threads { thread.join() }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    private static func share(_ load: Workload, _ segment: Int, _ clients: Int) -> [[UInt8]] {
        guard clients > 1 else { return [Array(load.bytes[load.segments[segment]..<load.segments[segment + 1]])] }
        var shares = [[UInt8]](repeating: [], count: clients)
        var line = 0
        load.forEachLine(segment) { text in
            let client = line % load.streams % clients
            shares[client].append(contentsOf: text)
            shares[client].append(10)
            line += 1
        }
        return shares
    }

    private struct Case {
        var profile = "default"
        var streams = 1000
        var channels = 1
        var clients = 1
        var format = Workload.Format.influx
        var lines = 100_000
    }

    /// Lines a second into the real daemon, and what its threads spend on one.
    func throughput() throws {
        report.begin(
            "socket",
            "Through Unix sockets into the daemon as a user has it (journal, alerts, checkpoints on); CPU time of its threads, so a busy machine changes little. The reference is the copy of the same bytes:",
            [
                "case", "ns a line", "ingest / shard / writer", "thousand lines/s a core", "x copy", "lines/s by the clock",
                "written bytes a line",
            ])
        let cases = [
            Case(), Case(clients: 64), Case(streams: 10_000), Case(channels: 16, lines: 30_000), Case(format: .json),
            Case(format: .collectd),
            Case(format: .plain), Case(profile: "light"), Case(profile: "light", streams: 10_000, clients: 8),
            Case(profile: "light", streams: 10_000, channels: 6),
        ]
        for one in cases { try throughput(one) }
    }

    private func throughput(_ one: Case) throws {
        let warm = max(1, 130 * one.streams / one.lines)
        let load = Workload(
            streams: one.streams, channels: one.channels, lines: one.lines, segments: warm + rounds, format: one.format)
        let daemon = try TestedDaemon(program: program, settings: ["profile": one.profile, "streams_max": "1000000"])
        for segment in 0..<warm { try SocketLoad.send(load, segment, clients: one.clients, path: daemon.ingestPath) }
        var sent = Int64(warm * load.lines)
        try daemon.wait(lines: sent)
        var results: [(apart: Double, ingest: Double, shard: Double, wall: Double)] = []
        // The writer commits every two seconds, which is seldomer than a round: it is measured over all of them and to their last commit.
        Clocks.sleep(nanoseconds: SocketLoad.pastCommit)
        let (writtenBefore, writerBefore) = (try daemon.count("payload_bytes_written"), daemon.cpu().writer)
        for round in 0..<rounds {
            let (before, began) = (daemon.cpu(), Clocks.monotonic())
            try SocketLoad.send(load, warm + round, clients: one.clients, path: daemon.ingestPath)
            sent += Int64(load.lines)
            try daemon.wait(lines: sent)
            let (after, wall) = (daemon.cpu(), Clocks.monotonic() - began)
            let lines = Double(load.lines)
            results.append(
                (
                    (after.all - after.writer - before.all + before.writer) / lines, (after.ingest - before.ingest) / lines,
                    (after.shard - before.shard) / lines, lines / Double(wall) * 1e9
                ))
        }
        Clocks.sleep(nanoseconds: SocketLoad.pastCommit)
        let lines = Double(rounds * load.lines)
        let written = Double(try daemon.count("payload_bytes_written") - writtenBefore) / lines
        let writer = (daemon.cpu().writer - writerBefore) / lines
        let middle = results.sorted { $0.apart < $1.apart }[results.count / 2]
        let all = middle.apart + writer
        report.row([
            "\(one.profile), \(one.streams) streams of \(one.channels), \(one.clients) clients, \(one.format.rawValue)",
            Report.number(all), "\(Report.number(middle.ingest)) / \(Report.number(middle.shard)) / \(Report.number(writer))",
            Report.number(1e6 / all), Report.number(all / copyTime(load)), Report.number(middle.wall), Report.number(written),
        ])
    }

    /// Nanoseconds after which what was sent is committed.
    private static let pastCommit: Int64 = 2_500_000_000

    private func copyTime(_ load: Workload) -> Double {
        var target = [UInt8](repeating: 0, count: load.bytes.count)
        let times = Measure.interleaved(
            5, per: load.lines * load.segmentCount,
            [{ _ in target.withUnsafeMutableBytes { target in load.bytes.withUnsafeBytes { target.copyMemory(from: $0) } } }])
        return Measure.median(times[0])
    }

    /// The forward stage behind the daemon's own ingest loop on a real socket: one thread reads, parses, interns and judges.
    func forward() throws {
        report.begin(
            "socket-forward",
            "GRU 32 forward over a Unix socket: the daemon's ingest loop with the forward stage in its thread, no journal; 10,000 streams of 6 channels:",
            ["path", "ns a line", "min-max", "million lines/s", "x copy"])
        let load = Workload(streams: 10_000, channels: 6, lines: 100_000, segments: 10 + rounds)
        let server = try ForwardServer(streams: load.streams, channels: load.channels)
        defer { server.stop() }
        var lines: Int64 = 0
        var results: [Double] = []
        for segment in 0..<load.segmentCount {
            let before = server.cpu()
            try SocketLoad.send(load, segment, clients: 1, path: server.path)
            lines += Int64(load.lines)
            while server.received() < lines { Clocks.sleep(nanoseconds: 1_000_000) }
            if segment >= 10 { results.append((server.cpu() - before) / Double(load.lines)) }
        }
        report.time("socket to score", results.sorted(), reference: copyTime(load))
    }
}

/// The ingest loop of the daemon with the forward stage in the same thread.
final class ForwardServer: BatchCourier, @unchecked Sendable {
    // Safety: the stage and the batch belong to the server's thread; the rest is set before it starts.
    let path: String
    private let server: IngestServer
    private let stage: ForwardStage
    private let batch = ReadingBatch(entryCapacity: 512, fieldCapacity: 8192)
    private var actions: [AlertAction] = []
    private var thread: WorkerThread?
    private let clock = Locked<clockid_t?>(nil)

    init(streams: Int, channels: Int) throws {
        path = "/tmp/rnn-bench.\(getpid()).sock"
        stage = ForwardStage(streams: streams, channels: channels)
        server = try IngestServer(options: IngestOptions(), log: Log(level: .error))
        let listener = try UnixSocket.bind(path: path, kind: .stream, mode: 0o600).release()
        thread = try WorkerThread("rnn-ingest") { [self] in
            var id = clockid_t()
            if pthread_getcpuclockid(pthread_self(), &id) == 0 { clock.withLock { $0 = id } }
            let intake = Intake(
                limits: IntakeLimits(), totals: IngestTotals(), nextSequence: 1, seed: 1, courier: self, isIgnored: { _ in false })
            try? server.run(sources: [.listener(listener, name: "bench")], intake: intake, producers: [])
        }
        while clock.withLock({ $0 }) == nil { Clocks.sleep(nanoseconds: 100_000) }
    }

    func borrow() -> ReadingBatch {
        batch.reset()
        return batch
    }

    func deliver(_ batch: ReadingBatch) {
        actions.removeAll(keepingCapacity: true)
        stage.apply(batch, actions: &actions)
    }

    func received() -> Int64 { server.snapshot.withLock { $0.totals.linesReceived } }

    /// CPU nanoseconds of the server's thread.
    func cpu() -> Double {
        var time = timespec()
        guard let id = clock.withLock({ $0 }), clock_gettime(id, &time) == 0 else { return 0 }
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }

    func stop() {
        server.stop()
        thread?.join()
        unlink(path)
    }
}
