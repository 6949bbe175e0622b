import ArgumentParser
import MachineSample
import Simulation
import TimeSeries

/// This machine's own readings on stdout.
struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample",
        abstract: "Write real readings of this machine (/proc and /sys) as InfluxDB line protocol.",
        discussion: """
            Processor, load, memory, disks, network, pressure, temperatures and fans, as far as this machine has them. \
            Counters are written as rates; the first lines come after one interval.

            EXAMPLES
              rnnctl sample --interval 1s | socat - UNIX-CONNECT:/run/rnn-watchd/ingest.sock
              rnnctl sample --count 30 | rnn-watchd --stdin --state-dir ./state
            """)

    @Option(help: ArgumentHelp("Time between two samples, 10ms to 1d.", valueName: "duration"), transform: TimeSpan.option)
    var interval = TimeSpan.second

    @Option(help: ArgumentHelp("Stop after this many samples (default: go on until nobody reads).", valueName: "number"))
    var count: Int?

    @Option(help: ArgumentHelp("Value of the tag 'host' (default: the name of this machine).", valueName: "name"))
    var host: String?

    mutating func validate() throws {
        if let count, count < 1 { throw ValidationError("--count: got \(count), expected 1 or more") }
        guard interval >= TimeSpan(nanoseconds: 10_000_000), interval <= .day else {
            throw ValidationError("--interval: got \(interval), expected 10ms to 1d")
        }
    }

    mutating func run() throws {
        StandardStreams.ignoreBrokenPipes()
        let interval = interval.nanoseconds
        var sampler = MachineSampler(host: host ?? MachineSampler.hostName())
        var dueNs = StandardStreams.monotonicNs()
        // Rates need a sample before the first one that is shown.
        _ = sampler.sample(ns: StandardStreams.nowNs(), monotonicNs: dueNs)
        var rest = count ?? Int.max
        while rest > 0 {
            dueNs += interval
            StandardStreams.sleep(untilMonotonicNs: dueNs)
            let lines = sampler.sample(ns: StandardStreams.nowNs(), monotonicNs: StandardStreams.monotonicNs())
            guard try StandardStreams.writeOut(lines) else { return }
            // After a pause (suspend, stopped process) go on from now instead of catching up.
            dueNs = max(dueNs, StandardStreams.monotonicNs() - interval)
            rest -= 1
        }
    }
}
