import Glibc

/// The files of /proc and /sys below a root folder; what is missing or unreadable is simply empty.
struct MachineFiles: Sendable {
    /// Most bytes that are read of one file.
    static let fileBytesMax = 1 << 20
    /// Most entries that are listed of one folder.
    static let entriesMax = 1024

    private let root: String

    /// `root` is "/" on a real machine.
    init(root: String) { self.root = root.hasSuffix("/") ? String(root.dropLast()) : root }

    /// Lines of a file, split into words; empty when it cannot be read.
    func rows(_ path: String) -> [[Substring]] {
        text(path).split(separator: "\n").map { $0.split { $0 == " " || $0 == "\t" } }
    }

    /// First word of a file.
    func word(_ path: String) -> String? { text(path).split { $0.isWhitespace }.first.map(String.init) }

    /// The number at the beginning of a file.
    func number(_ path: String) -> Double? { word(path).flatMap(Double.init).flatMap { $0.isFinite ? $0 : nil } }

    /// Names in a folder in order, without hidden ones; empty when it cannot be read.
    func entries(_ path: String) -> [String] {
        guard let folder = opendir(root + path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while names.count < Self.entriesMax, let entry = readdir(folder) {
            // d_name is a C array inside an entry that lives until the next readdir; the name is copied here.
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    func exists(_ path: String) -> Bool { access(root + path, F_OK) == 0 }

    private func text(_ path: String) -> String {
        let descriptor = open(root + path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < Self.fileBytesMax {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            // A pressure file of a kernel without pressure accounting opens, then refuses to be read.
            if count <= 0 { break }
            bytes.append(contentsOf: chunk[0..<count])
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
