import ArgumentParser
import Control
import Platform
import Tabular
import WatchService

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Explain an alert: what drove the prediction, what made the score, which hidden units were unusual, what would not have alerted.",
        discussion: """
            The daemon explains every anomaly soon after it opens and keeps the newest explanations (explanations_max). Others are worked out \
            from the last checkpoint and the journal, exactly as a restart replays them, as long as the journal holds the readings; with \
            --state-dir that needs no daemon. Nothing is estimated: every score comes from the detector, run again.

            (1) Feature importance: integrated gradients through time from a window of usual readings to the real one; the contributions must \
            add up to the difference of the two predictions, which is checked and printed. Then what each reading has in the score: the score \
            with that reading as expected.
            (2) Hidden units that left their usual range, saturation (|h| > 0.95) and memory (integrated autocorrelation time, readings).
            (3) The smallest change of the newest readings, towards what was expected of them, that would not have alerted.

            EXAMPLES
              rnnctl explain 26c4b397-1
              rnnctl explain 26c4 --format json
              rnnctl --state-dir /var/lib/rnn-watchd explain 26c4b397-1
            """)

    @Argument(help: "The alert's id, or a beginning of it.")
    var id: String
    @Flag(name: .long, help: "Work it out again, also if an explanation is stored.")
    var fresh = false
    @Flag(name: .long, help: "The same as --format json.")
    var json = false
    @Option(name: .long, help: ArgumentHelp("table or json.", valueName: "format"), completion: .list(["table", "json", "jsonl"]))
    var format: RecordTable.Format = .table
    @Option(name: .long, help: ArgumentHelp("Hidden units shown (json has all).", valueName: "number"))
    var units = 8
    @OptionGroup var target: TargetOptions

    func run() throws {
        let arguments = JSONValue.object(["id": .string(id), "fresh": .bool(fresh)])
        let answer = try target.ask("alerts.explain", arguments) { try Explanations.answer($0, arguments) }
        switch json ? .json : format {
        case .json: FileOutput.output(answer.pretty + "\n")
        case .jsonl: FileOutput.output(answer.compact + "\n")
        case .table, .csv: FileOutput.output(ExplanationView(answer, units: units).text)
        }
    }
}
