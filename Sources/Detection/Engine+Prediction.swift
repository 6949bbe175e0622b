import TimeSeries

/// The half of a reading that does not depend on the rule: what was predicted, and what is learned of it.
extension Engine {
    /// What the prediction half of a channel says about one reading.
    struct Prediction {
        var x = 0.0
        /// e_k per horizon, then the clock head's.
        var errors = InlineArray<5, Double>(repeating: 0)
        /// False where a gap lies between prediction and reading.
        var judged = InlineArray<5, Bool>(repeating: true)
        /// What the forecast of the next reading misses, not limited; e_1 where forecasts are not blended.
        var errorNext = 0.0
        var expected = 0.0
        /// What the readout alone expected, in the unit of the judged value; nan while it expects nothing.
        var recurrent = Double.nan
        var spread = 0.0
        /// The range that forecasts may lie in, in the unit of the judged value; empty while there is none.
        var lowest = 0.0
        var highest = 0.0
    }

    /// Normaliser, judgement of old predictions, recurrent step, gain: everything that does not depend on the rule.
    @inline(__always)
    mutating func predict(
        _ p: UnsafeMutableRawPointer, _ value: Double, _ hasClock: Bool, isDriven: Bool, next: UnsafeRawPointer? = nil
    ) -> Prediction {
        let c = p.assumingMemoryBound(to: Channel.self)
        let age = c.pointee.age
        let ageReal = Double(age)
        if hasClock && c.pointee.clockSeen == 0 {
            c.pointee.clockSeen = 1
            for i in (layout.features - ClockFeatures.count)..<layout.features { setVariance(array(p, layout.covarianceAt), i, 10) }
        }
        var out = Prediction()
        let mean = c.pointee.normalizer.moments.mean
        out.expected = age == 0 ? value : mean
        out.spread = c.pointee.normalizer.moments.variance.squareRoot()
        let x = c.pointee.normalizer.step(value, age: ageReal)
        out.x = x
        let n = layout.featuresPadded
        let count = Int32(n)
        let phi = array(p, layout.phiAt)
        let gains = (p + layout.gainAt).assumingMemoryBound(to: Scalar.Gain.self)
        let readouts = array(p, layout.readoutsAt)
        let newest = ringRow(age)
        let unit = out.spread > 0 ? 1 / out.spread : 0
        let range: (Double, Double) = profile.blendsForecasts ? shownRange(c, mean, unit, &out) : (-30.0, 30.0)
        let newestX = (c.pointee.jump.last - mean) * unit
        let clockSaid =
            hasClock && profile.rule == .combinedRanks
            ? ClockHead(memory: array(p, layout.clockHeadAt)).predict(clockHeadFeatures) : 0
        for q in 0..<horizonCount {
            let k = UInt64(horizons[q])
            guard age >= k else { continue }
            guard age - k >= c.pointee.resumedAt else {
                out.judged[q] = false
                continue
            }
            let row = ringRow(newest, before: horizons[q]) * n
            let w = readouts + q * n
            // The unit of the features may have moved since; what the readout adds to the newest reading has not.
            let moved = k == 1 && profile.blendsForecasts ? clipped(newestX, Normalizer.limit) - Double(phi[row + 1]) : 0
            // The readout learns from what it said; what it said is believed within the range shown only.
            let said = clipped(Double(Scalar.dot(w, phi + row, count)) + moved, 30)
            let guess = bounded(said, range)
            out.errors[q] = x - guess
            let learned = headError(c, q, x - said, ageReal - Double(k), age > 20 + k)
            guard profile.blendsForecasts else {
                Scalar.learn(w, gains + row, Scalar(learned), 1, count)
                if k == 1 { out.expected += out.spread * guess }
                continue
            }
            Scalar.learn(w, gains + row, Scalar(learned), Scalar(1 - ReadoutMemory.leak), count)
            w[1] += Scalar(ReadoutMemory.leak * (k == 1 ? 1 : 0.9))
            guard k == 1, unit > 0 else { continue }
            out.recurrent = mean + out.spread * (said - moved)
            let guesses = SIMD4(guess, newestX, c.pointee.experts.level.value, bounded(clockSaid, range))
            blend(p, (value - mean) * unit, guesses, unit, range, hasClock, &out)
        }
        if profile.blendsForecasts { c.pointee.experts.level.update(x, age: ageReal, horizon: 30) } else { out.errorNext = out.errors[0] }
        if hasClock {
            if layout.hasClockHead { out.errors[horizonCount] = clockHead(p, c, x, ageReal) }
            if profile.rule == .combinedRanks { out.errors[horizonCount] = ridgeClockHead(p, c, clockSaid, x, ageReal) }
        }
        if !isDriven { core.step(state: array(p, layout.hiddenAt), input: Scalar(clipped(x, 8))) }
        let row = newest * n
        writeFeatures(p, phi + row, x, c.pointee.previous, hasClock)
        c.pointee.previous = x
        let memory = min(max(0.2 * ageReal, 2000), 50_000)
        _ = Scalar.leastSquares(
            array(p, layout.covarianceAt), phi + row, gain, Scalar(1 - 1 / memory),
            profile.blendsForecasts ? Scalar(memory * fullReading) : 0, 10, count,
            next.map { ($0 + layout.covarianceAt).assumingMemoryBound(to: Scalar.self) })
        Scalar.keep(gains + row, gain, count)
        return out
    }

