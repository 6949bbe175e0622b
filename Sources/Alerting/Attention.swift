/// Whether people want to hear of an alert: the second axis beside whether it is open.
public enum Attention: String, Sendable, CaseIterable {
    /// Nobody has said anything.
    case new
    /// Somebody is on it. Ends by itself: see `AttentionRecord`.
    case acked
    /// Put aside for a time.
    case shelved
}

/// Why an acknowledgement ended.
public enum AckEnd: String, Sendable, CaseIterable {
    /// The alert is over; should it come back soon, the acknowledgement holds again.
    case closed
    /// It got worse.
    case severity
    /// Its incident got another member.
    case incident
    /// The time it was given for is over.
    case expired

    /// For people.
    public var words: String {
        switch self {
        case .closed: "the alert closed"
        case .severity: "the severity rose"
        case .incident: "its incident got a new member"
        case .expired: "its time was over"
        }
    }
}

/// What people do about the attention of an alert, and what ends it. Moments are wall time (nanoseconds since 1970).
public enum AttentionEvent: Sendable, Equatable {
    case ack(by: String, until: Int64?, text: String)
    case shelve(by: String, until: Int64, text: String)
    case unshelve(by: String, text: String)
    case comment(by: String, text: String)
    /// The alert's severity is now this.
    case severity(Severity)
    /// Its incident has another member.
    case joined(String)
    /// The alert closed.
    case closed
    /// Only time went by.
    case tick
}

/// A step that is stored and told beside the steps of the detector.
public struct AttentionStep: Sendable, Equatable {
    public enum Name: String, Sendable, CaseIterable { case acked, ack_ended, shelved, unshelved, commented, feedback }
    public var name: Name
    public var by: String
    public var text: String

    public init(_ name: Name, by: String = "", text: String = "") { (self.name, self.by, self.text) = (name, by, text) }
}

/// Why an act was refused.
public struct AttentionError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What people said about one alert: a pure state machine.
///
/// An acknowledgement ends at the close, when the severity rises over what it was, when the incident gets a new member, and when its time is
/// over. An alert of the same stream and kind that opens soon after goes on with it (`inherited`). Shelving always has an end: at the
/// latest at the close. While both hold, `shelved` is what counts.
public struct AttentionRecord: Sendable, Equatable {
    public var ackedBy: String?
    public var ackedAt: Int64?
    public var ackedUntil: Int64?
    public var ackedSeverity: Severity?
    /// nil while it holds (or there never was one).
    public var ackEnd: AckEnd?
    public var shelvedBy: String?
    public var shelvedUntil: Int64?
    public var comment: String?

    /// Nothing is shelved for longer (nanoseconds): 7 days.
    public static let shelfMax: Int64 = 7 * 86_400 * 1_000_000_000

    public init() {}

    public var holdsAck: Bool { ackedAt != nil && ackEnd == nil }

    /// What counts now.
    public var attention: Attention { shelvedUntil != nil ? .shelved : holdsAck ? .acked : .new }

    /// When time alone changes something next; nil: never.
    public var nextEnd: Int64? {
        [holdsAck ? ackedUntil : nil, shelvedUntil].compactMap { $0 }.min()
    }

    /// Takes what happened at `now`. Severity and state are the alert's as of then.
    /// - Returns: the steps to store, none when nothing changed.
    public mutating func apply(_ event: AttentionEvent, now: Int64, severity: Severity, isOpen: Bool) throws(AttentionError)
        -> [AttentionStep]
    {
        var steps = expire(now)
        switch event {
        case .ack(let by, let until, let text):
            guard isOpen else { throw AttentionError("it is closed; there is nothing to acknowledge") }
            if let until, until <= now { throw AttentionError("the acknowledgement would end before it begins") }
            (ackedBy, ackedAt, ackedUntil, ackedSeverity, ackEnd) = (by, now, until, severity, nil)
            if !text.isEmpty { comment = text }
            steps.append(AttentionStep(.acked, by: by, text: text))
        case .shelve(let by, let until, let text):
            guard isOpen else { throw AttentionError("it is closed; there is nothing to shelve") }
            guard until > now else { throw AttentionError("the shelf would end before it begins") }
            (shelvedBy, shelvedUntil) = (by, min(until, now > .max - AttentionRecord.shelfMax ? .max : now + AttentionRecord.shelfMax))
            if !text.isEmpty { comment = text }
            steps.append(AttentionStep(.shelved, by: by, text: text))
        case .unshelve(let by, let text):
            guard shelvedUntil != nil else { throw AttentionError("it is not shelved") }
            (shelvedBy, shelvedUntil) = (nil, nil)
            if !text.isEmpty { comment = text }
            steps.append(AttentionStep(.unshelved, by: by, text: text))
        case .comment(let by, let text):
            comment = text
            steps.append(AttentionStep(.commented, by: by, text: text))
        case .severity(let new):
            if holdsAck, let was = ackedSeverity, new > was { steps.append(endAck(.severity)) }
        case .joined:
            if holdsAck { steps.append(endAck(.incident)) }
        case .closed:
            // The close is a step itself.
            if holdsAck { ackEnd = .closed }
            (shelvedBy, shelvedUntil) = (nil, nil)
        case .tick: break
        }
        return steps
    }

    private mutating func endAck(_ end: AckEnd) -> AttentionStep {
        ackEnd = end
        return AttentionStep(.ack_ended, text: end.words)
    }

    private mutating func expire(_ now: Int64) -> [AttentionStep] {
        var steps: [AttentionStep] = []
        if holdsAck, let until = ackedUntil, until <= now { steps.append(endAck(.expired)) }
        if let until = shelvedUntil, until <= now {
            (shelvedBy, shelvedUntil) = (nil, nil)
            steps.append(AttentionStep(.unshelved, text: "its time was over"))
        }
        return steps
    }

    /// The record of an alert that opens `severity` soon after the one of this record closed; nil: nothing goes on.
    public func inherited(now: Int64, severity: Severity) -> AttentionRecord? {
        guard ackEnd == .closed, let was = ackedSeverity, severity <= was else { return nil }
        if let until = ackedUntil, until <= now { return nil }
        var record = AttentionRecord()
        (record.ackedBy, record.ackedAt, record.ackedUntil, record.ackedSeverity) = (ackedBy, ackedAt, ackedUntil, was)
        record.comment = comment
        return record
    }
}
