import Detection
import Evaluation
import Glibc

/// One corpus through one detector: alarms at the one threshold against labelled events, and the benchmark's score where there is one.
struct CorpusRun {
    private(set) var events: EventMetric
    /// Of a corpus in the layout of the Numenta benchmark.
    private(set) var scorer: NabScorer?
    /// Error of what was expected over that of the reading before, of every channel of every series, ascending.
    private(set) var forecastRatios: [Double] = []
    /// CPU time per value.
    private(set) var nanoseconds: Double

    /// `seed`: 0 for the shipped weights. `metric`: how alarms are matched with events where the corpus does not say it.
    init(_ corpus: Corpus, _ profile: DetectorProfile, seed: Int, metric: EventMetric.Settings?) {
        var profile = profile
        if seed > 0 {
            profile.weights = ReservoirWeights(
                seed: UInt64(seed + 1), units: profile.weights.predictor.units, noveltyUnits: profile.weights.novelty.units)
        }
        var detector = Detector(profile: profile)
        var values = 0
        scorer = corpus.isNab ? NabScorer() : nil
        events = EventMetric(corpus.metric ?? metric ?? (corpus.isNab ? .init(merge: 12, before: 0, after: 0) : .init()))
        let began = Speed.now()
        for series in corpus.series {
            let run = SeriesRun(series, &detector)
            values += series.rows * series.channels
            scorer?.add(scores: run.raised, windows: series.events.map { $0.lowerBound...($0.upperBound - 1) })
            forecastRatios += run.forecastRatios
            events.add(alarms: run.alarms, events: series.events, start: series.start)
        }
        forecastRatios.sort()
        nanoseconds = (Speed.now() - began) / Double(max(values, 1)) * 1e9
    }
}
