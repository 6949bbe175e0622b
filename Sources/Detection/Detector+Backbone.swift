import TimeSeries

/// How a trained network takes the place of the built-in core for a stream. See `ChannelInput.isDriven`.
extension Detector {
    /// A reading that a channel has seen.
    public struct RememberedReading: Sendable {
        /// In the unit of the readings.
        public var value: Double
        /// Nanoseconds since 1970.
        public var time: Int64

        /// A reading as given.
        public init(value: Double, time: Int64) { (self.value, self.time) = (value, time) }
    }

    /// Features of a channel that a network can fill; more are left out.
    public var featureCount: Int { engine.core.unitCount }

    /// Readings ahead that the readouts predict, ascending.
    public var horizons: [Int] { engine.profile.horizons }

    /// What the network says after the reading that the next `step` brings: call it for every channel whose input is driven.
    /// - Parameters:
    ///   - forecasts: of this channel, in the unit of the readings.
    ///   - units: hidden units, about -1...1.
    @inline(__always)
    public func setFeatures(
        channel: UnsafeMutableRawPointer, forecasts: UnsafeBufferPointer<Double>, units: UnsafeBufferPointer<Float>
    ) { engine.setFeatures(channel, forecasts, units) }

    /// The readouts of a channel begin anew on a network's features and learn from the newest readings.
    /// - Parameters:
    ///   - forecastOf: for each horizon the index of its forecast among the features; -1: none.
    ///   - readings: oldest first.
    ///   - features: calls `setFeatures` for reading i.
    public func adopt(
        channel: UnsafeMutableRawPointer, forecastOf: [Int], readings: [RememberedReading], clockOffsetSeconds: Int32 = 0,
        features: (Int) -> Void
    ) {
        engine.restartReadouts(
            channel, forecastOf: forecastOf, readings: readings.map { .init(value: $0.value, time: $0.time) },
            clockOffsetSeconds: clockOffsetSeconds, features: features)
    }

    /// The channel goes back to the built-in core, which hears the newest readings first.
    public func release(channel: UnsafeMutableRawPointer, readings: [RememberedReading], clockOffsetSeconds: Int32 = 0) {
        engine.restartReadouts(
            channel, forecastOf: engine.profile.horizons.map { _ in -1 }, readings: readings.map { .init(value: $0.value, time: $0.time) },
            clockOffsetSeconds: clockOffsetSeconds,
            features: { engine.stepCore(channel, readings[$0].value) })
    }

    /// Predictions made so far are not judged and the next readings are only watched, as after a gap.
    public func beginAnew(stream: UnsafeMutableRawPointer) { engine.beginAnew(stream) }

    /// Mean and deviation of a channel's readings so far, and how many there were.
    public func moments(channel: UnsafeRawPointer) -> (mean: Double, deviation: Double, readings: UInt64) { engine.moments(channel) }
}

extension Engine {
    func stepCore(_ p: UnsafeMutableRawPointer, _ value: Double) {
        core.step(state: array(p, layout.hiddenAt), input: Scalar(clipped(standardised(p, value), 8)))
    }

    func beginAnew(_ p: UnsafeMutableRawPointer) {
        let s = p.assumingMemoryBound(to: Stream.self)
        s.pointee.resumedAt = s.pointee.age
    }

    func moments(_ p: UnsafeRawPointer) -> (mean: Double, deviation: Double, readings: UInt64) {
        let c = p.assumingMemoryBound(to: Channel.self)
        let moments = c.pointee.normalizer.moments
        // Of the values as they came: what a counter's resets swallowed is not in them.
        return (moments.mean - c.pointee.counter.base, moments.variance.squareRoot(), c.pointee.age)
    }
}
