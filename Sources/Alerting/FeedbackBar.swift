/// A mistaken alert raises the bar for the like of it: points on top of the stream's threshold that fade with the time of the readings.
public struct FeedbackBar: Sendable, Equatable {
    /// Number of the channel that must carry most of the score; `anyChannel` for any.
    public var channel: UInt16
    /// Points at the beginning.
    public var points: Double
    /// Time of the stream's newest reading when it was raised (nanoseconds since 1970).
    public var since: Int64
    /// Nanoseconds until nothing is left; linear.
    public var fade: Int64
    /// Hour of the week (0: Monday, first hour; local time of the stream) around which it holds, an hour to both sides; -1: always.
    public var weekHour: Int16

    public static let anyChannel = UInt16.max
    /// No bar is higher, so that what is far outside is always told.
    public static let pointsMax = 3.0
    /// A first mistake raises it at least and at most to this.
    public static let firstPoints = 0.5...2.0
    /// What a bar adds beyond the score that was mistaken.
    public static let beyond = 0.25
    /// Nanoseconds until a bar is gone: of `false`, and of `expected`, which holds for three hours of a week only.
    public static let fadeAlways: Int64 = 30 * 86_400 * 1_000_000_000
    public static let fadeHour: Int64 = 180 * 86_400 * 1_000_000_000

    public init(channel: UInt16, points: Double, since: Int64, fade: Int64, weekHour: Int16) {
        (self.channel, self.points, self.since, self.fade, self.weekHour) = (channel, points, since, fade, weekHour)
    }

    /// Points for an alert that peaked so far over its threshold: what would just have kept it back, within bounds.
    public static func points(peak: Double, threshold: Double) -> Double {
        let wanted = peak - threshold + beyond
        return wanted.isFinite ? min(max(wanted, firstPoints.lowerBound), firstPoints.upperBound) : firstPoints.lowerBound
    }

    /// What is left at `time`.
    public func height(at time: Int64) -> Double {
        guard time > since else { return points }
        let (age, overflow) = time.subtractingReportingOverflow(since)
        guard !overflow, age < fade else { return 0 }
        return points * (1 - Double(age) / Double(fade))
    }

    /// Whether it is about a channel and an hour of the week.
    func concerns(channel: UInt16, weekHour: Int16) -> Bool {
        guard self.channel == FeedbackBar.anyChannel || self.channel == channel else { return false }
        guard self.weekHour >= 0 else { return true }
        let apart = abs(Int(self.weekHour) - Int(weekHour)) % 168
        return min(apart, 168 - apart) <= 1
    }

    /// Hour of the week, 0 to 167 from Monday 00:00, of a moment (Unix seconds) with an offset east of UTC.
    public static func weekHour(seconds: Int64, offset: Int32) -> Int16 {
        // 1970-01-01 was a Thursday.
        let hours = Int64((Double(seconds &+ Int64(offset)) / 3600).rounded(.down))
        return Int16(((hours + 72) % 168 + 168) % 168)
    }
}

/// All bars of a stream, few.
public struct FeedbackBars: Sendable, Equatable {
    public var bars: [FeedbackBar] = []
    /// An alarm of the detector was kept back; until then one that rises over the bar is told though the detector has told it already.
    public var mutedUntil = Int64.min

    public static let barsMax = 8

    public init(bars: [FeedbackBar] = []) { self.bars = bars }

    /// Takes another mistake. One about the same channel and hour raises the bar that is there; with no room the lowest goes.
    public mutating func raise(_ new: FeedbackBar) {
        var new = new
        new.points = new.points.isFinite ? min(max(0, new.points), FeedbackBar.pointsMax) : 0
        // Somebody took the mistake back.
        guard new.points > 0 else { return bars.removeAll { $0.channel == new.channel && $0.weekHour == new.weekHour } }
        if let place = bars.firstIndex(where: { $0.channel == new.channel && $0.weekHour == new.weekHour }) {
            let left = bars[place].height(at: new.since)
            // A second mistake of the like counts for more than either.
            if left > 0 { new.points = min(FeedbackBar.pointsMax, max(left, new.points) + FeedbackBar.firstPoints.lowerBound) }
            bars[place] = new
            return
        }
        bars.append(new)
        guard bars.count > FeedbackBars.barsMax else { return }
        let lowest = bars.indices.min { bars[$0].height(at: new.since) < bars[$1].height(at: new.since) }
        if let lowest { bars.remove(at: lowest) }
    }

    /// Points on top of the threshold for a score that `channel` carries, at `time`.
    public func height(channel: UInt16, time: Int64, weekHour: Int16) -> Double {
        bars.reduce(0) { $1.concerns(channel: channel, weekHour: weekHour) ? max($0, $1.height(at: time)) : $0 }
    }
}
