import Configuration
import Notification
import TOMLKit
import TimeSeries

/// One sink as the file has it.
public struct SinkConfiguration: Sendable {
    public enum Kind: String, Sendable, CaseIterable { case webhook, alertmanager, exec, mqtt, email, ntfy }
    public var name = ""
    public var kind = Kind.webhook
    public var rules = SinkRules()
    public var url = ""
    public var urlFile = ""
    public var tokenFile = ""
    public var user = ""
    public var passwordFile = ""
    public var headers: [String] = []
    public var caFile = ""
    public var timeout: Int64 = 20_000_000_000
    /// exec: the program and its arguments.
    public var command: [String] = []
    public var to: [String] = []
    public var from = ""
    public var sendmail = "/usr/sbin/sendmail"
    /// mqtt: what topics begin with, and Home Assistant's prefix (empty: no discovery).
    public var topic = "rnn-watchd"
    public var discovery = "homeassistant"
    /// alertmanager: how often open alerts are sent again.
    public var resend: Int64 = 60_000_000_000
    /// The sink that hears when this one cannot be reached for `give_up`.
    public var fallback = ""
}

/// What `rnn-notify.toml` says.
public struct NotifyConfiguration: Sendable {
    public var controlSocket = Configuration().text("control_socket")
    public var stateDirectory = ""
    public var logLevel = "info"
    /// After so long without success a sink's trouble is told elsewhere.
    public var giveUp: Int64 = 86_400_000_000_000
    public var sinks: [SinkConfiguration] = []
    public var deadManURL = ""
    public var deadManFailURL = ""
    public var deadManInterval: Int64 = 60_000_000_000

    /// Reads a file's text. Errors: every problem, with line and column where they are known.
    public init(toml: String, file: String) throws(ConfigurationErrors) {
        let table = try TOMLText.table(toml, file: file)
        var reader = NotifyReader(file: file, text: toml)
        reader.top(table, &self)
        guard reader.problems.isEmpty else {
            throw ConfigurationErrors(problems: reader.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) })
        }
    }
}

/// Turns nodes into values and collects problems.
private struct NotifyReader {
    let file: String
    /// Section as it is headed, number among those of its name, key, line and column.
    let places: [(section: String, number: Int, key: String, line: Int, column: Int)]
    var problems: [ConfigurationProblem] = []

