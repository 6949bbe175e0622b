import Detection
import Configuration
import Store
import Tabular
import TimeSeries
import Watching

/// `rnnctl budget`: false alarms promised against realised.
enum BudgetAudit {
    static let columns = [
        "scope", "name", "budget", "streams", "since_at", "until_at", "days", "promised", "realised", "ratio", "threshold",
        "raised_quarter", "raised_half", "raised_same", "raised_double", "raised_fourfold", "counted_from_at", "state",
    ]

    /// One line: a stream, a group of streams, or all of them.
    private struct Line {
        var scope: String
        var name: String
        var secondsBetween: Double?
        var streams = 0
        var from = Int64.max
        var until = Int64.min
        var promised: Double?
        var realised = 0
        var threshold: Double?
        /// Alarms at the thresholds of a quarter, half, the same, twice and four times the rate; nil while nothing was judged.
        var raised: [Int]?
        /// Since when `raised` counts, where that is later than `from`.
        var countedFrom: Int64?
        var isYoung = false

        mutating func add(_ other: Line) {
            streams += other.streams
            (from, until) = (min(from, other.from), max(until, other.until))
            realised += other.realised
            if let more = other.promised { promised = (promised ?? 0) + more }
            if let more = other.raised { raised = zip(raised ?? [0, 0, 0, 0, 0], more).map(+) }
            if let more = other.countedFrom { countedFrom = max(countedFrom ?? more, more) }
            isYoung = isYoung || other.isYoung
        }
    }

    /// - Parameters:
    ///   - realised: anomalies opened in the period, by stream
    ///   - since: nil for everything
    ///   - groupName: the name and the budget of a group of streams
    static func table(
        _ budgets: [StreamBudget], realised: [UInt32: Int], since: Int64?, groupName: (UInt16) -> (name: String, rate: EventRate)?
    ) -> RecordTable {
        let lines = budgets.map { line($0, realised[$0.id] ?? 0, since) }
        var table = RecordTable(columns: columns)
        for line in lines { table.rows.append(row(line)) }
        var groups: [UInt16: Line] = [:]
        var all = Line(scope: "host", name: "all streams")
        for (budget, line) in zip(budgets, lines) {
            all.add(line)
            guard budget.group != 0, let known = groupName(budget.group) else { continue }
            var group = groups[budget.group] ?? Line(scope: "group", name: known.name, secondsBetween: known.rate.secondsBetween)
            group.add(line)
            groups[budget.group] = group
        }
        for (_, group) in groups.sorted(by: { $0.key < $1.key }) {
            var group = group
            // The group's own promise: its streams' shares are rounded so that they stay below it.
            if group.from < group.until, let seconds = group.secondsBetween {
                group.promised = Double(group.until.since(group.from)) * 1e-9 / seconds
            }
            table.rows.append(row(group))
        }
        if lines.count > 1 { table.rows.append(row(all)) }
        return table
    }

    private static func line(_ budget: StreamBudget, _ realised: Int, _ since: Int64?) -> Line {
        var line = Line(scope: "stream", name: budget.key, secondsBetween: budget.secondsBetween, streams: 1)
        line.threshold = budget.threshold
        line.realised = realised
        guard let judged = budget.judgedFrom else { return line }
        line.from = max(judged, since ?? judged)
        line.until = max(line.from, budget.lastTime)
        if let seconds = budget.secondsBetween { line.promised = Double(line.until.since(line.from)) * 1e-9 / seconds }
        let report = budget.report
        line.isYoung = budget.secondsBetween != nil && report.readingsCounted * report.intervalSeconds < report.secondsBetween
        if report.thresholds.count == 5 { line.raised = report.thresholds.map { report.alarms(at: $0) } }
        if !report.reachesBack, let first = report.peaks.first?.time, first > line.from { line.countedFrom = first }
        return line
    }

    private static func row(_ line: Line) -> [JSONValue] {
        func moment(_ time: Int64?) -> JSONValue { time.map { .string(TimeText.rfc3339($0)) } ?? .null }
        func rounded(_ value: Double?) -> JSONValue { .optional(value.map { ($0 * 1000).rounded() / 1000 }) }
        let isJudged = line.from != .max
        let ratio = line.promised.flatMap { $0 > 0 ? Double(line.realised) / $0 : nil }
        return [
            .string(line.scope), .string(line.name), line.secondsBetween.map { .string(rate($0)) } ?? .null, .integer(Int64(line.streams)),
            moment(isJudged ? line.from : nil), moment(isJudged ? line.until : nil),
            isJudged ? rounded(Double(line.until.since(line.from)) / 86_400e9) : .null, rounded(line.promised),
            .integer(Int64(line.realised)),
            rounded(ratio), rounded(line.threshold),
        ] + (0..<5).map { place in line.raised.map { .integer(Int64($0[place])) } ?? .null } + [
            moment(line.countedFrom), .string(state(line)),
        ]
    }

    /// `1/week`, or `1/84d` for a share.
    private static func rate(_ secondsBetween: Double) -> String {
        // Stored in single precision: seconds are as fine as a promise needs to be.
        let nanoseconds = secondsBetween < 9e9 ? Int64(secondsBetween.rounded()) * 1_000_000_000 : Int64.max
        return EventRate(count: 1, per: TimeSpan(nanoseconds: max(1_000_000_000, nanoseconds))).description
    }

    private static func state(_ line: Line) -> String {
        guard line.from != .max else { return "warming up" }
        guard let promised = line.promised else { return "no budget" }
        let realised = Double(line.realised)
        // Beyond what chance explains (two standard deviations of a Poisson count) and the factor that is promised.
        let spread = 2 * max(promised, 1).squareRoot()
        if realised > 1.5 * promised, realised > promised + spread { return "over" }
        if line.isYoung { return "young" }
        return realised * 1.5 < promised && realised < promised - spread ? "under" : "ok"
    }
}
