import Alerting
import Detection
import Readings
import TimeSeries

@testable import Watching

/// One sensor station on the production path: readings become batches, a shard judges them, alerts come out.
final class Station {
    private var watch: ShardWatch
    private var clock = FleetClock()
    private var sequence: Int64 = 0
    private let names: [String]
    private(set) var actions: [AlertAction] = []
    /// Nanoseconds since 1970 of the last reading.
    private(set) var time: Int64
    private(set) var readings = 0

    init(
        channels: [String] = ["value"], start: String = "2026-01-05T00:00:00Z", zone: TimeZoneRules = .utc,
        profile: DetectorProfile = .standard,
        secondsBetweenFalseAlarms: Double = .infinity
    ) {
        names = channels
        time = (TimeText.parse(start) ?? 0)
        var policy = StreamPolicy(secondsBetweenFalseAlarms: secondsBetweenFalseAlarms)
        policy.zone = zone
        let settled = policy
        watch = ShardWatch(settings: WatchSettings(profile: profile, policy: { _ in settled }), shard: 0, shards: 1, channelsMax: 64)
        watch.add(stream: 1, key: "station", sequence: 0)
        for name in channels { watch.addChannel(of: 1, name) }
    }

    /// The next reading, `after` seconds later; nil: the channel has no value.
    func feed(_ values: Double?..., after seconds: Double = 60) {
        time += Int64(seconds * 1e9)
        let batch = ReadingBatch(entryCapacity: 1, fieldCapacity: 64)
        sequence += 1
        batch.sequence = sequence
        for (index, value) in values.enumerated() { if let value { batch.append(channel: UInt16(index), value: value) } }
        clock.observe(time)
        batch.endReading(stream: 1, time: time, clock: clock.now)
        batch.clock = clock.now
        watch.apply(batch, actions: &actions)
        readings += 1
    }

    /// What a person does.
    func act(_ note: PersonalNote) {
        let batch = ReadingBatch(entryCapacity: 1, fieldCapacity: 1)
        sequence += 1
        (batch.sequence, batch.clock) = (sequence, clock.now)
        batch.notes = [.person(note)]
        watch.apply(batch, actions: &actions)
    }

    /// Alerts opened at or after a moment, by default from the beginning.
    func opened(_ kind: AlertKind = .anomaly, since: Int64 = .min) -> [Alert] {
        actions.filter { $0.transition == .opened && $0.alert.kind == kind && $0.time >= since }.map(\.alert)
    }

    func history() -> [MomentDetail] { watch.history(of: 1) }
    func detail() -> String { watch.streamDetail(key: "station", losses: [:], timeText: TimeText.rfc3339).map { $0.compact } ?? "" }
    func budgets() -> [StreamBudget] { watch.budgets(matching: { _ in true }, since: .min) }
}
