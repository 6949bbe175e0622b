import Alerting
import ArgumentParser
import Control
import Platform
import Store
import Tabular
import TimeSeries
import WatchService

struct Alerts: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at alerts.", discussion: "EXAMPLES\n  rnnctl alerts query --since 2h\n  rnnctl alerts show 26c4b397-1",
        subcommands: [
            Query.self, Show.self, Follow.self, Ack.self, Shelve.self, Unshelve.self, Close.self, Comment.self, Feedback.self,
        ], defaultSubcommand: Query.self)

    struct Query: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List alerts, oldest first.",
            discussion: """
                EXAMPLES
                  rnnctl alerts query --since 2h --stream 'pump,site=a*' --min-severity warning
                  rnnctl alerts query --state open --format json
                  rnnctl --state-dir ./state alerts query --kind stale
                """)

        @Option(name: .long, help: ArgumentHelp("Opened at or after: 2h, 7d, or a time such as 2026-11-23T08:00:00Z.", valueName: "when"))
        var since: Moment?
        @Option(name: .long, help: ArgumentHelp("Opened before.", valueName: "when"))
        var until: Moment?
        @Option(name: .long, help: ArgumentHelp("Streams that match this glob.", valueName: "glob"))
        var stream: String?
        @Option(
            name: .long, help: ArgumentHelp("info, warning or critical.", valueName: "severity"),
            completion: .list(["info", "warning", "critical"]))
        var minSeverity: Severity = .info
        @Option(
            name: .long, help: ArgumentHelp("anomaly, stale, stuck, limit or storage.", valueName: "kind"),
            completion: .list(["anomaly", "stale", "stuck", "limit", "storage"]))
        var kind: AlertKind?
        @Option(name: .long, help: ArgumentHelp("open or closed.", valueName: "state"), completion: .list(["open", "closed"]))
        var state: AlertState?
        @Option(
            name: .long, help: ArgumentHelp("new, acked or shelved.", valueName: "attention"),
            completion: .list(["new", "acked", "shelved"]))
        var attention: Attention?
        @Option(name: .long, help: ArgumentHelp("The newest so many; 0: all.", valueName: "n"))
        var limit: Int64 = 0
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions

        mutating func validate() throws {
            if limit < 0 { throw ValidationError("--limit: got \(limit), expected 0 or more") }
        }

        func run() throws {
            let arguments = JSONValue.object([
                "since": .optional(since?.nanoseconds), "until": .optional(until?.nanoseconds), "stream": .optional(stream),
                "min_severity": .string(minSeverity.rawValue), "kind": .optional(kind?.rawValue), "state": .optional(state?.rawValue),
                "attention": .optional(attention?.rawValue),
                "limit": .integer(limit),
            ])
            let result = try target.ask("alerts.query", arguments) { ControlProtocol.result(try StoreQuestions.alerts($0, arguments)) }
            if format.format == .table, ControlProtocol.table(result)?.rows.isEmpty == true {
                FileOutput.error("no alerts")
                return
            }
            guard format.format == .table, let table = ControlProtocol.table(result) else { return try format.printRows(result) }
            if let width = Terminal.columns(), !Looks.isWide { return _ = FileOutput.output(AlertView.text(table.objects, width: width)) }
            let columns = ["id", "opened_at", "lasted", "severity", "attention", "kind", "stream", "reason"]
            let rows = table.objects.map { alert in columns.map { $0 == "lasted" ? .string(AlertView.lasted(alert)) : alert[$0] ?? .null } }
            try format.printRows(ControlProtocol.result(RecordTable(columns: columns, rows: rows)))
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one alert with its evidence and the readings around its opening.",
            discussion: "EXAMPLES\n  rnnctl alerts show 26c4b397-1")

        @Argument(help: "The alert's id, or a beginning of it.")
        var id: String
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions

        func run() throws {
            let arguments = JSONValue.object(["id": .string(id)])
            let alert = try target.ask("alerts.show", arguments) { try StoreQuestions.alert($0, arguments) }
            guard format.format == .table, case .object(var members) = alert else { return format.printObject(alert) }
            let context = alert["context"]?.items ?? []
            members.removeAll { $0.name == "context" }
            FileOutput.output(Listing.text(members))
            let values = context.compactMap { $0["value"]?.doubleValue }
            guard !values.isEmpty, let first = context.first?["time"]?.integerValue, let last = context.last?["time"]?.integerValue else {
                return
            }
            FileOutput.output("\n\(Sparkline.text(values))\n\(TimeText.rfc3339(first)) to \(TimeText.rfc3339(last)), ")
            FileOutput.output("\(NumberText.short(values.min() ?? 0)) to \(NumberText.short(values.max() ?? 0))\n")
        }
    }
}

extension Severity: ExpressibleByArgument {}
extension AlertKind: ExpressibleByArgument {}
extension AlertState: ExpressibleByArgument {}
extension Attention: ExpressibleByArgument {}

/// A row of block characters.
enum Sparkline {
    static func text(_ values: [Double]) -> String {
        let bars = Array("▁▂▃▄▅▆▇█")
        guard let low = values.min(), let high = values.max() else { return "" }
        return String(values.map { bars[high > low ? min(7, Int(($0 - low) / (high - low) * 8)) : 0] })
    }
}
