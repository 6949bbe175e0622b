import ArgumentParser
import Configuration

/// The subcommands as words name them.
enum CommandTree {
    /// The deepest command that the words name, and the word after it.
    static func path(_ words: [String], _ root: ParsableCommand.Type) -> (command: ParsableCommand.Type, next: String?) {
        var command = root
        for word in words {
            guard let next = command.configuration.subcommands.first(where: { $0._commandName == word }) else { return (command, word) }
            command = next
        }
        return (command, nil)
    }

    /// What to say when a word stands where a subcommand is expected and is none; nil when all is well.
    static func complaint(_ words: [String], _ root: ParsableCommand.Type) -> String? {
        let (command, next) = path(words, root)
        let names = command.configuration.subcommands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
        guard let next, !names.isEmpty, !next.hasPrefix("-"), next != "help" else { return nil }
        let nearest = Spelling.nearest(to: next, among: names).map { "; did you mean '\($0)'?" } ?? ""
        return "Error: got '\(next)'\(nearest), expected one of: \(names.joined(separator: ", "))\n"
            + "Usage: " + root.usageString(for: command)
    }
}
