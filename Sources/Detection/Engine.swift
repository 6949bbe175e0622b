import TimeSeries

/// One channel of one reading.
public struct ChannelInput {
    /// The channel's block, `channelStateBytes` long, 64-byte aligned, initialised by the detector.
    public var state: UnsafeMutableRawPointer
    /// The reading. Values that are not finite are skipped; magnitudes over 1e100 count as 1e100.
    public var value: Double
    /// Handed back in the verdict.
    public var index: UInt16
    /// True: a trained network has written the features that the built-in core would make (`Detector.setFeatures`).
    public var isDriven = false

    /// One channel of one reading.
    public init(state: UnsafeMutableRawPointer, value: Double, index: UInt16) {
        self.state = state
        self.value = value
        self.index = index
    }
}

/// What the user set for a stream. Comes from configuration with every reading; it is not part of the state.
public struct StreamSettings: Sendable {
    /// A threshold set by hand, in score points; nil for the budget's or the profile's.
    public var threshold: Double?
    /// Mean seconds between false alarms that are tolerated (see `EventRate.secondsBetween`); infinity when no budget is set.
    public var secondsBetweenFalseAlarms: Double
    /// Alarms closer than this count as one against the budget (an alert stays open so long).
    public var quietSeconds: Double
    /// Seconds east of UTC of the clock people around this stream live by, at this reading.
    public var clockOffsetSeconds: Int32

    /// Settings; by default fixed threshold and UTC.
    public init(
        threshold: Double? = nil, secondsBetweenFalseAlarms: Double = .infinity, quietSeconds: Double = 0, clockOffsetSeconds: Int32 = 0
    ) {
        self.threshold = threshold
        self.secondsBetweenFalseAlarms = secondsBetweenFalseAlarms
        self.quietSeconds = quietSeconds
        self.clockOffsetSeconds = clockOffsetSeconds
    }
}

/// The machine room of a detector: weights, scratch memory and the order in which the pieces run. One per thread.
///
/// Legend: t readings of the stream before this one; age the same for a channel; x standardised reading; e_k prediction error at horizon k;
/// phi = [1, x_t, x_{t-1}, h_t, clock]; P covariance of phi; g gain.
///
/// What runs with every reading is `mutating` whether it changes the engine or not: it is then passed by address, where a plain method gets a
/// copy of its kilobyte.
struct Engine<Core: RecurrentCore>: ~Copyable {
    typealias Scalar = Core.Scalar
    typealias Channel = ChannelScalars<Scalar>
    typealias Stream = StreamScalars<Scalar>

    let profile: DetectorProfile
    let layout: StateLayout
    let core: Core
    let noveltyCore: Core
    let horizonCount: Int
    let horizons: InlineArray<4, Int>
    /// Clock features of the present reading.
    let clock: UnsafeMutablePointer<Double>
    /// Statistics of the channels of the present reading, for attribution.
    var statistics: UnsafeMutableBufferPointer<ChannelStatistics>
    /// True if a channel that shows a state switched in the present reading.
    var hasSwitched = false
    /// Readings of an hour of the present stream, 100 to 3,600: so long a readout may be much worse than the reading before.
    var hourReadings: UInt32 = 3600
    /// A reading is a full one from phi' P phi = 1 / (this * memory) on (see `ReadoutMemory`).
    let fullReading: Double
    /// Inner values of the last reading, for the golden tests.
    var trace = InlineArray<24, Double>(repeating: 0)
    var keepsTrace = false
    /// Room for the calibrator bank.
    let bankScratch: CalibratorBank<Scalar>.Scratch
    /// The clock as the clock heads see it (see `ClockHead.features`), and room for one of them.
    let clockHeadFeatures: UnsafeMutablePointer<Scalar>
    /// The moment and the offset that `clock` and `clockHeadFeatures` stand for.
    private let clockMoment: UnsafeMutablePointer<(time: Int64, offset: Int32)>
    /// The gain of the present reading [featuresPadded].
    let gain: UnsafeMutablePointer<Scalar>
    /// Blocks of the reading after this one, to be brought nearer meanwhile; nil: unknown.
    var nextStream: UnsafeRawPointer?
    var nextChannel: UnsafeRawPointer?
    /// Statistics of the combined rule, [channels, Statistic.count], and combined over channels, [2, Statistic.count].
    var lines: UnsafeMutablePointer<Double>
    let combined: UnsafeMutablePointer<Double>

