import ArgumentParser
import Control
import Models
import Platform
import RecurrentNetwork
import Tabular

struct ModelInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show a model: layers, tensors, memory of training it; with --data its hidden units and which channels matter.",
        discussion: """
            With --data: every hidden unit's range, saturation (share of readings with |h| > 0.95, where tanh lets little gradient through) \
            and memory (integrated autocorrelation time of h, in readings); the importance of every channel (how much the loss rises when its \
            readings are shuffled) and which readings drove the last prediction (integrated gradients; their sum is checked against the \
            difference they must add up to).

            EXAMPLES
              rnnctl model inspect model.onnx
              rnnctl model inspect pump.safetensors --data readings.csv
              rnnctl model inspect pump.safetensors --data readings.csv --format json
            """)

    @Argument(help: "A .safetensors, .onnx, .keras or .weights.h5 file.", completion: .file())
    var model: String
    @Option(name: .long, help: ArgumentHelp("Readings to look at the hidden units with.", valueName: "file"), completion: .file())
    var data: String?
    @Option(name: .long, help: ArgumentHelp("Of the stream of the data with this key (default: the first).", valueName: "key"))
    var stream: String?
    @Flag(name: .long, help: "Values of the data go in as they are.")
    var raw = false
    @Option(name: .long, help: ArgumentHelp("Hidden units shown (json has all).", valueName: "number"))
    var units = 16
    @Option(name: .long, help: ArgumentHelp("Readings of which the last prediction's attribution is made.", valueName: "number"))
    var last = 24
    @Option(name: .long, help: ArgumentHelp("table or json.", valueName: "format"))
    var format: RecordTable.Format = .table
    @OptionGroup var reading: ModelReadArguments

    mutating func validate() throws {
        guard (1...512).contains(last) else { throw ValidationError("--last: got \(last), expected 1 to 512") }
        guard units >= 1 else { throw ValidationError("--units: got \(units), expected 1 or more") }
    }

    func run() throws {
        let document = try reading.read(model)
        let description = try ModelDescription(document)
        let analysis = try data.map { try ModelAnalysis(document, file: $0, stream: stream, isRaw: raw, last: last) }
        if format == .json || format == .jsonl {
            var members = description.json
            if let analysis { members.append(.init("data", analysis.json)) }
            let object = JSONValue.object(members)
            FileOutput.output((format == .json ? object.pretty : object.compact) + "\n")
            return
        }
        FileOutput.output(description.text)
        if let analysis { FileOutput.output("\n" + analysis.text(units: units)) }
    }
}

/// What can be said about a model without data.
struct ModelDescription {
    /// Memory and time of one window of back-propagation.
    struct Memory {
        let window: Int
        let whole: Int
        let checkpointed: Int
        let every: Int
        let wholeSeconds: Double
        let checkpointedSeconds: Double
    }

    let document: ModelDocument
    let stateBytes: Int
    let memory: [Memory]
    /// Why there is no memory table.
    let untrainable: String?

    init(_ document: ModelDocument) throws {
        self.document = document
        stateBytes = 4 * (try RecurrentEngine(model: document.model)).stateStride
        do {
            memory = try [64, 256, 1024].map { try ModelDescription.measure(document.model, window: $0) }
            untrainable = nil
        } catch {
            memory = []
            untrainable = "\(error)"
        }
    }

    /// One window, once with all states kept and once with every square-root-th; the best of five times each.
    private static func measure(_ model: RecurrentModel, window: Int) throws -> Memory {
        var every = 1
        while every * every < window { every += 1 }
        let inputs = (0..<window * model.inputSize).map { Float($0 * 7 % 13) / 13 - 0.5 }
        let targets = [Float](repeating: 0, count: window * model.outputSize)
        func once(_ every: Int?) throws -> (bytes: Int, seconds: Double) {
            let work = try BackPropagation(shape: model, streamCount: 1, stepCount: window, checkpointEvery: every)
            work.load(model.flatParameters)
            var seconds = Double.infinity
            for _ in 0..<5 {
                let began = Clocks.monotonic()
                _ = try work.run(inputs: inputs, targets: targets, targetSize: model.outputSize, loss: .meanSquared)
                seconds = min(seconds, Double(Clocks.monotonic() - began) * 1e-9)
            }
            return (work.workspaceBytes, seconds)
        }
        let (whole, wholeSeconds) = try once(nil)
        let (checkpointed, checkpointedSeconds) = try once(every)
        return Memory(
            window: window, whole: whole, checkpointed: checkpointed, every: every, wholeSeconds: wholeSeconds,
            checkpointedSeconds: checkpointedSeconds)
    }

