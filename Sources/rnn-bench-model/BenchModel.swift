import Glibc
import ModelFiles
import RecurrentNetwork

/// Measures the recurrent kernels: `rnn-bench-model [forward] [training] [memory] [--export DIRECTORY]`.
///
/// One line per figure, fields separated by spaces, for Tests/Benchmarks/compare_frameworks.py, which measures PyTorch the same way on
/// the files that `--export` leaves. Times are processor time where one thread works, so that other programs on the machine count little;
/// rounds are interleaved, the fastest counts.
@main
struct BenchModel {
    static func main() {
        var parts = Array(CommandLine.arguments.dropFirst())
        var folder: String?
        if let at = parts.firstIndex(of: "--export"), at + 1 < parts.count {
            folder = parts[at + 1]
            parts.removeSubrange(at...at + 1)
        }
        do throws(NetworkError) {
            print("# instruction sets \(RecurrentEngine.usableInstructionSets)")
            if parts.isEmpty || parts.contains("forward") { try Forward.measure() }
            if parts.isEmpty || parts.contains("training") { try Training.measure(folder: folder) }
            if parts.isEmpty || parts.contains("memory") { try Training.checkpointTable() }
        } catch {
            complain("rnn-bench-model: \(error)")
            exit(1)
        }
    }

    static func complain(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(2, bytes, bytes.count)
    }

    static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
    }

    /// Processor time of this process.
    static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
    }

    static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

    static let cells: [(name: String, cell: CellKind)] = [("elman", .elman), ("lstm", .lstm), ("gru", .gru)]
    static let sizes = [16, 32, 64, 128]
}

/// ns per reading: one input, one layer, dense readout of one output.
enum Forward {
    static func measure() throws(NetworkError) {
        print("# forward: cell hidden batch ns_per_reading naive_ns_per_reading ratio")
        for (name, cell) in BenchModel.cells {
            for hidden in BenchModel.sizes {
                let model = try RecurrentModel(cell: cell, inputSize: 1, hiddenSize: hidden, outputSize: 1, seed: 1)
                let engine = try RecurrentEngine(model: model)
                for batch in [1, 1024] { try measure(name, engine, hidden, batch) }
            }
        }
    }

    private static func measure(_ name: String, _ engine: RecurrentEngine, _ hidden: Int, _ batch: Int) throws(NetworkError) {
        var random = SeededRandom(seed: 2)
        let inputs = (0..<batch).map { _ in random.uniform(-1, 1) }
        var outputs = [Float](repeating: 0, count: batch)
        var states = RecurrentState(for: engine, streamCount: batch)
        var naive = NaiveCell(engine.model, streamCount: batch)
        let repeats = max(1, 2_000_000 / (hidden * hidden * engine.model.layers[0].cell.gateCount * batch))
        var fast: [Double] = []
        var slow: [Double] = []
        let warm = BenchModel.seconds() + 0.05
        while BenchModel.seconds() < warm { naive.step(inputs) }
        let end = BenchModel.seconds() + 0.25
        while BenchModel.seconds() < end || fast.count < 9 {
            var start = BenchModel.processorSeconds()
            states.withRows { rows in
                guard let base = rows.baseAddress else { return }
                for _ in 0..<repeats {
                    try? engine.step(count: batch, inputs: inputs, inputStride: 1, states: base, outputs: &outputs, outputStride: 1)
                }
            }
            fast.append(BenchModel.processorSeconds() - start)
            guard fast.count <= 9 else { continue }
            let naiveRepeats = max(1, repeats / 20)
            start = BenchModel.processorSeconds()
            for _ in 0..<naiveRepeats { naive.step(inputs) }
            slow.append((BenchModel.processorSeconds() - start) * Double(repeats) / Double(naiveRepeats))
        }
        let scale = 1e9 / Double(repeats * batch)
        let (a, b) = ((fast.min() ?? 0) * scale, (slow.min() ?? 0) * scale)
        print("forward \(name) \(hidden) \(batch) \(oneDecimal(a)) \(oneDecimal(b)) \(oneDecimal(b / a))")
    }

    static func oneDecimal(_ x: Double) -> Double { (x * 10).rounded() / 10 }
}

/// Training time for the same windows, weights and optimiser as the Python script.
enum Training {
    static let (windows, steps, iterations) = (64, 64, 20)

    static func problem(_ hidden: Int, _ cell: CellKind) throws(NetworkError) -> (model: RecurrentModel, x: [Float], y: [Float]) {
        let model = try RecurrentModel(cell: cell, inputSize: 1, hiddenSize: hidden, outputSize: 1, seed: 3)
        var x: [Float] = []
        var y: [Float] = []
        func value(_ window: Int, _ t: Int) -> Float {
            let at = Double(window * 17 + t)
            return Float(0.6 * sin(at * 0.31) + 0.4 * sin(at * 0.083 + Double(window)))
        }
        for t in 0..<steps {
            for w in 0..<windows {
                x.append(value(w, t))
                y.append(value(w, t + 1))
            }
        }
        return (model, x, y)
    }

