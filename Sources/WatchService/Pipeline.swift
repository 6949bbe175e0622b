import Alerting
import Configuration
import Ingest
import LineFormats
import LineFormats
import Platform
import Readings
import Store
import Watching

/// Ingest, shards and writer with the queues between them: everything between a line and its alert.
final class Pipeline: @unchecked Sendable {
    // Safety: made by one thread; `start` and `stop` are called by that thread; the parts are safe by themselves.
    let ingest: IngestServer
    private let lossBook: LossBook
    let runners: [ShardRunner]
    /// What waits for each shard, and the threads that work on it.
    private let inputs: CrewQueues<ShardInput>
    /// Which shard each detector thread holds, and since when, or when it let the last one go (monotonic time).
    private let turns: Locked<[(shard: Int?, at: Int64)]>
    let writer: WriterRunner
    let pool: BatchPool
    let restored: RestoreReport
    let models: ModelShelf
    let explanations: ExplanationRunner
    let acts = ActDesk()
    let silences: SilenceKeeper
    let board = NotifyBoard()
    /// Called when steps of alerts were stored: whoever waits for them may look.
    let onSteps = Locked<@Sendable () -> Void>({})
    private var explanationThread: WorkerThread?
    private let databasePath: String
    /// Which models run, as was last told to the shards.
    private let assigned: Locked<[ModelAssignment]>
    private let units: BoundedQueue<CommitUnit>
    private var threads: [WorkerThread] = []
    private var ingestThread: WorkerThread?
    private let pendingIntake: Locked<Box?>
    private let log: Log
    /// Set when the ingest thread returned (its sources ended, or it was stopped).
    let hasIngestEnded = Locked(false)

    private final class Box: @unchecked Sendable {
        // Safety: filled before the ingest thread starts, emptied by it once.
        var intake: Intake?
        init(_ intake: consuming Intake) { self.intake = consume intake }
    }

