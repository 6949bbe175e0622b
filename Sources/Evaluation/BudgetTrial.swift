import Detection

/// Alarms that a false-alarm budget raised on data without events, against what was asked.
public struct BudgetTrial: Sendable {
    /// Alarms asked for: time that passed over time between alarms.
    public private(set) var asked = 0.0
    /// Alarms raised.
    public private(set) var raised = 0
    /// The same over the first `youngReadings` readings after the warm-up of each stream.
    public private(set) var youngAsked = 0.0
    public private(set) var youngRaised = 0

    /// Readings after the warm-up in which a stream counts as young.
    public static let youngReadings = 3000

    /// Nothing counted yet.
    public init() {}

    /// Realised over asked; nil when nothing was asked.
    public var ratio: Double? { asked > 0 ? Double(raised) / asked : nil }
    /// The same for young streams.
    public var youngRatio: Double? { youngAsked > 0 ? Double(youngRaised) / youngAsked : nil }

    /// Runs one synthetic series of `count` readings as a new stream with one alarm in `seconds` asked for.
    public mutating func run(_ series: LabelFreeSeries, count: Int, secondsBetween seconds: Double, _ detector: inout Detector) {
        var series = series
        let memory = StreamMemory(detector, channels: 1)
        var verdict = Verdict(channelsMax: 1)
        let settings = StreamSettings(secondsBetweenFalseAlarms: seconds, quietSeconds: BudgetTrial.quietSeconds)
        var input = [ChannelInput(state: memory.channel(0), value: 0, index: 0)]
        var counted = 0
        for _ in 0..<count {
            input[0].value = series.next()
            input.withUnsafeBufferPointer {
                detector.step(
                    stream: memory.stream, channels: $0, time: series.time, hasClock: true, settings: settings, verdict: &verdict)
            }
            guard verdict.warmUpReason != .readings else { continue }
            counted += 1
            add(isAlarm: verdict.isAlarm && verdict.kind != .stuck, share: series.cadenceSeconds / seconds, reading: counted)
        }
    }

    /// Runs a recorded series as a new stream; only readings outside its events count.
    public mutating func run(quiet series: LabelledSeries, secondsBetween seconds: Double, _ detector: inout Detector) {
        guard series.rows > 2 else { return }
        let settings = StreamSettings(secondsBetweenFalseAlarms: seconds, quietSeconds: BudgetTrial.quietSeconds)
        let run = SeriesRun(series, &detector, settings: settings)
        var isQuiet = [Bool](repeating: true, count: series.rows)
        for event in series.events { for i in event.clamped(to: 0..<series.rows) { isQuiet[i] = false } }
        let gaps = zip(series.times.dropFirst(), series.times).map { Double($0 - $1) * 1e-9 }.sorted()
        let step = gaps[gaps.count / 2]
        var counted = 0
        for i in 0..<series.rows where !run.warmUp[i] {
            counted += 1
            if isQuiet[i] { add(isAlarm: run.alarms[i] && run.kinds[i] != .stuck, share: step / seconds, reading: counted) }
        }
    }

    /// Adds what another trial counted.
    public mutating func add(_ other: BudgetTrial) {
        asked += other.asked
        raised += other.raised
        youngAsked += other.youngAsked
        youngRaised += other.youngRaised
    }

    private mutating func add(isAlarm: Bool, share: Double, reading: Int) {
        asked += share
        raised += isAlarm ? 1 : 0
        guard reading <= BudgetTrial.youngReadings else { return }
        youngAsked += share
        youngRaised += isAlarm ? 1 : 0
    }

    /// How long an alert stays open by default.
    private static let quietSeconds = 1800.0
}

/// The memory of one stream for runs outside the daemon.
final class StreamMemory {
    let stream: UnsafeMutableRawPointer
    private let first: UnsafeMutableRawPointer
    private let stride: Int

    init(_ detector: borrowing Detector, channels: Int) {
        stride = detector.channelStateBytes
        stream = .allocate(byteCount: detector.streamStateBytes + channels * stride, alignment: 64)
        first = stream + detector.streamStateBytes
        detector.initializeStream(stream)
        for j in 0..<channels { detector.initializeChannel(first + j * stride) }
    }

    deinit { stream.deallocate() }

    func channel(_ j: Int) -> UnsafeMutableRawPointer { first + j * stride }
}
