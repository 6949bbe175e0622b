import Foundation
import Glibc
import Platform
import Tabular
import Testing

/// Bytes that no sender should send, over the socket of a real daemon.
@Suite(.serialized) struct HostileSocketTests {
    /// What is sent, and the reason under which it must be counted; nil: it is a reading all the same.
    private static let lines: [(bytes: [UInt8], reason: String?)] = [
        (Array(repeating: UInt8(ascii: "x"), count: 1 << 20), "line_too_long"),
        (Array("crlf v=1\r".utf8), nil),
        ([0xEF, 0xBB, 0xBF] + Array("mark v=1".utf8), nil),
        (Array("lone v=1\rlone v=2".utf8), "bad_number"),
        (Array("nul\0 v=1".utf8), "control_character"),
        (Array("m v=1\0".utf8), "bad_number"),
        (Array("m".utf8) + [0xFF, 0xFE] + Array(" v=1".utf8), "bad_utf8"),
        (Array("m,t=".utf8) + [0xC0, 0xAF] + Array(" v=1".utf8), "bad_utf8"),
        (Array("m v\\".utf8), "bad_escape"),
        (Array(#"{"stream":"m","\ud800":1}"#.utf8), "bad_escape"),
        (Array("m v=1e999".utf8), "not_finite"),
        (Array("m v=".utf8) + Array(repeating: UInt8(ascii: "9"), count: 600), "bad_number"),
        (Array("m v=1 99999999999999999999999".utf8), "bad_timestamp"),
        (Array("m v=99999999999999999999i".utf8), "bad_number"),
        (Array("m,a= v=1".utf8), "bad_tag"),
        (Array("m,=b v=1".utf8), "empty_key"),
        (Array("m,a=1,a=2 v=1".utf8), "duplicate_tag"),
        (Array("m s=\"never closed".utf8), "bad_string"),
        (Array(repeating: UInt8(ascii: "["), count: 30_000), "too_deep"),
        (Array("{\"stream\":\"m\",\"a\":".utf8) + Array(repeating: UInt8(ascii: "["), count: 30_000), "too_deep"),
        (Array("{\"stream\":\"m\"".utf8), "bad_json"),
        (Array("PUTVAL nonsense".utf8), "bad_identifier"),
        ((0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7919 ^ $0 >> 3) }.map { $0 == 10 ? 11 : $0 }, "any"),
    ]

    @Test func `hostile bytes stop nothing, each line is counted once, and the error says where and what was expected`() throws {
        let shop = Workshop()
        let daemon = try shop.daemon()
        let socket = try UnixSocket.connect(path: shop.directory + "/i")
        var wanted: [String: Int64] = [:]
        for (bytes, reason) in HostileSocketTests.lines {
            try writeAll(socket.raw, bytes + [10], object: "test")
            if let reason { wanted[reason, default: 0] += 1 }
        }
        try writeAll(socket.raw, Array("after v=1\n".utf8), object: "test")
        let count = Int64(HostileSocketTests.lines.count + 1)
        let status = try answer(shop, lines: count)
        #expect(daemon.isRunning && status["lines_received"]?.integerValue == count)
        #expect(status["readings_accepted"]?.integerValue == 3, "\(status.compact)")
        var refused: [String: Int64] = [:]
        if case .object(let members)? = status["lines_refused"] {
            for member in members { refused[member.name] = member.value.integerValue }
        }
        #expect(refused.values.reduce(0, +) == count - 3, "\(refused)")
        for (reason, number) in wanted where reason != "any" { #expect((refused[reason] ?? 0) >= number, "\(reason): \(refused)") }
        let refusals = status["recent_refusals"]?.items ?? []
        #expect(refusals.count == Int(count) - 3)
        for refusal in refusals {
            let text = refusal["error"]?.text ?? ""
            #expect(text.wholeMatch(of: /column [0-9]+( \(.*\))?: cannot parse .+: got .+, expected .+/) != nil, "\(text)")
        }
        let places = refusals.compactMap { $0["line"]?.integerValue }
        let bad = HostileSocketTests.lines.indices.filter { HostileSocketTests.lines[$0].reason != nil }.map { Int64($0 + 1) }
        #expect(places == bad, "the number of the line is told")
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
    }

    @Test func `out of descriptors the daemon rests, says so, stores, answers, and goes on when there is room`() throws {
        let shop = Workshop()
        let daemon = try shop.daemon()
        func pid(_ name: String) -> String { "/proc/\(daemon.processIdentifier)/\(name)" }
        let open = try FileManager.default.contentsOfDirectory(atPath: pid("fd")).count
        let limit = Process()
        limit.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
        limit.arguments = ["--pid", "\(daemon.processIdentifier)", "--nofile=\(open + 6):\(open + 6)"]
        try limit.run()
        limit.waitUntilExit()
        try #require(limit.terminationStatus == 0)
        let clients = try (0..<20).map { _ in try UnixSocket.connect(path: shop.directory + "/i").release() }
        for (index, client) in clients.enumerated() { try writeAll(client, Array("s\(index) v=1\n".utf8), object: "test") }
        usleep(500_000)
        func processor() throws -> Int {
            let fields = try String(contentsOfFile: pid("stat"), encoding: .utf8).split(separator: ")").last?.split(separator: " ") ?? []
            return (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
        }
        let before = try processor()
        usleep(2_000_000)
        #expect(try processor() - before < 50, "hundredths of a second of processor in two seconds")
        let log = try String(contentsOfFile: shop.directory + "/daemon.err", encoding: .utf8)
        #expect(log.contains("no descriptor for another client"), "\(log)")
        for client in clients { close(client) }
        let status = try answer(shop, lines: 20)
        #expect(status["lines_received"]?.integerValue == 20 && (status["descriptors_out"]?.integerValue ?? 0) > 0, "\(status.compact)")
        kill(daemon.processIdentifier, SIGTERM)
        #expect(shop.outcome(daemon, name: "daemon").status == 0)
    }

    /// The status once so many lines were received.
    private func answer(_ shop: Workshop, lines: Int64) throws -> JSONValue {
        var status = JSONValue.null
        for _ in 0..<500 {
            let text = try shop.run("rnnctl", "--control-socket", shop.directory + "/c", "status", "--format", "json").output
            status = try JSONValue.parse(Array(text.utf8))
            if (status["lines_received"]?.integerValue ?? 0) >= lines { break }
            usleep(20_000)
        }
        return status
    }
}
