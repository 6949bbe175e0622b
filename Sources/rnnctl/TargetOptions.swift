import ArgumentParser
import CommandLineTool
import Configuration
import Control
import Platform
import Store
import Tabular
import TimeSeries
import WatchService

/// Which daemon or state directory a command is about.
struct TargetOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("Control socket of the daemon.", valueName: "path"))
    var controlSocket: String?
    @Option(
        name: .long, help: ArgumentHelp("Read the database in this directory; no daemon needed.", valueName: "dir"), completion: .directory)
    var stateDir: String?

    /// Where the daemon of the package listens.
    static let standardSocket = Configuration().text("control_socket")

    mutating func validate() throws {
        if controlSocket != nil && stateDir != nil { throw ValidationError("give --control-socket or --state-dir, not both") }
    }

    /// The arguments with these options moved behind the subcommand, where they are defined. A subcommand that asks neither daemon
    /// nor database (`simulate`, `score` ...) goes without them, so that `alias rnnctl='rnnctl --state-dir ./state'` fits all.
    static func moved(_ arguments: [String], root: ParsableCommand.Type = Rnnctl.self) -> [String] {
        var rest: [String] = []
        var found: [(name: String, words: [String])] = []
        var index = 0
        while index < arguments.count, arguments[index] != "--" {
            let argument = arguments[index]
            index += 1
            let name = String(argument.prefix { $0 != "=" })
            guard ["--control-socket", "--state-dir"].contains(name) else {
                rest.append(argument)
                continue
            }
            var words = [argument]
            if name == argument, index < arguments.count {
                words.append(arguments[index])
                index += 1
            }
            found.append((name, words))
        }
        rest = Aliases.replaced(rest)
        // Completion scripts call back (---completion) with words that are not to be moved.
        guard arguments.first?.hasPrefix("---") != true else { return arguments }
        guard !found.isEmpty else { return rest + arguments[index...] }
        let help = root.helpMessage(for: CommandTree.path(rest, root).command, includeHidden: true)
        let kept = found.filter { help.contains($0.name + " <") }
        return rest + kept.flatMap(\.words) + arguments[index...]
    }

    /// Asks the daemon, or answers from the database when a state directory is given.
    func ask(_ command: String, _ arguments: JSONValue = .object([]), offline: (StoreReader) throws -> JSONValue) throws -> JSONValue {
        if let stateDir {
            return try offline(try StoreReader(path: try TargetOptions.database(stateDir)))
        }
        return try ControlClient(path: controlSocket ?? TargetOptions.standardSocket).ask(command, arguments)
    }

    /// The database file of a state directory. Errors: there is none.
    static func database(_ directory: String) throws -> String {
        let path = directory + "/" + Daemon.databaseName
        guard Files.exists(path) else {
            if Files.isForbidden(path) {
                throw ControlError.forbidden("permission denied for \(path); become root, or ask the running daemon: leave out --state-dir")
            }
            throw ControlError.failed("no database in \(directory): expected \(path)")
        }
        return path
    }
}

/// How rows are printed.
struct FormatOptions: ParsableArguments {
    @Option(
        name: .long, help: ArgumentHelp("table, json, jsonl or csv.", valueName: "format"),
        completion: .list(["table", "json", "jsonl", "csv"]))
    var format: RecordTable.Format = .table

    func printRows(_ result: JSONValue) throws {
        guard let table = ControlProtocol.table(result) else { throw ControlError.failed("the answer is no table") }
        guard format == .table else { return _ = FileOutput.output(table.text(format)) }
        FileOutput.output(FormatOptions.readable(table).text(.table, widthMax: Looks.isWide ? nil : Terminal.columns()))
    }

    /// The table with moments cut to seconds, on a terminal in local time: columns that end in `_at` or `last_time` hold them.
    static func readable(_ table: RecordTable) -> RecordTable {
        var table = table
        for (index, column) in table.columns.enumerated() where column.hasSuffix("_at") || column.hasSuffix("_time") {
            for row in table.rows.indices {
                guard let text = table.rows[row][index].text, let moment = TimeText.parse(text) else { continue }
                table.rows[row][index] = .string(Terminal.columns() == nil ? TimeText.seconds(moment) : LocalTime.text(moment))
            }
        }
        return table
    }

    /// A single object: as `name value` lines, or as JSON (also for jsonl), or as one CSV row.
    func printObject(_ object: JSONValue) {
        switch format {
        case .json: FileOutput.output(object.pretty + "\n")
        case .jsonl: FileOutput.output(object.compact + "\n")
        case .csv, .table:
            guard case .object(let members) = object else { return }
            let table = RecordTable(columns: members.map(\.name), rows: [members.map(\.value)])
            FileOutput.output(format == .csv ? table.text(.csv) : Listing.text(members))
        }
    }
}

extension RecordTable.Format: ExpressibleByArgument {}

/// `name  value` lines; objects are indented below their name.
enum Listing {
    static func text(_ members: [JSONValue.Member], indent: String = "") -> String {
        let width = members.map(\.name.count).max() ?? 0
        var out = ""
        for member in members {
            let name = indent + member.name + String(repeating: " ", count: width - member.name.count)
            switch member.value {
            case .object(let inner): out += inner.isEmpty ? name + "  -\n" : name + "\n" + text(inner, indent: indent + "  ")
            case .array(let items) where items.contains(where: { if case .object = $0 { true } else { false } }):
                out += name + "\n"
                for item in items { out += indent + "  " + line(item) + "\n" }
            case .array(let items) where items.isEmpty: out += name + "  -\n"
            case .null: out += name + "  -\n"
            case .number(let number): out += name + "  " + NumberText.short(number) + "\n"
            default: out += name + "  " + RecordTable.printable(RecordTable.plain(member.value)) + "\n"
            }
        }
        return out
    }

    private static func line(_ item: JSONValue) -> String {
        guard case .object(let members) = item else { return RecordTable.printable(RecordTable.plain(item)) }
        return members.map {
            if case .number(let number) = $0.value { return "\($0.name)=\(NumberText.short(number))" }
            return "\($0.name)=\(RecordTable.printable(RecordTable.plain($0.value)))"
        }.joined(separator: "  ")
    }
}

extension TimeSpan {
    /// Reads an option's value.
    static func option(_ text: String) throws -> TimeSpan {
        do { return try TimeSpan(parsing: text) } catch { throw ValidationError(error.description) }
    }
}

/// A moment given as a duration before now (`2h`), a time of day (`10:00`), a day and a time (`yesterday`, `today 10:00`), a Unix time, or a
/// date with or without a time, local unless it names a zone.
struct Moment: ExpressibleByArgument {
    let nanoseconds: Int64
    init?(argument: String) {
        if let span = try? TimeSpan(parsing: argument) {
            nanoseconds = Clocks.wall().earlier(by: span.nanoseconds)
        } else if let time = LocalTime.parse(argument) {
            nanoseconds = time
        } else {
            return nil
        }
    }
}