    private var model: RecurrentModel { document.model }

    var json: [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("format", .string(document.format.rawValue)), .init("architecture", .string(ModelDocument.architecture(of: model))),
            .init("inputs", .integer(Int64(model.inputSize))), .init("outputs", .integer(Int64(model.outputSize))),
            .init("parameters", .integer(Int64(model.parameterCount))), .init("weight_bytes", .integer(Int64(4 * model.parameterCount))),
            .init("state_bytes_per_stream", .integer(Int64(stateBytes))),
            .init(
                "tensors",
                .array(
                    model.tensors().map {
                        .object([
                            "name": .string($0.name), "shape": .array($0.shape.map { .integer(Int64($0)) }),
                            "norm": .number(norm($0.values)),
                        ])
                    })),
            .init(
                "training_memory",
                .array(
                    memory.map {
                        .object([
                            "window": .integer(Int64($0.window)), "bytes": .integer(Int64($0.whole)),
                            "checkpoint_every": .integer(Int64($0.every)), "checkpointed_bytes": .integer(Int64($0.checkpointed)),
                            "seconds": .number($0.wholeSeconds), "checkpointed_seconds": .number($0.checkpointedSeconds),
                        ])
                    })),
        ]
        if let card = document.card, let value = try? JSONValue.parse(Array(card.json.utf8)) { members.append(.init("card", value)) }
        return members
    }

    var text: String {
        var head: [JSONValue.Member] = [
            .init("format", .string(document.format.rawValue)), .init("architecture", .string(ModelDocument.architecture(of: model))),
            .init("parameters", .string("\(model.parameterCount) (\(Curve.bytes(4 * model.parameterCount)))")),
            .init("state", .string("\(Curve.bytes(stateBytes)) per stream")),
        ]
        if let card = document.card {
            head.append(.init("channels", .string(card.channels.joined(separator: ", "))))
            head.append(
                .init("trained on", .string("\(card.streams.count) streams: \(card.streams.prefix(4).map(\.key).joined(separator: ", "))")))
            head.append(.init("training", .string(card.training.map { "\($0.name) \($0.value)" }.joined(separator: ", "))))
        }
        let tensors = RecordTable(
            columns: ["tensor", "shape", "norm"],
            rows: model.tensors().map {
                [.string($0.name), .string($0.shape.map(String.init).joined(separator: " x ")), .number(norm($0.values))]
            })
        var out = Listing.text(head) + "\n" + tensors.text(.table)
        if let untrainable { return out + "\nno training memory: \(untrainable)\n" }
        out += "\nback-propagation through time, per stream of a batch (measured now)\n"
        out +=
            RecordTable(
                columns: ["window", "all states", "ms", "checkpoint every", "checkpointed", "ms ", "memory", "time"],
                rows: memory.map {
                    [
                        .integer(Int64($0.window)), .string(Curve.bytes($0.whole)), .number($0.wholeSeconds * 1000),
                        .integer(Int64($0.every)),
                        .string(Curve.bytes($0.checkpointed)), .number($0.checkpointedSeconds * 1000),
                        .string("/ " + NumberText.fixed(Double($0.whole) / Double(max(1, $0.checkpointed)), 1)),
                        .string("x " + NumberText.fixed($0.checkpointedSeconds / max($0.wholeSeconds, 1e-9), 2)),
                    ]
                }
            ).text(.table)
        return out
    }

    private func norm(_ values: [Float]) -> Double { values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot() }
}
