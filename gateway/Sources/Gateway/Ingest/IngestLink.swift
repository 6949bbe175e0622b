import Glibc
import Platform
import Synchronization
import WireFormats

/// Why a batch was not taken.
public enum StoreFailure: Error, Sendable, Equatable {
    /// Too much waits already, or the daemon does not answer in time: come again.
    case busy(String)
    /// It was sent, and the daemon has not said in time that it is stored; it is kept here until then.
    case late(String)
}

/// Takes the lines of a request to the daemon.
public protocol LineStore: Sendable {
    /// Returns when the lines are stored (or received): the daemon's refusals by index of the line.
    func store(_ bytes: [UInt8], lines: Int) async throws(StoreFailure) -> [Int: String]
}

/// One connection to the ingest socket, held by a thread of its own, for all requests.
public final class IngestLink: LineStore {
    private struct State {
        var numbering: Numbering
        var owners: [UInt64: CheckedContinuation<Outcome, Never>] = [:]
        var nextID: UInt64 = 1
        var isStopping = false
        /// Monotonic nanoseconds since when the daemon cannot be reached; 0 while it can, or nobody tried.
        var downSince: Int64 = 0
        var problem = ""
    }

    /// A look at the link for metrics.
    public struct Gauge: Sendable {
        public var pendingBytes: Int
        public var requestsWaiting: Int
        public var isDown: Bool
        public var linesStored: Int64
    }

    private let path: String
    private let timeout: Int64
    private let pendingBytesMax: Int
    private let log: Log
    private let state: Mutex<State>
    private let wake: (read: Int32, write: Int32)
    /// New requests are answered at once when the daemon is away for so long.
    private static let patience: Int64 = 3_000_000_000

