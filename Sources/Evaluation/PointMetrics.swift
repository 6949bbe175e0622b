import TimeSeries

/// Metrics of a score against labels row by row, threshold-free.
///
/// Scores: one per row, higher = more anomalous; NaN counts as the lowest finite score. Labels: half-open ranges of rows. Rows before `start` do
/// not count. All are nil without labelled or without unlabelled rows.
public struct PointMetrics: Sendable {
    /// Scores that count.
    private let scores: [Double]
    /// 1 on labelled rows.
    private let labels: [Bool]
    private let positives: Int

    /// Prepares one series.
    public init(scores all: [Double], events: [Range<Int>], start: Int = 0) {
        let lowest = all.filter { $0.isFinite }.min() ?? 0
        scores = all.dropFirst(start).map { $0.isFinite ? $0 : ($0 == .infinity ? 1e300 : lowest) }
        var marks = [Bool](repeating: false, count: scores.count)
        for event in events {
            let range = event.clamped(to: start..<max(start, all.count))
            for i in range { marks[i - start] = true }
        }
        labels = marks
        positives = marks.lazy.filter { $0 }.count
    }

    private var isScorable: Bool { positives > 0 && positives < labels.count }

    /// Area under the precision-recall curve (average precision, ties taken together).
    public var aucPR: Double? {
        guard isScorable else { return nil }
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        var hits = 0
        var lastRecall = 0.0
        var area = 0.0
        var i = 0
        while i < order.count {
            let value = scores[order[i]]
            while i < order.count, scores[order[i]] == value {
                hits += labels[order[i]] ? 1 : 0
                i += 1
            }
            let recall = Double(hits) / Double(positives)
            area += (recall - lastRecall) * Double(hits) / Double(i)
            lastRecall = recall
        }
        return area
    }

    /// Area under the ROC curve (rank form, ties count half).
    public var aucROC: Double? {
        guard isScorable else { return nil }
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        var rankSum = 0.0
        var i = 0
        while i < order.count {
            let begin = i
            var inside = 0
            while i < order.count, scores[order[i]] == scores[order[begin]] {
                inside += labels[order[i]] ? 1 : 0
                i += 1
            }
            rankSum += Double(inside) * Double(begin + 1 + i) / 2
        }
        let p = Double(positives)
        let n = Double(labels.count - positives)
        return (rankSum - p * (p + 1) / 2) / (p * n)
    }

    /// Volume under the surface of precision-recall curves whose labels are widened by 0...window rows (Paparrizos et al. 2022), 250 thresholds.
    public func vusPR(window: Int = 100, thresholds count: Int = 250) -> Double? { volume(window, count)?.pr }

    /// The same volume for ROC curves.
    public func vusROC(window: Int = 100, thresholds count: Int = 250) -> Double? { volume(window, count)?.roc }

    private func volume(_ window: Int, _ count: Int) -> (pr: Double, roc: Double)? {
        guard isScorable else { return nil }
        let n = scores.count
        let events = closedEvents()
        let ascending = scores.sorted()
        let thresholds = (0..<count).map { ascending[n - 1 - Int(Double($0) * Double(n - 1) / Double(max(count - 1, 1)))] }
        let predicted = thresholds.map { n - firstIndex(ascending, notBelow: $0) }
        var near = [Bool](repeating: false, count: n)
        for e in events {
            for i in max(e.lowerBound - window / 2, 0)...min(e.upperBound + window / 2, n - 1) { near[i] = true }
        }
        let nearby = (0..<n).filter { near[$0] }.sorted { scores[$0] > scores[$1] }
        let reach = thresholds.map { t in nearby.partitionPoint { scores[$0] >= t } }
        var inside = [0.0]
        for i in nearby { inside.append((inside.last ?? 0) + (labels[i] ? 1 : 0)) }
        var sum = (pr: 0.0, roc: 0.0)
        for w in 0...window {
            let one = area(w, n, events, nearby, reach, inside, thresholds, predicted)
            sum.pr += one.pr
            sum.roc += one.roc
        }
        return (sum.pr / Double(window + 1), sum.roc / Double(window + 1))
    }

    private func area(
        _ w: Int, _ n: Int, _ events: [ClosedRange<Int>], _ nearby: [Int], _ reach: [Int], _ inside: [Double], _ thresholds: [Double],
        _ predicted: [Int]
    ) -> (pr: Double, roc: Double) {
        let soft = softLabels(w, n, events)
        var extra = [0.0]
        for i in nearby { extra.append((extra.last ?? 0) + (labels[i] ? 0 : min(soft[i], 1))) }
        let peaks = segments(w / 2, n, events).map { s in scores[s].max() ?? 0 }.sorted()
        var lastTrue = 0.0
        var lastFalse = 0.0
        var roc = 0.0
        var pr = 0.0
        for (k, t) in thresholds.enumerated() {
            let b = extra[reach[k]]
            let hits = inside[reach[k]] + b
            let positive = Double(positives) + b / 2
            let exists = Double(peaks.count - firstIndex(peaks, notBelow: t)) / Double(max(peaks.count, 1))
            let truePositive = min(hits / positive, 1) * exists
            let falsePositive = (Double(predicted[k]) - hits) / (Double(n) - positive)
            roc += (falsePositive - lastFalse) * (truePositive + lastTrue) / 2
            pr += (truePositive - lastTrue) * hits / Double(max(predicted[k], 1))
            lastTrue = truePositive
            lastFalse = falsePositive
        }
        roc += (1 - lastFalse) * (1 + lastTrue) / 2
        return (pr, roc)
    }

    private func closedEvents() -> [ClosedRange<Int>] {
        var out: [ClosedRange<Int>] = []
        var i = 0
        while i < labels.count {
            guard labels[i] else {
                i += 1
                continue
            }
            let begin = i
            while i < labels.count, labels[i] { i += 1 }
            out.append(begin...(i - 1))
        }
        return out
    }

    /// Square-root slopes of w / 2 rows on both sides of every event.
    private func softLabels(_ w: Int, _ n: Int, _ events: [ClosedRange<Int>]) -> [Double] {
        var soft = [Double](repeating: 0, count: n)
        guard w > 0 else { return soft }
        let h = w / 2
        for e in events {
            for x in (e.upperBound + 1)..<max(e.upperBound + 1, min(e.upperBound + h + 1, n)) {
                soft[x] += (1 - Double(x - e.upperBound) / Double(w)).squareRoot()
            }
            for x in max(e.lowerBound - h, 0)..<e.lowerBound { soft[x] += (1 - Double(e.lowerBound - x) / Double(w)).squareRoot() }
        }
        return soft
    }

    /// Events widened by h rows, overlapping ones merged.
    private func segments(_ h: Int, _ n: Int, _ events: [ClosedRange<Int>]) -> [ClosedRange<Int>] {
        var out: [ClosedRange<Int>] = []
        var begin = max(events[0].lowerBound - h, 0)
        for i in 0..<(events.count - 1) where events[i].upperBound + h < events[i + 1].lowerBound - h {
            out.append(begin...(events[i].upperBound + h))
            begin = events[i + 1].lowerBound - h
        }
        out.append(begin...min(events[events.count - 1].upperBound + h, n - 1))
        return out
    }

    private func firstIndex(_ ascending: [Double], notBelow t: Double) -> Int { ascending.partitionPoint { $0 < t } }
}

extension Array {
    /// The first index whose element does not satisfy `predicate`, for an array where all that do come first.
    fileprivate func partitionPoint(_ predicate: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if predicate(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
