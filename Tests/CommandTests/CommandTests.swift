import CSQLite
import Configuration
import Foundation
import Glibc
import Tabular
import Testing

private func object(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }
private func sum(_ value: JSONValue?) -> Int64 {
    guard case .object(let members)? = value else { return -1 }
    return members.reduce(0) { $0 + ($1.value.integerValue ?? 0) }
}
/// Accepted, dropped, refused and ignored together.
private func accounted(_ status: JSONValue) -> Int64 {
    (status["readings_accepted"]?.integerValue ?? -1) + sum(status["readings_dropped"]) + sum(status["lines_refused"])
        + (status["lines_ignored"]?.integerValue ?? -1)
}

@Suite(.serialized) struct DaemonCommandTests {
    @Test func `a broken configuration is told completely, with exit code 3 and without side effects`() throws {
        let shop = Workshop()
        let file = try shop.write("bad.toml", "state_dir = \"\(shop.state)\"\nstrems_max = 5\nshards = 65\nstuck = 7\n")
        let outcome = try shop.run("rnn-watchd", "--config", file, "--check")
        #expect(outcome.status == 3)
        for place in [":2:1: unknown key \"strems_max\"; did you mean \"streams_max\"?", ":3:10: shards: got 65", ":4:9: stuck: got 7"] {
            #expect(outcome.errors.contains(place), "\(outcome.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: shop.state))
        let sample = try shop.write("sample.toml", try shop.run("rnn-watchd", "--print-config").output)
        #expect(try shop.run("rnn-watchd", "--config", sample, "--check").status == 0)
    }

    @Test func `a second daemon on the same directory is refused and the first goes on`() throws {
        let shop = Workshop()
        let first = try shop.daemon()
        let second = try shop.run("rnn-watchd", "--state-dir", shop.state, "--stdin", input: "a x=1\n")
        #expect(
            second.status == 1 && second.errors.contains("process \(first.processIdentifier) already works in this directory"), "\(second)")
        #expect(try shop.run("rnnctl", "--control-socket", shop.directory + "/c", "status").status == 0)
        kill(first.processIdentifier, SIGTERM)
        #expect(shop.outcome(first, name: "daemon").status == 0)
    }

    @Test func `a termination under load loses nothing that was taken, and the sum is exact`() throws {
        let shop = Workshop()
        let daemon = try shop.daemon()
        let text = readings(4000, streams: 3) + "rubbish\n# comment\n"
        let sender = try shop.process("rnnctl", ["send", "-", "--ingest-socket", shop.directory + "/i"], input: text, name: "send")
        try sender.run()
        let control = shop.directory + "/c"
        for _ in 0..<500 {
            let status = try object(try shop.run("rnnctl", "--control-socket", control, "status", "--format", "json").output)
            if (status["lines_received"]?.integerValue ?? 0) > 0 { break }
        }
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
        // It would go on trying; a test thread may have terminations blocked, and children inherit that.
        if sender.isRunning { kill(sender.processIdentifier, SIGKILL) }
        sender.waitUntilExit()
        let status = try object(try shop.run("rnnctl", "--state-dir", shop.state, "status", "--format", "json").output)
        let received = try #require(status["lines_received"]?.integerValue)
        #expect(received > 0 && received == accounted(status), "\(status.compact)")
        let streams = try object(try shop.run("rnnctl", "--state-dir", shop.state, "streams", "list", "--format", "json").output)
        let learned = (streams.items ?? []).reduce(Int64(0)) { $0 + ($1["readings"]?.integerValue ?? 0) }
        #expect(learned == status["readings_accepted"]?.integerValue, "every accepted reading was learned")
    }

