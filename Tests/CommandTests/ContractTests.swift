import Foundation
import Glibc
import Tabular
import Testing

/// What docs/CONTROL.md promises is what the programs print: the names are read from the document.
@Suite(.serialized) struct ContractTests {
    /// The names in backticks in the first cells of the tables below a heading, in order.
    private func documented(_ heading: String) throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("docs/CONTROL.md"), encoding: .utf8)
        let section = try #require(text.components(separatedBy: "\n## ").first { $0.hasPrefix(heading) }, "\(heading)")
        return section.split(separator: "\n").filter { $0.hasPrefix("| `") }.flatMap { row in
            row.split(separator: "|")[0].matches(of: /`([a-z0-9_]+)`/).map { String($0.1) }
        }
    }

    private func names(_ value: JSONValue?) -> [String] {
        guard case .object(let members)? = value else { return [] }
        return members.map(\.name)
    }

    @Test func `alerts query prints the columns of the document, in its order, in every format`() throws {
        let shop = Workshop()
        #expect(try shop.run("rnn-watchd", "--stdin", "--state-dir", shop.state, input: readings(3000, jumpAt: 2500)).status == 0)
        let columns = try documented("`rnnctl alerts query`")
        let promised = [
            "id", "stream", "channels", "kind", "severity", "state", "opened_at", "updated_at", "closed_at", "initial_score", "peak_score",
            "observed", "expected", "reason",
        ]
        #expect(promised.allSatisfy(columns.contains))
        let json = try shop.run("rnnctl", "--state-dir", shop.state, "alerts", "query", "--format", "json").output
        let rows = try #require(try JSONValue.parse(Array(json.utf8)).items)
        #expect(!rows.isEmpty)
        for row in rows { #expect(names(row) == columns) }
        for line in try shop.run("rnnctl", "--state-dir", shop.state, "alerts", "query", "--format", "jsonl").output.split(separator: "\n")
        {
            #expect(names(try JSONValue.parse(Array(line.utf8))) == columns)
        }
        let csv = try shop.run("rnnctl", "--state-dir", shop.state, "alerts", "query", "--format", "csv").output
        #expect(csv.split(separator: "\n").first.map(String.init) == columns.joined(separator: ","))
        let none = try shop.run("rnnctl", "--state-dir", shop.state, "alerts", "query", "--since", "2100-01-01", "--format", "csv").output
        #expect(none == columns.joined(separator: ",") + "\n", "the header stands also without rows")
    }

    @Test func `status prints the members of the document, of a running daemon and from its database`() throws {
        let shop = Workshop()
        let members = try documented("`rnnctl status`")
        let promised = [
            "lines_received", "lines_refused", "readings_accepted", "readings_dropped", "streams", "alerts_open", "alerts_total",
            "queue_fill", "last_checkpoint", "bytes_written",
        ]
        #expect(promised.allSatisfy(members.contains))
        let daemon = try shop.daemon()
        let live = try shop.run("rnnctl", "status", "--format", "json", "--control-socket", shop.directory + "/c").output
        #expect(Set(names(try JSONValue.parse(Array(live.utf8)))) == Set(members).subtracting(["daemon"]))
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
        let stored = try shop.run("rnnctl", "status", "--format", "json", "--state-dir", shop.state).output
        let found = names(try JSONValue.parse(Array(stored.utf8)))
        #expect(promised.allSatisfy(found.contains) && found.allSatisfy(members.contains), "\(found)")
    }

    @Test func `score of a plain series has the columns of the document`() throws {
        let shop = Workshop()
        let rows = (0..<20).map { "\(1_767_571_200 + 60 * $0),\($0 % 3)" }
        let file = try shop.write("in.csv", "timestamp,value\n" + rows.joined(separator: "\n") + "\n")
        let lines = try shop.run("rnnctl", "score", "--format", "csv", file).output.split(separator: "\n")
        #expect(lines.first == "timestamp,score,alert,value.expected,value.score" && lines.count == 21)
        for (line, row) in zip(lines.dropFirst(), rows) {
            let cells = line.split(separator: ",", omittingEmptySubsequences: false)
            #expect(cells.count == 5 && cells[0] == row.prefix { $0 != "," } && Double(cells[1]) != nil && ["0", "1"].contains(cells[2]))
        }
    }

    @Test func `state directory and control socket may stand anywhere`() throws {
        let shop = Workshop()
        #expect(try shop.run("rnn-watchd", "--stdin", "--state-dir", shop.state, input: readings(5)).status == 0)
        for words in [
            ["--state-dir", shop.state, "streams", "list"], ["--state-dir=" + shop.state, "streams", "list"],
            ["streams", "--state-dir", shop.state, "list"], ["streams", "list", "--state-dir", shop.state],
            ["streams", "list", "--format", "csv", "--state-dir=" + shop.state],
        ] {
            let outcome = try run(shop, words)
            #expect(outcome.status == 0 && outcome.output.contains("pump,site=a0"), "\(words): \(outcome)")
        }
        for words in [["simulate", "--hours", "1", "--streams", "1"], ["sample", "--count", "1", "--interval", "10ms"]] {
            #expect(try run(shop, ["--state-dir", shop.state] + words).status == 0, "\(words)")
            #expect(try run(shop, words + ["--control-socket", "/nowhere"]).status == 0, "\(words)")
        }
        #expect(try run(shop, ["--state-dir", "a", "status", "--control-socket", "b"]).status == 2)
        #expect(try run(shop, ["--state-dir", "a", "send", "f"]).errors.contains("expected --ingest-socket"))
        #expect(try run(shop, ["--state-dir", shop.state, "--help"]).status == 0)
    }

    @Test func `a subcommand that is none is told with the nearest one`() throws {
        let shop = Workshop()
        for (words, told) in [
            (["alert", "query"], "got 'alert'; did you mean 'alerts'?, expected one of: alerts, explain, silence, streams, why-not"),
            (["alerts", "qery"], "got 'qery'; did you mean 'query'?, expected one of: query, show, follow, ack"),
        ] {
            let outcome = try run(shop, words)
            #expect(outcome.status == 2 && outcome.output.isEmpty && outcome.errors.contains(told), "\(outcome)")
        }
        for words in [["help", "alerts"], ["alerts", "--help"], ["--version"]] { #expect(try run(shop, words).status == 0, "\(words)") }
    }

    @Test func `a reload changes the level of the log, and says so`() throws {
        let shop = Workshop()
        let file = try shop.write("c.toml", "log_level = \"error\"\n")
        let daemon = try shop.daemon(["--config", file])
        _ = try shop.write("c.toml", "log_level = \"info\"\nshards = 2\n")
        kill(daemon.processIdentifier, SIGHUP)
        var text = ""
        for _ in 0..<200 where !text.contains("reloaded") {
            usleep(20_000)
            text = try String(contentsOfFile: shop.directory + "/daemon.err", encoding: .utf8)
        }
        #expect(text.contains("reloaded: log_level; a restart is needed for: shards"), "\(text)")
        let metrics = try shop.run("rnnctl", "metrics", "--control-socket", shop.directory + "/c").output
        #expect(metrics.contains("# TYPE rnnwatchd_lines_received_total counter\nrnnwatchd_lines_received_total 0"))
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
    }

    private func run(_ shop: Workshop, _ words: [String]) throws -> Outcome {
        let process = try shop.process("rnnctl", words)
        try process.run()
        return shop.outcome(process)
    }
}
