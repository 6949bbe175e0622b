import Glibc
import Platform
import Tabular

/// A request that passed the checks.
public struct ControlRequest: Sendable {
    public let command: String
    public let arguments: JSONValue
    public let peer: PeerCredentials?
    /// When it was asked first (monotonic time): one whose answer waits for something is asked again.
    public let askedAt: Int64
}

/// Serves the control socket from one thread. Requests are answered in order; the next request of a client is read only
/// when it has taken the answer to the last.
public final class ControlServer: @unchecked Sendable {
    // Safety: `isStopping` is locked, the rest belongs to the thread in `run`.
    private let isStopping = Locked(false)
    private let wakeup: Wakeup
    private let log: Log
    private let isAllowed: @Sendable (PeerCredentials) -> Bool
    private let handle: @Sendable (ControlRequest) -> Result<JSONValue, ControlError>?
    /// What requests wait for may have come.
    private let isNews = Locked(false)

    /// Clients at the same time; one more makes one leave: first of those who may not ask, then of the user with the most, the longest
    /// silent. So nobody can lock others out.
    public static let connectionsMax = 64
    /// Nanoseconds: rest of the listener when no descriptor is left, and between two messages of one kind.
    private static let rest: Int64 = 1_000_000_000
    private static let silence: Int64 = 10_000_000_000
    private var told: [String: (at: Int64, unsaid: Int)] = [:]

    private final class Client {
        let descriptor: Int32
        let peer: PeerCredentials?
        let mayAsk: Bool
        /// Grows with every event; the smallest is the longest silent.
        var lastHeard: UInt64
        var input: [UInt8] = []
        var output: [UInt8] = []
        /// No more will come; what was asked is still answered.
        var hasEnded = false
        /// Its answer waits for something.
        var waiting: ControlRequest?

        init(descriptor: Int32, lastHeard: UInt64, isAllowed: (PeerCredentials) -> Bool) {
            (self.descriptor, self.lastHeard) = (descriptor, lastHeard)
            peer = PeerCredentials(descriptor: descriptor)
            mayAsk = peer.map(isAllowed) ?? false
        }

        deinit { close(descriptor) }
    }

    /// - Parameters:
    ///   - isAllowed: whether this peer may ask at all
    ///   - handle: does the work; called from the server's thread; nil: the answer must wait, ask again with the next `wake` or a second later
    public init(
        log: Log, isAllowed: @escaping @Sendable (PeerCredentials) -> Bool,
        handle: @escaping @Sendable (ControlRequest) -> Result<JSONValue, ControlError>?
    ) throws(PlatformError) {
        (self.log, self.isAllowed, self.handle) = (log, isAllowed, handle)
        wakeup = try Wakeup()
    }

    /// Makes ``run(listener:)`` return.
    public func stop() {
        isStopping.withLock { $0 = true }
        wakeup.signal()
    }

    /// Has requests that wait asked again. From any thread.
    public func wake() {
        isNews.withLock { $0 = true }
        wakeup.signal()
    }

    /// Asks again for those who wait.
    private func serveWaiting(_ clients: inout [UInt64: Client], _ poller: borrowing Poller) {
        for (token, client) in clients {
            guard let request = client.waiting, let answer = handle(request) else { continue }
            client.waiting = nil
            client.output += ControlProtocol.answer(answer)
            settle(client, token, &clients, poller, isAlive: flush(client) && answerWaiting(client))
        }
    }

    /// What is waited for next of a client; one that is done leaves.
    private func settle(_ client: Client, _ token: UInt64, _ clients: inout [UInt64: Client], _ poller: borrowing Poller, isAlive: Bool) {
        guard isAlive, !(client.hasEnded && client.output.isEmpty && client.waiting == nil) else {
            poller.remove(client.descriptor)
            clients[token] = nil
            return
        }
        poller.modify(
            client.descriptor, token: token, readable: client.output.isEmpty && !client.hasEnded && client.waiting == nil,
            writable: !client.output.isEmpty)
    }

    /// Serves `listener` until stopped.
    public func run(listener: Int32) throws(PlatformError) {
        let poller = try Poller()
        try poller.add(listener, token: 0)
        try poller.add(wakeup.descriptor, token: 1)
        var clients: [UInt64: Client] = [:]
        var clock: UInt64 = 1
        var restUntil: Int64?
        var waitedAt: Int64 = 0
        while !isStopping.withLock({ $0 }) {
            var events: [Poller.Event] = []
            poller.wait(timeoutMilliseconds: restUntil == nil ? 1000 : 200) { events.append($0) }
            if let until = restUntil, Clocks.monotonic() >= until {
                restUntil = nil
                poller.modify(listener, token: 0, readable: true, writable: false)
            }
            for event in events {
                clock += 1
                if event.token == 0 {
                    if !accept(listener, &clients, &clock, poller) {
                        restUntil = Clocks.monotonic() + ControlServer.rest
                        poller.modify(listener, token: 0, readable: false, writable: false)
                    }
                } else if event.token == 1 {
                    wakeup.drain()
                } else if let client = clients[event.token] {
                    client.lastHeard = clock
                    settle(client, event.token, &clients, poller, isAlive: serve(client, event))
                }
            }
            let isNews = isNews.withLock { news in
                defer { news = false }
                return news
            }
            let now = Clocks.monotonic()
            if isNews || now - waitedAt > 1_000_000_000 {
                waitedAt = now
                serveWaiting(&clients, poller)
            }
        }
    }

