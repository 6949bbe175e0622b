import Glibc

/// Clocks and interleaved rounds.
enum Measure {
    /// CPU nanoseconds of this thread: other processes on the machine do not count.
    static func cpu() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Runs each body once a round, in turn, and returns per body its nanoseconds per unit, sorted. Bodies are told the round.
    static func interleaved(_ rounds: Int, per units: Int, _ bodies: [(Int) -> Void]) -> [[Double]] {
        var results = bodies.map { _ in [Double]() }
        for round in 0..<rounds {
            for (index, body) in bodies.enumerated() {
                let start = cpu()
                body(round)
                results[index].append(Double(cpu() - start) / Double(units))
            }
        }
        return results.map { $0.sorted() }
    }

    static func median(_ sorted: [Double]) -> Double { sorted.isEmpty ? 0 : sorted[sorted.count / 2] }

    /// The value that a share of the sorted values does not exceed.
    static func percentile(_ sorted: [Double], _ share: Double) -> Double {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}
