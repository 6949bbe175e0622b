import CDetectionKernels
import TimeSeries

extension Engine {
    typealias Bank = CalibratorBank<Scalar>

    @inline(__always)
    func bank(_ stream: UnsafeMutableRawPointer) -> Bank {
        Bank(
            rankGrid: profile.rankGrid, tailGrid: profile.tailGrid,
            sides: (stream + layout.bankSidesAt).assumingMemoryBound(to: Bank.Sides.self),
            tables: (stream + layout.bankTablesAt).assumingMemoryBound(to: UInt16.self))
    }

    /// Statistics of all channels, combined side by side (mean of the three highest, mean of the three lowest), calibrated, fused.
    @inline(__always)
    mutating func scoreCombined(
        _ stream: UnsafeMutableRawPointer, _ channels: UnsafeBufferPointer<ChannelInput>, _ hasClock: Bool, _ intervals: Double,
        _ verdict: inout Verdict
    ) -> Double {
        let s = stream.assumingMemoryBound(to: Stream.self)
        if channels.count > Int(s.pointee.channelsSeen) { s.pointee.channelsSeen = UInt32(channels.count) }
        let equalises = s.pointee.channelsSeen > 1
        var taking = 0
        var count = 0
        var measuring = 0
        var candidates = 0
        for index in 0..<channels.count {
            let input = channels[index]
            guard input.value.isFinite else { continue }
            let next = index &+ 1 < channels.count ? UnsafeRawPointer(channels[index &+ 1].state) : nextChannel
            let takes = combinedStatistics(input, s, hasClock, intervals, equalises, lines + count &* Statistic.count, next, &verdict)
            let states = input.state.assumingMemoryBound(to: Channel.self).pointee.states
            statistics[count].takesPart = takes
            if profile.knowsStates && states.isCandidate { candidates += 1 }
            if takes { taking += 1 }
            if takes && states.measures { measuring += 1 }
            count += 1
        }
        if let p = nextStream { fetchHistograms(p) }
        if s.pointee.restarts > 0 {
            // The only channel of a stream shows something else now: the old ranks say nothing about it.
            s.pointee.restarts = 0
            if s.pointee.channelsSeen == 1 { initializeBank(stream) }
        }
        hasSwitched = false
        guard taking > 0 else { return 0 }
        var counting = taking
        var at = 0
        for input in channels where input.value.isFinite {
            let states = input.state.assumingMemoryBound(to: Channel.self).pointee.states
            statistics[at].isState = measuring > 0 && candidates > 0 && states.isState(among: candidates)
            if statistics[at].takesPart && statistics[at].isState { counting -= 1 }
            if statistics[at].isState && states.hasSwitched { hasSwitched = true }
            at += 1
        }
        let up = combined
        let down = up + Statistic.count
        if count == 1 {
            takeAlone(up, down)
        } else {
            for i in 0..<Statistic.count {
                combine(i, count, i < Statistic.firstOfMeasuring.rawValue ? taking : counting, &up[i], &down[i])
            }
        }
        // States that switch together are no disturbance.
        let spreads = profile.knowsStates ? measuring >= 3 : s.pointee.channelsSeen > 1
        return fuseCombined(stream, s, up, down, count, hasClock, spreads, &verdict)
    }

    /// Counts the block that ended with the newest reading, if that is still owed.
    ///
    /// It goes through all histograms, which takes as long as a reading, and streams that began together end their blocks together: the
    /// reading that ends a block leaves it to the time until the stream's next one, which would settle it at the latest. So nobody sees when
    /// it was done: not the scores, and not what is stored, as whoever copies a state settles it first.
    @inline(__always)
    func settle(_ stream: UnsafeMutableRawPointer) {
        let s = stream.assumingMemoryBound(to: Stream.self)
        guard s.pointee.owedHalves > 0, profile.rule == .combinedRanks else { return }
        (s.pointee.rankBlocks, s.pointee.tailBlocks) = bank(stream).closeBlock(
            rankBlocks: s.pointee.rankBlocks, tailBlocks: s.pointee.tailBlocks, t: s.pointee.age - 1,
            weight: 0.5 * Double(s.pointee.owedHalves))
        s.pointee.owedHalves = 0
    }

