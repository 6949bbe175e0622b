import CDigest
import Testing

@testable import Readings

/// Deterministic noise; the seed is in the test's name when it fails.
struct Noise {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

    /// Every kind of number: decimals, integers, Floats, all bits.
    mutating func value() -> Double {
        switch below(6) {
        case 0: return Double(below(100_000)) / 100
        case 1: return -Double(below(1000))
        case 2: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: next()) & 0x7F7F_FFFF))
        case 3: return -0.0
        case 4:
            return [Double.greatestFiniteMagnitude, .leastNonzeroMagnitude, 16_777_216, 16_777_215, 0.1, 1e-7].randomElement(using: &self)!
        default:
            let any = Double(bitPattern: next())
            return any.isFinite ? any : 1
        }
    }
}

extension Noise: RandomNumberGenerator {}

private func batch(seed: UInt64) -> ReadingBatch {
    var noise = Noise(state: seed)
    let batch = ReadingBatch(entryCapacity: 64, fieldCapacity: 512)
    batch.sequence = Int64(noise.below(1 << 40)) + 1
    batch.shards = 1 + noise.below(8)
    batch.shard = noise.below(batch.shards)
    batch.clock = Int64(truncatingIfNeeded: noise.next() >> 1)
    if noise.below(2) == 0 {
        batch.notes = [
            .stream(id: 7, key: [97, 0, 255]), .channel(stream: 7, index: 65535, name: []), .evicted(stream: .max),
            .condition(kind: "limit", reason: "voll", time: .min), .condition(kind: "limit", reason: nil, time: .max),
            .person(.close(stream: 7, alert: "a-1", by: "ada", text: "é\n")), .person(.settle(stream: 0)), .person(.reset(stream: .max)),
            .person(.rename(stream: 7, key: [0, 255])), .person(.pause(["{}", ""])), .person(.pause([])),
            .person(.feedback(stream: 7, alert: "a-1", verdict: "true", by: "b", text: "", at: .min, bar: nil)),
            .person(
                .feedback(
                    stream: 7, alert: "a-1", verdict: "false", by: "b", text: "t", at: .max,
                    bar: FeedbackBarNote(channel: [255], points: 1.5, fade: .max, moment: nil))),
            .person(
                .feedback(
                    stream: 7, alert: "a-1", verdict: "expected", by: "b", text: "t", at: 0,
                    bar: FeedbackBarNote(channel: [], points: -0.5, fade: 1, moment: .min))),
        ]
    }
    for _ in 0..<noise.below(60) {
        for _ in 0...noise.below(5) { batch.append(channel: UInt16(truncatingIfNeeded: noise.next()), value: noise.value()) }
        batch.endReading(
            stream: UInt32(truncatingIfNeeded: noise.next()), time: Int64(bitPattern: noise.next()), clock: Int64(bitPattern: noise.next()))
    }
    return batch
}

private func content(_ batch: ReadingBatch) -> [String] {
    (0..<batch.entryCount).map { index in
        let entry = batch.entries[index]
        let fields = (Int(entry.fieldStart)..<Int(entry.fieldStart + entry.fieldCount)).map {
            "\(batch.channels[$0])=\(batch.values[$0].bitPattern)"
        }
        return "\(entry.stream) \(entry.time) \(entry.clock) \(fields)"
    }
}

@Suite struct ChecksumTests {
    @Test("the checksum is that of RFC 3720, the same by instruction and by tables, wherever the bytes are cut")
    func checksum() {
        // Appendix B.4: 32 bytes of zeros, of ones, rising, falling.
        for (bytes, want) in [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            ((0..<32).map { UInt8($0) }, 0x46DD_794E), (Array("123456789".utf8), 0xE306_9283),
            ((0..<32).map { 31 - UInt8($0) }, 0x113F_DB5C), ([], 0),
        ] as [([UInt8], UInt32)] { #expect(CRC32C.checksum(bytes) == want) }
        var noise = Noise(state: 11)
        let bytes = (0..<20_000).map { _ in UInt8(truncatingIfNeeded: noise.next()) }
        bytes.withUnsafeBytes { all in
            for _ in 0..<300 {
                let start = noise.below(100)
                let part = UnsafeRawBufferPointer(rebasing: all[start..<start + noise.below(19_900)])
                let cut = noise.below(part.count + 1)
                let whole = rw_crc32c_portable(5, part.baseAddress?.assumingMemoryBound(to: UInt8.self), part.count)
                #expect(CRC32C.checksum(part, before: 5) == whole)
                let first = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: part[..<cut]), before: 5)
                #expect(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: part[cut...]), before: first) == whole)
            }
        }
    }
}

