import Control
import Foundation
import Glibc
import Tabular
import Testing

/// A model in the running daemon, from history to rollback, with real programs. Numbers of readings follow from the simulated plant.
@Suite struct RunningModelTests {
    private let pump = "pump,asset=p1,site=a"

    /// A daemon of one test.
    private final class Service {
        let bench: Bench
        private var process: Process?
        init(_ bench: Bench) { self.bench = bench }
        deinit { if let process, process.isRunning { kill(process.processIdentifier, SIGKILL) } }

        func start() throws {
            let made = try bench.process("rnn-watchd", ["--config", bench.path("config.toml")], name: "daemon")
            try made.run()
            process = made
            for _ in 0..<1500 where (try? ask("status")) == nil { usleep(40_000) }
        }

        func ask(_ command: String, _ arguments: JSONValue = .object([])) throws -> JSONValue {
            try ControlClient(path: bench.path("c")).ask(command, arguments)
        }

        func crash() {
            guard let process else { return }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }

        func stop() -> Int32 {
            guard let process else { return -1 }
            kill(process.processIdentifier, SIGTERM)
            process.waitUntilExit()
            return process.terminationStatus
        }

        /// Waits until `value` says so.
        func wait(_ what: String, _ isTrue: () throws -> Bool) throws {
            for _ in 0..<1500 {
                if try isTrue() { return }
                usleep(40_000)
            }
            Issue.record("waited in vain for: \(what)")
        }

        func accepted() throws -> Int { Int(try ask("status")["readings_accepted"]?.integerValue ?? 0) }
    }

    private func ok(_ bench: Bench, _ arguments: [String]) throws -> String {
        let outcome = try bench.rnnctl(arguments)
        #expect(outcome.status == 0, "\(arguments): \(outcome.errors)")
        return outcome.output
    }

