import Tabular
import TimeSeries

/// Levels as alerts have them, ordered.
public enum Level: String, Sendable, CaseIterable, Comparable {
    case info, warning, critical
    private var rank: Int { self == .info ? 0 : self == .warning ? 1 : 2 }
    public static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }
}

/// An alert as the daemon shows it now.
public struct NotifyAlert: Sendable, Equatable {
    public var id: String
    public var stream: String
    public var channels: [String]
    public var kind: String
    public var severity: Level
    public var isOpen: Bool
    /// Moments in RFC 3339 as they came; `openedTime` in nanoseconds since 1970.
    public var openedAt: String
    public var openedTime: Int64
    public var closedAt: String?
    public var closeReason: String?
    public var reason: String
    public var score: Double?
    public var incident: String?
    public var attention: String
    public var ackedBy: String?
    public var comment: String?
    /// The silence that keeps it back; nil for none.
    public var silencedBy: String?

    /// nil: the row is none of an alert.
    public init?(row: JSONValue) {
        guard let id = row["id"]?.text, let stream = row["stream"]?.text, let openedAt = row["opened_at"]?.text else { return nil }
        (self.id, self.stream, self.openedAt) = (id, stream, openedAt)
        channels = row["channels"]?.items?.compactMap(\.text) ?? []
        kind = row["kind"]?.text ?? "anomaly"
        severity = Level(rawValue: row["severity"]?.text ?? "") ?? .warning
        isOpen = row["state"]?.text != "closed"
        openedTime = TimeText.parse(openedAt) ?? 0
        (closedAt, closeReason) = (row["closed_at"]?.text, row["close_reason"]?.text)
        reason = row["reason"]?.text ?? ""
        score = row["peak_score"]?.doubleValue
        (incident, attention) = (row["incident"]?.text, row["attention"]?.text ?? "new")
        (ackedBy, comment, silencedBy) = (row["acked_by"]?.text, row["comment"]?.text, row["silenced_by"]?.text)
    }

    /// Nobody is to hear of it now, though it is open.
    public var isSuppressed: Bool { silencedBy != nil || attention != "new" }

    /// Measurement and tags of the stream's key.
    public var tags: (measurement: String, tags: [(name: String, value: String)]) {
        var parts: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in stream.utf8 {
            if byte == 44, !isEscaped { parts.append([]) } else { parts[parts.count - 1].append(byte) }
            isEscaped = byte == 92 && !isEscaped
        }
        let tags = parts.dropFirst().map { part -> (String, String) in
            guard let equals = part.firstIndex(of: 61) else { return (String(decoding: part, as: UTF8.self), "") }
            return (String(decoding: part[..<equals], as: UTF8.self), String(decoding: part[(equals + 1)...], as: UTF8.self))
        }
        return (String(decoding: parts[0], as: UTF8.self), tags)
    }
}
