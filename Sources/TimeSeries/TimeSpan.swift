/// Why a text is not a duration or a rate.
public enum TimeSpanError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text is empty or has no number where one is due.
    case noNumber(String)
    /// The unit is not one of ns, us, ms, s, min, h, d, week, month, year.
    case unknownUnit(String)
    /// The value does not fit (more than 292 years) or is not positive where it has to be.
    case outOfRange(String)

    /// The sentence shown to the user.
    public var description: String {
        switch self {
        case .noNumber(let text): "cannot read duration: got \"\(text)\", expected a number with a unit such as 5min"
        case .unknownUnit(let unit): "cannot read duration: got unit \"\(unit)\", expected ns, us, ms, s, min, h, d, week, month or year"
        case .outOfRange(let text): "cannot read duration: got \"\(text)\", expected a positive span of at most 292 years"
        }
    }
}

/// A length of time in whole nanoseconds, written `5min`, `1h30min`, `250ms`, `1week`.
///
/// A month counts 30 days and a year 365: spans are lengths, not calendar arithmetic.
public struct TimeSpan: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The length in nanoseconds.
    public var nanoseconds: Int64

    /// A span of so many nanoseconds.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The length in seconds.
    public var seconds: Double { Double(nanoseconds) * 1e-9 }

    /// Shorter before longer.
    public static func < (a: TimeSpan, b: TimeSpan) -> Bool { a.nanoseconds < b.nanoseconds }

    /// A second, an hour and a day.
    public static let second = TimeSpan(nanoseconds: 1_000_000_000)
    public static let hour = TimeSpan(nanoseconds: 3_600_000_000_000)
    public static let day = TimeSpan(nanoseconds: 86_400_000_000_000)

    private static let units: [(names: [String], nanoseconds: Int64)] = [
        (["year", "years", "y"], 31_536_000_000_000_000), (["month", "months"], 2_592_000_000_000_000),
        (["week", "weeks", "w"], 604_800_000_000_000), (["d", "day", "days"], 86_400_000_000_000),
        (["h", "hour", "hours"], 3_600_000_000_000), (["min", "m", "minute", "minutes"], 60_000_000_000),
        (["s", "sec", "second", "seconds"], 1_000_000_000), (["ms"], 1_000_000), (["us"], 1000), (["ns"], 1),
    ]

    /// Reads `5min`, `1h30min`, `1.5h`, `0`, or a bare unit (`week` = one week); large and small letters are the same.
    public init(parsing text: String) throws(TimeSpanError) {
        var rest = Substring(text.filter { $0 != " " && $0 != "\t" }.lowercased())
        guard !rest.isEmpty else { throw .noNumber(text) }
        if rest == "0" {
            nanoseconds = 0
            return
        }
        var total: Double = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard digits.isEmpty ? total == 0 : Double(digits) != nil else { throw .noNumber(text) }
            guard !unit.isEmpty else { throw rest.isEmpty ? .unknownUnit("") : .noNumber(text) }
            guard let known = Self.units.first(where: { $0.names.contains(String(unit)) }) else { throw .unknownUnit(String(unit)) }
            total += (digits.isEmpty ? 1 : Double(digits) ?? 0) * Double(known.nanoseconds)
        }
        guard total < 9.2e18 else { throw .outOfRange(text) }
        nanoseconds = Int64(total.rounded())
    }

    /// The name of the unit that this span is exactly one of.
    var unitName: String? { Self.units.first { $0.nanoseconds == nanoseconds }?.names[0] }

    /// In two figures of the largest fitting unit, for people: `45s`, `12min`, `3.5h`, `2.1d`.
    public var brief: String {
        func tenths(_ unit: TimeSpan) -> String {
            let tenths = Int64((Double(nanoseconds) / Double(unit.nanoseconds) * 10).rounded())
            return "\(tenths < 0 ? "-" : "")\(tenths.magnitude / 10).\(tenths.magnitude % 10)"
        }
        return switch seconds.magnitude {
        case ..<120: "\(Int64(seconds.rounded()))s"
        case ..<7200: "\(Int64((seconds / 60).rounded()))min"
        case ..<172_800: "\(tenths(.hour))h"
        default: "\(tenths(.day))d"
        }
    }

    /// The shortest exact text in days and smaller units, e.g. `1h30min`, `365d`.
    public var description: String {
        guard nanoseconds != 0 else { return "0s" }
        var rest = nanoseconds.magnitude
        var text = nanoseconds < 0 ? "-" : ""
        for unit in Self.units.dropFirst(3) {
            let count = rest / unit.nanoseconds.magnitude
            if count > 0 { text += "\(count)\(unit.names[0])" }
            rest -= count * unit.nanoseconds.magnitude
        }
        return text
    }
}

/// So many events in a span of time, written `1/week`, `3/d`, `0.5/h`; `off` and `0/…` mean none asked for.
public struct EventRate: Hashable, Sendable, CustomStringConvertible {
    /// Events per span, not negative.
    public var count: Double
    /// The span.
    public var per: TimeSpan

    /// `count` events per `per`.
    public init(count: Double, per: TimeSpan) {
        self.count = count
        self.per = per
    }

    /// Reads `1/week`; the part after the slash is a `TimeSpan` whose number may be left out.
    public init(parsing text: String) throws(TimeSpanError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Double(parts[0].filter { $0 != " " }), count.isFinite else { throw .noNumber(text) }
        guard count >= 0 else { throw .outOfRange(text) }
        per = try TimeSpan(parsing: String(parts[1]))
        guard per.nanoseconds > 0 else { throw .outOfRange(text) }
        self.count = count
    }

    /// Mean seconds between events; infinite for a rate of zero.
    public var secondsBetween: Double { count > 0 ? per.seconds / count : .infinity }

    /// The text that `init(parsing:)` reads back to the same rate; a span of one unit is named without a number: `1/week`.
    public var description: String {
        let number = count == count.rounded() && count < 1e15 ? "\(Int64(count))" : "\(count)"
        return "\(number)/\(per.unitName ?? per.description)"
    }
}
