/// Takes stored (not compressed) entries out of a zip file, which is what a `.keras` file is. Source: PKWARE APPNOTE 6.3.
enum ZipArchive {
    /// Bytes of the entry `name`.
    static func entry(_ name: String, of bytes: [UInt8]) throws(ModelFileError) -> [UInt8] {
        func integer(_ at: Int, _ size: Int) throws(ModelFileError) -> Int {
            guard at >= 0, at <= bytes.count - size else {
                throw .truncated(object: "the zip archive", needed: at + size, got: bytes.count)
            }
            return (0..<size).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
        }
        guard let end = lastRecord(bytes) else { throw .truncated(object: "the zip archive's directory", needed: 22, got: bytes.count) }
        var at = try integer(end + 16, 4)
        for _ in 0..<(try integer(end + 10, 2)) {
            guard try integer(at, 4) == 0x0201_4B50 else { throw .malformed(offset: at, reason: "got no zip directory entry") }
            let (nameSize, extra, comment) = (try integer(at + 28, 2), try integer(at + 30, 2), try integer(at + 32, 2))
            guard at + 46 + nameSize <= bytes.count else {
                throw .truncated(object: "the zip archive's directory", needed: at + 46 + nameSize, got: bytes.count)
            }
            if bytes[(at + 46)..<(at + 46 + nameSize)].elementsEqual(name.utf8) {
                let (method, size, local) = (try integer(at + 10, 2), try integer(at + 20, 4), try integer(at + 42, 4))
                guard method == 0 else {
                    throw .unsupported(node: name, reason: "got a compressed zip entry, expected a stored one as Keras writes it")
                }
                guard try integer(local, 4) == 0x0403_4B50 else { throw .malformed(offset: local, reason: "got no zip entry") }
                let start = try local + 30 + integer(local + 26, 2) + integer(local + 28, 2)
                guard size <= bytes.count, start <= bytes.count - size else {
                    throw .truncated(object: "'\(name)' of the archive", needed: start + size, got: bytes.count)
                }
                return Array(bytes[start..<start + size])
            }
            at += 46 + nameSize + extra + comment
        }
        throw .missing(tensor: name)
    }

    /// The end-of-directory record: within the last 64 KiB, after it only a comment.
    private static func lastRecord(_ bytes: [UInt8]) -> Int? {
        var at = bytes.count - 22
        let first = max(0, at - 65535)
        while at >= first {
            if bytes[at] == 0x50, bytes[at + 1] == 0x4B, bytes[at + 2] == 5, bytes[at + 3] == 6 { return at }
            at -= 1
        }
        return nil
    }
}
