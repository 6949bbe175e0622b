import Detection

/// How well the channels of a shard are forecast, counted a few streams at a time, so that nobody waits for it.
public struct ForecastCensus: Sendable, Equatable {
    /// Channels with a forecast.
    public var channels = 0
    /// Of them those whose forecast is worse than "the same as last time" by more than a twentieth.
    public var worse = 0
    /// Times that readouts of these channels began anew.
    public var restarts: UInt64 = 0

    /// Nothing counted.
    public init() {}
}

extension ShardWatch {
    /// Streams looked at in one step.
    static let censusStep = 16

    /// Looks at the next streams; `census` changes when all have been looked at.
    public mutating func continueCensus() {
        let end = min(slots.count, censusAt + ShardWatch.censusStep)
        for local in censusAt..<max(censusAt, end) where slots[local].state != nil && slots[local].id != 0 {
            guard extra(local).pointee.readings > 100 else { continue }
            for channel in slots[local].channels {
                let forecast = detector.forecastQuality(channel: channel)
                counting.channels += 1
                if forecast.skill < -0.05 { counting.worse += 1 }
                counting.restarts += UInt64(forecast.restarts)
            }
        }
        censusAt = end
        guard end >= slots.count else { return }
        (census, counting, censusAt) = (counting, ForecastCensus(), 0)
    }
}
