import ArgumentParser
import Control
import Glibc
import Platform
import Store
import Tabular
import TimeSeries
import WatchService

/// Which alerts an act is about.
struct AlertChoice: ParsableArguments {
    @Argument(help: "Ids, beginnings of ids, globs over ids of open alerts, or - for ids on standard input, one a line.")
    var ids: [String] = []
    @Option(name: .long, help: ArgumentHelp("The open alerts of streams that match this glob.", valueName: "glob"))
    var stream: String?

    mutating func validate() throws {
        if ids.isEmpty && stream == nil {
            throw ValidationError("say which alerts: ids (rnnctl alerts list shows them), - or --stream GLOB")
        }
    }

    var members: [JSONValue.Member] { AlertChoice.members(ids, stream) }

    static func members(_ ids: [String], _ stream: String? = nil) -> [JSONValue.Member] {
        var all = ids.filter { $0 != "-" }
        if ids.contains("-") {
            while let line = readLine() { all += line.split(separator: " ").prefix(1).map(String.init) }
        }
        return [.init("ids", .array(all.map { .string($0) })), .init("stream", .optional(stream)), .init("by", .string(Person.name))]
    }
}

/// Who sits here: the one who called sudo, else the user of this process.
enum Person {
    static var name: String {
        if getuid() == 0, let sudo = getenv("SUDO_USER") { return String(cString: sudo) }
        return getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "uid \(getuid())"
    }
}

/// What every act has: a remark, the form of the answer, the daemon.
struct ActOptions: ParsableArguments {
    @Option(name: [.customShort("m"), .long], help: ArgumentHelp("A remark that is kept with it.", valueName: "text"))
    var message: String?
    @OptionGroup var format: FormatOptions
    @OptionGroup var target: TargetOptions

    /// Asks the daemon and prints what became of each; the command fails when one was refused.
    func run(_ command: String, _ members: [JSONValue.Member]) throws {
        guard target.stateDir == nil else {
            throw ControlError.failed("this changes what a running daemon knows: leave out --state-dir")
        }
        let result = try target.ask(command, .object(members + [.init("text", .optional(message))])) { _ in .null }
        guard let table = ControlProtocol.table(result) else { return show(result) }
        let refused = table.objects.contains { $0["ok"]?.truth == false }
        if format.format == .table {
            for row in table.objects {
                let stream = row["stream"]?.text.map { "  \($0)" } ?? ""
                let line = Looks.line("\(row["id"]?.text ?? "")\(stream): \(row["result"]?.text ?? "")")
                if row["ok"]?.truth == false { FileOutput.error(line) } else { FileOutput.output(line + "\n") }
            }
        } else {
            FileOutput.output(table.text(format.format))
        }
        if refused { throw ExitCode(1) }
    }
}

extension ActOptions {
    /// A silence that was added.
    private func show(_ silence: JSONValue) {
        guard format.format == .table, let id = silence["id"]?.text else { return format.printObject(silence) }
        let until = LocalTime.cell(silence["in_force_until"]).text.map { " until \($0)" } ?? ""
        let next = LocalTime.cell(silence["next_at"]).text.map { ", next at \($0)" } ?? ""
        let learn = silence["learn"]?.truth == false ? "; nothing is judged or learned meanwhile" : ""
        FileOutput.output(
            RecordTable.printable("\(id): \(silence["about"]?.text ?? ""): \(silence["state"]?.text ?? "")\(until)\(next)\(learn)") + "\n")
    }
}

/// For how long or until when.
struct EndOptions: ParsableArguments {
    @Option(name: .customLong("for"), help: ArgumentHelp("For so long, such as 2h.", valueName: "span"), transform: TimeSpan.option)
    var span: TimeSpan?
    @Option(name: .long, help: ArgumentHelp("Until then: 18:00, tomorrow 8:00, 2026-11-24.", valueName: "when"))
    var until: FutureMoment?

    mutating func validate() throws {
        if span != nil && until != nil { throw ValidationError("give --for or --until, not both") }
    }

    var members: [JSONValue.Member] {
        [.init("for", .optional(span?.nanoseconds)), .init("until", .optional(until?.nanoseconds))]
    }
}

