import Alerting
import Configuration
import Ingest
import Platform
import Readings
import Store
import Tabular
import TimeSeries

/// Which silences there are, which of them cover a moment, and that the detector hears of those that do not teach.
final class SilenceKeeper: @unchecked Sendable {
    // Safety: everything is locked.
    private let silences = Locked<[Silence]>([])
    private let zones = Locked<[String: TimeZoneRules]>([:])
    /// What the shards were told last; nil: not since the start.
    private let told = Locked<[String]?>(nil)
    private let isStale = Locked(true)
    private let databasePath: String
    /// Name of the zone that calendars without one mean.
    private let zone: @Sendable () -> String

    init(databasePath: String, zone: @escaping @Sendable () -> String) { (self.databasePath, self.zone) = (databasePath, zone) }

    /// The table may have changed.
    func noteChange() { isStale.withLock { $0 = true } }

    /// All that are remembered.
    func all() -> [Silence] {
        let wasStale = isStale.withLock { stale in
            defer { stale = false }
            return stale
        }
        if wasStale {
            guard let reader = try? StoreReader(path: databasePath), let found = try? reader.silences() else {
                noteChange()
                return silences.withLock { $0 }
            }
            silences.withLock { $0 = found }
        }
        return silences.withLock { $0 }
    }

    func rules(_ name: String?) throws -> TimeZoneRules {
        let name = name ?? zone()
        if let known = zones.withLock({ $0[name] }) { return known }
        let found = try Zones.rules(name)
        zones.withLock { $0[name] = found }
        return found
    }

    /// The spell of a silence that covers `now` (nanoseconds since 1970); nil: none.
    func spell(_ silence: Silence, at now: Int64) -> (from: Int64, until: Int64)? {
        silence.spell(at: now) { now in
            guard let text = silence.calendar, let event = try? CalendarEvent(text), let rules = try? rules(event.zone) else { return nil }
            let second: Int64 = 1_000_000_000
            let from = event.last(at: now / second, notBefore: (now - (silence.duration ?? 0)) / second, rules: rules)
            return from.map { $0 * second }
        }
    }

    /// When it begins next, for people; nil: never again, or it covers `now`.
    func next(_ silence: Silence, after now: Int64) -> Int64? {
        if silence.isOver(at: now) || spell(silence, at: now) != nil { return nil }
        guard silence.form == .recurring, let text = silence.calendar, let event = try? CalendarEvent(text),
            let rules = try? rules(event.zone)
        else { return silence.startsAt > now ? silence.startsAt : nil }
        return event.next(after: max(now, silence.startsAt) / 1_000_000_000, rules: rules).map { $0 * 1_000_000_000 }
    }

    /// Silences in force at `now`.
    func inForce(at now: Int64) -> [(silence: Silence, until: Int64)] {
        all().compactMap { silence in spell(silence, at: now).map { (silence, $0.until) } }
    }

    /// What the shards must be told: which streams neither are judged nor teach from here on. nil: nothing new.
    func news(hasPausedStreams: @autoclosure () -> Bool) -> [IntakeAct]? {
        let scopes = inForce(at: Clocks.wall()).filter { !$0.silence.learns }.map(\.silence.scope.text)
        let isNews = told.withLock { told -> Bool in
            defer { told = scopes }
            guard let told else { return !scopes.isEmpty || hasPausedStreams() }
            return told != scopes
        }
        return isNews ? [.all(.pause(scopes))] : nil
    }

    /// Tells them. Called at the start and now and then by the main thread.
    func tick(_ ingest: IngestServer, hasPausedStreams: @autoclosure () -> Bool = false) {
        if let acts = news(hasPausedStreams: hasPausedStreams()) { ingest.act(acts, number: 0, at: Clocks.wall()) }
    }

    /// The first silence in force that keeps an alert from being told; nil: none.
    static func silencing(
        _ inForce: [(silence: Silence, until: Int64)], stream: String, kind: String, channels: [String]
    ) -> (silence: Silence, until: Int64)? {
        inForce.first {
            $0.silence.form != .shelf
                && $0.silence.scope.matches(stream: stream, kind: kind, channels: channels, glob: { Glob.matches($0, $1) })
        }
    }
}
