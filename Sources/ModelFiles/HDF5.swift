import RecurrentNetwork

/// Reads the float datasets of an HDF5 file: as much of the format as h5py writes for Keras.
///
/// Source: HDF5 File Format Specification 3.0 (The HDF Group). Superblock 0 to 3, object headers 1 and 2, groups as symbol tables or
/// link messages, contiguous and compact datasets of 16, 32 or 64 bit IEEE floats, little-endian. Chunks, compression and dense groups
/// are errors that name the dataset. Reading never traps, whatever the bytes: every offset is checked and the number of objects bounded.
enum HDF5 {
    /// Every float dataset under its path, such as `layers/lstm/cell/vars/0`.
    static func read(_ bytes: [UInt8]) throws(ModelFileError) -> [NamedTensor] {
        var reader = HDF5Reader(bytes)
        return try reader.read()
    }

    /// The eight bytes that every file begins with.
    static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
}

private struct HDF5Reader {
    private let bytes: [UInt8]
    private var offsetSize = 8
    private var lengthSize = 8
    private var base = 0
    private var visits = 0
    private var tensors: [NamedTensor] = []
    private var elements = 0

    private static let visitsMax = 100_000

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func read() throws(ModelFileError) -> [NamedTensor] {
        guard bytes.starts(with: HDF5.signature) else { throw .malformed(offset: 0, reason: "got no HDF5 signature") }
        let version = try integer(8, 1)
        let root: Int
        switch version {
        case 0, 1:
            try setSizes(at: 13)
            let start = version == 0 ? 24 : 28
            base = try address(start)
            // The root's symbol table entry follows four addresses: name offset, then the header's address.
            root = try address(start + 5 * offsetSize)
        case 2, 3:
            try setSizes(at: 9)
            base = try address(12)
            root = try address(12 + 3 * offsetSize)
        default: throw .malformed(offset: 8, reason: "got HDF5 superblock version \(version), expected 0 to 3")
        }
        try object(root, path: "", depth: 0)
        return tensors
    }

    private mutating func setSizes(at offset: Int) throws(ModelFileError) {
        (offsetSize, lengthSize) = (try integer(offset, 1), try integer(offset + 1, 1))
        guard [2, 4, 8].contains(offsetSize), [2, 4, 8].contains(lengthSize) else {
            throw .malformed(offset: offset, reason: "got HDF5 sizes \(offsetSize) and \(lengthSize), expected 2, 4 or 8")
        }
    }

    // MARK: numbers

    private func integer(_ at: Int, _ size: Int) throws(ModelFileError) -> Int {
        guard at >= 0, size <= 8, at <= bytes.count - size else {
            throw .truncated(object: "the HDF5 file", needed: at &+ size, got: bytes.count)
        }
        var value: UInt64 = 0
        for i in 0..<size { value |= UInt64(bytes[at + i]) << UInt64(8 * i) }
        guard let small = Int(exactly: value) else { return Int.max }  // an undefined address: no place in any file
        return small
    }

    /// A place in the file: absolute once `base` is added.
    private func address(_ at: Int) throws(ModelFileError) -> Int {
        let (sum, overflow) = try integer(at, offsetSize).addingReportingOverflow(base)
        return overflow ? Int.max : sum
    }

    private func expect(_ mark: String, _ at: Int) throws(ModelFileError) {
        guard at >= 0, at <= bytes.count - 4 else { throw .truncated(object: "the HDF5 block \(mark)", needed: at &+ 4, got: bytes.count) }
        guard bytes[at..<at + 4].elementsEqual(mark.utf8) else { throw .malformed(offset: at, reason: "got no HDF5 block \(mark)") }
    }

    private mutating func count(_ path: String) throws(ModelFileError) {
        visits += 1
        guard visits <= Self.visitsMax else {
            throw .limit(object: "the HDF5 file (blocks, last at '\(path)')", got: UInt64(visits), max: UInt64(Self.visitsMax))
        }
    }

    // MARK: objects

    private struct Message {
        let kind: Int
        let start: Int
        let end: Int
    }

    private mutating func object(_ at: Int, path: String, depth: Int) throws(ModelFileError) {
        try count(path)
        guard depth <= ModelFileLimits.nestingMax else {
            throw .limit(object: "the HDF5 groups at '\(path)' (depth)", got: UInt64(depth), max: UInt64(ModelFileLimits.nestingMax))
        }
        let messages = try self.messages(at, path)
        if messages.contains(where: { $0.kind == 8 }) { return try dataset(messages, path) }
        for message in messages {
            switch message.kind {
            case 0x11: try symbolTable(message, path, depth)
            case 6: try link(message, path, depth)
            case 2 where try hasDenseLinks(message):
                throw .unsupported(
                    node: path, reason: "got a densely stored HDF5 group, expected one as h5py writes it (libver 'earliest')")
            default: continue
            }
        }
    }

