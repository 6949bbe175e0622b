/// Sizes with units, as they stand in the configuration.
public enum Units {
    private static let sizes: [(String, Int64)] = [
        ("b", 1), ("kb", 1000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30),
    ]

    /// What a budget of bytes may be at most.
    static let bytesPerDayMax = 1e18
    /// What an event rate may be: from a thousand a second to one in 1e21 seconds.
    static let secondsBetween = 1e-3...1e21

    /// `64KiB`, `50MB` as bytes.
    public static func size(_ text: String) -> Int64? { sum(text) }

    private static func sum(_ text: String) -> Int64? {
        var rest = Substring(text.trimmed.lowercased())
        guard !rest.isEmpty else { return nil }
        if rest == "0" { return 0 }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let number = Double(digits) else { return nil }
            rest = Substring(String(rest.dropFirst(digits.count)).trimmed)
            let name = rest.prefix { $0.isASCII && $0.isLetter }
            guard let unit = sizes.first(where: { $0.0 == name }) else { return nil }
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
