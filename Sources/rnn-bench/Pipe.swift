import Alerting
import Detection
import Ingest
import LineFormats
import Readings
import Watching

/// Parser, intake and what judges the readings, in one thread.
final class Pipe: BatchCourier {
    /// What comes after the intake.
    enum Stage {
        case none
        case detector(DetectorProfile)
        case forward
        /// The default detector with all streams on a trained model.
        case model(WatchModel)
    }

    private var parser = LineParser()
    private var intake: Intake?
    private var watch: ShardWatch?
    private var forward: ForwardStage?
    private let batch: ReadingBatch
    private var actions: [AlertAction] = []
    private(set) var actionsSeen = 0
    /// Batches are encoded for the journal, too, as a shard does it.
    var encodes = false

    init(_ stage: Stage, streams: Int, channels: Int) {
        batch = ReadingBatch(entryCapacity: 512, fieldCapacity: 8192)
        switch stage {
        case .none: break
        case .detector(let profile):
            watch = ShardWatch(settings: WatchSettings(profile: profile), shard: 0, shards: 1, channelsMax: max(16, channels))
        case .model(let model):
            var settings = WatchSettings(profile: .standard)
            settings.model = { _ in model }
            settings.matches = { _, _ in true }
            watch = ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: max(16, channels))
            watch?.begin(assignments: [ModelAssignment(match: "*", model: model.id, label: model.label)])
        case .forward: forward = ForwardStage(streams: streams, channels: channels)
        }
        var limits = IntakeLimits()
        limits.streamsMax = 1_000_000
        intake = Intake(limits: limits, totals: IngestTotals(), nextSequence: 1, seed: 1, courier: self, isIgnored: { _ in false })
    }

    func borrow() -> ReadingBatch {
        batch.reset()
        return batch
    }

    func deliver(_ batch: ReadingBatch) {
        actions.removeAll(keepingCapacity: true)
        watch?.apply(batch, actions: &actions)
        forward?.apply(batch, actions: &actions)
        if encodes { JournalCodec.encode(batch) }
        actionsSeen += actions.count
    }

    /// All lines of a segment.
    func run(_ load: Workload, _ segment: Int) {
        guard var intake = intake.take() else { return }
        load.feed(segment, &parser, &intake)
        self.intake = consume intake
    }
}
