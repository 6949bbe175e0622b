/// Decides what a sink is due to hear: a pure machine. What it was told is compared with what is now; nothing else counts, so that retries and
/// restarts tell nothing twice, and what is over before it was told is never told.
public struct SinkEngine: Sendable {
    public var rules: SinkRules
    public private(set) var book: ToldBook
    /// When news of a group were first seen (wall time).
    private var newsAt: [String: Int64] = [:]
    /// When alerts of a stream and kind opened (wall time of first sight).
    private var openings: [String: [Int64]] = [:]
    private var seen: [String: Int64] = [:]
    private let sink: String
    private let glob: @Sendable (String, String) -> Bool

    /// - Parameter glob: whether a pattern matches a text.
    public init(sink: String, rules: SinkRules, book: ToldBook, glob: @escaping @Sendable (String, String) -> Bool) {
        (self.sink, self.rules, self.book, self.glob) = (sink, rules, book, glob)
    }

    /// The group of an alert that no message was about yet.
    private func group(_ alert: NotifyAlert) -> String {
        if let incident = alert.incident { return "incident " + incident }
        guard !rules.groupBy.isEmpty else { return alert.id }
        let tags = alert.tags
        return rules.groupBy.map { name in
            let value =
                name == "measurement" ? tags.measurement : name == "kind" ? alert.kind : tags.tags.first { $0.name == name }?.value ?? ""
            return "\(name)=\(value)"
        }.joined(separator: ",")
    }

    /// Of a sink that is not told of ends: what is over is forgotten. Returns the groups that changed.
    public mutating func forgetEnds(_ notices: [Notice], now: Int64) -> (left: [Notice], changed: [String]) {
        guard !rules.tellsResolved else { return (notices, []) }
        var changed: [String] = []
        let left = notices.compactMap { notice -> Notice? in
            guard notice.isResolved else { return notice }
            for name in [notice.group] + notice.others {
                for alert in notice.resolved { book.groups[name]?.members[alert.id] = nil }
                if book.groups[name]?.members.isEmpty ?? false { book.groups[name] = nil }
                changed.append(name)
            }
            return nil
        }
        return (left, changed)
    }

