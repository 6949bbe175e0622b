import CPlatform
import Glibc

/// What the process does with something stored that it would do again after a crash: so that one bad row cannot end every start.
///
/// The marks lie in a mapped file, so they cost a store in memory, and a handler of the fatal signals notes that it was a crash: a kill,
/// a power cut or an orderly end leaves no such note. Each thread has one thing at a time.
public enum CrashMarks {
    public enum Kind: UInt64, Sendable {
        /// Replaying a row of the journal; the number is its sequence.
        case journal = 1
        /// Explaining an alert; the number is made of its id.
        case explanation = 2

        var text: String { self == .journal ? "replaying journal row" : "explaining alert" }
    }

    // Safety: written once, before other threads exist; each mark is written by one thread.
    private nonisolated(unsafe) static var marks: UnsafeMutablePointer<rw_crash_mark>?
    /// What ended a process before. Kept in the file's second half, so that it stays known over many starts.
    private nonisolated(unsafe) static var known: [(kind: UInt64, number: UInt64)] = []
    private static let count = Int(RW_CRASH_MARKS)
    /// Crashes that are remembered; the oldest is forgotten.
    private static let knownMax = 64

    /// Opens (or makes) the file and takes note of what it says about the process before; call once, alone in the directory.
    /// - Returns: what that process was doing when it crashed, in words; nil when it did not. Without a file nothing is marked.
    public static func open(_ path: String) -> String? {
        let file = Descriptor(rw_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o640))
        let size = MemoryLayout<rw_crash_mark>.stride * count
        let all = size + knownMax * 16
        var status = stat()
        guard file.raw >= 0, fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG, ftruncate(file.raw, off_t(all)) == 0,
            var bytes = try? Files.read(file, from: 0, count: all, object: path), bytes.count == all
        else { return nil }
        var told: String?
        for place in 0..<count {
            let mark = bytes.withUnsafeBytes {
                $0.loadUnaligned(fromByteOffset: place * MemoryLayout<rw_crash_mark>.stride, as: rw_crash_mark.self)
            }
            guard mark.crashed != 0, let kind = Kind(rawValue: mark.kind) else { continue }
            told = "\(kind.text) \(mark.number)"
            bytes.removeLast(16)
            bytes.insert(
                contentsOf: [mark.kind, mark.number].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } },
                at: size)
        }
        for place in bytes.indices.prefix(size) { bytes[place] = 0 }
        known = stride(from: size, to: all, by: 16).map { at in
            func word(_ at: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) } }
            return (word(at), word(at + 8))
        }
        guard pwrite(file.raw, bytes, all, 0) == all else { return told }
        marks = rw_crash_marks(file.raw)
        return told
    }

    /// Whether a process ended by this before.
    public static func ended(_ kind: Kind, _ number: UInt64) -> Bool { known.contains { $0.kind == kind.rawValue && $0.number == number } }

    /// From here on the calling thread does this.
    public static func begin(_ kind: Kind, _ number: UInt64) {
        guard let mark = marks?.advanced(by: Int(kind.rawValue)) else { return }
        mark.pointee.number = number
        mark.pointee.thread = Processors.thread
        mark.pointee.kind = kind.rawValue
    }

    /// It is done.
    public static func end(_ kind: Kind) { marks?.advanced(by: Int(kind.rawValue)).pointee.kind = 0 }

    /// A number for a text.
    public static func number(of text: String) -> UInt64 {
        // FNV-1a.
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
