import Foundation
import Glibc
import Platform
import Tabular
import Testing

/// Questions that nobody should ask, to a real daemon.
@Suite(.serialized) struct HostileQuestionTests {
    private func ask(_ shop: Workshop, _ command: String, _ arguments: String) throws -> JSONValue {
        let socket = try UnixSocket.connect(path: shop.directory + "/c")
        try writeAll(socket.raw, Array("{\"v\":1,\"command\":\"\(command)\",\"arguments\":\(arguments)}\n".utf8), object: "test")
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.last != 10 {
            guard case .bytes(let count) = chunk.withUnsafeMutableBytes({ readOnce(socket.raw, into: $0) }) else { break }
            bytes += chunk[..<count]
        }
        return try JSONValue.parse(bytes)
    }

    private func send(_ shop: Workshop, _ text: String, lines: Int64) throws {
        let socket = try UnixSocket.connect(path: shop.directory + "/i")
        try writeAll(socket.raw, Array(text.utf8), object: "test")
        for _ in 0..<500 where (try ask(shop, "status", "{}")["result"]?["lines_received"]?.integerValue ?? 0) < lines { usleep(20_000) }
    }

    @Test func `extreme numbers in any question are an answer or an error, never the end of the daemon`() throws {
        let shop = Workshop()
        let daemon = try shop.daemon()
        // One stream has readings of 1677 and of today: more than an Int64 of nanoseconds apart.
        let today: Int64 = 1_760_000_000_000_000_000
        var text = ""
        for (start, count) in [(Int64.min + 1, 120), (today, 120)] {
            for index in 0..<count { text += "f v=\(index % 5 == 0 ? 900 : index % 7) \(start + Int64(index) * 1_000_000_000)\n" }
        }
        try send(shop, text, lines: 240)
        let numbers = [
            "-9223372036854775808", "-9223372036854775807", "-1", "0", "1", "\(today)", "9223372036854775807", "1e300", "-1e300", "0.5",
        ]
        for at in numbers {
            for within in numbers { _ = try ask(shop, "why-not", "{\"stream\":\"f\",\"at\":\(at),\"within\":\(within)}") }
            for command in ["alerts.query", "budget"] {
                _ = try ask(shop, command, "{\"since\":\(at),\"until\":\(at),\"limit\":\(at),\"stream\":\"*\"}")
            }
            _ = try ask(shop, "model.fetch", "{\"name\":\"x@\(at)\",\"offset\":\(at)}")
            _ = try ask(
                shop, "model.upload",
                "{\"sha256\":\"\(String(repeating: "a", count: 64))\",\"size\":\(at),\"offset\":\(at),\"data\":\"AAAA\"}")
            _ = try ask(shop, "backup.read", "{\"id\":\(at),\"offset\":\(at)}")
        }
        _ = try ask(shop, "streams.show", "{\"stream\":\"f\"}")
        #expect(daemon.isRunning)
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
        // The same stored readings at the next start, and one of today more.
        let again = try shop.daemon(name: "again")
        try send(shop, "f v=1 \(today + 1_000_000_000_000)\n", lines: 241)
        #expect(again.isRunning)
        kill(again.processIdentifier, SIGTERM)
        #expect(shop.outcome(again, name: "again").status == 0)
    }

    @Test func `a backup is written with the rights of who asks, over nothing, and never into the state directory`() throws {
        let shop = Workshop()
        let daemon = try shop.daemon()
        try send(shop, (0..<50).map { "p v=\($0) \(1_760_000_000 + $0)000000000\n" }.joined(), lines: 50)
        let victim = try shop.write("victim", "precious")
        for path in [victim, shop.state + "/rnn-watchd.db", shop.state + "/new", shop.state + "/../state/new"] {
            #expect(try ask(shop, "backup", "{\"file\":\"\(path)\"}")["ok"] == .bool(false), "\(path)")
        }
        #expect(try shop.run("rnnctl", "--control-socket", shop.directory + "/c", "backup", victim).status == 1)
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
        let copy = shop.directory + "/copy.db"
        let made = try shop.run("rnnctl", "--control-socket", shop.directory + "/c", "backup", copy)
        #expect(made.status == 0, "\(made.errors)")
        #expect(try FileManager.default.attributesOfItem(atPath: copy)[.posixPermissions] as? Int == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: shop.state).allSatisfy { !$0.contains("partial") && $0 != "new" })
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
        #expect(try shop.run("rnnctl", "--state-dir", shop.state, "backup", shop.state + "/inside").status == 1)
        let offline = try shop.run("rnnctl", "--state-dir", shop.state, "backup", shop.directory + "/offline.db")
        #expect(offline.status == 0, "\(offline.errors)")
    }

