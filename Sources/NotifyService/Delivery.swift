import CHTTP
import CPlatform
import Glibc
import Notification
import Platform
import Tabular
import TimeSeries

/// What came of a try. `answer`: the receiver's words.
struct Outcome: Sendable, Equatable {
    var isDelivered: Bool
    var answer: String
    static func failed(_ answer: String) -> Outcome { Outcome(isDelivered: false, answer: answer) }
    static func delivered(_ answer: String) -> Outcome { Outcome(isDelivered: true, answer: answer) }
}

/// Secrets from files: absolute paths, or names in the unit's credentials (`LoadCredential=`).
enum Secrets {
    static func read(_ name: String) throws -> String {
        let path = name.hasPrefix("/") ? name : (getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) } ?? ".") + "/" + name
        let text = String(decoding: try Files.read(path, bytesMax: 1 << 16), as: UTF8.self)
        return String(text.reversed().drop { $0.isWhitespace || $0.isNewline }.reversed())
    }
}

extension SinkConfiguration {
    func address() throws -> String { url.isEmpty ? try Secrets.read(urlFile) : url }
}

enum HTTP {
    /// Sends `body`; any 2xx is a delivery.
    static func send(
        _ sink: SinkConfiguration, url: String, method: String = "POST", headers: [String], body: [UInt8]
    ) -> Outcome {
        var all = headers + sink.headers
        var user: String?
        do {
            if !sink.tokenFile.isEmpty { all.append("Authorization: Bearer \(try Secrets.read(sink.tokenFile))") }
            if !sink.user.isEmpty { user = sink.user + ":" + (sink.passwordFile.isEmpty ? "" : try Secrets.read(sink.passwordFile)) }
        } catch { return .failed("\(error)") }
        return send(url: url, method: method, headers: all, body: body, user: user, caFile: sink.caFile, timeout: sink.timeout)
    }

    static func send(
        url: String, method: String, headers: [String], body: [UInt8], user: String?, caFile: String, timeout: Int64
    ) -> Outcome {
        // A line end in a header would begin another header.
        let headers = headers.map { $0.filter { !$0.isNewline } }
        var lines = headers.map { strdup($0) }
        defer { for line in lines { free(line) } }
        var answer = chttp_answer()
        let code = lines.withUnsafeMutableBufferPointer { lines in
            lines.withMemoryRebound(to: UnsafePointer<CChar>?.self) { lines in
                url.withCString { url in
                    method.withCString { method in
                        body.withUnsafeBytes { body in
                            withOptional(user) { user in
                                withOptional(caFile.isEmpty ? nil : caFile) { caFile in
                                    var request = chttp_request()
                                    (request.url, request.method, request.user, request.ca_file) = (url, method, user, caFile)
                                    (request.headers, request.header_count) = (lines.baseAddress.map { UnsafePointer($0) }, lines.count)
                                    (request.body, request.body_length) = (body.baseAddress, body.count)
                                    request.timeout_ms = Int(timeout / 1_000_000)
                                    return chttp_send(&request, &answer)
                                }
                            }
                        }
                    }
                }
            }
        }
        let text = withUnsafeBytes(of: answer.body) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let error = withUnsafeBytes(of: answer.error) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        guard code == 0 else { return .failed(error.isEmpty ? "no answer" : error) }
        let said = text.isEmpty ? "" : ": " + RecordTable.printable(String(text.prefix(200)))
        return Outcome(isDelivered: (200..<300).contains(answer.status), answer: "HTTP \(answer.status)\(said)")
    }

    private static func withOptional<Answer>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Answer) -> Answer {
        guard let text else { return body(nil) }
        return text.withCString { body($0) }
    }
}

/// Runs a program with bytes on its standard input and a limit of time.
enum Command {
    static func run(_ argv: [String], environment: [(name: String, value: String)], input: [UInt8], timeout: Int64) -> Outcome {
        guard let program = argv.first else { return .failed("no command") }
        var ends: [Int32] = [-1, -1]
        guard chttp_pipe(&ends) == 0 else { return .failed("cannot make a pipe: \(String(cString: strerror(errno)))") }
        var output: [Int32] = [-1, -1]
        guard chttp_pipe(&output) == 0 else {
            close(ends[0])
            close(ends[1])
            return .failed("cannot make a pipe: \(String(cString: strerror(errno)))")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        posix_spawn_file_actions_adddup2(&actions, output[1], 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        // A group of its own, so that the limit of time ends its children, too; signals as a program expects them.
        var defaults = sigset_t()
        sigfillset(&defaults)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = argv.map { strdup($0) } + [nil]
        let kept = ["PATH", "HOME", "LANG", "TZ", "CREDENTIALS_DIRECTORY"].compactMap { (name: String) in
            getenv(name).map { (name: name, value: String(cString: $0)) }
        }
        var variables: [UnsafeMutablePointer<CChar>?] = (kept + environment).map { strdup("\($0.name)=\($0.value)") } + [nil]
        defer {
            for word in words + variables { free(word) }
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        var child: pid_t = 0
        let code = posix_spawn(&child, program, &actions, &attributes, &words, &variables)
        close(ends[0])
        close(output[1])
        defer { close(output[0]) }
        guard code == 0 else {
            close(ends[1])
            return .failed("cannot run \(program): \(String(cString: strerror(code)))")
        }
        return wait(child, input: input, into: ends[1], from: output[0], until: Clocks.monotonic() + timeout)
    }

    private static func wait(_ child: pid_t, input: [UInt8], into: Int32, from: Int32, until: Int64) -> Outcome {
        _ = fcntl(into, F_SETFL, O_NONBLOCK)
        _ = fcntl(from, F_SETFL, O_NONBLOCK)
        var (sent, isOpen) = (0, true)
        var heard: [UInt8] = []
        var status: Int32 = 0
        func closeInput() {
            if isOpen { close(into) }
            isOpen = false
        }
        defer { closeInput() }
        while true {
            if isOpen {
                let count = input[sent...].withUnsafeBytes { write(into, $0.baseAddress, $0.count) }
                if count > 0 { sent += count }
                if sent >= input.count || count < 0 && errno != EAGAIN && errno != EINTR { closeInput() }
            }
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count = read(from, &chunk, chunk.count)
            if count > 0, heard.count < 1024 { heard += chunk[..<count] }
            let ended = waitpid(child, &status, WNOHANG)
            if ended == child { break }
            if Clocks.monotonic() > until {
                kill(-child, SIGKILL)
                waitpid(child, &status, 0)
                return .failed("it did not end within its time and was killed")
            }
            if count <= 0 { Clocks.sleep(nanoseconds: 5_000_000) }
        }
        // What its children still do must not go on for ever.
        kill(-child, SIGTERM)
        var chunk = [UInt8](repeating: 0, count: 1024)
        let count = read(from, &chunk, chunk.count)
        if count > 0 { heard += chunk[..<count] }
        let exited = status & 0x7F == 0
        let code = status >> 8 & 0xFF
        let words = String(decoding: heard.prefix(300), as: UTF8.self).split(whereSeparator: \.isNewline).joined(separator: " ")
        let said = words.isEmpty ? "" : ": " + RecordTable.printable(words)
        if exited, code == 0 { return .delivered("exit code 0\(said)") }
        return .failed((exited ? "exit code \(code)" : "ended by signal \(status & 0x7F)") + said)
    }
}
