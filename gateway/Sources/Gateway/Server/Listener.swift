import Glibc
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import NIOExtras
import NIOHTTPTypes
import NIOPosix
import NIOSSL
import Platform
import ServiceLifecycle
import Synchronization

/// Serves HTTP on one address, Unix socket or passed descriptor.
///
/// Hummingbird's own server binds addresses and paths only; this one takes a descriptor too, and makes sockets by the daemon's rules
/// (a file that is no dead socket is never deleted; the mode is set).
struct Listener<Child: ServerChildChannel>: Service {
    let place: Listen
    let child: Child
    let settings: Settings
    let connections: ConnectionCount
    let log: Log
    let onReady: @Sendable (any Channel) async -> Void

    func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let quiescing = ServerQuiescingHelper(group: group)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(quiescing.makeServerChannelHandler(channel: channel))
                }
            }
        let quiet = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
        let isPlain = settings.tlsCertificate.isEmpty
        let setUp: @Sendable (any Channel) -> EventLoopFuture<Child.Value> = { [connections, child] channel in
            guard connections.open() else {
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionRefusal(answer: isPlain ? ConnectionCount.answer : ""))
                }.flatMap { child.setup(channel: channel, logger: quiet) }
            }
            channel.closeFuture.whenComplete { _ in connections.close() }
            return child.setup(channel: channel, logger: quiet)
        }
        let server: NIOAsyncChannel<Child.Value, Never>
        var made: (path: String, identity: UnixSocket.Identity?)?
        switch place {
        case .tcp(let host, let port):
            server = try await bootstrap.bind(host: host, port: port, childChannelInitializer: setUp)
        case .unix(let path):
            let descriptor = try UnixSocket.bind(path: path, kind: .stream, mode: settings.socketMode, backlog: 256)
            made = (path, UnixSocket.Identity(path: path))
            server = try await bootstrap.bind(descriptor.release(), childChannelInitializer: setUp)
        case .passed(let descriptor):
            server = try await bootstrap.bind(descriptor, childChannelInitializer: setUp)
        }
        defer { if let made { UnixSocket.remove(path: made.path, made.identity) } }
        log.notice("listening on \(server.channel.localAddress.map { "\($0)" } ?? "\(place)")")
        await onReady(server.channel)
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                do {
                    try await server.executeThenClose { inbound in
                        for try await connection in inbound {
                            tasks.addTask { await child.handle(value: connection, logger: quiet) }
                        }
                    }
                } catch { log.warning("stopped listening on \(place): \(error)") }
            }
        } onGracefulShutdown: {
            quiescing.initiateShutdown(promise: nil)
        }
    }
}

/// Connections at present, on all listeners.
final class ConnectionCount: Sendable {
    private let count = Mutex(0)
    private let max: Int

    init(max: Int) { self.max = max }

    static let answer =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n\r\ntoo many connections\n"

    func open() -> Bool {
        count.withLock { count in
            guard count < max else { return false }
            count += 1
            return true
        }
    }

    func close() { count.withLock { $0 -= 1 } }
    var now: Int { count.withLock { $0 } }
}

/// Says why, and closes a connection as soon as it is there.
private final class ConnectionRefusal: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let answer: String

    init(answer: String) { self.answer = answer }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer))).whenComplete { _ in bound.value.close(promise: nil) }
    }

    /// What it sends is not looked at.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}

/// Sockets that systemd opened (LISTEN_FDS), of any family.
enum PassedSockets {
    static func take() -> [Listen] {
        guard let pid = getenv("LISTEN_PID"), Int32(String(cString: pid)) == getpid(), let count = getenv("LISTEN_FDS"),
            let number = Int32(String(cString: count)), (1...64).contains(number)
        else { return [] }
        unsetenv("LISTEN_PID")
        unsetenv("LISTEN_FDS")
        return (3..<3 + number).map { descriptor in
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            return .passed(descriptor)
        }
    }
}
