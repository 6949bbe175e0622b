import Alerting
import Detection
import Readings
import Testing
import TimeSeries

@testable import Watching

@Suite struct SharedBudgetLaws {
    private static let settings = WatchSettings(
        profile: .light,
        policy: { key in
            var policy = StreamPolicy()
            if key.hasPrefix("pump") { (policy.budgetGroup, policy.groupSecondsBetween) = (2, 86_400) }
            return policy
        })

    /// 20 streams in two blocks; the third in turn is no pump. A new share is told on the way.
    private func batches() -> [ReadingBatch] {
        var noise = Noise(state: 4)
        return (0..<60).map { round in
            let batch = ReadingBatch(entryCapacity: 64, fieldCapacity: 64)
            batch.sequence = Int64(round) + 1
            if round == 0 {
                for id in UInt32(1)...20 {
                    batch.notes.append(.stream(id: id, key: Array((id % 3 == 0 ? "valve\(id)" : "pump\(id)").utf8)))
                    batch.notes.append(.channel(stream: id, index: 0, name: [120]))
                }
                batch.notes.append(.budgetShare(group: 2, stream: 0, streams: 14))
            }
            if round == 40 { batch.notes.append(.budgetShare(group: 2, stream: 0, streams: 16)) }
            for id in UInt32(1)...20 {
                batch.append(channel: 0, value: 10 + noise.unit())
                let time = Int64(round) * 60_000_000_000 + Int64(id)
                batch.endReading(stream: id, time: time, clock: time)
            }
            batch.clock = Int64(round) * 60_000_000_000
            return batch
        }
    }

    private func fresh() -> ShardWatch {
        var watch = ShardWatch(settings: SharedBudgetLaws.settings, shard: 0, shards: 1, channelsMax: 4)
        watch.add(stream: 0, key: "rnn-watchd", sequence: 0)
        return watch
    }

    @Test func `each stream of a group gets its share, others keep what they have`() {
        var watch = fresh()
        var actions: [AlertAction] = []
        for batch in batches() { watch.apply(batch, actions: &actions) }
        for budget in watch.budgets(matching: { _ in true }, since: .min) {
            let want: Double? = budget.key.hasPrefix("pump") ? 16 * 86_400 : nil
            #expect(budget.secondsBetween == want, "\(budget.key)")
        }
    }

    @Test func `a share told between two checkpoints is the same after a restart, block by block`() throws {
        let all = batches()
        var watch = fresh()
        var actions: [AlertAction] = []
        var stored: [BlockSnapshot] = []
        for batch in all {
            watch.apply(batch, actions: &actions)
            // One block before the change, the other after it.
            if batch.sequence == 30, let block = watch.snapshot(block: 0) { stored.append(block) }
            if batch.sequence == 50, let block = watch.snapshot(block: 1) { stored.append(block) }
        }
        var again = fresh()
        for id in UInt32(1)...20 {
            again.add(stream: id, key: id % 3 == 0 ? "valve\(id)" : "pump\(id)", sequence: 0)
            again.addChannel(of: id, "x")
        }
        for block in stored { try again.restore(block, older: -1) }
        for batch in all { again.apply(batch, isReplay: true, actions: &actions) }
        #expect(again.digest() == watch.digest())
    }
}

@Suite struct MomentTests {
    @Test func `every block of readings is remembered by the one nearest to an alarm, with reasons`() throws {
        let station = Station(profile: .light)
        var random = SeededRandom(seed: 1)
        for i in 0..<700 { station.feed(10 + random.uniform(-1, 1) + (i == 612 ? 9 : 0)) }
        let history = station.history()
        #expect(history.count == 28)
        let block = history[24]
        #expect(block.time == (TimeText.parse("2026-01-05T00:00:00Z") ?? 0) + 613 * 60_000_000_000, "reading 612")
        #expect(block.restraint == .below || block.restraint == .none)
        #expect(
            !block.evidence.isEmpty && block.evidence.allSatisfy { $0.note.contains("blocks of 25 readings") || $0.note.contains("beyond") }
        )
        #expect(block.channels[0].value > 15 && block.channels[0].bandLow < block.channels[0].bandHigh)
        #expect(history[3].restraint == .warmUp)
        #expect(history.allSatisfy { $0.restraint != .none || $0.score >= $0.threshold })
    }

    @Test func `the warm-up is told with progress and reason, and the threshold with where it comes from`() {
        let station = Station(profile: .light, secondsBetweenFalseAlarms: 604_800)
        for _ in 0..<120 { station.feed(1) }
        #expect(station.detail().contains("120 of the 300 readings"), "\(station.detail())")
        for _ in 0..<200 { station.feed(1) }
        #expect(station.detail().contains("\"warm_up_reason\":\"\""), "\(station.detail())")
        #expect(station.detail().contains("where the budget is one alarm in 10080"), "\(station.detail())")
    }
}
