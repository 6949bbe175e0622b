import ArgumentParser
import Control
import Detection
import Evaluation
import Platform
import Tabular
import TimeSeries

struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure the detector on labelled data, with its one default configuration and threshold.",
        subcommands: [Nab.self, LabelledSeriesCommand.self])

    /// The profile by name.
    static func detectorProfile(_ name: String) throws -> DetectorProfile {
        guard let profile = DetectorProfile.all.first(where: { $0.name == name }) else {
            throw ValidationError("--profile: got \"\(name)\", expected one of \(DetectorProfile.all.map(\.name).joined(separator: ", "))")
        }
        return profile
    }

    struct Nab: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run the Numenta Anomaly Benchmark and print its official scores.",
            discussion: """
                The folder holds combined_windows.json (or labels/combined_windows.json) and data/<category>/<file>.csv. Scores are official: \
                one threshold for all files, the one that is best for each cost profile; the fixed default threshold stands beside it. With \
                --output, result files in the benchmark's own layout are written for its own scorer. With --scores DIR, the files of another \
                detector are scored instead of running ours (timestamp,anomaly_score per row).

                EXAMPLES
                  rnnctl evaluate nab --corpus ~/NAB
                  rnnctl evaluate nab --corpus ~/NAB --output ~/NAB/results/rnnwatchd
                  rnnctl evaluate nab --corpus ~/NAB --scores ~/NAB/results/windowedGaussian --format json
                """)
        @Option(name: .long, help: ArgumentHelp("The benchmark's folder.", valueName: "dir"), completion: .directory)
        var corpus: String
        @Option(name: .long, help: ArgumentHelp("Write result files here.", valueName: "dir"), completion: .directory)
        var output: String?
        @Option(name: .long, help: ArgumentHelp("Score these result files instead.", valueName: "dir"), completion: .directory)
        var scores: String?
        @Option(name: .long, help: ArgumentHelp("Detector profile.", valueName: "name"))
        var profile = "default"
        @OptionGroup var format: FormatOptions

        mutating func validate() throws { _ = try Evaluate.detectorProfile(profile) }

        func run() throws {
            let files = try EvaluationCorpus.numenta(corpus)
            let profile = try Evaluate.detectorProfile(profile)
            var detector = Detector(profile: profile)
            var scorer = NabScorer()
            var bar = ProgressBar(total: files.count)
            for (index, file) in files.enumerated() {
                let raised: [Double]
                if let scores {
                    raised = try Nab.published("\(scores)/\(file.name)", rows: file.table.times.count)
                } else {
                    let series = LabelledSeries(
                        name: file.name, times: file.table.nanoseconds, values: file.table.values, channels: file.table.columns,
                        hasClock: true,
                        events: [], start: 0)
                    // What NAB calls anomaly_score: in [0, 1], where the alarm rule lets a score through.
                    raised = SeriesRun(series, &detector).raised.map { 1 - powerOfTwo(-$0) }
                    if let output { try Nab.write(file, raised, to: output) }
                }
                scorer.add(scores: raised, windows: file.windows)
                bar.show(index + 1, "files")
            }
            var table = RecordTable(columns: [
                "profile", "score", "threshold", "windows_found", "windows", "false_rows", "score_at_default_threshold",
            ])
            let fixed = 1 - powerOfTwo(-profile.threshold)
            for costs in NabScorer.Costs.all {
                let best = scorer.best(costs)
                table.rows.append([
                    .string(costs.name), .number((best.score * 100).rounded() / 100), .number(best.threshold),
                    .integer(Int64(best.windowsFound)),
                    .integer(Int64(best.windows)), .integer(Int64(best.falseRows)),
                    scores == nil ? .number((scorer.score(costs, threshold: fixed).score * 100).rounded() / 100) : .null,
                ])
            }
            FileOutput.output(table.text(format.format))
        }

        private static func published(_ path: String, rows: Int) throws -> [Double] {
            let table = try EvaluationCorpus.Table(path: path)
            guard table.times.count == rows, table.columns >= 1 else {
                throw ControlError.failed("cannot score \(path): it has \(table.times.count) rows, the corpus has \(rows)")
            }
            return (0..<rows).map { table.values[$0 * table.columns] }
        }

        /// `<category>/rnnwatchd_<file>.csv`: timestamp,value,anomaly_score,label.
        private static func write(_ file: EvaluationCorpus.NumentaFile, _ scores: [Double], to directory: String) throws {
            let parts = file.name.split(separator: "/")
            let folder = directory + "/" + parts.dropLast().joined(separator: "/")
            try Files.makeDirectory(folder, mode: 0o755)
            var text = "timestamp,value,anomaly_score,label\n"
            for row in scores.indices {
                let label = file.windows.contains { $0.contains(row) } ? 1 : 0
                text += "\(file.table.times[row]),\(file.table.values[row * file.table.columns]),\(scores[row]),\(label)\n"
            }
            try Files.replace("\(folder)/rnnwatchd_\(parts.last ?? "")", with: Array(text.utf8))
        }
    }

    struct LabelledSeriesCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "labelled",
            abstract: "Events found and false alarms on CSV series with labels, at the fixed default threshold.",
            discussion: """
                Series are <id>.csv: a time column, then one column per channel. Labels are JSON: \
                {"<id>": {"ranges": [[first, end], ...], "train_end": n}} with half-open ranges of rows; rows before train_end do not count. An \
                event is found when an alarm falls into it (widened by --before and --after rows); alarms outside, closer than --merge rows, are \
                one false alarm.

                EXAMPLE
                  rnnctl evaluate labelled --series data/skab/series --labels data/skab/labels.json --format csv
                """)
        @Option(name: .long, help: ArgumentHelp("Folder of the CSV files.", valueName: "dir"), completion: .directory)
        var series: String
        @Option(name: .long, help: ArgumentHelp("The labels.", valueName: "file"), completion: .file())
        var labels: String
        @Option(name: .long, help: ArgumentHelp("Rows between alarms that are one.", valueName: "rows"))
        var merge = 10
        @Option(name: .long, help: ArgumentHelp("Rows before an event that still count as it.", valueName: "rows"))
        var before = 0
        @Option(name: .long, help: ArgumentHelp("Rows after.", valueName: "rows"))
        var after = 10
        @Option(name: .long, help: ArgumentHelp("Detector profile.", valueName: "name"))
        var profile = "default"
        @Flag(name: .long, help: "A row per series before the total.")
        var each = false
        @OptionGroup var format: FormatOptions

        static let columns = [
            "series", "rows", "events", "found", "false_alarms", "f1", "recall", "false_alarms_per_10k", "false_alarms_per_day",
            "median_delay_rows",
            "vus_pr", "auc_roc", "auc_pr",
        ]

        mutating func validate() throws {
            _ = try Evaluate.detectorProfile(profile)
            guard merge >= 0, before >= 0, after >= 0 else { throw ValidationError("--merge, --before and --after: expected 0 or more") }
        }

        func run() throws {
            let all = try EvaluationCorpus.labelled(series: series, labels: labels)
            var detector = Detector(profile: try Evaluate.detectorProfile(profile))
            let settings = EventMetric.Settings(merge: merge, before: before, after: after)
            var total = EventMetric(settings)
            var days = 0.0
            var points: [PointMetrics] = []
            var table = RecordTable(columns: LabelledSeriesCommand.columns)
            var bar = ProgressBar(total: all.count)
            for (index, item) in all.enumerated() {
                let run = SeriesRun(
                    LabelledSeries(
                        name: item.name, times: item.table.nanoseconds, values: item.table.values, channels: item.table.columns,
                        hasClock: true,
                        events: item.events, start: item.start), &detector)
                var own = EventMetric(settings)
                own.add(alarms: run.alarms, events: item.events, start: item.start)
                total.add(alarms: run.alarms, events: item.events, start: item.start)
                let span = Double(own.rows) * item.step / 86_400
                days += span
                let metrics = PointMetrics(scores: run.scores, events: item.events, start: item.start)
                points.append(metrics)
                if each { table.rows.append(LabelledSeriesCommand.row(item.name, own, span, [metrics])) }
                bar.show(index + 1, "series")
            }
            table.rows.append(LabelledSeriesCommand.row("all", total, days, points))
            FileOutput.output(table.text(format.format))
        }

        private static func row(_ name: String, _ metric: EventMetric, _ days: Double, _ points: [PointMetrics]) -> [JSONValue] {
            func mean(_ values: [Double?]) -> JSONValue {
                let known = values.compactMap { $0 }
                return known.isEmpty ? .null : .number((known.reduce(0, +) / Double(known.count) * 1e4).rounded() / 1e4)
            }
            func rounded(_ value: Double) -> JSONValue { .number((value * 1e4).rounded() / 1e4) }
            return [
                .string(name), .integer(Int64(metric.rows)), .integer(Int64(metric.found + metric.missed)), .integer(Int64(metric.found)),
                .integer(Int64(metric.falseAlarms)), rounded(metric.f1), rounded(metric.recall), rounded(metric.falseAlarmsPer10k),
                days > 0 ? rounded(Double(metric.falseAlarms) / days) : .null, .optional(metric.medianDelay),
                mean(points.map { $0.vusPR() }),
                mean(points.map(\.aucROC)), mean(points.map(\.aucPR)),
            ]
        }
    }
}