    private mutating func messages(_ at: Int, _ path: String) throws(ModelFileError) -> [Message] {
        if at >= 0, at <= bytes.count - 4, bytes[at..<at + 4].elementsEqual("OHDR".utf8) { return try newMessages(at, path) }
        guard try integer(at, 1) == 1 else { throw .malformed(offset: at, reason: "got no HDF5 object header at '\(path)'") }
        let total = try integer(at + 2, 2)
        var blocks = [(at + 16, try integer(at + 8, 4))]
        var list: [Message] = []
        while let (start, size) = blocks.popLast() {
            try count(path)
            var place = start
            let end = try limit(start, size)
            while place + 8 <= end, list.count < total {
                let (kind, length) = (try integer(place, 2), try integer(place + 2, 2))
                let message = Message(kind: kind, start: place + 8, end: place + 8 + length)
                guard message.end <= end else {
                    throw .malformed(offset: place, reason: "got an HDF5 message beyond its header at '\(path)'")
                }
                if kind == 0x10 {
                    blocks.append((try address(message.start), try integer(message.start + offsetSize, lengthSize)))
                }
                list.append(message)
                place = message.end
            }
        }
        return list
    }

    private mutating func newMessages(_ at: Int, _ path: String) throws(ModelFileError) -> [Message] {
        let flags = try integer(at + 5, 1)
        var place = at + 6 + (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
        let width = 1 << (flags & 3)
        let head = flags & 4 != 0 ? 6 : 4
        let size = try integer(place, width)
        place += width
        var blocks = [(place, size)]
        var list: [Message] = []
        while let (start, size) = blocks.popLast() {
            try count(path)
            var place = start
            let end = try limit(start, size)
            while place + head <= end {
                let (kind, length) = (try integer(place, 1), try integer(place + 1, 2))
                let message = Message(kind: kind, start: place + head, end: place + head + length)
                guard message.end <= end else {
                    throw .malformed(offset: place, reason: "got an HDF5 message beyond its header at '\(path)'")
                }
                if kind == 0x10 {
                    let (next, length) = (try address(message.start), try integer(message.start + offsetSize, lengthSize))
                    try expect("OCHK", next)
                    blocks.append((next + 4, max(0, length - 8)))  // without mark and checksum
                }
                list.append(message)
                guard list.count <= Self.visitsMax else {
                    throw .limit(object: "the HDF5 object '\(path)' (messages)", got: UInt64(list.count), max: UInt64(Self.visitsMax))
                }
                place = message.end
            }
        }
        return list
    }

    private func limit(_ start: Int, _ size: Int) throws(ModelFileError) -> Int {
        let (end, overflow) = start.addingReportingOverflow(size)
        guard !overflow, start >= 0, end <= bytes.count else {
            throw .truncated(object: "the HDF5 file", needed: overflow ? Int.max : end, got: bytes.count)
        }
        return end
    }

    // MARK: groups

    private mutating func child(_ name: String, _ at: Int, _ path: String, _ depth: Int) throws(ModelFileError) {
        try object(at, path: path.isEmpty ? name : "\(path)/\(name)", depth: depth + 1)
    }

    private mutating func symbolTable(_ message: Message, _ path: String, _ depth: Int) throws(ModelFileError) {
        let (tree, heap) = (try address(message.start), try address(message.start + offsetSize))
        try expect("HEAP", heap)
        let names = try address(heap + 8 + 2 * lengthSize)
        var nodes = [tree]
        while let node = nodes.popLast() {
            try count(path)
            try expect("TREE", node)
            let (level, used) = (try integer(node + 5, 1), try integer(node + 6, 2))
            let first = node + 8 + 2 * offsetSize + lengthSize  // after the first key
            for entry in (0..<used).reversed() {
                let below = try address(first + entry * (offsetSize + lengthSize))
                if level > 0 { nodes.append(below) } else { try symbolNode(below, names, path, depth) }
                try count(path)
            }
        }
    }

    private mutating func symbolNode(_ at: Int, _ names: Int, _ path: String, _ depth: Int) throws(ModelFileError) {
        try expect("SNOD", at)
        let size = 2 * offsetSize + 24
        for entry in 0..<(try integer(at + 6, 2)) {
            let place = at + 8 + entry * size
            let (start, overflow) = names.addingReportingOverflow(try integer(place, offsetSize))
            guard !overflow, start < bytes.count, let end = bytes[start...].prefix(4096).firstIndex(of: 0) else {
                throw .malformed(offset: place, reason: "got an HDF5 name outside the file at '\(path)'")
            }
            try child(String(decoding: bytes[start..<end], as: UTF8.self), try address(place + offsetSize), path, depth)
        }
    }

    private mutating func link(_ message: Message, _ path: String, _ depth: Int) throws(ModelFileError) {
        let flags = try integer(message.start + 1, 1)
        var place = message.start + 2
        var kind = 0
        if flags & 8 != 0 {
            kind = try integer(place, 1)
            place += 1
        }
        place += (flags & 4 != 0 ? 8 : 0) + (flags & 0x10 != 0 ? 1 : 0)
        let length = try integer(place, 1 << (flags & 3))
        place += 1 << (flags & 3)
        guard kind == 0 else { return }  // soft and external links: nothing of Keras
        let end = try limit(place, length)
        guard end + offsetSize <= message.end else {
            throw .malformed(offset: place, reason: "got an HDF5 link beyond its message at '\(path)'")
        }
        try child(String(decoding: bytes[place..<end], as: UTF8.self), try address(end), path, depth)
    }

    private func hasDenseLinks(_ message: Message) throws(ModelFileError) -> Bool {
        let flags = try integer(message.start + 1, 1)
        return try address(message.start + 2 + (flags & 1 != 0 ? 8 : 0)) < bytes.count
    }

    // MARK: datasets

    private mutating func dataset(_ messages: [Message], _ path: String) throws(ModelFileError) {
        guard !messages.contains(where: { $0.kind == 0xB }) else {
            throw .unsupported(node: path, reason: "got a compressed HDF5 dataset, expected a plain one")
        }
        guard let space = messages.first(where: { $0.kind == 1 }), let type = messages.first(where: { $0.kind == 3 }),
            let layout = messages.first(where: { $0.kind == 8 })
        else { throw .malformed(offset: 0, reason: "got the HDF5 dataset '\(path)' without shape, type or data") }
        guard let element = try elementType(type, path) else { return }
        let shape = try shape(space, path)
        guard let count = elementCount(shape) else {
            throw .malformed(offset: space.start, reason: "got tensor '\(path)' of impossible shape \(shape)")
        }
        elements += count
        guard elements <= ModelFileLimits.tensorElementsMax else {
            throw .limit(object: "the HDF5 file (numbers)", got: UInt64(elements), max: UInt64(ModelFileLimits.tensorElementsMax))
        }
        let size = count * element.byteCount
        let start = try dataPlace(layout, size, path)
        guard size > 0 else { return tensors.append(.init(name: path, shape: shape, values: [])) }
        guard start <= bytes.count - size else { throw .truncated(object: "tensor '\(path)'", needed: start &+ size, got: bytes.count) }
        tensors.append(.init(name: path, shape: shape, values: element.decode(bytes, start..<start + size)))
    }

    /// nil: integers and strings, which weights are not.
    private func elementType(_ message: Message, _ path: String) throws(ModelFileError) -> ElementType? {
        guard try integer(message.start, 1) & 15 == 1 else { return nil }
        let (order, size) = (try integer(message.start + 1, 1), try integer(message.start + 4, 4))
        guard order & 0x41 == 0 else { throw .elementType(tensor: path, got: "big-endian floats") }
        let exponentBits = try integer(message.start + 13, 1)
        switch (size, exponentBits) {
        case (2, 5): return .f16
        case (2, 8): return .bf16
        case (4, 8): return .f32
        case (8, 11): return .f64
        default: throw .elementType(tensor: path, got: "a float of \(size) bytes with \(exponentBits) bits of exponent")
        }
    }

    private func shape(_ message: Message, _ path: String) throws(ModelFileError) -> [Int] {
        let (version, rank) = (try integer(message.start, 1), try integer(message.start + 1, 1))
        guard version == 1 || version == 2, rank <= 8 else {
            throw .malformed(offset: message.start, reason: "got an HDF5 shape of version \(version) and rank \(rank) at '\(path)'")
        }
        let first = message.start + (version == 1 ? 8 : 4)
        var sizes: [Int] = []
        for axis in 0..<rank { sizes.append(try integer(first + axis * lengthSize, lengthSize)) }
        return sizes
    }

    private func dataPlace(_ message: Message, _ size: Int, _ path: String) throws(ModelFileError) -> Int {
        let version = try integer(message.start, 1)
        guard version == 3 || version == 4 else {
            throw .unsupported(node: path, reason: "got HDF5 data layout version \(version), expected 3 or 4")
        }
        switch try integer(message.start + 1, 1) {
        case 0:
            let stored = try integer(message.start + 2, 2)
            guard stored >= size else { throw .truncated(object: "tensor '\(path)'", needed: size, got: stored) }
            return message.start + 4
        case 1:
            let stored = try integer(message.start + 2 + offsetSize, lengthSize)
            guard stored >= size else { throw .truncated(object: "tensor '\(path)'", needed: size, got: stored) }
            return try address(message.start + 2)
        default: throw .unsupported(node: path, reason: "got an HDF5 dataset in chunks, expected a contiguous one")
        }
    }
}