    init(profile: DetectorProfile, core: Core, noveltyCore: Core) {
        precondition((1...4).contains(profile.horizons.count) && profile.prototypes % 8 == 0 && profile.prototypes > 0)
        self.profile = profile
        self.core = core
        self.noveltyCore = noveltyCore
        layout = StateLayout(profile, core, noveltyCore)
        fullReading = 1 / (ReadoutMemory.fullShare * Double(layout.features))
        horizonCount = profile.horizons.count
        horizons = InlineArray { $0 < profile.horizons.count ? profile.horizons[$0] : 0 }
        clock = .allocate(capacity: ClockFeatures.count)
        clock.initialize(repeating: 0, count: ClockFeatures.count)
        statistics = .allocate(capacity: 64)
        statistics.initialize(repeating: ChannelStatistics())
        lines = .allocate(capacity: 64 * Statistic.count)
        lines.initialize(repeating: 0, count: 64 * Statistic.count)
        combined = .allocate(capacity: 2 * Statistic.count)
        combined.initialize(repeating: 0, count: 2 * Statistic.count)
        bankScratch = CalibratorBank<Scalar>.Scratch(rankGrid: profile.rankGrid, tailGrid: profile.tailGrid)
        clockHeadFeatures = .allocate(capacity: ClockHead<Scalar>.features + 16)
        clockHeadFeatures.initialize(repeating: 0, count: ClockHead<Scalar>.features + 16)
        clockMoment = .allocate(capacity: 1)
        clockMoment.initialize(to: (.min, .min))
        gain = .allocate(capacity: layout.featuresPadded)
        gain.initialize(repeating: 0, count: layout.featuresPadded)
    }

    deinit {
        lines.deallocate()
        combined.deallocate()
        bankScratch.deallocate()
        clockHeadFeatures.deallocate()
        gain.deallocate()
        clockMoment.deallocate()
        core.deallocate()
        noveltyCore.deallocate()
        clock.deallocate()
        statistics.deallocate()
    }

    func initializeStream(_ p: UnsafeMutableRawPointer) {
        p.initializeMemory(as: UInt8.self, repeating: 0, count: layout.streamBytes)
        var scalars = Stream()
        scalars.version = layout.version
        p.initializeMemory(as: Stream.self, repeating: scalars, count: 1)
        initializeBudget(p)
        switch profile.rule {
        case .ranksPerChannel: break
        case .calibratedPerStream:
            (p + layout.calibratorScalarsAt).initializeMemory(
                as: TailCalibrator<Scalar>.self, repeating: TailCalibrator(), count: StateLayout.streamCalibrators)
        case .combinedRanks: initializeBank(p)
        }
    }

    /// Calibrators that have counted nothing.
    func initializeBank(_ p: UnsafeMutableRawPointer) {
        typealias Bank = CalibratorBank<Scalar>
        (p + layout.bankTablesAt).initializeMemory(as: UInt8.self, repeating: 0, count: layout.budgetAt - layout.bankTablesAt)
        let s = p.assumingMemoryBound(to: Stream.self)
        s.pointee.rankBlocks = 0
        s.pointee.tailBlocks = 0
        s.pointee.owedHalves = 0
        (p + layout.bankSidesAt).initializeMemory(as: Bank.Sides.self, repeating: Bank.Sides(), count: 1)
    }

