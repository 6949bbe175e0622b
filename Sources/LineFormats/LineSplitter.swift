import Glibc

/// Cuts lines out of bytes that the caller owns and keeps: at `\n` or `\r\n`, and at the end of input without either.
///
/// The caller holds a buffer of bytes not used up yet. `next` looks at it from its start and says what stands there and how
/// many bytes are done with; the caller moves on by that many, and adds bytes behind the rest when asked for more. Bytes
/// that were searched once are not searched again. A line longer than `lineBytesMax` is reported once and skipped up to its
/// end, so a buffer of `lineBytesMax + 2` bytes is always enough.
public struct LineSplitter: Sendable {
    /// What stands at the start of the buffer.
    public enum Cut: Sendable, Equatable {
        /// A line of the first `length` bytes, line end not counted; `used` bytes are done with.
        case line(length: Int, used: Int)
        /// The start of a line that is too long; `used` bytes are done with, the rest of the line will be skipped.
        case tooLong(used: Int)
        /// No whole line: `used` bytes are done with, more must be added behind the rest. At the end of input: finished.
        case more(used: Int)
    }

    /// Longest line in bytes, line end not counted.
    public let lineBytesMax: Int
    /// Lines seen so far, the too long ones counted; the number of the line reported last, from 1.
    public private(set) var lineNumber = 0
    private var searched = 0
    private var isSkipping = false

    /// Creates a splitter for one stream of bytes.
    public init(lineBytesMax: Int = LineLimits().lineBytesMax) {
        self.lineBytesMax = max(lineBytesMax, 1)
    }

    /// Looks at the bytes not used up yet.
    /// - Parameters:
    ///   - pending: All bytes the caller holds: what the last call left over, and what was added behind it.
    ///   - atEnd: No more bytes will come; a last line without line end is then a line.
    public mutating func next(_ pending: UnsafeBufferPointer<UInt8>, atEnd: Bool) -> Cut {
        guard let base = pending.baseAddress, pending.count > 0 else { return .more(used: 0) }
        let from = min(searched, pending.count)
        guard let found = memchr(base + from, Int32(Ascii.newline), pending.count - from) else {
            return withoutNewline(base, pending.count, atEnd)
        }
        let index = UnsafeRawPointer(base).distance(to: UnsafeRawPointer(found))
        searched = 0
        if isSkipping {
            isSkipping = false
            return .more(used: index + 1)
        }
        return whole(base, index, used: index + 1)
    }

    private mutating func whole(_ base: UnsafePointer<UInt8>, _ end: Int, used: Int) -> Cut {
        lineNumber += 1
        let length = end > 0 && base[end - 1] == Ascii.carriageReturn ? end - 1 : end
        return length > lineBytesMax ? .tooLong(used: used) : .line(length: length, used: used)
    }

    private mutating func withoutNewline(_ base: UnsafePointer<UInt8>, _ count: Int, _ atEnd: Bool) -> Cut {
        searched = 0
        if isSkipping {
            if atEnd { isSkipping = false }
            return .more(used: count)
        }
        if atEnd { return whole(base, count, used: count) }
        if count > lineBytesMax + 1 {
            lineNumber += 1
            isSkipping = true
            return .tooLong(used: count)
        }
        searched = count
        return .more(used: 0)
    }
}
