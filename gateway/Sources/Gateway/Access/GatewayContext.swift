import Hummingbird
import Logging
import NIOCore

/// Where a request came from.
public struct Peer: Sendable, Equatable {
    public var isLocal: Bool
    public var isUnix: Bool

    init(channel: any Channel) {
        if case .unixDomainSocket = channel.localAddress {
            (isLocal, isUnix) = (true, true)
            return
        }
        // The address that was connected to: only this machine reaches those of the loopback.
        let address = channel.localAddress?.ipAddress ?? ""
        (isLocal, isUnix) = (address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127."), false)
    }
}

/// What goes with a request through the router.
public struct GatewayContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    public let peer: Peer

    public init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = Peer(channel: source.channel)
    }
}