    init(file: String, text: String) {
        self.file = file
        var places: [(section: String, number: Int, key: String, line: Int, column: Int)] = []
        var (section, number, counts) = ("", 0, [String: Int]())
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let head = line.drop { $0 == " " || $0 == "\t" }
            let column = line.count - head.count + 1
            if head.first == "[" {
                section = String(head.filter { $0.isLetter || $0 == "_" }.prefix(40))
                if head.contains("#") { section = String(head.prefix { $0 != "#" }.filter { $0.isLetter || $0 == "_" }) }
                number = counts[section, default: -1] + 1
                counts[section] = number
                places.append((section, number, "", index + 1, column))
            } else if let equals = head.firstIndex(of: "="), head.first != "#" {
                places.append((section, number, head[..<equals].filter { !" \t\"'".contains($0) }, index + 1, column))
            }
        }
        self.places = places
    }

    mutating func report(_ section: String, _ number: Int, _ key: String, _ message: String) {
        let place = places.first { $0.section == section && $0.number == number && $0.key == key }
        problems.append(
            ConfigurationProblem(
                file: file, line: place?.line ?? 0, column: place?.column ?? 0, message: key.isEmpty ? message : "\(key): \(message)"))
    }

    private mutating func unknown(_ section: String, _ number: Int, _ key: String, among known: [String]) {
        let nearest = Spelling.nearest(to: key, among: known).map { "; did you mean \"\($0)\"?" } ?? ""
        report(section, number, key, "unknown key\(nearest)")
    }

    private mutating func text(_ node: any TOMLValueConvertible, _ s: String, _ n: Int, _ key: String) -> String? {
        if let text = node.string { return text }
        report(s, n, key, "got a \(node.type), expected a text in quotes")
        return nil
    }

    private mutating func texts(_ node: any TOMLValueConvertible, _ s: String, _ n: Int, _ key: String) -> [String]? {
        if let text = node.string { return [text] }
        if let array = node.array, !array.contains(where: { $0.string == nil }) { return array.compactMap { $0.string } }
        report(s, n, key, "got a \(node.type), expected a text or a list of texts")
        return nil
    }

    private mutating func span(_ node: any TOMLValueConvertible, _ s: String, _ n: Int, _ key: String, min: Int64 = 0) -> Int64? {
        if let text = node.string, let span = try? TimeSpan(parsing: text), span.nanoseconds >= min { return span.nanoseconds }
        report(s, n, key, "got \(node.string.map { "\"\($0)\"" } ?? "a \(node.type)"), expected a span such as \"5min\"")
        return nil
    }

    private mutating func level(_ node: any TOMLValueConvertible, _ s: String, _ n: Int, _ key: String) -> Level? {
        if let level = Level(rawValue: node.string ?? "") { return level }
        report(s, n, key, "got \(node.string.map { "\"\($0)\"" } ?? "a \(node.type)"), expected \"info\", \"warning\" or \"critical\"")
        return nil
    }

    mutating func top(_ table: TOMLTable, _ into: inout NotifyConfiguration) {
        let known = ["control_socket", "state_dir", "log_level", "give_up", "sinks", "dead_man"]
        for key in table.keys {
            guard let node = table[key] else { continue }
            switch key {
            case "control_socket": into.controlSocket = text(node, "", 0, key) ?? ""
            case "state_dir": into.stateDirectory = text(node, "", 0, key) ?? ""
            case "log_level":
                let level = text(node, "", 0, key) ?? "info"
                if !["error", "warning", "notice", "info", "debug"].contains(level) {
                    report("", 0, key, "got \"\(level)\", expected error, warning, notice, info or debug")
                }
                into.logLevel = level
            case "give_up": into.giveUp = span(node, "", 0, key, min: 1) ?? into.giveUp
            case "sinks":
                guard let array = node.array else {
                    report("", 0, key, "got a \(node.type), expected sections headed [[sinks]]")
                    continue
                }
                for (number, section) in array.enumerated() {
                    guard let table = section.table else {
                        report("", 0, key, "got a \(section.type), expected a section headed [[sinks]]")
                        continue
                    }
                    into.sinks.append(sink(table, number))
                }
            case "dead_man":
                guard let table = node.table else {
                    report("", 0, key, "got a \(node.type), expected a section headed [dead_man]")
                    continue
                }
                for name in table.keys {
                    guard let node = table[name] else { continue }
                    switch name {
                    case "url": into.deadManURL = text(node, "dead_man", 0, name) ?? ""
                    case "fail_url": into.deadManFailURL = text(node, "dead_man", 0, name) ?? ""
                    case "interval": into.deadManInterval = span(node, "dead_man", 0, name, min: 1_000_000_000) ?? 60_000_000_000
                    default: unknown("dead_man", 0, name, among: ["url", "fail_url", "interval"])
                    }
                }
            default: unknown("", 0, key, among: known)
            }
        }
        var names: Set<String> = []
        for (number, sink) in into.sinks.enumerated() {
            if !names.insert(sink.name).inserted {
                report("sinks", number, "name", "got \"\(sink.name)\" twice, expected another name for each sink")
            }
            if !sink.fallback.isEmpty, !into.sinks.contains(where: { $0.name == sink.fallback && $0.name != sink.name }) {
                report("sinks", number, "fallback", "got \"\(sink.fallback)\", expected the name of another sink")
            }
        }
    }

    private static let sinkKeys = [
        "name", "type", "url", "url_file", "token_file", "user", "password_file", "headers", "ca_file", "timeout", "command", "to", "from",
        "sendmail", "topic", "discovery", "resend", "fallback", "severity_min", "streams", "group_by", "group_wait", "group_interval",
        "reminders", "resolved", "messages_per_hour", "quiet", "quiet_severity", "flap_max", "flap_window", "flap_hold",
    ]

    private mutating func sink(_ table: TOMLTable, _ n: Int) -> SinkConfiguration {
        var sink = SinkConfiguration()
        let s = "sinks"
        if let node = table["type"] {
            if let kind = SinkConfiguration.Kind(rawValue: node.string ?? "") {
                sink.kind = kind
            } else {
                let kinds = SinkConfiguration.Kind.allCases.map(\.rawValue)
                let nearest = node.string.flatMap { Spelling.nearest(to: $0, among: kinds) }.map { "; did you mean \"\($0)\"?" } ?? ""
                report(s, n, "type", "got \"\(node.string ?? "")\", expected \(kinds.joined(separator: ", "))\(nearest)")
            }
        } else {
            report(s, n, "", "section [[sinks]] has no type")
        }
        if [.email, .ntfy].contains(sink.kind) { sink.rules.messagesPerHour = 30 }
        for key in table.keys where key != "type" {
            guard let node = table[key] else { continue }
            switch key {
            case "name": sink.name = text(node, s, n, key) ?? ""
            case "url": sink.url = text(node, s, n, key) ?? ""
            case "url_file": sink.urlFile = text(node, s, n, key) ?? ""
            case "token_file": sink.tokenFile = text(node, s, n, key) ?? ""
            case "user": sink.user = text(node, s, n, key) ?? ""
            case "password_file": sink.passwordFile = text(node, s, n, key) ?? ""
            case "ca_file": sink.caFile = text(node, s, n, key) ?? ""
            case "headers": sink.headers = texts(node, s, n, key) ?? []
            case "timeout": sink.timeout = span(node, s, n, key, min: 1_000_000) ?? sink.timeout
            case "command": sink.command = texts(node, s, n, key) ?? []
            case "to": sink.to = texts(node, s, n, key) ?? []
            case "from": sink.from = text(node, s, n, key) ?? ""
            case "sendmail": sink.sendmail = text(node, s, n, key) ?? ""
            case "topic": sink.topic = text(node, s, n, key) ?? ""
            case "discovery": sink.discovery = text(node, s, n, key) ?? ""
            case "resend": sink.resend = span(node, s, n, key, min: 1_000_000_000) ?? sink.resend
            case "fallback": sink.fallback = text(node, s, n, key) ?? ""
            case "severity_min": sink.rules.severityMin = level(node, s, n, key) ?? .info
            case "streams": sink.rules.streams = texts(node, s, n, key) ?? []
            case "group_by": sink.rules.groupBy = texts(node, s, n, key) ?? []
            case "group_wait": sink.rules.groupWait = span(node, s, n, key) ?? sink.rules.groupWait
            case "group_interval": sink.rules.groupInterval = span(node, s, n, key) ?? sink.rules.groupInterval
            case "reminders":
                let list = texts(node, s, n, key) ?? []
                let spans = list.compactMap { try? TimeSpan(parsing: $0).nanoseconds }.filter { $0 > 0 }
                if spans.count != list.count { report(s, n, key, "expected spans such as [\"30min\", \"2h\", \"1d\"]") }
                sink.rules.reminders = spans
            case "resolved":
                if let flag = node.bool {
                    sink.rules.tellsResolved = flag
                } else {
                    report(s, n, key, "got a \(node.type), expected true or false")
                }
            case "messages_per_hour", "flap_max":
                if let number = node.int, (0...100_000).contains(number) {
                    if key == "flap_max" { sink.rules.flapMax = number } else { sink.rules.messagesPerHour = number }
                } else {
                    report(s, n, key, "expected a whole number, 0 for none")
                }
            case "quiet":
                let clock = (text(node, s, n, key) ?? "").split(separator: "-").map { part -> Int? in
                    let numbers = part.split(separator: ":").map { Int($0) }
                    guard numbers.count == 2, let hour = numbers[0], let minute = numbers[1], (0...24).contains(hour),
                        (0..<60).contains(minute)
                    else { return nil }
                    return hour * 60 + minute
                }
                if clock.count == 2, let from = clock[0], let until = clock[1] {
                    sink.rules.quiet = (from, until)
                } else {
                    report(s, n, key, "expected two times of the day such as \"22:00-07:00\"")
                }
            case "quiet_severity": sink.rules.quietSeverity = level(node, s, n, key) ?? .critical
            case "flap_window": sink.rules.flapWindow = span(node, s, n, key) ?? sink.rules.flapWindow
            case "flap_hold": sink.rules.flapHold = span(node, s, n, key) ?? sink.rules.flapHold
            default: unknown(s, n, key, among: NotifyReader.sinkKeys)
            }
        }
        if sink.name.isEmpty { report(s, n, "", "section [[sinks]] has no name") }
        switch sink.kind {
        case .webhook, .alertmanager, .ntfy, .mqtt:
            if sink.url.isEmpty, sink.urlFile.isEmpty { report(s, n, "", "sink \(sink.name) wants a url (or url_file)") }
            let schemes = sink.kind == .mqtt ? ["mqtt://", "mqtts://"] : ["http://", "https://"]
            if !sink.url.isEmpty, !schemes.contains(where: { sink.url.hasPrefix($0) }) {
                report(s, n, "url", "got \"\(sink.url)\", expected one that begins with \(schemes.joined(separator: " or "))")
            }
        case .exec:
            if sink.command.first?.hasPrefix("/") != true { report(s, n, "command", "expected [\"/path/of/program\", \"argument\"]") }
        case .email:
            if sink.to.isEmpty { report(s, n, "", "sink \(sink.name) wants addresses: to") }
            for address in sink.to + (sink.from.isEmpty ? [] : [sink.from])
            where address.contains(where: { $0.isNewline }) || !address.contains("@") {
                report(s, n, "to", "got \"\(address)\", expected an e-mail address")
            }
        }
        return sink
    }
}
