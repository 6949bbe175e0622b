import ArgumentParser
import CommandLineTool
import Control
import Platform
import Store
import Tabular
import WatchService

/// Asks and steers the daemon; works on the state directory when none runs.
@main
struct Rnnctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rnnctl",
        abstract: "Ask rnn-watchd about alerts and streams, feed it, and score files without it.",
        discussion: """
            --control-socket PATH and --state-dir DIR may stand before or after any subcommand: the first asks a running daemon, the second \
            reads its database directly. Commands that need neither (score, simulate, sample ...) pass over them.
            --utc, --wide and --color auto|always|never may stand anywhere, too. Times are local on a terminal; a time may be given as 2h (ago), \
            10:00, "today 10:00", yesterday, 2026-11-23 or with a zone; NO_COLOR is heeded.

            EXAMPLES
              rnnctl alerts query --since 2h --min-severity warning
              rnnctl alerts show 26c4b397-1
              rnnctl explain 26c4b397-1
              rnnctl status --format json
              rnnctl score readings.csv > scores.csv
              rnnctl simulate --hours 336 | rnn-watchd --stdin --state-dir ./state

            Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 a check found problems.
            """, version: Version.text,
        subcommands: [
            Alerts.self, Explain.self, Silences.self, Streams.self, WhyNotCommand.self, Budget.self, Doctor.self, Status.self, Metrics.self,
            Checkpoints.self,
            Notify.self, Send.self, Producers.self,
            Score.self, Inspect.self, Evaluate.self, Simulate.self,
            SimulateReport.self,
            Sample.self,
            Model.self,
            Backup.self, Check.self, Restore.self,
        ])

    static func main() {
        var words = Program.arguments.dropFirst().map { $0 }
        if let problem = Looks.take(&words) {
            FileOutput.error("Error: " + problem)
            Rnnctl.exit(withError: ExitCode(2))
        }
        let arguments = TargetOptions.moved(words)
        if let complaint = CommandTree.complaint(arguments, Rnnctl.self) {
            FileOutput.error(complaint)
            Rnnctl.exit(withError: ExitCode(2))
        }
        Program.main(Rnnctl.self, arguments: arguments)
    }
}
