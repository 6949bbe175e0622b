import Models
import RecurrentNetwork

/// A trained model ready to run in the shards: packed weights and what its card says about channels, scales and outputs.
/// Immutable, shared by all shards.
public final class WatchModel: Sendable {
    /// SHA-256 of its bytes in hexadecimal.
    public let id: String
    /// `NAME@VERSION`, for people.
    public let label: String
    /// The network as it was stored; for explanations.
    public let document: ModelDocument
    /// The network packed for this processor.
    public let engine: RecurrentEngine
    /// Channels in the order of the inputs; nil: the file does not say, so a stream's channels in the order of their first appearance.
    public var channels: [String]? { document.card?.channels }
    private let scales: [String: ModelCard.Scale]
    /// [horizonMax][inputs] places among the outputs.
    private let outputs: [Int]
    /// Readings ahead for which there is a forecast of every channel, from 1; 0: none.
    let horizonMax: Int
    /// Place of the top layer's first hidden unit in a state row.
    let topAt: Int
    /// Units of the top layer, those that the outputs weigh most first.
    let ranking: [Int]

    /// Prepares a model.
    /// - Errors: `NetworkError` for a network that cannot run.
    public init(id: String, label: String, document: ModelDocument) throws {
        (self.id, self.label, self.document) = (id, label, document)
        engine = try RecurrentEngine(model: document.model)
        scales = Dictionary((document.card?.streams ?? []).map { ($0.key, $0.scale) }, uniquingKeysWith: { first, _ in first })
        // A row holds per layer h and, for LSTM, c, each padded to 16 floats (`RecurrentEngine`).
        topAt = document.model.layers.dropLast().reduce(0) { $0 + ($1.hiddenSize + 15) / 16 * 16 * ($1.cell.hasCellState ? 2 : 1) }
        ranking = WatchModel.ranking(document.model)
        let (model, inputs) = (document.model, document.model.inputSize)
        let horizonMax = document.card?.horizon ?? (model.readout != nil && model.outputSize == inputs ? 1 : 0)
        self.horizonMax = horizonMax
        outputs = (0..<horizonMax * inputs).map { document.card?.loss.pointIndex($0, targets: horizonMax * inputs) ?? $0 }
    }

    /// The scale that the model was trained with for this stream; nil: it has not seen it.
    func scale(of stream: String) -> ModelCard.Scale? { scales[stream] }

    /// Channels that go in.
    public var inputCount: Int { engine.inputSize }

    /// Place among the outputs of the forecast of input `channel`, `horizon` readings ahead.
    @inline(__always)
    func output(channel: Int, horizon: Int) -> Int { outputs[(horizon - 1) * inputCount + channel] }

    /// Bytes that a stream on this model needs beside those of the detector.
    public var seatBytes: Int { ModelSeat.bytes(self) }

    /// Top units by the sum of their readout weights' sizes; without a readout in their order.
    private static func ranking(_ model: RecurrentModel) -> [Int] {
        let size = model.layers.last?.hiddenSize ?? 0
        guard let readout = model.readout else { return Array(0..<size) }
        let weights = (0..<size).map { unit in
            stride(from: unit, to: readout.weights.count, by: size).reduce(Float(0)) { $0 + abs(readout.weights[$1]) }
        }
        return (0..<size).sorted { (weights[$0], $1) > (weights[$1], $0) }
    }
}
