import Glibc
import Platform
import Tabular

/// A request that passed the checks.
public struct ControlRequest: Sendable {
    public let command: String
    public let arguments: JSONValue
    public let peer: PeerCredentials?
}

/// Serves the control socket from one thread. Requests are answered in order; each client may hold one at a time.
public final class ControlServer: @unchecked Sendable {
    // Safety: `isStopping` is locked, the rest belongs to the thread in `run`.
    private let isStopping = Locked(false)
    private let wakeup: Wakeup
    private let log: Log
    private let isAllowed: @Sendable (PeerCredentials) -> Bool
    private let handle: @Sendable (ControlRequest) -> Result<JSONValue, ControlError>
    private let connectionsMax = 64

    private final class Client {
        let descriptor: Int32
        let peer: PeerCredentials?
        var input: [UInt8] = []
        var output: [UInt8] = []
        init(descriptor: Int32, peer: PeerCredentials?) {
            (self.descriptor, self.peer) = (descriptor, peer)
        }
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
        var nextToken: UInt64 = 2
        while !isStopping.withLock({ $0 }) {
            var events: [Poller.Event] = []
            poller.wait(timeoutMilliseconds: 1000) { events.append($0) }
            for event in events {
                if event.token == 0 {
                    while clients.count < connectionsMax, let descriptor = UnixSocket.accept(listener) {
                        clients[nextToken] = Client(descriptor: descriptor, peer: PeerCredentials(descriptor: descriptor))
                        try? poller.add(descriptor, token: nextToken)
                        nextToken += 1
                    }
                } else if let client = clients[event.token] {
                    if !serve(client, event) {
                        poller.remove(client.descriptor)
                        close(client.descriptor)
                        clients[event.token] = nil
                    } else {
                        poller.modify(client.descriptor, token: event.token, readable: true, writable: !client.output.isEmpty)
                    }
                }
            }
        }
        for client in clients.values { close(client.descriptor) }
    }

    /// Handles what is ready. false: the client is gone.
    private func serve(_ client: Client, _ event: Poller.Event) -> Bool {
        if event.isReadable || event.isHangup {
            var chunk = [UInt8](repeating: 0, count: 16 << 10)
            switch chunk.withUnsafeMutableBytes({ readOnce(client.descriptor, into: $0) }) {
            case .bytes(let count): client.input += chunk[..<count]
            case .wouldBlock: break
            case .endOfFile, .failed: return flush(client) && !client.output.isEmpty
            }
            while let end = client.input.firstIndex(of: 10) {
                let line = Array(client.input[..<end])
                client.input.removeFirst(end + 1)
                client.output += ControlProtocol.answer(answer(line, client.peer))
            }
            guard client.input.count <= ControlProtocol.requestBytesMax else {
                client.output += ControlProtocol.answer(
                    .failure(
                        .badRequest("cannot read request: got more than \(ControlProtocol.requestBytesMax) bytes, expected a line end")))
                _ = flush(client)
                return false
            }
        }
        return flush(client)
    }

    private func flush(_ client: Client) -> Bool {
        while !client.output.isEmpty {
            let count = client.output.withUnsafeBytes { write(client.descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                client.output.removeFirst(count)
            } else if errno == EINTR {
                continue
            } else {
                return errno == EAGAIN || errno == EWOULDBLOCK
            }
        }
        return true
    }

    private func answer(_ line: [UInt8], _ peer: PeerCredentials?) -> Result<JSONValue, ControlError> {
        if let peer, !isAllowed(peer) {
            log.notice("refused a control request", ["uid": "\(peer.userID)", "process": "\(peer.processID)"])
            return .failure(
                .forbidden(
                    "not allowed: only root and members of the control group (control_group in the configuration) may ask; join it with: sudo usermod -aG rnn-watchd $USER (then log in again)"
                ))
        }
        let document: JSONValue
        do { document = try JSONValue.parse(line) } catch { return .failure(.badRequest("cannot read request: \(error)")) }
        guard document["v"]?.integerValue == ControlProtocol.version else {
            return .failure(
                .badRequest("cannot read request: got version \(document["v"]?.compact ?? "none"), expected \(ControlProtocol.version)"))
        }
        guard let command = document["command"]?.text else { return .failure(.badRequest("cannot read request: expected a command")) }
        return handle(ControlRequest(command: command, arguments: document["arguments"] ?? .object([]), peer: peer))
    }
}
