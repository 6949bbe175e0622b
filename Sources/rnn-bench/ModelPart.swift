import CAllocationCount
import ModelFiles
import Models
import Readings
import RecurrentNetwork
import Watching

/// Streams on a trained model: time and allocations beside those of the built-in network.
extension Bench {
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
    static func models(_ rounds: Int) {
        print("\nstreams on a trained model (GRU 32), all stages")
        head("line", "built-in")
        for channels in [1, 6] {
            guard let model = gru(channels: channels) else { continue }
            let load = Workload(streams: 1000, channels: channels, lines: 50_000)
            let plain = Pipe(.standard, channels: channels)
            let driven = Pipe(.standard, channels: channels, model: model)
            for pipe in [plain, driven] { for _ in 0..<3 { pipe.run(load) } }
            let results = measure(rounds, per: load.lines, [{ plain.run(load) }, { driven.run(load) }])
            let reference = results[0][results[0].count / 2]
            row("\(channels) channels, built-in network", results[0], reference: reference)
            row("\(channels) channels, model (\(model.seatBytes) bytes a stream)", results[1], reference: reference)
        }
    }

    /// As `allocations`, for a stream on a model: no more than the same lines on the built-in network.
    static func modelAllocations(channels: Int) -> Bool {
        guard let model = gru(channels: channels) else { return false }
        let load = Workload(streams: 100, channels: channels, lines: 20_000)
        func count(_ pipe: Pipe) -> UInt64 {
            for _ in 0..<3 { pipe.run(load) }
            let before = allocation_count()
            let alarms = pipe.actionsSeen
            pipe.run(load)
            // Telling an alert allocates, with a model or without.
            return allocation_count() - before - min(allocation_count() - before, 20 * UInt64(pipe.actionsSeen - alarms))
        }
        let (plain, driven) = (count(Pipe(.standard, channels: channels)), count(Pipe(.standard, channels: channels, model: model)))
        let isFine = driven <= plain
        print(
            "\(isFine ? "ok  " : "FAIL") model, \(channels) channels: \(driven) allocations for \(load.lines) readings, built-in network \(plain)"
        )
        return isFine
    }
}
