import TimeSeries

/// What the readouts remember of the past.
///
/// Recursive least squares with a constant forgetting factor winds up where nothing excites it: on a machine that rests, the covariance of all
/// directions but one grows until the first readings of work throw the weights anywhere. So a reading makes the readouts forget only in proportion
/// to what it tells them. In a steady state phi' P phi averages F (1 - lambda) for F features: a reading with half of that or more is a full one.
/// This is the idea of constant information of Fortescue, Kershenbaum and Ydstie (1981), with a ceiling. What is left of the danger a small leak
/// takes off, by which all weights return to "the same as last time".
enum ReadoutMemory {
    /// Share of F (1 - lambda) from which on a reading is a full one.
    static let fullShare = 0.25
    /// Share of the way back to "the same as last time" at each reading.
    static let leak = 1e-5
    /// The range that forecasts may lie in reaches beyond what the channel has shown by this share of it.
    static let margin = 0.05
}

/// What a channel's forecast may say, and how good it is.
extension Engine {
    /// The range that the channel has shown and a margin, around `mean` in units of its deviation, and in its own unit in `out`; `unit`: 1 / deviation.
    @inline(__always)
    func shownRange(_ c: UnsafeMutablePointer<Channel>, _ mean: Double, _ unit: Double, _ out: inout Prediction) -> (Double, Double) {
        guard unit > 0, c.pointee.age > 1 else { return (-30.0, 30.0) }
        // A record grows slowly towards a value far outside; a channel may stay there.
        let bottom = min(c.pointee.record.low, c.pointee.jump.last)
        let top = max(c.pointee.record.high, c.pointee.jump.last)
        let margin = ReadoutMemory.margin * (top - bottom)
        (out.lowest, out.highest) = (bottom - margin, top + margin)
        return ((out.lowest - mean) * unit, (out.highest - mean) * unit)
    }

    /// v, but not outside the range.
    @inline(__always)
    func bounded(_ v: Double, _ range: (Double, Double)) -> Double { min(max(v, range.0), range.1) }

    /// What is expected of the next reading, from all experts, and what it missed. `x` and `guesses`: in units of the channel's deviation, x not
    /// limited, as forecasts are not.
    @inline(__always)
    mutating func blend(
        _ p: UnsafeMutableRawPointer, _ x: Double, _ guesses: SIMD4<Double>, _ unit: Double, _ range: (Double, Double), _ hasClock: Bool,
        _ out: inout Prediction
    ) {
        let c = p.assumingMemoryBound(to: Channel.self)
        let predictions = Double(c.pointee.age) - 1
        let forecast = bounded(c.pointee.experts.forecast(guesses, clock: hasClock && predictions >= 100), range)
        out.errorNext = x - forecast
        out.expected += out.spread * forecast
        let resolution = 0.001 * (c.pointee.record.high - c.pointee.record.low) * unit
        if c.pointee.experts.learn(guesses, x: x, forecast: forecast, predictions: predictions, resolution: resolution, hour: hourReadings)
        {
            restartReadouts(p, hasClock)
        }
    }

    /// The readouts of a channel begin anew at "the same as last time".
    func restartReadouts(_ p: UnsafeMutableRawPointer, _ hasClock: Bool) {
        let n = layout.featuresPadded
        clearReadouts(p, variance: 10, hasClock: hasClock)
        let readouts = array(p, layout.readoutsAt)
        for q in 0..<horizonCount { readouts[q * n + 1] = horizons[q] == 1 ? 1 : 0.9 }
    }

    /// Readouts that know nothing, with so much variance in every weight.
    func clearReadouts(_ p: UnsafeMutableRawPointer, variance: Double, hasClock: Bool) {
        let n = layout.featuresPadded
        let triangle = (n / 8) * (n / 8 + 1) / 2 * 64
        array(p, layout.covarianceAt).update(repeating: 0, count: triangle)
        for i in 0..<(hasClock ? layout.features : layout.features - ClockFeatures.count) {
            setVariance(array(p, layout.covarianceAt), i, Scalar(variance))
        }
        array(p, layout.readoutsAt).update(repeating: 0, count: horizonCount * n)
        // Gains that wait for their errors belong to the old covariance.
        (p + layout.gainAt).initializeMemory(as: UInt8.self, repeating: 0, count: layout.ring * n * MemoryLayout<Scalar.Gain>.stride)
    }

    /// How good the channel's forecast has been.
    func forecastQuality(_ p: UnsafeRawPointer) -> ForecastQuality {
        let c = p.assumingMemoryBound(to: Channel.self)
        let experts = c.pointee.experts
        let spread = c.pointee.normalizer.moments.variance.squareRoot()
        let resolution = spread > 0 ? 0.001 * (c.pointee.record.high - c.pointee.record.low) / spread : 1
        let ratio = experts.ratio(resolution: resolution)
        return ForecastQuality(
            skill: c.pointee.age > 100 ? 1 - ratio : 0, expert: experts.speaker(clock: c.pointee.clockSeen != 0 && c.pointee.age > 100),
            restarts: experts.restarts)
    }
}
