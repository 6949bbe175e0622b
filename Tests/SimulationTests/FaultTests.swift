import Testing

@testable import Simulation

@Suite struct FaultTests {
    /// A plant with one kind of fault and the same plant without, line by line.
    private struct Pair {
        var labels: [FaultLabel]
        var faulty: [String: [Int64: ParsedLine]] = [:]
        var healthy: [String: [ParsedLine]]

        init(_ kinds: [FaultKind], minutes: Int64 = 20) throws {
            var changed = Self.settings(minutes: minutes)
            changed.faults = kinds
            labels = try Plant(changed).labels
            for line in try lines(changed) { faulty[line.stream, default: [:]][line.ns] = line }
            healthy = try minutes == 20 ? Self.usualLines.get() : Self.healthyLines(minutes: minutes)
        }

        private static func settings(minutes: Int64) -> PlantConfiguration {
            SimulationTests.settings(days: 22, minutes: minutes) { ($0.faults, $0.seed) = ([], 5) }
        }

        private static func healthyLines(minutes: Int64) throws -> [String: [ParsedLine]] {
            Dictionary(grouping: try lines(settings(minutes: minutes)), by: \.stream)
        }

        private static let usualLines = Result { try healthyLines(minutes: 20) }

        /// Healthy and faulty values of a channel within a label.
        func values(_ label: FaultLabel, _ channel: String) -> [(healthy: Double, faulty: Double)] {
            (healthy[label.stream] ?? []).filter { $0.ns >= label.startNs && $0.ns < label.endNs }.compactMap { line in
                guard let was = line.value(channel), let `is` = faulty[label.stream]?[line.ns]?.value(channel) else { return nil }
                return (was, `is`)
            }
        }

        /// Standard deviation of a healthy channel, of one that rests with its machine while the machine runs.
        func spread(_ label: FaultLabel, _ channel: String) -> Double {
            let rests = label.stream.hasPrefix("motor,") && channel != "winding_c"
            let lines = (healthy[label.stream] ?? []).filter { !rests || $0.value("running") == 1 }
            return deviation(lines.compactMap { $0.value(channel) })
        }
    }

