import Glibc
import TimeSeries

/// Structured lines on standard error: `time level message key=value`, or journald priority prefixes under systemd.
public struct Log: Sendable {
    public enum Level: Int, Sendable, Comparable, CaseIterable {
        case error = 3
        case warning = 4
        case notice = 5
        case info = 6
        case debug = 7

        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
        public var name: String { "\(self)" }
    }

    private let underJournal: Bool
    private let shared: Locked<Level>

    public init(level: Level) {
        shared = Locked(level)
        underJournal = getenv("JOURNAL_STREAM") != nil
    }

    /// Messages less urgent than this are not written. All copies of a log share it.
    public var level: Level {
        get { shared.withLock { $0 } }
        nonmutating set { shared.withLock { $0 = newValue } }
    }

    /// Writes one line in one `write`. `fields` follow the message in the given order.
    public func write(_ level: Level, _ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        guard level <= self.level else { return }
        var line = underJournal ? "<\(level.rawValue)>" : "\(TimeText.milliseconds(Clocks.wall())) \(level.name) "
        line += message
        for (key, value) in fields {
            let quoted = value.utf8.contains { $0 <= 32 || $0 == 34 }
            line += " \(key)=" + (quoted ? "\"" + value.replacingQuotes() + "\"" : value)
        }
        line += "\n"
        var bytes = Array(line.utf8)
        _ = Glibc.write(2, &bytes, bytes.count)
    }

    public func error(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.error, message, fields) }
    public func warning(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.warning, message, fields) }
    public func notice(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.notice, message, fields) }
    public func info(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.info, message, fields) }
    public func debug(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.debug, message, fields) }
}

extension String {
    fileprivate func replacingQuotes() -> String {
        var result = ""
        for character in unicodeScalars {
            switch character {
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
