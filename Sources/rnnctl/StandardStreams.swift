import Glibc
import Simulation

/// Writing to stdout and reading files for commands that move bytes, without a buffer in between.
enum StandardStreams {
    /// Failure of a system call, with the file or stream concerned.
    struct Failure: Error, CustomStringConvertible {
        var verb: String
        var object: String
        var code: Int32
        var description: String { "cannot \(verb) \(object): \(String(cString: strerror(code)))" }
    }

    /// A reader that goes away (`| head`) then shows as an error of write, not as a signal.
    static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// Writes all of `bytes` to stdout; false when nobody reads any more.
    static func writeOut(_ bytes: Span<UInt8>) throws(Failure) -> Bool {
        // The pointer is used within the closure only.
        let result: Result<Bool, Failure> = bytes.withUnsafeBytes { raw in
            var rest = raw[...]
            while !rest.isEmpty {
                let written = UnsafeRawBufferPointer(rebasing: rest).withMemoryRebound(to: UInt8.self) {
                    write(STDOUT_FILENO, $0.baseAddress, $0.count)
                }
                if written >= 0 {
                    rest = rest.dropFirst(written)
                } else if errno == EPIPE {
                    return .success(false)
                } else if errno == EAGAIN {
                    var descriptor = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&descriptor, 1, 1000)
                } else if errno != EINTR {
                    return .failure(Failure(verb: "write to", object: "stdout", code: errno))
                }
            }
            return .success(true)
        }
        return try result.get()
    }

    /// Writes `text` to stdout; false when nobody reads any more.
    static func writeOut(_ text: String) throws(Failure) -> Bool {
        let bytes = Array(text.utf8)
        return try writeOut(bytes.span)
    }

    /// All bytes of the file at `path`, of stdin for `-`; refuses more than `bytesMax`.
    static func readAll(_ path: String, bytesMax: Int = 1 << 30) throws(Failure) -> [UInt8] {
        let descriptor = path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(verb: "open", object: path, code: errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(verb: "read", object: path, code: errno)
            }
            guard bytes.count + count <= bytesMax else { throw Failure(verb: "read", object: path, code: EFBIG) }
            bytes.append(contentsOf: chunk[0..<count])
        }
    }

    /// Replaces the file at `path` by `text`.
    static func writeFile(_ path: String, _ text: String) throws(Failure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Failure(verb: "create", object: path, code: errno) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            // The slice lives for the call.
            let written = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                throw Failure(verb: "write", object: path, code: errno)
            }
            done += written
        }
    }

    /// Nanoseconds since 1970 now.
    static func nowNs() -> Int64 { clockNs(CLOCK_REALTIME) }

    /// Nanoseconds of a clock that never jumps.
    static func monotonicNs() -> Int64 { clockNs(CLOCK_MONOTONIC) }

    private static func clockNs(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Sleeps until ``monotonicNs()`` is `deadlineNs`, signals notwithstanding.
    static func sleep(untilMonotonicNs deadlineNs: Int64) {
        var time = timespec(tv_sec: Int(deadlineNs / 1_000_000_000), tv_nsec: Int(deadlineNs % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }
}