    /// - name: used for no other process at any time (see `Numbering`).
    public init(path: String, name: String, settings: Settings, log: Log) throws(PlatformError) {
        (self.path, self.log) = (path, log)
        timeout = settings.acknowledgeTimeout
        pendingBytesMax = settings.memoryBytesMax / 2
        state = Mutex(State(numbering: Numbering(name: name, acknowledge: settings.acknowledge)))
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFL, O_NONBLOCK) == 0 && fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
            throw PlatformError.last("create pipe", "of the ingest link")
        }
        wake = (ends[0], ends[1])
    }

    /// A name that no other process has: machine time and process.
    public static func uniqueName() -> String {
        var generator = SystemRandomNumberGenerator()
        return "rnn-gateway-" + String(generator.next() as UInt64, radix: 36)
    }

    /// Starts the thread.
    public func start() throws(PlatformError) -> WorkerThread { try WorkerThread("gw-ingest") { [self] in run() } }

    public func store(_ bytes: [UInt8], lines: Int) async throws(StoreFailure) -> [Int: String] {
        if lines == 0 { return [:] }
        let now = Clocks.monotonic()
        let refusal = state.withLock { state -> String? in
            if state.isStopping { return "the gateway stops" }
            if state.downSince > 0, now - state.downSince > IngestLink.patience { return "the daemon cannot be reached: \(state.problem)" }
            return state.numbering.pendingBytes + bytes.count > pendingBytesMax ? "\(state.numbering.pendingBytes) bytes wait already" : nil
        }
        if let refusal { throw .busy(refusal) }
        let outcome = await withCheckedContinuation { continuation in
            let isStopping = state.withLock { state in
                if state.isStopping { return true }
                state.owners[state.nextID] = continuation
                state.numbering.submit(id: state.nextID, bytes: bytes, lines: lines, deadline: now + timeout)
                state.nextID += 1
                return false
            }
            if isStopping { continuation.resume(returning: .stopped) } else { poke() }
        }
        switch outcome {
        case .taken(let refused): return refused
        case .timedOut(wasSent: true): throw .late("the daemon has not stored it in time")
        case .timedOut(wasSent: false): throw .busy("the daemon has not taken it in time")
        case .stopped: throw .busy("the gateway stops")
        }
    }

    public var gauge: Gauge {
        state.withLock {
            Gauge(
                pendingBytes: $0.numbering.pendingBytes, requestsWaiting: $0.owners.count, isDown: $0.downSince > 0,
                linesStored: $0.numbering.stored)
        }
    }

    /// Ends the thread; requests that wait are told to come again.
    public func stop() {
        state.withLock { $0.isStopping = true }
        poke()
    }

    private func poke() {
        var byte: UInt8 = 1
        _ = write(wake.write, &byte, 1)
    }

    private func drainPokes() {
        var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        while withUnsafeMutableBytes(of: &bytes, { read(wake.read, $0.baseAddress, $0.count) }) > 0 {}
    }

    // MARK: - The thread

    private func run() {
        var pause: Int64 = 50_000_000
        while true {
            waitForWork()
            if state.withLock({ $0.isStopping }) { break }
            do {
                try converse(&pause)
            } catch {
                let text = (error as? PlatformError).map { "\($0)" } ?? "\(error)"
                let isNew = state.withLock { state -> Bool in
                    state.numbering.disconnected()
                    let isNew = state.downSince == 0
                    if isNew { state.downSince = Clocks.monotonic() }
                    state.problem = text
                    return isNew
                }
                if isNew { log.warning("cannot reach the daemon; trying again: \(text)") }
                let now = Clocks.monotonic()
                settle(
                    state.withLock { state in
                        let isLong = state.downSince > 0 && now - state.downSince > IngestLink.patience
                        return (isLong ? state.numbering.giveUpWaiting() : []) + state.numbering.expire(now: now)
                    })
                if !state.withLock({ $0.isStopping }) { Clocks.sleep(nanoseconds: pause) }
                pause = min(pause * 2, 1_000_000_000)
            }
        }
        let owners = state.withLock { state in
            defer { state.owners = [:] }
            return state.owners
        }
        for (_, owner) in owners { owner.resume(returning: .stopped) }
    }

    /// Connects only when there is something to say, so that a gateway without senders costs the daemon nothing.
    private func waitForWork() {
        while true {
            let (isIdle, isDown) = state.withLock { ($0.numbering.isEmpty && !$0.isStopping, $0.downSince > 0) }
            // While the daemon is away it is looked for, so that the first request after it came back is taken.
            if !isIdle || isDown { return }
            var waiting = pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0)
            _ = poll(&waiting, 1, 1000)
            drainPokes()
        }
    }

    private struct Closed: Error, CustomStringConvertible { let description: String }

    private func converse(_ pause: inout Int64) throws {
        let socket = try UnixSocket.connect(path: path)
        let name = state.withLock { $0.numbering.name }
        try writeAll(socket.raw, Array("#!producer \(name)\n".utf8), object: path)
        var input: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        var hasGreeting = false
        var askedAt = Clocks.monotonic()
        while true {
            let (hasMore, isStopping) = state.withLock { ($0.numbering.hasMore, $0.isStopping) }
            if isStopping { return }
            var waiting = [
                pollfd(fd: socket.raw, events: Int16(hasMore ? POLLIN | POLLOUT : POLLIN), revents: 0),
                pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&waiting, 2, 250)
            if waiting[1].revents != 0 { drainPokes() }
            if waiting[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 {
                switch chunk.withUnsafeMutableBytes({ readOnce(socket.raw, into: $0) }) {
                case .bytes(let count): input += chunk[..<count]
                case .wouldBlock: break
                case .endOfFile: throw Closed(description: "the daemon closed \(path)")
                case .failed(let code): throw PlatformError.system(verb: "read", object: path, code: code)
                }
                if try take(&input, &hasGreeting) == .greetAgain { return }
                if hasGreeting { pause = 50_000_000 }
            }
            if hasMore, waiting[0].revents & Int16(POLLOUT) != 0 { try send(socket.raw) }
            let now = Clocks.monotonic()
            if !hasGreeting, now - askedAt > 10_000_000_000 { throw Closed(description: "no greeting from \(path) in 10 s") }
            if hasGreeting { askedAt = now }
            settle(state.withLock { $0.numbering.expire(now: now) })
        }
    }

    private func send(_ descriptor: Int32) throws {
        var failure: Int32 = 0
        let answers = state.withLock { state in
            state.numbering.send { bytes in
                let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
                if count >= 0 { return count }
                if ![EAGAIN, EINTR].contains(errno) { failure = errno }
                return 0
            }
        }
        settle(answers)
        // Why the daemon hung up stands in what it said last, which is read next.
        if failure != 0, failure != EPIPE, failure != ECONNRESET { throw PlatformError.system(verb: "write", object: path, code: failure) }
    }

    private enum Next { case goOn, greetAgain }

    private func take(_ input: inout [UInt8], _ hasGreeting: inout Bool) throws -> Next {
        guard let end = input.lastIndex(of: 10) else {
            guard input.count < 1 << 20 else { throw Closed(description: "the daemon sent 1 MiB without a line end") }
            return .goOn
        }
        let said = input[..<end].split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
        input.removeFirst(end + 1)
        for text in said {
            if text.hasPrefix("ok "), let sequence = Int64(text.dropFirst(3)) {
                if hasGreeting {
                    settle(state.withLock { $0.numbering.acknowledged(sequence) })
                } else {
                    let (goesOn, answers) = state.withLock { $0.numbering.greeted(sequence) }
                    settle(answers)
                    guard goesOn else {
                        log.warning("the daemon's state is older than what it acknowledged; going on under a new name")
                        return .greetAgain
                    }
                    hasGreeting = true
                    state.withLock { state in
                        if state.downSince > 0 { log.notice("the daemon can be reached again") }
                        (state.downSince, state.problem) = (0, "")
                    }
                }
            } else if text.hasPrefix("refused ") {
                let rest = text.dropFirst(8)
                guard let blank = rest.firstIndex(of: " "), let sequence = Int64(rest[..<blank]) else { continue }
                state.withLock { $0.numbering.refused(sequence, String(rest[rest.index(after: blank)...])) }
            } else if text.hasPrefix("error ") {
                throw Closed(description: "the daemon says: \(text.dropFirst(6))")
            }
        }
        return .goOn
    }

    private func settle(_ answers: [Numbering.Answer]) {
        if answers.isEmpty { return }
        let owners = state.withLock { state in
            answers.compactMap { answer in state.owners.removeValue(forKey: answer.id).map { ($0, answer.outcome) } }
        }
        for (owner, outcome) in owners { owner.resume(returning: outcome) }
    }
}
