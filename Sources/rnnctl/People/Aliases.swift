import ArgumentParser

/// Other words for commands and options, as people know them from elsewhere.
enum Aliases {
    /// The arguments in the words of the commands.
    static func replaced(_ arguments: [String]) -> [String] {
        // Completion scripts call back with words that are not to be touched.
        guard arguments.first?.hasPrefix("---") != true else { return arguments }
        var words = arguments
        if words.first == "silences" { words[0] = "silence" }
        // A group alone, or with options, shows what there is.
        if let first = words.first, let usual = ["silence": "list", "streams": "list", "notify": "status"][first],
            words.count == 1 || words[1].hasPrefix("-") && !["-h", "--help", "--version"].contains(words[1])
        {
            words.insert(usual, at: 1)
        }
        if words.first == "silence", words.count > 1, ["remove", "rm", "delete"].contains(words[1]) { words[1] = "end" }
        guard words.first == "alerts" else { return words }
        if words.count == 1 || words[1].hasPrefix("-") && !["-h", "--help", "--version"].contains(words[1]) {
            // What is open now.
            words.insert(
                contentsOf: words.contains("--state") || words.contains { $0.hasPrefix("--state=") }
                    ? ["query"] : ["query", "--state", "open"], at: 1)
        }
        if ["query", "list", "ls"].contains(words[1]) {
            words =
                Array(words[..<2])
                + words[2...].flatMap { word -> [String] in
                    switch word {
                    case "-n": ["--limit"]
                    case "--json": ["--format", "json"]
                    case "--severity": ["--min-severity"]
                    default: word.hasPrefix("--severity=") ? ["--min-severity=" + word.dropFirst(11)] : [word]
                    }
                }
            if let place = words.firstIndex(where: { $0 == "-f" || $0 == "--follow" }) {
                words.remove(at: place)
                words[1] = "follow"
            }
        }
        switch words[1] {
        case "list", "ls": words[1] = "query"
        case "acknowledge": words[1] = "ack"
        case "watch", "tail": words[1] = "follow"
        default: break
        }
        return words
    }
}
