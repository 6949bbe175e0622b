import Control
import Glibc
import Platform
import Tabular

/// From write() to the answer, one line at a time beside a steady load.
struct Latency {
    let report: Report
    let program: String

    /// Lines a second that the daemon takes by the clock, measured first; the load is half of it.
    func measure(probes: Int) throws {
        report.begin(
            "latency",
            "Milliseconds of one line among others, 1,000 streams, default detector. Stored: from write() to its acknowledgement with durability none and a commit every millisecond, which is after parsing, judging and the commit. Seen: from write() of an absurd value to the alert in `status`:",
            ["load", "stored p50", "p99", "p99.9", "alert seen p50", "p99"])
        let daemon = try TestedDaemon(
            program: program, settings: ["durability": "none", "commit_interval": "1ms", "checkpoint_interval": "1h"])
        let most = try highestRate(daemon)
        try probe(daemon, "idle", rate: 0, probes)
        try probe(daemon, "half of \(Report.number(most / 1000)) k lines/s", rate: most / 2, probes)
    }

    /// From the arrival of a line to its score, of every line of a steady load, with the settings that a user has.
    ///
    /// How fast the machine is changes with what its neighbours do, so every row of every round is half, or another share, of what the daemon
    /// took just before, and the medians of the rounds count.
    func lags(rounds: Int, seconds: Double) throws {
        report.begin(
            "lag",
            "Milliseconds from arrival to score of all readings of \(Int(seconds)) seconds of an even load (what is due every 0.25 ms, by a sender that waits for no processor), 1,000 streams past their warm-up, default detector and settings; as `status` reports it (upper edges of bins of a quarter octave). Every load of every one of \(rounds) interleaved rounds is a share of the highest rate just before, into a new process on the same database; medians, in brackets least to most. Read: lines that the daemon had taken from the socket so long after their write(). The reference: bare threads under the same load, one that reads the socket and one for each shard that is busy as long per line as the shards were:",
            [
                "load", "lines/s", "shards, ns a line", "read in 0.05 ms, of 100", "in 0.25", "p50", "p99", "p99.9", "reference p99",
                "p99.9", "x p99",
            ])
        let daemon = try TestedDaemon(program: program, settings: [:])
        _ = try highestRate(daemon)
        let shares = [0.25, 0.5, 0.75]
        var rows = shares.map { _ in [[Double]]() }
        var streamRound = Self.roundsAtFirst
        var isEven = true
        for _ in 0..<rounds {
            for (place, share) in shares.enumerated() {
                if daemon.pid == 0 { try daemon.start() }
                let rate = try sustainedRate(daemon, &streamRound) * share
                // The figures are of the last half to whole minute: begin with a new process, whose are empty.
                daemon.stop()
                try daemon.start()
                let load = Workload(streams: 1000, channels: 1, lines: Int(rate * seconds), first: streamRound)
                streamRound += load.lines / 1000 + 1
                let before = daemon.cpu().shard
                let course = EvenLoad(load: load, rate: rate).send(to: daemon.ingestPath)
                isEven = isEven && course.isEven
                let perLine = (daemon.cpu().shard - before) / Double(load.lines)
                let status = try daemon.status()
                let figures = ["lag_p50_seconds", "lag_p99_seconds", "lag_p999_seconds"].map { (status[$0]?.doubleValue ?? 0) * 1e3 }
                let shards = max(1, daemon.cpu().shards)
                daemon.stop()
                let reference = try LagReference.measure(
                    bytesPerLine: Double(load.bytes.count) / Double(load.lines), nanoseconds: perLine, workers: shards
                ) {
                    EvenLoad(load: load, rate: rate).send(to: $0)
                }
                rows[place].append(
                    [rate, perLine, course.readSoon * 100, course.readInTime * 100] + figures + reference[1...] + [
                        figures[1] / max(1e-6, reference[1])
                    ])
            }
        }
        for (share, row) in zip(shares, rows) {
            let columns = (0..<row[0].count).map { column in
                let sorted = row.map { $0[column] }.sorted()
                return "\(Report.number(Measure.median(sorted))) (\(Report.number(sorted[0]))-\(Report.number(sorted[sorted.count - 1])))"
            }
            report.row(["\(Report.number(share)) of the highest"] + columns)
        }
        if !isEven { print("The sender was refused a real-time priority (SCHED_FIFO), so the load was less even than it says.") }
    }

    private static let roundsAtFirst = 500

