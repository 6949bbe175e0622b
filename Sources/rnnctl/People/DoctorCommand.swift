import ArgumentParser
import Control
import Platform
import Tabular
import TimeSeries

/// What to do about streams that make trouble.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say which streams make trouble and what to do: commands and sections of the configuration to paste.",
        discussion: """
            Looks at the alerts of the last week (--since) and at the streams now: which make most of the alerts, which were judged false, which do
            not learn, which lose input, and whether people are told.

            EXAMPLES
              rnnctl doctor
              rnnctl doctor --since 30d --format json
            """)
    @Option(name: .long, help: ArgumentHelp("Alerts opened since then.", valueName: "when"))
    var since: Moment?
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    func run() throws {
        guard target.stateDir == nil else { throw ControlError.failed("doctor asks a running daemon: leave out --state-dir") }
        let since = since?.nanoseconds ?? Clocks.wall() - 7 * 86_400_000_000_000
        func ask(_ command: String, _ arguments: JSONValue = .object([])) throws -> JSONValue {
            try target.ask(command, arguments) { _ in .null }
        }
        let alerts = ControlProtocol.table(try ask("alerts.query", .object(["since": .integer(since)])))?.objects ?? []
        let streams = ControlProtocol.table(try ask("streams.list"))?.objects ?? []
        let findings = Doctor.findings(
            alerts: alerts, streams: streams, status: try ask("status"), notify: try ask("notify.status"), now: Clocks.wall())
        guard format.format == .table else { return try format.printRows(ControlProtocol.result(Doctor.table(findings))) }
        guard !findings.isEmpty else { return _ = FileOutput.output("nothing to mend: \(streams.count) streams, \(alerts.count) alerts\n") }
        let width = max(40, Looks.isWide ? 200 : Terminal.columns() ?? 100)
        for finding in findings {
            FileOutput.output("\(Looks.paint(finding.what, .bold))\n")
            for line in Looks.wrapped(RecordTable.printable(finding.why), width: width - 2) { FileOutput.output("  \(line)\n") }
            for line in finding.cure.split(separator: "\n") { FileOutput.output("    \(Looks.paint(String(line), .cyan))\n") }
        }
    }

    struct Finding {
        var what: String
        var stream: String
        var why: String
        /// To paste.
        var cure: String
    }

    static func table(_ findings: [Finding]) -> RecordTable {
        RecordTable(
            columns: ["what", "stream", "why", "cure"],
            rows: findings.map { [.string($0.what), .string($0.stream), .string($0.why), .string($0.cure)] })
    }

    static func findings(alerts: [JSONValue], streams: [JSONValue], status: JSONValue, notify: JSONValue, now: Int64) -> [Finding] {
        var found: [Finding] = []
        // Some streams make most of the alerts.
        let byStream = Dictionary(grouping: alerts, by: { $0["stream"]?.text ?? "" }).sorted {
            ($1.value.count, $0.key) < ($0.value.count, $1.key)
        }
        for (stream, own) in byStream.prefix(5) where own.count >= 5 && own.count * 5 >= alerts.count {
            let quoted = shell(stream)
            found.append(
                Finding(
                    what: "\(own.count) of \(alerts.count) alerts", stream: stream,
                    why: "\(stream) makes a large part of all alerts: give it a budget, or tell what was a mistake",
                    cure: "[[streams]]\nmatch = \(toml(stream))\nfalse_alarms = \"1/week\"\nrnnctl alerts query --stream \(quoted)"))
        }
        for (stream, own) in byStream {
            let wrong = own.count { $0["feedback"]?.text == "false" }
            guard wrong >= 3 else { continue }
            found.append(
                Finding(
                    what: "\(wrong) alerts judged false", stream: stream,
                    why: "\(stream) was wrong \(wrong) times of \(own.count); if it is of no use, say that only the severe counts",
                    cure: "[[streams]]\nmatch = \(toml(stream))\nseverity_min = \"critical\""))
        }
        for stream in streams {
            guard let name = stream["stream"]?.text, let last = stream["last_reading_at"]?.text.flatMap({ TimeText.parse($0) }) else {
                continue
            }
            let age = now - last
            let warm = stream["warm_up"]?.doubleValue ?? 1
            if stream["state"]?.text == "stale", age > 7 * 86_400_000_000_000 {
                found.append(
                    Finding(
                        what: "silent for \(TimeSpan(nanoseconds: age).brief)", stream: name,
                        why: "\(name) has not spoken for more than a week",
                        cure: "rnnctl streams forget \(shell(name))"))
            } else if warm < 1, let interval = stream["interval_seconds"]?.doubleValue, interval > 3600 {
                found.append(
                    Finding(
                        what: "learns slowly", stream: name,
                        why:
                            "\(name) gives a reading every \(TimeSpan(nanoseconds: Int64(interval * 1e9)).brief) and is \(Int(warm * 100)) % through its warm-up",
                        cure: "rnnctl streams show \(shell(name))"))
            }
            if found.count > 40 { break }
        }
        for (member, words) in [("lines_refused", "lines cannot be read"), ("readings_dropped", "readings are dropped")] {
            guard case .object(let reasons)? = status[member] else { continue }
            let accepted = status["readings_accepted"]?.doubleValue ?? 0
            for reason in reasons {
                let count = reason.value.doubleValue ?? 0
                guard count >= 10, count > accepted / 1000 else { continue }
                found.append(
                    Finding(
                        what: "\(Int64(count)) \(words)", stream: "", why: "\(words): \(reason.name)",
                        cure: member == "lines_refused" ? "rnnctl status | grep -A9 recent_refusals" : cure(reason.name)))
            }
        }
        if let problem = status["storage_problem"]?.text, !problem.isEmpty {
            found.append(Finding(what: "readings cannot be stored", stream: "", why: problem, cure: "df -h /var/lib/rnn-watchd"))
        }
        if notify["running"]?.truth != true {
            found.append(
                Finding(
                    what: "nobody is told", stream: "", why: "rnn-notify is not heard of; alerts are stored and in the journal only",
                    cure: "apt install rnn-watchd-notify\nsystemctl enable --now rnn-notify"))
        }
        for sink in notify["sinks"]?.items ?? [] {
            guard let trouble = sink["trouble"]?.text, let name = sink["sink"]?.text else { continue }
            found.append(Finding(what: "sink \(name) cannot be told", stream: "", why: trouble, cure: "rnnctl notify test \(shell(name))"))
        }
        return found
    }

    private static func cure(_ reason: String) -> String {
        switch reason {
        case "future": "timedatectl   # on the senders; or raise future_max"
        case "streams_max": "streams_max = 200000   # or streams_evict = true"
        case "channels_max": "channels_max = 1024"
        case "out_of_order", "duplicate": "rnnctl status   # does another sender give the same stream?"
        default: "rnnctl status"
        }
    }

    /// As one word of a shell.
    static func shell(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
    private static func toml(_ text: String) -> String { JSONValue.string(text).compact }
}
