import Configuration
import Platform
import TOMLKit
import TimeSeries
import WireFormats

/// All problems of a configuration, each with what was got and what was expected.
public struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    public let problems: [String]
    public var description: String { problems.joined(separator: "\n") }
}

extension Settings {
    /// Reads a configuration file. Errors: every problem of the file.
    public init(toml: String, file: String) throws(SettingsError) {
        self.init()
        let table: TOMLTable
        do { table = try TOMLText.table(toml, file: file) } catch { throw SettingsError(problems: error.problems.map { "\($0)" }) }
        var reader = SettingsReader(file: file, table: table, section: "", toml: toml)
        if let items = reader.texts("listen") {
            for item in items {
                if let place = Listen(item) { listen.append(place) } else { reader.report("listen", item, Settings.listenExpected) }
            }
        }
        reader.text("ingest_socket", &ingestSocket)
        reader.text("control_socket", &controlSocket)
        if let text = reader.text("ack") {
            if let value = Acknowledge(rawValue: text) { acknowledge = value } else { reader.report("ack", text, "stored or received") }
        }
        reader.span("ack_timeout", &acknowledgeTimeout)
        reader.size("body_bytes_max", &bodyBytesMax, 1 << 10...1 << 30)
        reader.size("inflated_bytes_max", &inflatedBytesMax, 1 << 10...1 << 30)
        reader.size("memory_bytes_max", &memoryBytesMax, 1 << 20...1 << 36)
        reader.size("connections_max", &connectionsMax, 1...100_000)
        reader.span("head_timeout", &headTimeout)
        reader.span("body_timeout", &bodyTimeout)
        reader.flag("trust_local", &trustLocal)
        hosts = reader.texts("hosts") ?? []
        if let names = reader.texts("otlp_resource_attributes") { resourceAttributes = ResourceAttributes(names) }
        reader.text("rnnctl", &rnnctl)
        reader.text("tls_certificate", &tlsCertificate)
        reader.text("tls_key", &tlsKey)
        if let text = reader.text("socket_mode") {
            if let mode = UInt32(text, radix: 8), mode <= 0o777 {
                socketMode = mode
            } else {
                reader.report("socket_mode", text, "0600 to 0777")
            }
        }
        tokens = reader.sections("tokens") { Settings.token(&$0) }
        mqtt = reader.sections("mqtt") { Settings.mqttSource(&$0) }
        if Set(mqtt.map { "\($0.host):\($0.port) \($0.clientID)" }).count != mqtt.count {
            reader.report("mqtt", "a client_id twice at one broker", "client_id that differ: the broker would cut one off for the other")
        }
        if tlsCertificate.isEmpty != tlsKey.isEmpty {
            reader.report("tls_certificate", tlsCertificate, "both tls_certificate and tls_key, or none")
        }
        if Set(tokens.map(\.name)).count != tokens.count { reader.report("tokens", "a name twice", "names that differ") }
        if Set(tokens.map(\.secret)).count != tokens.count { reader.report("tokens", "a token twice", "tokens that differ") }
        reader.end()
        guard reader.problems.isEmpty else { throw SettingsError(problems: reader.problems) }
    }

    static let listenExpected = "127.0.0.1:PORT, [::1]:PORT or unix:/PATH"

    private static func token(_ reader: inout SettingsReader) -> Token? {
        let name = reader.text("name") ?? ""
        var secret = reader.text("token") ?? ""
        if let path = reader.text("token_file") {
            do { secret = String(decoding: try Files.read(path, bytesMax: 4096), as: UTF8.self).trimmed } catch {
                reader.report("token_file", path, "a file with the token (\(error))")
            }
        }
        let rights = Set((reader.texts("rights") ?? ["write"]).compactMap { Right(rawValue: $0) })
        if (reader.texts("rights") ?? ["write"]).contains(where: { Right(rawValue: $0) == nil }) {
            reader.report("rights", (reader.texts("rights") ?? []).joined(separator: " "), "write, read, act")
        }
        if name.isEmpty { reader.report("name", "nothing", "a name") }
        // Short secrets can be guessed at the rate of requests.
        if secret.utf8.count < 16 { reader.report("token", "\(secret.utf8.count) bytes", "at least 16") }
        var token = Token(name: name, secret: secret, rights: rights)
        let prefix = reader.text("prefix") ?? ""
        let tags = reader.pairs("tags")
        if ([prefix] + tags.flatMap { [$0.0, $0.1] }).contains(where: { $0.utf8.contains { $0 < 32 || $0 == 127 } })
            || tags.contains(where: { $0.0.isEmpty || $0.1.isEmpty })
        {
            reader.report("tags", "empty names or control characters", "text")
        }
        token.decoration = Decoration(prefix: prefix, tags: tags)
        reader.number("readings_per_second_max", &token.readingsPerSecondMax)
        reader.size("streams_max", &token.streamsMax, 0...10_000_000)
        return token
    }
}

