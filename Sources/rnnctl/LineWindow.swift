import Control
import Glibc
import Platform
import Readings

/// Lines of a file or a pipe, from the first that is not acknowledged on; what is acknowledged is forgotten.
///
/// Memory stays below `bytesMax` and one line, however long the input is. A file can be read again from its start, a pipe not.
struct LineWindow {
    /// Whole lines; each ends with a newline.
    private struct Piece {
        var bytes: [UInt8]
        /// Offsets behind each line.
        var ends: [Int]
        /// Lines and bytes of the input before it.
        var firstLine: Int
        var firstByte: Int
    }

    /// Where sending goes on: a piece (counted from the first ever) and an offset in it.
    private var place = (piece: 0, offset: 0)
    private var pieces: [Piece] = []
    /// Pieces that were forgotten.
    private var forgotten = 0
    private var carry: [UInt8] = []
    /// Of the lines of forgotten pieces.
    private var checksum: UInt32 = 0
    /// The longest line that the daemon takes whole; known after the greeting.
    private var lineBytesTaken = Int.max
    private var bytesRead = 0
    private(set) var linesRead = 0
    private(set) var isAtEnd = false
    private let descriptor: Int32
    private let name: String
    private let isFile: Bool
    /// Of a regular file; 0 for a pipe.
    let size: Int
    /// What a line is sent as, when not as it is: a line for each, so that their numbers stay.
    var converter: CSVConverter?

    static let bytesMax = 64 << 20
    private static let lineBytesMax = 64 << 20
    private static let readBytes = 512 << 10

    /// - Errors: the file cannot be opened.
    init(file: String) throws(PlatformError) {
        name = file == "-" ? "standard input" : file
        if file == "-" {
            descriptor = 0
        } else {
            descriptor = Glibc.open(file, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw PlatformError.last("open", file) }
        }
        var status = stat()
        isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        size = isFile ? Int(status.st_size) : 0
    }

    /// What is waited for with `poll`; nil when there is no room or nothing more comes.
    var wanted: Int32? { isAtEnd || pieces.reduce(0) { $0 + $1.bytes.count } >= LineWindow.bytesMax ? nil : descriptor }

    /// Lines that are not forgotten yet begin after this one.
    private var firstLine: Int { pieces.first?.firstLine ?? linesRead }

    /// The first line of the input, read if need be; empty when there is none.
    mutating func first() throws -> ArraySlice<UInt8> {
        while pieces.isEmpty && !isAtEnd { try read() }
        return pieces.first.map { $0.bytes[..<$0.ends[0]] } ?? []
    }