    /// Opens the database, restores, and builds the parts; nothing runs yet.
    init(
        configuration: Configuration, databasePath: String, log: Log, csv: (options: CSVOptions, isCertain: Bool) = (CSVOptions(), false),
        tell: @escaping @Sendable (AlertAction) -> Void,
        progress: @escaping () -> Void
    ) throws {
        self.log = log
        let durability = Durability(rawValue: configuration.text("durability")) ?? .interval
        let store = try StoreWriter(path: databasePath, durability: durability, now: Clocks.wall())
        let shardCount = DaemonSettings.shards(configuration)
        let channelsMax = Int(configuration.number("channels_max"))
        let capacity = DaemonSettings.batchCapacity(configuration)
        self.databasePath = databasePath
        models = ModelShelf(databasePath: databasePath)
        let zone = configuration.text("timezone")
        let silences = SilenceKeeper(databasePath: databasePath, zone: { zone })
        self.silences = silences
        store.matches = { Glob.matches($0, $1) }
        let settings = DaemonSettings.watch(configuration, models: models)
        var set = ShardSet(settings: settings, shards: shardCount, channelsMax: channelsMax)
        let reader = try StoreReader(path: databasePath)
        try DaemonSettings.checkProfile(configuration, layout: set.layout, stored: try reader.layouts())
        // Only now: a start that is refused changes nothing.
        if let last = CrashMarks.open(Files.directory(of: databasePath) + "/crash") {
            log.error("the process before crashed; what it was doing then is not done again", ["doing": last])
        }
        // A row may come from a time of larger limits.
        let report = try Restorer.restore(reader, into: &set, batchCapacity: (entries: 4096, fields: 1 << 17), progress: progress)
        restored = report
        if !report.isIntact { try Pipeline.repair(store, report, set.snapshots(report.repaired), log) }
        let fullMax = Int(configuration.number("queue_batches_max"))
        inputs = CrewQueues(
            queues: shardCount, crew: DaemonSettings.shardThreads(configuration), capacity: fullMax * BatchPool.batchesPerFull,
            helpedFrom: ShardRunner.valuesWorthMoving)
        turns = Locked(Array(repeating: (nil, 0), count: inputs.crew))
        pool = BatchPool(fullMax: fullMax, entryCapacity: capacity.entries, fieldCapacity: capacity.fields, shards: inputs)
        let times = set.times()
        let episodes = set.openEpisodes()
        let openStreams = Set(episodes.map(\.stream)).sorted()
        let own = episodes.filter { $0.stream == 0 }.map(\.kind)
        let boxes = set.take()
        let hasPausedStreams = boxes.contains { $0.watch.hasPausedStreams }
        // The pool bounds the batches; checkpoints come besides.
        units = BoundedQueue(capacity: pool.batchesMax + 256)
        let room = BlockRoom()
        runners = boxes.enumerated().map { [units, inputs] in
            ShardRunner(
                box: $1, shard: $0, shardsPerThread: boxes.count / inputs.crew, output: units, room: room,
                checkpointInterval: configuration.number("checkpoint_interval"))
        }
        var ingestOptions = DaemonSettings.ingest(configuration)
        (ingestOptions.csv, ingestOptions.isCSV) = (csv.options, csv.isCertain)
        ingest = try IngestServer(options: ingestOptions, log: log)
        // Who asks before the first round must not see zeros.
        ingest.snapshot.withLock { ($0.totals, $0.streams) = (report.totals, report.streams) }
        let explained = Locked<ExplanationRunner?>(nil)
        writer = WriterRunner(
            store: store, input: units, pool: pool, room: room, hasStreams: boxes.map { $0.watch.blockCount > 0 },
            firstSequence: report.sequence + 1,
            lastStream: (report.lastStreamID, report.lastStreamTurn), intervals: DaemonSettings.writer(configuration), log: log,
            onCommit: { [ingest, acts, onSteps] acknowledgements, actions in
                if acknowledgements.contains(where: \.isAct) { acts.done(acknowledgements) }
                ingest.acknowledge(acknowledgements.filter { !$0.isAct })
                // A flexible silence may have begun.
                if actions.contains(where: { $0.transition == .opened }) { silences.noteChange() }
                if !actions.isEmpty { onSteps.withLock { $0 }() }
                for action in actions { tell(action) }
                explained.withLock { $0 }?.add(actions)
            },
            onProblem: { [ingest] in ingest.report("storage", reason: $0, at: Clocks.wall()) },
            onStretch: { [runners] stretch in for runner in runners { runner.setStretch(stretch) } },
            onSteps: { [onSteps] in onSteps.withLock { $0 }() })
        explanations = ExplanationRunner(
            databasePath: databasePath, writer: writer, models: models, configuration: configuration, log: log)
        explained.withLock { [explanations] in $0 = explanations }
        var generator = SystemRandomNumberGenerator()
        var intake = Intake(
            limits: DaemonSettings.intake(configuration), totals: report.totals, nextSequence: report.sequence + 1, seed: generator.next(),
            courier: pool, isIgnored: DaemonSettings.isIgnored(configuration))
        intake.budgetGroup = DaemonSettings.budgetGroup(configuration)
        (intake.zones, intake.zone) = DaemonSettings.zones(configuration)
        intake.checks = DaemonSettings.checks(configuration)
        intake.lateMax = DaemonSettings.lateMax(configuration)
        lossBook = intake.losses
        intake.reserve(turnsThrough: report.lastStreamTurn)
        let names = try reader.streams()
        var place = 0
        for time in times.sorted(by: { $0.stream < $1.stream }) {
            while place < names.count, names[place].id < time.stream { place += 1 }
            guard place < names.count, names[place].id == time.stream else { continue }
            let channels = zip(names[place].channels, time.channelTimes).map { (name: $0, lastTime: $1) }
            intake.restore(
                stream: time.stream, key: names[place].key, channels: channels, lastTime: time.lastTime, lastClock: time.lastClock)
        }
        for episode in episodes where episode.stream != 0 {
            if episode.kind == .input { intake.restoreInput(stream: episode.stream, now: Clocks.wall()) }
            if episode.kind == .range { intake.restoreRange(stream: episode.stream) }
        }
        if own.contains(.input) { ingest.restoreInput() }
        if own.contains(.limit) { intake.restoreLimit(now: Clocks.wall()) }
        // The database took the repair or the migration: whatever kept it from that before is over.
        if own.contains(.storage) { ingest.report("storage", reason: nil, at: Clocks.wall()) }
        // What the configuration has ignored since.
        let ignored = DaemonSettings.isIgnored(configuration)
        ingest.act(
            openStreams.filter { stream in names.contains { $0.id == stream && ignored(String(decoding: $0.key, as: UTF8.self)) } }
                .map { .note(.settle(stream: $0), stream: $0) }, number: 0, at: Clocks.wall())
        silences.tick(ingest, hasPausedStreams: hasPausedStreams)
        pendingIntake = Locked(Box(intake))
        // Other shards than before must be told, too.
        assigned = Locked(report.assignedShards == shardCount || report.assignments.isEmpty ? report.assignments : [])
        _ = try assignModels(configuration)
    }

    /// Tells the shards which models run, if that is something new: the models named in the configuration in their active versions.
    ///
    /// It becomes part of the log of batches; readings go on meanwhile.
    /// - Returns: what cannot run as the configuration says, in words.
    func assignModels(_ configuration: Configuration) throws -> [String] {
        let reader = try StoreReader(path: databasePath)
        let (wanted, problems) = ModelShelf.assignments(configuration, try reader.models())
        for problem in problems { log.warning(problem) }
        try models.load(Set(wanted.map(\.model)).subtracting([""]), reader)
        let isNews = assigned.withLock { known in
            defer { known = wanted }
            return known != wanted
        }
        if isNews {
            ingest.assign(wanted, at: Clocks.wall())
            let names = wanted.filter { !$0.model.isEmpty }.map { "\($0.match): \($0.label)" }
            log.notice("trained models run", ["streams": names.isEmpty ? "none" : names.joined(separator: "; ")])
        }
        return problems
    }

    /// What was lost of streams, by number.
    var losses: [UInt32: StreamLosses] { lossBook.all }

