import ArgumentParser
import Control
import Platform
import Tabular
import TimeSeries

struct Silences: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "silence", abstract: "Times in which nobody is told: maintenance, planned shutdowns.",
        discussion: """
            Alerts inside a silence are recorded and shown as ever; rnn-notify tells nobody of them. What was told before is still told to be over.

            EXAMPLES
              rnnctl silence add --stream 'pump,site=b*' --for 2h -m 'new bearings' --no-learn
              rnnctl silence add --tag room=lab --every 'Mon..Fri 22:00' --for 1h
              rnnctl silence list
              rnnctl silence end s1k2j3
            """, subcommands: [Add.self, List.self, End.self], defaultSubcommand: List.self)

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begin or plan a silence.",
            discussion: """
                Without --from it begins now. --every takes calendar events as systemd.time(7) has them, with a time zone at the end if it is not
                that of the daemon's configuration. --flexible begins with the first alert between --from and --until and lasts --for.
                --no-learn: streams are neither judged nor learned from meanwhile, so that the work does not become usual.

                EXAMPLES
                  rnnctl silence add --stream 'press,*' --from 'tomorrow 6:00' --for 3h
                  rnnctl silence add --stream 'db,*' --every 'Sun 03:00 Europe/Berlin' --for 2h
                """)
        @Option(name: .long, help: ArgumentHelp("Streams that match this glob; may be given again.", valueName: "glob"))
        var stream: [String] = []
        @Option(name: .long, help: ArgumentHelp("Streams with such a tag, KEY=GLOB; all that are given must match.", valueName: "tag"))
        var tag: [String] = []
        @Option(name: .long, help: ArgumentHelp("Alerts of this kind; may be given again.", valueName: "kind"))
        var kind: [String] = []
        @Option(name: .long, help: ArgumentHelp("Alerts of channels that match this glob; may be given again.", valueName: "glob"))
        var channel: [String] = []
        @Option(name: .long, help: ArgumentHelp("When it begins.", valueName: "when"))
        var from: FutureMoment?
        @Option(name: .long, help: ArgumentHelp("Recurring: a calendar event.", valueName: "calendar"))
        var every: String?
        @Flag(name: .long, help: "Begin with the first alert between --from and --until.")
        var flexible = false
        @Flag(name: .long, inversion: .prefixedNo, help: "Learn from what happens meanwhile.")
        var learn = true
        @OptionGroup var end: EndOptions2
        @OptionGroup var act: ActOptions

        func run() throws {
            func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
            try act.run(
                "silence.add",
                [
                    .init("streams", list(stream)), .init("tags", list(tag)), .init("kinds", list(kind)), .init("channels", list(channel)),
                    .init("from", .optional(from?.nanoseconds)), .init("calendar", .optional(every)), .init("flexible", .bool(flexible)),
                    .init("learn", .bool(learn)), .init("by", .string(Person.name)),
                ] + end.members)
        }
    }

    /// A length and an end may both be given here.
    struct EndOptions2: ParsableArguments {
        @Option(
            name: .customLong("for"), help: ArgumentHelp("How long it lasts, such as 2h.", valueName: "span"), transform: TimeSpan.option)
        var span: TimeSpan?
        @Option(name: .long, help: ArgumentHelp("When it ends; of a flexible one by when it begins.", valueName: "when"))
        var until: FutureMoment?
        var members: [JSONValue.Member] {
            [.init("for", .optional(span?.nanoseconds)), .init("until", .optional(until?.nanoseconds))]
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show silences in force and to come.", discussion: "EXAMPLES\n  rnnctl silence list --all")
        @Flag(name: .long, help: "Those that are over, too.")
        var all = false
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions

        func run() throws {
            let result = try target.ask("silence.list", .object(["all": .bool(all)])) { _ in
                throw ControlError.failed("silences are shown by a running daemon: leave out --state-dir")
            }
            guard format.format == .table, let table = ControlProtocol.table(result) else { return try format.printRows(result) }
            guard !table.rows.isEmpty else { return FileOutput.error("no silences") }
            let columns = ["id", "state", "until", "next", "about", "learn", "by", "comment"]
            let rows = table.objects.map { row -> [JSONValue] in
                columns.map { name in
                    switch name {
                    case "until": LocalTime.cell(row["in_force_until"])
                    case "next": LocalTime.cell(row["next_at"])
                    default: row[name] ?? .null
                    }
                }
            }
            try format.printRows(ControlProtocol.result(RecordTable(columns: columns, rows: rows)))
        }
    }

    struct End: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End silences before their time.", discussion: "EXAMPLES\n  rnnctl silence end s1k2j3")
        @Argument(help: "Ids as `rnnctl silence list` shows them.")
        var ids: [String]
        @OptionGroup var act: ActOptions
        func run() throws {
            try act.run("silence.end", [.init("ids", .array(ids.map { .string($0) })), .init("by", .string(Person.name))])
        }
    }
}
