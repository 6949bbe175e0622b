/// How much time all streams together have lived through, told by the timestamps of their readings alone.
///
/// A stream is stale when its siblings went on and it did not; so the clock advances with the newest timestamp seen, at any
/// speed (a replayed year passes in seconds). A jump that is out of all proportion, as after a pause of the whole fleet, a
/// suspended machine or a restart after a week, is a gap that all had together: it counts only as much as a usual step.
public struct FleetClock: Sendable, Equatable {
    /// Lived nanoseconds; never goes back.
    public var now: Int64 = 0
    /// The newest timestamp accepted (nanoseconds since 1970); Int64.min before the first.
    public var watermark: Int64 = .min
    /// A slowly fading maximum of steps between newest timestamps (nanoseconds).
    public var usualStep: Int64 = 0

    /// A step is believed up to this many usual steps.
    public static let stepsBelieved: Int64 = 3
    /// What the first step may count before anything is known: 2 minutes.
    public static let firstStepMax: Int64 = 120_000_000_000

    public init() {}

    /// Takes the timestamp of an accepted reading.
    public mutating func observe(_ time: Int64) {
        guard watermark != .min else {
            watermark = time
            return
        }
        let (step, overflow) = time.subtractingReportingOverflow(watermark)
        guard step > 0, !overflow else { return }
        watermark = time
        let believed = min(
            step, max(FleetClock.firstStepMax, usualStep.multipliedReportingOverflow(by: FleetClock.stepsBelieved).partialValue))
        // Fades by 1/1024 a step, and grows at most to what was believed, doubled: an outlier needs company to be believed.
        usualStep = max(usualStep - usualStep / 1024, min(step, believed.multipliedReportingOverflow(by: 2).partialValue))
        now += believed
    }
}
