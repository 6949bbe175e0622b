import TimeSeries
import WireFormats

/// What the gateway was told: configuration file, then options of the command line.
public struct Settings: Sendable {
    /// When a sender is answered.
    public enum Acknowledge: String, Sendable, CaseIterable {
        /// When the daemon has stored it.
        case stored
        /// When it was handed to the daemon.
        case received
    }

    public var listen: [Listen] = []
    public var ingestSocket = "/run/rnn-watchd/ingest.sock"
    public var controlSocket = "/run/rnn-watchd/control.sock"
    public var acknowledge = Acknowledge.stored
    /// Nanoseconds; after so long without the daemon's word a sender is told to come again.
    public var acknowledgeTimeout: Int64 = 30_000_000_000
    /// A body as it comes over the wire.
    public var bodyBytesMax = 32 << 20
    /// A body after decompression.
    public var inflatedBytesMax = 64 << 20
    /// All bodies and all lines that wait, together.
    public var memoryBytesMax = 256 << 20
    public var connectionsMax = 512
    /// Nanoseconds for a head to be complete, counted from the connection or the last answer.
    public var headTimeout: Int64 = 20_000_000_000
    /// Nanoseconds for a body to be complete.
    public var bodyTimeout: Int64 = 60_000_000_000
    /// Unix sockets and the loopback need no token.
    public var trustLocal = true
    /// Names under which a browser may reach the page on the loopback, beside localhost.
    public var hosts: [String] = []
    public var resourceAttributes = ResourceAttributes.standard
    /// Scores the files of the page's view "Try".
    public var rnnctl = "/usr/bin/rnnctl"
    public var tlsCertificate = ""
    public var tlsKey = ""
    public var socketMode: UInt32 = 0o660
    public var tokens: [Token] = []
    public var mqtt: [MQTTSource] = []

    public init() {}
}

/// Where the gateway listens.
public enum Listen: Sendable, Equatable, CustomStringConvertible {
    case tcp(host: String, port: Int)
    case unix(path: String)
    /// A descriptor that the service manager opened.
    case passed(Int32)

    /// Reads `HOST:PORT`, `[HOST]:PORT` or `unix:PATH`; nil for anything else.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = text.dropFirst(5)
            guard path.hasPrefix("/"), path.utf8.count <= 107 else { return nil }
            self = .unix(path: String(path))
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65535).contains(port) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() } else if host.contains(":") { return nil }
        guard !host.isEmpty else { return nil }
        self = .tcp(host: String(host), port: port)
    }

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        case .passed(let descriptor): "descriptor \(descriptor)"
        }
    }

    /// Only programs of this machine can reach it.
    var isLocal: Bool {
        switch self {
        case .tcp(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.")
        case .unix: true
        case .passed: false
        }
    }
}

/// What somebody may do.
public enum Right: String, Sendable, CaseIterable {
    /// Send readings.
    case write
    /// Look.
    case read
    /// Change: acknowledge, silence.
    case act
}

/// An identity with its rights and limits.
public struct Token: Sendable, Equatable {
    public var name: String
    public var secret: String
    public var rights: Set<Right>
    public var decoration = Decoration.none
    /// 0: no limit.
    public var readingsPerSecondMax = 0.0
    /// 0: no limit.
    public var streamsMax = 0

    public init(name: String, secret: String, rights: Set<Right>) { (self.name, self.secret, self.rights) = (name, secret, rights) }
}

/// Topics of a broker whose messages are readings.
public struct MQTTSource: Sendable, Equatable {
    public var host = "localhost"
    public var port = 1883
    public var topics: [String] = []
    public var user = ""
    public var passwordFile = ""
    /// The broker keeps messages for this name while the gateway is away.
    public var clientID = "rnn-gateway"
    /// PEM file of authorities; not empty: TLS.
    public var authorities = ""
    public init() {}
}