    private func object(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

    @Test func `a GRU trained on history takes over under load, survives kill -9 bit for bit, explains its alerts, and goes back`() throws {
        let bench = Bench()
        let all = try ok(bench, ["simulate", "--hours", "48", "--streams", "2", "--start", "2026-01-05", "--seed", "3"])
            .split(separator: "\n").map(String.init)
        let (history, live) = (all.prefix(all.count / 2).joined(separator: "\n") + "\n", Array(all.dropFirst(all.count / 2)))
        try bench.write("history.lp", history)
        for (name, seed) in [("first", "1"), ("second", "2")] {
            _ = try ok(
                bench,
                [
                    "model", "train", "--cell", "gru", "--hidden", "16", "--epochs", "6", "--seed", seed, "--quiet", "--streams", "pump,*",
                    "--history", bench.path("history.lp"), "--output", bench.path(name + ".safetensors"),
                ])
        }
        try bench.write(
            "config.toml",
            """
            state_dir = "\(bench.path("state"))"
            ingest_socket = "\(bench.path("i"))"
            ingest_datagram_socket = ""
            control_socket = "\(bench.path("c"))"
            commit_interval = "100ms"
            [[streams]]
            match = "pump,*"
            model = "pump"
            """)
        let service = Service(bench)
        try service.start()
        let target = ["--control-socket", bench.path("c")]
        func send(_ lines: [String], _ name: String) throws -> Process {
            let text = lines.joined(separator: "\n") + "\n"
            let sender = try bench.process("rnnctl", ["send", "-", "--ingest-socket", bench.path("i")], name: name, input: text)
            try sender.run()
            return sender
        }
        func model() throws -> String {
            try object(try ok(bench, ["streams", "show", pump, "--format", "json"] + target))["model"]?.text ?? "none"
        }
        #expect(bench.outcome(try send(Array(all.prefix(all.count / 2)), "history"), name: "history").status == 0)
        #expect(try model() == "none")

        // Under load: the model comes while readings flow; not one is lost.
        let sender = try send(live, "live")
        let activated = try object(
            try ok(
                bench, ["model", "import", bench.path("first.safetensors"), "--name", "pump", "--activate", "--format", "json"] + target))
        #expect(activated["runs_on"]?.items?.compactMap(\.text) == ["pump,*"])
        #expect(bench.outcome(sender, name: "live").status == 0)
        try service.wait("all readings") { try service.accepted() == all.count }
        let status = try service.ask("status")
        #expect(status["readings_dropped"]?.items?.isEmpty ?? true)
        #expect(try model() == "pump@1")

        // A fault that nobody can miss.
        let newest = try #require(live.last { $0.hasPrefix("pump") }).split(separator: " ")
        let last = try #require(Int64(newest[2]))
        let usual = newest[1].split(separator: ",").dropFirst().joined(separator: ",")
        func reading(_ step: Int, pressure: String) -> String {
            "\(pump) pressure_bar=\(pressure),\(usual) \(last + Int64(step) * 60_000_000_000)"
        }
        let faults = (1...20).map { reading($0, pressure: $0 > 10 ? "9.5" : "5.\(20 + $0 % 5)") }
        #expect(bench.outcome(try send(faults, "faults"), name: "faults").status == 0)
        try service.wait("the faults") { try service.accepted() == all.count + 20 }
        #expect(try object(try ok(bench, ["model", "show", "pump", "--format", "json"] + target))["streams"]?.integerValue == 1)
        let driven = try object(try ok(bench, ["streams", "show", pump, "--format", "json"] + target))["model_state"]?.text ?? ""
        #expect(driven.hasPrefix("runs since"), "\(driven)")
        func alerts() throws -> [JSONValue] {
            try object(try ok(bench, ["alerts", "query", "--stream", "pump*", "--kind", "anomaly", "--format", "json"] + target)).items
                ?? []
        }
        try service.wait("an alert") {
            try alerts().contains { $0["channels"]?.items?.contains { $0.text == "pressure_bar" } == true && $0["state"]?.text == "open" }
        }
        let before = (digest: try service.ask("digest").text, alerts: try alerts())

        service.crash()
        try service.start()
        #expect(try service.ask("digest").text == before.digest)
        #expect(try alerts() == before.alerts)
        #expect(try model() == "pump@1")

        // Explained by the daemon, and in the state directory without it.
        let alert = try #require(before.alerts.last?["id"]?.text)
        let explained = try object(try ok(bench, ["explain", alert, "--json", "--fresh"] + target))
        #expect(explained["model"]?.text == "pump@1")
        let predictions = explained["predictions"]?.items ?? []
        #expect(!predictions.isEmpty && predictions.allSatisfy { $0["is_complete"]?.truth == true }, "\(explained.pretty)")
        #expect(predictions.first?["contributions"]?.items?.count == 5)
        #expect(explained["units"]?["count"]?.integerValue == 16)
        let stored = try #require(explained["stored_score"]?.doubleValue)
        #expect(explained["score"]?.doubleValue == stored, "the replay judges as the daemon did")
        let counterfactual = explained["counterfactual"]
        #expect(counterfactual?["found"]?.truth == true)
        #expect((counterfactual?["score"]?.doubleValue ?? .infinity) < (explained["threshold"]?.doubleValue ?? 0))
        let text = try ok(bench, ["explain", String(alert.prefix(10))] + target)
        for part in [
            "(1) What drove the prediction", "completeness", ": ok", "(2) Hidden units of pump@1", "(3) What would not have alerted",
        ] {
            #expect(text.contains(part), "\(text)")
        }

        // Another version, and back; a kill right behind each.
        _ = try ok(bench, ["model", "import", bench.path("second.safetensors"), "--name", "pump", "--activate"] + target)
        try service.wait("the second version") { try model() == "pump@2" }
        let onSecond = try service.ask("digest").text
        try service.wait("its commit") {
            usleep(400_000); return true
        }
        service.crash()
        try service.start()
        #expect(try service.ask("digest").text == onSecond)
        #expect(try model() == "pump@2")
        _ = try ok(bench, ["model", "rollback", "pump"] + target)
        try service.wait("the first version") { try model() == "pump@1" }
        let more = (21...80).map { reading($0, pressure: "5.\(20 + $0 % 5)") }
        #expect(bench.outcome(try send(more, "more"), name: "more").status == 0)
        try service.wait("the last readings") { try service.accepted() == all.count + 80 }
        let onFirst = try service.ask("digest").text
        service.crash()
        try service.start()
        #expect(try service.ask("digest").text == onFirst)
        // What a restart may need is not removed.
        let refused = try bench.rnnctl(["model", "remove", "pump@2"] + target)
        #expect(refused.status == 1 && refused.errors.contains("needed for a restart"), "\(refused)")
        #expect(service.stop() == 0)
        let offline = ["--state-dir", bench.path("state")]
        let again = try object(try ok(bench, ["explain", alert, "--json", "--fresh"] + offline))
        #expect(again == explained)
        #expect(try bench.rnnctl(offline + ["check"]).status == 0)
        // The next model learns from what the daemon has kept.
        let trained = try object(
            try ok(
                bench,
                [
                    "model", "train", "--from-state-dir", bench.path("state"), "--streams", "pump,*", "--epochs", "1", "--hidden", "4",
                    "--quiet", "--format", "json", "--output", bench.path("third.safetensors"),
                ]))
        #expect((trained["readings"]?.integerValue ?? 0) > 1000, "\(trained.compact)")
    }

    @Test func `a stream that the model does not fit, a model that is not there: both are told, and watched as before`() throws {
        let bench = Bench()
        let all = try ok(bench, ["simulate", "--hours", "6", "--streams", "2", "--faults", "none", "--start", "2026-01-05"])
        try bench.write("history.lp", all)
        _ = try ok(
            bench,
            [
                "model", "train", "--hidden", "4", "--epochs", "1", "--window", "16", "--quiet", "--streams", "pump,*", "--history",
                bench.path("history.lp"), "--output", bench.path("pump.safetensors"),
            ])
        try bench.write(
            "config.toml",
            """
            state_dir = "\(bench.path("state"))"
            ingest_socket = "\(bench.path("i"))"
            ingest_datagram_socket = ""
            control_socket = "\(bench.path("c"))"
            [[streams]]
            match = "boiler,*"
            model = "pump@1"
            [[streams]]
            match = "pump,*"
            model = "absent"
            """)
        let service = Service(bench)
        try service.start()
        let target = ["--control-socket", bench.path("c")]
        _ = try ok(bench, ["model", "import", bench.path("pump.safetensors")] + target)
        let reloaded = try service.ask("reload").text ?? ""
        #expect(reloaded.contains("streams pump,* run on the built-in network: model absent: no such model is stored"), "\(reloaded)")
        let sender = try bench.process("rnnctl", ["send", "-", "--ingest-socket", bench.path("i")], name: "send", input: all)
        try sender.run()
        #expect(bench.outcome(sender, name: "send").status == 0)
        let boiler = try object(try ok(bench, ["streams", "show", "boiler,asset=b1,site=a", "--format", "json"] + target))
        #expect(boiler["model"]?.text == "pump@1")
        #expect(
            boiler["model_state"]?.text == "waits: the stream has no channel flow_m3h, power_kw, vibration_mms, bearing_c",
            "\(boiler.pretty)")
        #expect(service.stop() == 0)
    }
}
