import Control
import Glibc
import Platform
import Tabular

/// The real daemon in a process of its own, with a directory that goes away with it.
final class TestedDaemon {
    let directory: String
    private(set) var pid: pid_t = 0
    private let program: String
    private let settings: [String: String]

    var ingestPath: String { directory + "/i" }
    var controlPath: String { directory + "/c" }

    /// Starts `program` and waits until it answers.
    init(program: String, settings: [String: String]) throws {
        var template = Array("/tmp/rnn-bench.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw PlatformError.last("create directory", "/tmp") }
        directory = String(cString: made)
        (self.program, self.settings) = (program, settings)
        try start()
    }

    /// Starts it again on the same state. Returns the nanoseconds until it answers.
    @discardableResult
    func start() throws -> Int64 {
        var arguments = [
            program, "--state-dir", directory + "/state", "--ingest-socket", ingestPath, "--control-socket", controlPath, "--set",
            "log_level=error",
            "--set", "ingest_datagram_socket=",
        ]
        for (key, value) in settings { arguments += ["--set", "\(key)=\(value)"] }
        let began = Clocks.monotonic()
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let code = posix_spawn(&pid, program, nil, nil, &words, environ)
        guard code == 0 else { throw PlatformError.system(verb: "start", object: program, code: code) }
        while true {
            if (try? ControlClient(path: controlPath).ask("status")) != nil { return Clocks.monotonic() - began }
            var status: Int32 = 0
            if waitpid(pid, &status, WNOHANG) == pid {
                throw PlatformError.refused(verb: "start", object: program, reason: "it ended with status \(status)")
            }
            Clocks.sleep(nanoseconds: 2_000_000)
        }
    }

    /// Orderly end. Returns the nanoseconds it took.
    @discardableResult
    func stop() -> Int64 {
        guard pid > 0 else { return 0 }
        let began = Clocks.monotonic()
        kill(pid, SIGTERM)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        pid = 0
        return Clocks.monotonic() - began
    }

    deinit {
        if pid > 0 {
            kill(pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
        for name in ["state/rnn-watchd.db", "state/rnn-watchd.db-wal", "state/rnn-watchd.db-shm", "state/lock", "i", "c"] {
            unlink(directory + "/" + name)
        }
        rmdir(directory + "/state")
        rmdir(directory)
    }

    func status() throws -> JSONValue { try ControlClient(path: controlPath).ask("status") }

    func count(_ name: String) throws -> Int64 { try status()[name]?.integerValue ?? 0 }

    /// Waits until so many lines (of one reading each, since the daemon was new) were received and judged. Asks when half of what was left
    /// should be done, as every question takes time from what is measured.
    func wait(lines: Int64) throws {
        let client = try ControlClient(path: controlPath)
        var (before, asked): (Int64?, Int64) = (nil, 0)
        while true {
            let (done, now) = (try client.ask("status")["readings_scored"]?.integerValue ?? 0, Clocks.monotonic())
            if done >= lines { return }
            let step = Double(done - (before ?? done)) / Double(max(1, now - asked))
            (before, asked) = (done, now)
            Clocks.sleep(nanoseconds: step > 0 ? Int64(min(max(Double(lines - done) / step / 2, 1e6), 1e8)) : 5_000_000)
        }
    }

    /// Its threads.
    private func tasks() -> [pid_t] {
        var tasks: [pid_t] = []
        guard let folder = opendir("/proc/\(pid)/task") else { return tasks }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let task = pid_t(name) { tasks.append(task) }
        }
        return tasks
    }

    /// Confines all its threads to one processor; nil: to none.
    func confine(to processor: Int?) {
        for task in tasks() { Processors.confine(thread: task, to: processor) }
    }

    /// CPU nanoseconds so far, by the kind of thread: ingest, shards, writer, and all of them; and how many shards there are.
    func cpu() -> (ingest: Double, shard: Double, writer: Double, all: Double, shards: Int) {
        var result = (ingest: 0.0, shard: 0.0, writer: 0.0, all: 0.0, shards: 0)
        for task in tasks() {
            guard let statistics = try? Files.read("/proc/\(pid)/task/\(task)/schedstat"),
                let title = try? Files.read("/proc/\(pid)/task/\(task)/comm"),
                let ran = Double(String(decoding: statistics.prefix { $0 != 32 }, as: UTF8.self))
            else { continue }
            let comm = String(decoding: title, as: UTF8.self)
            result.all += ran
            if comm.hasPrefix("rnn-ingest") { result.ingest += ran }
            if comm.hasPrefix("rnn-shard") {
                result.shard += ran
                result.shards += 1
            }
            if comm.hasPrefix("rnn-writer") { result.writer += ran }
        }
        return result
    }

    /// Resident bytes.
    func resident() -> Int64 {
        guard let text = try? Files.read("/proc/\(pid)/status") else { return 0 }
        for line in text.split(separator: 10) where line.starts(with: Array("VmRSS:".utf8)) {
            return (Int64(String(decoding: line.filter { (48...57).contains($0) }, as: UTF8.self)) ?? 0) * 1024
        }
        return 0
    }
}
