import TimeSeries

/// What explanations look at in a channel's block. Nothing changes.
extension Detector {
    /// Hidden units after the newest reading (of a driven channel: the features it was given).
    public func units(channel: UnsafeMutableRawPointer) -> [Float] {
        Array(UnsafeBufferPointer(start: engine.array(channel, engine.layout.hiddenAt), count: engine.core.unitCount))
    }

    /// The newest reading in units of the channel's deviation, as the network took it.
    public func input(channel: UnsafeMutableRawPointer) -> Double {
        channel.assumingMemoryBound(to: ChannelScalars<Float>.self).pointee.previous
    }

    /// Weights of the readout that predicts the next reading: of 1, x_t, x_(t-1), the units, the clock.
    public func readout(channel: UnsafeMutableRawPointer) -> [Double] {
        let weights = engine.array(channel, engine.layout.readoutsAt)
        return (0..<engine.layout.features).map { Double(weights[$0]) }
    }

    /// What that readout saw after the newest reading, in the same order.
    public func features(channel: UnsafeMutableRawPointer) -> [Double] {
        let age = channel.assumingMemoryBound(to: ChannelScalars<Float>.self).pointee.age
        guard age > 0 else { return Array(repeating: 0, count: engine.layout.features) }
        let row = engine.array(channel, engine.layout.phiAt) + Int((age - 1) % UInt64(engine.layout.ring)) * engine.layout.featuresPadded
        return (0..<engine.layout.features).map { Double(row[$0]) }
    }

    /// The value in units of the channel's deviation, as it would go in now.
    public func standardised(channel: UnsafeRawPointer, _ value: Double) -> Double { engine.standardised(channel, value) }

    /// How good the channel's forecast has been, and who makes it.
    public func forecastQuality(channel: UnsafeRawPointer) -> ForecastQuality { engine.forecastQuality(channel) }
}