    /// Brings nearer what a stream's next reading needs of its histograms and budget.
    @inline(__always)
    private mutating func fetchHistograms(_ p: UnsafeRawPointer) {
        let tables = p + layout.bankTablesAt
        if p.assumingMemoryBound(to: Stream.self).pointee.owedHalves > 0 {
            // To settle goes through all of them.
            fetch(tables, layout.budgetAt - layout.bankTablesAt)
        } else {
            cdk_fetch_bins(
                tables.assumingMemoryBound(to: UInt16.self), (p + layout.bankSidesAt).assumingMemoryBound(to: cdk_sides.self),
                bankScratch.grids.pointee.row)
        }
        // The thresholds under an ordinary score.
        fetch(p + layout.budgetAt, 40 * MemoryLayout<Scalar>.stride)
        fetch(p + layout.budgetLastAt, 40 * MemoryLayout<UInt32>.stride)
    }

    /// True if channel j of the reading counts in statistic i.
    @inline(__always)
    private mutating func takes(_ j: Int, _ i: Int) -> Bool {
        statistics[j].takesPart && (!statistics[j].isState || i < Statistic.firstOfMeasuring.rawValue)
    }

    /// The only channel is its own mean.
    @inline(__always)
    private mutating func takeAlone(_ up: UnsafeMutablePointer<Double>, _ down: UnsafeMutablePointer<Double>) {
        for i in 0..<Statistic.firstBroad.rawValue { (up[i], down[i]) = (lines[i], -lines[i]) }
        for i in Statistic.firstBroad.rawValue..<Statistic.count { (up[i], down[i]) = (max(lines[i], 0), max(-lines[i], 0)) }
    }

    /// Mean of the three highest and, negated, of the three lowest over the channels that take part.
    @inline(__always)
    private mutating func combine(_ i: Int, _ count: Int, _ taking: Int, _ up: inout Double, _ down: inout Double) {
        if i >= Statistic.firstBroad.rawValue { return spread(i, count, taking, &up, &down) }
        var high = (-1e9, -1e9, -1e9)
        var low = (-1e9, -1e9, -1e9)
        for j in 0..<count where takes(j, i) {
            let a = lines[j * Statistic.count + i]
            insert(a, &high)
            insert(-a, &low)
        }
        switch taking {
        case 1: (up, down) = (high.0, low.0)
        case 2: (up, down) = ((high.0 + high.1) / 2, (low.0 + low.1) / 2)
        default: (up, down) = ((high.0 + high.1 + high.2) / 3, (low.0 + low.1 + low.2) / 3)
        }
    }

    /// Root mean square over the channels that take part, of the positive and of the negative ones.
    @inline(__always)
    private mutating func spread(_ i: Int, _ count: Int, _ taking: Int, _ up: inout Double, _ down: inout Double) {
        var squares = (0.0, 0.0)
        for j in 0..<count where takes(j, i) {
            let a = lines[j * Statistic.count + i]
            if a > 0 { squares.0 += a * a } else { squares.1 += a * a }
        }
        up = (squares.0 / Double(taking)).squareRoot()
        down = (squares.1 / Double(taking)).squareRoot()
    }

    @inline(__always)
    private func insert(_ v: Double, _ top: inout (Double, Double, Double)) {
        if v > top.0 {
            top = (v, top.0, top.1)
        } else if v > top.1 {
            top = (top.0, v, top.1)
        } else if v > top.2 {
            top.2 = v
        }
    }

