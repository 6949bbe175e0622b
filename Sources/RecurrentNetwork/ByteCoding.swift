/// Little-endian fields behind a four-byte mark, closed by a checksum (FNV-1a, 32 bits).
struct ByteWriter {
    private var bytes: [UInt8]

    init(mark: String) { bytes = Array(mark.utf8) }

    mutating func integer(_ value: Int64) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func double(_ value: Double) { integer(Int64(bitPattern: value.bitPattern)) }

    mutating func floats(_ values: [Float]) {
        integer(Int64(values.count))
        for value in values { appendWord(value.bitPattern, to: &bytes) }
    }

    func finished() -> [UInt8] {
        var all = bytes
        appendWord(fingerprint(bytes), to: &all)
        return all
    }
}

/// Reads what `ByteWriter` wrote; damage is an error.
struct ByteReader {
    private let bytes: [UInt8]
    private var at: Int
    private let end: Int

    init(_ bytes: [UInt8], mark: String) throws(NetworkError) {
        guard bytes.count >= 8, Array(bytes[..<4]) == Array(mark.utf8) else {
            throw .snapshot(reason: "got \(bytes.count) bytes without the mark \(mark)")
        }
        self.bytes = bytes
        at = 4
        end = bytes.count - 4
        var sum: [UInt8] = []
        appendWord(fingerprint(Array(bytes[..<end])), to: &sum)
        guard sum == Array(bytes[end...]) else { throw .snapshot(reason: "got a wrong checksum, expected undamaged bytes") }
    }

    mutating func integer() throws(NetworkError) -> Int64 {
        guard end - at >= 8 else { throw .snapshot(reason: "got too few bytes") }
        let value = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
        at += 8
        return Int64(bitPattern: value)
    }

    mutating func double() throws(NetworkError) -> Double { Double(bitPattern: UInt64(bitPattern: try integer())) }

    mutating func floats() throws(NetworkError) -> [Float] {
        let count = try integer()
        guard count >= 0, count <= (end - at) / 4 else { throw .snapshot(reason: "got too few bytes for \(count) numbers") }
        var values: [Float] = []
        values.reserveCapacity(Int(count))
        for _ in 0..<count {
            values.append(Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }))
            at += 4
        }
        return values
    }
}
