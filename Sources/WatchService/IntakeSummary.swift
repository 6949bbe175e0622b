import Ingest
import LineFormats
import Readings

/// What became of an input, for the end of a command that read it.
public struct IntakeSummary: Sendable, Equatable {
    /// Readings taken.
    public var taken: Int64 = 0
    /// Numbers in them.
    public var values: Int64 = 0
    /// Lines (or readings of a line) that could not be read, by reason.
    public var refused: [(reason: String, count: Int64)] = []
    /// Readings dropped as a whole, by reason.
    public var dropped: [(reason: String, count: Int64)] = []
    /// Single values left out, by reason.
    public var left: [(reason: String, count: Int64)] = []

    public init() {}

    /// What was counted between two totals.
    public init(_ totals: IngestTotals, since before: IngestTotals) {
        func differences(_ names: [String], _ now: [Int64], _ then: [Int64]) -> [(reason: String, count: Int64)] {
            zip(names, now.indices).compactMap { name, index in
                let count = now[index] - (index < then.count ? then[index] : 0)
                return count > 0 ? (name, count) : nil
            }
        }
        taken = totals.readingsAccepted - before.readingsAccepted
        values = totals.valuesAccepted - before.valuesAccepted
        refused = differences(LineError.Reason.allCases.map(\.rawValue), totals.refused, before.refused)
        dropped = differences(DropReason.allCases.map(\.rawValue), totals.dropped, before.dropped)
        left = differences(DropReason.allCases.map(\.rawValue), totals.valuesDropped, before.valuesDropped)
    }

    /// What says nothing about the input: the configuration asked for it, or it was stored before.
    private static let asked: Set<String> = [DropReason.ignored.rawValue, DropReason.resent.rawValue]
    /// Values that were meant as numbers and were not understood.
    private static let meantAsNumbers: Set<String> = [DropReason.odd_number.rawValue]

    private func sum(_ list: [(reason: String, count: Int64)], where isWanted: (String) -> Bool) -> Int64 {
        list.reduce(0) { isWanted($1.reason) ? $0 + $1.count : $0 }
    }

    /// Nothing was taken although something came, or less than half: of the readings, or of the values that were meant as numbers.
    public var isFailure: Bool {
        let lost = sum(refused) { _ in true } + sum(dropped) { !IntakeSummary.asked.contains($0) }
        let odd = sum(left) { IntakeSummary.meantAsNumbers.contains($0) }
        return lost > taken || odd > values
    }

    /// One sentence; empty when nothing was lost.
    public var text: String {
        var parts: [String] = []
        for (verb, list) in [("refused", refused), ("dropped", dropped)] where !list.isEmpty {
            parts.append("\(verb) \(sum(list) { _ in true }) (\(list.map { "\($0.reason) \($0.count)" }.joined(separator: ", ")))")
        }
        if !left.isEmpty {
            parts.append("left out \(sum(left) { _ in true }) values (\(left.map { "\($0.reason) \($0.count)" }.joined(separator: ", ")))")
        }
        guard !parts.isEmpty else { return "" }
        let worst = (dropped + left).compactMap { item in DropReason(rawValue: item.reason).map { ($0, item.count) } }
            .filter { !IntakeSummary.asked.contains($0.0.rawValue) && $0.0 != .not_numeric && $0.0 != .unknown_value }
            .max { $0.1 < $1.1 }
        let hint = worst.map { "; \($0.0.rawValue): \(LossHint.text($0.0))" } ?? ""
        return "took \(taken) readings with \(values) values; " + parts.joined(separator: "; ") + hint
    }

    public static func == (a: IntakeSummary, b: IntakeSummary) -> Bool { a.text == b.text && a.taken == b.taken }
}
