import Detection

/// What is kept per channel beside the detector's block: plain bytes, behind it in the same slab block.
struct ChannelExtra {
    /// Time of the newest value (nanoseconds since 1970).
    var lastTime: Int64 = .min
    var lastValue: Double = 0
    /// As of the newest value, in units of the reading.
    var expected: Float = 0
    var bandLow: Float = 0
    var bandHigh: Float = 0
    var reserved: Float = 0
    /// The newest values, a ring shared with the stream's times: a slot is NaN when the channel had no value then.
    var recent: InlineArray<32, Float> = InlineArray(repeating: .nan)
}

/// What is kept per stream beside the detector's block: plain bytes, stored as they are.
struct StreamExtra {
    /// Time of the newest reading (nanoseconds since 1970).
    var lastTime: Int64 = .min
    /// Fleet clock of the newest reading.
    var lastClock: Int64 = 0
    /// Readings so far.
    var readings: UInt64 = 0
    /// Alerts so far: the next id.
    var alerts: UInt32 = 0
    /// The channel that is reported stuck, plus one; 0 for none.
    var stuckChannel: UInt32 = 0
    /// Mean and fading maximum of the fleet time between readings (nanoseconds).
    var meanGap: Double = 0
    var longestGap: Double = 0
    var score: Float = 0
    var threshold: Float = 0
    var warmUp: Float = 0
    var warmUpReason: UInt32 = 0
    /// Streams that share this one's budget, as told with the batches; 0 before it was told.
    var budgetShare: UInt32 = 0
    /// Mean seconds between false alarms in force at the newest reading; 0 for none.
    var budgetSeconds: Float = 0
    /// Time of the first reading that was judged.
    var judgedFrom: Int64 = .min
    /// Readings still to be seen before anything is judged, as of the newest reading.
    var warmUpReadings: UInt32 = 0
    var reserved: UInt32 = 0
    var recentTimes: InlineArray<32, Int64> = InlineArray(repeating: .min)

    static let ring = 32
    /// Readings before a stream can be stale.
    static let staleReadingsMin: UInt64 = 10

    /// Learns from the fleet time since the reading before.
    mutating func observe(clock: Int64) {
        if readings > 0 {
            let gap = Double(max(0, clock - lastClock))
            meanGap += (gap - meanGap) / Double(min(readings, 64))
            longestGap = max(gap, longestGap * (1 - 1.0 / 512))
        }
        lastClock = clock
    }

    /// Fleet time of silence that is still usual (nanoseconds).
    func silenceMax(after intervals: Int64, min: Int64) -> Int64 {
        guard readings >= StreamExtra.staleReadingsMin else { return .max }
        let limit = Swift.max(Double(min), Swift.max(meanGap * Double(intervals), longestGap * 3))
        return limit < 9e18 ? Int64(limit) : .max
    }
}

/// Where the state of a slot's stream and of its first channel is; nil: nowhere.
struct StatePlace {
    var state: UnsafeMutableRawPointer?
    var channel: UnsafeMutableRawPointer?
}

/// A stream in a shard.
struct StreamSlot {
    var id: UInt32 = 0
    var key = ""
    var names: [String] = []
    /// The detector's block with the extra behind it; nil: the slot is free.
    var state: UnsafeMutableRawPointer?
    var channels: [UnsafeMutableRawPointer] = []
    var policy = StreamPolicy()
    /// Seconds east of UTC, and the times (nanoseconds since 1970) between which it holds.
    var clockOffset: Int32 = 0
    var clockOffsetFrom: Int64 = .max
    var clockOffsetUntil: Int64 = .min
    var hasAnomaly = false
    /// The main channel of the open anomaly.
    var anomalyChannel: UInt16 = 0
    var isStale = false
    /// On a trained model; nil: the built-in network.
    var seat: ModelSeat?
}
