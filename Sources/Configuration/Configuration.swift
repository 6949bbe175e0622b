import TOMLKit
import TimeSeries

/// A problem in a configuration file: where it is, what was found, what was expected.
public struct ConfigurationProblem: Error, Sendable, Equatable, CustomStringConvertible {
    public let file: String
    /// 1-based; 0 when the place is not known.
    public let line: Int
    public let column: Int
    public let message: String

    public init(file: String, line: Int, column: Int, message: String) {
        (self.file, self.line, self.column, self.message) = (file, line, column, message)
    }

    public var description: String { line > 0 ? "\(file):\(line):\(column): \(message)" : "\(file): \(message)" }
}

/// All problems of one file together.
public struct ConfigurationErrors: Error, Sendable, CustomStringConvertible {
    public let problems: [ConfigurationProblem]
    public init(problems: [ConfigurationProblem]) { self.problems = problems }
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Settings for the streams that match a glob.
public struct StreamRule: Sendable, Equatable {
    public var match: String
    public var ignore = false
    /// nil: as the top level says.
    public var falseAlarms: EventRate?
    /// Of all streams of the section together; nil: none.
    public var falseAlarmsOfGroup: EventRate?
    /// nil: as the top level says.
    public var timeZone: String?
    public var staleAfter: Int64?
    /// Nanoseconds; negative: by the stream's interval; nil: as the top level says.
    public var lateMax: Int64?
    public var severityMin = "info"
    /// `NAME` or `NAME@VERSION`; empty for the built-in network.
    public var model = ""
    /// Glob over channel names that `missing` and `range` are about. A section with another one than `*` says nothing else.
    public var channel = "*"
    /// Values that stand for a missing one.
    public var missing: [Double] = []
    /// Values outside are no readings of the thing itself; nil: any.
    public var range: ClosedRange<Double>?
}

/// A `[[sources]]` section: how a kind of sender says what its values are of.
public struct SourceSection: Sendable, Equatable {
    /// A known kind to begin with; empty for none.
    public var preset = ""
    /// The others are nil where the preset counts.
    public var match: String?
    public var has: [String]?
    public var streamFrom: [String]?
    public var ignoreFields: [String]?
    public var timeField: String?
    public var timeFormat: String?
    public var valueFrom: String?
    public var states: [String: Double]?
}

/// The validated settings. Values are typed by the key's kind; asking for a key with the wrong kind is a bug.
public struct Configuration: Sendable, Equatable {
    /// A value after validation: durations in nanoseconds, sizes in bytes.
    enum Value: Sendable, Equatable {
        case text(String)
        case number(Int64)
        case flag(Bool)
        case rate(EventRate?)
    }

    private var values: [String: Value] = [:]
    public var streamRules: [StreamRule] = []
    public var sourceSections: [SourceSection] = []

    /// Longest wait for late readings: 30 days.
    private static let windowMax: Int64 = 30 * 86_400 * 1_000_000_000

    /// The defaults.
    public init() {
        for key in Key.all { values[key.name] = Configuration.value(key.kind, text: key.standard) }
    }

    public func text(_ name: String) -> String { if case .text(let text)? = values[name] { text } else { "" } }
    /// A count, a duration in nanoseconds, a size in bytes, or a file mode.
    public func number(_ name: String) -> Int64 { if case .number(let number)? = values[name] { number } else { 0 } }
    public func flag(_ name: String) -> Bool { if case .flag(let flag)? = values[name] { flag } else { false } }
    /// nil for none.
    public func rate(_ name: String) -> EventRate? { if case .rate(let rate)? = values[name] { rate } else { nil } }

    /// Sets a key from text, as a command-line option does. false: the key is unknown or the text does not fit.
    public mutating func set(_ name: String, to text: String) -> Bool {
        guard let key = Key.all.first(where: { $0.name == name }), let value = Configuration.value(key.kind, text: text) else {
            return false
        }
        values[name] = value
        return true
    }

    /// Whether a text can name a time zone: letters, digits, `_`, `+`, `-` in parts between single slashes. Whether the system knows it
    /// is for whoever reads its table of zones to say.
    static func isZoneName(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return text.utf8.count <= 64
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.utf8.allSatisfy {
                        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95 || $0 == 43 || $0 == 45
                    }
            }
    }

    /// Every time zone that is named, with the place of the first naming: section (nil for the top level).
    public var timeZones: [(name: String, section: Int?)] {
        [(text("timezone"), nil)] + streamRules.enumerated().compactMap { index, rule in rule.timeZone.map { ($0, index) } }
    }