    func initializeChannel(_ p: UnsafeMutableRawPointer) {
        p.initializeMemory(as: UInt8.self, repeating: 0, count: layout.channelBytes)
        var scalars = Channel()
        scalars.version = layout.version
        p.initializeMemory(as: Channel.self, repeating: scalars, count: 1)
        for i in 0..<(layout.features - ClockFeatures.count) { setVariance(array(p, layout.covarianceAt), i, 10) }
        for q in 0..<horizonCount where horizons[q] == 1 { array(p, layout.readoutsAt)[q * layout.featuresPadded + 1] = 0.9 }
        if profile.rule != .combinedRanks { old(p).initialize(to: OldRuleScalars()) }
        if layout.hasClockHead {
            for i in 0...ClockFeatures.count { setVariance(array(p, layout.clockCovarianceAt), i, 1) }
            let ranks = (p + layout.ranksAt).assumingMemoryBound(to: BlockRankCalibrator<Scalar>.self)
            ranks.initialize(repeating: BlockRankCalibrator(), count: StateLayout.rankCalibrators)
        }
    }

    @inline(__always)
    func array(_ p: UnsafeMutableRawPointer, _ offset: Int) -> UnsafeMutablePointer<Scalar> {
        (p + offset).assumingMemoryBound(to: Scalar.self)
    }

    /// What only the older rules keep of a channel.
    @inline(__always)
    func old(_ p: UnsafeMutableRawPointer) -> UnsafeMutablePointer<OldRuleScalars> {
        (p + layout.oldAt).assumingMemoryBound(to: OldRuleScalars.self)
    }

    /// Diagonal element i of a matrix stored in blocks of the lower triangle.
    @inline(__always)
    func setVariance(_ p: UnsafeMutablePointer<Scalar>, _ i: Int, _ v: Scalar) {
        let b = i / 8
        p[(b * (b + 1) / 2 + b) * 64 + 9 * (i % 8)] = v
    }

    /// One reading of one stream.
    @inline(__always)
    mutating func step(
        stream: UnsafeMutableRawPointer, channels: UnsafeBufferPointer<ChannelInput>, time: Int64, hasClock: Bool, settings: StreamSettings,
        verdict: inout Verdict
    ) {
        let s = stream.assumingMemoryBound(to: Stream.self)
        let t = s.pointee.age
        if profile.rule == .combinedRanks {
            fetchScalars()
            settle(stream)
        }
        let intervals = hasClock ? s.pointee.cadence.observe(time) : 0
        if hasClock {
            setClock(time, settings.clockOffsetSeconds)
            if intervals > profile.gapIntervals { s.pointee.resumedAt = t }
        }
        beginVerdict(&verdict, s, intervals, settings)
        let budgeted = applyBudget(stream, settings, &verdict)
        if channels.count > statistics.count { growScratch(channels.count) }
        if s.pointee.cadence.isKnown { hourReadings = UInt32(max(100, min(3600, 3600 / s.pointee.cadence.intervalSeconds))) }
        var score: Double
        switch profile.rule {
        case .ranksPerChannel: score = scoreByRanks(s, channels, hasClock, intervals, &verdict)
        case .calibratedPerStream: score = scorePerStream(stream, channels, hasClock, intervals, &verdict)
        case .combinedRanks: score = scoreCombined(stream, channels, hasClock, intervals, &verdict)
        }
        if profile.rule == .combinedRanks && profile.expectsSwitches {
            let unusual = s.pointee.switching.step(score, switched: hasSwitched, rise: profile.threshold - 1)
            verdict.offset -= score - unusual
            if !verdict.isWarmingUp { verdict.switching = score - unusual }
            score = unusual
        }
        let held = verdict.warmUpReason == .gap
        let plain = verdict.warmUpReason == .readings && profile.rule == .combinedRanks ? 0 : score
        if profile.rule == .combinedRanks {
            var habituated = s.pointee.habituation.step(score, profile.fusion)
            // Nothing is scored before the warm-up ends.
            if verdict.warmUpReason == .readings { habituated = 0 }
            verdict.offset -= score - habituated
            if !verdict.isWarmingUp { verdict.habituation = score - habituated }
            score = habituated
        }
        if !verdict.isWarmingUp { countBudget(stream, plain, time, settings) }
        if budgeted {
            // A budget promises a rate, so its threshold is on the score without habituation.
            verdict.offset += plain - score
            verdict.habituation = 0
            score = plain
            verdict.isRaised = !verdict.isWarmingUp && spendBudget(s, score, settings, verdict.threshold)
        } else {
            verdict.isRaised = !held && s.pointee.alarm.step(score, t: Int64(t), hold: holdReadings(s), step: profile.holdStep)
        }
        verdict.score = score
        if verdict.isRaised && score >= verdict.threshold {
            s.pointee.habituation.alarm()
            s.pointee.incident.alarm(t: Int64(t), readings: profile.fusion.incidentReadings)
        }
        verdict.isAlarm = verdict.isRaised && score >= verdict.threshold && !verdict.isWarmingUp
        if profile.stuckAlarms && verdict[.stuck].statistic > 0 && !verdict.isWarmingUp { raiseStuck(&verdict) }
        s.pointee.age = t + 1
        (nextStream, nextChannel) = (nil, nil)
    }

