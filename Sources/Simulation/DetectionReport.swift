import TimeSeries

/// How well a detector's alerts fit the injected faults: a pure function of both.
///
/// An alert fits a fault when it concerns the same stream and opens within `start - slackBefore ... end + slackAfter`. A fault is
/// found when at least one alert fits; its delay is that of the first one, 0 when it came early. Further alerts that fit a fault
/// already found are repeats, not false. An alert that fits no fault is false.
public struct DetectionReport: Sendable, Equatable {
    /// The result for one kind of fault.
    public struct Row: Sendable, Equatable {
        /// Name of the kind.
        public var fault: String
        /// Faults injected.
        public var injected = 0
        /// Faults with at least one fitting alert.
        public var found = 0
        /// Found faults whose first alert names one of the right channels.
        public var channelRight = 0
        /// Median delay of the found ones, nanoseconds; nil when none was found.
        public var medianDelayNs: Int64?
        /// Longest delay of the found ones, nanoseconds.
        public var longestDelayNs: Int64?
        /// Kinds of the first fitting alerts with their number, most frequent first.
        public var alertKinds: [(kind: String, count: Int)] = []

        public static func == (left: Row, right: Row) -> Bool {
            left.fault == right.fault && left.injected == right.injected && left.found == right.found
                && left.channelRight == right.channelRight && left.medianDelayNs == right.medianDelayNs
                && left.longestDelayNs == right.longestDelayNs && left.alertKinds.elementsEqual(right.alertKinds, by: ==)
        }
    }

    /// One row a kind of fault, in the order of ``FaultKind``, unknown kinds last.
    public var rows: [Row]
    /// All kinds together, `fault` is `all`.
    public var total: Row
    /// Alerts given.
    public var alerts: Int
    /// Alerts that fit a fault already found by an earlier one.
    public var repeats: Int
    /// Alerts that fit no fault.
    public var falseAlerts: [RaisedAlert]
    /// Length of the run in days of 24 hours.
    public var days: Double
    /// Number of streams; nil when unknown.
    public var streams: Int?

    /// False alerts per day of the run, all streams together; 0 for a run without length.
    public var falsePerDay: Double { days > 0 ? Double(falseAlerts.count) / days : 0 }

    /// Share of alerts that fit a fault; 1 when there are no alerts.
    public var precision: Double { alerts > 0 ? Double(alerts - falseAlerts.count) / Double(alerts) : 1 }

    /// Compares `alerts` with `labels`: times from 1970 to 2223, slacks of 0 to 31 years (others are taken as the nearest of these).
    ///
    /// Without a span in the labels the run is taken to last from the first to the last time named.
    public init(labels: FaultLabels, alerts: [RaisedAlert], slackBeforeNs: Int64 = 0, slackAfterNs: Int64 = 0) {
        let faults = labels.labels
        let slackMaxNs: Int64 = 1_000_000_000_000_000_000
        let (before, after) = (max(0, min(slackBeforeNs, slackMaxNs)), max(0, min(slackAfterNs, slackMaxNs)))
        var byStream: [String: [Int]] = [:]
        for (index, fault) in faults.enumerated() { byStream[fault.stream, default: []].append(index) }
        var first = [RaisedAlert?](repeating: nil, count: faults.count)
        var matched = 0
        var falseAlerts: [RaisedAlert] = []
        for alert in alerts.sorted(by: { ($0.openedNs, $0.stream) < ($1.openedNs, $1.stream) }) {
            let fitting = (byStream[alert.stream] ?? []).filter {
                alert.openedNs >= faults[$0].startNs - before && alert.openedNs <= faults[$0].endNs + after
            }
            // With overlapping windows the fault that began last is the one that this alert is about.
            guard let index = fitting.max(by: { faults[$0].startNs < faults[$1].startNs }) else {
                falseAlerts.append(alert)
                continue
            }
            matched += 1
            if first[index] == nil { first[index] = alert }
        }
        let pairs = zip(faults, first).map { (fault: $0, alert: $1) }
        let order = FaultKind.allCases.map(\.rawValue)
        let kinds = Set(faults.map(\.fault)).sorted {
            (order.firstIndex(of: $0) ?? order.count, $0) < (order.firstIndex(of: $1) ?? order.count, $1)
        }
        rows = kinds.map { kind in Self.row(kind, pairs.filter { $0.fault.fault == kind }) }
        total = Self.row("all", pairs)
        self.alerts = alerts.count
        self.falseAlerts = falseAlerts
        repeats = matched - total.found
        streams = labels.streams
        let times = faults.flatMap { [$0.startNs, $0.endNs] } + alerts.map(\.openedNs)
        let span = labels.spanNs ?? (times.min() ?? 0)..<(times.max() ?? 0)
        days = (Double(span.upperBound) - Double(span.lowerBound)) / Double(TimeSpan.day.nanoseconds)
    }

    private static func row(_ name: String, _ pairs: [(fault: FaultLabel, alert: RaisedAlert?)]) -> Row {
        var row = Row(fault: name, injected: pairs.count)
        var delays: [Int64] = []
        var kinds: [String: Int] = [:]
        for (fault, alert) in pairs {
            guard let alert else { continue }
            delays.append(max(0, alert.openedNs - fault.startNs))
            kinds[alert.kind, default: 0] += 1
            if !Set(alert.channels).isDisjoint(with: fault.channels) { row.channelRight += 1 }
        }
        delays.sort()
        row.found = delays.count
        row.longestDelayNs = delays.last
        if !delays.isEmpty {
            let (low, high) = (delays[(delays.count - 1) / 2], delays[delays.count / 2])
            row.medianDelayNs = low + (high - low) / 2
        }
        row.alertKinds = kinds.map { (kind: $0.key, count: $0.value) }.sorted { ($1.count, $0.kind) < ($0.count, $1.kind) }
        return row
    }
}
