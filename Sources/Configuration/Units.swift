/// Numbers with units, as they stand in the configuration and on the command line.
public enum Units {
    private static let durations: [(String, Int64)] = [
        ("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000), ("sec", 1_000_000_000), ("min", 60_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000), ("d", 86_400_000_000_000), ("day", 86_400_000_000_000),
        ("w", 604_800_000_000_000), ("week", 604_800_000_000_000), ("month", 2_592_000_000_000_000), ("year", 31_536_000_000_000_000),
    ]
    private static let sizes: [(String, Int64)] = [
        ("b", 1), ("kb", 1000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30),
    ]

    /// `250ms`, `1.5h`, `7d`, `1h30min` as nanoseconds; nil when it is none or overflows.
    public static func duration(_ text: String) -> Int64? { sum(text, durations) }

    /// `64KiB`, `50MB` as bytes.
    public static func size(_ text: String) -> Int64? { sum(text, sizes) }

    /// `1/week`, `3/day`, `2/30d`: events per nanosecond; nil when it is none.
    public static func rate(_ text: String) -> Double? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Double(parts[0].trimmed), count > 0, count.isFinite else { return nil }
        let unit = String(parts[1]).trimmed
        guard let period = duration(unit) ?? duration("1" + unit), period > 0 else { return nil }
        return count / Double(period)
    }

    /// The shortest exact text of a duration: `90s` is `1min30s`.
    public static func text(duration: Int64) -> String {
        guard duration > 0 else { return "0s" }
        var rest = duration
        var out = ""
        let units: [(String, Int64)] = [
            ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000),
            ("us", 1000), ("ns", 1),
        ]
        for (name, unit) in units where rest >= unit {
            out += String(rest / unit) + name
            rest %= unit
        }
        return out
    }

    private static func sum(_ text: String, _ units: [(String, Int64)]) -> Int64? {
        var rest = Substring(text.trimmed.lowercased())
        guard !rest.isEmpty else { return nil }
        if rest == "0" { return 0 }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let number = Double(digits) else { return nil }
            rest = Substring(String(rest.dropFirst(digits.count)).trimmed)
            let name = rest.prefix { $0.isASCII && $0.isLetter }
            guard let unit = units.first(where: { $0.0 == name || $0.0 + "s" == name && $0.0.count > 2 }) else { return nil }
            rest = Substring(String(rest.dropFirst(name.count)).trimmed)
            total += number * Double(unit.1)
        }
        return total >= 0 && total < 9.2e18 ? Int64(total.rounded()) : nil
    }
}

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    var trimmed: String {
        var slice = self[startIndex..<endIndex]
        while let first = slice.first, first == " " || first == "\t" { slice = slice.dropFirst() }
        while let last = slice.last, last == " " || last == "\t" { slice = slice.dropLast() }
        return String(slice)
    }
}
