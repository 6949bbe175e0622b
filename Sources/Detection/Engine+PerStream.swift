import TimeSeries

/// Weights of the rule that combines channels first and calibrates once per stream.
struct PerStreamFusion {
    var record = 3.6
    var drift = 0.7
    var fast = 0.4
    var local = 0.2
    var age = 0.4
    var jump = 0.5
    var novelty = 0.3
    var spikeOffset = 0.88
    var rankQuantile = 0.7
    var tailQuantile = 0.8
}

extension Engine {
    /// Statistics of all channels, their combination, the five calibrators, two branches; the score is the higher branch.
    @inline(__always)
    mutating func scorePerStream(
        _ stream: UnsafeMutableRawPointer, _ channels: UnsafeBufferPointer<ChannelInput>, _ hasClock: Bool, _ intervals: Double,
        _ verdict: inout Verdict
    ) -> Double {
        let s = stream.assumingMemoryBound(to: Stream.self)
        var record = TopThree()
        var fast = TopThree()
        var drift = TopThree()
        var jump = TopThree()
        var novelty = TopThree()
        var local = 0.0
        var taking = 0
        var count = 0
        for input in channels where input.value.isFinite {
            let line = channelStatistics(input, s, hasClock, intervals, &verdict)
            statistics[count] = line
            count += 1
            guard line.takesPart else { continue }
            taking += 1
            record.add(line.record)
            fast.add(line.fast)
            drift.add(line.drift)
            jump.add(line.jump)
            novelty.add(line.novelty)
            local += line.local * line.local
        }
        guard taking > 0 else { return 0 }
        let combined = ChannelStatistics(
            record: record.mean(of: taking), fast: fast.mean(of: taking), drift: drift.mean(of: taking), novelty: novelty.mean(of: taking),
            jump: jump.mean(of: taking), local: (local / Double(taking)).squareRoot(), takesPart: true)
        let score = fuse(stream, s, combined, &verdict)
        if score > 0 { attribute(count, &verdict) }
        return score
    }

    @inline(__always)
    private mutating func channelStatistics(
        _ input: ChannelInput, _ s: UnsafeMutablePointer<Stream>, _ hasClock: Bool, _ intervals: Double, _ verdict: inout Verdict
    ) -> ChannelStatistics {
        let p = input.state
        let c = p.assumingMemoryBound(to: Channel.self)
        let value = seenValue(c, input.value)
        let resumed = resume(c, s, intervals)
        let age = Double(c.pointee.age)
        let prediction = predict(p, value, hasClock, isDriven: input.isDriven)
        var line = ChannelStatistics()
        var standardised = 0.0
        for q in 0..<horizonCount {
            guard prediction.judged[q] else {
                line.drift += abs(c.pointee.drift[q].value)
                continue
            }
            let o = c.pointee.residual[q].step(prediction.errors[q], age: age)
            c.pointee.drift[q].update(clipped(o, 10), age: age, horizon: 100)
            line.drift += abs(c.pointee.drift[q].value)
            if q == 0 {
                standardised = o
                old(p).pointee.fast[0].update(min(abs(o), 50), age: age, horizon: 3)
            }
        }
        line.fast = abs(old(p).pointee.fast[0].value)
        let z = c.pointee.deviation.step(value, age: age)
        line.novelty = noveltyDistance(p, c, z) + 1e-3
        line.record = c.pointee.record.step(value, age: age)
        line.local = old(p).pointee.local.step(value, age: age)
        line.jump = abs(
            c.pointee.jump.step(
                value, age: age, fresh: resumed, clip: jumpLimit(prediction, age), lifeShare: 0,
                ring: array(p, layout.jumpAt), length: profile.jumpWindow
            ))
        line.takesPart = takesPart(c)
        if c.pointee.stuck.step(value, growth: 0) && line.takesPart { verdict.results[Int(Evidence.stuck.rawValue)].statistic += 1 }
        report(&verdict, input, c, prediction, standardised, line.takesPart)
        c.pointee.age += 1
        return line
    }

