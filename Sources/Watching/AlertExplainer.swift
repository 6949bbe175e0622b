import Alerting
import Detection
import Models
import RecurrentNetwork

/// Explains an alert from a replay that has stopped just before the alert's reading. Every score in it comes from the detector itself,
/// run again on readings as they were or changed.
public struct AlertExplainer: ~Copyable {
    /// Channels whose predictions are taken apart, and whose readings the counterfactual changes first.
    static let carriersMax = 3
    /// Newest readings that the counterfactual may change.
    static let changesMax = [1, 2, 4, 8, 16]

    var replay: StreamReplay
    private let alert: AlertFactsToExplain
    let start: StreamReplay.Copy
    let readings: [StreamReplay.Reading]
    private let names: [String]
    private let isCancelled: @Sendable () -> Bool

    /// What the store knows about the alert.
    public struct AlertFactsToExplain: Sendable {
        public var id: String
        public var stream: String
        /// The channels that carry it, the main one first.
        public var channels: [String]
        public var threshold: Double
        public var score: Double?

        public init(id: String, stream: String, channels: [String], threshold: Double, score: Double?) {
            (self.id, self.stream, self.channels, self.threshold, self.score) = (id, stream, channels, threshold, score)
        }
    }

    /// What the detector said about one reading.
    private struct Judged {
        var score = 0.0
        var offset = 0.0
        var evidence: [(name: String, points: Double)] = []
        /// By channel of the stream.
        var channels: [UInt16: ChannelVerdict] = [:]
    }

    /// nil when the replay holds no reading of the alert.
    /// - Parameter isCancelled: asked before every run of the detector; true ends `explain` with an error.
    public init?(
        _ replay: consuming StreamReplay, alert: AlertFactsToExplain, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        guard let start = replay.start, !replay.readings.isEmpty else { return nil }
        self.start = start
        (self.alert, self.isCancelled) = (alert, isCancelled)
        readings = replay.readings
        names = replay.watch.slots[replay.local].names
        self.replay = replay
    }

    /// Works everything out. Errors: it was broken off, or a network refuses its weights.
    public mutating func explain() throws -> AlertExplanation {
        let carriers = alert.channels.compactMap { names.firstIndex(of: $0) }.prefix(AlertExplainer.carriersMax).map { UInt16($0) }
        let original = try judge(readings)
        guard let last = original.last, let final = readings.last else { throw ExplanationError.nothing }
        let now = replay.units(Int(carriers.first ?? 0))
        let seat = replay.watch.slots[replay.local].seat
        let model = seat?.isBound == true ? seat?.model : nil
        let shares = last.channels.values.sorted { ($0.contribution, $1.index) > ($1.contribution, $0.index) }.prefix(16)
        let predictions = try carriers.compactMap { try prediction($0, last.channels) }
        let (found, lowest) = try counterfactual(original, Array(carriers))
        let profile = replay.watch.settings.profile
        return AlertExplanation(
            alert: alert.id, stream: alert.stream, model: model?.label,
            network: model.map {
                "\(ModelDocument.architecture(of: $0.document.model)) behind readouts that learn online (recursive least squares)"
            }
                ?? "leaky Elman core of \(profile.weights.predictor.units) units per channel behind readouts that learn online (recursive least squares)",
            channels: alert.channels, time: final.time, score: last.score, storedScore: alert.score, threshold: alert.threshold,
            offset: last.offset, evidence: last.evidence,
            shares: shares.map { (name($0.index), $0.contribution, $0.value, $0.expected) }, predictions: predictions,
            readings: try parts(original, Array(carriers)), units: try units(now, model),
            unitsOf: model?.label ?? name(carriers.first ?? 0), historyCount: min(replay.history.count, StreamReplay.historyMax),
            counterfactual: found, lowestScore: lowest)
    }

    func name(_ channel: UInt16) -> String { Int(channel) < names.count ? names[Int(channel)] : "channel \(channel)" }

    // MARK: - Running the detector again

    /// Judges the window with these readings in the place of those that came.
    private mutating func judge(_ readings: [StreamReplay.Reading]) throws -> [Judged] {
        if isCancelled() { throw ExplanationError.cancelled }
        try replay.put(start)
        return readings.map { reading in
            replay.judge(reading)
            var judged = Judged(score: replay.watch.verdict.score, offset: replay.watch.verdict.offset)
            for piece in Evidence.allCases where replay.watch.verdict[piece].contribution > 0 {
                judged.evidence.append((piece.name, replay.watch.verdict[piece].contribution))
            }
            judged.evidence.sort { $0.points > $1.points }
            for i in 0..<replay.watch.verdict.channelCount {
                let channel = replay.watch.verdict.channels[i]
                judged.channels[channel.index] = channel
            }
            return judged
        }
    }

    private mutating func score(_ readings: [StreamReplay.Reading]) throws -> Double { try judge(readings).last?.score ?? 0 }

