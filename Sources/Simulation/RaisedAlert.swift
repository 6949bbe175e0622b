import Tabular

/// What the report needs to know of one alert.
public struct RaisedAlert: Sendable, Equatable {
    /// Canonical key of the stream.
    public var stream: String
    /// Names of the channels that were blamed.
    public var channels: [String]
    /// Kind as the detector names it, for example `anomaly`, `stale`, `stuck`.
    public var kind: String
    /// Severity as the detector names it; empty when unknown.
    public var severity: String
    /// Time of opening, nanoseconds since 1970.
    public var openedNs: Int64

    /// An alert from its parts.
    public init(stream: String, channels: [String], kind: String, severity: String = "", openedNs: Int64) {
        self.stream = stream
        self.channels = channels
        self.kind = kind
        self.severity = severity
        self.openedNs = openedNs
    }

    /// Reads the rows of `rnnctl alerts query --format json` (one array) or `jsonl` (one object a line).
    ///
    /// Members used: `stream`, `channels` (array, or text with commas), `kind`, `severity`, `opened_at` (RFC 3339, or a Unix time
    /// whose unit is told by its size). Others are ignored. Throws when a row has no `stream` or no readable `opened_at`.
    public static func list(json bytes: [UInt8]) throws(SimulationError) -> [RaisedAlert] {
        var alerts: [RaisedAlert] = []
        var reader = JSONReader(bytes)
        while let value = try reader.next(of: "alerts") {
            let rows: [JSONValue] = if case .array(let items) = value { items } else { [value] }
            for row in rows {
                guard let stream = row["stream"]?.text, let opened = row["opened_at"]?.timeNs else {
                    throw .file(what: "alerts", line: reader.line, reason: "expected rows with stream and opened_at")
                }
                alerts.append(
                    RaisedAlert(
                        stream: stream, channels: row["channels"]?.texts ?? [], kind: row["kind"]?.text ?? "",
                        severity: row["severity"]?.text ?? "", openedNs: opened))
            }
        }
        return alerts
    }
}