    @inline(__always)
    private func fuse(
        _ stream: UnsafeMutableRawPointer, _ s: UnsafeMutablePointer<Stream>, _ combined: ChannelStatistics, _ verdict: inout Verdict
    ) -> Double {
        let t = s.pointee.age
        let f = PerStreamFusion()
        let grid = TailCalibrator<Scalar>.Grid(bins: profile.calibratorBins, width: profile.calibratorWidth)
        let base = array(stream, layout.calibratorsAt)
        let calibrators = (stream + layout.calibratorScalarsAt).assumingMemoryBound(to: TailCalibrator<Scalar>.self)
        let counts = verdict.warmUpReason != .gap
        func calibrate(_ i: Int, _ x: Double, _ form: TailCalibrator<Scalar>.Form, _ quantile: Double) -> CalibratedEvidence {
            calibrators[i].step(x, form: form, quantile: quantile, t: t, grid: grid, above: base + i * grid.bins, counts: counts)
        }
        let fast = calibrate(0, combined.fast, .rank, f.rankQuantile)
        let drift = calibrate(1, combined.drift, .rank, f.rankQuantile)
        let local = calibrate(2, combined.local, .rank, f.rankQuantile)
        let jump = calibrate(3, combined.jump, .tail, f.tailQuantile)
        let novelty = calibrate(4, combined.novelty, .rank, f.rankQuantile)
        let ageTerm = -f.age * decimalLogarithm(Double(max(t, 100)) / 1000)
        let slow = f.record * combined.record + f.drift * drift.value + f.fast * fast.value + f.local * local.value + ageTerm
        let spike = f.jump * jump.value + f.novelty * novelty.value + f.spikeOffset
        let isSlow = slow > spike
        verdict.offset = isSlow ? ageTerm : f.spikeOffset
        func set(_ e: Evidence, _ statistic: Double, _ c: CalibratedEvidence, _ weight: Double, _ inBranch: Bool) {
            verdict.results[Int(e.rawValue)] = EvidenceResult(
                statistic: statistic, calibrated: c.value, contribution: inBranch ? weight * c.value : 0, blocksReaching: c.blocksReaching,
                blocks: c.blocks)
        }
        set(.valueRecord, combined.record, CalibratedEvidence(value: combined.record), f.record, isSlow)
        set(.residualDrift, combined.drift, drift, f.drift, isSlow)
        set(.fastResidual, combined.fast, fast, f.fast, isSlow)
        set(.localDeviation, combined.local, local, f.local, isSlow)
        set(.jump, combined.jump, jump, f.jump, !isSlow)
        set(.stateNovelty, combined.novelty, novelty, f.novelty, !isSlow)
        return max(0, isSlow ? slow : spike)
    }

    /// The kind, and each channel's share of the score: the share of squared statistics, weighted by what each piece contributed.
    @inline(__always)
    func attribute(_ count: Int, _ verdict: inout Verdict) {
        var largest = 0.0
        for i in 0..<Evidence.count where verdict.results[i].contribution > largest {
            largest = verdict.results[i].contribution
            verdict.kind = AnomalyKind(Evidence(index: i))
        }
        if count == 1 && verdict.channelCount == 1 {
            verdict.channelStorage[0].contribution = 1
            return
        }
        for i in 0..<Evidence.count where verdict.results[i].contribution > 0 { share(Evidence(index: i), count, &verdict) }
        var sum = 0.0
        for i in 0..<verdict.channelCount { sum += verdict.channelStorage[i].contribution }
        guard sum > 0 else { return }
        for i in 0..<verdict.channelCount { verdict.channelStorage[i].contribution /= sum }
    }

    @inline(__always)
    private func share(_ e: Evidence, _ count: Int, _ verdict: inout Verdict) {
        let contribution = verdict[e].contribution
        var sum = 0.0
        for i in 0..<count where statistics[i].takesPart { sum += statistics[i][e] * statistics[i][e] }
        guard sum > 0 else { return }
        for i in 0..<min(count, verdict.channelCount) where statistics[i].takesPart {
            verdict.channelStorage[i].contribution += contribution * statistics[i][e] * statistics[i][e] / sum
        }
    }
}
