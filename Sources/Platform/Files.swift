import CPlatform
import Glibc

/// Whole files and directories.
public enum Files {
    /// A file in memory that holds `bytes`. Errors: no memory for it.
    public static func memoryFile(_ name: String, _ bytes: [UInt8]) throws(PlatformError) -> Descriptor {
        let file = Descriptor(rw_memory_file(name))
        guard file.raw >= 0 else { throw PlatformError.last("create memory file", name) }
        try writeAll(file.raw, bytes, object: name)
        lseek(file.raw, 0, SEEK_SET)
        return file
    }

    /// Reads a file of at most `bytesMax` bytes.
    public static func read(_ path: String, bytesMax: Int = 64 << 20) throws(PlatformError) -> [UInt8] {
        let file = Descriptor(rw_open(path, O_RDONLY, 0))
        guard file.raw >= 0 else { throw PlatformError.last("open", path) }
        return try readAll(file.raw, object: path, bytesMax: bytesMax)
    }

    /// Reads to the end of a blocking descriptor.
    public static func readAll(_ descriptor: Int32, object: String, bytesMax: Int = Int.max) throws(PlatformError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let outcome = chunk.withUnsafeMutableBytes { readOnce(descriptor, into: $0) }
            switch outcome {
            case .bytes(let count):
                guard bytes.count + count <= bytesMax else {
                    throw .refused(verb: "read", object: object, reason: "got more than \(bytesMax) bytes")
                }
                bytes.append(contentsOf: chunk[0..<count])
            case .endOfFile: return bytes
            case .wouldBlock:
                var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&waiting, 1, 1000)
            case .failed(let code): throw .system(verb: "read", object: object, code: code)
            }
        }
    }

    /// Replaces `path` in one step: a reader sees the old file or the new one.
    ///
    /// What stands at `path.new` is never written through: a link there is removed, not followed. Only a file (or a link) is replaced.
    /// - Errors: `refused` when something else stands there, as a device; `system` otherwise.
    public static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o644, isPublic: Bool = false) throws(PlatformError) {
        let temporary = path + ".new"
        for name in [path, temporary] { try refuseOther(name, verb: "replace", [S_IFREG, S_IFLNK]) }
        unlink(temporary)
        let file = Descriptor(rw_open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode))
        guard file.raw >= 0 else { throw PlatformError.last("create", temporary) }
        do throws(PlatformError) {
            if isPublic, fchmod(file.raw, 0o644) != 0 { throw PlatformError.last("set mode of", temporary) }
            try writeAll(file.raw, bytes, object: temporary)
            guard rename(temporary, path) == 0 else { throw PlatformError.last("replace", path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Errors: something stands at `path` that is none of these kinds (`S_IFREG` ...).
    static func refuseOther(_ path: String, verb: String, _ kinds: [mode_t]) throws(PlatformError) {
        var status = stat()
        guard lstat(path, &status) == 0, !kinds.contains(status.st_mode & S_IFMT) else { return }
        let found =
            switch status.st_mode & S_IFMT {
            case S_IFLNK: "a symbolic link"
            case S_IFDIR: "a directory"
            case S_IFCHR, S_IFBLK: "a device"
            case S_IFSOCK: "a socket"
            default: "no regular file"
            }
        throw .refused(verb: verb, object: path, reason: "got \(found), expected a regular file")
    }

    /// Brings a file's bytes to the medium (fdatasync).
    public static func sync(_ path: String) throws(PlatformError) {
        let file = Descriptor(rw_open(path, O_RDONLY, 0))
        guard file.raw >= 0 else { throw PlatformError.last("open", path) }
        guard fdatasync(file.raw) == 0 else { throw PlatformError.last("sync", path) }
    }

    /// Writes a file's bytes over themselves and brings them to the medium. Nobody else may be writing it.
    public static func writeAgain(_ path: String) throws(PlatformError) {
        let file = Descriptor(rw_open(path, O_RDWR, 0))
        guard file.raw >= 0 else { throw PlatformError.last("open", path) }
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while true {
            let count = chunk.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, off_t(offset)) }
            guard count >= 0 else { throw PlatformError.last("read", path) }
            guard count > 0 else { break }
            let written = chunk.withUnsafeBytes { pwrite(file.raw, $0.baseAddress, count, off_t(offset)) }
            guard written > 0 else { throw PlatformError.last("write", path) }
            offset += written
        }
        guard fdatasync(file.raw) == 0 else { throw PlatformError.last("sync", path) }
    }

    /// Gives a complete file its name, so that a power cut leaves either the file before or this one: bytes, name, directory.
    public static func put(_ making: String, at path: String) throws(PlatformError) {
        try sync(making)
        guard rename(making, path) == 0 else { throw PlatformError.last("put in place", path) }
        try syncDirectory(of: path)
    }

    /// The directory that a path names a file in.
    public static func directory(of path: String) -> String {
        let slash = path.lastIndex(of: "/")
        return slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }

    /// Makes the name of a file last.
    static func syncDirectory(of path: String) throws(PlatformError) {
        let directory = directory(of: path)
        let folder = Descriptor(rw_open(directory, O_RDONLY, 0))
        guard folder.raw >= 0 else { throw PlatformError.last("open", directory) }
        // Not every file system knows how to sync a directory; the name is in place in any case.
        guard fsync(folder.raw) == 0 || errno == EINVAL else { throw PlatformError.last("sync", directory) }
    }

    /// Removes a file if it is there.
    public static func remove(_ path: String) { unlink(path) }

    /// Gives a file the owner of its directory, so that the daemon's user can write what root put there.
    public static func adoptOwner(_ path: String, of directory: String) {
        var status = stat()
        guard geteuid() == 0, stat(directory, &status) == 0 else { return }
        _ = chown(path, status.st_uid, status.st_gid)
    }

    /// Makes a directory and those above it.
    public static func makeDirectory(_ path: String, mode: UInt32 = 0o750) throws(PlatformError) {
        if mkdir(path, mode_t(mode)) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw PlatformError.last("make directory", path)
        }
        try makeDirectory(String(path[..<slash]), mode: mode)
        guard mkdir(path, mode_t(mode)) == 0 || errno == EEXIST else { throw PlatformError.last("make directory", path) }
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether there is something at a path cannot be told for want of permission.
    public static func isForbidden(_ path: String) -> Bool { access(path, F_OK) != 0 && errno == EACCES }

    /// The size of a file in bytes, 0 when there is none.
    public static func size(_ path: String) -> Int64 {
        var status = stat()
        return stat(path, &status) == 0 ? Int64(status.st_size) : 0
    }

    /// Where relative paths start.
    public static func currentDirectory() -> String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }

    /// Resident memory of this process in bytes (Linux).
    public static func residentBytes() -> Int64 {
        guard let text = try? read("/proc/self/statm", bytesMax: 4096) else { return 0 }
        let parts = String(decoding: text, as: UTF8.self).split(separator: " ")
        return parts.count > 1 ? (Int64(parts[1]) ?? 0) * Int64(sysconf(Int32(_SC_PAGESIZE))) : 0
    }
}

/// The right to be the only process that works in a directory; held until the value goes away or the process dies.
public struct DirectoryLock: ~Copyable, Sendable {
    private let file: Descriptor

    /// Takes the lock file `path`. Errors: `refused` naming the process that holds it, or what stands there and is no file.
    public init(path: String) throws(PlatformError) {
        file = Descriptor(rw_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o640))
        try Files.refuseOther(path, verb: "lock", [S_IFREG])
        guard file.raw >= 0 else { throw PlatformError.last("open lock", path) }
        guard flock(file.raw, LOCK_EX | LOCK_NB) == 0 else {
            let holder = (try? Files.read(path, bytesMax: 64)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            let process = holder.split(separator: "\n").first.map { "process \($0)" } ?? "another process"
            throw .refused(verb: "lock", object: path, reason: "\(process) already works in this directory")
        }
        guard ftruncate(file.raw, 0) == 0 else { throw PlatformError.last("write lock", path) }
        try writeAll(file.raw, Array("\(getpid())\n".utf8), object: path)
    }
}
