/// How batches stand in the journal: everything the engine needs to come to the same state and alerts again.
///
/// Format 1: `1`, clock, number of notes, notes, number of entries, entries. Entries: stream (signed difference to the entry
/// before), time (signed difference), fleet clock (signed difference), number of values, then per value the channel (signed
/// difference to the channel before plus one) and the number. Numbers are written as short as they are exactly: a tag byte
/// says whether a decimal `m / 10^k` of at most 53 bits, a Float or a Double follows. All integers are varints.
public enum JournalCodec {
    public static let format: UInt8 = 1

    private enum NoteTag: UInt8 { case stream = 1, channel, evicted, condition, models, budgetShare, person, source = 16 }

    /// Most bytes of a reading without its values, and of a value.
    private static let entryBytesMax = 40
    private static let fieldBytesMax = 13
    /// Readings for which room is made at once.
    private static let entriesAtOnce = 64

    /// Puts the bytes of `batch` into `batch.encoded`. They decode to the same readings, bit for bit.
    public static func encode(_ batch: ReadingBatch) {
        batch.encoded.removeAll()
        batch.encoded.byte(format)
        batch.encoded.signed(batch.clock)
        batch.encoded.varint(UInt64(batch.notes.count))
        for note in batch.notes { encode(note, &batch.encoded) }
        batch.encoded.varint(UInt64(batch.entryCount))
        var before = ReadingEntry(stream: 0, fieldStart: 0, fieldCount: 0, time: 0, clock: 0)
        var digits = 0
        var start = 0
        while start < batch.entryCount {
            let end = min(start + entriesAtOnce, batch.entryCount)
            let last = batch.entries[end - 1]
            let fields = Int(last.fieldStart + last.fieldCount - batch.entries[start].fieldStart)
            batch.encoded.append(atMost: (end - start) * entryBytesMax + fields * fieldBytesMax) { out in
                for index in start..<end {
                    let entry = batch.entries[index]
                    encode(entry, after: before, batch, &digits, &out)
                    before = entry
                }
            }
            start = end
        }
    }

    @inline(always)
    private static func encode(
        _ entry: ReadingEntry, after before: ReadingEntry, _ batch: ReadingBatch, _ digits: inout Int, _ out: inout UncheckedByteWriter
    ) {
        out.signed(Int64(entry.stream) &- Int64(before.stream))
        out.signed(entry.time &- before.time)
        out.signed(entry.clock &- before.clock)
        out.varint(UInt64(entry.fieldCount))
        var channel: Int64 = -1
        for field in Int(entry.fieldStart)..<Int(entry.fieldStart + entry.fieldCount) {
            let next = Int64(batch.channels[field])
            out.signed(next &- channel &- 1)
            channel = next
            encode(batch.values[field], &digits, &out)
        }
    }

    /// Appends `batch`, encoded, to a row: its sequence, its shard, how many shards there were, its length, its bytes.
    public static func append(_ batch: ReadingBatch, to row: inout ByteWriter) {
        precondition(!batch.encoded.bytes.isEmpty)
        row.varint(UInt64(batch.sequence))
        row.varint(UInt64(batch.shard))
        row.varint(UInt64(batch.shards))
        row.blob(batch.encoded.bytes)
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
        case .source(let kind, let stream, let reason, let time):
            out.byte(NoteTag.source.rawValue)
            out.text(kind)
            out.varint(UInt64(stream))
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
        case .person(let note):
            out.byte(NoteTag.person.rawValue)
            PersonalNoteCodec.encode(note, &out)
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
        case .source:
            let kind = try reader.text()
            let stream = UInt32(try reader.count(max: Int(UInt32.max), "stream"))
            let isOpen = try reader.byte() == 1
            let reason = try reader.text()
            return .source(kind: kind, stream: stream, reason: isOpen ? reason : nil, time: try reader.signed())
        case .models: return .models(try decodeAssignments(&reader))
        case .budgetShare:
            return .budgetShare(
                group: UInt16(try reader.count(max: Int(UInt16.max), "group")),
                stream: UInt32(try reader.count(max: Int(UInt32.max), "stream")),
                streams: UInt32(try reader.count(max: Int(UInt32.max), "number of streams")))
        case .person: return .person(try PersonalNoteCodec.decode(&reader))
        case nil: throw CodingError(offset: start, expected: "a kind of note")
        }
    }

    // Tags 0...9: a decimal with that many fraction digits follows as a signed varint; then Float and Double.
    private static let floatTag: UInt8 = 10
    private static let doubleTag: UInt8 = 11
    private static let powers: [Double] = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]

    /// - Parameter digits: fraction digits to try first; found anew where they do not do. What is written does not depend on it.
    @inline(always)
    private static func encode(_ value: Double, _ digits: inout Int, _ out: inout UncheckedByteWriter) {
        if var mantissa = mantissa(value, digits) {
            // A number of fewer fraction digits ends in zeros here.
            var needed = digits
            while needed > 0, mantissa % 10 == 0 {
                mantissa /= 10
                needed &-= 1
            }
            out.byte(UInt8(truncatingIfNeeded: needed))
            out.signed(mantissa)
        } else {
            encodeOther(value, &digits, &out)
        }
    }

    /// A value that does not have the fraction digits of the one before it.
    @inline(never)
    private static func encodeOther(_ value: Double, _ digits: inout Int, _ out: inout UncheckedByteWriter) {
        for more in 0..<powersTried {
            guard let mantissa = mantissa(value, more) else { continue }
            digits = more
            out.byte(UInt8(digits))
            return out.signed(mantissa)
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

    private static let powersTried = 7

    /// The whole number of which `value` is the Double nearest to its `10^digits`-th part; nil when there is none below 2^24.
    @inline(always)
    private static func mantissa(_ value: Double, _ digits: Int) -> Int64? {
        let power = power(digits)
        let scaled = value * power
        guard abs(scaled) < 16_777_216, value.bitPattern != (-0.0).bitPattern else { return nil }
        // Adding and taking away 1.5 * 2^52 rounds to the nearest whole number.
        let rounded = (scaled + 6_755_399_441_055_744) - 6_755_399_441_055_744
        return rounded / power == value ? Int64(rounded) : nil
    }

    @inline(always)
    private static func power(_ digits: Int) -> Double {
        switch digits {
        case 0: 1
        case 1: 10
        case 2: 100
        case 3: 1e3
        case 4: 1e4
        case 5: 1e5
        default: 1e6
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
