import Tabular

/// What a sink was told of one alert last.
public struct ToldAlert: Sendable, Equatable {
    public var severity: Level
    /// At the first telling; never changes.
    public var severityAtOpen: Level
    public var startsAt: String
}

/// What a sink was told of a group.
public struct ToldGroup: Sendable, Equatable {
    /// Alerts that the sink believes to be open.
    public var members: [String: ToldAlert] = [:]
    /// Wall time of the last message (nanoseconds since 1970).
    public var toldAt: Int64 = 0
    /// Messages so far: part of the next one's key.
    public var messages: Int64 = 0
    /// Reminders since the last change.
    public var reminders = 0
}

/// What one sink was told: the difference to what is now is what is due. Pure; `records` go to a file, `init(record:)` reads them back.
public struct ToldBook: Sendable, Equatable {
    public internal(set) var groups: [String: ToldGroup] = [:]
    /// Wall times of the messages of the last hour.
    public internal(set) var sent: [Int64] = []
    public init() {}

    /// Ids of all alerts that the sink believes to be open.
    public var ids: [String] { groups.values.flatMap { $0.members.keys } }

    /// The group as a record; nil members: the group is over.
    public func record(of group: String, sink: String) -> JSONValue {
        guard let told = groups[group] else { return .object(["sink": .string(sink), "group": .string(group), "over": .bool(true)]) }
        let members = told.members.sorted { $0.key < $1.key }.map { id, alert in
            JSONValue.object([
                "id": .string(id), "severity": .string(alert.severity.rawValue), "at_open": .string(alert.severityAtOpen.rawValue),
                "starts_at": .string(alert.startsAt),
            ])
        }
        return .object([
            "sink": .string(sink), "group": .string(group), "members": .array(members), "told_at": .integer(told.toldAt),
            "messages": .integer(told.messages), "reminders": .integer(Int64(told.reminders)),
        ])
    }

    /// Takes a record back.
    public mutating func take(_ record: JSONValue) {
        guard let group = record["group"]?.text else { return }
        if record["over"]?.truth == true { return groups[group] = nil }
        var told = ToldGroup()
        for member in record["members"]?.items ?? [] {
            guard let id = member["id"]?.text, let severity = Level(rawValue: member["severity"]?.text ?? "") else { continue }
            told.members[id] = ToldAlert(
                severity: severity, severityAtOpen: Level(rawValue: member["at_open"]?.text ?? "") ?? severity,
                startsAt: member["starts_at"]?.text ?? "")
        }
        told.toldAt = record["told_at"]?.integerValue ?? 0
        told.messages = record["messages"]?.integerValue ?? 0
        told.reminders = Int(record["reminders"]?.integerValue ?? 0)
        groups[group] = told
        sent.append(told.toldAt)
    }
}
