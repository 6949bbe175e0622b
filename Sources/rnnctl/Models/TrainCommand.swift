import ArgumentParser
import Control
import Glibc
import ModelFiles
import Models
import Platform
import RecurrentNetwork
import Tabular

struct ModelTrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a recurrent network to predict the next readings of your streams.",
        discussion: """
            Several streams train one shared model; every stream is standardised by its own mean and deviation, which are stored in the \
            file. The last part of every stream is held back: training keeps the weights that predict it best. The run follows from the \
            history, the options and --seed alone. Missing values keep the channel's last one.

            Ctrl-C stops after the present step and keeps the best so far. FILE.training beside the output lets --resume go on as if the run \
            had never stopped, bit for bit, also with more --epochs.

            EXAMPLES
              rnnctl model train --cell gru --hidden 32 --history readings.csv --output pump.safetensors
              rnnctl model train --history fleet.lp --streams 'pump,*' --loss quantile --horizon 4 --output pump.safetensors
              rnnctl model train --resume --epochs 200 --history readings.csv --output pump.safetensors
              rnnctl model train --from-state-dir /var/lib/rnn-watchd --streams 'pump,*' --output pump.safetensors
            """)

    @OptionGroup var arguments: TrainingArguments
    @OptionGroup var source: HistoryOptions
    @Option(name: .long, help: ArgumentHelp("The model to write.", valueName: "file.safetensors"), completion: .file())
    var output: String
    @Flag(name: .long, help: "Go on from FILE.training.")
    var resume = false
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false
    @Option(name: .long, help: ArgumentHelp("table or json: the summary on standard output.", valueName: "format"))
    var format: RecordTable.Format = .table

    mutating func validate() throws {
        if output.hasSuffix(".onnx") {
            throw ValidationError("--output: training writes safetensors; `rnnctl model export` makes ONNX of it")
        }
    }

    func run() throws {
        // Before any thread starts, so that all have the signals blocked.
        let signals = try SignalSource([SIGINT, SIGTERM])
        let statePath = TrainingFile.path(of: output)
        let earlier = resume ? try TrainingFile(try Files.read(statePath, bytesMax: 1 << 32), name: statePath) : nil
        let plan = try TrainingPlan(arguments, earlier: earlier?.options)
        let history = try TrainingHistory(
            try source.table(), channels: source.chosenChannels, streams: source.streams,
            validationFraction: plan.options.validationFraction,
            readingsMin: Int((Double(plan.options.windowLength + plan.horizon) / (1 - plan.options.validationFraction)).rounded(.up)) + 1)
        let digest = history.digest
        if let earlier, earlier.digest != digest {
            throw ControlError.failed(
                "cannot resume: the history is not the one that the run began with (other readings, streams or channels)")
        }
        let model = try plan.model(channels: history.channels.count)
        let trainer = try Trainer(model: model, series: try history.series(horizon: plan.horizon), options: plan.options)
        if let earlier { try trainer.restore(earlier.state) }
        let view = TrainingView(isQuiet: quiet, plan: plan)
        view.start(model, history, trainer)
        let run = TrainingRun(
            trainer: trainer, plan: plan, history: history, digest: digest, output: output, view: view,
            persistence: try Persistence.loss(history, plan))
        let outcome = try run.run { signals.next() != nil }
        view.end(trainer, outcome, run.persistence, output)
        let summary = run.summary(outcome)
        switch format {
        case .json, .jsonl: FileOutput.output((format == .json ? summary.pretty : summary.compact) + "\n")
        case .table, .csv: break
        }
        if case .diverged = outcome { throw ExitCode(1) }
    }
}

/// What predicting the last value again would lose: a model that is no better has learned nothing.
enum Persistence {
    /// Mean loss on the held-back readings; nil for losses that want more than a value.
    static func loss(_ history: TrainingHistory, _ plan: TrainingPlan) throws -> Double? {
        let delta: Double
        switch plan.options.loss {
        case .gaussian, .quantile: return nil
        case .meanSquared: delta = .infinity
        case .huber(let limit): delta = Double(limit)
        }
        let targets = history.channels.count * plan.horizon
        var sum = 0.0
        var count = 0
        for series in try history.series(horizon: plan.horizon) {
            let held = Int((Double(series.count) * plan.options.validationFraction).rounded(.down))
            for t in (held > 0 ? series.count - held : 0)..<series.count {
                for k in 0..<targets {
                    let last = series.inputs[t * series.inputSize + k % series.inputSize]
                    let distance = abs(Double(series.targets[t * targets + k] - last))
                    sum +=
                        delta == .infinity
                        ? distance * distance : distance <= delta ? distance * distance / 2 : delta * (distance - delta / 2)
                }
                count += targets
            }
        }
        return count > 0 ? sum / Double(count) : nil
    }
}

/// Steps a trainer until it is finished or stopped and keeps its files up to date.
final class TrainingRun {
    /// Why it ended.
    enum Outcome {
        case epochs, patience, interrupted
        case diverged(String)