    /// All statistics of one channel into `line` [Statistic.count]; returns whether the channel takes part.
    @inline(__always)
    private mutating func combinedStatistics(
        _ input: ChannelInput, _ s: UnsafeMutablePointer<Stream>, _ hasClock: Bool, _ intervals: Double, _ equalises: Bool,
        _ line: UnsafeMutablePointer<Double>, _ next: UnsafeRawPointer?, _ verdict: inout Verdict
    ) -> Bool {
        let p = input.state
        let c = p.assumingMemoryBound(to: Channel.self)
        let value = profile.judgesIncrements ? judgedValue(p, s, input.value, intervals) : seenValue(c, input.value)
        let resumed = resume(c, s, intervals)
        let age = Double(c.pointee.age)
        // Before the prediction, which does not wait for it.
        let z = c.pointee.deviation.step(value, age: age)
        let novelty = noveltyDistance(p, c, z)
        if let next { fetch(next, layout.covarianceAt) }
        let prediction = predict(p, value, hasClock, isDriven: input.isDriven, next: next)
        if let next { fetchArrays(next) }
        let last = horizonCount - 1
        let middle = min(1, last)
        var standardised = 0.0
        for q in 0...horizonCount where q < horizonCount || hasClock {
            guard prediction.judged[q] else { continue }
            let o = c.pointee.residual[q].step(prediction.errors[q], age: age)
            c.pointee.drift[q].update(clipped(o, 10), age: age, horizon: 100)
            if q == 0 { standardised = o }
        }
        if profile.blendsForecasts { standardised = age > 5 ? prediction.errorNext / (Double(c.pointee.experts.own) + 1e-4) : 0 }
        line[Statistic.driftShort.rawValue] = c.pointee.drift[0].value
        line[Statistic.driftMiddle.rawValue] = c.pointee.drift[middle].value
        line[Statistic.driftLong.rawValue] = c.pointee.drift[last].value
        line[Statistic.driftClock.rawValue] = hasClock ? c.pointee.drift[horizonCount].value : 0
        line[Statistic.errorLong.rawValue] = prediction.errors[last]
        line[Statistic.errorClock.rawValue] = hasClock ? prediction.errors[horizonCount] : 0
        if prediction.judged[0] { c.pointee.fastResidual.update(min(abs(standardised), 50), age: age, horizon: 3) }
        let skill = c.pointee.predictability.step(error: prediction.errorNext, x: prediction.x, age: age)
        line[Statistic.gatedFast.rawValue] = c.pointee.fastResidual.value * max(0, min(1, (skill - 0.65) / 0.15))
        line[Statistic.value.rawValue] = z
        let level = clipped(c.pointee.levelLong.step(value, age: age, horizon: 1000), 20)
        c.pointee.levelFive.update(level, age: age, horizon: 5)
        c.pointee.levelTwenty.update(level, age: age, horizon: 20)
        line[Statistic.levelFive.rawValue] = c.pointee.levelFive.value
        line[Statistic.levelTwenty.rawValue] = c.pointee.levelTwenty.value
        line[Statistic.levelShort.rawValue] = c.pointee.levelShort.step(value, age: age, horizon: 250)
        line[Statistic.record.rawValue] = c.pointee.record.step(value, age: age, growth: 5, spread: prediction.spread)
        line[Statistic.leakyRecord.rawValue] = c.pointee.leakyRecord.step(
            value, age: age, leak: 1 / 20_000, growth: 5, spread: prediction.spread)
        line[Statistic.novelty.rawValue] = novelty
        let growth = c.pointee.age > 0 ? value - c.pointee.jump.last : 0
        line[Statistic.jump.rawValue] = c.pointee.jump.step(
            value, age: age, fresh: resumed, clip: jumpLimit(prediction, age), lifeShare: profile.fusion.jumpLife,
            ring: array(p, layout.jumpAt), length: profile.jumpWindow)
        line[Statistic.clockBroad.rawValue] = line[Statistic.errorClock.rawValue]
        for i in 0..<Statistic.count { line[i] = clipped(line[i], 50) }
        for i in 0..<Equaliser.count {
            let at = Statistic.firstEqualised.rawValue + i
            line[at] = c.pointee.equaliser.step(i, line[at], divides: equalises)
        }
        let takes = takesPart(c)
        c.pointee.states.step(value)
        let rests = profile.knowsStates && c.pointee.states.isCandidate
        if c.pointee.stuck.step(value, growth: growth) && takes && !rests { verdict.results[Int(Evidence.stuck.rawValue)].statistic += 1 }
        report(&verdict, input, c, prediction, standardised, takes)
        c.pointee.age += 1
        if c.pointee.age % 25 == 0 { c.pointee.equaliser.closeBlock() }
        return takes
    }

