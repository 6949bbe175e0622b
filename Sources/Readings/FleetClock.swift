import TimeSeries

/// How much time all streams together have lived through, told by the timestamps of their readings alone.
///
/// A stream is stale when its siblings went on and it did not; so the clock advances with the newest timestamp seen, at any
/// speed (a replayed year passes in seconds). A jump that is out of all proportion, as after a pause of the whole fleet, a
/// suspended machine or a restart after a week, is a gap that all had together: it counts only as much as a usual step, so
/// that nobody is called silent for it. A fleet whose readings come in bursts has such jumps all the time; the third is believed.
public struct FleetClock: Sendable, Equatable {
    /// Lived nanoseconds; never goes back.
    public var now: Int64 = 0
    /// The newest timestamp accepted (nanoseconds since 1970); Int64.min before the first.
    public var watermark: Int64 = .min
    /// A slowly fading maximum of steps between newest timestamps (nanoseconds).
    public var usualStep: Int64 = 0
    /// The last step that was out of proportion, how many like it came in a row, and what was lived since it came.
    public var outlier: Int64 = 0
    public var outliers: Int64 = 0
    public var livedSinceOutlier: Int64 = 0

    /// A step is believed up to this many usual steps.
    public static let stepsBelieved: Int64 = 4
    /// What the first step may count before anything is known: 20 seconds.
    public static let firstStepMax: Int64 = 20_000_000_000
    /// So many like outliers with less lived between them than they last are no outliers but the rhythm of the fleet.
    public static let companyMin: Int64 = 3

    public init() {}

    /// Takes the timestamp of an accepted reading.
    @inlinable
    public mutating func observe(_ time: Int64) { if time > watermark { advance(time) } }

    /// The newest timestamp was a clock's that has been set back since: the next one counts from itself. What was lived stays.
    public mutating func rewind() { watermark = .min }

    /// Takes a timestamp newer than all before.
    @usableFromInline
    mutating func advance(_ time: Int64) {
        guard watermark != .min else {
            watermark = time
            return
        }
        // A first reading of another century is an outlier like any other: the clock goes on from the reading after it.
        let step = time.since(watermark)
        watermark = time
        let (limit, isHuge) = usualStep.multipliedReportingOverflow(by: FleetClock.stepsBelieved)
        var believed = step
        if usualStep == 0 {
            believed = min(step, FleetClock.firstStepMax)
            usualStep = believed
            if step > believed { noteOutlier(step) }
        } else if !isHuge, step > limit {
            noteOutlier(step)
            if outliers >= FleetClock.companyMin { usualStep = step } else { believed = usualStep }
        }
        // Fades by 1/1024 of what was lived, so that many readings at one moment do not make it forget.
        usualStep = max(usualStep - believed / 1024, min(step, believed), 1)
        now = now.later(by: believed)
        livedSinceOutlier = min(livedSinceOutlier, Int64.max / 2) + min(believed, Int64.max / 4)
    }

    private mutating func noteOutlier(_ step: Int64) {
        let isAlike = outlier > 0 && step / 3 <= outlier && outlier / 3 <= step && livedSinceOutlier < outlier
        outliers = isAlike ? outliers + 1 : 1
        outlier = step
        livedSinceOutlier = 0
    }
}
