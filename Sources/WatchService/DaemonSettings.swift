import Alerting
import Configuration
import Detection
import Ingest
import LineFormats
import Platform
import Readings
import Store
import TimeSeries
import Watching

/// From configuration keys to what each room wants to know.
enum DaemonSettings {
    static func watch(_ configuration: Configuration, models: ModelShelf) -> WatchSettings {
        // A configuration is refused before when it names a zone that cannot be read; what is left (a table that vanished since) is UTC.
        let zones = (try? Zones.all(of: configuration, file: "")) ?? [:]
        var base = StreamPolicy(
            secondsBetweenFalseAlarms: configuration.rate("false_alarms")?.secondsBetween ?? .infinity,
            staleAfter: configuration.number("stale_after"))
        base.zone = zones[configuration.text("timezone")] ?? .utc
        let usual = base
        var settings = WatchSettings(
            profile: configuration.text("profile") == "light" ? .light : .standard,
            rules: EpisodeRules(closeAfter: configuration.number("alert_close_after")), staleMin: configuration.number("stale_min"),
            reportsStuck: configuration.flag("stuck"),
            policy: { key in
                var policy = usual
                let shared = configuration.budgetGroup(of: key)
                if let shared { (policy.budgetGroup, policy.groupSecondsBetween) = (shared.group, shared.rate.secondsBetween) }
                guard let rule = configuration.rule(for: key) else { return policy }
                if let own = rule.falseAlarms { policy.secondsBetweenFalseAlarms = own.secondsBetween }
                if rule.falseAlarmsOfGroup != nil { policy.secondsBetweenFalseAlarms = .infinity }
                policy.staleAfter = rule.staleAfter ?? usual.staleAfter
                policy.severityMin = Severity(rawValue: rule.severityMin) ?? .info
                if let zone = rule.timeZone { policy.zone = zones[zone] ?? .utc }
                return policy
            })
        let asked = Int(configuration.number("history_blocks"))
        settings.historyBlocks = asked > 0 ? asked : configuration.text("profile") == "light" ? 2 : 32
        settings.model = { models.model($0) }
        settings.matches = { Glob.matches($0, $1) }
        settings.covers = { text in
            let scope = SilenceScope(text: text)
            return { scope.matches(stream: $0, glob: { Glob.matches($0, $1) }) }
        }
        return settings
    }

    /// Who shares a false-alarm budget.
    static func budgetGroup(_ configuration: Configuration) -> @Sendable (String) -> UInt16 {
        { configuration.budgetGroup(of: $0)?.group ?? 0 }
    }

    /// The learned state belongs to a profile: another one in the configuration would throw it away, so that is refused.
    static func checkProfile(_ configuration: Configuration, layout: UInt32, stored: [UInt32]) throws(StoreError) {
        guard !stored.isEmpty, !stored.contains(layout) else { return }
        for (name, profile) in [("default", DetectorProfile.standard), ("light", DetectorProfile.light)] {
            guard stored.contains(Detector(profile: profile).layoutVersion) else { continue }
            throw .otherState(
                reason:
                    "it was made with profile = \"\(name)\", the configuration says \"\(configuration.text("profile"))\"; set it back, or move the database away to learn anew"
            )
        }
    }

    /// Zones, and which of them (by place) is that of a stream.
    static func zones(_ configuration: Configuration) -> ([TimeZoneRules], @Sendable (String) -> UInt8) {
        let rules = (try? Zones.all(of: configuration, file: "")) ?? [:]
        var names = ["UTC"]
        for (name, _) in configuration.timeZones where !names.contains(name) && names.count < 256 { names.append(name) }
        let host = UInt8(truncatingIfNeeded: names.firstIndex(of: configuration.text("timezone")) ?? 0)
        let known = names
        return (
            names.map { rules[$0] ?? .utc },
            { key in
                guard let zone = configuration.rule(for: key)?.timeZone else { return host }
                return UInt8(truncatingIfNeeded: known.firstIndex(of: zone) ?? 0)
            }
        )
    }

