import Glibc
import Platform
import Tabular

/// A request that passed the checks.
public struct ControlRequest: Sendable {
    public let command: String
    public let arguments: JSONValue
    public let peer: PeerCredentials?
}

/// Serves the control socket from one thread. Requests are answered in order; the next request of a client is read only
/// when it has taken the answer to the last.
public final class ControlServer: @unchecked Sendable {
    // Safety: `isStopping` is locked, the rest belongs to the thread in `run`.
    private let isStopping = Locked(false)
    private let wakeup: Wakeup
    private let log: Log
    private let isAllowed: @Sendable (PeerCredentials) -> Bool
    private let handle: @Sendable (ControlRequest) -> Result<JSONValue, ControlError>

    /// Clients at the same time; one more makes the longest silent one leave, so that nobody can lock others out.
    public static let connectionsMax = 64

    private final class Client {
        let descriptor: Int32
        let peer: PeerCredentials?
        /// Grows with every event; the smallest is the longest silent.
        var lastHeard: UInt64
        var input: [UInt8] = []
        var output: [UInt8] = []
        /// No more will come; what was asked is still answered.
        var hasEnded = false

        init(descriptor: Int32, lastHeard: UInt64) {
            (self.descriptor, self.lastHeard) = (descriptor, lastHeard)
            peer = PeerCredentials(descriptor: descriptor)
        }

        deinit { close(descriptor) }
    }

    /// - Parameters:
    ///   - isAllowed: whether this peer may ask at all
    ///   - handle: does the work; called from the server's thread
    public init(
        log: Log, isAllowed: @escaping @Sendable (PeerCredentials) -> Bool,
        handle: @escaping @Sendable (ControlRequest) -> Result<JSONValue, ControlError>
    ) throws(PlatformError) {
        (self.log, self.isAllowed, self.handle) = (log, isAllowed, handle)
        wakeup = try Wakeup()
    }

    /// Makes ``run(listener:)`` return.
    public func stop() {
        isStopping.withLock { $0 = true }
        wakeup.signal()
    }

    /// Serves `listener` until stopped.
    public func run(listener: Int32) throws(PlatformError) {
        let poller = try Poller()
        try poller.add(listener, token: 0)
        try poller.add(wakeup.descriptor, token: 1)
        var clients: [UInt64: Client] = [:]
        var clock: UInt64 = 1
        while !isStopping.withLock({ $0 }) {
            var events: [Poller.Event] = []
            poller.wait(timeoutMilliseconds: 1000) { events.append($0) }
            for event in events {
                clock += 1
                if event.token == 0 {
                    while let descriptor = UnixSocket.accept(listener) {
                        clock += 1
                        if clients.count >= ControlServer.connectionsMax { dropLongestSilent(&clients, poller) }
                        clients[clock] = Client(descriptor: descriptor, lastHeard: clock)
                        do { try poller.add(descriptor, token: clock) } catch { clients[clock] = nil }
                    }
                } else if let client = clients[event.token] {
                    client.lastHeard = clock
                    if serve(client, event) {
                        poller.modify(
                            client.descriptor, token: event.token, readable: client.output.isEmpty && !client.hasEnded,
                            writable: !client.output.isEmpty)
                    } else {
                        poller.remove(client.descriptor)
                        clients[event.token] = nil
                    }
                }
            }
        }
    }

    private func dropLongestSilent(_ clients: inout [UInt64: Client], _ poller: borrowing Poller) {
        guard let (token, client) = clients.min(by: { $0.value.lastHeard < $1.value.lastHeard }) else { return }
        log.notice("closed the longest silent control connection", ["connections_max": "\(ControlServer.connectionsMax)"])
        poller.remove(client.descriptor)
        clients[token] = nil
    }

    /// Handles what is ready. false: the client is done or gone.
    private func serve(_ client: Client, _ event: Poller.Event) -> Bool {
        guard flush(client) else { return false }
        if client.output.isEmpty, !client.hasEnded {
            var chunk = [UInt8](repeating: 0, count: 16 << 10)
            switch chunk.withUnsafeMutableBytes({ readOnce(client.descriptor, into: $0) }) {
            case .bytes(let count): client.input += chunk[..<count]
            case .wouldBlock: break
            case .endOfFile:
                client.hasEnded = true
                // The end is as good as a line end: `printf ... | socat` needs no newline.
                if client.input.last.map({ $0 != 10 }) ?? false { client.input.append(10) }
            case .failed: return false
            }
        }
        return answerWaiting(client) && !(client.hasEnded && client.output.isEmpty)
    }

    /// Answers requests as long as the client takes the answers. false: the client is gone.
    private func answerWaiting(_ client: Client) -> Bool {
        while client.output.isEmpty, let end = client.input.firstIndex(of: 10) {
            let line = Array(client.input[..<end])
            client.input.removeFirst(end + 1)
            if line.allSatisfy({ $0 == 32 || $0 == 13 }) { continue }
            client.output += ControlProtocol.answer(answer(line, client.peer))
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
            let count = client.output[done...].withUnsafeBytes { write(client.descriptor, $0.baseAddress, $0.count) }
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

    private func answer(_ line: [UInt8], _ peer: PeerCredentials?) -> Result<JSONValue, ControlError> {
        guard let peer, isAllowed(peer) else {
            log.notice(
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
        return handle(ControlRequest(command: command, arguments: arguments, peer: peer))
    }
}
