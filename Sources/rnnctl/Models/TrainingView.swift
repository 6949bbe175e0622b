import Glibc
import Models
import Platform
import RecurrentNetwork
import Tabular

/// Shows a training run on standard error: a live line on a terminal, a line per epoch elsewhere.
final class TrainingView {
    private let isQuiet: Bool
    private let isTerminal = isatty(2) == 1
    private let plan: TrainingPlan
    private var began = Clocks.monotonic()
    private var startedFrom = 0
    private var drawnAt: Int64 = 0
    private var batchesDone = 0

    init(isQuiet: Bool, plan: TrainingPlan) { (self.isQuiet, self.plan) = (isQuiet, plan) }

    /// What is about to be trained.
    func start(_ model: RecurrentModel, _ history: TrainingHistory, _ trainer: Trainer) {
        began = Clocks.monotonic()
        startedFrom = trainer.epoch
        guard !isQuiet else { return }
        let readings = history.streams.reduce(0) { $0 + $1.readings }
        let filled = history.streams.reduce(0) { $0 + $1.filled }
        say("\(ModelDocument.architecture(of: model)): \(model.parameterCount) parameters")
        say(
            "\(history.streams.count) \(history.streams.count == 1 ? "stream" : "streams"), \(readings) readings, \(history.channels.count) channels"
                + (filled > 0 ? ", \(filled) missing values filled" : "")
                + "; \(trainer.windowCount) windows of \(plan.options.windowLength), \(trainer.batchCount) batches an epoch")
        for stream in history.leftOut.prefix(3) { say("left out: \(stream.key), \(stream.readings) readings are too few") }
        if history.leftOut.count > 3 { say("left out: \(history.leftOut.count - 3) more streams") }
        let keeping =
            plan.options.checkpointEvery.map { "every \($0)th hidden state kept, the others recomputed" } ?? "all hidden states kept"
        say("memory of back-propagation: \(Curve.bytes(trainer.workspaceBytes)) (\(keeping))")
        if startedFrom > 0 { say("resumed after epoch \(startedFrom)") }
    }

    /// After each batch.
    func step(_ step: TrainingStep, _ trainer: Trainer) {
        batchesDone += 1
        guard !isQuiet, isTerminal else { return }
        let now = Clocks.monotonic()
        guard now - drawnAt > 100_000_000 else { return }
        drawnAt = now
        let share = (Double(step.epoch) + Double(step.batch + 1) / Double(step.batchCount)) / Double(plan.options.epochCountMax)
        var line = "epoch \(step.epoch + 1)/\(plan.options.epochCountMax) \(Curve.bar(share, width: 20))"
        line += " loss \(NumberText.short(step.loss))"
        if let best = trainer.history.last(where: \.isBest) {
            line += "  best \(NumberText.short(best.validationLoss ?? best.trainingLoss))"
        }
        line += "  ETA \(Curve.duration(eta(trainer)))  \(Curve.text(trainer.history.map { curve($0) }, width: 20))"
        try? writeAll(2, Array("\r\u{1B}[K\(line)".utf8), object: "standard error")
    }

    /// After each epoch.
    func epoch(_ epoch: TrainingEpoch, _ trainer: Trainer) {
        guard !isQuiet else { return }
        if isTerminal, epoch.epoch % max(1, plan.options.epochCountMax / 20) != 0 { return }
        var line = "epoch \(epoch.epoch + 1)/\(plan.options.epochCountMax)  training \(NumberText.short(epoch.trainingLoss))"
        if let loss = epoch.validationLoss { line += "  held back \(NumberText.short(loss))" }
        line += (epoch.isBest ? "  best" : "      ") + "  ETA \(Curve.duration(eta(trainer)))"
        if isTerminal { try? writeAll(2, Array("\r\u{1B}[K".utf8), object: "standard error") }
        say(line)
    }

    /// The curves and what came out.
    func end(_ trainer: Trainer, _ outcome: TrainingRun.Outcome, _ persistence: Double?, _ output: String) {
        if isTerminal, !isQuiet { try? writeAll(2, Array("\r\u{1B}[K".utf8), object: "standard error") }
        if case .diverged(let reason) = outcome { FileOutput.error("rnnctl: training diverged: \(reason); try a smaller --lr") }
        guard !isQuiet else { return }
        let training = trainer.history.map { logarithm($0.trainingLoss) }
        let held = trainer.history.compactMap(\.validationLoss).map(logarithm)
        let all = (training + held).filter(\.isFinite)
        if trainer.history.count > 1, let low = all.min(), let high = all.max(), let first = trainer.history.first,
            let last = trainer.history.last
        {
            say("loss, epoch 1 to \(trainer.history.count) (logarithmic)")
            say(
                "  training   \(Curve.text(training, range: low...high))  \(NumberText.short(first.trainingLoss)) -> \(NumberText.short(last.trainingLoss))"
            )
            if let before = first.validationLoss, let after = last.validationLoss {
                say("  held back  \(Curve.text(held, range: low...high))  \(NumberText.short(before)) -> \(NumberText.short(after))")
            }
        }
        let best = trainer.history.last { $0.isBest }
        let seconds = Double(Clocks.monotonic() - began) * 1e-9
        let why =
            switch outcome {
            case .epochs: "all epochs done"
            case .patience: "\(plan.options.patience) epochs without improvement"
            case .interrupted: "interrupted"
            case .diverged: "diverged"
            }
        say(
            "\(why) after \(NumberText.fixed(seconds, 1)) s; "
                + (best.map { "kept epoch \($0.epoch + 1), loss \(NumberText.short($0.validationLoss ?? $0.trainingLoss))" }
                    ?? "no epoch was finished, kept the present weights"))
        if let persistence, let best {
            let loss = best.validationLoss ?? best.trainingLoss
            say(
                "predicting the last reading again would lose \(NumberText.short(persistence)); the model loses "
                    + "\(NumberText.fixed(100 * loss / max(persistence, 1e-30), 1)) % of that")
        }
        if case .interrupted = outcome { say("go on with the same command and --resume") }
        say("wrote \(output)")
    }

    private func curve(_ epoch: TrainingEpoch) -> Double { logarithm(epoch.validationLoss ?? epoch.trainingLoss) }

    private func logarithm(_ value: Double) -> Double { value > 0 ? log(value) : -40 }

    private func eta(_ trainer: Trainer) -> Double {
        let seconds = Double(Clocks.monotonic() - began) * 1e-9
        let rest = (plan.options.epochCountMax - trainer.epoch) * trainer.batchCount - trainer.batch
        return batchesDone > 0 ? seconds / Double(batchesDone) * Double(max(0, rest)) : .nan
    }

    private func say(_ text: String) { FileOutput.error(text) }
}
