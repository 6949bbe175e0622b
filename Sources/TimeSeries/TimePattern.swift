/// A form of date and time that somebody states: `%d/%m/%Y %H:%M:%S`, or an epoch with its unit.
///
/// Conversions are those of `strptime` for numbers: `%Y %m %d %H %M %S %y %j`, `%I` with `%p`, `%b` (English month names), `%f` (fraction
/// digits), `%z`, `%s` (seconds since 1970) and `%%`; a blank in the pattern stands for any number of blanks. After `%S` a fraction may follow.
/// Pure; reads with no allocation.
public struct TimePattern: Equatable, Sendable {
    private var pattern: [UInt8]
    /// The pattern as it was stated.
    public let text: String

    /// nil: the pattern has an unknown conversion, or no date.
    public init?(_ text: String) {
        self.text = text
        pattern = Array(text.utf8)
        var conversions: Set<UInt8> = []
        var index = 0
        while index < pattern.count {
            if pattern[index] == UInt8(ascii: "%") {
                guard index + 1 < pattern.count, "YmdHMSyjIpbfzs%".utf8.contains(pattern[index + 1]) else { return nil }
                conversions.insert(pattern[index + 1])
                index += 1
            }
            index += 1
        }
        func has(_ letters: String) -> Bool { letters.utf8.allSatisfy { conversions.contains($0) } }
        let hasYear = has("Y") || has("y")
        guard has("s") || hasYear && (has("md") || has("bd") || has("j")) else { return nil }
    }

    /// Reads a whole text; nil when it does not follow the pattern.
    public func read(_ bytes: Span<UInt8>) -> WrittenTime? {
        var cursor = FormCursor(bytes.count)
        var parts = Parts()
        var index = 0
        while index < pattern.count {
            let byte = pattern[index]
            if byte == 0x20 {
                guard cursor.blanks(bytes) > 0 else { return nil }
            } else if byte != UInt8(ascii: "%") {
                guard cursor.take(bytes, Unicode.Scalar(byte)) else { return nil }
            } else {
                index += 1
                guard parts.read(pattern[index], bytes, &cursor) else { return nil }
            }
            index += 1
        }
        guard cursor.atEnd else { return nil }
        return parts.time
    }

    private struct Parts {
        var (year, month, day, dayOfYear) = (Int64(1970), Int64(1), Int64(1), Int64(0))
        var (hour, minute, second, fraction) = (Int64(0), Int64(0), Int64(0), Int64(0))
        var isAfternoon: Bool?
        var east: Int64?
        var epoch: Int64?
        var hasTime = false

        mutating func read(_ conversion: UInt8, _ bytes: Span<UInt8>, _ cursor: inout FormCursor) -> Bool {
            switch conversion {
            case UInt8(ascii: "%"): return cursor.take(bytes, "%")
            case UInt8(ascii: "p"):
                isAfternoon = cursor.halfDay(bytes)
                return isAfternoon != nil
            case UInt8(ascii: "b"): return readMonth(bytes, &cursor)
            case UInt8(ascii: "f"):
                guard let found = cursor.fraction(bytes) else { return false }
                fraction = found
                return true
            case UInt8(ascii: "z"):
                east = TimeForms.zone(bytes, &cursor)
                return east != nil
            default: return readNumber(conversion, bytes, &cursor)
            }
        }

        private mutating func readNumber(_ conversion: UInt8, _ bytes: Span<UInt8>, _ cursor: inout FormCursor) -> Bool {
            let most = conversion == UInt8(ascii: "Y") ? 4 : conversion == UInt8(ascii: "j") ? 3 : conversion == UInt8(ascii: "s") ? 12 : 2
            // A fixed width where the next conversion follows without separator, as in %Y%m%d.
            var value: Int64 = 0
            var width = 0
            while width < most, cursor.at < bytes.count, bytes[cursor.at] &- 0x30 < 10 {
                value = value * 10 + Int64(bytes[cursor.at] &- 0x30)
                cursor.at += 1
                width += 1
            }
            guard width > 0 else { return false }
            switch conversion {
            case UInt8(ascii: "Y"): year = value
            case UInt8(ascii: "y"): year = value + (value < 70 ? 2000 : 1900)
            case UInt8(ascii: "m"): month = value
            case UInt8(ascii: "d"): day = value
            case UInt8(ascii: "j"): dayOfYear = value
            case UInt8(ascii: "s"): epoch = value
            case UInt8(ascii: "M"): minute = value
            case UInt8(ascii: "S"):
                second = value
                if cursor.take(bytes, ".") || cursor.take(bytes, ",") {
                    guard let found = cursor.fraction(bytes) else { return false }
                    fraction = found
                }
            default: hour = value
            }
            hasTime = hasTime || "HIMSs".utf8.contains(conversion)
            return true
        }

        private mutating func readMonth(_ bytes: Span<UInt8>, _ cursor: inout FormCursor) -> Bool {
            let names: StaticString = "janfebmaraprmayjunjulaugsepoctnovdec"
            guard cursor.at + 3 <= bytes.count else { return false }
            for candidate in 0..<12 {
                var isThis = true
                for k in 0..<3 where bytes[cursor.at + k] | 0x20 != names.utf8Start[3 * candidate + k] { isThis = false }
                guard isThis else { continue }
                month = Int64(candidate + 1)
                cursor.at += 3
                return true
            }
            return false
        }

        var time: WrittenTime? {
            if let epoch { return TimeForms.nanoseconds(epoch, fraction).map { WrittenTime(nanoseconds: $0, hasZone: true) } }
            if let isAfternoon {
                guard (1...12).contains(hour) else { return nil }
                return finished(hour: hour % 12 + (isAfternoon ? 12 : 0))
            }
            return finished(hour: hour)
        }

        private func finished(hour: Int64) -> WrittenTime? {
            let isMidnight = hour == 24 && minute == 0 && second == 0 && fraction == 0
            guard hour < 24 || isMidnight, minute < 60, second <= 60, dayOfYear <= 366,
                let days = TimeText.dayNumber(year, dayOfYear > 0 ? 1 : month, dayOfYear > 0 ? 1 : day)
            else { return nil }
            let seconds = (days + max(0, dayOfYear - 1)) * 86_400 + hour * 3600 + minute * 60 + second - (east ?? 0)
            guard let ns = TimeForms.nanoseconds(seconds, fraction) else { return nil }
            return WrittenTime(nanoseconds: ns, hasZone: east != nil, isDateOnly: !hasTime)
        }
    }
}
