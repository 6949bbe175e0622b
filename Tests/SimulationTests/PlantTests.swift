import Testing
import TimeSeries

@testable import Simulation

@Suite struct PlantTests {
    @Test func equalSettingsGiveEqualBytesWhateverThePieces() throws {
        let configuration = settings(days: 6, minutes: 10)
        let whole = try text(configuration)
        #expect(try text(configuration) == whole)
        #expect(try text(configuration, bytesMin: 0) == whole)
        #expect(try text(configuration, bytesMin: 5000) == whole)
        #expect(try text(settings(days: 6, minutes: 10) { $0.seed = 2 }) != whole)
    }

    @Test func everyLineIsLineProtocolInOrderOfTime() throws {
        let configuration = settings(days: 3, minutes: 15) { $0.streams = 14 }
        let plant = try Plant(configuration)
        let raw = try text(configuration)
        #expect(raw.hasSuffix("\n"))
        var last = Int64.min
        var lastOfStream: [String: Int64] = [:]
        var names: [String: [String]] = [:]
        for line in raw.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            let parsed = try #require(ParsedLine(line), "\(line)")
            #expect(parsed.ns >= last && parsed.ns >= configuration.startNs && parsed.ns < configuration.endNs)
            last = parsed.ns
            if let before = lastOfStream[parsed.stream] { #expect(parsed.ns > before) }
            lastOfStream[parsed.stream] = parsed.ns
            let tags = parsed.stream.split(separator: ",").dropFirst().map { String($0.prefix { $0 != "=" }) }
            #expect(tags == ["asset", "site"])
            let fields = parsed.fields.map(\.name)
            #expect(names[parsed.stream, default: fields] == fields && Set(fields).count == fields.count)
            names[parsed.stream] = fields
            for field in parsed.fields { #expect(parsed.value(field.name) != nil, "\(line)") }
        }
        #expect(Set(names.keys) == Set(plant.streamKeys))
        #expect(plant.streamKeys.count == 14 && Set(plant.streamKeys).count == 14)
    }

    @Test func linesAndDropoutsAddUpToAllReadings() throws {
        var plant = try Plant(settings(days: 10, minutes: 10))
        let raw = text(&plant)
        #expect(raw.utf8.count { $0 == 0x0A } == plant.lineCount)
        #expect(plant.lineCount + plant.droppedCount == 10 * 144 * 6)
        let dropouts = plant.labels.filter { $0.fault == "dropout" }
        #expect(!dropouts.isEmpty)
        #expect(plant.droppedCount == dropouts.reduce(0) { $0 + Int(($1.endNs - $1.startNs) / plant.configuration.intervalNs) })
    }

    /// A pump, a cold room, a motor and a meter of four healthy weeks, by channel.
    private func healthy(_ measurement: String, _ channel: String) throws -> [Double] {
        try Self.weeks.get().filter { $0.stream.hasPrefix(measurement + ",") }.map { try #require($0.value(channel)) }
    }

    private static let weeks = Result { try lines(settings(days: 28, minutes: 15) { $0.faults = [] }) }

    @Test func demandHasADailyRhythm() throws {
        for (measurement, channel) in [("pump", "flow_m3h"), ("boiler", "supply_c"), ("tank", "outflow_m3h"), ("meter", "power_kw")] {
            let values = try healthy(measurement, channel)
            let day = autocorrelation(values, lag: 96)
            #expect(day > 0.55, "\(channel) \(day)")
            #expect(day > autocorrelation(values, lag: 48) + 0.3, "\(channel)")
        }
    }

    @Test func weekendsDifferFromWorkingDays() throws {
        for (measurement, channel) in [("motor", "current_a"), ("meter", "power_kw")] {
            let values = try healthy(measurement, channel)
            // The first day is a Monday.
            let isWeekend = values.indices.map { $0 / 96 % 7 >= 5 }
            let weekend = mean(zip(values, isWeekend).filter(\.1).map(\.0))
            let workday = mean(zip(values, isWeekend).filter { !$0.1 }.map(\.0))
            #expect(weekend < 0.75 * workday, "\(channel) \(weekend) \(workday)")
            #expect(autocorrelation(values, lag: 7 * 96) > autocorrelation(values, lag: 2 * 96) + 0.1)
        }
    }

    @Test func channelsOfOneMachineAreCoupled() throws {
        #expect(try correlation(healthy("pump", "flow_m3h"), healthy("pump", "power_kw")) > 0.95)
        #expect(try correlation(healthy("pump", "flow_m3h"), healthy("pump", "pressure_bar")) < -0.8)
        #expect(try correlation(healthy("cold_room", "compressor_a"), healthy("cold_room", "compressor_on")) > 0.95)
        #expect(try correlation(healthy("motor", "current_a"), healthy("motor", "running")) > 0.9)
    }

    @Test func noiseIsAutocorrelatedButNotFrozen() throws {
        let lines = try lines(settings(days: 1, minutes: 1) { $0.faults = [] })
        let values = lines.filter { $0.stream.hasPrefix("meter,") }.compactMap { $0.value("frequency_hz") }
        let next = autocorrelation(values, lag: 1)
        #expect(next > 0.6 && next < 0.98)
        #expect(autocorrelation(values, lag: 120) < 0.35)
    }

    @Test func countersNeverFallStatesAreZeroOrOneAndSensorsHaveSteps() throws {
        for (measurement, channel) in [("boiler", "gas_m3"), ("motor", "run_hours"), ("meter", "energy_kwh")] {
            let values = try healthy(measurement, channel)
            #expect(zip(values, values.dropFirst()).allSatisfy { $0 <= $1 } && values.last ?? 0 > values[0] + 100)
        }
        #expect(Set(try healthy("motor", "running")) == [0, 1])
        #expect(Set(try healthy("boiler", "burner_on")) == [0, 1])
        #expect(try healthy("cold_room", "humidity_pct").allSatisfy { ($0 * 2).rounded() == $0 * 2 })
        #expect(try healthy("motor", "speed_rpm").allSatisfy { $0.rounded() == $0 })
    }

    @Test func energyIsTheSumOfPower() throws {
        let power = try healthy("meter", "power_kw").dropFirst()
        let energy = try healthy("meter", "energy_kwh")
        let grown = (energy.last ?? 0) - energy[0]
        #expect((power.reduce(0, +) / 4 - grown).magnitude < 0.001 * grown)
    }

    @Test func theYearIsWarmerInSummer() throws {
        func temperature(_ start: String) throws -> Double {
            let startNs = try #require(TimeText.parse(start))
            let lines = try lines(settings(days: 7, minutes: 60) { ($0.startNs, $0.faults) = (startNs, []) })
            return mean(lines.filter { $0.stream.hasPrefix("tank,") }.compactMap { $0.value("temperature_c") })
        }
        #expect(try temperature("2026-07-06") > temperature("2026-01-05") + 2)
    }

    @Test func settingsOutOfRangeAreRefusedByName() {
        func refusal(_ change: (inout PlantConfiguration) -> Void) -> String {
            do {
                _ = try Plant(settings(days: 1, minutes: 5, change))
                return "accepted"
            } catch { return error.description }
        }
        #expect(refusal { $0.streams = 0 }.contains("streams"))
        #expect(refusal { $0.intervalNs = 0 }.contains("interval"))
        #expect(refusal { $0.spanNs = -1 }.contains("span"))
        #expect(refusal { $0.startNs = -1 }.contains("start"))
        #expect(refusal { $0.faultSize = .nan }.contains("fault size"))
        #expect(refusal { $0.learningNs = -1 }.contains("learning"))
        #expect(refusal { _ in } == "accepted")
    }
}
