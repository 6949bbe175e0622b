import RecurrentNetwork
import Tabular

/// What a model trained here knows about its data: stored as JSON in the metadata of its safetensors file, entry `rnn_watchd`.
///
/// Fields: `version` 1, `channels` [names in input order], `horizon`, `loss` (text of `Loss`), `streams` {key: {mean, deviation}},
/// `pooled` {mean, deviation} for streams that were not trained on, `training` {option: value}.
public struct ModelCard: Sendable, Equatable {
    /// Standardisation x -> (x - mean) / deviation, channel by channel.
    public struct Scale: Sendable, Equatable {
        /// [channels].
        public var mean: [Double]
        /// [channels], positive.
        public var deviation: [Double]

        /// A scale as given.
        public init(mean: [Double], deviation: [Double]) { (self.mean, self.deviation) = (mean, deviation) }
    }

    /// The key in a safetensors file's metadata.
    public static let metadataKey = "rnn_watchd"

    /// Channel names in the order of the inputs.
    public var channels: [String]
    /// Readings ahead that are predicted, from 1.
    public var horizon: Int
    /// What was minimised; it says what the outputs are.
    public var loss: Loss
    /// The scale of every stream trained on, in order.
    public var streams: [(key: String, scale: Scale)]
    /// Mean of all streams' scales, for the others.
    public var pooled: Scale
    /// How it was trained, as text, for people.
    public var training: [(name: String, value: String)]

    /// A card as given.
    public init(
        channels: [String], horizon: Int, loss: Loss, streams: [(key: String, scale: Scale)], pooled: Scale,
        training: [(name: String, value: String)] = []
    ) {
        (self.channels, self.horizon, self.loss) = (channels, horizon, loss)
        (self.streams, self.pooled, self.training) = (streams, pooled, training)
    }

    /// The scale of a stream, or the pooled one. `isKnown`: whether the stream was trained on.
    public func scale(of stream: String) -> (scale: Scale, isKnown: Bool) {
        if let known = streams.first(where: { $0.key == stream }) { return (known.scale, true) }
        return (pooled, false)
    }

    public static func == (a: ModelCard, b: ModelCard) -> Bool { a.json == b.json }

    // MARK: - JSON

    /// The text for the metadata.
    public var json: String {
        func numbers(_ values: [Double]) -> JSONValue { .array(values.map { .number($0) }) }
        func text(_ scale: Scale) -> JSONValue { .object(["mean": numbers(scale.mean), "deviation": numbers(scale.deviation)]) }
        return JSONValue.object([
            "version": .integer(1), "channels": .array(channels.map { .string($0) }), "horizon": .integer(Int64(horizon)),
            "loss": .string(loss.text), "streams": .object(streams.map { .init($0.key, text($0.scale)) }), "pooled": text(pooled),
            "training": .object(training.map { .init($0.name, .string($0.value)) }),
        ]).compact
    }

    /// Reads the text of the metadata; nil if it does not fit (then the file is an ordinary state_dict).
    public init?(json: String) {
        guard let value = try? JSONValue.parse(Array(json.utf8)), value["version"]?.integerValue == 1,
            let channels = value["channels"]?.items?.compactMap(\.text), !channels.isEmpty,
            let horizon = value["horizon"]?.integerValue, (1...4096).contains(horizon),
            let loss = value["loss"]?.text.flatMap(Loss.init(text:)),
            let pooled = value["pooled"].flatMap({ ModelCard.scale($0, channels.count) }), case .object(let members)? = value["streams"]
        else { return nil }
        var streams: [(key: String, scale: Scale)] = []
        for member in members {
            guard let scale = ModelCard.scale(member.value, channels.count) else { return nil }
            streams.append((member.name, scale))
        }
        var training: [(name: String, value: String)] = []
        if case .object(let members)? = value["training"] { training = members.map { ($0.name, RecordTable.plain($0.value)) } }
        self.init(channels: channels, horizon: Int(horizon), loss: loss, streams: streams, pooled: pooled, training: training)
    }

    private static func scale(_ value: JSONValue, _ count: Int) -> Scale? {
        guard let mean = value["mean"]?.items?.compactMap(\.doubleValue),
            let deviation = value["deviation"]?.items?.compactMap(\.doubleValue),
            mean.count == count, deviation.count == count, mean.allSatisfy(\.isFinite),
            deviation.allSatisfy({ $0.isFinite && $0 > 0 })
        else { return nil }
        return Scale(mean: mean, deviation: deviation)
    }
}

extension Loss {
    /// `mse`, `huber:1.0`, `nll` or `quantile:0.1,0.5,0.9`.
    public var text: String {
        switch self {
        case .meanSquared: "mse"
        case .huber(let delta): "huber:\(delta)"
        case .gaussian: "nll"
        case .quantile(let levels): "quantile:" + levels.map { "\($0)" }.joined(separator: ",")
        }
    }

    /// Reads `text`; `huber` alone has delta 1, `quantile` alone the levels 0.1, 0.5, 0.9.
    public init?(text: String) {
        let parts = text.split(separator: ":", maxSplits: 1)
        let numbers = parts.count == 2 ? parts[1].split(separator: ",").map { Float($0) } : []
        guard let name = parts.first, !numbers.contains(where: { $0 == nil || $0?.isFinite == false }) else { return nil }
        let values = numbers.compactMap { $0 }
        switch (name, values.count) {
        case ("mse", 0) where parts.count == 1: self = .meanSquared
        case ("nll", 0) where parts.count == 1: self = .gaussian
        case ("huber", 0) where parts.count == 1: self = .huber(delta: 1)
        case ("huber", 1) where values[0] > 0: self = .huber(delta: values[0])
        case ("quantile", 0) where parts.count == 1: self = .quantile([0.1, 0.5, 0.9])
        case ("quantile", 1...) where values.allSatisfy({ $0 > 0 && $0 < 1 }): self = .quantile(values)
        default: return nil
        }
    }
}
