/// A reader of the protobuf wire format over a range of bytes: enough for ONNX, bounds-checked everywhere.
/// Source: protobuf.dev/programming-guides/encoding.
struct ProtobufReader {
    enum Field {
        case varint(UInt64)
        case fixed32(UInt32)
        case fixed64(UInt64)
        case bytes(Range<Int>)
    }

    let bytes: [UInt8]
    private var at: Int
    private let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        at = range.lowerBound
        end = range.upperBound
    }

    /// The next field, or nil at the end of the message.
    mutating func next() throws(ModelFileError) -> (number: Int, field: Field)? {
        guard at < end else { return nil }
        let tag = try varint()
        let number = Int(truncatingIfNeeded: tag >> 3)
        guard number > 0, number < 1 << 29 else {
            throw .malformed(offset: at, reason: "got protobuf field number \(number)")
        }
        switch tag & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(UInt64(try fixed(4)) | UInt64(try fixed(4)) << 32))
        case 2:
            let length = try varint()
            guard length <= UInt64(end - at) else {
                throw .truncated(
                    object: "a protobuf field at byte \(at)", needed: Int(clamping: length), got: end - at)
            }
            let range = at..<at + Int(length)
            at = range.upperBound
            return (number, .bytes(range))
        case 5: return (number, .fixed32(try fixed(4)))
        default:
            throw .malformed(
                offset: at,
                reason: "got protobuf wire type \(tag & 7), expected 0, 1, 2 or 5 (is this an ONNX file?)")
        }
    }

    /// All varints of a packed range.
    func packedVarints(_ range: Range<Int>) throws(ModelFileError) -> [Int] {
        var inner = ProtobufReader(bytes, range)
        var values: [Int] = []
        while inner.at < inner.end { values.append(Int(truncatingIfNeeded: try inner.varint())) }
        return values
    }

    func string(_ range: Range<Int>) throws(ModelFileError) -> String {
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw .malformed(offset: range.lowerBound, reason: "got a string that is not UTF-8")
        }
        return text
    }

    private mutating func varint() throws(ModelFileError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard at < end else {
                throw .truncated(object: "a protobuf number at byte \(at)", needed: 1, got: 0)
            }
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw .malformed(offset: at, reason: "got a protobuf number longer than ten bytes")
    }

    private mutating func fixed(_ count: Int) throws(ModelFileError) -> UInt32 {
        guard end - at >= count else {
            throw .truncated(object: "a protobuf number at byte \(at)", needed: count, got: end - at)
        }
        let value = (0..<count).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
        at += count
        return value
    }
}

/// Builds a protobuf message.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func integer(_ number: Int, _ value: Int) {
        varint(UInt64(number) << 3)
        varint(UInt64(bitPattern: Int64(value)))
    }

    mutating func float(_ number: Int, _ value: Float) {
        varint(UInt64(number) << 3 | 5)
        appendFloats([value], to: &bytes)
    }

    mutating func data(_ number: Int, _ data: [UInt8]) {
        varint(UInt64(number) << 3 | 2)
        varint(UInt64(data.count))
        bytes.append(contentsOf: data)
    }

    mutating func string(_ number: Int, _ text: String) { data(number, Array(text.utf8)) }

    mutating func message(_ number: Int, _ build: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        build(&inner)
        data(number, inner.bytes)
    }
}
