/// A name of a reading: in the line itself when `offset >= 0`, else in the text arena at `~offset`.
@usableFromInline
struct NameRef: BitwiseCopyable {
    @usableFromInline var offset: Int32
    @usableFromInline var count: Int32

    @inline(always)
    init(offset: Int32, count: Int32) {
        self.offset = offset
        self.count = count
    }

    static func line(_ start: Int, _ end: Int) -> NameRef { NameRef(offset: Int32(start), count: Int32(end - start)) }
    static func text(_ start: Int, _ end: Int) -> NameRef { NameRef(offset: ~Int32(start), count: Int32(end - start)) }
    static var none: NameRef { NameRef(offset: 0, count: 0) }
}

@usableFromInline
struct FieldRecord: BitwiseCopyable {
    @usableFromInline var name: NameRef
    @usableFromInline var value: Double

    @inline(always)
    init(name: NameRef, value: Double) {
        self.name = name
        self.value = value
    }
}

@usableFromInline
struct ReadingRecord: BitwiseCopyable {
    @usableFromInline var key: NameRef
    @usableFromInline var time: Int64
    @usableFromInline var fieldStart: Int32
    @usableFromInline var fieldCount: Int32
    @usableFromInline var hasTime: Bool
    @usableFromInline var keyIsCanonical: Bool
    @usableFromInline var isLocal: Bool
}

/// What was left out of one reading.
public struct LeftOut: BitwiseCopyable {
    /// The reading, by its place in the line.
    var reading: Int32 = 0
    /// Texts that are no numbers.
    public var nonNumeric: Int32 = 0
    /// NaN, infinite, or too large.
    public var nonFinite: Int32 = 0
    /// Said to be unknown.
    public var unknown: Int32 = 0
    /// Texts that begin like numbers and cannot be understood for sure.
    public var odd: Int32 = 0
}

/// The unit that was written behind the value of a field.
struct UnitRecord: BitwiseCopyable {
    var field: Int32
    var unit: UInt8
}

struct TagRecord: BitwiseCopyable {
    var key: NameRef
    var value: NameRef
    var column: Int32
}

/// The readings of the line parsed last: what both `LineParser` and `CSVParser` fill.
///
/// Everything lives in arenas that are reused from line to line. Pointers handed out are valid until the next parse and
/// only as long as the caller keeps the bytes of the line; copy what must live longer.
public struct ReadingBuffer: ~Copyable {
    /// Fields of the line that are no numbers (strings, text cells, JSON arrays): left out, counted here.
    public internal(set) var ignoredNonNumeric = 0
    /// Values of the line that are NaN, infinite or too large for a Double: left out, counted here.
    public internal(set) var nonFinite = 0
    /// Values of the line said to be unknown (`U`, `null`, empty cell): left out, counted here.
    public internal(set) var unknownValues = 0
    /// Texts of the line that begin like numbers and cannot be understood for sure (an unknown unit, `1,234`): left out, counted here.
    public internal(set) var oddNumbers = 0
    /// The first of them.
    public internal(set) var oddExample: LineError?
    /// The line is one reading of line protocol whose key is the one that the parser was told to expect.
    public internal(set) var isKeyExpected = false
    /// Why single readings of a JSON array were refused while its other readings stand; in order of appearance.
    public internal(set) var refusals: [LineError] = []

    @usableFromInline var lineBase: UnsafePointer<UInt8>
    @usableFromInline var lineCount = 0
    @usableFromInline var fields = Arena<FieldRecord>(capacity: 64)
    @usableFromInline var records = Arena<ReadingRecord>(capacity: 16)
    @usableFromInline var text = Arena<UInt8>(capacity: 1024)
    var tags = Arena<TagRecord>(capacity: 16)
    var units = Arena<UnitRecord>(capacity: 16)
    private var leftOuts = Arena<LeftOut>(capacity: 16)
    /// What of the counters above belongs to readings that are closed.
    private var leftOutSeen = LeftOut()
    /// The time of the reading being read was written without a zone.
    var isTimeLocal = false
    /// Bytes at the start of the text arena that outlive a line: names of a CSV header.
    var pinnedText = 0
    let limits: LineLimits

    init(limits: LineLimits) {
        self.limits = limits
        self.lineBase = UnsafePointer(text.base)
    }

