@testable import WireFormats

/// Writes protobuf, for tests.
struct Proto {
    var bytes: [UInt8] = []

    static func varint(_ value: UInt64) -> [UInt8] {
        var (rest, out) = (value, [UInt8]())
        while rest >= 0x80 {
            out.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return out + [UInt8(rest)]
    }

    func adding(_ field: Int, varint value: UInt64) -> Proto {
        Proto(bytes: bytes + Proto.varint(UInt64(field << 3)) + Proto.varint(value))
    }
    func adding(_ field: Int, fixed value: UInt64) -> Proto {
        Proto(bytes: bytes + Proto.varint(UInt64(field << 3 | 1)) + withUnsafeBytes(of: value.littleEndian) { Array($0) })
    }
    func adding(_ field: Int, double value: Double) -> Proto { adding(field, fixed: value.bitPattern) }
    func adding(_ field: Int, bytes value: [UInt8]) -> Proto {
        Proto(bytes: bytes + Proto.varint(UInt64(field << 3 | 2)) + Proto.varint(UInt64(value.count)) + value)
    }
    func adding(_ field: Int, _ value: Proto) -> Proto { adding(field, bytes: value.bytes) }
    func adding(_ field: Int, _ value: String) -> Proto { adding(field, bytes: Array(value.utf8)) }
}

extension LineBatch {
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

func decode(_ proto: Proto, _ version: RemoteWrite.Version, _ decoration: Decoration = .none) throws -> (LineBatch, RemoteWrite.Written) {
    var batch = LineBatch(decoration: decoration)
    let written = try proto.bytes.withUnsafeBytes { try RemoteWrite.decode($0, version: version, into: &batch) }
    return (batch, written)
}

func otlp(_ proto: Proto) throws -> (LineBatch, Int) {
    var batch = LineBatch()
    let points = try proto.bytes.withUnsafeBytes { try OTLP.decode($0, into: &batch) }
    return (batch, points)
}

func lines(_ text: String, _ options: TextLines.Options = .init(), _ decoration: Decoration = .none) throws -> LineBatch {
    var batch = LineBatch(decoration: decoration)
    try Array(text.utf8).withUnsafeBytes { try TextLines.read($0, options, into: &batch) }
    return batch
}