    /// What is due at `now` (wall time, nanoseconds since 1970), most urgent first.
    /// - Parameters:
    ///   - alerts: open ones, and those of `asked`; one of these that is missing is over
    ///   - minute: of the local day, for quiet hours
    ///   - isHasty: waits for nothing (one pass only)
    public mutating func due(_ alerts: [NotifyAlert], asked: Set<String>, now: Int64, minute: Int, isHasty: Bool = false) -> [Notice] {
        var groupOf: [String: String] = [:]
        for (name, told) in book.groups { for id in told.members.keys { groupOf[id] = name } }
        let byID = Dictionary(alerts.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let isQuiet = rules.isQuiet(minute)
        noteOpenings(alerts, now)
        var firing: [String: [NotifyAlert]] = [:]
        var resolved: [String: [NotifyAlert]] = [:]
        for alert in alerts where alert.isOpen {
            guard !alert.isSuppressed, alert.severity >= rules.severityMin, !isQuiet || alert.severity >= rules.quietSeverity,
                rules.streams.isEmpty || rules.streams.contains(where: { glob($0, alert.stream) })
            else { continue }
            if groupOf[alert.id] == nil, isFlapping(alert, now), !isHasty { continue }
            firing[groupOf[alert.id] ?? group(alert), default: []].append(alert)
        }
        // Recovery is told to whom the problem was told, also inside a silence.
        for (name, told) in book.groups {
            for (id, member) in told.members {
                guard let alert = byID[id] else {
                    if asked.contains(id) { resolved[name, default: []].append(NotifyAlert(gone: id, member)) }
                    continue
                }
                if !alert.isOpen { resolved[name, default: []].append(alert) }
            }
        }
        var notices: [Notice] = []
        for name in Set(firing.keys).union(resolved.keys).sorted() {
            if let notice = due(name, firing[name] ?? [], resolved[name] ?? [], now, isHasty) { notices.append(notice) }
        }
        newsAt = newsAt.filter { firing[$0.key] != nil || resolved[$0.key] != nil }
        notices.sort { ($0.severity, $1.group) > ($1.severity, $0.group) }
        return limited(notices, now)
    }

    private mutating func due(_ name: String, _ firing: [NotifyAlert], _ resolved: [NotifyAlert], _ now: Int64, _ isHasty: Bool) -> Notice?
    {
        let told = book.groups[name]
        let members = told?.members ?? [:]
        let new = firing.filter { members[$0.id] == nil }
        let worse = firing.filter { alert in members[alert.id].map { alert.severity > $0.severity } ?? false }
        let stays = members.keys.contains { id in !resolved.contains { $0.id == id } }
        let isOver = !resolved.isEmpty && !stays && new.isEmpty
        let reason: NotificationReason
        if !new.isEmpty {
            reason = told == nil ? .first : .newAlerts
        } else if !worse.isEmpty {
            reason = .worse
        } else if !resolved.isEmpty {
            reason = .resolved
        } else {
            newsAt[name] = nil
            // Only while somebody is to hear of a member.
            guard let told, !firing.isEmpty, !rules.reminders.isEmpty else { return nil }
            let pause = rules.reminders[min(told.reminders, rules.reminders.count - 1)]
            guard now - told.toldAt >= pause else { return nil }
            return notice(name, .reminder, firing, [], told.messages)
        }
        let since = newsAt[name] ?? now
        newsAt[name] = since
        if !isHasty {
            var from = since + rules.groupWait
            if let told, worse.isEmpty, !isOver { from = max(from, told.toldAt + rules.groupInterval) }
            if told != nil, isOver || !worse.isEmpty { from = since }
            guard now >= from else { return nil }
        }
        return notice(name, reason, firing, resolved, told?.messages ?? 0)
    }

    private func notice(_ name: String, _ reason: NotificationReason, _ firing: [NotifyAlert], _ resolved: [NotifyAlert], _ messages: Int64)
        -> Notice
    {
        let firing = firing.sorted { ($0.openedTime, $0.id) < ($1.openedTime, $1.id) }
        let resolved = resolved.sorted { ($0.openedTime, $0.id) < ($1.openedTime, $1.id) }
        let content = firing.map { "\($0.id)+\($0.severity)" } + resolved.map { "\($0.id)-" }
        let sum = Notice.checksum(content.joined(separator: " "))
        return Notice(
            key: "\(name)/\(messages + 1)-\(sum)/\(sink)", group: name, reason: reason, firing: firing, resolved: resolved)
    }

    /// Keeps to the rate: what is too much becomes one digest, when there is room for it.
    private func limited(_ notices: [Notice], _ now: Int64) -> [Notice] {
        guard rules.messagesPerHour > 0, let first = notices.first else { return notices }
        let room = rules.messagesPerHour - book.sent.count { $0 > now - 3_600_000_000_000 }
        if room >= notices.count { return notices }
        guard room > 0 else { return [] }
        let alone = Array(notices.prefix(room - 1))
        let rest = notices.dropFirst(room - 1)
        var digest = rest.first ?? first
        digest.reason = .digest
        digest.others = rest.dropFirst().map(\.group)
        digest.firing = rest.flatMap(\.firing)
        digest.resolved = rest.flatMap(\.resolved)
        digest.key += "+\(digest.others.count)-" + Notice.checksum(rest.map(\.key).joined(separator: " "))
        return alone + [digest]
    }

    /// The severity that an alert had when the sink heard of it first; nil: it has not.
    public func severityAtOpen(_ id: String) -> Level? { book.groups.values.lazy.compactMap { $0.members[id]?.severityAtOpen }.first }

    /// The sink has heard `notice`. Returns the groups that changed.
    public mutating func told(_ notice: Notice, now: Int64) -> [String] {
        let names = [notice.group] + notice.others
        for name in names {
            var told = book.groups[name] ?? ToldGroup()
            let firing = notice.firing.filter { groupName($0, among: names) == name }
            for alert in firing {
                let before = told.members[alert.id]
                told.members[alert.id] = ToldAlert(
                    severity: max(alert.severity, before?.severity ?? alert.severity),
                    severityAtOpen: before?.severityAtOpen ?? alert.severity,
                    startsAt: before?.startsAt ?? alert.openedAt)
            }
            for alert in notice.resolved { told.members[alert.id] = nil }
            told.toldAt = now
            told.messages += 1
            told.reminders = notice.reason == .reminder ? told.reminders + 1 : 0
            newsAt[name] = nil
            book.groups[name] = told.members.isEmpty ? nil : told
        }
        book.sent = book.sent.filter { $0 > now - 3_600_000_000_000 } + [now]
        return names
    }

    private func groupName(_ alert: NotifyAlert, among names: [String]) -> String {
        if let known = book.groups.first(where: { $0.value.members[alert.id] != nil })?.key, names.contains(known) { return known }
        return group(alert)
    }

    // MARK: - Flapping

    private mutating func noteOpenings(_ alerts: [NotifyAlert], _ now: Int64) {
        let ids = Set(alerts.map(\.id))
        for alert in alerts where alert.isOpen && seen[alert.id] == nil {
            seen[alert.id] = now
            openings["\(alert.stream) \(alert.kind)", default: []].append(now)
        }
        seen = seen.filter { ids.contains($0.key) }
        openings = openings.compactMapValues { times in
            let kept = times.filter { $0 > now - rules.flapWindow }
            return kept.isEmpty ? nil : kept
        }
    }

    private func isFlapping(_ alert: NotifyAlert, _ now: Int64) -> Bool {
        guard rules.flapMax > 0, openings["\(alert.stream) \(alert.kind)"]?.count ?? 0 >= rules.flapMax else { return false }
        return now - (seen[alert.id] ?? now) < rules.flapHold
    }
}

extension Notice {
    /// FNV-1a of 64 bits in hexadecimal: tells contents apart in keys.
    public static func checksum(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension NotifyAlert {
    /// An alert that the daemon does not have any more: it is over.
    init(gone id: String, _ member: ToldAlert) {
        self.init(bare: id, startsAt: member.startsAt, severity: member.severity)
    }

    /// Something that rnn-notify itself has to say.
    public init(own id: String, stream: String, reason: String, startsAt: String, openedTime: Int64, isOpen: Bool, closedAt: String?) {
        self.init(bare: id, startsAt: startsAt, severity: .critical)
        (self.stream, kind, self.reason, self.openedTime, self.isOpen, self.closedAt) = (
            stream, "notify", reason, openedTime, isOpen, closedAt
        )
        closeReason = isOpen ? nil : "recovered"
    }

    private init(bare id: String, startsAt: String, severity: Level) {
        (self.id, stream, channels, kind, self.severity, isOpen) = (id, "", [], "anomaly", severity, false)
        (openedAt, openedTime, closedAt, closeReason) = (startsAt, 0, nil, "stream_gone")
        (reason, score, incident, attention, ackedBy, comment, silencedBy) = ("it is not stored any more", nil, nil, "new", nil, nil, nil)
    }
}
