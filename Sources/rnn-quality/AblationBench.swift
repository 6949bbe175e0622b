import Detection
import Evaluation
import TimeSeries

/// What each piece of the rule is worth: quality without it, and what it costs in bytes and time where removing it saves any.
struct AblationBench {
    let profile: DetectorProfile
    let seeds: Int
    let metric: EventMetric.Settings?

    private struct Row {
        var f1 = 0.0
        var falseAlarms = 0.0
        var nab = 0.0
        var corpora = 0
        var numenta = 0
    }

    /// One line per piece, and per smaller size of what has a size.
    func run(_ paths: [String], into document: String?) throws {
        let corpora = try paths.map { try Corpus($0, clock: true) }
        var text =
            "| without | mean event F1 | false alarms per 10,000 | NAB | bytes | ns a reading, 1,000 streams |\n|---|---:|---:|---:|---:|---:|\n"
        print(text, terminator: "")
        for variant in [("nothing", profile)] + profile.ablations {
            let row = quality(variant.1, corpora)
            let detector = Detector(profile: variant.1)
            let isSmaller = variant.0 == "nothing" || detector.layoutVersion != Detector(profile: profile).layoutVersion
            let cost =
                isSmaller
                ? " \(detector.channelStateBytes + detector.streamStateBytes) | \(fixed(Speed.measure(variant.1, streams: 1000), 0)) |"
                : " same | same |"
            let line =
                "| \(variant.0) | \(fixed(row.f1, 3)) | \(fixed(row.falseAlarms, 2)) | \(row.numenta > 0 ? fixed(row.nab, 1) : "-") |"
                + cost
            print(line)
            text += line + "\n"
        }
        if let document { try Document.replace("ablation", with: text, in: document) }
    }

    /// Means over corpora of the means over seeds.
    private func quality(_ profile: DetectorProfile, _ corpora: [Corpus]) -> Row {
        var row = Row()
        for corpus in corpora {
            for seed in 0..<seeds {
                let run = CorpusRun(corpus, profile, seed: seed, metric: metric)
                row.f1 += run.events.f1 / Double(seeds * corpora.count)
                row.falseAlarms += run.events.falseAlarmsPer10k / Double(seeds * corpora.count)
                guard let nab = run.scorer else { continue }
                row.nab += nab.best(NabScorer.Costs.all[0]).score
                row.numenta += 1
            }
        }
        row.nab /= Double(max(1, row.numenta))
        return row
    }
}

/// What each piece costs by itself.
struct PieceBench {
    let profile: DetectorProfile

    func run(into document: String?) throws {
        var random = SeededRandom(seed: 1)
        let values = (0..<4096).map { _ in random.gaussian() }
        let pieces = Pieces(profile, values: values, readings: 20_000)
        let costs = pieces.costs
        var times = [[Double]](repeating: [], count: costs.count)
        var sum = 0.0
        for _ in 0..<9 {
            for i in costs.indices {
                let began = Speed.now()
                for _ in 0..<10 { sum += pieces.run(i, values) }
                times[i].append((Speed.now() - began) / Double(10 * values.count) * 1e9)
            }
        }
        precondition(!sum.isNaN)
        let medians = times.map { $0.sorted()[$0.count / 2] }
        let bank = medians.last ?? 0
        var text = "| piece | ns by itself | of the calibrators | bytes of a univariate stream |\n|---|---:|---:|---:|\n"
        for (cost, own) in zip(costs, medians) {
            let share = bank * Double(cost.sides) / Double(PieceCost.sides)
            text += "| \(cost.name) | \(fixed(own, 0)) | \(cost.sides > 0 ? fixed(share, 0) : "-") | \(cost.bytes) |\n"
        }
        print(text, terminator: "")
        if let document { try Document.replace("pieces", with: text, in: document) }
    }
}
