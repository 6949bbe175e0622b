import ArgumentParser
import Configuration
import Control
import Platform
import Store
import Tabular
import TimeSeries
import WatchService

/// The configuration that a state directory was watched with; a running daemon knows its own.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .long, help: ArgumentHelp("With --state-dir: the daemon's configuration, for its budgets.", valueName: "file"),
        completion: .file())
    var config: String?

    func configuration() throws -> Configuration {
        var options = DaemonOptions()
        options.configFile = config
        return try options.configuration()
    }
}

struct Budget: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "False alarms promised against realised, per stream and group.",
        discussion: """
            Promised is the time watched over the time between false alarms that false_alarms asks for; realised are the anomalies opened in \
            it, true or false: nobody tells the daemon which were. The raised columns say how many moments since then reached the threshold \
            that a quarter, half, the same, twice and four times the rate would have now. State: over and under are beyond the factor 1.5 \
            and beyond chance; young: less time was seen than lies between two alarms.

            EXAMPLES
              rnnctl budget --since 30d
              rnnctl budget --stream 'pump,*' --format json
              rnnctl --state-dir ./state budget --config rnn-watchd.toml
            """)
    @Option(name: .long, help: ArgumentHelp("Count from: 30d, or a time such as 2026-11-23T08:00:00Z.", valueName: "when"))
    var since: Moment?
    @Option(name: .long, help: ArgumentHelp("Streams that match this glob.", valueName: "glob"))
    var stream = "*"
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions
    @OptionGroup var settings: ConfigurationOptions

    func run() throws {
        let arguments = JSONValue.object(["since": .optional(since?.nanoseconds), "stream": .string(stream)])
        let result = try target.ask("budget", arguments) {
            ControlProtocol.result(try OfflineState.budget($0, arguments, try settings.configuration(), notice: FileOutput.error))
        }
        guard format.format == .table, let table = ControlProtocol.table(result) else { return try format.printRows(result) }
        if table.rows.isEmpty { return FileOutput.error("no streams") }
        let isNarrow = Terminal.columns().map { $0 < 120 } ?? false && !Looks.isWide
        let columns =
            isNarrow
            ? ["name", "budget", "days", "promised", "realised", "threshold", "state"]
            : [
                "scope", "budget", "days", "promised", "realised", "threshold", "raised_quarter", "raised_half", "raised_double",
                "raised_fourfold", "state", "name",
            ]
        let rows = table.objects.map { line in columns.map { line[$0] ?? .null } }
        try format.printRows(ControlProtocol.result(RecordTable(columns: columns, rows: rows)))
    }
}

struct WhyNotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why-not", abstract: "What the detector thought about a reading that did not alert.",
        discussion: """
            Shows score, threshold, expected value and band, each piece of evidence with its rank, and what kept an alarm back: too low a \
            score, warm-up, a gap, an alarm shortly before. Recent moments are computed again from checkpoint and journal; older ones are \
            answered by the most unusual reading of their block of 25, as far back as history_blocks reaches.

            EXAMPLES
              rnnctl why-not 'pump,site=a' --at 2026-11-23T08:12:00Z
              rnnctl why-not 'pump,site=a' --at 2h --within 5min
            """)
    @Argument(help: "The stream's key as `rnnctl streams list` shows it.", completion: StreamNames.completion)
    var stream: String
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The moment: 2h (ago), 10:00, or a time such as 2026-11-23T08:12:00Z; without it the newest reading.", valueName: "when"))
    var at: Moment?
    @Option(
        name: .long,
        help: ArgumentHelp("Take the reading that came nearest to an alarm within so much of the moment.", valueName: "duration"))
    var within = "0s"
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions
    @OptionGroup var settings: ConfigurationOptions

    func run() throws {
        let arguments = JSONValue.object([
            "stream": .string(stream), "at": .optional(at?.nanoseconds), "within": .integer(try TimeSpan.option(within).nanoseconds),
        ])
        let result = try target.ask("why-not", arguments) { try OfflineState.whyNot($0, arguments, try settings.configuration()) }
        format.printObject(result)
    }
}