    /// Rules about senders.
    static func sources(_ configuration: Configuration) -> [SourceRule] {
        configuration.sourceSections.map { section in
            var rule = SourceRule.preset(section.preset) ?? SourceRule()
            rule.match = section.match ?? rule.match
            rule.has = section.has ?? rule.has
            rule.streamFrom = section.streamFrom ?? rule.streamFrom
            rule.ignoreFields = section.ignoreFields ?? rule.ignoreFields
            rule.timeField = section.timeField ?? rule.timeField
            rule.timeForm = section.timeFormat.flatMap { TimeForm($0) } ?? rule.timeForm
            rule.valueFrom = section.valueFrom ?? rule.valueFrom
            rule.states = section.states ?? rule.states
            return rule
        }
    }

    /// What values of channels may be, by stream and channel; nil when the configuration says nothing about a stream.
    static func checks(_ configuration: Configuration) -> @Sendable (String) -> (@Sendable (String) -> ChannelCheck?)? {
        { stream in
            guard configuration.hasChecks(stream: stream) else { return nil }
            return { channel in
                configuration.check(stream: stream, channel: channel).map { ChannelCheck(missing: $0.missing, range: $0.range) }
            }
        }
    }

    /// How late readings of a stream may come (nanoseconds; negative: by its interval).
    static func lateMax(_ configuration: Configuration) -> @Sendable (String) -> Int64 {
        { configuration.rule(for: $0)?.lateMax ?? configuration.number("late_max") }
    }

    static func ingest(_ configuration: Configuration) -> IngestOptions {
        var options = IngestOptions()
        options.sources = sources(configuration)
        options.lineBytesMax = Int(configuration.number("line_bytes_max"))
        options.connectionsMax = Int(configuration.number("connections_max"))
        options.producersMax = Int(configuration.number("producers_max"))
        options.descriptorsMax = DescriptorLimit.raised
        options.connectionIdleMax = configuration.number("connection_idle_max")
        options.handsOverClients = Systemd.hasDescriptorStore
        options.intake = intake(configuration)
        return options
    }

    static func intake(_ configuration: Configuration) -> IntakeLimits {
        var limits = IntakeLimits()
        limits.streamsMax = Int(configuration.number("streams_max"))
        limits.evicts = configuration.flag("streams_evict")
        limits.channelsMax = Int(configuration.number("channels_max"))
        limits.futureMax = configuration.number("future_max")
        limits.rangeQuiet = configuration.number("alert_close_after")
        limits.lossWindow = configuration.number("input_window")
        limits.shards = shards(configuration)
        return limits
    }

    /// Parts of the streams that are judged independently: one for one thread; two for each of more threads, so that a thread with
    /// nothing to do in its own can take over what waits in others'.
    static func shards(_ configuration: Configuration) -> Int {
        let threads = shardThreads(configuration)
        return threads == 1 ? 1 : 2 * threads
    }

    /// Detector threads: as many as asked for; of 0 one for each processor. Ingest and writer need little beside them.
    static func shardThreads(_ configuration: Configuration) -> Int {
        let asked = Int(configuration.number("shards"))
        return asked > 0 ? asked : max(1, min(8, Processors.count))
    }

    static func isIgnored(_ configuration: Configuration) -> @Sendable (String) -> Bool {
        { configuration.rule(for: $0)?.ignore ?? false }
    }

    static func writer(_ configuration: Configuration) -> WriterRunner.Intervals {
        WriterRunner.Intervals(
            commit: configuration.number("commit_interval"), durability: configuration.number("durability_interval"),
            retention: configuration.number("retention_alerts"), alertsMax: configuration.number("retention_alerts_max"),
            reopenWithin: configuration.number("alert_close_after"),
            budget: configuration.number("write_budget") > 0 ? configuration.number("write_budget") : nil)
    }

    /// Room of one batch. A reading may have as many values as a stream has channels.
    static func batchCapacity(_ configuration: Configuration) -> (entries: Int, fields: Int) {
        (512, 4096 + 2 * Int(configuration.number("channels_max")))
    }
}
