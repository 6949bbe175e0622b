import TimeSeries

/// What to simulate. Two equal configurations give the same bytes.
public struct PlantConfiguration: Sendable, Equatable {
    /// Number of machines, each one stream; 1 to ``streamsMax``.
    public var streams = 6
    /// Seed of every random decision.
    public var seed: UInt64 = 1
    /// Time of the first reading, nanoseconds since 1970 (UTC). The calendar matters: days and weeks have their rhythm.
    public var startNs: Int64
    /// Simulated span in nanoseconds; readings lie in `startNs ..< startNs + spanNs`. At most ``spanMaxNs``.
    public var spanNs: Int64
    /// Time between two readings of one stream, nanoseconds; 1 ms to 1 h.
    public var intervalNs: Int64 = 60_000_000_000
    /// Kinds of faults to inject, in any order; empty for a healthy plant.
    public var faults: [FaultKind] = FaultKind.allCases
    /// No fault begins in the first part of the span, so that a detector can learn; nil = 5 days, at most 40 % of the span.
    public var learningNs: Int64?
    /// Factor on the size of the injected faults: 1 is visible to a careful person in a plot, 2 is blunt, 0.5 is hard.
    public var faultSize = 1.0

    /// Most machines one plant can have.
    public static let streamsMax = 100_000
    /// Longest span, 20 years in nanoseconds.
    public static let spanMaxNs: Int64 = 20 * 366 * TimeSpan.day.nanoseconds

    /// A plant of `spanNs` nanoseconds from `startNs` (nanoseconds since 1970), other settings at their defaults.
    public init(startNs: Int64, spanNs: Int64) {
        self.startNs = startNs
        self.spanNs = spanNs
    }

    /// The learning period that is used, in nanoseconds.
    public var effectiveLearningNs: Int64 { learningNs ?? min(5 * TimeSpan.day.nanoseconds, spanNs / 5 * 2) }

    /// End of the span (exclusive), nanoseconds since 1970.
    public var endNs: Int64 { startNs + spanNs }

    /// Refuses the first setting that is out of range.
    public func validate() throws(SimulationError) {
        try Self.require((1...Self.streamsMax).contains(streams), "streams", "\(streams)", "1 to \(Self.streamsMax)")
        try Self.require((1_000_000...3_600_000_000_000).contains(intervalNs), "interval", "\(intervalNs) ns", "1ms to 1h")
        try Self.require((intervalNs...Self.spanMaxNs).contains(spanNs), "span", "\(spanNs) ns", "one interval to 20 years")
        let yearNs = 366 * TimeSpan.day.nanoseconds
        try Self.require((0...200 * yearNs).contains(startNs), "start", "\(startNs) ns", "a time from 1970 to 2169")
        try Self.require(
            (0...Self.spanMaxNs).contains(effectiveLearningNs), "learning period", "\(effectiveLearningNs) ns", "0 to 20 years")
        try Self.require(faultSize.isFinite && (0.01...100).contains(faultSize), "fault size", "\(faultSize)", "0.01 to 100")
    }

    private static func require(_ condition: Bool, _ name: String, _ got: String, _ expected: String) throws(SimulationError) {
        guard condition else { throw .setting(name: name, got: got, expected: expected) }
    }
}