@Suite struct JournalCodecTests {
    @Test("a batch comes back from the journal bit for bit", arguments: 1...200)
    func roundTrip(seed: UInt64) throws {
        let original = batch(seed: seed)
        JournalCodec.encode(original)
        var row = ByteWriter()
        JournalCodec.append(original, to: &row)
        JournalCodec.append(original, to: &row)
        let scratch = ReadingBatch(entryCapacity: 64, fieldCapacity: 512)
        var seen = 0
        try JournalCodec.batches(of: row.bytes, scratch: scratch) { decoded in
            seen += 1
            #expect(content(decoded) == content(original))
            #expect(decoded.notes == original.notes)
            #expect(
                (decoded.sequence, decoded.clock, decoded.shard, decoded.shards) == (
                    original.sequence, original.clock, original.shard, original.shards
                ))
        }
        #expect(seen == 2)
    }

    /// Format 1 as first written, value by value: what stands before a value does not change how it is written.
    private func reference(_ batch: ReadingBatch) -> [UInt8] {
        var out = ByteWriter()
        var before = ReadingEntry(stream: 0, fieldStart: 0, fieldCount: 0, time: 0, clock: 0)
        for index in 0..<batch.entryCount {
            let entry = batch.entries[index]
            out.signed(Int64(entry.stream) - Int64(before.stream))
            out.signed(entry.time &- before.time)
            out.signed(entry.clock &- before.clock)
            out.varint(UInt64(entry.fieldCount))
            var channel: Int64 = -1
            for field in Int(entry.fieldStart)..<Int(entry.fieldStart + entry.fieldCount) {
                out.signed(Int64(batch.channels[field]) - channel - 1)
                channel = Int64(batch.channels[field])
                value(batch.values[field], &out)
            }
            before = entry
        }
        return out.bytes
    }

    private func value(_ value: Double, _ out: inout ByteWriter) {
        if value != 0 || value.sign == .plus {
            var power = 1.0
            for digits in 0..<7 {
                let scaled = value * power
                guard abs(scaled) < 16_777_216 else { break }
                let rounded = scaled.rounded()
                if rounded / power == value {
                    out.byte(UInt8(digits))
                    return out.signed(Int64(rounded))
                }
                power *= 10
            }
        }
        let narrow = Float(value)
        if Double(narrow) == value {
            out.byte(10)
            out.fixed32(narrow.bitPattern)
        } else {
            out.byte(11)
            out.fixed64(value.bitPattern)
        }
    }

    @Test("every value is written as short as it is exactly, whatever came before it", arguments: 1...40)
    func shortest(seed: UInt64) {
        var noise = Noise(state: seed)
        let batch = ReadingBatch(entryCapacity: 300, fieldCapacity: 4096)
        var digits = 2
        for time in 0..<300 {
            for _ in 0...noise.below(12) {
                if noise.below(20) == 0 { digits = noise.below(9) }
                var value = Double(noise.below(40_000_000) - 20_000_000)
                for _ in 0..<digits { value /= 10 }
                batch.append(channel: UInt16(noise.below(40)), value: noise.below(10) == 0 ? noise.value() : value)
            }
            batch.endReading(stream: UInt32(noise.below(1000)), time: Int64(time), clock: 0)
        }
        JournalCodec.encode(batch)
        #expect(Array(batch.encoded.bytes.suffix(reference(batch).count)) == reference(batch))
        let length = batch.encoded.bytes.count
        JournalCodec.encode(batch)
        #expect(batch.encoded.bytes.count == length, "encoding again begins anew")
    }

    @Test("damaged bytes are an error or other readings, never a trap", arguments: 1...150)
    func damage(seed: UInt64) {
        var noise = Noise(state: seed)
        var row = ByteWriter()
        let original = batch(seed: seed)
        JournalCodec.encode(original)
        JournalCodec.append(original, to: &row)
        let scratch = ReadingBatch(entryCapacity: 64, fieldCapacity: 512)
        for _ in 0..<60 {
            var bytes = row.bytes
            for _ in 0...noise.below(3) { bytes[noise.below(bytes.count)] = UInt8(truncatingIfNeeded: noise.next()) }
            if noise.below(3) == 0 { bytes.removeLast(noise.below(bytes.count)) }
            try? JournalCodec.batches(of: bytes, scratch: scratch) { batch in
                #expect(batch.entryCount <= 64 && batch.fieldCount <= 512 && batch.shard < batch.shards)
            }
        }
    }

    @Test("a journal of another format is refused by its number")
    func otherFormat() {
        let scratch = ReadingBatch(entryCapacity: 1, fieldCapacity: 1)
        #expect(throws: CodingError(offset: 0, expected: "journal format 1, got 2")) {
            try JournalCodec.decode([2, 0, 0, 0], into: scratch)
        }
    }

    @Test("every varint and signed number comes back")
    func numbers() throws {
        let numbers: [Int64] = [0, 1, -1, 63, 64, -64, -65, 1 << 31, .max, .min, .min + 1]
        var writer = ByteWriter()
        for number in numbers { writer.signed(number) }
        var reader = ByteReader(writer.bytes)
        for number in numbers {
            let read = try reader.signed()
            #expect(read == number)
        }
        #expect(reader.isAtEnd)
        var long = ByteReader([UInt8](repeating: 0xFF, count: 10))
        #expect(throws: CodingError.self) { _ = try long.varint() }
    }
}
