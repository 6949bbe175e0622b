import CDigest

/// Little-endian building blocks of every format on disk.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8]

    public init(reserving count: Int = 0) {
        bytes = []
        bytes.reserveCapacity(count)
    }

    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    /// An unsigned number of 1 to 10 bytes, 7 bits each, low first.
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// A signed number, small ones in few bytes whatever their sign.
    public mutating func signed(_ value: Int64) { varint(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    public mutating func fixed64(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    public mutating func fixed32(_ value: UInt32) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    public mutating func double(_ value: Double) { fixed64(value.bitPattern) }

    /// Length and bytes.
    public mutating func blob(_ value: [UInt8]) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// The bytes of another writer.
    public mutating func append(_ other: ByteWriter) { bytes.append(contentsOf: other.bytes) }

    /// Bytes that `body` writes itself, at most `most`: for what is written so often that growing must not be asked about each byte.
    mutating func append(atMost most: Int, _ body: (inout UncheckedByteWriter) -> Void) {
        bytes.append(addingCapacity: most) { span in
            span.withUnsafeMutableBufferPointer { buffer, count in
                var writer = UncheckedByteWriter(buffer)
                body(&writer)
                precondition(writer.count <= most)
                count = writer.count
            }
        }
    }

    /// Empties it and keeps its memory.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    public mutating func raw(_ value: UnsafeRawBufferPointer) { bytes.append(contentsOf: value) }
    public mutating func text(_ value: String) { blob(Array(value.utf8)) }
}

/// The same numbers as `ByteWriter`'s into memory that has room for them: whoever made it knows how many bytes may come.
struct UncheckedByteWriter {
    private let base: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ base: UnsafeMutableBufferPointer<UInt8>) { self.base = base }

    @inline(always)
    mutating func byte(_ value: UInt8) {
        base[count] = value
        count &+= 1
    }

    @inline(always)
    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        byte(UInt8(truncatingIfNeeded: rest))
    }

    @inline(always)
    mutating func signed(_ value: Int64) { varint(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))) }

    mutating func fixed64(_ value: UInt64) { for index: UInt64 in 0..<8 { byte(UInt8(truncatingIfNeeded: value &>> (8 &* index))) } }
    mutating func fixed32(_ value: UInt32) { for index: UInt32 in 0..<4 { byte(UInt8(truncatingIfNeeded: value &>> (8 &* index))) } }
}

/// Damage found in stored bytes: where and what.
public struct CodingError: Error, Sendable, Equatable, CustomStringConvertible {
    public let offset: Int
    public let expected: String
    public var description: String { "byte \(offset): expected \(expected)" }

    public init(offset: Int, expected: String) {
        (self.offset, self.expected) = (offset, expected)
    }
}

/// Reads what `ByteWriter` wrote; every read is checked.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    public private(set) var offset: Int

    public init(_ bytes: [UInt8], offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    public var isAtEnd: Bool { offset >= bytes.count }
    public var remaining: Int { max(0, bytes.count - offset) }

    public mutating func byte() throws(CodingError) -> UInt8 {
        guard offset < bytes.count else { throw CodingError(offset: offset, expected: "one more byte") }
        defer { offset += 1 }
        return bytes[offset]
    }

    public mutating func varint() throws(CodingError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        let start = offset
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw CodingError(offset: start, expected: "a number of at most 64 bits") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    public mutating func signed() throws(CodingError) -> Int64 {
        let raw = try varint()
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// A number that must not exceed `max`.
    public mutating func count(max: Int, _ what: String) throws(CodingError) -> Int {
        let start = offset
        let value = try varint()
        guard value <= UInt64(max) else { throw CodingError(offset: start, expected: "\(what) of at most \(max), got \(value)") }
        return Int(value)
    }

    public mutating func fixed64() throws(CodingError) -> UInt64 {
        guard remaining >= 8 else { throw CodingError(offset: offset, expected: "8 more bytes") }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
        offset += 8
        return value
    }

    public mutating func fixed32() throws(CodingError) -> UInt32 {
        guard remaining >= 4 else { throw CodingError(offset: offset, expected: "4 more bytes") }
        var value: UInt32 = 0
        for index in 0..<4 { value |= UInt32(bytes[offset + index]) << UInt32(8 * index) }
        offset += 4
        return value
    }

    public mutating func double() throws(CodingError) -> Double { Double(bitPattern: try fixed64()) }

    public mutating func blob() throws(CodingError) -> [UInt8] {
        let length = try count(max: remaining, "length")
        guard remaining >= length else { throw CodingError(offset: offset, expected: "\(length) more bytes") }
        defer { offset += length }
        return Array(bytes[offset..<offset + length])
    }

    public mutating func text() throws(CodingError) -> String {
        let start = offset
        guard let text = String(validating: try blob(), as: UTF8.self) else { throw CodingError(offset: start, expected: "UTF-8 text") }
        return text
    }

    /// The next `count` bytes, copied into raw memory of at least that size.
    public mutating func copy(_ count: Int, to target: UnsafeMutableRawPointer) throws(CodingError) {
        guard remaining >= count else { throw CodingError(offset: offset, expected: "\(count) more bytes") }
        bytes.withUnsafeBytes { if let base = $0.baseAddress { target.copyMemory(from: base + offset, byteCount: count) } }
        offset += count
    }
}

/// CRC-32C (Castagnoli), the checksum of journal and checkpoint rows.
public enum CRC32C {
    /// - Parameter before: the checksum of what stands before `bytes`; 0 for nothing.
    public static func checksum(_ bytes: [UInt8], before: UInt32 = 0) -> UInt32 { bytes.withUnsafeBytes { checksum($0, before: before) } }

    public static func checksum(_ bytes: UnsafeRawBufferPointer, before: UInt32 = 0) -> UInt32 {
        rw_crc32c(before, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    }
}
