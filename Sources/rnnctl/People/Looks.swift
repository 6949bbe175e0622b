import Glibc
import Platform
import Tabular
import TimeSeries

/// How output looks on this terminal: `--utc`, `--wide`, `--color WHEN` and NO_COLOR, which every command takes.
enum Looks {
    nonisolated(unsafe) static var isWide = false
    /// nil: where standard output is a terminal.
    nonisolated(unsafe) static var wantsColour: Bool?

    static var hasColour: Bool {
        if let wantsColour { return wantsColour }
        if let no = getenv("NO_COLOR"), no.pointee != 0 { return false }
        let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true
        return isatty(1) == 1 && !isDumb
    }

    /// Takes these words out of the arguments.
    /// - Returns: what is wrong with one of them, or nil.
    static func take(_ arguments: inout [String]) -> String? {
        guard arguments.first?.hasPrefix("---") != true else { return nil }
        var rest: [String] = []
        var index = 0
        while index < arguments.count {
            let word = arguments[index]
            index += 1
            switch word {
            case "--":
                rest += [word] + arguments[index...]
                index = arguments.count
            case "--utc": LocalTime.isUTC = true
            case "--wide": isWide = true
            case "--color", "--colour":
                guard index < arguments.count, set(arguments[index]) else { return "--color: expected auto, always or never" }
                index += 1
            default:
                if word.hasPrefix("--color=") || word.hasPrefix("--colour=") {
                    guard set(String(word.drop { $0 != "=" }.dropFirst())) else { return "\(word): expected auto, always or never" }
                } else {
                    rest.append(word)
                }
            }
        }
        arguments = rest
        return nil
    }

    private static func set(_ text: String) -> Bool {
        switch text {
        case "auto": wantsColour = nil
        case "always": wantsColour = true
        case "never": wantsColour = false
        default: return false
        }
        return true
    }

    enum Tone: String { case red = "31", yellow = "33", cyan = "36", faint = "2", bold = "1" }

    static func paint(_ text: String, _ tone: Tone) -> String { hasColour ? "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m" : text }

    static func tone(ofSeverity severity: String) -> Tone { severity == "critical" ? .red : severity == "warning" ? .yellow : .cyan }

    /// Lines of at most `width` characters, broken at spaces.
    static func wrapped(_ text: String, width: Int) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ", omittingEmptySubsequences: true) {
            let line = lines[lines.count - 1]
            if line.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if line.count + 1 + word.count <= width {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}

extension Looks {
    /// A line for people; on a terminal broken at spaces, the rest indented.
    static func line(_ text: String) -> String {
        let text = RecordTable.printable(text)
        guard let width = Terminal.columns(), !isWide else { return text }
        return wrapped(text, width: max(40, width) - 2).joined(separator: "\n  ")
    }
}

/// Alerts for people: one line that says what and where, the sentence below it.
enum AlertView {
    /// - Parameter width: of the terminal, at least 40 is used.
    static func text(_ alerts: [JSONValue], width: Int) -> String {
        let width = max(40, width)
        var out = ""
        for alert in alerts {
            let severity = alert["severity"]?.text ?? ""
            let isOpen = alert["state"]?.text == "open"
            let mark = Looks.paint(isOpen ? "*" : "-", Looks.tone(ofSeverity: severity))
            let word = Looks.paint(severity, isOpen ? Looks.tone(ofSeverity: severity) : .faint)
            let id = alert["id"]?.text ?? ""
            let when = LocalTime.cell(alert["opened_at"]).text ?? ""
            let lasted = AlertView.lasted(alert)
            let kind = alert["kind"]?.text ?? ""
            out += "\(mark) \(word)  \(id)  \(kind)  \(when), \(lasted)\(attention(alert))\n"
            for line in Looks.wrapped(RecordTable.printable(alert["stream"]?.text ?? ""), width: width - 2) {
                out += "  \(Looks.paint(line, .bold))\n"
            }
            for line in Looks.wrapped(RecordTable.printable(alert["reason"]?.text ?? ""), width: width - 2) { out += "  \(line)\n" }
            if let comment = alert["comment"]?.text {
                for line in Looks.wrapped("\"" + RecordTable.printable(comment) + "\"", width: width - 2) {
                    out += "  \(Looks.paint(line, .faint))\n"
                }
            }
        }
        return out
    }

    private static func attention(_ alert: JSONValue) -> String {
        switch alert["attention"]?.text {
        case "acked": ", acked by \(RecordTable.printable(alert["acked_by"]?.text ?? "?"))"
        case "shelved": ", shelved until \(LocalTime.cell(alert["shelved_until"]).text ?? "?")"
        default: alert["close_reason"]?.text.map { ", \($0)" } ?? ""
        }
    }

    /// From opening to closing.
    static func lasted(_ alert: JSONValue) -> String {
        guard let opened = alert["opened_at"]?.text.flatMap({ TimeText.parse($0) }) else { return "" }
        guard let closed = alert["closed_at"]?.text.flatMap({ TimeText.parse($0) }) else { return "open" }
        return TimeSpan(nanoseconds: closed.subtractingReportingOverflow(opened).partialValue).brief
    }
}
