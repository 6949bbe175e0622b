import Detection
import Evaluation

/// False alarms per 10,000 readings of every family, and the share of injected faults that are found, at the default threshold.
struct FamilyBench {
    /// What one family did.
    struct Line {
        var name = ""
        /// Alarms in the first thousand readings and later, and the readings of each.
        var alarms = (young: 0, old: 0)
        var readings = (young: 0, old: 0)
        var days = 0.0
        /// Found and tried, first and second equal one, and the delays in readings.
        var faults: [Fault: (first: Int, second: Int, tried: Int)] = [:]
        var delays: [Int] = []
    }

    var profile: DetectorProfile
    var seeds: Int
    /// Readings apart from which alarms are two.
    static let merge = 12

    /// Runs one family over all seeds.
    func run(_ family: Family) -> Line {
        var detector = Detector(profile: profile)
        var line = Line(name: family.name)
        for seed in 1...UInt64(seeds) {
            let healthy = FamilySeries(family, seed: seed)
            let alarms = alarms(family, healthy, &detector)
            let young = min(1000, healthy.times.count)
            line.alarms.young += Self.groups(alarms, 0..<young)
            line.alarms.old += Self.groups(alarms, young..<alarms.count)
            line.readings.young += young
            line.readings.old += alarms.count - young
            line.days += Double(alarms.count) * family.cadence / 86_400
            for fault in Fault.allCases where fault.applies(family) && seed <= max(1, UInt64(seeds) / 2) {
                let sick = FamilySeries(family, seed: seed, fault: fault)
                let raised = self.alarms(family, sick, &detector)
                var count = line.faults[fault] ?? (0, 0, 0)
                count.tried += 1
                for (k, range) in sick.faults.enumerated() {
                    guard let at = raised[range.lowerBound..<min(raised.count, range.upperBound + 10)].firstIndex(of: true) else {
                        continue
                    }
                    if k == 0 { count.first += 1 } else { count.second += 1 }
                    line.delays.append(at - range.lowerBound)
                }
                line.faults[fault] = count
            }
        }
        return line
    }

    private func alarms(_ family: Family, _ s: FamilySeries, _ detector: inout Detector) -> [Bool] {
        return SeriesRun(
            LabelledSeries(
                name: family.name, times: s.times, values: s.values, channels: s.channels, hasClock: true, events: [], start: 0),
            &detector
        ).alarms
    }

    /// Alarms in `range`, those at most `merge` readings apart as one.
    static func groups(_ alarms: [Bool], _ range: Range<Int>) -> Int {
        var count = 0
        var last = -1000
        for i in range where alarms[i] {
            if i - last > merge { count += 1 }
            last = i
        }
        return count
    }
}
