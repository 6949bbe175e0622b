import ArgumentParser
import Configuration
import Control
import Platform
import Store
import Tabular
import TimeSeries
import Watching
import WatchService

struct Streams: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at streams and what was learned about them.",
        discussion: "EXAMPLES\n  rnnctl streams list\n  rnnctl streams show 'pump,site=a0'",
        subcommands: [List.self, Show.self, Forget.self, Reset.self, Rename.self, Mute.self, Unmute.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List streams.", discussion: "EXAMPLES\n  rnnctl streams list --stream 'pump,*' --format csv")
        @Option(name: .long, help: ArgumentHelp("Streams that match this glob.", valueName: "glob"))
        var stream = "*"
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions

        func run() throws {
            let result = try target.ask("streams.list", .object(["stream": .string(stream)])) { reader in
                ControlProtocol.result(try OfflineState.streams(reader, matching: stream, notice: FileOutput.error))
            }
            if result["rows"]?.items?.isEmpty ?? false, stream != "*", !stream.contains("*") {
                FileOutput.error(
                    "no stream is called \(stream); --stream is a glob over whole keys: try '\(stream)*'")
            }
            guard format.format == .table, Terminal.columns() != nil, !Looks.isWide, let table = ControlProtocol.table(result) else {
                return try format.printRows(result)
            }
            let columns = ["stream", "readings", "last_reading_at", "score", "threshold", "state"]
            let rows = table.objects.map { row in columns.map { row[$0] ?? .null } }
            try format.printRows(ControlProtocol.result(RecordTable(columns: columns, rows: rows)))
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one stream: channels, expectation, warm-up.", discussion: "EXAMPLES\n  rnnctl streams show 'pump,site=a0'")
        @Argument(help: "The stream's key as `rnnctl streams list` shows it.", completion: StreamNames.completion)
        var stream: String
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions

        func run() throws {
            let result = try target.ask("streams.show", .object(["stream": .string(stream)])) { reader in
                guard let detail = try OfflineState.stream(reader, key: stream, notice: FileOutput.error) else {
                    throw ControlError.failed("no stream \(stream); `rnnctl streams list` shows all")
                }
                return detail
            }
            format.printObject(result)
        }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Counters, drops by reason, queue, storage.",
        discussion: "EXAMPLES\n  rnnctl status --format json | jq .readings_accepted"
    )
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    func run() throws {
        format.printObject(try target.ask("status") { try OfflineState.status($0) })
    }
}

struct Metrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The daemon's counters as Prometheus reads them (text exposition 0.0.4).",
        discussion: """
            The same text as metrics_file in the configuration.

            EXAMPLES
              rnnctl metrics | grep refused
              rnnctl metrics > /var/lib/prometheus/node-exporter/rnn-watchd.prom.new
            """)
    @OptionGroup var target: TargetOptions

    func run() throws {
        let text = try target.ask("metrics") { _ in throw ControlError.failed("cannot tell metrics: only a running daemon has them") }
        guard let text = text.text else { throw ControlError.failed("the answer is no text") }
        FileOutput.output(text)
    }
}

struct Checkpoints: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at stored learned state.", discussion: "EXAMPLES\n  rnnctl checkpoints list\n  rnnctl checkpoints write",
        subcommands: [List.self, Write.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the stored generations of every block.", discussion: "EXAMPLES\n  rnnctl checkpoints list --format json")
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions

        func run() throws {
            try format.printRows(
                try target.ask("checkpoints.list") { ControlProtocol.result(try $0.checkpointList(timeText: TimeText.milliseconds)) })
        }
    }

    struct Write: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have the daemon write what changed now.", discussion: "EXAMPLES\n  rnnctl checkpoints write")
        @OptionGroup var target: TargetOptions

        func run() throws {
            _ = try target.ask("checkpoints.write") { _ in throw ControlError.failed("only a running daemon writes checkpoints") }
        }
    }
}
