import Control
import Foundation
import Glibc
import Platform
import Tabular
import Testing

/// A server on a socket of its own; answers `echo` with its arguments and `big` with a text of that many bytes.
private final class Server {
    let path: String
    private let server: ControlServer
    private let ended = DispatchSemaphore(value: 0)

    init(isAllowed: @escaping @Sendable (PeerCredentials) -> Bool = { _ in true }) throws {
        // As the programs do: a peer that went away is an error of write.
        signal(SIGPIPE, SIG_IGN)
        var template = Array("/tmp/rnnXXXXXX".utf8CString)
        let made = mkdtemp(&template).map { String(cString: $0) }
        let directory = try #require(made)
        path = directory + "/c"
        let socket = try UnixSocket.bind(path: path, kind: .stream, mode: 0o600)
        let server = try ControlServer(log: Log(level: .error), isAllowed: isAllowed) { request in
            switch request.command {
            case "echo": .success(request.arguments)
            case "big": .success(.string(String(repeating: "x", count: Int(request.arguments["bytes"]?.integerValue ?? 0))))
            default: .failure(.badRequest("unknown command \(request.command)"))
            }
        }
        self.server = server
        let listener = socket.release()
        let ended = ended
        Thread {
            try? server.run(listener: listener)
            close(listener)
            ended.signal()
        }.start()
    }

    deinit {
        server.stop()
        ended.wait()
        try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent)
    }

    /// Sends bytes, ends its side, and returns all lines of the answer.
    func raw(_ bytes: [UInt8]) throws -> [String] {
        let socket = try UnixSocket.connect(path: path)
        try writeAll(socket.raw, bytes, object: "test")
        shutdown(socket.raw, Int32(SHUT_WR))
        return String(decoding: try Files.readAll(socket.raw, object: "test"), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func raw(_ text: String) throws -> [String] { try raw(Array(text.utf8)) }
}

@Suite struct ControlTests {
    @Test func `an answer carries what was asked, whatever the bytes`() throws {
        let server = try Server()
        let client = try ControlClient(path: server.path)
        for text in ["", "ä𝄞", "\"\\\n\u{1}", String(repeating: "y", count: 50_000)] {
            #expect(try client.ask("echo", .object(["text": .string(text)]))["text"]?.text == text)
        }
        #expect(try client.ask("big", .object(["bytes": .integer(5_000_000)])).text?.utf8.count == 5_000_000)
        #expect(throws: ControlError.self) { _ = try client.ask("nope") }
        #expect(try client.ask("echo") == .object([]), "the connection lives on after a refusal")
    }

    @Test(arguments: [
        "", "{", "[]", "null", "1", "{}", "{\"v\":2,\"command\":\"echo\"}", "{\"v\":\"1\",\"command\":\"echo\"}", "{\"v\":1}",
        "{\"v\":1,\"command\":7}", "{\"v\":1,\"command\":\"echo\",\"arguments\":[]}", "{\"v\":1,\"command\":\"\\ud800\"}",
        String(repeating: "[", count: 60_000),
    ])
    func `a request that is none gets an error and the next one an answer`(text: String) throws {
        let answers = try Server().raw(text + "\n{\"v\":1,\"command\":\"echo\"}")
        #expect(answers.last == "{\"v\":1,\"ok\":true,\"result\":{}}", "also without a line end")
        #expect(answers.count == (text.isEmpty ? 1 : 2))
        if !text.isEmpty { #expect(answers.first?.hasPrefix("{\"v\":1,\"ok\":false,\"error\":\"") == true) }
    }

    @Test func `another version is refused by name`() throws {
        let answer = try Server().raw("{\"v\":99,\"command\":\"echo\"}\n")
        #expect(answer == ["{\"v\":1,\"ok\":false,\"error\":\"cannot read request: got version 99, expected 1\"}"])
    }

    @Test func `binary rubbish is refused`() throws {
        let answers = try Server().raw((0...255).map { UInt8($0) } + [10])
        #expect(!answers.isEmpty && answers.allSatisfy { $0.contains("\"ok\":false") })
    }

    @Test func `a request without end is refused at its bound`() throws {
        let server = try Server()
        let socket = try UnixSocket.connect(path: server.path)
        let long = [UInt8](repeating: 97, count: 4 * ControlProtocol.requestBytesMax)
        do { try writeAll(socket.raw, long, object: "test") } catch { #expect(error.code == EPIPE || error.code == ECONNRESET) }
        let client = try ControlClient(path: server.path)
        #expect(try client.ask("echo") == .object([]))
    }

    @Test func `requests one after another are answered in order`() throws {
        let lines = (0..<500).map { "{\"v\":1,\"command\":\"echo\",\"arguments\":{\"n\":\($0)}}\n" }.joined()
        let answers = try Server().raw(lines)
        #expect(answers == (0..<500).map { "{\"v\":1,\"ok\":true,\"result\":{\"n\":\($0)}}" })
    }

    @Test func `a client that never reads its answers delays nobody`() throws {
        let server = try Server()
        let deaf = try UnixSocket.connect(path: server.path)
        try writeAll(
            deaf.raw, Array(String(repeating: "{\"v\":1,\"command\":\"big\",\"arguments\":{\"bytes\":10000000}}\n", count: 20).utf8),
            object: "test")
        let client = try ControlClient(path: server.path)
        for _ in 0..<20 { #expect(try client.ask("echo") == .object([])) }
    }

    @Test func `silent clients cannot lock others out`() throws {
        let server = try Server()
        var silent: [Int32] = []
        defer { silent.forEach { close($0) } }
        for _ in 0..<ControlServer.connectionsMax + 20 { silent.append(try UnixSocket.connect(path: server.path).release()) }
        let client = try ControlClient(path: server.path)
        #expect(try client.ask("echo") == .object([]))
    }

    @Test func `a peer that is not allowed hears why`() throws {
        let answer = try Server(isAllowed: { $0.userID != getuid() }).raw("{\"v\":1,\"command\":\"echo\"}\n")
        #expect(answer.count == 1 && answer.first?.hasPrefix("{\"v\":1,\"ok\":false,\"error\":\"not allowed: ") == true)
        #expect(answer.first?.contains("group") == true, "it says how to be allowed")
    }

    @Test func `nobody there is told with what to do`() {
        do {
            _ = try ControlClient(path: "/tmp/no-such-rnn-socket")
            Issue.record("expected an error")
        } catch { #expect("\(error)".contains("/tmp/no-such-rnn-socket") && "\(error)".contains("systemctl start rnn-watchd")) }
    }

    @Test func `a table goes over the wire and comes back`() {
        let table = RecordTable(columns: ["b", "a"], rows: [[.integer(1), .null], [.string("x"), .number(0.5)]])
        #expect(ControlProtocol.table(ControlProtocol.result(table)) == table)
        #expect(ControlProtocol.table(.null) == nil)
    }
}
