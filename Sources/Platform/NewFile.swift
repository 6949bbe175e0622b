import CPlatform
import Glibc

/// A file that gets its name only when it is complete, and never over another one.
///
/// It is made under a name of its own beside the place it is for, readable by its owner only. Whoever is killed in between leaves that
/// file; the next one who makes a file in the same directory removes it, as nobody holds its lock any more.
public struct NewFile: ~Copyable {
    /// Where its bytes go before it is complete.
    public let temporary: String
    /// Open for writing; holds the lock.
    public let file: Descriptor

    private static let prefix = ".rnn-watchd-partial-"

    /// - Errors: `system` when the directory does not let us.
    public init(in directory: String) throws(PlatformError) {
        NewFile.removeLeftovers(in: directory, olderThan: 2)
        var generator = SystemRandomNumberGenerator()
        temporary = directory + "/" + NewFile.prefix + String(generator.next() as UInt64, radix: 36)
        file = Descriptor(rw_open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600))
        guard file.raw >= 0 else { throw PlatformError.last("create", temporary) }
        _ = flock(file.raw, LOCK_EX | LOCK_NB)
    }

    deinit { unlink(temporary) }

    /// A new file beside `path`, for `publish(at: path)`. Errors: `refused` when something stands there already.
    public static func beside(_ path: String) throws(PlatformError) -> NewFile {
        var status = stat()
        guard lstat(path, &status) != 0 else { throw NewFile.taken(path) }
        return try NewFile(in: Files.directory(of: path))
    }

    /// Who may read it once it has its name; before, its owner only.
    public func setMode(_ mode: UInt32) throws(PlatformError) {
        guard fchmod(file.raw, mode_t(mode)) == 0 else { throw PlatformError.last("set mode of", temporary) }
    }

    /// Gives the complete file its name, lasting: bytes, name, directory. Errors: `refused` when something stands there meanwhile.
    public consuming func publish(at path: String) throws(PlatformError) {
        guard fsync(file.raw) == 0 else { throw PlatformError.last("sync", temporary) }
        guard rw_rename_new(temporary, path) == 0 else {
            throw errno == EEXIST ? NewFile.taken(path) : PlatformError.last("put in place", path)
        }
        try Files.syncDirectory(of: path)
    }

    /// Takes its name away: its bytes are there as long as the descriptor is.
    public consuming func nameless() throws(PlatformError) -> Descriptor {
        let reader = Descriptor(rw_open(temporary, O_RDONLY | O_NOFOLLOW, 0))
        guard reader.raw >= 0 else { throw PlatformError.last("open", temporary) }
        return reader
    }

    private static func taken(_ path: String) -> PlatformError {
        .refused(verb: "create", object: path, reason: "it exists; it was left alone")
    }

    /// Removes what others left who were killed: our files by name, ours by owner, that nobody has locked.
    public static func removeLeftovers(in directory: String, olderThan seconds: Int = 0) {
        guard let folder = opendir(directory) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard name.hasPrefix(prefix) else { continue }
            let path = directory + "/" + name
            let file = Descriptor(rw_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0))
            var status = stat()
            guard file.raw >= 0, fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
                time(nil) - status.st_ctim.tv_sec >= seconds, flock(file.raw, LOCK_EX | LOCK_NB) == 0
            else { continue }
            unlink(path)
        }
    }
}

/// Which file stands at a path.
public typealias FileIdentity = UnixSocket.Identity

extension Files {
    /// Whether a file at `path` would lie in `directory` or below it, whatever links lead there.
    public static func isInside(_ path: String, _ directory: String) -> Bool {
        guard let wanted = UnixSocket.Identity(path: directory + "/."), let resolved = realpath(Files.directory(of: path), nil) else {
            return false
        }
        defer { free(resolved) }
        var place = String(cString: resolved)
        while true {
            if UnixSocket.Identity(path: place + "/.") == wanted { return true }
            guard place != "/", let slash = place.lastIndex(of: "/") else { return false }
            place = slash == place.startIndex ? "/" : String(place[..<slash])
        }
    }

    /// Makes an empty file that was not there.
    public static func makeEmpty(_ path: String, mode: UInt32) throws(PlatformError) {
        let file = Descriptor(rw_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode))
        guard file.raw >= 0 else { throw PlatformError.last("create", path) }
    }

    /// Errors: something stands at one of the paths that is no regular file, as a symbolic link.
    public static func refuseLinks(_ paths: [String]) throws(PlatformError) {
        for path in paths { try refuseOther(path, verb: "use", [S_IFREG]) }
    }

    /// Free bytes for this process on the file system of a directory; nil: not known.
    public static func freeBytes(_ directory: String) -> Int64? {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else { return nil }
        let (bytes, isHuge) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return isHuge ? .max : Int64(clamping: bytes)
    }

    /// Reads at most `count` bytes from `offset` on; fewer at the end.
    public static func read(_ descriptor: borrowing Descriptor, from offset: Int64, count: Int, object: String) throws(PlatformError)
        -> [UInt8]
    {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor.raw, $0.baseAddress.map { $0 + done }, count - done, off_t(offset) + done)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw PlatformError.last("read", object) }
            guard got > 0 else { break }
            done += got
        }
        return Array(bytes[..<done])
    }

    /// The size of an open file in bytes.
    public static func size(_ descriptor: borrowing Descriptor) -> Int64 {
        var status = stat()
        return fstat(descriptor.raw, &status) == 0 ? Int64(status.st_size) : 0
    }
}
