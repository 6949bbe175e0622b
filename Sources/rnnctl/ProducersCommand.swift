import ArgumentParser
import Control
import Platform
import Readings
import Store
import Tabular
import WatchService

/// Clients that number their lines.
struct Producers: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List or forget clients that number their lines (#!producer NAME, rnnctl send).",
        discussion: "EXAMPLES\n  rnnctl producers list\n  rnnctl producers forget archive-2025", subcommands: [List.self, Forget.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Whose names there are, how many lines of each are stored, and when it was last heard of.",
            discussion: "EXAMPLES\n  rnnctl producers list\n  rnnctl producers list --format csv")
        @OptionGroup var format: FormatOptions
        @OptionGroup var target: TargetOptions

        func run() throws {
            try format.printRows(try target.ask("producers.list") { ControlProtocol.result(try StoreQuestions.producers($0)) })
        }
    }

    struct Forget: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget how far a client was: when it greets again it begins with line 1.",
            discussion: "EXAMPLES\n  rnnctl producers forget archive-2025\n  rnnctl producers forget archive-2025 --uid 1000")
        @Argument(help: "Its name.")
        var name: String
        @Option(name: .long, help: ArgumentHelp("The user's number; needed when several users have the name.", valueName: "uid"))
        var uid: UInt32?
        @OptionGroup var target: TargetOptions

        func run() throws {
            let uid = uid.map { JSONValue.integer(Int64($0)) }
            let arguments = JSONValue.object([JSONValue.Member("name", .string(name))] + (uid.map { [JSONValue.Member("uid", $0)] } ?? []))
            if let directory = target.stateDir {
                let path = try TargetOptions.database(directory)
                let lock = try DirectoryLock(path: directory + "/lock")
                let producer = try StoreQuestions.producer(arguments, try StoreReader(path: path))
                let store = try StoreWriter(path: path, durability: .always, now: Clocks.wall())
                var isKnown = false
                try store.transaction { () throws(StoreError) in isKnown = try store.forget(producer) }
                _ = consume lock
                guard isKnown else {
                    throw ControlError.failed("no producer \(name) of uid \(producer.user); `rnnctl producers list` shows all")
                }
            } else {
                _ = try ControlClient(path: target.controlSocket ?? TargetOptions.standardSocket).ask("producers.forget", arguments)
            }
            FileOutput.error("forgot \(name)")
        }
    }
}