    /// Reads once; waits for a pipe that has nothing.
    mutating func read() throws {
        guard !isAtEnd else { return }
        var chunk = [UInt8](repeating: 0, count: LineWindow.readBytes)
        let outcome = chunk.withUnsafeMutableBytes { readOnce(descriptor, into: $0) }
        switch outcome {
        case .bytes(let count):
            carry += chunk[..<count]
            if let last = chunk[..<count].lastIndex(of: 10) { cut(carry.count - count + last + 1) }
            guard carry.count <= LineWindow.lineBytesMax else {
                throw ControlError.failed("cannot send \(name): got a line \(linesRead + 1) of more than \(LineWindow.lineBytesMax) bytes")
            }
        case .wouldBlock:
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&waiting, 1, 1000)
        case .endOfFile:
            isAtEnd = true
            // The end of the input is the end of its last line.
            guard !carry.isEmpty else { return }
            carry.append(10)
            cut(carry.count)
        case .failed(let code): throw PlatformError.system(verb: "read", object: name, code: code)
        }
    }

    private mutating func cut(_ count: Int) {
        let raw = Array(carry[..<count])
        carry.removeFirst(count)
        let bytes = converter.map { $0.convert(raw, from: linesRead) } ?? raw
        var ends: [Int] = []
        for (index, byte) in bytes.enumerated() where byte == 10 { ends.append(index + 1) }
        pieces.append(Piece(bytes: bytes, ends: ends, firstLine: linesRead, firstByte: bytesRead))
        linesRead += ends.count
        bytesRead += bytes.count
    }

    /// The checksum after the first `lines` of a piece that comes next.
    private func summed(_ piece: Piece, lines: Int) -> UInt32 {
        piece.bytes.withUnsafeBufferPointer { bytes in
            var (sum, start) = (checksum, 0)
            for end in piece.ends[..<lines] {
                sum = LineChecksum.adding(UnsafeBufferPointer(rebasing: bytes[start..<(end - 1)]), to: sum, lineBytesMax: lineBytesTaken)
                start = end
            }
            return sum
        }
    }

    /// Whether the first `line` lines are those that the daemon has. false: they are others, or there are fewer; then nothing is lost of a
    /// file, and of a pipe nothing within `bytesMax`.
    /// - Parameters: `stored`: the daemon's checksum of them; nil: it does not know; `lineBytesTaken`: its `line_bytes_max`.
    mutating func begins(with line: Int, checksum stored: UInt32?, lineBytesTaken: Int) throws -> Bool {
        if lineBytesTaken != self.lineBytesTaken, forgotten > 0, isFile { try rewind() }
        self.lineBytesTaken = lineBytesTaken
        guard line > 0 else { return true }
        guard let stored else { return false }
        if line < firstLine {
            guard isFile else { return true }
            try rewind()
        }
        while linesRead < line && !isAtEnd {
            if isFile || pieces.reduce(0, { $0 + $1.bytes.count }) >= LineWindow.bytesMax { forget(through: line) }
            try read()
        }
        guard linesRead >= line else { return false }
        if isFile { forget(through: line) }
        var sum = checksum
        var left = line - firstLine
        for piece in pieces where left > 0 {
            let count = min(left, piece.ends.count)
            let before = checksum
            checksum = sum
            sum = summed(piece, lines: count)
            checksum = before
            left -= count
        }
        return sum == stored
    }

    /// Back to the first line of a file.
    private mutating func rewind() throws {
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw PlatformError.last("read again", name) }
        (pieces, carry, bytesRead, linesRead, isAtEnd, forgotten, place) = ([], [], 0, 0, false, 0, (0, 0))
        checksum = 0
    }

    /// Goes on after `line` lines, wherever it was; reads as far as that.
    /// - Errors: the input has not so many lines, or they are gone already.
    mutating func seek(after line: Int, producer: String) throws {
        if line < firstLine {
            guard isFile, lseek(descriptor, 0, SEEK_SET) == 0 else {
                throw ControlError.failed(
                    "cannot go on: the daemon has \(line) lines of producer \(producer), \(name) is past line \(firstLine) and cannot go back"
                )
            }
            converter?.restart()
            (pieces, carry, bytesRead, linesRead, isAtEnd, forgotten) = ([], [], 0, 0, false, 0)
            checksum = 0
        }
        while linesRead < line && !isAtEnd {
            forget(through: line)
            try read()
        }
        guard linesRead >= line else {
            throw ControlError.failed(
                "cannot send \(name): the daemon has \(line) lines of producer \(producer), expected at most the \(linesRead) there are; "
                    + "is it another file? then give it another --producer")
        }
        forget(through: line)
        place = (forgotten, 0)
        if let piece = pieces.first, line > piece.firstLine { place.offset = piece.ends[line - piece.firstLine - 1] }
    }

    /// Lines up to `line` are stored. Returns how many bytes of the input that is.
    @discardableResult
    mutating func forget(through line: Int) -> Int {
        var count = 0
        while count < pieces.count, pieces[count].firstLine + pieces[count].ends.count <= line { count += 1 }
        for piece in pieces[..<count] { checksum = summed(piece, lines: piece.ends.count) }
        pieces.removeFirst(count)
        forgotten += count
        guard let piece = pieces.first else { return bytesRead }
        return piece.firstByte + (line > piece.firstLine ? piece.ends[line - piece.firstLine - 1] : 0)
    }

    /// Something is read and not sent.
    var hasMore: Bool { place.piece - forgotten < pieces.count }

    /// Hands what comes next to `send`, which says how much of it went.
    mutating func next(_ send: (UnsafeRawBufferPointer) throws -> Int) rethrows {
        let index = place.piece - forgotten
        guard index >= 0, index < pieces.count else { return }
        let count = try pieces[index].bytes.withUnsafeBytes { try send(UnsafeRawBufferPointer(rebasing: $0[place.offset...])) }
        place.offset += count
        if place.offset >= pieces[index].bytes.count { place = (place.piece + 1, 0) }
    }
}