    /// The group of streams that share a false-alarm budget with `stream`, and that budget; nil when it shares none. Group 1 is the
    /// host, group 2 the first section, and so on.
    public func budgetGroup(of stream: String) -> (group: UInt16, rate: EventRate)? {
        guard let place = streamRules.firstIndex(where: { $0.channel == "*" && Glob.matches($0.match, stream) }) else {
            return rate("false_alarms_host").map { (1, $0) }
        }
        if let shared = streamRules[place].falseAlarmsOfGroup { return (UInt16(clamping: place + 2), shared) }
        return streamRules[place].falseAlarms == nil ? rate("false_alarms_host").map { (1, $0) } : nil
    }

    /// The name and the budget of a group (see `budgetGroup(of:)`); nil when there is none of that number.
    public func budgetGroup(_ group: UInt16) -> (name: String, rate: EventRate)? {
        if group == 1 { return rate("false_alarms_host").map { ("host", $0) } }
        guard group >= 2, Int(group) - 2 < streamRules.count else { return nil }
        let rule = streamRules[Int(group) - 2]
        return rule.falseAlarmsOfGroup.map { (rule.match, $0) }
    }

    /// Names of the keys whose values differ.
    public func differences(from other: Configuration) -> [Key] { Key.all.filter { values[$0.name] != other.values[$0.name] } }

    /// Takes over `name` from another configuration.
    public mutating func adopt(_ name: String, from other: Configuration) { values[name] = other.values[name] }

    /// The rule for a stream: the first section whose glob matches its canonical key.
    public func rule(for stream: String) -> StreamRule? {
        streamRules.first { $0.channel == "*" && Glob.matches($0.match, stream) }
    }

    /// What values of a channel may be: markers of missing ones, and the range; nil when nothing is said.
    public func check(stream: String, channel: String) -> (missing: [Double], range: ClosedRange<Double>?)? {
        var found: (missing: [Double], range: ClosedRange<Double>?) = ([], nil)
        for rule in streamRules where !rule.missing.isEmpty || rule.range != nil {
            guard Glob.matches(rule.match, stream), Glob.matches(rule.channel, channel) else { continue }
            if found.missing.isEmpty { found.missing = rule.missing }
            if found.range == nil { found.range = rule.range }
        }
        return found.missing.isEmpty && found.range == nil ? nil : found
    }

    /// Whether any section may say something about values of a stream's channels.
    public func hasChecks(stream: String) -> Bool {
        streamRules.contains { (!$0.missing.isEmpty || $0.range != nil) && Glob.matches($0.match, stream) }
    }

    /// Reads a TOML document. Errors: every problem of the document, in order.
    public init(toml: String, file: String) throws(ConfigurationErrors) {
        self.init()
        let table = try TOMLText.table(toml, file: file)
        var reader = Reader(file: file, places: Places(toml))
        for name in table.keys where name != "streams" && name != "sources" {
            guard let node = table[name] else { continue }
            if let value = reader.value(node, name: name, keys: Key.all, section: nil) { values[name] = value }
        }
        if let node = table["streams"] {
            if let sections = node.array {
                for (index, section) in sections.enumerated() { streamRules.append(reader.rule(section, index)) }
            } else {
                reader.report("streams", nil, "got \(node.type), expected sections headed [[streams]]")
            }
        }
        if let node = table["sources"] {
            if let sections = node.array {
                for (index, section) in sections.enumerated() { sourceSections.append(reader.source(section, Places.sourcesFrom + index)) }
            } else {
                reader.report("sources", nil, "got \(node.type), expected sections headed [[sources]]")
            }
        }
        guard reader.problems.isEmpty else {
            throw ConfigurationErrors(problems: reader.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) })
        }
    }

    static func value(_ kind: Key.Kind, text: String) -> Value? {
        switch kind {
        case .zone: return isZoneName(text) ? .text(text) : nil
        case .list: return nil
        case .window:
            if text == "auto" { return .number(-1) }
            return (try? TimeSpan(parsing: text)).flatMap {
                (0...Configuration.windowMax).contains($0.nanoseconds) ? .number($0.nanoseconds) : nil
            }
        case .text, .path: return text.utf8.contains(0) ? nil : .text(text)
        case .choice(let names): return names.contains(text) ? .text(text) : nil
        case .flag: return text == "true" ? .flag(true) : text == "false" ? .flag(false) : nil
        case .count(let range): return Int64(text).flatMap { range.contains($0) ? .number($0) : nil }
        case .duration(let range):
            return (try? TimeSpan(parsing: text)).flatMap { range.contains($0.nanoseconds) ? .number($0.nanoseconds) : nil }
        case .size(let range): return Units.size(text).flatMap { range.contains($0) ? .number($0) : nil }
        case .budget:
            if text.isEmpty { return .number(0) }
            guard let slash = text.lastIndex(of: "/"), let span = try? TimeSpan(parsing: String(text[text.index(after: slash)...])),
                let bytes = Units.size(String(text[..<slash])), bytes > 0, span.nanoseconds > 0
            else { return nil }
            let perDay = Double(bytes) * 86400e9 / Double(span.nanoseconds)
            return (1...Units.bytesPerDayMax).contains(perDay) ? .number(Int64(perDay)) : nil
        case .rate:
            return text.isEmpty
                ? .rate(nil)
                : (try? EventRate(parsing: text)).flatMap { Units.secondsBetween.contains($0.secondsBetween) ? .rate($0) : nil }
        case .mode: return Int64(text, radix: 8).flatMap { (0...0o777).contains($0) ? .number($0) : nil }
        }
    }
}

