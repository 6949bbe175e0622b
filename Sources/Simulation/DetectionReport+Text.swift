extension DetectionReport {
    /// The report for people: a table and three lines below it.
    public var table: String {
        var lines = [["fault", "injected", "found", "channel right", "median delay", "longest delay", "seen as"]]
        for row in rows + [total] {
            lines.append([
                row.fault, "\(row.injected)", "\(row.found)", "\(row.channelRight)", row.medianDelayNs.map(TimeText.brief) ?? "-",
                row.longestDelayNs.map(TimeText.brief) ?? "-", row.alertKinds.map { "\($0.kind) \($0.count)" }.joined(separator: ", "),
            ])
        }
        let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        var text = ""
        for line in lines {
            var padded = ""
            for (column, cell) in line.enumerated() {
                let spaces = String(repeating: " ", count: widths[column] - cell.count)
                let isText = column == 0 || column == line.count - 1
                padded += (column == 0 ? "" : "  ") + (isText ? cell + spaces : spaces + cell)
            }
            while padded.last == " " { padded.removeLast() }
            text += padded + "\n"
        }
        return text + "\n" + summary
    }

    private var summary: String {
        let fitting = alerts - falseAlerts.count
        var text = "\(total.found) of \(total.injected) injected faults found\n"
        text += "\(alerts) alerts: \(fitting) fit a fault (\(repeats) of them repeats), \(falseAlerts.count) false\n"
        text += "\(TimeText.decimal(falsePerDay, 2)) false alerts per day in \(TimeText.decimal(days, 1)) days"
        if let streams, streams > 0 {
            text += " of \(streams) streams (\(TimeText.decimal(falsePerDay / Double(streams), 3)) per stream and day)"
        }
        return text + "\n"
    }

    /// The report for programs, one object: `faults` (array of `fault`, `injected`, `found`, `channel_right`,
    /// `median_delay_seconds`, `longest_delay_seconds`, `alert_kinds`), `total` (the same), `alerts`, `fitting`, `repeats`,
    /// `false_alerts`, `false_per_day`, `precision`, `days`, `streams` and `false_list` (array of `stream`, `kind`, `opened_at`).
    public var json: String {
        let fields = [
            "\"faults\":[\(rows.map(Self.json).joined(separator: ","))]", "\"total\":\(Self.json(total))", "\"alerts\":\(alerts)",
            "\"fitting\":\(alerts - falseAlerts.count)", "\"repeats\":\(repeats)", "\"false_alerts\":\(falseAlerts.count)",
            "\"false_per_day\":\(TimeText.decimal(falsePerDay, 4))", "\"precision\":\(TimeText.decimal(precision, 4))",
            "\"days\":\(TimeText.decimal(days, 4))", "\"streams\":\(streams.map { "\($0)" } ?? "null")",
            "\"false_list\":[\(falseAlerts.map(Self.json).joined(separator: ","))]",
        ]
        return "{\(fields.joined(separator: ","))}\n"
    }

    private static func json(_ row: Row) -> String {
        func seconds(_ ns: Int64?) -> String { ns.map { TimeText.decimal(Double($0) / 1e9, 3) } ?? "null" }
        let kinds = row.alertKinds.map { "\(JSONValue.quoted($0.kind)):\($0.count)" }.joined(separator: ",")
        return "{\"fault\":\(JSONValue.quoted(row.fault)),\"injected\":\(row.injected),\"found\":\(row.found),"
            + "\"channel_right\":\(row.channelRight),\"median_delay_seconds\":\(seconds(row.medianDelayNs)),"
            + "\"longest_delay_seconds\":\(seconds(row.longestDelayNs)),\"alert_kinds\":{\(kinds)}}"
    }

    private static func json(_ alert: RaisedAlert) -> String {
        "{\"stream\":\(JSONValue.quoted(alert.stream)),\"kind\":\(JSONValue.quoted(alert.kind)),"
            + "\"opened_at\":\"\(TimeText.rfc3339(ns: alert.openedNs))\"}"
    }
}