    /// Clock features of a moment; the same moment is often asked for again, by the next stream.
    @inline(__always)
    func setClock(_ time: Int64, _ offset: Int32) {
        guard time != clockMoment.pointee.time || offset != clockMoment.pointee.offset else { return }
        clockMoment.pointee = (time, offset)
        ClockFeatures.write(seconds: Double(time) * 1e-9, offsetSeconds: offset, into: clock)
        if profile.rule == .combinedRanks { ClockHead.write(clock, into: clockHeadFeatures) }
    }

    /// How long an alarm keeps equal ones away: so many readings, under the combined rule at most a day.
    @inline(__always)
    mutating func holdReadings(_ s: UnsafeMutablePointer<Stream>) -> Int64 {
        guard profile.rule == .combinedRanks, s.pointee.cadence.isKnown else { return Int64(profile.holdReadings) }
        return max(1, Int64(min(Double(profile.holdReadings), 86_400 / s.pointee.cadence.intervalSeconds + 1e-3)))
    }

    /// Readings before the first score: the profile's; under the combined rule a day's worth, but 100 to 300.
    @inline(__always)
    private mutating func warmUpReadings(_ s: UnsafeMutablePointer<Stream>) -> UInt64 {
        guard profile.rule == .combinedRanks else { return UInt64(profile.warmUpReadings) }
        let day = s.pointee.cadence.isKnown ? 86_400 / s.pointee.cadence.intervalSeconds - 1e-3 : 300
        return UInt64(max(100, min(300, day.rounded(.up))))
    }

    /// Brings the scalars of the next reading's stream nearer, whose places everything else depends on. What else it needs follows little by
    /// little: a processor waits when more lines are on their way than it can keep account of.
    @inline(__always)
    private mutating func fetchScalars() {
        if let p = nextStream { fetch(p, layout.bankTablesAt) }
    }

    /// Brings nearer what a channel's next reading needs beside scalars and covariance.
    @inline(__always)
    mutating func fetchArrays(_ p: UnsafeRawPointer) {
        let c = p.assumingMemoryBound(to: Channel.self)
        let age = c.pointee.age
        let n = layout.featuresPadded
        let newest = ringRow(age)
        fetch(p + layout.readoutsAt, horizonCount * n * MemoryLayout<Scalar>.stride)
        for q in 0...horizonCount {
            let k = q < horizonCount ? horizons[q] : 0
            guard age >= UInt64(k) else { continue }
            let row = ringRow(newest, before: k) * n
            fetch(p + layout.phiAt + row * MemoryLayout<Scalar>.stride, n * MemoryLayout<Scalar>.stride)
            fetch(p + layout.gainAt + row * MemoryLayout<Scalar.Gain>.stride, n * MemoryLayout<Scalar.Gain>.stride)
        }
        fetch(p + layout.prototypesAt, layout.jumpAt - layout.prototypesAt)
        fetch(p + layout.clockHeadAt, layout.channelBytes - layout.clockHeadAt)
        fetch(p + layout.jumpAt + c.pointee.jump.place(in: profile.jumpWindow) * MemoryLayout<Scalar>.stride, 1)
    }

