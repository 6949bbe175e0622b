import Detection
import Evaluation
import Glibc

/// rnn-quality: runs corpora through the detector and prints what came out.
///
/// usage: rnn-quality [--profile NAME] [--seeds N] [--no-clock] [--events MERGE,BEFORE,AFTER] [--threshold X] [--set WEIGHT=X] CORPUS...
///        rnn-quality --ablation [--seeds N] [--write FILE] CORPUS...   every piece removed in turn
///        rnn-quality --pieces [--write FILE]   what every piece costs by itself
///        rnn-quality --families NAME      synthetic families: false alarms, and what is found of injected faults ("" for all)
///        CORPUS is a folder, with :MERGE,BEFORE,AFTER behind it if its events are matched otherwise than --events says
///        rnn-quality --budget 20 [--write FILE] [CORPUS...]   false alarms asked against realised, tables into a document
///        rnn-quality --published DIR CORPUS      scores a published detector's files with the NAB rules
@main
struct Main {
    static func main() {
        do {
            try Options(Array(CommandLine.arguments.dropFirst())).run()
        } catch {
            let text = "rnn-quality: \(error)\n"
            _ = text.withCString { write(2, $0, strlen($0)) }
            exit(1)
        }
    }
}

struct Options {
    enum Problem: Error, CustomStringConvertible {
        case usage(String)
        var description: String {
            switch self {
            case .usage(let text): "usage: \(text)"
            }
        }
    }

    var profile = DetectorProfile.standard
    var seeds = 1
    var clock = true
    /// How alarms are matched with events, for corpora that do not say it behind their path.
    var metric: EventMetric.Settings?
    var published: String?
    var corpora: [String] = []
    var isSpeed = false
    /// Seeds of the budget tables; 0 for no budget run.
    var budgetSeeds = 0
    var document: String?
    var printsWeights = false
    var families: String?
    var isAblation = false
    var isPieces = false

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        func value() throws -> String {
            guard let v = rest.popFirst() else { throw Problem.usage("option without a value") }
            return v
        }
        while let a = rest.popFirst() {
            switch a {
            case "--profile":
                let name = try value()
                guard let found = DetectorProfile.all.first(where: { $0.name == name }) else {
                    throw Problem.usage("unknown profile \(name)")
                }
                profile = found
            case "--seeds": seeds = Int(try value()) ?? 1
            case "--no-clock": clock = false
            case "--budget": budgetSeeds = Int(try value()) ?? 20
            case "--write": document = try value()
            case "--published": published = try value()
            case "--threshold": profile.threshold = Double(try value()) ?? profile.threshold
            case "--print-weights": printsWeights = true
            case "--speed": isSpeed = true
            case "--ablation": isAblation = true
            case "--pieces": isPieces = true
            case "--families": families = try value()
            case "--set":
                let pair = try value().split(separator: "=")
                guard pair.count == 2, let number = Double(pair[1]), profile.setWeight(String(pair[0]), to: number) else {
                    throw Problem.usage("--set WEIGHT=NUMBER")
                }
            case "--gap": profile.gapIntervals = Double(try value()) ?? profile.gapIntervals
            case "--stuck": profile.stuckAlarms = try value() == "1"
            case "--prototypes": profile.prototypes = Int(try value()) ?? profile.prototypes
            case "--units":
                profile.weights = ReservoirWeights(seed: 1, units: Int(try value()) ?? 40, noveltyUnits: profile.weights.novelty.units)
            case "--bins":
                profile.calibratorBins = Int(try value()) ?? 400
                profile.calibratorWidth = 12.0 / Double(profile.calibratorBins)
            case "--events":
                let p = try value().split(separator: ",").compactMap { Int($0) }
                guard p.count == 3 else { throw Problem.usage("--events MERGE,BEFORE,AFTER") }
                metric = EventMetric.Settings(merge: p[0], before: p[1], after: p[2])
            default: corpora.append(a)
            }
        }
        if isSpeed || isPieces || printsWeights || families != nil || budgetSeeds > 0 { return }
        guard !corpora.isEmpty else { throw Problem.usage("rnn-quality [options] CORPUS...") }
    }

    func run() throws {
        if isSpeed { return speed() }
        if isPieces { return try PieceBench(profile: profile).run(into: document) }
        if printsWeights { return printWeights() }
        if let families { return FamilyBench(profile: profile, seeds: seeds).printTable(filter: families) }
        if budgetSeeds > 0 { return try BudgetBench(profile: profile, seeds: budgetSeeds).run(corpora, into: document) }
        if isAblation { return try AblationBench(profile: profile, seeds: seeds, metric: metric).run(corpora, into: document) }
        for path in corpora {
            let corpus = try Corpus(path, clock: clock)
            if let published {
                try scorePublished(published, corpus)
                continue
            }
            for seed in 0..<seeds { evaluate(corpus, seed) }
        }
    }

    /// The weights of the profile, one array a line: input, bias, recurrent (row major), leak of the predictor core, then of the novelty core.
    private func printWeights() {
        for layer in [profile.weights.predictor, profile.weights.novelty] {
            for array in [layer.input, layer.bias, layer.recurrent, layer.leak] { print(array.map { "\($0)" }.joined(separator: ",")) }
        }
    }

    private func speed() {
        let d = Detector(profile: profile)
        print("\(profile.name): \(d.streamStateBytes) bytes a stream, \(d.channelStateBytes) bytes a channel, \(Detector.instructionSet)")
        for (streams, channels) in [(1, 1), (100, 1), (1000, 1), (10_000, 1), (100, 8)] {
            let ns = Speed.measure(profile, streams: streams, channels: channels)
            print("  \(streams) streams of \(channels): \(fixed(ns, 0)) ns a reading, \(fixed(1e6 / ns, 0)) k readings/s")
        }
    }

    private func evaluate(_ corpus: Corpus, _ seed: Int) {
        let run = CorpusRun(corpus, profile, seed: seed, metric: metric)
        let events = run.events
        var line = "\(corpus.name) \(profile.name) seed \(seed + 1):"
        if let nab = run.scorer {
            let best = NabScorer.Costs.all.map { nab.best($0) }
            let here = NabScorer.Costs.all.map { nab.score($0, threshold: profile.threshold) }
            line +=
                " NAB " + best.map { fixed($0.score, 2) }.joined(separator: "/") + " thr "
                + best.map { fixed($0.threshold, 3) }.joined(separator: "/")
            line += " at \(profile.threshold): " + here.map { fixed($0.score, 2) }.joined(separator: "/") + " fp \(here[0].falseRows);"
        }
        line +=
            " events \(events.found + events.missed) found \(events.found) FA \(events.falseAlarms) F1 \(fixed(events.f1, 3)) recall \(fixed(events.recall, 3)) FA/10k \(fixed(events.falseAlarmsPer10k, 2))"
        if let highest = run.forecastRatios.last {
            line += " forecast / last \(fixed(run.forecastRatios[run.forecastRatios.count / 2], 2)), highest \(fixed(highest, 2))"
        }
        line += " | \(fixed(run.nanoseconds, 0)) ns/channel reading"
        print(line)
    }

    private func scorePublished(_ folder: String, _ corpus: Corpus) throws {
        var scorer = NabScorer()
        for series in corpus.series {
            let table = try Table("\(folder)/\(series.name)")
            let scores = stride(from: 0, to: table.values.count, by: table.columns).map { table.values[$0] }
            scorer.add(scores: scores, windows: series.events.map { $0.lowerBound...($0.upperBound - 1) })
        }
        print(NabScorer.Costs.all.map { fixed(scorer.best($0).score, 2) }.joined(separator: " / "))
    }
}