    /// The value as it is judged. Where a counter is recognised (or is none any more) the channel starts afresh with what it then shows.
    @inline(__always)
    private mutating func judgedValue(_ p: UnsafeMutableRawPointer, _ s: UnsafeMutablePointer<Stream>, _ raw: Double, _ intervals: Double)
        -> Double
    {
        let c = p.assumingMemoryBound(to: Channel.self)
        var changed = false
        let value = c.pointee.counter.judged(clipped(raw, 1e100), intervals: intervals, changed: &changed)
        guard changed else { return value }
        let counter = c.pointee.counter
        initializeChannel(p)
        c.pointee.counter = counter
        s.pointee.restarts = 1
        return value
    }

    @inline(__always)
    private mutating func fuseCombined(
        _ stream: UnsafeMutableRawPointer, _ s: UnsafeMutablePointer<Stream>, _ up: UnsafeMutablePointer<Double>,
        _ down: UnsafeMutablePointer<Double>, _ count: Int, _ hasClock: Bool, _ spreads: Bool,
        _ verdict: inout Verdict
    ) -> Double {
        let t = s.pointee.age
        let bank = bank(stream)
        let f = profile.fusion
        let (evidence, reach) = (bankScratch.evidence, bankScratch.reach)
        bank.step(
            combined, bankScratch, rankBlocks: s.pointee.rankBlocks, tailBlocks: s.pointee.tailBlocks, limit: Scalar(f.longLimit),
            answers: t >= 100 && s.pointee.rankBlocks >= 3, counts: verdict.warmUpReason != .gap)
        let blocks = (s.pointee.rankBlocks, s.pointee.tailBlocks)
        // Two-sided evidence is the larger side.
        func both(_ i: Int) -> Double { Double(max(evidence[i], evidence[i + 1])) }
        let clockIsOn = hasClock ? 1.0 : 0.0
        let tail = Bank.rankCount
        let value = both(0)
        let drifts = (both(2), both(4), both(6), both(8) * clockIsOn)
        let drift = (drifts.0 + drifts.1 + drifts.2 + drifts.3) / (hasClock ? 4 : 3)
        let errorLong = both(10)
        let novelty = Double(evidence[12])
        let ageTerm = -f.age * decimalLogarithm(Double(max(t, 100)) / 1000)
        let records = f.record * up[Statistic.record.rawValue] + f.leakyRecord * up[Statistic.leakyRecord.rawValue]
        let slow = records + f.value * value + f.novelty * novelty + f.drift * drift + f.errorLong * errorLong + ageTerm + f.slowOffset
        let (spikeError, spikeNovelty, gated) = (both(tail), Double(evidence[tail + 2]), Double(evidence[tail + 3]))
        let (levelFive, levelTwenty, levelShort) = (both(tail + 4), both(tail + 6), both(tail + 8))
        let (jump, broad) = (both(tail + 10), both(tail + 12) * clockIsOn)
        let spike = f.spikeErrorLong * spikeError + f.spikeNovelty * spikeNovelty + f.spikeGated * gated + f.spikeOffset
        let level = f.levelFive * levelFive + f.levelShort * levelShort + f.levelTwenty * levelTwenty + f.levelOffset
        let breadth = spreads ? f.breadthJump * jump + f.breadthClock * broad + f.breadthOffset : 0
        let step = s.pointee.cadence.intervalSeconds
        let coarse = step > 300 ? f.cadence * decimalLogarithm(min(step, 3600) / 300) : 0
        let best = max(0, max(max(slow, spike), max(level, breadth)))
        if !verdict.isWarmingUp { s.pointee.incident.observe(best + coarse) }
        if (t + 1) % 25 == 0 {
            let weight = s.pointee.incident.closeBlock(
                t: Int64(t), readings: f.incidentReadings, limit: profile.threshold - f.incidentMargin, share: f.incidentShare)
            s.pointee.owedHalves = UInt32(2 * weight)
        }
        if keepsTrace {
            trace = [
                up[0], up[1], value, drifts.0, drifts.1, drifts.2, drifts.3, errorLong, novelty, spikeError, spikeNovelty, gated,
                levelFive, levelTwenty, levelShort, jump, broad, slow, spike, level, breadth, best + coarse, 0, 0,
            ]
        }
        // What each piece added, for the verdict.
        func add(_ e: Evidence, _ statistic: Statistic, _ contribution: Double, _ sides: Range<Int>) {
            var top = sides.lowerBound
            for i in sides where evidence[i] > evidence[top] { top = i }
            let k = Int(e.rawValue)
            verdict.results[k].contribution += contribution
            verdict.results[k].statistic = up[statistic.rawValue]
            guard Double(evidence[top]) >= verdict.results[k].calibrated else { return }
            verdict.results[k].calibrated = Double(evidence[top])
            verdict.results[k].blocksReaching = Double(reach[top])
            verdict.results[k].blocks = top < tail ? blocks.0 : blocks.1
        }
        verdict.offset = coarse
        if best == slow {
            verdict.offset += ageTerm + f.slowOffset
            verdict.results[Int(Evidence.valueRecord.rawValue)] = EvidenceResult(
                statistic: up[Statistic.record.rawValue], calibrated: up[Statistic.record.rawValue], contribution: records)
            add(.valueRank, .value, f.value * value, 0..<2)
            add(.stateNovelty, .novelty, f.novelty * novelty, 12..<13)
            add(.residualDrift, .driftLong, f.drift * drift, hasClock ? 2..<10 : 2..<8)
            add(.pointResidual, .errorLong, f.errorLong * errorLong, 10..<12)
        } else if best == spike {
            verdict.offset += f.spikeOffset
            add(.pointResidual, .errorLong, f.spikeErrorLong * spikeError, tail..<(tail + 2))
            add(.stateNovelty, .novelty, f.spikeNovelty * spikeNovelty, (tail + 2)..<(tail + 3))
            add(.fastResidual, .gatedFast, f.spikeGated * gated, (tail + 3)..<(tail + 4))
        } else if best == level {
            verdict.offset += f.levelOffset
            add(.localDeviation, .levelFive, f.levelFive * levelFive, (tail + 4)..<(tail + 6))
            add(.localDeviation, .levelFive, f.levelTwenty * levelTwenty, (tail + 6)..<(tail + 8))
            add(.localDeviation, .levelFive, f.levelShort * levelShort, (tail + 8)..<(tail + 10))
        } else if best > 0 {
            verdict.offset += f.breadthOffset
            add(.jump, .jump, f.breadthJump * jump, (tail + 10)..<(tail + 12))
            add(.pointResidual, .clockBroad, f.breadthClock * broad, (tail + 12)..<(tail + 14))
        }
        attributeCombined(count, &verdict)
        return best + coarse
    }

