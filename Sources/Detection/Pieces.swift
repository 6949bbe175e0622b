import TimeSeries

/// What one piece of the combined rule costs a univariate stream by itself: one channel, nothing else around it.
///
/// Pieces share work and overlap in the processor, so the parts add up to more than a whole reading takes.
public struct PieceCost: Sendable {
    public let name: String
    /// Learned state, calibrators included.
    public let bytes: Int
    /// Sides of the calibrator bank that judge it; a side costs the bank's time divided by `PieceCost.sides`.
    public let sides: Int

    /// Sides of the bank in all.
    public static var sides: Int { CalibratorBank<Float>.rankCount + CalibratorBank<Float>.tailCount }
}

/// The pieces of the default rule, each to be run alone.
public final class Pieces {
    private typealias Bank = CalibratorBank<Float>
    private var detector: Detector
    private let stream: UnsafeMutableRawPointer
    private let channel: UnsafeMutableRawPointer
    private var age = 0
    private var statistics = [Double](repeating: 0, count: 2 * Statistic.count)

    /// A channel that has seen `readings` values of `values` in turn, with a reading a minute.
    public init(_ profile: DetectorProfile, values: [Double], readings: Int) {
        precondition(profile.rule == .combinedRanks && !values.isEmpty)
        detector = Detector(profile: profile)
        stream = .allocate(byteCount: detector.engine.layout.streamBytes, alignment: 64)
        channel = .allocate(byteCount: detector.engine.layout.channelBytes, alignment: 64)
        detector.engine.initializeStream(stream)
        detector.engine.initializeChannel(channel)
        var verdict = Verdict(channelsMax: 1)
        for _ in 0..<readings {
            let input = [ChannelInput(state: channel, value: values[age % values.count], index: 0)]
            input.withUnsafeBufferPointer {
                detector.step(stream: stream, channels: $0, time: Int64(age) * 60_000_000_000, hasClock: true, verdict: &verdict)
            }
            age += 1
        }
    }

    deinit {
        stream.deallocate()
        channel.deallocate()
    }

    /// The costs' names and sizes in the order of a reading; `run` takes the same index.
    public var costs: [PieceCost] {
        let (layout, profile) = (detector.engine.layout, detector.engine.profile)
        func bytes<T>(_ type: T.Type, _ count: Int = 1) -> Int { count * MemoryLayout<T>.size }
        func calibrators(ranks: Int, tails: Int, forEver: Int = 0) -> Int {
            // Histograms, and of each side its highest bin and ends or its fitted tail.
            2 * (ranks * profile.rankGrid.bins + (tails + forEver) * profile.tailGrid.bins) + 6 * ranks + 14 * tails
        }
        func piece(_ name: String, _ own: Int, ranks: Int = 0, tails: Int = 0, forEver: Int = 0) -> PieceCost {
            PieceCost(name: name, bytes: own + calibrators(ranks: ranks, tails: tails, forEver: forEver), sides: ranks + tails)
        }
        return [
            piece(
                "normaliser, network and readouts", layout.prototypesAt - layout.covarianceAt + 4 * layout.hidden + bytes(Normalizer.self)),
            piece("of it the recurrent network", 4 * layout.hidden),
            piece("clock head", 4 * ClockHead<Float>.storage),
            piece("value record", bytes(ValueRecord.self, 2)),
            piece("value rank", bytes(ValueDeviation.self), ranks: 2),
            piece("residual drift", 4 * (bytes(ResidualScale.self) + 8), ranks: 8),
            piece("point residual", 0, ranks: 2, tails: 4, forEver: 2),
            piece("fast residual", bytes(Predictability.self) + 8, tails: 1),
            piece("local level", bytes(LevelDeviation.self, 2) + 16, tails: 6),
            piece("jump", bytes(Jump<Float>.self) + 4 * profile.jumpWindow, tails: 2, forEver: 2),
            piece(
                "state novelty", bytes(StateNovelty.self) + layout.jumpAt - layout.prototypesAt + 4 * layout.noveltyHidden, ranks: 1,
                tails: 1),
            piece("stuck", bytes(StuckDetector.self)),
            piece("counters and states", bytes(CounterUnwrap.self) + bytes(StateChannel.self)),
            piece("all calibrators", Bank.tableBytes(rankGrid: profile.rankGrid, tailGrid: profile.tailGrid) + bytes(Bank.Sides.self)),
        ]
    }

