import ModelFiles
import Models
import Readings
import RecurrentNetwork
import Watching

/// Streams on a trained model: time and allocations beside those of the built-in network.
extension InProcess {
    /// A GRU of 32 units on all channels of a stream. Its weights do not matter here.
    static func gru(channels: Int) -> WatchModel? {
        guard let network = try? RecurrentModel(cell: .gru, inputSize: channels, hiddenSize: 32, outputSize: channels, seed: 1) else {
            return nil
        }
        let bytes = Safetensors.writeModel(network)
        guard let document = try? ModelDocument(bytes: bytes, name: "bench.safetensors", external: { _ in [] }) else { return nil }
        return try? WatchModel(id: Digest.sha256(bytes), label: "bench@1", document: document)
    }

    /// Interleaved rounds of the same lines on the built-in network and on the model.
    func models() {
        report.begin(
            "models", "1,000 streams on a trained model (GRU 32), parse to episode:",
            ["network", "ns a line", "min-max", "million lines/s", "x built-in"])
        for channels in [1, 6] {
            guard let model = InProcess.gru(channels: channels) else { continue }
            // The model takes over after a hundred readings of every channel.
            let load = Workload(streams: 1000, channels: channels, lines: 25_000, segments: 6 + rounds)
            let plain = Pipe(.detector(.standard), streams: 1000, channels: channels)
            let driven = Pipe(.model(model), streams: 1000, channels: channels)
            for pipe in [plain, driven] { for segment in 0..<6 { pipe.run(load, segment) } }
            let results = Measure.interleaved(rounds, per: load.lines, [{ plain.run(load, 6 + $0) }, { driven.run(load, 6 + $0) }])
            let reference = Measure.median(results[0])
            report.time("\(channels) channels, built-in", results[0], reference: reference)
            report.time("\(channels) channels, model (\(model.seatBytes) bytes a stream)", results[1], reference: reference)
        }
    }
}