    /// Number of readings in the line; 0 for a blank line, a comment and after an error.
    @inlinable public var count: Int { records.count }

    /// The bytes that name the stream of reading `i`, as they arrived.
    ///
    /// In line protocol (and for the plain form and a CSV stream column) the head of the line without any change; in all
    /// other formats the canonical key. Equal raw keys always mean the same stream, so a table from raw key to stream may
    /// be asked first; on a miss ask `canonicalKey`.
    @inlinable
    @inline(always)
    public func rawKey(_ i: Int) -> UnsafeBufferPointer<UInt8> { resolve(records[i].key) }

    /// Nanoseconds since 1970-01-01T00:00:00Z of reading `i`, or nil when the line gave no time.
    @inlinable
    public func time(_ i: Int) -> Int64? {
        let record = records[i]
        return record.hasTime ? record.time : nil
    }

    /// Number of numeric fields of reading `i`, at least 1.
    @inlinable
    public func fieldCount(_ i: Int) -> Int { Int(records[i].fieldCount) }

    /// Name of field `j` of reading `i`: unescaped, valid UTF-8, no control characters, not empty.
    ///
    /// A line that repeats a name repeats it here; the caller decides (the last one wins in InfluxDB).
    @inlinable
    public func fieldName(_ i: Int, _ j: Int) -> UnsafeBufferPointer<UInt8> { resolve(fieldRecord(i, j).name) }

    /// Value of field `j` of reading `i`: always finite; booleans are 1 and 0.
    @inlinable
    public func fieldValue(_ i: Int, _ j: Int) -> Double { fieldRecord(i, j).value }

    @inlinable
    @inline(always)
    func fieldRecord(_ i: Int, _ j: Int) -> FieldRecord {
        let record = records[i]
        precondition(j >= 0 && j < Int(record.fieldCount))
        return fields[Int(record.fieldStart) + j]
    }

    @inlinable
    @inline(always)
    func resolve(_ name: NameRef) -> UnsafeBufferPointer<UInt8> {
        let start = name.offset >= 0 ? lineBase + Int(name.offset) : UnsafePointer(text.base) + Int(~name.offset)
        return UnsafeBufferPointer(start: start, count: Int(name.count))
    }

    // MARK: Filling

    func bytes(_ name: NameRef) -> Bytes {
        let resolved = resolve(name)
        return Bytes(base: resolved.baseAddress ?? UnsafePointer(text.base), count: resolved.count)
    }

    /// Empties everything and takes `line` as the bytes that names may point into.
    @inline(always)
    mutating func reset(_ line: UnsafeBufferPointer<UInt8>) -> Bytes {
        forgetReadings()
        if !refusals.isEmpty { refusals.removeAll(keepingCapacity: true) }
        lineBase = line.baseAddress ?? UnsafePointer(text.base)
        lineCount = line.count
        return Bytes(base: lineBase, count: line.count)
    }

    /// Empties readings and counters; the line stays.
    @inline(always)
    mutating func forgetReadings() {
        fields.count = 0
        records.count = 0
        text.count = pinnedText
        ignoredNonNumeric = 0
        nonFinite = 0
        unknownValues = 0
        isKeyExpected = false
        isTimeLocal = false
        guard hasOddities else { return }
        forgetOddities()
    }

    /// The line left something out or had a unit: usual lines pay for one look.
    private var hasOddities = false

    @inline(never)
    private mutating func forgetOddities() {
        leftOuts.truncate(0)
        units.truncate(0)
        leftOutSeen = LeftOut()
        oddNumbers = 0
        oddExample = nil
        hasOddities = false
    }

    /// What was left out of reading `i`; nil for nothing.
    public func leftOut(_ i: Int) -> LeftOut? {
        guard hasOddities else { return nil }
        for k in 0..<leftOuts.count where Int(leftOuts[k].reading) == i { return leftOuts[k] }
        return nil
    }

    /// Whether any value of the line came with a unit.
    public var hasUnits: Bool { units.count > 0 }

    /// The unit of field `j` of reading `i`: an index of ``Unit/names``; 0 for none.
    public func fieldUnit(_ i: Int, _ j: Int) -> UInt8 {
        let field = Int(records[i].fieldStart) + j
        for k in 0..<units.count where Int(units[k].field) == field { return units[k].unit }
        return 0
    }