        var text: String {
            switch self {
            case .epochs: "epochs"
            case .patience: "patience"
            case .interrupted: "interrupted"
            case .diverged: "diverged"
            }
        }
    }

    let trainer: Trainer
    let plan: TrainingPlan
    let history: TrainingHistory
    let digest: String
    let output: String
    let view: TrainingView
    let persistence: Double?
    /// Memory of back-propagation for a full batch (a smaller last batch has less).
    private let workspaceBytes: Int
    private let began = Clocks.monotonic()
    private var savedAt = Clocks.monotonic()

    init(
        trainer: Trainer, plan: TrainingPlan, history: TrainingHistory, digest: String, output: String, view: TrainingView,
        persistence: Double?
    ) {
        (self.trainer, self.plan, self.history, self.digest) = (trainer, plan, history, digest)
        (self.output, self.view, self.persistence) = (output, view, persistence)
        workspaceBytes = trainer.workspaceBytes
    }

    /// Trains; `isStopped` is asked after every step.
    func run(isStopped: () -> Bool) throws -> Outcome {
        var outcome = Outcome.epochs
        // A run that was stopped early goes on only if it is given more patience or epochs.
        training: while !trainer.isFinished {
            do {
                var isAsked = false
                let done = try trainer.runEpoch(runner: TrainingRun.parallel) { step in
                    view.step(step, trainer)
                    isAsked = isStopped()
                    return !isAsked
                }
                if let done { view.epoch(done, trainer) }
                if isAsked {
                    outcome = .interrupted
                    break training
                }
                if Clocks.monotonic() - savedAt > 5_000_000_000 { try save() }
            } catch {
                outcome = .diverged("\(error)")
                break training
            }
        }
        if case .epochs = outcome, trainer.epoch < plan.options.epochCountMax { outcome = .patience }
        try save()
        return outcome
    }

    /// The best so far; before the first epoch's end the present weights.
    var kept: RecurrentModel { trainer.history.isEmpty ? trainer.current : trainer.best }

    private func save() throws {
        try Files.replace(output, with: Safetensors.writeModel(kept, metadata: [ModelCard.metadataKey: card.json]))
        let file = TrainingFile(options: plan.all, digest: digest, state: trainer.exportState())
        try Files.replace(TrainingFile.path(of: output), with: file.bytes())
        savedAt = Clocks.monotonic()
    }

    private var bestEpoch: TrainingEpoch? { trainer.history.last { $0.isBest } }

    private var card: ModelCard {
        var training =
            plan.fixed + [
                ("epochs", "\(trainer.epoch)"), ("streams", "\(history.streams.count)"),
                ("readings", "\(history.streams.reduce(0) { $0 + $1.readings })"), ("data_sha256", digest),
            ]
        if let best = bestEpoch {
            training.append(("best_epoch", "\(best.epoch + 1)"))
            training.append(("training_loss", "\(best.trainingLoss)"))
            if let loss = best.validationLoss { training.append(("validation_loss", "\(loss)")) }
        }
        if let persistence { training.append(("persistence_loss", "\(persistence)")) }
        return ModelCard(
            channels: history.channels, horizon: plan.horizon, loss: plan.options.loss,
            streams: history.streams.map { ($0.key, $0.scale) }, pooled: history.pooled, training: training)
    }

    /// What `--format json` prints.
    func summary(_ outcome: Outcome) -> JSONValue {
        .object([
            "output": .string(output), "architecture": .string(ModelDocument.architecture(of: kept)),
            "parameters": .integer(Int64(kept.parameterCount)), "streams": .integer(Int64(history.streams.count)),
            "readings": .integer(Int64(history.streams.reduce(0) { $0 + $1.readings })), "windows": .integer(Int64(trainer.windowCount)),
            "epochs": .integer(Int64(trainer.epoch)), "best_epoch": .optional(bestEpoch.map { Int64($0.epoch + 1) }),
            "training_loss": .optional(bestEpoch?.trainingLoss), "validation_loss": .optional(bestEpoch?.validationLoss),
            "persistence_loss": .optional(persistence), "ended_by": .string(outcome.text),
            "seconds": .number(Double(Clocks.monotonic() - began) * 1e-9), "workspace_bytes": .integer(Int64(workspaceBytes)),
            "training_losses": .array(trainer.history.map { .number($0.trainingLoss) }),
            "validation_losses": .array(trainer.history.map { .optional($0.validationLoss) }),
        ])
    }

    /// Runs the parts of a batch in threads of their own, the first in this one.
    static func parallel(_ count: Int, _ body: @Sendable (Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            var threads: [WorkerThread] = []
            for index in 1..<max(1, count) {
                if let thread = try? WorkerThread("rnn-train", { body(index) }) { threads.append(thread) } else { body(index) }
            }
            if count > 0 { body(0) }
            for thread in threads { thread.join() }
        }
    }
}
