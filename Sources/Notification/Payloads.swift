import Tabular
import TimeSeries

/// What sinks send, as bytes and texts.
public enum Payloads {
    /// Labels that never change over an alert's life: its identity.
    public static func labels(_ alert: NotifyAlert, severityAtOpen: Level) -> [JSONValue.Member] {
        let (measurement, tags) = alert.tags
        var labels: [JSONValue.Member] = [
            .init("alertname", .string("rnn_watchd_" + alert.kind)), .init("alert_id", .string(alert.id)),
            .init("stream", .string(alert.stream)), .init("kind", .string(alert.kind)), .init("measurement", .string(measurement)),
            .init("severity_at_open", .string(severityAtOpen.rawValue)),
        ]
        for tag in tags {
            let name = label(tag.name)
            if !labels.contains(where: { $0.name == name }), !tag.value.isEmpty { labels.append(.init(name, .string(tag.value))) }
        }
        return labels.filter { $0.value.text != "" }
    }

    /// A name that Prometheus takes: letters, digits, underscores.
    static func label(_ name: String) -> String {
        let kept = String(
            name.unicodeScalars.map { $0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil) ? Character($0) : "_" }
        )
        return kept.first?.isNumber ?? true ? "_" + kept : kept
    }

    public static func annotations(_ alert: NotifyAlert) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("summary", .string(summary(alert))), .init("description", .string(alert.reason)),
            .init("severity", .string(alert.severity.rawValue)), .init("channels", .string(alert.channels.joined(separator: " "))),
        ]
        if let score = alert.score { members.append(.init("score", .string(NumberText.short(score)))) }
        if let reason = alert.closeReason { members.append(.init("close_reason", .string(reason))) }
        if let comment = alert.comment { members.append(.init("comment", .string(comment))) }
        if let incident = alert.incident { members.append(.init("incident", .string(incident))) }
        return members.filter { $0.value.text != "" }
    }

    /// One line for people.
    public static func summary(_ alert: NotifyAlert) -> String {
        alert.isOpen ? "\(alert.stream): \(alert.reason)" : "\(alert.stream): over (\(alert.closeReason ?? "closed")): \(alert.reason)"
    }

    private static let never = "0001-01-01T00:00:00Z"

    /// Alertmanager's webhook document, version 4, with the reason of the message.
    public static func webhook(_ notice: Notice, sink: String, atOpen: (String) -> Level?) -> JSONValue {
        func alert(_ alert: NotifyAlert, _ isFiring: Bool) -> JSONValue {
            let identity = labels(alert, severityAtOpen: atOpen(alert.id) ?? alert.severity)
            return .object([
                "status": .string(isFiring ? "firing" : "resolved"),
                "labels": .object(identity + [.init("severity", .string(alert.severity.rawValue))]),
                "annotations": .object(annotations(alert)), "startsAt": .string(alert.openedAt),
                "endsAt": .string(isFiring ? never : alert.closedAt ?? never), "generatorURL": .string(""),
                "fingerprint": .string(fingerprint(identity)),
            ])
        }
        let all = notice.firing.map { alert($0, true) } + notice.resolved.map { alert($0, false) }
        func common(_ part: String) -> JSONValue {
            guard case .object(let first)? = all.first?[part] else { return .object([]) }
            return .object(first.filter { member in all.allSatisfy { $0[part]?[member.name] == member.value } })
        }
        return .object([
            "version": .string("4"), "groupKey": .string(notice.group), "truncatedAlerts": .integer(0),
            "status": .string(notice.isResolved ? "resolved" : "firing"), "receiver": .string(sink),
            "groupLabels": .object(["group": .string(notice.group)]), "commonLabels": common("labels"),
            "commonAnnotations": common("annotations"), "externalURL": .string(""), "notification_reason": .string(notice.reason.rawValue),
            "idempotency_key": .string(notice.key), "alerts": .array(all),
        ])
    }

    static func fingerprint(_ labels: [JSONValue.Member]) -> String {
        Notice.checksum(labels.sorted { $0.name < $1.name }.map { "\($0.name)=\($0.value.text ?? "")" }.joined(separator: "\u{1}"))
    }

    /// One alert for `POST /api/v2/alerts`. The labels are its identity, so none of them changes; a firing one ends by itself unless it is
    /// sent again before `until` (RFC 3339).
    public static func alertmanager(_ alert: NotifyAlert, severityAtOpen: Level, until: String) -> JSONValue {
        .object([
            "labels": .object(labels(alert, severityAtOpen: severityAtOpen)), "annotations": .object(annotations(alert)),
            "startsAt": .string(alert.openedAt), "endsAt": .string(alert.isOpen ? until : alert.closedAt ?? until),
        ])
    }

    /// A heading, without line ends.
    public static func title(_ notice: Notice) -> String {
        let state = notice.reason == .test ? "TEST" : notice.isResolved ? "RESOLVED" : notice.severity.rawValue.uppercased()
        guard let first = notice.firing.first ?? notice.resolved.first else { return "[\(state)] rnn-watchd" }
        let more = notice.firing.count + notice.resolved.count - 1
        let text = "[\(state)] \(first.stream.isEmpty ? first.id : first.stream)" + (more > 0 ? " and \(more) more" : "")
        return String(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : Character($0) })
    }

    private static let linesMax = 50

    /// Text for people.
    public static func text(_ notice: Notice, time: (String) -> String) -> String {
        func line(_ alert: NotifyAlert) -> String {
            let end = alert.closedAt.map { " to \(time($0))" } ?? ""
            return "\(alert.severity.rawValue) \(alert.id), since \(time(alert.openedAt))\(alert.isOpen ? "" : end)\n  \(summary(alert))"
        }
        var lines: [String] = []
        if notice.reason == .reminder { lines.append("Still open:") }
        lines += notice.firing.prefix(linesMax).map(line)
        if notice.firing.count > linesMax { lines.append("and \(notice.firing.count - linesMax) more open alerts: rnnctl alerts") }
        if !notice.resolved.isEmpty {
            if !notice.firing.isEmpty { lines.append("Over:") }
            lines += notice.resolved.prefix(linesMax).map(line)
            if notice.resolved.count > linesMax { lines.append("and \(notice.resolved.count - linesMax) more that are over") }
        }
        if !notice.firing.isEmpty {
            lines.append(
                "\nrnnctl alerts show \(notice.firing[0].id)\nrnnctl alerts ack \(notice.firing.prefix(5).map(\.id).joined(separator: " "))"
            )
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What a command finds in its environment.
    public static func environment(_ notice: Notice, sink: String) -> [(name: String, value: String)] {
        let first = notice.firing.first ?? notice.resolved.first
        return [
            ("RNN_SINK", sink), ("RNN_KEY", notice.key), ("RNN_STATUS", notice.isResolved ? "resolved" : "firing"),
            ("RNN_REASON", notice.reason.rawValue), ("RNN_SEVERITY", notice.severity.rawValue), ("RNN_FIRING", "\(notice.firing.count)"),
            ("RNN_RESOLVED", "\(notice.resolved.count)"), ("RNN_TITLE", title(notice)), ("RNN_ALERT_ID", first?.id ?? ""),
            ("RNN_STREAM", first?.stream ?? ""), ("RNN_KIND", first?.kind ?? ""), ("RNN_MESSAGE", first?.reason ?? ""),
            ("RNN_OPENED_AT", first?.openedAt ?? ""),
        ].map { ($0.0, String($0.1.unicodeScalars.filter { $0.value != 0 }.map(Character.init))) }
    }
}
