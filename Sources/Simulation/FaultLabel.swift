/// One injected fault: what a detector should find.
public struct FaultLabel: Sendable, Equatable {
    /// Canonical key of the stream, for example `pump,asset=p1,site=a`.
    public var stream: String
    /// Names of the channels concerned; all of them in a dropout.
    public var channels: [String]
    /// Name of the kind of fault, one of ``FaultKind`` when this program made it.
    public var fault: String
    /// Time of the first wrong (or missing) reading, nanoseconds since 1970.
    public var startNs: Int64
    /// Time of the first right reading after it, nanoseconds since 1970.
    public var endNs: Int64

    /// A label from its parts.
    public init(stream: String, channels: [String], fault: String, startNs: Int64, endNs: Int64) {
        self.stream = stream
        self.channels = channels
        self.fault = fault
        self.startNs = startNs
        self.endNs = endNs
    }

    init(_ fault: Fault, machine: Machine) {
        let concerned = machine.channels.indices.filter { fault.channelMask & (1 << UInt64($0)) != 0 }
        self.init(
            stream: machine.key, channels: concerned.map { machine.channels[$0].name }, fault: fault.kind.rawValue,
            startNs: fault.startNs, endNs: fault.endNs)
    }
}

/// The labels of one run together with what was simulated.
public struct FaultLabels: Sendable, Equatable {
    /// The faults, in order of start.
    public var labels: [FaultLabel]
    /// Begin and end (exclusive) of the simulated span, nanoseconds since 1970; nil when the file does not say.
    public var spanNs: Range<Int64>?
    /// Number of simulated streams; nil when the file does not say.
    public var streams: Int?

    /// Labels of a run.
    public init(labels: [FaultLabel], spanNs: Range<Int64>? = nil, streams: Int? = nil) {
        self.labels = labels
        self.spanNs = spanNs
        self.streams = streams
    }

    /// The labels of `plant`.
    public init(of plant: Plant) {
        let configuration = plant.configuration
        self.init(labels: plant.labels, spanNs: configuration.startNs..<configuration.endNs, streams: configuration.streams)
    }
}