    /// Lines a second by the clock, the second half of so many that all streams are past their warm-up.
    private func highestRate(_ daemon: TestedDaemon) throws -> Double {
        let lines = Self.roundsAtFirst / 2 * 1000
        let load = Workload(streams: 1000, channels: 1, lines: lines, segments: 2)
        try SocketLoad.send(load, 0, clients: 1, path: daemon.ingestPath)
        try daemon.wait(lines: Int64(lines))
        let began = Clocks.monotonic()
        try SocketLoad.send(load, 1, clients: 1, path: daemon.ingestPath)
        try daemon.wait(lines: Int64(2 * lines))
        return Double(lines) / (Double(Clocks.monotonic() - began) * 1e-9)
    }

    /// Lines a second by the clock over two seconds or so of streams past their warm-up.
    private func sustainedRate(_ daemon: TestedDaemon, _ round: inout Int) throws -> Double {
        let load = Workload(streams: 1000, channels: 1, lines: 1_000_000, first: round)
        round += load.lines / 1000 + 1
        let before = try daemon.count("readings_scored")
        let began = Clocks.monotonic()
        try SocketLoad.send(load, 0, clients: 1, path: daemon.ingestPath)
        try daemon.wait(lines: before + Int64(load.lines))
        return Double(load.lines) / (Double(Clocks.monotonic() - began) * 1e-9)
    }

    private func probe(_ daemon: TestedDaemon, _ name: String, rate: Double, _ probes: Int) throws {
        let load = Workload(streams: 1000, channels: 1, lines: 1_000_000, first: Self.roundsAtFirst)
        let isOver = Locked(false)
        let path = daemon.ingestPath
        let feeder = rate > 0 ? try WorkerThread("load") { EvenLoad(load: load, rate: rate).send(to: path, until: isOver) } : nil
        defer {
            isOver.withLock { $0 = true }
            feeder?.join()
        }
        let client = try ProbeClient(path: path, name: "probe-\(Int(rate))")
        var stored: [Double] = []
        let control = try ControlClient(path: daemon.controlPath)
        for index in 0..<probes {
            stored.append(try client.roundTrip("probe,load=\(Int(rate)) v=\(Double(index % 17) * 0.1)"))
            Clocks.sleep(nanoseconds: 1_000_000)
        }
        var seen: [Double] = []
        for index in 0..<20 {
            let stream = "watched,load=\(Int(rate)),n=\(index)"
            // Past the longest warm-up.
            for reading in 0..<320 { _ = try client.roundTrip("\(stream) v=\(Double(reading % 7) * 0.1)") }
            let before = (try control.ask("status"))["alerts_total"]?.integerValue ?? 0
            let began = Clocks.monotonic()
            try client.send("\(stream) v=1000")
            while (try control.ask("status"))["alerts_total"]?.integerValue ?? 0 <= before {
                guard Clocks.monotonic() - began < 2_000_000_000 else { break }
            }
            seen.append(Double(Clocks.monotonic() - began) * 1e-6)
        }
        (stored, seen) = (stored.sorted(), seen.sorted())
        report.row([
            name, Report.number(Measure.median(stored)), Report.number(Measure.percentile(stored, 0.99)),
            Report.number(Measure.percentile(stored, 0.999)), Report.number(Measure.median(seen)),
            Report.number(Measure.percentile(seen, 0.99)),
        ])
    }
}

/// A client that numbers its lines and waits for each to be stored.
final class ProbeClient {
    private let socket: Descriptor
    private let path: String
    private var acknowledged = 0
    private var sent = 0
    private var input: [UInt8] = []

    init(path: String, name: String) throws {
        self.path = path
        socket = try UnixSocket.connect(path: path)
        try writeAll(socket.raw, Array("#!producer \(name)\n".utf8), object: path)
        acknowledged = -1
        try wait(for: 0)
        sent = acknowledged
    }

    func send(_ line: String) throws {
        sent += 1
        try writeAll(socket.raw, Array((line + "\n").utf8), object: path)
    }

    /// Milliseconds until the line is stored.
    func roundTrip(_ line: String) throws -> Double {
        let began = Clocks.monotonic()
        try send(line)
        try wait(for: sent)
        return Double(Clocks.monotonic() - began) * 1e-6
    }

    private func wait(for sequence: Int) throws {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while acknowledged < sequence {
            guard case .bytes(let count) = chunk.withUnsafeMutableBytes({ readOnce(socket.raw, into: $0) }) else {
                throw PlatformError.refused(verb: "read", object: path, reason: "the daemon closed the connection")
            }
            input += chunk[..<count]
            while let end = input.firstIndex(of: 10) {
                let words = String(decoding: input[..<end], as: UTF8.self).split(separator: " ")
                if words.first == "ok", words.count > 1 { acknowledged = max(acknowledged, Int(words[1]) ?? 0) }
                input.removeFirst(end + 1)
            }
        }
    }
}