extension Alerts {
    struct Ack: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say that somebody is on it.",
            discussion: """
                An acknowledgement ends by itself: when the alert closes, when its severity rises, when its incident gets another member, or
                after --for. When the alert comes back within alert_close_after it holds again.

                EXAMPLES
                  rnnctl alerts ack 26c4b397-1 -m "pump is being replaced"
                  rnnctl alerts ack --stream 'pump,*' --for 2h
                """)
        @OptionGroup var choice: AlertChoice
        @OptionGroup var end: EndOptions
        @OptionGroup var act: ActOptions
        func run() throws { try act.run("alerts.ack", choice.members + end.members) }
    }

    struct Shelve: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put alerts aside for a time, at most 7 days.",
            discussion: """
                It ends at the close or at the time that was given. With --stream, alerts of these streams that open meanwhile are shelved, too.

                EXAMPLES
                  rnnctl alerts shelve 26c4b397-1 --until 'tomorrow 8:00'
                  rnnctl alerts shelve --stream 'pump,site=b*' --for 8h
                """)
        @OptionGroup var choice: AlertChoice
        @OptionGroup var end: EndOptions
        @OptionGroup var act: ActOptions
        func run() throws { try act.run("alerts.shelve", choice.members + end.members) }
    }

    struct Unshelve: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a shelf before its time.", discussion: "EXAMPLES\n  rnnctl alerts unshelve 26c4b397-1")
        @OptionGroup var choice: AlertChoice
        @OptionGroup var act: ActOptions
        func run() throws { try act.run("alerts.unshelve", choice.members) }
    }

    struct Close: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Close alerts by hand.",
            discussion:
                "When the stream is still unusual, the next alarm opens another alert.\n\nEXAMPLES\n  rnnctl alerts close 26c4b397-1")
        @OptionGroup var choice: AlertChoice
        @OptionGroup var act: ActOptions
        func run() throws { try act.run("alerts.close", choice.members) }
    }

    struct Comment: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Leave a remark at alerts.", discussion: "EXAMPLES\n  rnnctl alerts comment 26c4b397-1 -m 'see ticket 4711'")
        @OptionGroup var choice: AlertChoice
        @OptionGroup var act: ActOptions
        func run() throws {
            guard act.message?.isEmpty == false else { throw ValidationError("a comment wants a text: -m TEXT") }
            try act.run("alerts.comment", choice.members)
        }
    }

    struct Feedback: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether an alert was right: true, false or expected.",
            discussion: """
                true: right, it does not count against the false-alarm budget. false: a mistake, it counts, and for 30 days the like of it on this
                stream needs more points. expected: unusual, but known: the bar is raised around that hour of that weekday.

                EXAMPLES
                  rnnctl alerts feedback 26c4b397-1 false -m "filter was cleaned"
                """)
        @Argument(help: "Ids (see `rnnctl alerts ack --help`), then the verdict: true, false or expected.")
        var words: [String]
        @OptionGroup var act: ActOptions

        mutating func validate() throws {
            guard words.count >= 2, ["true", "false", "expected"].contains(words.last) else {
                throw ValidationError("feedback wants ids and then true, false or expected")
            }
        }
        func run() throws {
            try act.run("alerts.feedback", AlertChoice.members(words.dropLast()) + [.init("verdict", .optional(words.last))])
        }
    }

    struct Follow: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print steps of alerts as they come, until interrupted.",
            discussion: """
                Every step has a number. With --after NUMBER it goes on from there and misses none, also over restarts of the daemon, which it
                waits for.

                EXAMPLES
                  rnnctl alerts follow
                  rnnctl alerts follow --after 1234 --format jsonl
                """)
        @Option(name: .long, help: ArgumentHelp("Steps after this number; without it those from now on.", valueName: "number"))
        var after: Int64?
        @Option(name: .long, help: ArgumentHelp("Of streams that match this glob.", valueName: "glob"))
        var stream: String?
        @Flag(name: .long, help: "Print what there is and stop.")
        var once = false
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions

        func run() throws { try Follow.follow(after: after, stream: stream, once: once, format, target) }

        static func follow(after: Int64?, stream: String?, once: Bool, _ format: FormatOptions, _ target: TargetOptions) throws {
            guard target.stateDir == nil else { throw ControlError.failed("follow asks a running daemon: leave out --state-dir") }
            guard format.format != .csv else { throw ValidationError("follow prints table or jsonl") }
            var cursor = after
            var hasTold = false
            while true {
                do throws(ControlError) {
                    let client = try ControlClient(path: target.controlSocket ?? TargetOptions.standardSocket)
                    hasTold = false
                    while true {
                        let answer = try client.ask(
                            "alerts.follow",
                            .object([
                                "after": .optional(cursor), "stream": .optional(stream),
                                "wait_seconds": .integer(once || cursor == nil ? 0 : 30),
                            ]),
                            isPatient: true)
                        if let from = cursor, let oldest = answer["oldest"]?.integerValue, oldest > from + 1, from > 0 {
                            let kept = answer["steps"]?.items?.first?["step"]?.integerValue ?? oldest
                            if kept > from + 1 {
                                FileOutput.error("steps \(from + 1) to \(kept - 1) are not kept any more, or of other streams")
                            }
                        }
                        for step in answer["steps"]?.items ?? [] { FileOutput.output(line(step, format)) }
                        cursor = answer["next"]?.integerValue ?? cursor
                        if once, answer["steps"]?.items?.isEmpty ?? true { return }
                        if once, cursor == answer["newest"]?.integerValue { return }
                    }
                } catch {
                    guard case .unreachable(let reason) = error, !once, cursor != nil else { throw error }
                    if !hasTold { FileOutput.error("\(reason); waiting for it") }
                    hasTold = true
                    Clocks.sleep(nanoseconds: 1_000_000_000)
                }
            }
        }

        private static func line(_ step: JSONValue, _ format: FormatOptions) -> String {
            guard format.format == .table else { return step.compact + "\n" }
            let at = step["stored_at"]?.text.flatMap { TimeText.parse($0) }.map { LocalTime.text($0) } ?? ""
            let by = step["by"]?.text.map { " by \($0)" } ?? ""
            let text =
                step["text"]?.text
                ?? (["opened", "updated", "closed"].contains(step["transition"]?.text ?? "") ? step["reason"]?.text : nil)
            let words = [
                at, step["severity"]?.text ?? "", step["id"]?.text ?? "", (step["transition"]?.text ?? "") + by, step["stream"]?.text ?? "",
            ]
            return Looks.line(words.joined(separator: "  ") + (text.map { ": \($0)" } ?? "")) + "\n"
        }
    }
}