    @Test func `the same input twice gives the same alerts, and every column of the contract`() throws {
        var seen: [String] = []
        for _ in 0..<2 {
            let shop = Workshop()
            #expect(try shop.run("rnn-watchd", "--stdin", "--state-dir", shop.state, input: readings(3000, jumpAt: 2500)).status == 0)
            let outcome = try shop.run("rnnctl", "--state-dir", shop.state, "alerts", "query", "--format", "json")
            seen.append(outcome.output)
            let rows = try #require(try object(outcome.output).items)
            let first = try #require(rows.first, "the jump is found")
            let columns = [
                "id", "stream", "channels", "kind", "severity", "state", "opened_at", "updated_at", "closed_at", "initial_score",
                "peak_score",
                "observed", "expected", "reason",
            ]
            for column in columns { #expect(first[column] != nil, "\(column)") }
            let id = try #require(first["id"]?.text)
            for format in ["table", "json", "jsonl", "csv"] {
                let text = try shop.run("rnnctl", "alerts", "query", "--format", format, "--state-dir", shop.state).output
                #expect(text.contains(id), "\(format)")
                if format == "jsonl" { #expect(text.split(separator: "\n").count == rows.count) }
                if format == "table" { #expect(text.contains(first["reason"]?.text ?? "?") && !text.contains(".000Z"), "\(text)") }
            }
            let shown = try object(try shop.run("rnnctl", "--state-dir", shop.state, "alerts", "show", id, "--format", "json").output)
            #expect(shown["id"]?.text == id && !(shown["context"]?.items ?? []).isEmpty && !(shown["events"]?.items ?? []).isEmpty)
            #expect(try shop.run("rnnctl", "--state-dir", shop.state, "check").status == 0)
        }
        #expect(seen.first == seen.last)
    }

    @Test func `CSV on standard input is read like lines`() throws {
        let shop = Workshop()
        let text = "timestamp,flow,pressure\n" + (0..<50).map { "\(1_767_571_200 + $0),\($0),2\n" }.joined() + "x,1,2\n"
        #expect(try shop.run("rnn-watchd", "--stdin", "--state-dir", shop.state, input: text).status == 0)
        let status = try object(try shop.run("rnnctl", "--state-dir", shop.state, "status", "--format", "json").output)
        #expect(status["readings_accepted"]?.integerValue == 50 && status["values_accepted"]?.integerValue == 100)
        #expect(status["lines_received"]?.integerValue == 52 && accounted(status) == 52, "\(status.compact)")
        for name in [
            "lines_received", "lines_refused", "readings_accepted", "readings_dropped", "streams", "alerts_open", "alerts_total",
            "queue_fill", "last_checkpoint", "bytes_written",
        ] {
            #expect(status[name] != nil, "\(name)")
        }
    }
}

@Suite(.serialized) struct ControlCommandTests {
    @Test func `a score is written for every row, in order, with the columns of the contract`() throws {
        let shop = Workshop()
        let rows = (0..<300).map { "\(1_767_571_200 + 60 * $0),\(sin(Double($0) / 9)),\($0 == 200 ? "" : "1")" }
        let file = try shop.write("in.csv", "timestamp,flow,\"odd,name\"\n" + rows.joined(separator: "\n") + "\nnonsense,x,y\n")
        let outcome = try shop.run("rnnctl", "score", file)
        let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(outcome.status == 0 && lines.count == 302)
        #expect(lines.first == "timestamp,score,alert,flow.expected,flow.score,\"odd,name.expected\",\"odd,name.score\"")
        #expect(lines.dropFirst().map { $0.prefix { $0 != "," } } == rows.map { $0.prefix { $0 != "," } } + ["nonsense"])
        #expect(outcome.errors.contains("line 302"))
        #expect(try shop.run("rnnctl", "score", "-", input: try String(contentsOfFile: file, encoding: .utf8)).output == outcome.output)
    }

    @Test(arguments: [
        ["score", "/nonexistent"], ["score", "/tmp"], ["score", "/dev/null"], ["--state-dir", "/nonexistent", "status"],
        ["--control-socket", "/nonexistent", "status"], ["simulate-report", "--labels", "/nonexistent", "--alerts", "/nonexistent"],
    ])
    func `what cannot be done ends with 1 and says what was the matter`(arguments: [String]) throws {
        let shop = Workshop()
        let process = try shop.process("rnnctl", arguments)
        try process.run()
        let outcome = shop.outcome(process)
        #expect(outcome.status == 1 && outcome.errors.contains("cannot") || outcome.errors.contains("no database"), "\(outcome)")
    }

    @Test(arguments: [
        ["nope"], ["simulate", "--hours=-1"], ["simulate", "--interval", "60"], ["simulate", "--faults", "x"],
        ["simulate", "--start", "x"],
        ["simulate", "--streams", "0"], ["sample", "--interval", "1"], ["sample", "--interval", "1ms"], ["sample", "--count", "0"],
        ["score", "f", "--profile", "x"], ["score", "f", "--format", "x"], ["score"], ["alerts", "query", "--since", "x"],
        ["alerts", "query", "--kind", "x"], ["alerts", "query", "--min-severity", "x"], ["alerts", "query", "--format", "x"],
        ["alerts", "query", "--limit=-1"], ["status", "--state-dir", "a", "--control-socket", "b"], ["simulate-report"],
    ])
    func `wrong usage ends with 2 and nothing on standard output`(arguments: [String]) throws {
        let shop = Workshop()
        let process = try shop.process("rnnctl", arguments)
        try process.run()
        let outcome = shop.outcome(process)
        #expect(outcome.status == 2 && outcome.output.isEmpty && outcome.errors.contains("Usage:"), "\(outcome)")
    }

    @Test(arguments: [
        [], ["alerts"], ["alerts", "query"], ["alerts", "show"], ["streams"], ["streams", "list"], ["streams", "show"], ["status"],
        ["checkpoints"], ["checkpoints", "list"], ["checkpoints", "write"], ["send"], ["score"], ["simulate"], ["simulate-report"],
        ["sample"], ["backup"], ["check"], ["restore"], ["producers"], ["producers", "list"], ["producers", "forget"],
    ])
    func `every command has help with examples`(command: [String]) throws {
        let shop = Workshop()
        let process = try shop.process("rnnctl", command + ["--help"])
        try process.run()
        let outcome = shop.outcome(process)
        #expect(outcome.status == 0 && outcome.output.contains("EXAMPLES\n") && outcome.output.contains("rnnctl "), "\(outcome)")
    }

    @Test func `the same seed and start simulate the same bytes`() throws {
        let shop = Workshop()
        let outcomes = try (0..<2).map { _ in
            try shop.run("rnnctl", "simulate", "--hours", "2", "--start", "2026-01-05", "--seed", "5", "--faults", "none").output
        }
        #expect(outcomes[0] == outcomes[1] && outcomes[0].split(separator: "\n").count == 6 * 120)
    }
}

@Suite struct BudgetCommandTests {
    @Test func `a budget is audited and a moment without an alert explained, without a daemon`() throws {
        let shop = Workshop()
        let file = try shop.write("c.toml", "false_alarms_host = \"1/day\"\ntimezone = \"UTC\"\n")
        #expect(try shop.run("rnn-watchd", "--stdin", "--state-dir", shop.state, "--config", file, input: readings(600)).status == 0)
        let budget = try shop.run("rnnctl", "--state-dir", shop.state, "budget", "--config", file, "--format", "jsonl")
        #expect(budget.status == 0, "\(budget.errors)")
        let rows = budget.output.split(separator: "\n").compactMap { try? JSONValue.parse(Array($0.utf8)) }
        #expect(rows.map { $0["scope"]?.text } == ["stream", "group"])
        for row in rows {
            #expect(row["budget"]?.text == "1/d" && (row["promised"]?.doubleValue ?? -1) > 0, "\(row.compact)")
            #expect(row["realised"]?.integerValue != nil && row["state"]?.text != nil)
        }
        let key = rows.first?["name"]?.text ?? ""
        let until = rows.first?["until_at"]?.text ?? ""
        let why = try shop.run("rnnctl", "--state-dir", shop.state, "why-not", key, "--at", until, "--config", file, "--format", "json")
        #expect(why.status == 0, "\(why.errors)")
        let answer = try JSONValue.parse(Array(why.output.utf8))
        for member in ["why", "score", "threshold", "missing", "restraint", "observed", "expected", "evidence", "channels", "source"] {
            #expect(answer[member] != nil, "\(member)")
        }
        let old = try shop.run("rnnctl", "--state-dir", shop.state, "why-not", key, "--at", "1990-01-01", "--config", file)
        #expect(old.status == 1 && old.errors.contains("too old"), "\(old.errors)")
        let unknown = try shop.run("rnnctl", "--state-dir", shop.state, "why-not", "nobody", "--at", until)
        #expect(unknown.status == 1 && unknown.errors.contains("no stream nobody"))
        // As after an upgrade that changed what a detector remembers.
        var database: OpaquePointer?
        #expect(sqlite3_open(shop.state + "/rnn-watchd.db", &database) == SQLITE_OK)
        #expect(sqlite3_exec(database, "UPDATE checkpoints SET layout = 7", nil, nil, nil) == SQLITE_OK)
        sqlite3_close(database)
        let other = try shop.run("rnnctl", "--state-dir", shop.state, "why-not", key, "--at", until, "--config", file)
        #expect(other.status == 1 && other.errors.contains("another version of the detector"), "\(other.errors)")
        for words in [["streams", "list", "--stream=*"], ["streams", "show", key], ["budget", "--config", file]] {
            let answer = try shop.run("rnnctl", "--state-dir", shop.state, words[0], words[1], words[2])
            #expect(answer.status == 0 && answer.errors.contains("part of what was learned cannot be read"), "\(words): \(answer.errors)")
        }
    }

    @Test func `a zone that the system does not know is a problem of the configuration`() throws {
        let shop = Workshop()
        let file = try shop.write("c.toml", "timezone = \"Europe/Nowhere\"\n")
        let outcome = try shop.run("rnn-watchd", "--check", "--config", file)
        #expect(outcome.status == 3 && outcome.errors.contains("Europe/Nowhere"), "\(outcome.errors)")
    }

    @Test(arguments: [
        ("timestamp;a\n2024-01-01 00:00:00;1\n2024-01-01 00:01:00;2\n", 2), ("\u{FEFF}timestamp,a\r\n1,5\r\n2,6\r\n", 2),
        ("\"time\",\"a,b\"\n\"2024-01-01T00:00:00+02:00\",\"1\"\n", 1), ("timestamp,a,\n1,5,\n2,6,\n", 2), ("timestamp,a\n1,5,\n2,6,\n", 2),
        ("timestamp,a\n", 0), ("timestamp,a,b\n1,,\n2,3,\n3,NaN,inf\n", 3), ("a,timestamp\n5,1\n6,1\n7,0\n", 3),
        ("timestamp,a\n1,2\n\n# note\nyesterday,3\n3,4\n", 3),
    ])
    func `every row of a CSV file gives one row of scores`(text: String, rows: Int) throws {
        let shop = Workshop()
        let outcome = try shop.run("rnnctl", "score", try shop.write("in.csv", text))
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.split(separator: "\n").count == rows + 1, "\(outcome.output)")
    }

    @Test func `a file whose rows cannot be read at all fails with the reason`() throws {
        let shop = Workshop()
        for (text, reason) in [
            ("timestamp,a\n01/02/2024,5\n", "none of its 1 rows"), ("timestamp;a\n1;x\n", "no cell"),
            ("a\n1\n2\n", "beside the time"), ("{\"a\":1}\n", "--format jsonl"),
        ] {
            let outcome = try shop.run("rnnctl", "score", try shop.write("in.csv", text))
            #expect(outcome.status == 1 && outcome.errors.contains(reason), "\(text): \(outcome.errors)")
        }
    }
}

/// Files as people export them, and commands that say what became of them.
@Suite struct ExportTests {
    @Test(arguments: [
        ("Zeit;Temperatur;Feuchte\n2026-01-05 00:00:00;21,5;40\n2026-01-05 00:01:00;21,625;41\n", 2),
        ("Date;Time;T\n2026-01-05;00:00:00;20.1\n2026-01-05;00:05:00;20.2\n", 2),
        ("Export of 7\nby hand\n\"Date\";\"Clock (UTC)\";\"T [C]\"\n;;C\n13/01/2026;00:00;1,5\n13/01/2026;00:10;1,25\n", 2),
        ("1767571200,5,2\n1767571260,6,3\n1767571320,7,4\n", 3), (",time,v\n0,2026-01-05,1\n1,2026-01-06,N/A\n", 2),
        ("time|v\n1767571200|1\n1767571260|2\n", 2),
    ])
    func `a file is read as its lines show`(text: String, rows: Int) throws {
        let shop = Workshop()
        let file = try shop.write("in.csv", text)
        let outcome = try shop.run("rnnctl", "score", file)
        #expect(outcome.status == 0 && outcome.output.split(separator: "\n").count == rows + 1, "\(outcome)")
        let inspected = try shop.run("rnnctl", "inspect", file)
        #expect(
            inspected.status == 0 && inspected.output.contains("\(rows) read, 0 not") && inspected.output.contains("rnnctl score"),
            "\(inspected)")
        let taken = try shop.run("rnn-watchd", "--stdin", "--csv", "--state-dir", shop.state, input: text)
        #expect(taken.status == 0, "\(taken)")
        let status = try object(try shop.run("rnnctl", "--state-dir", shop.state, "status", "--format", "json").output)
        #expect((status["readings_accepted"]?.integerValue ?? 0) + sum(status["lines_refused"]) == Int64(rows), "\(status.compact)")
    }

    @Test func `what would have to be guessed is asked for, and inspect names markers`() throws {
        let shop = Workshop()
        let file = try shop.write("in.csv", "time,v\n01/02/2026 00:00,1\n01/02/2026 00:10,-200\n")
        let refused = try shop.run("rnnctl", "score", file)
        #expect(refused.status == 1 && refused.errors.contains("--time-format"), "\(refused)")
        let told = try shop.run("rnnctl", "score", file, "--time-format", "%d/%m/%Y %H:%M", "--missing=-200")
        #expect(told.status == 0, "\(told)")
        let marked = try shop.write(
            "m.csv", "time,v\n" + (0..<30).map { "\(1_767_571_200 + $0 * 60),\($0 % 7 == 3 ? -200 : 20 + $0 % 3)\n" }.joined())
        #expect(try shop.run("rnnctl", "inspect", marked).output.contains("--missing=-200"))
    }

    @Test func `standard input ends with 1 when less than half was taken, and with a summary that says why`() throws {
        let shop = Workshop()
        let outcome = try shop.run("rnn-watchd", "--stdin", "--state-dir", shop.state, input: "heat 21,5\nheat 21,6\nheat 21\n")
        #expect(outcome.status == 1 && outcome.errors.contains("took 1 readings") && outcome.errors.contains("bad_number 2"), "\(outcome)")
        let lenient = try shop.run("rnn-watchd", "--stdin", "--lenient", "--state-dir", shop.state, input: "heat 21,5\n")
        #expect(lenient.status == 0, "\(lenient)")
    }

    @Test func `losses of a stream are shown after the daemon has ended`() throws {
        let shop = Workshop()
        let lines = "a x=1 1767571200\na x=2 1767571100\na x=3,s=\"dry\" 1767571260\na x=4 4102444800\n"
        _ = try shop.run("rnn-watchd", "--stdin", "--lenient", "--state-dir", shop.state, input: lines)
        let rows = try object(try shop.run("rnnctl", "--state-dir", shop.state, "streams", "list", "--format", "json").output)
        let lost = rows.items?.first?["lost"]
        #expect(
            lost?["out_of_order"]?.integerValue == 1 && lost?["not_numeric"]?.integerValue == 1 && lost?["future"]?.integerValue == 1,
            "\(rows.compact)")
        #expect(try shop.run("rnnctl", "--state-dir", shop.state, "check").status == 0)
    }

    @Test func `a file of CSV is sent as it is scored`() throws {
        let shop = Workshop()
        let daemon = try shop.daemon()
        let file = try shop.write("in.csv", "Zeit;T (C)\n2026-01-05 00:00:00;21,5\n2026-01-05 00:01:00;21,75\n")
        let sent = try shop.run("rnnctl", "send", file, "--stream", "attic", "--ingest-socket", shop.directory + "/i", "--quiet")
        #expect(sent.status == 0, "\(sent)")
        let shown = try object(
            try shop.run("rnnctl", "--control-socket", shop.directory + "/c", "streams", "show", "attic", "--format", "json").output)
        #expect(shown["readings"]?.integerValue == 2, "\(shown.compact)")
        #expect(shown["channel_states"]?.items?.first?["value"] == .number(21.75), "\(shown.compact)")
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
    }
}
