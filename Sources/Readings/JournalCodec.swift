/// How batches stand in the journal: everything the engine needs to come to the same state and alerts again.
///
/// Format 1: `1`, clock, number of notes, notes, number of entries, entries. Entries: stream (signed difference to the entry
/// before), time (signed difference), fleet clock (signed difference), number of values, then per value the channel (signed
/// difference to the channel before plus one) and the number. Numbers are written as short as they are exactly: a tag byte
/// says whether a decimal `m / 10^k` of at most 53 bits, a Float or a Double follows. All integers are varints.
public enum JournalCodec {
    public static let format: UInt8 = 1

    private enum NoteTag: UInt8 { case stream = 1, channel, evicted, condition, models, budgetShare }

    /// The bytes of `batch`. They decode to the same readings, bit for bit.
    public static func encode(_ batch: ReadingBatch) -> [UInt8] {
        var out = ByteWriter(reserving: 16 + batch.entryCount * 8 + batch.fieldCount * 6)
        out.byte(format)
        out.signed(batch.clock)
        out.varint(UInt64(batch.notes.count))
        for note in batch.notes { encode(note, &out) }
        out.varint(UInt64(batch.entryCount))
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
                encode(batch.values[field], &out)
            }
            before = entry
        }
        return out.bytes
    }

    /// Appends `batch` to a row: its sequence, its shard, how many shards there were, its length, its bytes.
    public static func append(_ batch: ReadingBatch, to row: inout ByteWriter) {
        row.varint(UInt64(batch.sequence))
        row.varint(UInt64(batch.shard))
        row.varint(UInt64(batch.shards))
        row.blob(encode(batch))
    }

    /// Decodes the batches of a row one after the other into `scratch` and hands each to `body`.
    public static func batches(
        of row: [UInt8], scratch: ReadingBatch, _ body: (ReadingBatch) -> Void
    ) throws(CodingError) {
        var reader = ByteReader(row)
        while !reader.isAtEnd {
            scratch.reset()
            scratch.sequence = Int64(try reader.count(max: Int.max, "sequence"))
            scratch.shard = try reader.count(max: 65_535, "shard")
            scratch.shards = try reader.count(max: 65_536, "number of shards")
            let start = reader.offset
            guard scratch.shard < scratch.shards else { throw CodingError(offset: start, expected: "a shard below the number of shards") }
            let bytes = try reader.blob()
            do { try decode(bytes, into: scratch) } catch { throw CodingError(offset: start + error.offset, expected: error.expected) }
            body(scratch)
        }
    }

    /// Fills an empty `batch` whose capacities must suffice; sizes beyond them are damage. `sequence` and `shard` are the row's.
    public static func decode(_ bytes: [UInt8], into batch: ReadingBatch) throws(CodingError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == format else { throw CodingError(offset: 0, expected: "journal format \(format), got \(version)") }
        batch.clock = try reader.signed()
        for _ in 0..<(try reader.count(max: reader.remaining, "number of notes")) { batch.notes.append(try decodeNote(&reader)) }
        let entries = try reader.count(max: batch.entryCapacity, "number of readings")
        var stream: Int64 = 0
        var time: Int64 = 0
        var clock: Int64 = 0
        for _ in 0..<entries {
            let start = reader.offset
            stream &+= try reader.signed()
            time &+= try reader.signed()
            clock &+= try reader.signed()
            let fields = try reader.count(max: batch.fieldCapacity - batch.fieldCount, "number of values")
            guard (0...Int64(UInt32.max)).contains(stream), fields > 0 else {
                throw CodingError(offset: start, expected: "a stream number and at least one value")
            }
            var channel: Int64 = -1
            for _ in 0..<fields {
                channel &+= try reader.signed() &+ 1
                guard (0...Int64(UInt16.max)).contains(channel) else {
                    throw CodingError(offset: reader.offset, expected: "a channel number")
                }
                batch.append(channel: UInt16(channel), value: try decodeValue(&reader))
            }
            batch.endReading(stream: UInt32(stream), time: time, clock: clock)
        }
        guard reader.isAtEnd else { throw CodingError(offset: reader.offset, expected: "the end") }
    }

    private static func encode(_ note: BatchNote, _ out: inout ByteWriter) {
        switch note {
        case .stream(let id, let key):
            out.byte(NoteTag.stream.rawValue)
            out.varint(UInt64(id))
            out.blob(key)
        case .channel(let stream, let index, let name):
            out.byte(NoteTag.channel.rawValue)
            out.varint(UInt64(stream))
            out.varint(UInt64(index))
            out.blob(name)
        case .evicted(let stream):
            out.byte(NoteTag.evicted.rawValue)
            out.varint(UInt64(stream))
        case .condition(let kind, let reason, let time):
            out.byte(NoteTag.condition.rawValue)
            out.text(kind)
            out.byte(reason == nil ? 0 : 1)
            out.text(reason ?? "")
            out.signed(time)
        case .models(let assignments):
            out.byte(NoteTag.models.rawValue)
            encode(assignments, &out)
        case .budgetShare(let group, let stream, let streams):
            out.byte(NoteTag.budgetShare.rawValue)
            out.varint(UInt64(group))
            out.varint(UInt64(stream))
            out.varint(UInt64(streams))
        }
    }

    /// The bytes of a list of assignments, as they stand in a note.
    public static func encode(_ assignments: [ModelAssignment]) -> [UInt8] {
        var out = ByteWriter()
        encode(assignments, &out)
        return out.bytes
    }

    /// The list that `encode` wrote.
    public static func assignments(of bytes: [UInt8]) throws(CodingError) -> [ModelAssignment] {
        var reader = ByteReader(bytes)
        return try decodeAssignments(&reader)
    }

    private static func encode(_ assignments: [ModelAssignment], _ out: inout ByteWriter) {
        out.varint(UInt64(assignments.count))
        for assignment in assignments { for text in [assignment.match, assignment.model, assignment.label] { out.text(text) } }
    }

    private static func decodeAssignments(_ reader: inout ByteReader) throws(CodingError) -> [ModelAssignment] {
        var assignments: [ModelAssignment] = []
        for _ in 0..<(try reader.count(max: 65_536, "number of model assignments")) {
            assignments.append(ModelAssignment(match: try reader.text(), model: try reader.text(), label: try reader.text()))
        }
        return assignments
    }

    private static func decodeNote(_ reader: inout ByteReader) throws(CodingError) -> BatchNote {
        let start = reader.offset
        switch NoteTag(rawValue: try reader.byte()) {
        case .stream: return .stream(id: UInt32(try reader.count(max: Int(UInt32.max), "stream")), key: try reader.blob())
        case .channel:
            return .channel(
                stream: UInt32(try reader.count(max: Int(UInt32.max), "stream")),
                index: UInt16(try reader.count(max: Int(UInt16.max), "channel")), name: try reader.blob())
        case .evicted: return .evicted(stream: UInt32(try reader.count(max: Int(UInt32.max), "stream")))
        case .condition:
            let kind = try reader.text()
            let isOpen = try reader.byte() == 1
            let reason = try reader.text()
            return .condition(kind: kind, reason: isOpen ? reason : nil, time: try reader.signed())
        case .models: return .models(try decodeAssignments(&reader))
        case .budgetShare:
            return .budgetShare(
                group: UInt16(try reader.count(max: Int(UInt16.max), "group")),
                stream: UInt32(try reader.count(max: Int(UInt32.max), "stream")),
                streams: UInt32(try reader.count(max: Int(UInt32.max), "number of streams")))
        case nil: throw CodingError(offset: start, expected: "a kind of note")
        }
    }

    // Tags 0...9: a decimal with that many fraction digits follows as a signed varint; then Float and Double.
    private static let floatTag: UInt8 = 10
    private static let doubleTag: UInt8 = 11
    private static let powers: [Double] = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]

    private static func encode(_ value: Double, _ out: inout ByteWriter) {
        if value != 0 || value.sign == .plus {
            for digits in 0..<7 {
                let scaled = value * powers[digits]
                guard abs(scaled) < 16_777_216 else { break }
                let rounded = scaled.rounded()
                if rounded / powers[digits] == value {
                    out.byte(UInt8(digits))
                    out.signed(Int64(rounded))
                    return
                }
            }
        }
        let narrow = Float(value)
        if Double(narrow) == value {
            out.byte(floatTag)
            out.fixed32(narrow.bitPattern)
        } else {
            out.byte(doubleTag)
            out.fixed64(value.bitPattern)
        }
    }

    private static func decodeValue(_ reader: inout ByteReader) throws(CodingError) -> Double {
        let start = reader.offset
        let tag = try reader.byte()
        let value: Double
        switch tag {
        case 0..<10: value = Double(try reader.signed()) / powers[Int(tag)]
        case floatTag: value = Double(Float(bitPattern: try reader.fixed32()))
        case doubleTag: value = Double(bitPattern: try reader.fixed64())
        default: throw CodingError(offset: start, expected: "a kind of number, got tag \(tag)")
        }
        guard value.isFinite else { throw CodingError(offset: start, expected: "a finite number") }
        return value
    }
}
