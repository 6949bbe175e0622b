import Detection
import Glibc

/// Benchmarks of the way of a reading. Rounds are interleaved, the median counts, CPU time is that of the threads at work, and every figure
/// stands beside a reference measured in the same run.
///
/// usage: rnn-bench [PART...] [--rounds N] [--daemon PROGRAM] [--docs FILE] [--streams N]
///
/// Parts: kernels stages detector streams age models (in process), socket shards forward lag latency scale (a real daemon), allocations (a test).
/// Without parts everything but scale and allocations runs. `--docs` puts the tables into a document.
@main
struct Bench {
    static func main() {
        var parts: Set<String> = []
        var options: [String: String] = [:]
        var rest = CommandLine.arguments.dropFirst()
        while let word = rest.popFirst() {
            if word == "--help" || word == "-h" {
                print(
                    "usage: rnn-bench [PART...] [--rounds N] [--daemon PROGRAM] [--docs FILE] [--streams N]\nparts: kernels stages detector streams age models socket shards forward lag latency scale allocations; without parts all but the last two"
                )
                return
            }
            if !word.hasPrefix("--") {
                parts.insert(word)
                continue
            }
            guard ["--rounds", "--daemon", "--docs", "--streams"].contains(word), let value = rest.popFirst() else {
                print("rnn-bench: unknown option or one without a value: \(word); see rnn-bench --help")
                exit(2)
            }
            options[word] = value
        }
        let known: Set<String> = [
            "kernels", "stages", "detector", "streams", "age", "models", "socket", "shards", "forward", "lag", "latency", "scale",
            "allocations",
        ]
        guard parts.isSubset(of: known) else {
            print("rnn-bench: unknown part \(parts.subtracting(known).sorted()), expected \(known.sorted())")
            exit(2)
        }
        do { try run(parts, options) } catch {
            print("rnn-bench: \(error)")
            exit(1)
        }
    }

    private static func run(_ parts: Set<String>, _ options: [String: String]) throws {
        let rounds = options["--rounds"].flatMap { Int($0) } ?? 5
        let report = Report()
        let bench = InProcess(report: report, rounds: rounds)
        if parts.contains("allocations") { exit(bench.allocations() ? 0 : 3) }
        let program = options["--daemon"] ?? sibling("rnn-watchd")
        func wants(_ part: String) -> Bool { parts.contains(part) || parts.isEmpty && part != "scale" }
        print("instruction set \(Detector.instructionSet)")
        if wants("kernels") { bench.kernels() }
        if wants("stages") { bench.stages() }
        if wants("detector") { bench.detector() }
        if wants("streams") { bench.curve() }
        if wants("age") { bench.age() }
        if wants("models") { bench.models() }
        let load = SocketLoad(report: report, program: program, rounds: rounds)
        if wants("forward") { try load.forward() }
        if wants("socket") { try load.throughput() }
        if wants("shards") { try ShardScaling(report: report, program: program, rounds: rounds).run() }
        if wants("lag") { try Latency(report: report, program: program).lags(rounds: rounds, seconds: 5) }
        if wants("latency") { try Latency(report: report, program: program).measure(probes: 1000) }
        if wants("scale") {
            let most = options["--streams"].flatMap { Int($0) } ?? 1_000_000
            try Scale(report: report, program: program).measure([
                ("default", min(100_000, most)), ("light", min(100_000, most)), ("light", most),
            ])
        }
        if let docs = options["--docs"] { try report.write(into: docs) }
    }

    /// The program of that name beside this one.
    private static func sibling(_ name: String) -> String {
        let own = CommandLine.arguments[0]
        return (own.lastIndex(of: "/").map { String(own[...$0]) } ?? "./") + name
    }
}
