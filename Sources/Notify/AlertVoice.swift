import Alerting
import Platform
import TimeSeries

/// Says each step of an alert once: a structured journal entry under systemd, a log line elsewhere.
public struct AlertVoice: Sendable {
    /// MESSAGE_ID of each transition; explained in systemd/rnn-watchd.catalog.
    public static func messageID(_ transition: Transition) -> String {
        switch transition {
        case .opened: "5d1e4f0c8f8b4c2f9b1c3a7de2a60f11"
        case .updated: "5d1e4f0c8f8b4c2f9b1c3a7de2a60f12"
        case .closed: "5d1e4f0c8f8b4c2f9b1c3a7de2a60f13"
        }
    }

    private let log: Log
    private let usesJournal: Bool

    /// - Parameter usesJournal: standard error goes to the journal, so entries go there directly with their fields.
    public init(log: Log, usesJournal: Bool) {
        (self.log, self.usesJournal) = (log, usesJournal)
    }

    public func tell(_ action: AlertAction) {
        let alert = action.alert
        let message = "alert \(alert.id) \(action.transition.rawValue): \(alert.streamKey): \(alert.reason)"
        let level: Log.Level =
            action.transition == .closed || alert.severity == .info ? .notice : alert.severity == .critical ? .error : .warning
        guard usesJournal else {
            return log.write(level, message, ["kind": alert.kind.rawValue, "severity": alert.severity.rawValue])
        }
        guard level <= log.level else { return }
        Systemd.journal([
            "MESSAGE=\(message)", "PRIORITY=\(level.rawValue)", "MESSAGE_ID=\(AlertVoice.messageID(action.transition))",
            "SYSLOG_IDENTIFIER=rnn-watchd", "RNN_ALERT_ID=\(alert.id)", "RNN_STREAM=\(alert.streamKey)",
            "RNN_CHANNELS=\(alert.channels.joined(separator: " "))", "RNN_KIND=\(alert.kind.rawValue)",
            "RNN_SEVERITY=\(alert.severity.rawValue)", "RNN_STATE=\(action.transition.rawValue)",
            "RNN_SCORE=\(alert.peakScore.map { "\($0)" } ?? "")", "RNN_OPENED_AT=\(TimeText.rfc3339(alert.openedAt))",
        ])
    }
}