extension Settings {
    fileprivate static func mqttSource(_ reader: inout SettingsReader) -> MQTTSource? {
        var source = MQTTSource()
        reader.text("host", &source.host)
        reader.size("port", &source.port, 1...65535)
        source.topics = reader.texts("topics") ?? []
        reader.text("user", &source.user)
        reader.text("password_file", &source.passwordFile)
        reader.text("client_id", &source.clientID)
        reader.text("ca_file", &source.authorities)
        if source.topics.isEmpty { reader.report("topics", "none", "at least one, such as sensors/#") }
        if source.clientID.isEmpty { reader.report("client_id", "nothing", "a name") }
        return source
    }
}

/// Takes known keys out of a table and reports what does not fit, and what nobody asked for.
struct SettingsReader {
    let file: String
    let table: TOMLTable
    let section: String
    let toml: String
    private(set) var problems: [String] = []
    private var asked: Set<String> = []

    init(file: String, table: TOMLTable, section: String, toml: String) {
        (self.file, self.table, self.section, self.toml) = (file, table, section, toml)
    }

    mutating func report(_ name: String, _ got: String, _ expected: String) {
        problems.append("\(file)\(line(of: name)): \(section)\(name): got \(got), expected \(expected)")
    }

    /// `:LINE` of the first line that gives the key, when there is one.
    private func line(of name: String) -> String {
        for (index, line) in toml.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let key = line.drop { $0 == " " || $0 == "\t" || $0 == "[" }
            if key.hasPrefix(name), key.dropFirst(name.count).first.map({ " \t=]".contains($0) }) ?? false { return ":\(index + 1)" }
        }
        return ""
    }

    private mutating func node(_ name: String) -> TOMLValueConvertible? {
        asked.insert(name)
        return table[name]
    }

    mutating func text(_ name: String) -> String? {
        guard let node = node(name) else { return nil }
        if let text = node.string { return text }
        report(name, "\(node.type)", "text in quotes")
        return nil
    }

    mutating func text(_ name: String, _ value: inout String) { if let text = text(name) { value = text } }

    mutating func texts(_ name: String) -> [String]? {
        guard let node = node(name) else { return nil }
        if let items = node.array, case let texts = items.compactMap(\.string), texts.count == items.count { return texts }
        if let text = node.string { return [text] }
        report(name, "\(node.type)", "a list of texts")
        return nil
    }

    mutating func pairs(_ name: String) -> [(String, String)] {
        guard let node = node(name) else { return [] }
        guard let table = node.table else {
            report(name, "\(node.type)", "{ key = \"value\" }")
            return []
        }
        return table.keys.sorted().compactMap { key in table[key]?.string.map { (key, $0) } }
    }

    mutating func flag(_ name: String, _ value: inout Bool) {
        guard let node = node(name) else { return }
        if let flag = node.bool { value = flag } else { report(name, "\(node.type)", "true or false") }
    }

    mutating func number(_ name: String, _ value: inout Double) {
        guard let node = node(name) else { return }
        if let number = node.double ?? node.int.map(Double.init), number >= 0, number.isFinite {
            value = number
        } else {
            report(name, "\(node.type)", "a number of 0 or more")
        }
    }

    mutating func span(_ name: String, _ value: inout Int64) {
        guard let text = text(name) else { return }
        do {
            let span = try TimeSpan(parsing: text)
            if span.nanoseconds > 0 { value = span.nanoseconds } else { report(name, text, "more than 0s") }
        } catch { report(name, text, "a duration such as 30s (\(error))") }
    }

    mutating func size(_ name: String, _ value: inout Int, _ range: ClosedRange<Int>) {
        guard let node = node(name) else { return }
        guard let number = node.int ?? node.string.flatMap(SettingsReader.bytes), range.contains(number) else {
            return report(name, node.string ?? node.int.map { "\($0)" } ?? "\(node.type)", "\(range.lowerBound) to \(range.upperBound)")
        }
        value = number
    }

    /// `64KiB`, `32MiB`, `1GiB` or bytes.
    static func bytes(_ text: String) -> Int? {
        for (unit, shift) in [("KiB", 10), ("MiB", 20), ("GiB", 30)] where text.hasSuffix(unit) {
            guard let count = Int(text.dropLast(3)), count >= 0, count < 1 << 30 else { return nil }
            return count << shift
        }
        return Int(text)
    }

    mutating func sections<Section>(_ name: String, _ read: (inout SettingsReader) -> Section?) -> [Section] {
        guard let node = node(name) else { return [] }
        guard let items = node.array, items.allSatisfy({ $0.table != nil }) else {
            report(name, "\(node.type)", "sections headed [[\(name)]]")
            return []
        }
        return items.enumerated().compactMap { index, item in
            guard let table = item.table else { return nil }
            var reader = SettingsReader(file: file, table: table, section: "\(name)[\(index + 1)].", toml: toml)
            let section = read(&reader)
            reader.end()
            problems += reader.problems
            return section
        }
    }

    /// Reports keys that nobody asked for.
    mutating func end() {
        for key in table.keys.sorted() where !asked.contains(key) {
            problems.append(
                "\(file)\(line(of: key)): \(section)\(key): unknown key, expected one of \(asked.sorted().joined(separator: ", "))")
        }
    }
}

extension String {
    /// Without blanks and line ends around it.
    var trimmed: String {
        var rest = Substring(self)
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest.drop { $0.isWhitespace })
    }
}
