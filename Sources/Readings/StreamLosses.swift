/// What was lost of one stream, by reason.
public struct StreamLosses: Sendable, Equatable {
    /// Readings of which nothing was taken, in the order of `DropReason.allCases`.
    public var readings = [Int64](repeating: 0, count: DropReason.allCases.count)
    /// Single values left out, in the same order.
    public var values = [Int64](repeating: 0, count: DropReason.allCases.count)

    /// Codes of the units that values of channels came with (see the line formats), by channel.
    public var units: [UInt16: UInt8] = [:]

    public init() {}

    /// Reasons with the number of readings and values lost for them together; those without any are left out.
    public var counts: [(reason: DropReason, count: Int64)] {
        DropReason.allCases.enumerated().compactMap { index, reason in
            let count = readings[index] + values[index]
            return count > 0 ? (reason, count) : nil
        }
    }

    /// How the numbers are called where they are stored.
    static let prefix = "lost."

    /// Every number that is not zero with its stored name, `lost.STREAM.readings.REASON`.
    public func names(of stream: UInt32) -> [(name: String, value: Int64)] {
        var list: [(String, Int64)] = []
        for (index, reason) in DropReason.allCases.enumerated() {
            if readings[index] > 0 { list.append(("\(Self.prefix)\(stream).readings.\(reason.rawValue)", readings[index])) }
            if values[index] > 0 { list.append(("\(Self.prefix)\(stream).values.\(reason.rawValue)", values[index])) }
        }
        for (channel, unit) in units { list.append(("\(Self.prefix)\(stream).unit.\(channel)", Int64(unit))) }
        return list
    }

    /// Whether a stored name is one of these.
    public static func isName(_ name: String) -> Bool { name.utf8.starts(with: prefix.utf8) }

    /// The losses among stored numbers, by stream; names that are none are left out.
    public static func read(_ stored: [String: Int64]) -> [UInt32: StreamLosses] {
        var all: [UInt32: StreamLosses] = [:]
        for (name, value) in stored where isName(name) {
            let parts = name.utf8.split(separator: 0x2E).map { String(decoding: $0, as: UTF8.self) }
            guard parts.count == 4, let stream = UInt32(parts[1]) else { continue }
            if parts[2] == "unit", let channel = UInt16(parts[3]) {
                all[stream, default: StreamLosses()].units[channel] = UInt8(truncatingIfNeeded: value)
                continue
            }
            guard let index = DropReason.allCases.firstIndex(where: { $0.rawValue == parts[3] })
            else { continue }
            if parts[2] == "readings" { all[stream, default: StreamLosses()].readings[index] = value }
            if parts[2] == "values" { all[stream, default: StreamLosses()].values[index] = value }
        }
        return all
    }
}