    /// Assigns what was left out since the last reading to the one just closed.
    @inline(never)
    private mutating func closeLeftOut() {
        let now = LeftOut(
            reading: Int32(truncatingIfNeeded: records.count - 1), nonNumeric: Int32(truncatingIfNeeded: ignoredNonNumeric),
            nonFinite: Int32(truncatingIfNeeded: nonFinite), unknown: Int32(truncatingIfNeeded: unknownValues),
            odd: Int32(truncatingIfNeeded: oddNumbers))
        var mine = now
        mine.nonNumeric -= leftOutSeen.nonNumeric
        mine.nonFinite -= leftOutSeen.nonFinite
        mine.unknown -= leftOutSeen.unknown
        mine.odd -= leftOutSeen.odd
        hasOddities = true
        guard mine.nonNumeric | mine.nonFinite | mine.unknown | mine.odd != 0 else { return }
        leftOutSeen = now
        leftOuts.append(mine)
    }

    /// What readings of an array that were refused had left out belongs to none.
    mutating func skipLeftOut() {
        leftOutSeen.nonNumeric = Int32(truncatingIfNeeded: ignoredNonNumeric)
        leftOutSeen.nonFinite = Int32(truncatingIfNeeded: nonFinite)
        leftOutSeen.unknown = Int32(truncatingIfNeeded: unknownValues)
        leftOutSeen.odd = Int32(truncatingIfNeeded: oddNumbers)
    }

    /// Notes the unit of the field appended last.
    mutating func note(unit: UInt8) {
        guard unit != 0 else { return }
        units.append(UnitRecord(field: Int32(truncatingIfNeeded: fields.count - 1), unit: unit))
        hasOddities = true
    }

    /// Notes a text that begins like a number and cannot be understood.
    mutating func leaveOdd(_ problem: @autoclosure () -> LineError) {
        oddNumbers += 1
        hasOddities = true
        if oddExample == nil { oddExample = problem() }
    }

    /// As `forgetReadings`, refusals too: the line as a whole was refused.
    @inline(never)
    mutating func forgetEverything() {
        forgetReadings()
        refusals.removeAll(keepingCapacity: true)
    }

    /// Makes a reading of the fields appended since `fieldStart`.
    @inline(always)
    mutating func appendReading(key: NameRef, isCanonical: Bool, time: Int64?, fieldStart: Int) {
        records.append(
            ReadingRecord(
                key: key, time: time ?? 0, fieldStart: Int32(truncatingIfNeeded: fieldStart),
                fieldCount: Int32(truncatingIfNeeded: fields.count &- fieldStart), hasTime: time != nil, keyIsCanonical: isCanonical,
                isLocal: isTimeLocal))
        isTimeLocal = false
        if ignoredNonNumeric | nonFinite | unknownValues | oddNumbers != 0 { closeLeftOut() }
    }

    /// Whether the time of reading `i` was written without a zone: it is what the clock on the sender's wall showed.
    @inlinable
    public func isTimeLocal(_ i: Int) -> Bool { records[i].isLocal }

    /// Makes room for `more` bytes of text, so that pointers into the arena stay valid while they are appended.
    mutating func reserveText(_ more: Int, _ column: Int) throws(LineError) {
        guard text.count + more <= limits.arenaBytesMax else {
            throw LineError(
                .tooMuchText, column: column + 1, object: "names", expected: "names of at most arenaBytesMax bytes in all", excerpt: .init()
            )
        }
        if text.count + more > text.capacity { text.grow(more) }
    }

    /// Appends a fixed text. Room must have been reserved.
    mutating func appendText(_ fixed: StaticString) {
        text.append(contentsOf: fixed.utf8Start, count: fixed.utf8CodeUnitCount)
    }

    /// Why a reading without any field is refused.
    func emptiness(_ b: Bytes, _ start: Int, _ end: Int) -> LineError {
        if oddNumbers > 0, let oddExample { return oddExample }
        if nonFinite > 0 { return b.error(.notFinite, start, end, "field values", "at least one finite number") }
        if ignoredNonNumeric > 0 { return b.error(.noNumericField, start, end, "field values", "at least one number or boolean") }
        if unknownValues > 0 { return b.error(.unknownValue, start, end, "field values", "at least one known value") }
        return b.error(.missingFields, start, end, "fields", "at least one field")
    }
}
