/// Which alerts (and streams) a silence is about. Every list that is not empty must have a match; an empty one matches all.
public struct SilenceScope: Sendable, Equatable {
    /// Globs over the stream's key.
    public var streams: [String]
    /// Globs over `tag=value`; all must match some tag of the stream.
    public var tags: [String]
    /// Kinds of alerts.
    public var kinds: [String]
    /// Globs over channel names; one must match some channel of the alert.
    public var channels: [String]

    public init(streams: [String] = [], tags: [String] = [], kinds: [String] = [], channels: [String] = []) {
        (self.streams, self.tags, self.kinds, self.channels) = (streams, tags, kinds, channels)
    }

    public var isEmpty: Bool { streams.isEmpty && tags.isEmpty && kinds.isEmpty && channels.isEmpty }

    /// It is about whole streams, so that learning can stop.
    public var isAboutStreams: Bool { kinds.isEmpty && channels.isEmpty }

    /// - Parameter glob: whether a pattern matches a text.
    public func matches(stream key: String, glob: (String, String) -> Bool) -> Bool {
        guard streams.isEmpty || streams.contains(where: { glob($0, key) }) else { return false }
        guard !tags.isEmpty else { return true }
        let own = SilenceScope.tags(of: key)
        return tags.allSatisfy { pattern in own.contains { glob(pattern, $0) } }
    }

    public func matches(stream key: String, kind: String, channels names: [String], glob: (String, String) -> Bool) -> Bool {
        guard matches(stream: key, glob: glob), kinds.isEmpty || kinds.contains(kind) else { return false }
        return channels.isEmpty || names.contains { name in channels.contains { glob($0, name) } }
    }

    /// The tags of a canonical key: what follows its commas that are not escaped.
    static func tags(of key: String) -> [String] {
        var parts: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in key.utf8 {
            if byte == 44, !isEscaped { parts.append([]) } else { parts[parts.count - 1].append(byte) }
            isEscaped = byte == 92 && !isEscaped
        }
        return parts.dropFirst().map { String(decoding: $0, as: UTF8.self) }
    }

    /// For people: `stream pump,*, kind stale`.
    public var words: String {
        let parts = [("stream", streams), ("tag", tags), ("kind", kinds), ("channel", channels)]
        let told = parts.filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1.joined(separator: " or "))" }
        return told.isEmpty ? "everything" : told.joined(separator: ", ")
    }
}

/// A time in which nobody is told of some alerts. Moments are wall time (nanoseconds since 1970).
public struct Silence: Sendable, Equatable {
    public enum Form: String, Sendable, CaseIterable {
        /// From `startsAt` to `endsAt`.
        case fixed
        /// Begins with the first alert between `startsAt` and `endsAt` and lasts `duration`.
        case flexible
        /// At every moment that `calendar` names, for `duration`.
        case recurring
        /// From `startsAt` until it is ended.
        case mute
        /// As `fixed`; alerts inside it are shelved.
        case shelf
    }

    public var id: String
    public var form: Form
    public var scope: SilenceScope
    public var startsAt: Int64
    public var endsAt: Int64?
    public var duration: Int64?
    /// A calendar event as `systemd.time` has it, its time zone included.
    public var calendar: String?
    /// When the first alert of a flexible silence came.
    public var beganAt: Int64?
    /// What happens meanwhile teaches the detector.
    public var learns: Bool
    public var by: String
    public var comment: String
    public var createdAt: Int64
    /// Ended by hand.
    public var endedAt: Int64?
    public var endedBy: String?

    public init(id: String, form: Form, scope: SilenceScope, startsAt: Int64, by: String, createdAt: Int64) {
        (self.id, self.form, self.scope, self.startsAt, self.by, self.createdAt) = (id, form, scope, startsAt, by, createdAt)
        (learns, comment) = (true, "")
    }

    /// The spell that covers `now`, or nil.
    /// - Parameter occurrence: the newest moment at or before one that the calendar names; nil: none.
    public func spell(at now: Int64, occurrence: (Int64) -> Int64?) -> (from: Int64, until: Int64)? {
        guard endedAt.map({ now < $0 }) ?? true else { return nil }
        let found: (from: Int64, until: Int64)?
        switch form {
        case .fixed, .shelf: found = (startsAt, endsAt ?? startsAt)
        case .mute: found = (startsAt, .max)
        case .flexible: found = beganAt.map { ($0, $0.addingReportingOverflow(duration ?? 0).partialValue) }
        case .recurring:
            guard now >= startsAt, endsAt.map({ now < $0 }) ?? true, let from = occurrence(now) else { return nil }
            found = (max(from, startsAt), from.addingReportingOverflow(duration ?? 0).partialValue)
        }
        guard let found, found.from <= now, now < found.until else { return nil }
        return found
    }

    /// Whether an alert stored at `now` begins it.
    public func begins(at now: Int64) -> Bool {
        form == .flexible && beganAt == nil && endedAt == nil && now >= startsAt && now < endsAt ?? .min
    }

    /// Nothing more will come of it.
    public func isOver(at now: Int64) -> Bool {
        if let endedAt, endedAt <= now { return true }
        switch form {
        case .fixed, .shelf: return (endsAt ?? startsAt) <= now
        case .mute: return false
        case .flexible:
            if let beganAt { return beganAt.addingReportingOverflow(duration ?? 0).partialValue <= now }
            return (endsAt ?? startsAt) <= now
        case .recurring: return endsAt.map { $0 <= now } ?? false
        }
    }
}
