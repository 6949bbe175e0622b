/// Why a line, a row or one reading of it was refused, where, and what would have been right.
///
/// A plain value without heap storage: throwing one per hostile line costs no allocation. The text is made only when
/// `description` is asked for.
public struct LineError: Error, Sendable, CustomStringConvertible {
    /// The closed list of reasons. The raw value is the name of the counter; names are stable and only ever added.
    public enum Reason: String, Sendable, CaseIterable {
        /// The line is longer than `lineBytesMax`.
        case lineTooLong = "line_too_long"
        /// A stream name and nothing after it.
        case missingFields = "missing_fields"
        /// Readable, but no field is a number or a boolean.
        case noNumericField = "no_numeric_field"
        /// All that could have been a value was said to be unknown (`U`, `null`, an empty cell).
        case unknownValue = "unknown_value"
        /// All that could have been a value was NaN, infinite, or too large for a Double.
        case notFinite = "not_finite"
        /// A field value is no number, or an integer out of its type's range.
        case badNumber = "bad_number"
        /// The time is no timestamp, or outside 1677-09-21 ... 2262-04-11.
        case badTimestamp = "bad_timestamp"
        /// A field without `=`, or rubbish after a field.
        case badField = "bad_field"
        /// A quoted string or cell without its closing quote.
        case badString = "bad_string"
        /// A backslash with nothing or the wrong thing after it.
        case badEscape = "bad_escape"
        /// A name that is not UTF-8.
        case badUTF8 = "bad_utf8"
        /// A control character in a name.
        case controlCharacter = "control_character"
        /// An empty measurement, tag key or field key, or no stream name at all.
        case emptyKey = "empty_key"
        /// A measurement that begins with `#`: as line protocol it would be a comment.
        case badName = "bad_name"
        /// A tag without `=` or without value, or a tag value that is no scalar.
        case badTag = "bad_tag"
        /// The same tag key twice.
        case duplicateTag = "duplicate_tag"
        /// The same JSON member or CSV column twice where only one can be meant.
        case duplicateMember = "duplicate_member"
        /// More tags than `tagsMax`.
        case tooManyTags = "too_many_tags"
        /// More numeric fields in a reading than `channelsPerReadingMax`.
        case tooManyChannels = "too_many_channels"
        /// More readings in a line than `readingsPerLineMax`.
        case tooManyReadings = "too_many_readings"
        /// A stream key longer than `keyBytesMax`.
        case keyTooLong = "key_too_long"
        /// A name longer than `nameBytesMax`.
        case nameTooLong = "name_too_long"
        /// The unescaped names of the line do not fit in `arenaBytesMax`.
        case tooMuchText = "too_much_text"
        /// No JSON by RFC 8259.
        case badJSON = "bad_json"
        /// JSON, but not one of the accepted shapes.
        case badShape = "bad_shape"
        /// JSON nested deeper than `jsonDepthMax`.
        case tooDeep = "too_deep"
        /// A collectd identifier that is not `host/plugin[-instance]/type[-instance]`.
        case badIdentifier = "bad_identifier"
        /// The first line of a CSV file is no header.
        case badHeader = "bad_header"
        /// A CSV row with more or fewer cells than the header.
        case wrongColumnCount = "wrong_column_count"
        /// A piece of JSON that is spread over several lines.
        case jsonOfSeveralLines = "json_of_several_lines"
        /// Objects of different things that would all fall into one stream, for want of a name.
        case mixedObjects = "mixed_objects"
        /// A known format that is not read here.
        case unsupported = "unsupported"
    }

    /// The counter to raise.
    public let reason: Reason
    /// Where, in bytes from the start of the line, counted from 1.
    public let column: Int
    /// What could not be read, for the sentence "cannot parse <object>".
    public let object: StaticString
    /// What would have been accepted there.
    public let expected: StaticString
    /// The bytes found there: printable, bounded, cut with `…`.
    public let excerpt: InlineText
    /// The name of the CSV column or channel concerned; empty when the format has none.
    public internal(set) var columnName: InlineText

    init(_ reason: Reason, column: Int, object: StaticString, expected: StaticString, excerpt: InlineText, columnName: InlineText = .init())
    {
        self.reason = reason
        self.column = column
        self.object = object
        self.expected = expected
        self.excerpt = excerpt
        self.columnName = columnName
    }

    /// Whether a quoted string of line protocol does not end in the line; its end may come in a later one.
    public internal(set) var isOpenString = false

    /// One sentence, e.g. `column 14: cannot parse field value: got "abc", expected a number, true/false or a quoted string`.
    public var description: String {
        let place = columnName.isEmpty ? "column \(column)" : "column \(column) (\(columnName))"
        let got = excerpt.isEmpty ? "nothing" : "\"\(excerpt)\""
        return "\(place): cannot parse \(object): got \(got), expected \(expected)"
    }
}

/// A short printable piece of input kept inside an error: at most 48 bytes of UTF-8, no control characters.
///
/// Bytes that are not printable become `\n`, `\r`, `\t` or `\xNN`, quotes and backslashes get a backslash, and what does
/// not fit is replaced by `…`.
public struct InlineText: Sendable, Equatable, CustomStringConvertible {
    private static let bytesMax = 48
    private var storage: InlineArray<48, UInt8>
    private var count: Int

    /// Empty text.
    public init() {
        storage = InlineArray(repeating: 0)
        count = 0
    }

    init(_ bytes: Bytes, _ start: Int, _ end: Int) {
        self.init()
        var i = max(0, start)
        let end = min(end, bytes.count)
        while i < end {
            let length = UTF8Check.sequenceLength(bytes, i, end)
            if length > 1 {
                guard room(length, last: i + length == end) else {
                    ellipsis()
                    return
                }
                for k in 0..<length { push(bytes[i + k]) }
                i += length
            } else {
                guard room(4, last: i + 1 == end) else {
                    ellipsis()
                    return
                }
                pushEscaped(bytes[i])
                i += 1
            }
        }
    }

    /// A short text of our own.
    init(utf8 text: String) {
        self.init()
        for byte in text.utf8.prefix(Self.bytesMax) { push(byte) }
    }

    /// Whether there is no text.
    public var isEmpty: Bool { count == 0 }

    /// The text.
    public var description: String {
        var bytes: [UInt8] = []
        for i in 0..<count { bytes.append(storage[i]) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Two texts are equal when their bytes are.
    public static func == (a: InlineText, b: InlineText) -> Bool {
        guard a.count == b.count else { return false }
        for i in 0..<a.count where a.storage[i] != b.storage[i] { return false }
        return true
    }

    private func room(_ bytes: Int, last: Bool) -> Bool {
        count + bytes + (last ? 0 : 3) <= Self.bytesMax
    }

    private mutating func push(_ byte: UInt8) {
        storage[count] = byte
        count += 1
    }

    private mutating func ellipsis() {
        push(0xE2)
        push(0x80)
        push(0xA6)
    }

    private mutating func pushEscaped(_ byte: UInt8) {
        switch byte {
        case 0x22, 0x5C: pushPair(byte)
        case 0x0A: pushPair(0x6E)
        case 0x0D: pushPair(0x72)
        case 0x09: pushPair(0x74)
        case 0x20..<0x7F: push(byte)
        default:
            pushPair(0x78)
            push(Self.hexDigit(byte >> 4))
            push(Self.hexDigit(byte & 15))
        }
    }

    private mutating func pushPair(_ byte: UInt8) {
        push(0x5C)
        push(byte)
    }

    private static func hexDigit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? 0x30 + nibble : 0x61 + nibble - 10
    }
}