    /// The row of the rings of features and gains that belongs to a channel's reading of this age.
    @inline(__always)
    func ringRow(_ age: UInt64) -> Int { Int(age % UInt64(layout.ring)) }

    /// The row of k readings before; k is less than the ring's length.
    @inline(__always)
    func ringRow(_ newest: Int, before k: Int) -> Int { newest >= k ? newest &- k : newest &- k &+ layout.ring }

    /// Everything but the score.
    @inline(__always)
    private mutating func beginVerdict(
        _ verdict: inout Verdict, _ s: UnsafeMutablePointer<Stream>, _ intervals: Double, _ settings: StreamSettings
    ) {
        let t = s.pointee.age
        verdict.age = t
        verdict.intervalsSinceLast = intervals
        verdict.cadenceSeconds = s.pointee.cadence.intervalSeconds
        verdict.isAlarm = false
        verdict.kind = .none
        verdict.offset = 0
        verdict.channelCount = 0
        verdict.switching = 0
        for i in 0..<Evidence.count { verdict.results[i] = EvidenceResult() }
        let warm = warmUpReadings(s)
        let held = s.pointee.resumedAt > 0 && t < s.pointee.resumedAt + UInt64(profile.gapHoldReadings)
        verdict.isWarmingUp = t < warm || held
        verdict.warmUpReason = t < warm ? .readings : (held ? .gap : .none)
        verdict.warmUpReadings = UInt32(clamping: warm)
        verdict.habituation = 0
        verdict.warmUpProgress = t >= warm ? 1 : Double(t) / Double(warm)
        verdict.threshold = settings.threshold ?? profile.threshold
    }

    private func raiseStuck(_ verdict: inout Verdict) {
        verdict.isRaised = true
        verdict.isAlarm = true
        verdict.kind = .stuck
        let missing = max(0, verdict.threshold - verdict.score)
        verdict.results[Int(Evidence.stuck.rawValue)].contribution = missing
        verdict.score += missing
        for i in 0..<verdict.channelCount { verdict.channelStorage[i].contribution = verdict.channelStorage[i].isStuck ? 1 : 0 }
    }

    private mutating func growScratch(_ count: Int) {
        statistics.deallocate()
        statistics = .allocate(capacity: 2 * count)
        statistics.initialize(repeating: ChannelStatistics())
        lines.deallocate()
        lines = .allocate(capacity: 2 * count * Statistic.count)
        lines.initialize(repeating: 0, count: 2 * count * Statistic.count)
    }

    /// What differences are clipped at for the jump window: so many deviations of the channel, once it is 31 readings old.
    @inline(__always)
    mutating func jumpLimit(_ prediction: Prediction, _ age: Double) -> Double {
        age > 30 && prediction.spread > 0 && profile.jumpClip < .infinity ? profile.jumpClip * prediction.spread : .infinity
    }

    /// The novelty core's step and its distance to everything remembered. `z`: the value's deviation.
    @inline(__always)
    mutating func noveltyDistance(_ p: UnsafeMutableRawPointer, _ c: UnsafeMutablePointer<Channel>, _ z: Double) -> Double {
        let state = array(p, layout.noveltyHiddenAt)
        noveltyCore.step(state: state, input: Scalar(clipped(z / 1.25, 6)))
        return c.pointee.novelty.step(
            state: state, age: c.pointee.age,
            prototypes: (p + layout.prototypesAt).assumingMemoryBound(to: Scalar.Coordinate.self),
            lastUse: (p + layout.lastUseAt).assumingMemoryBound(to: UInt32.self), slots: profile.prototypes,
            dimension: noveltyCore.unitCount)
    }

    /// The value as the statistics see it: limited, and unwrapped if it is a counter.
    @inline(__always)
    mutating func seenValue(_ c: UnsafeMutablePointer<Channel>, _ raw: Double) -> Double {
        let value = clipped(raw, 1e100)
        guard profile.unwrapsCounters else { return value }
        _ = c.pointee.counter.observe(value)
        return value + c.pointee.counter.base
    }

