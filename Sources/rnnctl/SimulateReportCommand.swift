import ArgumentParser
import Simulation
import TimeSeries

/// Alerts against labels.
struct SimulateReport: ParsableCommand {
    /// How the report is written.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table
        case json
    }

    static let configuration = CommandConfiguration(
        commandName: "simulate-report",
        abstract: "Compare alerts with the faults that were simulated: found, how late, false.",
        discussion: """
            An alert fits a fault when it concerns the same stream and opens between the fault's start (less --slack-before) \
            and its end (plus --slack). Further fitting alerts are repeats; an alert that fits no fault is false.

            EXAMPLES
              rnnctl --state-dir ./state alerts query --format json > alerts.json
              rnnctl simulate-report --labels labels.csv --alerts alerts.json
            """)

    @Option(help: ArgumentHelp("File written by simulate --labels.", valueName: "file"))
    var labels: String

    @Option(help: ArgumentHelp("Rows of alerts query --format json or jsonl; - for stdin.", valueName: "file"))
    var alerts: String

    @Option(
        help: ArgumentHelp("How long after the end of a fault an alert still fits it.", valueName: "duration"),
        transform: TimeSpan.option)
    var slack = TimeSpan(nanoseconds: 1_800_000_000_000)

    @Option(
        help: ArgumentHelp("How long before the start of a fault an alert already fits it.", valueName: "duration"),
        transform: TimeSpan.option)
    var slackBefore = TimeSpan(nanoseconds: 120_000_000_000)

    @Option(help: "table or json.")
    var format: Format = .table

    mutating func run() throws {
        StandardStreams.ignoreBrokenPipes()
        let known = try FaultLabels(parsing: StandardStreams.readAll(labels))
        let raised = try RaisedAlert.list(json: StandardStreams.readAll(alerts))
        let report = DetectionReport(
            labels: known, alerts: raised, slackBeforeNs: slackBefore.nanoseconds,
            slackAfterNs: slack.nanoseconds)
        _ = try StandardStreams.writeOut(format == .json ? report.json : report.table)
    }
}
