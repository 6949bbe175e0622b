/// Who numbers lines: a name, and the user whose it is. Another user's client of the same name is another producer.
public struct ProducerName: Hashable, Sendable, Comparable {
    /// The user's number as the kernel says at the socket.
    public var user: UInt32
    public var name: String

    public init(user: UInt32, name: String) { (self.user, self.name) = (user, name) }

    /// Of names from the time before they belonged to users: the first who greets with one takes it over.
    public static let anyUser = UInt32.max

    /// By user, then name.
    public static func < (a: ProducerName, b: ProducerName) -> Bool { (a.user, a.name) < (b.user, b.name) }
}

/// How far a producer was when it was last heard of.
public struct ProducerRecord: Sendable, Equatable {
    public var name: ProducerName
    /// So many of its lines are stored.
    public var sequence: Int64
    /// CRC-32C of these lines (see `LineChecksum`); nil: not known.
    public var checksum: UInt32?
    /// Wall time (nanoseconds since 1970).
    public var heardAt: Int64

    public init(name: ProducerName, sequence: Int64, checksum: UInt32? = nil, heardAt: Int64) {
        (self.name, self.sequence, self.checksum, self.heardAt) = (name, sequence, checksum, heardAt)
    }
}

/// What a sender and the daemon both know of the lines that are stored: whether they are the same ones.
///
/// CRC-32C over each line with its newline; of a line beyond the daemon's `line_bytes_max`, which it never sees whole, over the first 256
/// bytes and a newline.
public enum LineChecksum {
    public static let headBytes = 256
    private static let newline: [UInt8] = [10]

    /// The checksum after one more line, given without its newline.
    public static func adding(_ line: UnsafeBufferPointer<UInt8>, to checksum: UInt32, lineBytesMax: Int) -> UInt32 {
        let seen = line.count > lineBytesMax ? UnsafeBufferPointer(rebasing: line.prefix(headBytes)) : line
        return CRC32C.checksum(newline, before: CRC32C.checksum(UnsafeRawBufferPointer(seen), before: checksum))
    }

    /// The checksum after whole lines, each with its newline, none longer than the daemon takes.
    public static func adding(lines: UnsafeRawBufferPointer, to checksum: UInt32) -> UInt32 { CRC32C.checksum(lines, before: checksum) }
}
