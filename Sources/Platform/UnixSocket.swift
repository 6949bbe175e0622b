import CPlatform
import Glibc

/// Who is at the other end of a Unix socket, as the kernel says.
public struct PeerCredentials: Sendable, Equatable {
    public let processID: Int32
    public let userID: UInt32
    public let groupID: UInt32
    /// Supplementary groups of the process when it connected (SO_PEERGROUPS).
    public let groups: [UInt32]

    /// Reads SO_PEERCRED and SO_PEERGROUPS. nil when the kernel has none (not a connected Unix socket).
    public init?(descriptor: Int32) {
        var pid: Int32 = 0
        var uid: UInt32 = 0
        var gid: UInt32 = 0
        guard rw_peer_credentials(descriptor, &pid, &uid, &gid) == 0 else { return nil }
        (processID, userID, groupID) = (pid, uid, gid)
        var supplementary = [UInt32](repeating: 0, count: 1024)
        let count = rw_peer_groups(descriptor, &supplementary, Int32(supplementary.count))
        groups = Array(supplementary.prefix(max(0, Int(count))))
    }
}

/// Unix sockets by path: listening, connecting, and the rule for files that stand in the way.
public enum UnixSocket {
    public enum Kind: Sendable { case stream, datagram }

    /// Binds a non-blocking socket at `path`.
    ///
    /// A socket file that nobody listens on any more is replaced; a file of any other kind, or a socket that somebody
    /// serves, is never deleted.
    /// - Errors: `refused` when the path is taken, `system` otherwise (a path of more than 107 bytes is ENAMETOOLONG).
    public static func bind(path: String, kind: Kind, mode: UInt32, backlog: Int32 = 128) throws(PlatformError) -> Descriptor {
        try makeRoom(at: path, kind: kind)
        let socket = Descriptor(rw_unix_socket(kind == .datagram ? 1 : 0))
        guard socket.raw >= 0 else { throw PlatformError.last("create socket", path) }
        let before = umask(0o777 & ~mode_t(mode))
        let bound = rw_unix_bind(socket.raw, path)
        let code = errno
        umask(before)
        guard bound == 0 else { throw PlatformError.system(verb: "bind socket", object: path, code: code) }
        guard chmod(path, mode_t(mode)) == 0 else { throw PlatformError.last("set mode of socket", path) }
        if kind == .stream {
            guard listen(socket.raw, backlog) == 0 else { throw PlatformError.last("listen on socket", path) }
        }
        return socket
    }

    /// Which file stands at a path at present.
    public struct Identity: Sendable, Equatable {
        let device: UInt64
        let inode: UInt64

        /// nil when there is none.
        public init?(path: String) {
            var status = stat()
            guard lstat(path, &status) == 0 else { return nil }
            (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
        }
    }

    /// Removes the socket file that we made, if it is still the one that stands there.
    public static func remove(path: String, _ made: Identity?) {
        if let made, Identity(path: path) == made { unlink(path) }
    }

    /// Connects a blocking stream socket to `path`.
    public static func connect(path: String) throws(PlatformError) -> Descriptor {
        let socket = Descriptor(rw_unix_socket(0))
        guard socket.raw >= 0 else { throw PlatformError.last("create socket", path) }
        guard rw_set_blocking(socket.raw, 1) == 0 else { throw PlatformError.last("prepare socket", path) }
        while rw_unix_connect(socket.raw, path) != 0 {
            if errno == EINTR { continue }
            throw PlatformError.last("connect to", path)
        }
        return socket
    }

    public enum Accepted: Sendable, Equatable {
        case connected(Int32)
        /// None is pending (or it went away again).
        case none
        /// One is pending, and the system has no descriptor or memory for it; the errno value. It stays pending, so the listener stays
        /// readable: whoever waits for it must rest.
        case exhausted(Int32)
    }

    /// Accepts one pending connection.
    public static func accept(_ listener: Int32) -> Accepted {
        let descriptor = rw_accept(listener)
        if descriptor >= 0 { return .connected(descriptor) }
        return [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) ? .exhausted(errno) : .none
    }

    private static func makeRoom(at path: String, kind: Kind) throws(PlatformError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw PlatformError.last("look at", path)
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw .refused(verb: "bind socket", object: path, reason: "a file that is not a socket stands there; it was left alone")
        }
        let probe = Descriptor(rw_unix_socket(kind == .datagram ? 1 : 0))
        guard probe.raw >= 0 else { throw PlatformError.last("create socket", path) }
        let reachable = rw_unix_connect(probe.raw, path) == 0
        guard !reachable && (errno == ECONNREFUSED || errno == ENOENT) else {
            throw .refused(verb: "bind socket", object: path, reason: "another process serves it")
        }
        guard unlink(path) == 0 || errno == ENOENT else { throw PlatformError.last("remove stale socket", path) }
    }
}