    /// Takes who is pending, at most 64 at one turn. false: no descriptor is left, also not by sending others away.
    private func accept(
        _ listener: Int32, _ clients: inout [UInt64: Client], _ clock: inout UInt64, _ poller: borrowing Poller
    ) -> Bool {
        for _ in 0..<ControlServer.connectionsMax {
            switch UnixSocket.accept(listener) {
            case .none: return true
            case .exhausted(let code):
                say("no descriptor for another control client", ["reason": PlatformError.text(code)])
                guard !clients.isEmpty else { return false }
                dropOne(&clients, poller)
            case .connected(let descriptor):
                clock += 1
                if clients.count >= ControlServer.connectionsMax { dropOne(&clients, poller) }
                clients[clock] = Client(descriptor: descriptor, lastHeard: clock, isAllowed: isAllowed)
                do { try poller.add(descriptor, token: clock) } catch { clients[clock] = nil }
            }
        }
        return true
    }

    /// At most once in ten seconds, with how often it was not said.
    private func say(_ text: String, _ fields: KeyValuePairs<String, String>) {
        let now = Clocks.monotonic()
        var state = told[text] ?? (at: now - ControlServer.silence - 1, unsaid: 0)
        if now - state.at > ControlServer.silence {
            log.notice(text + (state.unsaid > 0 ? " (and \(state.unsaid) more since this was last said)" : ""), fields)
            state = (now, 0)
        } else {
            state.unsaid += 1
        }
        told[text] = state
    }

    private func dropOne(_ clients: inout [UInt64: Client], _ poller: borrowing Poller) {
        var counts: [UInt32: Int] = [:]
        for client in clients.values { counts[client.peer?.userID ?? .max, default: 0] += 1 }
        func rank(_ client: Client) -> (Int, Int, UInt64) {
            (client.mayAsk ? 1 : 0, -(counts[client.peer?.userID ?? .max] ?? 0), client.lastHeard)
        }
        guard let (token, client) = clients.min(by: { rank($0.value) < rank($1.value) }) else { return }
        say("closed the longest silent control connection", ["connections_max": "\(ControlServer.connectionsMax)"])
        poller.remove(client.descriptor)
        clients[token] = nil
    }

    /// Handles what is ready. false: the client is done or gone.
    private func serve(_ client: Client, _ event: Poller.Event) -> Bool {
        // Whoever waits and hangs up is not waited with.
        guard flush(client), !(client.waiting != nil && event.isHangup) else { return false }
        if client.output.isEmpty, !client.hasEnded, client.waiting == nil {
            var chunk = [UInt8](repeating: 0, count: 16 << 10)
            switch unsafe chunk.withUnsafeMutableBytes({ unsafe readOnce(client.descriptor, into: $0) }) {
            case .bytes(let count): client.input += chunk[..<count]
            case .wouldBlock: break
            case .endOfFile:
                client.hasEnded = true
                // The end is as good as a line end: `printf ... | socat` needs no newline.
                if client.input.last.map({ $0 != 10 }) ?? false { client.input.append(10) }
            case .failed: return false
            }
        }
        return answerWaiting(client)
    }

    /// Answers requests as long as the client takes the answers. false: the client is gone.
    private func answerWaiting(_ client: Client) -> Bool {
        while client.output.isEmpty, client.waiting == nil, let end = client.input.firstIndex(of: 10) {
            let line = Array(client.input[..<end])
            client.input.removeFirst(end + 1)
            if line.allSatisfy({ $0 == 32 || $0 == 13 }) { continue }
            guard let answer = answer(line, client) else { return true }
            client.output += ControlProtocol.answer(answer)
            guard flush(client) else { return false }
        }
        guard client.output.isEmpty, client.input.count > ControlProtocol.requestBytesMax else { return true }
        client.output += ControlProtocol.answer(
            .failure(.badRequest("cannot read request: got more than \(ControlProtocol.requestBytesMax) bytes, expected a line end")))
        _ = flush(client)
        return false
    }

    /// Writes what the socket takes. false: the client is gone.
    private func flush(_ client: Client) -> Bool {
        var done = 0
        defer { client.output.removeFirst(done) }
        while done < client.output.count {
            let count = unsafe client.output[done...].withUnsafeBytes { unsafe write(client.descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                done += count
            } else if errno == EINTR {
                continue
            } else {
                return errno == EAGAIN || errno == EWOULDBLOCK
            }
        }
        return true
    }

    /// nil: the client waits.
    private func answer(_ line: [UInt8], _ client: Client) -> Result<JSONValue, ControlError>? {
        let peer = client.peer
        guard let peer, isAllowed(peer) else {
            say(
                "refused a control request",
                ["uid": peer.map { "\($0.userID)" } ?? "unknown", "process": peer.map { "\($0.processID)" } ?? "unknown"])
            return .failure(
                .forbidden(
                    "not allowed: only root and members of the control group (control_group in the configuration) may ask; join it with: sudo usermod -aG rnn-watchd $USER (then log in again)"
                ))
        }
        let document: JSONValue
        do { document = try JSONValue.parse(line) } catch { return .failure(.badRequest("cannot read request: \(error)")) }
        guard document["v"]?.integerValue == ControlProtocol.version else {
            return .failure(
                .badRequest(
                    "cannot read request: got version \(document["v"].map { String($0.compact.prefix(40)) } ?? "none"), "
                        + "expected \(ControlProtocol.version)"))
        }
        guard let command = document["command"]?.text else { return .failure(.badRequest("cannot read request: expected a command")) }
        let arguments = document["arguments"] ?? .object([])
        guard case .object = arguments else { return .failure(.badRequest("cannot read request: expected arguments in an object")) }
        let request = ControlRequest(command: command, arguments: arguments, peer: peer, askedAt: Clocks.monotonic())
        let answer = handle(request)
        if answer == nil { client.waiting = request }
        return answer
    }
}
