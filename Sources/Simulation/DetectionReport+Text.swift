import Tabular
import TimeSeries

extension DetectionReport {
    /// The report for people: a table and three lines below it.
    public var table: String {
        let columns = ["fault", "injected", "found", "channel right", "median delay", "longest delay", "seen as"]
        let cells = (rows + [total]).map { row -> [JSONValue] in
            let seen = row.alertKinds.map { "\($0.kind) \($0.count)" }.joined(separator: ", ")
            return [
                .string(row.fault), .integer(Int64(row.injected)), .integer(Int64(row.found)), .integer(Int64(row.channelRight)),
                .optional(row.medianDelayNs.map { TimeSpan(nanoseconds: $0).brief }),
                .optional(row.longestDelayNs.map { TimeSpan(nanoseconds: $0).brief }), .string(seen),
            ]
        }
        return RecordTable(columns: columns, rows: cells).text(.table) + "\n" + summary
    }

    private var summary: String {
        let fitting = alerts - falseAlerts.count
        var text = "\(total.found) of \(total.injected) injected faults found\n"
        text += "\(alerts) alerts: \(fitting) fit a fault (\(repeats) of them repeats), \(falseAlerts.count) false\n"
        text += "\(NumberText.fixed(falsePerDay, 2)) false alerts per day in \(NumberText.fixed(days, 1)) days"
        if let streams, streams > 0 {
            text += " of \(streams) streams (\(NumberText.fixed(falsePerDay / Double(streams), 3)) per stream and day)"
        }
        return text + "\n"
    }

    /// The report for programs, one object: `faults` (array of `fault`, `injected`, `found`, `channel_right`,
    /// `median_delay_seconds`, `longest_delay_seconds`, `alert_kinds`), `total` (the same), `alerts`, `fitting`, `repeats`,
    /// `false_alerts`, `false_per_day`, `precision`, `days`, `streams` and `false_list` (array of `stream`, `kind`, `opened_at`).
    public var json: String {
        let object: JSONValue = .object([
            "faults": .array(rows.map(Self.json)), "total": Self.json(total), "alerts": .integer(Int64(alerts)),
            "fitting": .integer(Int64(alerts - falseAlerts.count)), "repeats": .integer(Int64(repeats)),
            "false_alerts": .integer(Int64(falseAlerts.count)), "false_per_day": Self.rounded(falsePerDay),
            "precision": Self.rounded(precision), "days": Self.rounded(days), "streams": .optional(streams.map { Int64($0) }),
            "false_list": .array(
                falseAlerts.map {
                    .object([
                        "stream": .string($0.stream), "kind": .string($0.kind), "opened_at": .string(TimeText.rfc3339($0.openedNs)),
                    ])
                }),
        ])
        return object.compact + "\n"
    }

    private static func json(_ row: Row) -> JSONValue {
        func seconds(_ ns: Int64?) -> JSONValue { .optional(ns.map { Double($0 / 1_000_000) / 1000 }) }
        return .object([
            "fault": .string(row.fault), "injected": .integer(Int64(row.injected)), "found": .integer(Int64(row.found)),
            "channel_right": .integer(Int64(row.channelRight)), "median_delay_seconds": seconds(row.medianDelayNs),
            "longest_delay_seconds": seconds(row.longestDelayNs),
            "alert_kinds": .object(row.alertKinds.map { JSONValue.Member($0.kind, .integer(Int64($0.count))) }),
        ])
    }

    /// Four decimals.
    private static func rounded(_ value: Double) -> JSONValue { .number((value * 1e4).rounded() / 1e4) }
}