    @Test func `a database that is removed under the daemon is written anew with everything acknowledged`() throws {
        let shop = Workshop()
        let daemon = try shop.daemon(["--set", "durability_interval=100ms", "--set", "commit_interval=50ms"])
        let socket = try UnixSocket.connect(path: shop.directory + "/i")
        var input: [UInt8] = []
        func wait(for text: String) {
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            while !String(decoding: input, as: UTF8.self).contains(text) {
                guard case .bytes(let count) = chunk.withUnsafeMutableBytes({ readOnce(socket.raw, into: $0) }) else { break }
                input += chunk[..<count]
            }
        }
        func lines(_ range: Range<Int>) -> [UInt8] { Array(range.map { "p v=\($0 % 7) \(1_760_000_000 + $0)000000000\n" }.joined().utf8) }
        try writeAll(socket.raw, Array("#!producer x\n".utf8) + lines(0..<200), object: "test")
        wait(for: "ok 200\n")
        unlink(shop.state + "/rnn-watchd.db")
        try writeAll(socket.raw, lines(200..<400), object: "test")
        wait(for: "ok 400\n")
        kill(daemon.processIdentifier, SIGKILL)
        _ = shop.outcome(daemon, name: "daemon")
        let status = try shop.run("rnnctl", "--state-dir", shop.state, "status", "--format", "json").output
        #expect(try JSONValue.parse(Array(status.utf8))["readings_accepted"]?.integerValue == 400)
    }

    @Test func `names of producers are listed with their user, and forgotten on demand`() throws {
        let shop = Workshop()
        let daemon = try shop.daemon(["--set", "durability_interval=100ms"])
        let file = try shop.write("lines", (0..<30).map { "p v=\($0) \(1_760_000_000 + $0)000000000\n" }.joined())
        func send() throws -> String {
            let sent = try shop.run("rnnctl", "send", file, "--producer", "archive", "--ingest-socket", shop.directory + "/i")
            #expect(sent.status == 0)
            return sent.errors
        }
        #expect(try send().contains("30 lines acknowledged, 0 refused"))
        func producers() throws -> [JSONValue] {
            let text = try shop.run("rnnctl", "--control-socket", shop.directory + "/c", "producers", "list", "--format", "json").output
            return try JSONValue.parse(Array(text.utf8)).items ?? []
        }
        let listed = try producers()
        #expect(listed.count == 1 && listed[0]["name"]?.text == "archive" && listed[0]["lines"]?.integerValue == 30)
        #expect(listed[0]["uid"]?.integerValue == Int64(getuid()))
        #expect(try send().contains("30 of them before"))
        #expect(try shop.run("rnnctl", "--control-socket", shop.directory + "/c", "producers", "forget", "nobody").status == 1)
        #expect(try shop.run("rnnctl", "--control-socket", shop.directory + "/c", "producers", "forget", "archive").status == 0)
        for _ in 0..<200 where try !producers().isEmpty { usleep(20_000) }
        #expect(try producers().isEmpty)
        #expect(try send().contains("30 lines acknowledged, 0 refused"))
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
        #expect(try shop.run("rnnctl", "--state-dir", shop.state, "producers", "forget", "archive").status == 0)
        #expect(try shop.run("rnnctl", "--state-dir", shop.state, "producers", "list", "--format", "json").output == "[]\n")
    }

    @Test func `a disk that refuses until the end costs exactly the readings that are told, and the exit code says so`() throws {
        let shop = Workshop()
        let lines = (0..<20_000).map { "p,k=\($0 % 5) v=\($0 % 13) \(1_760_000_000 + $0 / 5)000000000\n" }.joined()
        let process = try shop.process("rnn-watchd", ["--stdin", "--state-dir", shop.state, "--set", "commit_interval=10ms"], input: lines)
        // The second commit and all after it fail.
        process.environment?["RNN_WATCHD_FAILPOINTS"] = "commit.journal=error@2+1000000"
        try process.run()
        let outcome = shop.outcome(process)
        #expect(outcome.status == 1)
        let told = try #require(outcome.errors.firstMatch(of: /are lost.* readings=([0-9]+)/)?.1)
        let text = try shop.run("rnnctl", "--state-dir", shop.state, "status", "--format", "json").output
        let stored = try #require(try JSONValue.parse(Array(text.utf8))["readings_accepted"]?.integerValue)
        #expect(Int64(told) == 20_000 - stored, "told \(told), stored \(stored)")
    }

    @Test func `a check finds a group that is not there and a configuration without a source`() throws {
        let shop = Workshop()
        let file = try shop.write("c.toml", "control_group = \"no-such-group\"\ningest_socket = \"\"\ningest_datagram_socket = \"\"\n")
        let outcome = try shop.run("rnn-watchd", "--check", "--config", file)
        #expect(outcome.status == 3 && outcome.errors.contains("control_group: got \"no-such-group\""))
        #expect(outcome.errors.contains("no source of lines"))
        let zero = try shop.write("z.toml", "shards = 1\n# \0\nshards = 99\n")
        let found = try shop.run("rnn-watchd", "--check", "--config", zero)
        #expect(found.status == 3 && found.errors.contains("z.toml:2:3: got a zero byte"), "\(found.errors)")
    }
}