    /// The kind, and each channel's share of the score: shares of squared statistics, weighted by what each piece contributed.
    @inline(__always)
    private mutating func attributeCombined(_ count: Int, _ verdict: inout Verdict) {
        var largest = 0.0
        for i in 0..<Evidence.count where verdict.results[i].contribution > largest {
            largest = verdict.results[i].contribution
            verdict.kind = AnomalyKind(Evidence(index: i))
        }
        guard largest > 0 else { return }
        if count == 1 {
            if verdict.channelCount == 1 { verdict.channelStorage[0].contribution = 1 }
            return
        }
        for i in 0..<Statistic.count {
            guard let statistic = Statistic(rawValue: i) else { continue }
            let contribution = verdict[statistic.evidence].contribution
            guard contribution > 0 else { continue }
            var sum = 0.0
            for j in 0..<count where takes(j, statistic.rawValue) {
                sum += lines[j * Statistic.count + statistic.rawValue] * lines[j * Statistic.count + statistic.rawValue]
            }
            guard sum > 0 else { continue }
            for j in 0..<min(count, verdict.channelCount) where takes(j, statistic.rawValue) {
                let a = lines[j * Statistic.count + statistic.rawValue]
                verdict.channelStorage[j].contribution += contribution * a * a / sum
            }
        }
        var total = 0.0
        for j in 0..<verdict.channelCount { total += verdict.channelStorage[j].contribution }
        guard total > 0 else { return }
        for j in 0..<verdict.channelCount { verdict.channelStorage[j].contribution /= total }
    }
}
