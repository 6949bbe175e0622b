import Detection
import TimeSeries

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

    /// What lies before the ring.
    static let scalarBytes = MemoryLayout<ChannelExtra>.size - MemoryLayout<InlineArray<32, Float>>.size
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
    /// What lies before the ring.
    static let scalarBytes = MemoryLayout<StreamExtra>.size - MemoryLayout<InlineArray<32, Int64>>.size
    /// Readings before a stream can be stale.
    static let staleReadingsMin: UInt64 = 10

    /// Learns from the fleet time since the reading before. History that is sent while others are live finds the fleet's clock standing: then
    /// its own times tell, but for gaps.
    mutating func observe(clock: Int64, time: Int64) {
        if readings > 0 {
            var gap = Double(max(0, clock.since(lastClock)))
            if gap == 0, time > lastTime, lastTime != .min {
                gap = Double(time &- lastTime)
                if gap < 0 || readings > 8 && gap > 8 * meanGap { gap = meanGap }
            }
            meanGap += (gap - meanGap) / Double(min(readings, 64))
            longestGap = max(gap, longestGap * (1 - 1.0 / 512))
        }
        lastClock = clock
    }

    /// Fleet time of silence that is still usual (nanoseconds). Inlined: a call would be given a copy with the whole ring.
    @inline(__always)
    func silenceMax(after intervals: Int64, min: Int64) -> Int64 {
        guard readings >= StreamExtra.staleReadingsMin else { return .max }
        let limit = Swift.max(Double(min), Swift.max(meanGap * Double(intervals), longestGap * 3))
        return limit < 9e18 ? Int64(limit) : .max
    }
}

/// The blocks of a stream's channels. Most streams have one channel; with a million of them a list on the heap for it would be felt.
struct ChannelBlocks: RandomAccessCollection {
    private var first: UnsafeMutableRawPointer?
    private var others: [UnsafeMutableRawPointer] = []

    var startIndex: Int { 0 }
    var endIndex: Int { first == nil ? 0 : 1 + others.count }

    subscript(index: Int) -> UnsafeMutableRawPointer {
        @inline(__always) get {
            if index == 0, let first { return first }
            return others[index - 1]
        }
    }

    mutating func append(_ block: UnsafeMutableRawPointer) {
        if first == nil { first = block } else { others.append(block) }
    }
}

/// A stream's key as bytes of exactly its length; its owner frees them.
struct StreamKey {
    private let bytes: UnsafeMutableBufferPointer<UInt8>?

    init() { bytes = nil }

    init(_ text: String) {
        var text = text
        bytes = text.withUTF8 { source in
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: source.count)
            _ = copy.initialize(from: source)
            return copy
        }
    }

    var text: String { bytes.map { String(decoding: $0, as: UTF8.self) } ?? "" }

    func deallocate() { bytes?.deallocate() }
}

/// A stream in a shard.
struct StreamSlot {
    var id: UInt32 = 0
    /// Place in the shard's table of policies.
    var policy: UInt32 = 0
    var storedKey: StreamKey
    var names: [String] = []
    /// The detector's block with the extra behind it; nil: the slot is free.
    var state: UnsafeMutableRawPointer?
    var channels = ChannelBlocks()
    /// On a trained model; nil: the built-in network.
    var seat: ModelSeat?
    /// The group whose false-alarm budget it shares; 0 for none.
    var budgetGroup: UInt16 = 0
    /// The main channel of the open anomaly.
    var anomalyChannel: UInt16 = 0
    var hasAnomaly = false
    var isStale = false
    /// It is in the shard's row of streams whose newest reading left work behind.
    var isInDebt = false
    /// Neither judged nor learned from for the time being.
    var isPaused = false
    /// An alarm was kept back by feedback (see `FeedbackBars.mutedUntil`).
    var isMuffled = false

    var key: String { storedKey.text }

    /// A free slot.
    init() { storedKey = StreamKey() }

    init(id: UInt32, key: String, state: UnsafeMutableRawPointer) {
        (self.id, storedKey, self.state) = (id, StreamKey(key), state)
    }
}

/// A policy that streams of a shard have, with the clock of its zone as it was looked up last.
struct PolicyInForce {
    /// Without the group, which each stream has for itself.
    let policy: StreamPolicy
    /// Seconds east of UTC, and the times (nanoseconds since 1970) between which it holds.
    var clockOffset: Int32 = 0
    var clockOffsetFrom: Int64 = .max
    var clockOffsetUntil: Int64 = .min
}
