/// Why bytes are not the rules of a time zone.
public enum TimeZoneError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file is not in the format of RFC 8536, or is cut short; the text says at what.
    case malformed(String)

    /// The sentence shown to the user.
    public var description: String {
        switch self {
        case .malformed(let what): "cannot read time zone: got a bad \(what), expected a file in the format of RFC 8536"
        }
    }
}

/// Seconds east of UTC of one time zone at every moment from the past to the year 2262, daylight saving included.
///
/// Made once from the bytes of a compiled zone file (TZif, RFC 8536); pure afterwards, so that the same readings get the same
/// clock features in every replay. Transitions after the last one listed follow the file's rule for the future (a POSIX TZ text),
/// which is expanded here up to the end of what a time in nanoseconds can tell.
public struct TimeZoneRules: Sendable, Equatable {
    /// Unix seconds from which `offsets[i + 1]` holds, ascending; before the first one `offsets[0]` holds.
    private var changes: [Int64]
    private var offsets: [Int32]

    /// Coordinated universal time: offset 0 for ever.
    public static let utc = TimeZoneRules(changes: [], offsets: [0])

    private init(changes: [Int64], offsets: [Int32]) { (self.changes, self.offsets) = (changes, offsets) }

    /// The last second that nanoseconds since 1970 in 64 bits can tell, about the year 2262.
    private static let lastSecond = Int64.max / 1_000_000_000

    /// Reads a compiled zone file. Errors: `malformed`.
    public init(tzif bytes: [UInt8]) throws(TimeZoneError) {
        var reader = TZifReader(bytes)
        var block = try reader.block(wide: false)
        var rule: PosixZone?
        if reader.version >= 2 {
            block = try reader.block(wide: true)
            let text = try reader.footer()
            rule = text.isEmpty ? nil : try PosixZone(text)
        }
        changes = block.times
        offsets = [block.offsets.first ?? 0] + block.types.map { block.offsets[$0] }
        if let rule { extend(by: rule) }
    }

    /// Appends what the rule says after the last listed transition.
    private mutating func extend(by rule: PosixZone) {
        let start = changes.last ?? Int64.min
        guard rule.hasDaylightSaving else {
            if changes.isEmpty { offsets = [rule.standard] }
            return
        }
        guard start < TimeZoneRules.lastSecond else { return }
        let firstYear = start < 0 ? 1970 : TimeText.civil(TimeText.floored(start, by: 86_400).quotient).year
        for year in firstYear...2262 {
            for change in rule.changes(in: year) where change.at > start && change.at <= TimeZoneRules.lastSecond {
                guard offsets.last != change.offset else { continue }
                changes.append(change.at)
                offsets.append(change.offset)
            }
        }
    }

    /// Seconds east of UTC at `seconds` (Unix time).
    public func offset(at seconds: Int64) -> Int32 { offsets[place(seconds)] }

    /// The offset at `seconds` and the half-open range of Unix seconds around it in which it holds.
    public func span(at seconds: Int64) -> (offset: Int32, from: Int64, until: Int64) {
        let place = place(seconds)
        return (offsets[place], place > 0 ? changes[place - 1] : .min, place < changes.count ? changes[place] : .max)
    }

    /// Unix nanoseconds of what the zone's clocks show as `local` (nanoseconds as if it were UTC). An hour that comes twice is the first
    /// of the two, unless `after` (the moment before it) shows that it must be the second; an hour that is skipped is counted on from the
    /// moment of the change.
    public func moment(local: Int64, after: Int64 = .min) -> Int64 {
        guard !changes.isEmpty || offsets[0] != 0 else { return local }
        let (seconds, _) = TimeText.floored(local, by: 1_000_000_000)
        // Offsets are less than a day; one of the two around the moment holds.
        let (early, late) = (Int64(offset(at: seconds - 86_400)), Int64(offset(at: seconds + 86_400)))
        var best: Int64?
        for east in [max(early, late), min(early, late)] where Int64(offset(at: seconds - east)) == east {
            let moment = local.subtractingReportingOverflow(east * 1_000_000_000)
            guard !moment.overflow else { continue }
            if best == nil || moment.partialValue > after && (best ?? 0) <= after { best = moment.partialValue }
        }
        if let best { return best }
        let skipped = local.subtractingReportingOverflow(early * 1_000_000_000)
        return skipped.overflow ? local : skipped.partialValue
    }

    /// Number of changes at or before `seconds`.
    private func place(_ seconds: Int64) -> Int {
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle] <= seconds { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Reads the blocks of a TZif file.
private struct TZifReader {
    struct Block {
        var times: [Int64] = []
        var types: [Int] = []
        var offsets: [Int32] = []
    }

    private let bytes: [UInt8]
    private var at = 0
    private(set) var version = 1

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private mutating func integer(_ width: Int) throws(TimeZoneError) -> Int64 {
        guard at + width <= bytes.count else { throw .malformed("end of the file") }
        var value: Int64 = bytes[at] & 0x80 != 0 ? -1 : 0
        for byte in bytes[at..<(at + width)] { value = value << 8 | Int64(byte) }
        at += width
        return value
    }

    private mutating func count(_ max: Int64) throws(TimeZoneError) -> Int {
        let value = try integer(4)
        guard (0...max).contains(value) else { throw .malformed("count") }
        return Int(value)
    }

    mutating func block(wide: Bool) throws(TimeZoneError) -> Block {
        guard at + 20 <= bytes.count, bytes[at..<(at + 4)].elementsEqual("TZif".utf8) else { throw .malformed("header") }
        version = bytes[at + 4] >= 0x32 ? 2 : 1
        at += 20
        let utc = try count(256)
        let standard = try count(256)
        let leap = try count(10_000)
        let times = try count(100_000)
        let types = try count(256)
        let characters = try count(10_000)
        let width = wide ? 8 : 4
        var block = Block()
        for _ in 0..<times { block.times.append(try integer(width)) }
        for _ in 0..<times { block.types.append(Int(try integer(1)) & 0xFF) }
        for _ in 0..<types {
            block.offsets.append(Int32(truncatingIfNeeded: try integer(4)))
            at += 2
        }
        at += characters + leap * (width + 4) + standard + utc
        guard types > 0, at <= bytes.count, block.types.allSatisfy({ $0 < types }), zip(block.times, block.times.dropFirst()).allSatisfy(<)
        else { throw .malformed("table of transitions") }
        return block
    }

    /// The rule for the future, without its line ends.
    mutating func footer() throws(TimeZoneError) -> [UInt8] {
        guard at < bytes.count, bytes[at] == 10, let end = bytes[(at + 1)...].firstIndex(of: 10) else { throw .malformed("footer") }
        return Array(bytes[(at + 1)..<end])
    }
}
