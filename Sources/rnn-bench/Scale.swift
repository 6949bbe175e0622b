import Control
import Platform

/// Very many streams in one daemon: fed, checkpointed, stopped, restarted.
struct Scale {
    let report: Report
    let program: String

    func measure(_ cases: [(profile: String, streams: Int)]) throws {
        report.begin(
            "scale",
            "Many univariate streams in one daemon: three readings each through the socket, every state written (`checkpoints write`), an orderly stop, a start on that state. Seconds by the clock; resident twelve seconds after the last line:",
            [
                "fleet", "fed", "resident", "bytes a stream", "checkpoint", "database", "stop", "start", "resident then",
            ])
        for one in cases { try measure(one.profile, one.streams) }
    }

    private func measure(_ profile: String, _ streams: Int) throws {
        let daemon = try TestedDaemon(
            program: program,
            settings: ["profile": profile, "streams_max": "\(streams)", "checkpoint_interval": "1d", "durability": "none"])
        let empty = daemon.resident()
        let began = Clocks.monotonic()
        var sent: Int64 = 0
        for round in 0..<3 {
            let load = Workload(streams: streams, channels: 1, lines: streams, first: round)
            try SocketLoad.send(load, 0, clients: 1, path: daemon.ingestPath)
            sent += Int64(streams)
            try daemon.wait(lines: sent)
        }
        let fed = Clocks.monotonic() - began
        // Until what the arrival of so many streams needed is given back.
        Clocks.sleep(nanoseconds: 12_000_000_000)
        let resident = daemon.resident()
        let checkpointBegan = Clocks.monotonic()
        // A million streams take longer than an answer may; the blocks are counted below.
        _ = try? ControlClient(path: daemon.controlPath).ask("checkpoints.write")
        let blocks = Int64((streams + 15) / 16)
        while try daemon.count("checkpoint_blocks_written") < blocks { Clocks.sleep(nanoseconds: 20_000_000) }
        let checkpoint = Clocks.monotonic() - checkpointBegan
        let database = try daemon.count("database_bytes")
        let stop = daemon.stop()
        let start = try daemon.start()
        let streamsThen = try daemon.count("streams")
        guard streamsThen == Int64(streams) else {
            throw PlatformError.refused(verb: "restart", object: "\(streams) streams", reason: "\(streamsThen) came back")
        }
        report.row([
            "\(streams) \(profile)", seconds(fed), size(resident), Report.number(Double(resident - empty) / Double(streams)),
            seconds(checkpoint),
            size(database), seconds(stop), seconds(start), size(daemon.resident()),
        ])
    }

    private func seconds(_ nanoseconds: Int64) -> String { Report.number(Double(nanoseconds) * 1e-9) + " s" }
    private func size(_ bytes: Int64) -> String { Report.number(Double(bytes) / 1e6) + " MB" }
}