/// Collects problems while it turns TOML nodes into values.
private struct Reader {
    let file: String
    let places: Places
    var problems: [ConfigurationProblem] = []

    mutating func report(_ name: String, _ section: Int?, _ message: String, ofValue: Bool = true) {
        let place = places.place(name, section: section, ofValue: ofValue)
        problems.append(ConfigurationProblem(file: file, line: place.line, column: place.column, message: message))
    }

    mutating func value(_ node: any TOMLValueConvertible, name: String, keys: [Key], section: Int?) -> Configuration.Value? {
        guard let key = keys.first(where: { $0.name == name }) else {
            let nearest = Spelling.nearest(to: name, among: keys.map(\.name) + (section == nil ? ["streams", "sources"] : []))
            report(name, section, "unknown key \"\(name)\"" + (nearest.map { "; did you mean \"\($0)\"?" } ?? ""), ofValue: false)
            return nil
        }
        let text: String?
        switch (key.kind, node.type) {
        case (.count, .int): text = node.int.map(String.init)
        case (.flag, .bool): text = node.bool.map { $0 ? "true" : "false" }
        case (.count, _), (.flag, _): text = nil
        case (_, .string): text = node.string
        default: text = nil
        }
        let shown = node.type == .string ? "\"\(node.string ?? "")\"" : node.type == .int ? "\(node.int ?? 0)" : "a \(node.type)"
        guard let text, let value = Configuration.value(key.kind, text: text) else {
            report(name, section, "\(name): got \(shown), expected \(key.kind.expected)")
            return nil
        }
        return value
    }

    mutating func rule(_ node: any TOMLValueConvertible, _ index: Int) -> StreamRule {
        var rule = StreamRule(match: "")
        guard let table = node.table else {
            report("streams", nil, "got \(node.type), expected a section headed [[streams]]")
            return rule
        }
        for name in table.keys {
            guard let member = table[name] else { continue }
            if name == "missing" || name == "range" {
                guard let numbers = numbers(member) else {
                    report(name, index, "\(name): got a \(member.type), expected numbers such as [-127]")
                    continue
                }
                if name == "missing" {
                    rule.missing = numbers
                } else if numbers.isEmpty {
                    rule.range = nil
                } else if numbers.count == 2, numbers[0] <= numbers[1] {
                    rule.range = numbers[0]...numbers[1]
                } else {
                    report(name, index, "range: got \(numbers.count) numbers, expected two, the smaller first, such as [-40, 85]")
                }
                continue
            }
            guard let value = value(member, name: name, keys: Key.streamRule, section: index) else { continue }
            switch (name, value) {
            case ("match", .text(let text)): rule.match = text
            case ("ignore", .flag(let flag)): rule.ignore = flag
            case ("false_alarms", .rate(let rate)): rule.falseAlarms = rate
            case ("false_alarms_group", .rate(let rate)): rule.falseAlarmsOfGroup = rate
            case ("timezone", .text(let text)): rule.timeZone = text
            case ("stale_after", .number(let number)): rule.staleAfter = number
            case ("severity_min", .text(let text)): rule.severityMin = text
            case ("model", .text(let text)): rule.model = text
            case ("channel", .text(let text)): rule.channel = text
            case ("late_max", .number(let number)): rule.lateMax = number
            default: break
            }
        }
        if rule.falseAlarms != nil, rule.falseAlarmsOfGroup != nil {
            report("false_alarms_group", index, "false_alarms_group: got it beside false_alarms, expected one of the two")
        }
        if rule.match.isEmpty { report("streams", index, "section [[streams]] has no match = \"GLOB\"", ofValue: false) }
        return rule
    }
}

extension Reader {
    /// Finite numbers of an array; nil when something else is in it.
    private func numbers(_ node: any TOMLValueConvertible) -> [Double]? {
        guard let array = node.array else { return nil }
        var numbers: [Double] = []
        for item in array {
            guard let number = item.double ?? item.int.map(Double.init), number.isFinite else { return nil }
            numbers.append(number)
        }
        return numbers
    }