    static func measure(folder: String?) throws(NetworkError) {
        print("# training: cell hidden threads processor_seconds_for_\(iterations)_steps seconds last_loss")
        for (name, cell) in BenchModel.cells {
            for hidden in BenchModel.sizes {
                let (model, x, y) = try problem(hidden, cell)
                if let folder { export(model, x, y, "\(folder)/train_\(name)_\(hidden).safetensors", name) }
                for threads in [1, 2] {
                    var (times, processor): ([Double], [Double]) = ([], [])
                    var loss = 0.0
                    for _ in 0..<3 {
                        let (start, busy) = (BenchModel.seconds(), BenchModel.processorSeconds())
                        loss = try train(model, x, y, threads: threads)
                        times.append(BenchModel.seconds() - start)
                        processor.append(BenchModel.processorSeconds() - busy)
                    }
                    print("training \(name) \(hidden) \(threads) \(processor.min() ?? 0) \(times.min() ?? 0) \(loss)")
                }
            }
        }
    }

    /// Adam 0.003 on all windows at once.
    private static func train(_ model: RecurrentModel, _ x: [Float], _ y: [Float], threads: Int) throws(NetworkError) -> Double {
        var options = TrainingOptions()
        options.windowLength = steps
        options.windowStride = steps
        options.batchSize = windows
        options.validationFraction = 0
        options.gradientNormMax = nil
        options.shardCount = threads
        options.optimiser = .adam(rate: 0.003)
        options.epochCountMax = iterations
        options.patience = iterations
        var series: [TrainingSeries] = []
        for w in 0..<windows {
            let picked = stride(from: w, to: x.count, by: windows)
            series.append(try TrainingSeries(inputs: picked.map { x[$0] }, inputSize: 1, targets: picked.map { y[$0] }, targetSize: 1))
        }
        let trainer = try Trainer(model: model, series: series, options: options)
        var loss = 0.0
        let runner: ShardRunner = { inThreads($0, $1) }
        for _ in 0..<iterations { loss = try trainer.step(runner: runner).loss }
        return loss
    }

    /// Memory and time of one gradient of a long window with checkpoints.
    static func checkpointTable() throws(NetworkError) {
        print("# checkpoints: every kilobytes milliseconds (GRU 32, 1,024 readings, 16 streams)")
        let (steps, streams) = (1024, 16)
        let model = try RecurrentModel(cell: .gru, inputSize: 1, hiddenSize: 32, outputSize: 1, seed: 3)
        var random = SeededRandom(seed: 1)
        let x = (0..<steps * streams).map { _ in random.uniform(-1, 1) }
        for every in [1024, 256, 128, 64, 32, 16, 8] {
            let work = try BackPropagation(shape: model, streamCount: streams, stepCount: steps, checkpointEvery: every)
            work.load(model.flatParameters)
            var times: [Double] = []
            for _ in 0..<5 {
                let start = BenchModel.processorSeconds()
                _ = try work.run(inputs: x, targets: x, targetSize: 1, loss: .meanSquared)
                times.append(BenchModel.processorSeconds() - start)
            }
            print("checkpoint \(every) \(work.workspaceBytes / 1024) \(Forward.oneDecimal(BenchModel.median(times) * 1e3))")
        }
    }

    private static func export(_ model: RecurrentModel, _ x: [Float], _ y: [Float], _ path: String, _ cell: String) {
        var tensors = model.tensors(prefix: "model.rnn.", readoutPrefix: "model.fc.")
        tensors.append(.init(name: "x", shape: [steps, windows, 1], values: x))
        tensors.append(.init(name: "y", shape: [steps, windows, 1], values: y))
        let bytes = Safetensors.write(.init(tensors: tensors, metadata: ["cell": cell, "iterations": "\(iterations)"]))
        guard let file = fopen(path, "wb") else { return BenchModel.complain("cannot write \(path)") }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    /// One POSIX thread per shard.
    static func inThreads(_ count: Int, _ body: @Sendable (Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            guard count > 1 else { return body(0) }
            var threads: [pthread_t] = []
            for index in 1..<count {
                var thread = pthread_t()
                let box = Unmanaged.passRetained(Work { body(index) })
                pthread_create(
                    &thread, nil,
                    { raw in
                        if let raw { Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().run() }
                        return nil
                    }, box.toOpaque())
                threads.append(thread)
            }
            body(0)
            for thread in threads { pthread_join(thread, nil) }
        }
    }

    private final class Work: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
