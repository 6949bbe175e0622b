/// Learns the usual interval between the readings of one stream.
///
/// State: plain data, 64 bytes, no pointers. The first eight positive intervals give a median; after that the estimate follows small
/// deviations, ignores single gaps, and jumps when sixteen intervals in a row agree on another value (a changed cadence).
/// Intervals of zero or less (equal or late timestamps) are not counted.
public struct CadenceEstimator: BitwiseCopyable, Sendable {
    /// Intervals needed before a cadence is known.
    public static let learningIntervals: UInt32 = 8
    /// Intervals in a row on one side that make a new cadence.
    static let changeIntervals: UInt32 = 16

    /// Time of the last reading, nanoseconds since 1970.
    public private(set) var lastTime: Int64 = 0
    /// The learned interval in seconds, 0 while unknown.
    public private(set) var intervalSeconds: Double = 0
    /// Mean relative deviation from the interval, 0 for a perfect clock, at most 1.
    public private(set) var jitter: Double = 0
    private var logSum: Double = 0
    private var logLow: Double = 0
    private var logHigh: Double = 0
    /// Intervals counted so far.
    public private(set) var intervals: UInt32 = 0
    private var run: Int32 = 0
    private var started: UInt32 = 0
    private var reserved: UInt32 = 0

    /// Nothing learned yet.
    public init() {}

    /// True once an interval has been learned.
    public var isKnown: Bool { intervalSeconds > 0 }

    /// Takes the time of one reading and returns how many usual intervals passed since the last one (1 = on time, 0 = unknown, late or equal).
    public mutating func observe(_ time: Int64) -> Double {
        defer { if started == 0 || time > lastTime { lastTime = time } }
        guard started != 0 else {
            started = 1
            return 0
        }
        let (difference, overflow) = time.subtractingReportingOverflow(lastTime)
        guard !overflow, difference > 0 else { return 0 }
        let seconds = Double(difference) * 1e-9
        var known = intervalSeconds
        if known > 0, seconds > known * CadenceEstimator.longFrom, followLong(seconds) { known = exponential(logLow) }
        if intervals < Self.learningIntervals { learn(seconds) } else { follow(seconds) }
        if intervals < UInt32.max { intervals += 1 }
        if reserved < UInt32.max { reserved += 1 }
        return known > 0 ? seconds / known : 0
    }

    /// A trimmed geometric mean of the first intervals.
    private mutating func learn(_ seconds: Double) {
        let l = logarithm(seconds)
        logSum += l
        logLow = intervals == 0 ? l : min(logLow, l)
        logHigh = intervals == 0 ? l : max(logHigh, l)
        guard intervals + 1 == Self.learningIntervals else { return }
        intervalSeconds = exponential((logSum - logLow - logHigh) / Double(Self.learningIntervals - 2))
        logSum = 0
        (logLow, logHigh) = (0, 0)
    }

    /// An interval this many times the usual one is a gap, or the longer of a sender's two scales.
    static let longFrom = 8.0
    /// Long intervals that are alike and near each other before they are the rhythm of the sender.
    private static let longCompany = 3.0
    /// Readings between two of them at most.
    private static let shortRunMax: UInt32 = 64

    /// Learns the longer scale of a sender that has two, as when it sends three copies at once every ten minutes. After the first intervals
    /// `logLow` is its logarithm and `logHigh` how many agreed; `reserved` counts readings since the last.
    /// - Returns: whether such an interval is usual by now.
    private mutating func followLong(_ seconds: Double) -> Bool {
        let l = logarithm(seconds)
        let isAlike = logHigh >= 1 && abs(l - logLow) < 0.7 && reserved <= Self.shortRunMax
        if isAlike {
            logLow += (l - logLow) / min(logHigh + 1, 16)
            logHigh = min(logHigh + 1, 1000)
        } else if logHigh > Self.longCompany, l > logLow {
            // A gap by the longer scale, too; many of them make it doubtful.
            logHigh -= 1
            return true
        } else {
            (logLow, logHigh) = (l, 1)
        }
        reserved = 0
        return logHigh > Self.longCompany
    }

    private mutating func follow(_ seconds: Double) {
        // The longer of two scales says nothing about the shorter.
        if logHigh > Self.longCompany, seconds > intervalSeconds * Self.longFrom { return }
        let relative = seconds / intervalSeconds - 1
        jitter += (min(abs(relative), 1) - jitter) / 64
        if abs(relative) <= 0.2 {
            intervalSeconds += (seconds - intervalSeconds) / 32
            run = 0
            logSum = 0
            return
        }
        let side: Int32 = relative > 0 ? 1 : -1
        if run.signum() != side {
            run = 0
            logSum = 0
        }
        run += side
        logSum += logarithm(seconds)
        intervalSeconds *= side > 0 ? 1.01 : 1 / 1.01
        guard UInt32(abs(run)) >= Self.changeIntervals else { return }
        intervalSeconds = exponential(logSum / Double(abs(run)))
        run = 0
        logSum = 0
    }

    /// True if every number is finite and in range (a check for restored state).
    public var isSane: Bool {
        intervalSeconds.isFinite && intervalSeconds >= 0 && jitter >= 0 && jitter <= 1 && logSum.isFinite && logLow.isFinite
            && logHigh.isFinite
            && started <= 1 && UInt32(abs(Int64(run))) <= Self.changeIntervals
    }
}
