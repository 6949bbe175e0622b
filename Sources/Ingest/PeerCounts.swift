/// Clients of one user on the stream sockets.
public struct PeerCount: Sendable, Equatable {
    public var user: UInt32
    /// Now.
    public var connections = 0
    public var waiting = 0
    /// Since the start of the daemon; of open connections as of the last second.
    public var lines: Int64 = 0
    public var refused: Int64 = 0
}

/// Who is connected, by user, and what had to be done for lack of room.
struct PeerCounts {
    private var ended: [UInt32: Int64] = [:]
    private var refusals: [UInt32: Int64] = [:]
    /// As of the last second.
    private(set) var published: [PeerCount] = []
    /// Clients that were closed because others wanted in, that were turned away, and how often descriptors had run out.
    var madeRoom: Int64 = 0
    var turnedAway: Int64 = 0
    var descriptorsOut: Int64 = 0

    mutating func refused(_ user: UInt32) { refusals[user, default: 0] += 1 }
    mutating func ended(_ connection: Connection) {
        if !connection.isFile { ended[connection.user, default: 0] += connection.lines }
    }

    mutating func publish(_ connections: [UInt64: Connection], _ waiting: [Connection]) {
        var counts: [UInt32: PeerCount] = [:]
        for (user, lines) in ended { counts[user, default: PeerCount(user: user)].lines += lines }
        for connection in connections.values where !connection.isFile {
            counts[connection.user, default: PeerCount(user: connection.user)].connections += 1
            counts[connection.user]?.lines += connection.lines
        }
        for connection in waiting { counts[connection.user, default: PeerCount(user: connection.user)].waiting += 1 }
        for user in counts.keys { counts[user]?.refused = refusals[user] ?? 0 }
        published = counts.values.sorted { $0.user < $1.user }
    }
}
