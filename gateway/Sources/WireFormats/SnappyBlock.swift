/// The block format of Snappy (format_description.txt of google/snappy): a declared length, then literals and copies.
public enum SnappyBlock {
    /// The length that the block declares. Errors: it is no varint of 32 bits.
    public static func declaredCount(_ block: UnsafeRawBufferPointer) throws(WireError) -> (count: Int, headerBytes: Int) {
        var value: UInt64 = 0
        for index in 0..<min(5, block.count) {
            value |= UInt64(block[index] & 0x7F) << UInt64(7 * index)
            if block[index] < 0x80 {
                guard value <= UInt64(UInt32.max) else { break }
                return (Int(value), index + 1)
            }
        }
        throw .malformed(format: "snappy", offset: 0, got: "no length", expected: "a varint of at most 32 bits")
    }

    /// Decodes a whole block.
    ///
    /// Nothing is allocated before the declared length is known to be at most `max`, and to be one that `block.count` bytes can
    /// stand for: a copy of 3 bytes yields at most 64, so a few bytes that declare gigabytes are refused as what they are.
    /// - Errors: malformed, or larger than `max`.
    public static func decode(_ block: UnsafeRawBufferPointer, max: Int) throws(WireError) -> [UInt8] {
        let (count, header) = try declaredCount(block)
        guard count <= max else { throw .tooLarge(what: "snappy block", got: count, max: max) }
        guard count <= (block.count - header) * 64 else {
            throw .malformed(
                format: "snappy", offset: 0, got: "a declared length of \(count)",
                expected: "at most \((block.count - header) * 64) from \(block.count) bytes")
        }
        var failure: WireError?
        let output = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(WireError) {
                try decode(block, from: header, into: UnsafeMutableRawBufferPointer(buffer), count)
                initialized = count
            } catch { failure = error }
        }
        if let failure { throw failure }
        return output
    }

    private static func decode(
        _ block: UnsafeRawBufferPointer, from header: Int, into out: UnsafeMutableRawBufferPointer, _ count: Int
    ) throws(WireError) {
        var place = header
        var written = 0
        func need(_ bytes: Int) throws(WireError) {
            guard block.count - place >= bytes else {
                throw .malformed(format: "snappy", offset: place, got: "the end", expected: "\(bytes) more bytes")
            }
        }
        while place < block.count {
            let tag = block[place]
            place += 1
            if tag & 3 == 0 {
                var length = Int(tag >> 2) + 1
                if length > 60 {
                    let extra = length - 60
                    try need(extra)
                    length = 0
                    for index in 0..<extra { length |= Int(block[place + index]) << (8 * index) }
                    length += 1
                    place += extra
                }
                try need(length)
                guard count - written >= length else { throw overflow(place, count) }
                if let target = out.baseAddress, let source = block.baseAddress {
                    (target + written).copyMemory(from: source + place, byteCount: length)
                }
                place += length
                written += length
                continue
            }
            let length: Int
            let distance: Int
            switch tag & 3 {
            case 1:
                try need(1)
                length = Int(tag >> 2 & 7) + 4
                distance = Int(tag >> 5) << 8 | Int(block[place])
                place += 1
            case 2:
                try need(2)
                length = Int(tag >> 2) + 1
                distance = Int(block[place]) | Int(block[place + 1]) << 8
                place += 2
            default:
                try need(4)
                length = Int(tag >> 2) + 1
                distance =
                    Int(block[place]) | Int(block[place + 1]) << 8 | Int(block[place + 2]) << 16 | Int(block[place + 3]) << 24
                place += 4
            }
            guard distance > 0, distance <= written else {
                throw .malformed(format: "snappy", offset: place, got: "a copy from \(distance) back", expected: "1 to \(written)")
            }
            guard count - written >= length else { throw overflow(place, count) }
            if distance >= length, let base = out.baseAddress {
                (base + written).copyMemory(from: base + written - distance, byteCount: length)
            } else {
                for index in 0..<length { out[written + index] = out[written + index - distance] }
            }
            written += length
        }
        guard written == count else {
            throw .malformed(format: "snappy", offset: place, got: "\(written) bytes", expected: "the declared \(count)")
        }
    }

    private static func overflow(_ place: Int, _ count: Int) -> WireError {
        .malformed(format: "snappy", offset: place, got: "more than was declared", expected: "\(count) bytes")
    }
}