    /// The error a head learns from: clipped at three deviations once it is 20 readings old.
    @inline(__always)
    mutating func headError(_ c: UnsafeMutablePointer<Channel>, _ q: Int, _ e: Double, _ predictions: Double, _ clips: Bool)
        -> Double
    {
        let variance = c.pointee.headVariance[q]
        let learned = clips ? clipped(e, 3 * variance.squareRoot()) : e
        let next = variance + max(1 / (predictions + 1), 0.005) * (learned * learned - variance)
        c.pointee.headVariance[q] = max(next, 1e-6)
        return learned
    }

    @inline(__always)
    func writeFeatures(
        _ p: UnsafeMutableRawPointer, _ phi: UnsafeMutablePointer<Scalar>, _ x: Double, _ previous: Double, _ hasClock: Bool
    ) {
        phi[0] = 1
        phi[1] = Scalar(x)
        phi[2] = Scalar(previous)
        let units = core.unitCount
        let hidden = array(p, layout.hiddenAt)
        for i in 0..<units { phi[3 &+ i] = hidden[i] }
        for i in 0..<ClockFeatures.count { phi[3 &+ units &+ i] = hasClock ? Scalar(clock[i]) : 0 }
    }

    /// The clock head: what the time of day and week alone explain. Horizon 0, memory 2000 readings.
    mutating func clockHead(_ p: UnsafeMutableRawPointer, _ c: UnsafeMutablePointer<Channel>, _ x: Double, _ age: Double) -> Double {
        let n = StateLayout.clockFeaturesPadded
        return withUnsafeTemporaryAllocation(of: Scalar.self, capacity: 2 * n) { scratch in
            guard let phi = scratch.baseAddress else { return 0 }
            phi.initialize(repeating: 0, count: 2 * n)
            phi[0] = 1
            for i in 0..<ClockFeatures.count { phi[1 + i] = Scalar(clock[i]) }
            let w = array(p, layout.clockWeightsAt)
            let e = x - Double(Scalar.dot(w, phi, Int32(n)))
            let learned = headError(c, horizonCount, e, age, age > 20)
            _ = Scalar.leastSquares(array(p, layout.clockCovarianceAt), phi, phi + n, Scalar(0.9995), 0, 1, Int32(n), nil)
            Scalar.addScaled(w, phi + n, Scalar(learned), Int32(n))
            return e
        }
    }

    /// The damped clock head, which said `guess`: its memory is that of the readouts.
    @inline(__always)
    mutating func ridgeClockHead(
        _ p: UnsafeMutableRawPointer, _ c: UnsafeMutablePointer<Channel>, _ guess: Double, _ x: Double, _ age: Double
    )
        -> Double
    {
        let head = ClockHead(memory: array(p, layout.clockHeadAt))
        let e = x - guess
        let learned = headError(c, horizonCount, e, age, age > 20)
        let memory = min(max(0.2 * age, 2000), 50_000)
        let t = c.pointee.age
        head.learn(
            clockHeadFeatures, guess + learned, gain: 1 / min(memory, age + 1), solves: t < 64 || t % 8 == 0,
            scratch: clockHeadFeatures + ClockHead<Scalar>.features)
        return e
    }
}
