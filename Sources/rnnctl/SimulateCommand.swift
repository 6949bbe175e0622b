import ArgumentParser
import Simulation
import TimeSeries

/// A plant of sensors on stdout.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Write the readings of a simulated plant, with labelled faults, as InfluxDB line protocol.",
        discussion: """
            Pumps, boilers, cold rooms, tanks, motors and meters with daily and weekly rhythm, coupled channels and noise. \
            The same options and seed give the same bytes. Faults begin after a learning period; what is injected where \
            goes to the file given with --labels, which simulate-report compares with the alerts.

            EXAMPLES
              rnnctl simulate --labels labels.csv | rnn-watchd --stdin --state-dir ./state
              rnnctl simulate --start 2026-01-05 --hours 168 --streams 1 --faults none | head
              rnnctl simulate --rate 60 --streams 12 | socat - UNIX-CONNECT:/run/rnn-watchd/ingest.sock
            """)

    @Option(help: "Simulated hours.")
    var hours: Double = 672

    @Option(help: "Number of machines, each one stream.")
    var streams: Int = 6

    @Option(
        help: ArgumentHelp(
            "all, none, or a list of: \(FaultKind.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "list"))
    var faults: String = "all"

    @Option(help: "Seed of every random decision.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Simulated seconds per real second.", valueName: "factor"))
    var rate: Double?

    @Flag(help: "As fast as stdout takes it (the default).")
    var fast = false

    @Option(
        help: ArgumentHelp("Time of the first reading, such as 2026-01-05T00:00:00Z, or now.", valueName: "time"),
        transform: Boundary.option)
    var start: Boundary?

    @Option(
        help: ArgumentHelp("End of the simulated time: a time or now (the default; with --rate the start is now).", valueName: "time"),
        transform: Boundary.option)
    var end: Boundary?

    @Option(help: ArgumentHelp("Time between two readings of a stream.", valueName: "duration"), transform: TimeSpan.option)
    var interval = TimeSpan(nanoseconds: 60_000_000_000)

    @Option(
        help: ArgumentHelp("Time without faults at the beginning (default: 5d, at most 40 % of the hours).", valueName: "duration"),
        transform: TimeSpan.option)
    var learning: TimeSpan?

    @Option(help: ArgumentHelp("Factor on the size of the faults: 1 is visible in a plot, 0.5 is hard.", valueName: "factor"))
    var faultSize: Double = 1

    @Option(help: ArgumentHelp("Write the injected faults here: CSV, or JSON lines when the name ends in .jsonl.", valueName: "file"))
    var labels: String?

    mutating func validate() throws {
        if fast, rate != nil { throw ValidationError("--fast and --rate exclude each other") }
        if start != nil, end != nil { throw ValidationError("--start and --end exclude each other: --hours says how long") }
        if let rate, !(rate > 0 && rate <= 1e9) { throw ValidationError("--rate: got \(rate), expected a factor above 0") }
        guard hours > 0, hours <= 175_680 else {
            throw ValidationError("--hours: got \(hours), expected more than 0, at most 175680 (20 years)")
        }
        do { try plantConfiguration(nowNs: StandardStreams.nowNs()).validate() } catch let error as SimulationError {
            throw ValidationError(error.description)
        }
    }

    mutating func run() throws {
        StandardStreams.ignoreBrokenPipes()
        var plant = try Plant(plantConfiguration(nowNs: StandardStreams.nowNs()))
        if let labels {
            let known = FaultLabels(of: plant)
            try StandardStreams.writeFile(labels, labels.hasSuffix(".jsonl") ? known.jsonLines : known.csv)
        }
        let beginNs = StandardStreams.monotonicNs()
        let firstNs = plant.nextNs
        while true {
            if let rate {
                StandardStreams.sleep(untilMonotonicNs: beginNs + Int64(Double(plant.nextNs - firstNs) / rate))
            }
            guard plant.fill(bytesMin: rate == nil ? 1 << 16 : 0) else { return }
            let isRead = try plant.withLines { span in try StandardStreams.writeOut(span) }
            guard isRead else { return }
        }
    }

    /// The settings; times are aligned to the interval so that the same command within one interval gives the same bytes.
    private func plantConfiguration(nowNs: Int64) throws -> PlantConfiguration {
        let spanNs = Int64((hours * 3600e9).rounded())
        let intervalNs = interval.nanoseconds
        let aligned = intervalNs > 0 ? nowNs / intervalNs * intervalNs : nowNs
        let startNs: Int64 =
            if let start {
                start.nanoseconds ?? aligned
            } else if rate != nil && end == nil {
                aligned
            } else {
                (end?.nanoseconds ?? aligned).subtractingReportingOverflow(spanNs).partialValue
            }
        var configuration = PlantConfiguration(startNs: startNs, spanNs: spanNs)
        configuration.streams = streams
        configuration.seed = seed
        configuration.intervalNs = intervalNs
        configuration.faults = try FaultKind.list(faults)
        configuration.faultSize = faultSize
        configuration.learningNs = learning?.nanoseconds
        return configuration
    }
}

extension Simulate {
    /// A moment on the command line: a time, or now.
    struct Boundary {
        /// nil: now.
        var nanoseconds: Int64?

        /// Reads an option's value.
        static func option(_ text: String) throws -> Boundary {
            if text == "now" { return Boundary() }
            guard let time = TimeText.instant(text) else {
                throw ValidationError("expected a time such as 2026-11-23T09:00:00Z, or now")
            }
            return Boundary(nanoseconds: time)
        }
    }
}