    /// The readings with some values moved towards what was expected of them.
    private func moved(_ original: [Judged], _ which: Range<Int>, _ channels: [UInt16], by share: Double) -> [StreamReplay.Reading] {
        var changed = readings
        for t in which {
            for i in changed[t].values.indices where channels.contains(changed[t].values[i].channel) {
                guard let verdict = original[t].channels[changed[t].values[i].channel] else { continue }
                changed[t].values[i].value += share * (verdict.expected - changed[t].values[i].value)
            }
        }
        return changed
    }

    // MARK: - What each reading has in the score

    private mutating func parts(_ original: [Judged], _ carriers: [UInt16]) throws -> [AlertExplanation.Reading] {
        try readings.indices.map { t in
            let main = carriers.first.flatMap { original[t].channels[$0] }
            let without = try score(moved(original, t..<(t + 1), carriers, by: 1))
            return AlertExplanation.Reading(
                time: readings[t].time, observed: main?.value, expected: main?.expected, score: original[t].score, scoreWithout: without)
        }
    }

    // MARK: - Counterfactual

    /// Moves the newest readings towards what was expected, as few and as little as do; first the alert's channels, then all.
    private mutating func counterfactual(_ original: [Judged], _ carriers: [UInt16]) throws -> (AlertExplanation.Counterfactual?, Double) {
        var lowest = original.last?.score ?? 0
        var best: (cost: Double, found: AlertExplanation.Counterfactual)?
        let all = Array(Set(readings.flatMap { $0.values.map(\.channel) })).sorted()
        for channels in [carriers, all] {
            for count in AlertExplainer.changesMax where count <= readings.count {
                let which = (readings.count - count)..<readings.count
                guard let (share, score) = try smallestShare(original, which, channels, &lowest) else { continue }
                let found = change(original, which, channels, share, score)
                let cost = found.changes.reduce(0) { $0 + abs($1.to - $1.from) / spread($1.channel) }
                if best.map({ cost < $0.cost }) ?? true { best = (cost, found) }
            }
            if best != nil { break }
        }
        return (best?.found, lowest)
    }

    /// The smallest share that brings the score below the threshold: the first of 16 steps that does, then halved five times.
    private mutating func smallestShare(
        _ original: [Judged], _ which: Range<Int>, _ channels: [UInt16], _ lowest: inout Double
    ) throws -> (share: Double, score: Double)? {
        var found: (share: Double, score: Double)?
        for step in 1...16 {
            let share = Double(step) / 16
            let score = try score(moved(original, which, channels, by: share))
            lowest = min(lowest, score)
            guard score < alert.threshold else { continue }
            found = (share, score)
            break
        }
        guard var best = found else { return nil }
        var low = best.share - 1.0 / 16
        for _ in 0..<5 {
            let middle = (low + best.share) / 2
            let score = try score(moved(original, which, channels, by: middle))
            if score < alert.threshold { best = (middle, score) } else { low = middle }
        }
        return best
    }

    private func change(
        _ original: [Judged], _ which: Range<Int>, _ channels: [UInt16], _ share: Double, _ score: Double
    ) -> AlertExplanation.Counterfactual {
        let changed = moved(original, which, channels, by: share)
        var changes: [(time: Int64, channel: String, from: Double, to: Double)] = []
        for t in which {
            for (before, after) in zip(readings[t].values, changed[t].values) where before.value != after.value {
                changes.append((readings[t].time, name(before.channel), before.value, after.value))
            }
        }
        return .init(readings: which.count, share: share, changes: changes, score: score)
    }

    private func spread(_ channel: String) -> Double {
        guard let place = names.firstIndex(of: channel) else { return 1 }
        return max(1e-12, replay.watch.detector.moments(channel: replay.watch.slots[replay.local].channels[place]).deviation)
    }

    // MARK: - Hidden units

    private func units(_ now: [Float], _ model: WatchModel?) throws -> [AlertExplanation.Unit] {
        let history = replay.history.suffix(StreamReplay.historyMax).filter { $0.count == now.count }
        guard history.count >= 2 else { return [] }
        let layers = model?.document.model.layers
        var place = 0
        var units: [AlertExplanation.Unit] = []
        for layer in 0..<(layers?.count ?? 1) {
            let isRelu = layers.map { $0[layer].cell == .elman && $0[layer].candidateActivation == .relu } ?? false
            for unit in 0..<(layers?[layer].hiddenSize ?? now.count) {
                let usual = ActivationAnalysis.summary(layer, unit, history.map { $0[place] }, isRelu: isRelu)
                units.append(
                    .init(
                        layer: layer, unit: unit, value: Double(now[place]), mean: usual.mean, deviation: usual.deviation,
                        low: Double(usual.low), high: Double(usual.high), saturation: usual.saturation, memory: usual.memory))
                place += 1
            }
        }
        return units
    }
}

/// Why nothing can be said.
public enum ExplanationError: Error, Equatable, CustomStringConvertible {
    case nothing, cancelled
    public var description: String {
        self == .nothing ? "cannot explain: got no reading of the alert, expected one" : "the explanation was broken off"
    }
}