    /// Runs a piece once for each value. Returns a number that depends on all results.
    public func run(_ piece: Int, _ values: [Double]) -> Double {
        let c = channel.assumingMemoryBound(to: ChannelScalars<Float>.self)
        let age = Double(self.age)
        var sum = 0.0
        switch piece {
        case 0:
            for v in values {
                sum += detector.engine.predict(channel, v, false, isDriven: false).errors[0]
                c.pointee.age += 1
            }
        case 1:
            let state = detector.engine.array(channel, detector.engine.layout.hiddenAt)
            for v in values { detector.engine.core.step(state: state, input: Float(v)) }
            sum = Double(state[0])
        case 2:
            let head = ClockHead(memory: detector.engine.array(channel, detector.engine.layout.clockHeadAt))
            for v in values {
                let guess = head.predict(detector.engine.clockHeadFeatures)
                sum += detector.engine.ridgeClockHead(channel, c, guess, v, age)
                c.pointee.age += 1
            }
        case 3:
            for v in values {
                sum += c.pointee.record.step(v, age: age, growth: 5, spread: 1)
                sum += c.pointee.leakyRecord.step(v, age: age, leak: 1 / 20_000, growth: 5, spread: 1)
            }
        case 4: for v in values { sum += c.pointee.deviation.step(v, age: age) }
        case 5:
            for v in values {
                for q in 0..<4 {
                    let o = c.pointee.residual[q].step(v, age: age)
                    c.pointee.drift[q].update(clipped(o, 10), age: age, horizon: 100)
                }
            }
            sum = c.pointee.drift[0].value
        case 6: break
        case 7:
            for v in values {
                c.pointee.fastResidual.update(min(abs(v), 50), age: age, horizon: 3)
                sum += c.pointee.predictability.step(error: v, x: v, age: age)
            }
        case 8:
            for v in values {
                let level = clipped(c.pointee.levelLong.step(v, age: age, horizon: 1000), 20)
                c.pointee.levelFive.update(level, age: age, horizon: 5)
                c.pointee.levelTwenty.update(level, age: age, horizon: 20)
                sum += c.pointee.levelShort.step(v, age: age, horizon: 250)
            }
        case 9:
            for v in values {
                sum += c.pointee.jump.step(
                    v, age: age, fresh: false, clip: 100, lifeShare: detector.engine.profile.fusion.jumpLife,
                    ring: detector.engine.array(channel, detector.engine.layout.jumpAt), length: detector.engine.profile.jumpWindow)
            }
        case 10:
            for v in values {
                sum += detector.engine.noveltyDistance(channel, c, v)
                c.pointee.age += 1
            }
        case 11: for v in values { sum += c.pointee.stuck.step(v, growth: 0) ? 1 : 0 }
        case 12:
            for v in values {
                var changed = false
                sum += c.pointee.counter.judged(v, intervals: 1, changed: &changed)
                c.pointee.states.step(v)
            }
        default: sum = calibrate(values)
        }
        return sum
    }

    private func calibrate(_ values: [Double]) -> Double {
        let bank = detector.engine.bank(stream)
        let s = stream.assumingMemoryBound(to: StreamScalars<Float>.self)
        var sum = 0.0
        for (t, v) in values.enumerated() {
            statistics[t % Statistic.count] = v
            statistics[Statistic.count + t % Statistic.count] = -v
            bank.step(
                statistics, detector.engine.bankScratch, rankBlocks: s.pointee.rankBlocks, tailBlocks: s.pointee.tailBlocks,
                limit: Float(detector.engine.profile.fusion.longLimit), answers: true, counts: true)
            sum += Double(detector.engine.bankScratch.evidence[0])
            if (t + 1) % 25 == 0 {
                (s.pointee.rankBlocks, s.pointee.tailBlocks) = bank.closeBlock(
                    rankBlocks: s.pointee.rankBlocks, tailBlocks: s.pointee.tailBlocks, t: UInt64(t), weight: 1)
            }
        }
        return sum
    }
}
