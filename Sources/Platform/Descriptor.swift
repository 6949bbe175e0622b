import CPlatform
import Glibc

/// An open file descriptor that closes itself when it goes out of scope.
public struct Descriptor: ~Copyable, Sendable {
    /// The raw number; valid as long as this value lives.
    public let raw: Int32

    public init(_ raw: Int32) { self.raw = raw }

    deinit { if raw >= 0 { close(raw) } }

    /// Gives the number away: the caller closes it.
    public consuming func release() -> Int32 {
        let number = raw
        discard self
        return number
    }
}

/// What one non-blocking `read` gave.
public enum ReadOutcome: Equatable, Sendable {
    case bytes(Int)
    case wouldBlock
    case endOfFile
    case failed(Int32)
}

/// Reads once, restarting after signals; never blocks on a non-blocking descriptor.
public func readOnce(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> ReadOutcome {
    while true {
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        if count > 0 { return .bytes(count) }
        if count == 0 { return .endOfFile }
        if errno == EINTR { continue }
        return errno == EAGAIN || errno == EWOULDBLOCK ? .wouldBlock : .failed(errno)
    }
}

/// Writes all bytes to a blocking descriptor. Errors: the first failing `write`.
public func writeAll(_ descriptor: Int32, _ bytes: [UInt8], object: String) throws(PlatformError) {
    var offset = 0
    while offset < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + offset }, bytes.count - offset) }
        if count > 0 {
            offset += count
        } else if count < 0 && errno == EINTR {
            continue
        } else if count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&waiting, 1, 1000)
        } else {
            throw PlatformError.last("write", object)
        }
    }
}