    /// True if the channel has no usable reading just before this one; ages what must age then.
    @inline(__always)
    mutating func resume(_ c: UnsafeMutablePointer<Channel>, _ s: UnsafeMutablePointer<Stream>, _ intervals: Double) -> Bool {
        let t = s.pointee.age
        if c.pointee.age == 0 {
            c.pointee.bornAt = t
            c.pointee.seenAt = t
            return false
        }
        let absent = t - c.pointee.seenAt
        let timeGap = c.pointee.seenAt < s.pointee.resumedAt
        c.pointee.seenAt = t
        guard timeGap || Double(absent) > profile.gapIntervals else { return false }
        let missed = max(s.pointee.resumedAt == t ? intervals : 0, Double(absent))
        c.pointee.resumedAt = c.pointee.age
        if profile.rule != .combinedRanks { old(UnsafeMutableRawPointer(c)).pointee.age(by: missed) }
        c.pointee.levelLong.age(by: missed, horizon: 1000)
        c.pointee.levelShort.age(by: missed, horizon: 250)
        let keep = exponential(-missed / 100)
        for q in 0..<5 { c.pointee.drift[q].value *= keep }
        c.pointee.fastResidual.value *= keep
        c.pointee.levelFive.value *= keep
        c.pointee.levelTwenty.value *= keep
        return true
    }

    /// True if the channel may take part in the score: as old as its stream, or past its own warm-up, and not just back after a gap.
    @inline(__always)
    mutating func takesPart(_ c: UnsafeMutablePointer<Channel>) -> Bool {
        (c.pointee.bornAt == 0 || c.pointee.age >= UInt64(profile.warmUpReadings))
            && (c.pointee.resumedAt == 0 || c.pointee.age >= c.pointee.resumedAt + UInt64(profile.gapHoldReadings))
    }

    /// The channel's line in the verdict, except its contribution.
    @inline(__always)
    mutating func report(
        _ verdict: inout Verdict, _ input: ChannelInput, _ c: UnsafeMutablePointer<Channel>, _ prediction: Prediction,
        _ standardised: Double,
        _ takesPart: Bool
    ) {
        guard verdict.channelCount < verdict.channelStorage.count else { return }
        let expected = prediction.expected - c.pointee.counter.shift
        let error = profile.blendsForecasts ? Double(c.pointee.experts.own) : c.pointee.residual[0].scale
        var half = 4 * error * prediction.spread
        var (low, high) = (expected - half, expected + half)
        if profile.blendsForecasts, prediction.highest > prediction.lowest {
            // A band wider than what the channel has ever shown tells nothing.
            half = min(half, 0.5 * (prediction.highest - prediction.lowest))
            low = max(expected - half, prediction.lowest - c.pointee.counter.shift)
            high = min(expected + half, prediction.highest - c.pointee.counter.shift)
        }
        verdict.channelStorage[verdict.channelCount] = ChannelVerdict(
            index: input.index, takesPart: takesPart, isStuck: c.pointee.stuck.isStuck, value: clipped(input.value, 1e100),
            expected: expected, recurrent: prediction.recurrent.isNaN ? expected : prediction.recurrent - c.pointee.counter.shift,
            bandLow: low, bandHigh: high, error: standardised, contribution: 0)
        verdict.channelCount += 1
    }
}

/// The statistics of one channel that are combined over the channels of a stream.
struct ChannelStatistics: BitwiseCopyable {
    var record = 0.0
    var fast = 0.0
    var drift = 0.0
    var novelty = 0.0
    var jump = 0.0
    var local = 0.0
    var takesPart = false
    /// True if the channel counts with its record only.
    var isState = false

    /// The statistic behind a piece of evidence; 0 for pieces that are not combined.
    @inline(__always)
    subscript(evidence: Evidence) -> Double {
        switch evidence {
        case .valueRecord: record
        case .fastResidual: fast
        case .residualDrift: drift
        case .stateNovelty: novelty
        case .jump: jump
        case .localDeviation: local
        case .valueRank, .pointResidual, .stuck: 0
        }
    }
}
