/// Reads one protobuf message in place, field by field, never past its end.
///
/// A reader is a window on the bytes of a request; nested messages are windows inside it. Nothing is copied or allocated, so what a
/// message declares costs nothing until the bytes are really there.
struct ProtobufReader {
    /// How the value of a field is encoded.
    enum WireType: UInt8 {
        case varint = 0
        case fixed64 = 1
        case bytes = 2
        case fixed32 = 5
    }

    private let base: UnsafeRawPointer
    private(set) var offset: Int
    private let end: Int
    let format: String

    /// The whole of `bytes`, which must outlive the reader.
    init(_ bytes: UnsafeRawBufferPointer, format: String) {
        base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!
        (offset, end, self.format) = (0, bytes.count, format)
    }

    private init(base: UnsafeRawPointer, offset: Int, end: Int, format: String) {
        (self.base, self.offset, self.end, self.format) = (base, offset, end, format)
    }

    var isAtEnd: Bool { offset >= end }

    /// Number and kind of the next field; nil at the end of the message.
    @inline(always)
    mutating func next() throws(WireError) -> (field: Int, type: WireType)? {
        guard offset < end else { return nil }
        let start = offset
        let tag = try varint()
        guard let type = WireType(rawValue: UInt8(tag & 7)), tag >> 3 > 0, tag >> 3 < 1 << 29 else {
            throw failure(at: start, got: "tag \(tag)", expected: "a field number and wire type 0, 1, 2 or 5")
        }
        return (Int(tag >> 3), type)
    }

    @inline(always)
    mutating func varint() throws(WireError) -> UInt64 {
        let start = offset
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < end {
            let byte = base.load(fromByteOffset: offset, as: UInt8.self)
            offset += 1
            if shift == 63, byte > 1 { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { break }
        }
        throw failure(
            at: start, got: offset >= end ? "the end" : "more than 64 bits", expected: "a varint of at most 10 bytes")
    }

    @inline(always)
    mutating func fixed64() throws(WireError) -> UInt64 {
        guard end - offset >= 8 else { throw failure(at: offset, got: "\(end - offset) bytes", expected: "8 bytes of a number") }
        defer { offset += 8 }
        return UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    mutating func double() throws(WireError) -> Double { Double(bitPattern: try fixed64()) }

    /// The bytes of a string or of a nested message.
    @inline(always)
    mutating func bytes() throws(WireError) -> UnsafeRawBufferPointer {
        let message = try message()
        return UnsafeRawBufferPointer(start: base + message.offset, count: message.end - message.offset)
    }

    @inline(always)
    mutating func message() throws(WireError) -> ProtobufReader {
        let start = offset
        let count = try varint()
        guard count <= UInt64(end - offset) else {
            throw failure(at: start, got: "a length of \(count)", expected: "at most the \(end - offset) bytes that are left")
        }
        let inside = ProtobufReader(base: base, offset: offset, end: offset + Int(count), format: format)
        offset += Int(count)
        return inside
    }

    /// Passes over the value of a field that is not used.
    mutating func skip(_ type: WireType) throws(WireError) {
        switch type {
        case .varint: _ = try varint()
        case .fixed64: _ = try fixed64()
        case .bytes: _ = try message()
        case .fixed32:
            guard end - offset >= 4 else { throw failure(at: offset, got: "\(end - offset) bytes", expected: "4 bytes of a number") }
            offset += 4
        }
    }

    /// The value was declared as `type`; another one is an error, as the field would be misread.
    @inline(always)
    func expect(_ type: WireType, _ wanted: WireType, _ name: StaticString) throws(WireError) {
        if type != wanted { throw failure(at: offset, got: "\(name) as \(type)", expected: "\(wanted)") }
    }

    func failure(at offset: Int, got: String, expected: String) -> WireError {
        .malformed(format: format, offset: offset, got: got, expected: expected)
    }
}
