import Glibc
import Platform

/// What lag the machine itself allows: bare threads, one that reads a socket and as many as the daemon has shards that are each busy for as
/// long per line of theirs, under the same load. Whatever else runs on the machine, and its host, delays them alike.
enum LagReference {
    private struct Chunk: Sendable {
        var arrivedAt: Int64
        var lines: Int
    }

    /// Lag in milliseconds that 50, 99 and 99.9 of 100 lines kept within.
    /// - Parameters:
    ///   - feed: sends the load to a socket at the path it is told, and returns when all is sent
    ///   - nanoseconds: of processor time per line
    ///   - workers: threads that share the lines
    static func measure(bytesPerLine: Double, nanoseconds: Double, workers: Int, _ feed: (String) -> Void) throws -> [Double] {
        let path = "/tmp/rnn-bench-reference.\(getpid())"
        let listener = try UnixSocket.bind(path: path, kind: .stream, mode: 0o600)
        defer { unlink(path) }
        let queues = (0..<workers).map { _ in BoundedQueue<Chunk>(capacity: 4096) }
        let reader = try WorkerThread("reference-read") { [fd = listener.raw] in
            var waiting = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
            _ = poll(&waiting, 1, 10_000)
            defer { for queue in queues { queue.close() } }
            guard case .connected(let client) = UnixSocket.accept(fd) else { return }
            _ = fcntl(client, F_SETFL, fcntl(client, F_GETFL) & ~O_NONBLOCK)
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while case .bytes(let count) = buffer.withUnsafeMutableBytes({ readOnce(client, into: $0) }) {
                let arrivedAt = Clocks.monotonic()
                let lines = max(1, Int(Double(count) / bytesPerLine) / workers)
                for queue in queues { queue.push(Chunk(arrivedAt: arrivedAt, lines: lines)) }
            }
            close(client)
        }
        let turns = nanoseconds / nanosecondsPerTurn()
        let lags = Locked([(lag: Int64, lines: Int)]())
        let threads = try queues.map { queue in
            try WorkerThread("reference-work") {
                WorkerThread.takeShortTurns()
                var own: [(lag: Int64, lines: Int)] = []
                while !queue.isFinished {
                    guard let chunk = queue.pop(timeoutNanoseconds: 100_000_000) else { continue }
                    work(Int(turns * Double(chunk.lines)))
                    own.append((Clocks.monotonic() - chunk.arrivedAt, chunk.lines))
                }
                lags.withLock { $0 += own }
            }
        }
        feed(path)
        reader.join()
        for thread in threads { thread.join() }
        let sorted = lags.withLock { $0 }.sorted { $0.lag < $1.lag }
        let all = Double(sorted.reduce(0) { $0 + $1.lines })
        return [0.5, 0.99, 0.999].map { share in
            var seen = 0.0
            for (lag, lines) in sorted {
                seen += Double(lines)
                if seen >= all * share { return Double(lag) * 1e-6 }
            }
            return 0
        }
    }

    /// The fastest of many short measurements, in processor time.
    private static func nanosecondsPerTurn() -> Double {
        let turns = 20_000
        return (0..<200).map { _ in
            let began = Measure.cpu()
            work(turns)
            return Double(Measure.cpu() - began) / Double(turns)
        }.min() ?? 1
    }

    /// A chain of multiplications that nothing can shorten.
    @inline(never)
    private static func work(_ turns: Int) {
        var x = UInt64(truncatingIfNeeded: turns) | 1
        for _ in 0..<max(0, turns) { x = x &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407 }
        withExtendedLifetime(x) { sink.withLock { $0 = x } }
    }

    private static let sink = Locked(UInt64(0))
}
