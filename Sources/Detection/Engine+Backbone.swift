import TimeSeries

/// A trained network in the place of the built-in core.
///
/// The readouts see `core.unitCount` features of a channel beside its own newest readings and the clock. A channel that is driven
/// gets them from outside: forecasts of the channel first, then hidden units, zero for the rest. Everything behind the features
/// (readouts that learn online, errors, evidence, calibration) is the same.
extension Engine {
    /// A reading that the channel has seen, for `restartReadouts`.
    struct Remembered {
        var value: Double
        /// Nanoseconds since 1970.
        var time: Int64
    }

    /// The value in units of the channel's own deviation, as it would go in now; nothing learns.
    func standardised(_ p: UnsafeRawPointer, _ value: Double) -> Double {
        let c = p.assumingMemoryBound(to: Channel.self)
        var normalizer = c.pointee.normalizer
        return normalizer.step(clipped(value, 1e100) + c.pointee.counter.base, age: Double(max(1, c.pointee.age)))
    }

    /// Writes forecasts (in the unit of the readings) and hidden units where the readouts look for features.
    @inline(__always)
    func setFeatures(_ p: UnsafeMutableRawPointer, _ forecasts: UnsafeBufferPointer<Double>, _ units: UnsafeBufferPointer<Float>) {
        let features = array(p, layout.hiddenAt)
        let size = core.unitCount
        let first = min(forecasts.count, size)
        for i in 0..<first { features[i] = Scalar(standardised(p, forecasts[i])) }
        let rest = min(units.count, size - first)
        for i in 0..<rest { features[first + i] = Scalar(units[i]) }
        for i in (first + rest)..<max(first + rest, size) { features[i] = 0 }
    }

    /// The readouts of a channel begin anew on other features and learn from the newest readings.
    ///
    /// What was learned about the size of errors is measured again where there is enough to measure.
    /// - Parameters:
    ///   - forecastOf: for each horizon the feature that forecasts it (with weight one at first); -1: none.
    ///   - readings: the newest readings of the channel, oldest first.
    ///   - features: makes the features after reading i in the channel's block.
    func restartReadouts(
        _ p: UnsafeMutableRawPointer, forecastOf: [Int], readings: [Remembered], clockOffsetSeconds: Int32, features: (Int) -> Void
    ) {
        let c = p.assumingMemoryBound(to: Channel.self)
        let n = layout.featuresPadded
        let hasClock = c.pointee.clockSeen != 0
        clearReadouts(p, variance: BackbonePrior.variance, hasClock: hasClock)
        let readouts = array(p, layout.readoutsAt)
        array(p, layout.phiAt).update(repeating: 0, count: layout.ring * n)
        array(p, layout.hiddenAt).update(repeating: 0, count: layout.hidden)
        for q in 0..<horizonCount {
            if forecastOf[q] >= 0 { readouts[q * n + 3 + forecastOf[q]] = 1 } else if horizons[q] == 1 { readouts[q * n + 1] = 0.9 }
        }
        rehearse(p, readings, hasClock, clockOffsetSeconds, features)
    }

    /// The readouts learn from remembered readings as they do from new ones.
    private func rehearse(
        _ p: UnsafeMutableRawPointer, _ readings: [Remembered], _ hasClock: Bool, _ clockOffsetSeconds: Int32, _ features: (Int) -> Void
    ) {
        let c = p.assumingMemoryBound(to: Channel.self)
        let n = layout.featuresPadded
        let (phi, gain) = (
            UnsafeMutablePointer<Scalar>.aligned(readings.count * n), UnsafeMutablePointer<Scalar>.aligned(readings.count * n)
        )
        defer {
            UnsafeMutableRawPointer(phi).deallocate()
            UnsafeMutableRawPointer(gain).deallocate()
        }
        var previous = readings.first.map { standardised(p, $0.value) } ?? 0
        var sums = InlineArray<4, Double>(repeating: 0)
        var counts = InlineArray<4, Double>(repeating: 0)
        for (i, reading) in readings.enumerated() {
            let x = standardised(p, reading.value)
            for q in 0..<horizonCount where i >= horizons[q] {
                let row = (i - horizons[q]) * n
                let w = array(p, layout.readoutsAt) + q * n
                let e = x - clipped(Double(Scalar.dot(w, phi + row, Int32(n))), 30)
                if i >= readings.count / 2 {
                    sums[q] += abs(e)
                    counts[q] += 1
                }
                Scalar.addScaled(w, gain + row, Scalar(clipped(e, 3 * c.pointee.headVariance[q].squareRoot())), Int32(n))
            }
            features(i)
            if hasClock { setClock(reading.time, clockOffsetSeconds) }
            writeFeatures(p, phi + i * n, x, previous, hasClock)
            previous = x
            _ = Scalar.leastSquares(array(p, layout.covarianceAt), phi + i * n, gain + i * n, Scalar(0.9995), 0, 10, Int32(n), nil)
        }
        c.pointee.experts.recurrentBegins(meanError: counts[0] >= 8 ? sums[0] / counts[0] : nil)
        for q in 0..<horizonCount where counts[q] >= 8 && sums[q] > 0 { c.pointee.residual[q].restart(at: sums[q] / counts[q]) }
    }
}

/// What the readouts of a channel know beforehand when they begin on a trained network.
enum BackbonePrior {
    /// Variance of each weight. A trained network's forecast is believed more than nothing, so less than for a new stream.
    static let variance = 1.0
}

extension UnsafeMutablePointer where Pointee: KernelScalar {
    /// Zeroed memory on a 64-byte boundary; give it back through a raw pointer.
    fileprivate static func aligned(_ count: Int) -> UnsafeMutablePointer<Pointee> {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * MemoryLayout<Pointee>.stride, alignment: 64)
        let typed = raw.bindMemory(to: Pointee.self, capacity: max(1, count))
        typed.initialize(repeating: 0, count: max(1, count))
        return typed
    }
}