    private func texts(_ node: any TOMLValueConvertible) -> [String]? {
        if let one = node.string { return [one] }
        guard let array = node.array else { return nil }
        var texts: [String] = []
        for item in array {
            guard let text = item.string, !text.isEmpty else { return nil }
            texts.append(text)
        }
        return texts
    }

    /// A `[[sources]]` section; `section` is its number for places.
    mutating func source(_ node: any TOMLValueConvertible, _ section: Int) -> SourceSection {
        var source = SourceSection()
        guard let table = node.table else {
            report("sources", nil, "got \(node.type), expected a section headed [[sources]]")
            return source
        }
        for name in table.keys {
            guard let member = table[name] else { continue }
            switch name {
            case "preset":
                source.preset = member.string ?? ""
                if !Key.sourcePresets.contains(source.preset) {
                    let known = Key.sourcePresets.map { "\"\($0)\"" }.joined(separator: ", ")
                    report(name, section, "preset: got \"\(source.preset)\", expected one of \(known)")
                }
            case "match", "time_field", "value_from", "time_format":
                guard let text = member.string else {
                    report(name, section, "\(name): got a \(member.type), expected a string")
                    continue
                }
                if name == "match" { source.match = text }
                if name == "time_field" { source.timeField = text }
                if name == "value_from" { source.valueFrom = text }
                guard name == "time_format" else { continue }
                source.timeFormat = text
                if !Key.timeUnits.contains(text), TimePattern(text) == nil {
                    report(
                        name, section,
                        "time_format: got \"\(text)\", expected seconds, milliseconds, microseconds, nanoseconds or a pattern such as %d/%m/%Y %H:%M:%S"
                    )
                }
            case "has", "stream_from", "ignore_fields":
                guard let texts = texts(member) else {
                    report(name, section, "\(name): got a \(member.type), expected names such as [\"model\", \"id\"]")
                    continue
                }
                if name == "has" { source.has = texts }
                if name == "stream_from" { source.streamFrom = texts }
                if name == "ignore_fields" { source.ignoreFields = texts }
            case "states":
                var states: [String: Double] = [:]
                for word in member.table?.keys ?? [] {
                    guard let item = member.table?[word], let number = item.double ?? item.int.map(Double.init), number.isFinite else {
                        continue
                    }
                    states[word.lowercased()] = number
                }
                guard let words = member.table, states.count == words.keys.count else {
                    report(name, section, "states: got a \(member.type), expected words with their numbers such as { ON = 1, OFF = 0 }")
                    continue
                }
                source.states = states
            default:
                let nearest = Spelling.nearest(to: name, among: Key.source.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
                report(name, section, "unknown key \"\(name)\"" + nearest, ofValue: false)
            }
        }
        return source
    }
}

/// Where keys stand in the text; the TOML reader gives positions only for syntax errors.
private struct Places {
    /// Number of the first `[[sources]]` section.
    static let sourcesFrom = 1 << 20
    private var entries: [(section: Int?, name: String, line: Int, keyColumn: Int, valueColumn: Int)] = []

    init(_ text: String) {
        var section: Int?
        var counts = (streams: -1, sources: -1)
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let bytes = Array(line.utf8)
            let start = bytes.firstIndex { $0 != 32 && $0 != 9 } ?? bytes.count
            guard start < bytes.count, bytes[start] != 35 else { continue }
            if bytes[start] == 91 {
                let isSource = line.trimmed.hasPrefix("[[sources]]")
                if line.trimmed.hasPrefix("[[streams]]") {
                    counts.streams += 1
                    section = counts.streams
                } else if isSource {
                    counts.sources += 1
                    section = Places.sourcesFrom + counts.sources
                }
                entries.append((section, isSource ? "sources" : "streams", index + 1, start + 1, start + 1))
                continue
            }
            guard let equals = bytes.firstIndex(of: 61) else { continue }
            var name = String(decoding: bytes[start..<equals], as: UTF8.self).trimmed
            if name.count >= 2, name.first == "\"" || name.first == "'" { name = String(name.dropFirst().dropLast()) }
            let value = bytes[(equals + 1)...].firstIndex { $0 != 32 && $0 != 9 } ?? equals
            entries.append((section, name, index + 1, start + 1, value + 1))
        }
    }

    func place(_ name: String, section: Int?, ofValue: Bool) -> (line: Int, column: Int) {
        guard let entry = entries.first(where: { $0.section == section && $0.name == name }) else { return (0, 0) }
        return (entry.line, ofValue ? entry.valueColumn : entry.keyColumn)
    }
}
