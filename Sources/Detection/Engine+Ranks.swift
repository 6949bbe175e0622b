import TimeSeries

extension Engine {
    /// Ranks per channel and prediction head; the score of a stream is the mean of its three highest channels.
    @inline(__always)
    mutating func scoreByRanks(
        _ s: UnsafeMutablePointer<Stream>, _ channels: UnsafeBufferPointer<ChannelInput>, _ hasClock: Bool, _ intervals: Double,
        _ verdict: inout Verdict
    ) -> Double {
        var top = TopThree()
        var taking = 0
        var best = -1.0
        var sum = 0.0
        for input in channels where input.value.isFinite {
            let c = input.state.assumingMemoryBound(to: Channel.self)
            _ = resume(c, s, intervals)
            let before = verdict.results
            let score = channelScore(input, hasClock, &verdict)
            let takes = takesPart(c)
            c.pointee.age += 1
            if takes {
                taking += 1
                top.add(score)
                sum += score
            }
            // The evidence reported is that of the highest channel.
            if takes && score > best { best = score } else { verdict.results = before }
            if verdict.channelCount > 0 { verdict.channelStorage[verdict.channelCount - 1].contribution = takes ? score : 0 }
        }
        for i in 0..<verdict.channelCount where sum > 0 { verdict.channelStorage[i].contribution /= sum }
        var largest = 0.0
        for i in 0..<Evidence.count where verdict.results[i].contribution > largest {
            largest = verdict.results[i].contribution
            verdict.kind = AnomalyKind(Evidence(index: i))
        }
        return top.mean(of: taking)
    }

    @inline(__always)
    private mutating func channelScore(_ input: ChannelInput, _ hasClock: Bool, _ verdict: inout Verdict) -> Double {
        let p = input.state
        let c = p.assumingMemoryBound(to: Channel.self)
        let value = seenValue(c, input.value)
        let t = c.pointee.age
        let age = Double(t)
        let prediction = predict(p, value, hasClock, isDriven: input.isDriven)
        let ranks = (p + layout.ranksAt).assumingMemoryBound(to: BlockRankCalibrator<Scalar>.self)
        let bins = BlockRankCalibrator<Scalar>.bins
        let tables = UnsafeMutableRawPointer(ranks + StateLayout.rankCalibrators).assumingMemoryBound(to: Scalar.self)
        func rank(_ i: Int, _ x: Double, _ twoSided: Bool) -> Double {
            ranks[i].step(x, twoSided: twoSided, t: t, above: tables + 2 * i * bins, below: tables + (2 * i + 1) * bins)
        }
        // 1, 2, 3: drift and point evidence of every head, fast evidence of the first two.
        let heads = hasClock ? horizonCount + 1 : horizonCount
        var u = 0.0
        var point = 0.0
        var fast = 0.0
        var standardised = 0.0
        for q in 0..<heads {
            let o = c.pointee.residual[q].step(prediction.errors[q], age: age)
            if q == 0 { standardised = o }
            c.pointee.drift[q].update(clipped(o, 10), age: age, horizon: 100)
            u += rank(q, c.pointee.drift[q].value, true)
            point += rank(4 + q, prediction.errors[q], true)
            guard q < 2 else { continue }
            let size = min(abs(o), 50)
            for i in 0..<3 {
                old(p).pointee.fast[3 * q + i].update(size, age: age, horizon: i == 0 ? 3 : (i == 1 ? 10 : 30))
                fast += rank(8 + 3 * q + i, old(p).pointee.fast[3 * q + i].value, false)
            }
        }
        u /= Double(heads)
        point /= Double(heads)
        fast /= 6
        let z = c.pointee.deviation.step(value, age: age)
        let valueRank = rank(14, z, true)
        let novelty = rank(15, logarithm(noveltyDistance(p, c, z) + 1e-3), false)
        let record = c.pointee.record.step(value, age: age) + c.pointee.leakyRecord.step(value, age: age, leak: 1 / 20_000)
        let skill = c.pointee.predictability.step(error: prediction.errors[0], x: prediction.x, age: age)
        // Fusion.
        let gate = max(0, min(1, (skill - 0.65) / (0.8 - 0.65)))
        let ageTerm = -0.6 * decimalLogarithm(Double(max(t, 100)) / 1000)
        let slow = 1.05 * record + 0.4 * valueRank + 0.2 * novelty + 1.2 * u + 0.25 * point + ageTerm + 2
        let quick = gate * (2 * fast + 1.5)
        let isSlow = slow > quick
        let score = max(0, isSlow ? slow : quick)
        verdict.offset = isSlow ? ageTerm + 2 : gate * 1.5
        func set(_ e: Evidence, _ calibrated: Double, _ contribution: Double, _ index: Int) {
            verdict.results[Int(e.rawValue)] = EvidenceResult(
                statistic: calibrated, calibrated: calibrated, contribution: contribution, blocksReaching: 0,
                blocks: index < 0 ? 0 : ranks[index].blocks)
        }
        set(.valueRecord, record, isSlow ? 1.05 * record : 0, -1)
        set(.valueRank, valueRank, isSlow ? 0.4 * valueRank : 0, 14)
        set(.stateNovelty, novelty, isSlow ? 0.2 * novelty : 0, 15)
        set(.residualDrift, u, isSlow ? 1.2 * u : 0, 0)
        set(.pointResidual, point, isSlow ? 0.25 * point : 0, 4)
        set(.fastResidual, fast, isSlow ? 0 : gate * 2 * fast, 8)
        if c.pointee.stuck.step(value, growth: 0) && takesPart(c) { verdict.results[Int(Evidence.stuck.rawValue)].statistic += 1 }
        report(&verdict, input, c, prediction, standardised, takesPart(c))
        if keepsTrace { keepTrace(prediction, [record, valueRank, novelty, u, point, fast, skill, slow, quick, score]) }
        return score
    }

    @inline(__always)
    private mutating func keepTrace(_ prediction: Prediction, _ rest: InlineArray<10, Double>) {
        trace[0] = prediction.x
        for q in 0..<4 { trace[1 + q] = prediction.errors[q] }
        for i in 0..<10 { trace[5 + i] = rest[i] }
    }
}