    /// Globs of the configuration whose streams a model runs on.
    func globs(of model: String) -> [String] { assigned.withLock { $0.filter { $0.model == model }.map(\.match) } }

    /// Stores what a restore found and did about damage, in one step: it is told once, and the next start finds no trace of it.
    private static func repair(_ store: StoreWriter, _ report: RestoreReport, _ blocks: [BlockSnapshot], _ log: Log) throws(StoreError) {
        for problem in report.problems.prefix(20) {
            log.error("damaged state was set aside (see quarantine)", ["what": problem.what, "reason": problem.reason])
        }
        if report.problems.count > 20 { log.error("more damaged state was set aside", ["pieces": "\(report.problems.count - 20)"]) }
        for id in report.orphans { log.warning("closed an alert whose stream's state was lost", ["alert": id]) }
        let now = Clocks.wall()
        try store.transaction { () throws(StoreError) in
            for problem in report.problems { try store.quarantine(problem, now: now) }
            try store.sealTotals(
                TotalsCodec.names(
                    report.totals, sequence: report.sequence, lastStream: report.lastStreamID, lastTurn: report.lastStreamTurn))
            for id in report.orphans { try store.closeOrphan(id, at: now, sequence: report.sequence) }
            for (ordinal, action) in report.reissued.enumerated() {
                try store.store(action, sequence: report.sequence, ordinal: 2_000_000 + ordinal, now: now)
            }
            for block in blocks {
                try store.store(
                    CheckpointBlock(
                        block: block.block, sequence: block.sequence, layout: block.layout, streams: block.streams, payload: block.payload),
                    now: now)
            }
        }
        try store.sync()
    }

    /// Starts the threads. `sources` are read from now on.
    func start(sources: [IngestSource]) throws(PlatformError) {
        threads.append(
            try WorkerThread("rnn-writer") { [writer] in
                // A commit can wait for a reading, not the other way round.
                WorkerThread.yieldToOthers(5)
                writer.run()
            })
        for member in 0..<inputs.crew {
            threads.append(
                try WorkerThread("rnn-shard-\(member)") { [inputs, runners, turns] in
                    WorkerThread.takeShortTurns()
                    var done: (queue: Int, owes: Bool)?
                    while let turn = inputs.next(member: member, done: done) {
                        turns.withLock { $0[member] = (turn.queue, Clocks.monotonic()) }
                        runners[turn.queue].work(turn.work)
                        turns.withLock { $0[member] = (nil, Clocks.monotonic()) }
                        done = (turn.queue, runners[turn.queue].owes)
                    }
                })
        }
        explanationThread = try WorkerThread("rnn-explain") { [explanations] in explanations.run() }
        ingestThread = try WorkerThread("rnn-ingest") { [self] in
            WorkerThread.takeShortTurns()
            defer { hasIngestEnded.withLock { $0 = true } }
            guard let box = pendingIntake.withLock({ $0 }), let intake = box.intake.take() else { return }
            do {
                try ingest.run(sources: sources, intake: intake, producers: restored.producers)
            } catch {
                log.error("the ingest thread ended", ["reason": "\(error)"])
            }
        }
    }

    /// Sources first, then shards, then the writer: everything that was accepted is committed and checkpointed.
    func stop() {
        writer.prepareStop()
        explanations.stop()
        explanationThread?.join()
        ingest.stop()
        ingestThread?.join()
        inputs.close()
        for thread in threads.dropFirst() { thread.join() }
        threads.first?.join()
        pool.close()
    }

    /// When each detector thread gave its last sign of life (monotonic time): it began or ended something, or what it does goes on. What
    /// another thread does for one of its shards is none.
    var signsOfLife: [Int64] {
        turns.withLock { $0 }.map { turn in max(turn.at, turn.shard.map { runners[$0].statistics.aliveAt } ?? 0) }
    }

    /// Steps of alerts were stored.
    func stepsStored() { onSteps.withLock { $0 }() }

    /// Does `job` for every shard, between two of its batches; comes back at once.
    func tellShards(_ job: @escaping @Sendable (ShardRunner, ShardBox) -> Void) {
        for (index, runner) in runners.enumerated() { inputs.push(.task { job(runner, $0) }, to: index, size: 0) }
    }

    /// Asks every shard between two of its batches and gathers the answers in shard order. nil when a shard is too busy.
    func askShards<Answer: Sendable>(timeoutSeconds: Int64 = 10, _ question: @escaping @Sendable (ShardBox) -> Answer) -> [Answer]? {
        let answers = BoundedQueue<(Int, Answer)>(capacity: runners.count)
        for index in runners.indices { inputs.push(.task { box in answers.push((index, question(box))) }, to: index, size: 0) }
        var gathered: [(Int, Answer)] = []
        let deadline = Clocks.monotonic() + timeoutSeconds * 1_000_000_000
        while gathered.count < runners.count {
            guard let answer = answers.pop(timeoutNanoseconds: max(1, deadline - Clocks.monotonic())) else { return nil }
            gathered.append(answer)
        }
        return gathered.sorted { $0.0 < $1.0 }.map { $0.1 }
    }
}
