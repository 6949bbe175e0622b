import ArgumentParser
import Control
import Platform
import Tabular
import TimeSeries

struct Notify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at rnn-notify, which tells people.",
        discussion: "EXAMPLES\n  rnnctl notify status\n  rnnctl notify test phone", subcommands: [Status.self, Test.self],
        defaultSubcommand: Status.self)

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what was told last, what waits, and what failed.", discussion: "EXAMPLES\n  rnnctl notify status --format json")
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions
        func run() throws {
            let status = try target.ask("notify.status") { _ in throw ControlError.failed("ask a running daemon: leave out --state-dir") }
            guard format.format == .table else { return format.printObject(status) }
            guard status["running"]?.truth == true else {
                FileOutput.error(
                    status["reason"]?.text
                        ?? "rnn-notify was heard of last at \(status["heard_at"]?.text ?? "?"); systemctl status rnn-notify")
                throw ExitCode(1)
            }
            let sinks = status["sinks"]?.items ?? []
            let columns = ["sink", "type", "told", "waiting", "last_told", "failures", "trouble"]
            let rows = sinks.map { sink in columns.map { $0 == "last_told" ? LocalTime.cell(sink["last_told_at"]) : sink[$0] ?? .null } }
            try format.printRows(ControlProtocol.result(RecordTable(columns: columns, rows: rows)))
        }
    }

    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send a test message through a sink.", discussion: "EXAMPLES\n  rnnctl notify test phone")
        @Argument(help: "The sink's name in rnn-notify.toml.")
        var sink: String
        @OptionGroup var target: TargetOptions
        func run() throws {
            let result = try target.ask("notify.test", .object(["sink": .string(sink)])) { _ in
                throw ControlError.failed("ask a running daemon: leave out --state-dir")
            }
            let text = "\(sink): \(result["answer"]?.text ?? "no answer")"
            guard result["ok"]?.truth == true else {
                FileOutput.error(text)
                throw ExitCode(1)
            }
            FileOutput.output(text + "\n")
        }
    }
}