    @Test(arguments: FaultKind.allCases)
    func aFaultShowsInItsChannelsDuringItsLabelAndNowhereElse(kind: FaultKind) throws {
        let pair = try Pair([kind])
        #expect(pair.labels.count >= 6 && pair.labels.allSatisfy { $0.fault == kind.rawValue })
        var leaks: [ParsedLine] = []
        for (stream, lines) in pair.healthy {
            let labels = pair.labels.filter { $0.stream == stream }
            for line in lines {
                let now = pair.faulty[stream]?[line.ns]
                guard let label = labels.first(where: { line.ns >= $0.startNs && line.ns < $0.endNs }) else {
                    if now != line { leaks.append(line) }
                    continue
                }
                if kind == .dropout {
                    if now != nil { leaks.append(line) }
                } else {
                    let changed = try zip(line.fields, #require(now).fields).filter { $0 != $1 }.map(\.0.name)
                    if !Set(changed).isSubset(of: label.channels) { leaks.append(line) }
                }
            }
            let times = Set(lines.map(\.ns))
            for label in labels {
                #expect(times.contains(label.startNs), "a label begins with a reading")
                if kind != .dropout {
                    #expect(label.channels.contains { pair.values(label, $0).contains { $0.healthy != $0.faulty } }, "\(label)")
                }
            }
        }
        #expect(leaks.isEmpty)
    }

    @Test func sizesAreVisibleAgainstTheNormalSpread() throws {
        let pair = try Pair([.spike, .levelShift, .slowDrift, .noiseBurst])
        for label in pair.labels {
            let channel = try #require(label.channels.first)
            let values = pair.values(label, channel)
            let spread = pair.spread(label, channel)
            let differences = values.map { $0.faulty - $0.healthy }
            let mostly = mean(differences).magnitude / spread
            switch label.fault {
            case "spike": #expect(values.count <= 3 && mostly > 3 && mostly < 12, "\(label) \(mostly)")
            case "level_shift": #expect(mostly > 1.5 && mostly < 6 && deviation(differences) < 0.3 * spread, "\(label) \(mostly)")
            case "slow_drift":
                let (begin, end) = (differences[0].magnitude / spread, differences[differences.count - 1].magnitude / spread)
                #expect(begin < 0.2 && end > 2 && end < 8, "\(label) \(begin) \(end)")
            default:
                let burst = deviation(differences) / spread
                #expect(burst > 0.6 && burst < 5 && mostly < 0.8 * burst, "\(label) \(burst)")
            }
        }
        #expect(Set(pair.labels.map(\.fault)).count == 4)
    }

    @Test func aStuckSensorRepeatsItsLastValueWhileTheOthersGoOn() throws {
        let pair = try Pair([.stuck])
        for label in pair.labels {
            let values = pair.values(label, label.channels[0])
            #expect(label.channels.count == 1 && Set(values.map(\.faulty)).count == 1)
            #expect(Set(values.map(\.healthy)).count > 3, "\(label)")
            let before = pair.healthy[label.stream]?.last { $0.ns < label.startNs }?.value(label.channels[0])
            #expect(values.first?.faulty == before)
        }
    }

    @Test func aChangedFrequencyChangesTheNumberOfCycles() throws {
        // State channels show the cycle without noise.
        let pair = try Pair([.frequencyChange], minutes: 6)
        var compared = 0
        for label in pair.labels {
            guard let state = label.channels.first(where: { $0.hasSuffix("_on") || $0.hasSuffix("_open") }) else { continue }
            let values = pair.values(label, state)
            func switches(_ states: [Double]) -> Double { Double(zip(states, states.dropFirst()).count { $0 != $1 }) }
            let ratio = switches(values.map(\.faulty)) / switches(values.map(\.healthy))
            #expect((ratio > 1.4 && ratio < 2.8) || (ratio > 0.3 && ratio < 0.75), "\(label) \(ratio)")
            compared += 1
        }
        #expect(compared >= 6)
    }

    @Test func aLostRhythmTakesTheDailyWaveAway() throws {
        let pair = try Pair([.lostRhythm])
        for label in pair.labels where label.stream.hasPrefix("pump,") || label.stream.hasPrefix("meter,") {
            let channel = label.stream.hasPrefix("pump,") ? "flow_m3h" : "power_factor"
            // Without the hours of transition at both ends.
            let values = pair.values(label, channel).dropFirst(4).dropLast(4)
            #expect(deviation(values.map(\.faulty)) < 0.45 * pair.spread(label, channel), "\(label)")
        }
        #expect(pair.labels.contains { $0.stream.hasPrefix("pump,") })
    }

    @Test(arguments: [UInt64(1), 2, 3, 4, 5])
    func faultsComeAfterLearningWithPausesAndOfEveryKind(seed: UInt64) throws {
        let configuration = settings(days: 28, minutes: 1) { $0.seed = seed }
        let plant = try Plant(configuration)
        #expect(configuration.effectiveLearningNs == 5 * dayNs)
        #expect(Set(plant.labels.map(\.fault)) == Set(FaultKind.allCases.map(\.rawValue)), "seed \(seed)")
        #expect(plant.labels == plant.labels.sorted { $0.startNs < $1.startNs })
        for key in plant.streamKeys {
            let own = plant.labels.filter { $0.stream == key }
            #expect(own.count >= 3, "seed \(seed) \(key)")
            #expect(own.allSatisfy { $0.startNs >= mondayNs + 5 * dayNs && $0.startNs < $0.endNs && $0.endNs < configuration.endNs })
            #expect(zip(own, own.dropFirst()).allSatisfy { $1.startNs - $0.endNs >= 36 * hourNs })
        }
        let counts = Dictionary(grouping: plant.labels, by: \.fault).values.map(\.count)
        #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 4, "seed \(seed) \(counts)")
    }

    @Test func labelsNameTheirStreamsChannels() throws {
        let configuration = settings(days: 20)
        let channels = Dictionary(
            try lines(settings(days: 1)).map { ($0.stream, Set($0.fields.map(\.name))) }, uniquingKeysWith: { first, _ in first })
        for label in try Plant(configuration).labels {
            #expect(!label.channels.isEmpty && Set(label.channels).isSubset(of: channels[label.stream] ?? []), "\(label)")
        }
    }

    @Test(arguments: [UInt64(11)])
    func aFaultShowsInAThirdOfItsReadingsAtLeast(seed: UInt64) throws {
        let configuration = settings(days: 24, minutes: 20) { ($0.seed, $0.streams) = (seed, 8) }
        let plant = try Plant(configuration)
        var faulty: [String: [Int64: ParsedLine]] = [:]
        for line in try lines(configuration) { faulty[line.stream, default: [:]][line.ns] = line }
        var without = configuration
        without.faults = []
        let healthy = Dictionary(grouping: try lines(without), by: \.stream)
        for label in plant.labels where label.fault != "dropout" {
            let readings = (healthy[label.stream] ?? []).filter { $0.ns >= label.startNs && $0.ns < label.endNs }
            let shares = label.channels.map { channel in
                let changed = readings.count { $0.value(channel) != faulty[label.stream]?[$0.ns]?.value(channel) }
                return Double(changed) / Double(readings.count)
            }
            #expect(shares.contains { $0 > 1.0 / 3 }, "seed \(seed) \(label) \(shares)")
        }
    }

    @Test func noFaultsMeansNoLabelsAndTooShortSpansGetNone() throws {
        #expect(try Plant(settings(days: 20) { $0.faults = [] }).labels.isEmpty)
        #expect(try Plant(settings(days: 20) { $0.learningNs = 30 * dayNs }).labels.isEmpty)
    }

    @Test func kindsAreReadFromText() throws {
        #expect(try FaultKind.list("all") == FaultKind.allCases)
        #expect(try FaultKind.list("none").isEmpty)
        #expect(try FaultKind.list("spike,level_shift,spike") == [.spike, .levelShift])
        #expect(throws: SimulationError.self) { try FaultKind.list("spike,level-shift") }
    }
}
