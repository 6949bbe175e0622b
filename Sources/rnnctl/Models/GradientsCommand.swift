import ArgumentParser
import Control
import Models
import Platform
import RecurrentNetwork
import Tabular

struct ModelGradients: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gradients",
        abstract: "Show how far back each cell learns: gradient norm against lag for Elman, LSTM and GRU on the same data.",
        discussion: """
            The norm of d(prediction)/d(reading `lag` readings earlier), averaged over windows of the history. Training through a gradient \
            that has vanished teaches nothing about that lag. Untrained cells start with the same seed; --epochs trains each for a while \
            first, since gates open only by training. With --model the given model is measured alone.

            Rows: lag, then one norm per cell; the last lines of the table say from which lag on less than 1 % of the largest norm is left.

            EXAMPLES
              rnnctl model gradients --history readings.csv
              rnnctl model gradients --history readings.csv --epochs 20 --lags 100 --format csv
            """)

    @OptionGroup var source: HistoryOptions
    @Option(name: .long, help: "Hidden units.")
    var hidden = 32
    @Option(name: .long, help: "Readings back.")
    var lags = 64
    @Option(name: .long, help: "Epochs of training before the measurement.")
    var epochs = 0
    @Option(name: .long, help: "Of the initial weights.")
    var seed: UInt64 = 1
    @Option(name: .long, help: ArgumentHelp("Measure this model instead.", valueName: "file"), completion: .file())
    var model: String?
    @OptionGroup var format: FormatOptions

    mutating func validate() throws {
        guard (2...4096).contains(lags) else { throw ValidationError("--lags: got \(lags), expected 2 to 4096") }
        guard (1...RecurrentModel.hiddenSizeMax).contains(hidden) else {
            throw ValidationError("--hidden: got \(hidden), expected 1 to \(RecurrentModel.hiddenSizeMax)")
        }
        guard (0...10_000).contains(epochs) else { throw ValidationError("--epochs: got \(epochs), expected 0 to 10000") }
    }

    func run() throws {
        let history = try TrainingHistory(
            try source.table(), channels: source.chosenChannels, streams: source.streams, validationFraction: 0.2, readingsMin: 2 * lags + 2
        )
        let values = history.streams.flatMap(\.values)
        var names: [String] = []
        var measured: [GradientLag] = []
        if let model {
            let document = try ModelReadArguments.parse([]).read(model)
            guard document.model.inputSize == history.channels.count else {
                throw ControlError.failed(
                    "cannot measure \(model): got \(history.channels.count) channels, expected \(document.model.inputSize)")
            }
            names = [ModelDocument.architecture(of: document.model)]
            measured = [try GradientLag.measure(model: document.model, inputs: values, lagCount: lags)]
        } else {
            for cell in [ModelReadArguments.Cell.elman, .lstm, .gru] {
                names.append(cell.rawValue)
                measured.append(try GradientLag.measure(model: try trained(cell, history), inputs: values, lagCount: lags))
            }
        }
        printed(names, measured)
    }

    private func trained(_ cell: ModelReadArguments.Cell, _ history: TrainingHistory) throws -> RecurrentModel {
        let channels = history.channels.count
        let model = try RecurrentModel(cell: cell.kind, inputSize: channels, hiddenSize: hidden, outputSize: channels, seed: seed)
        guard epochs > 0 else { return model }
        var options = TrainingOptions()
        options.windowLength = lags
        options.windowStride = max(1, lags / 2)
        options.seed = seed
        options.epochCountMax = epochs
        options.patience = epochs
        let trainer = try Trainer(model: model, series: try history.series(horizon: 1), options: options)
        while !trainer.isFinished { _ = try trainer.step() }
        FileOutput.error(
            "\(cell.rawValue): \(epochs) epochs, loss held back \(NumberText.short(trainer.history.last { $0.isBest }?.validationLoss ?? .nan))"
        )
        return trainer.best
    }

    private func printed(_ names: [String], _ measured: [GradientLag]) {
        guard format.format == .table else {
            let rows = (0..<lags).map { lag in [JSONValue.integer(Int64(lag))] + measured.map { .number($0.norms[lag]) } }
            FileOutput.output(RecordTable(columns: ["lag"] + names, rows: rows).text(format.format))
            return
        }
        // People see a selection of lags and bars over ten powers of ten.
        var shown = Array(0..<min(8, lags))
        while let last = shown.last, last < lags - 1 { shown.append(min(lags - 1, max(last + 1, last * 5 / 4 + 1))) }
        let rows = shown.map { lag in
            [JSONValue.integer(Int64(lag))] + measured.flatMap { [.number($0.norms[lag]), .string(bar($0, lag))] }
        }
        let columns = ["lag"] + names.flatMap { [$0, $0 + " 1e-10...1"] }
        FileOutput.output(RecordTable(columns: columns, rows: rows).text(.table))
        FileOutput.output("\nbar: norm / largest norm, logarithmic. Less than 1 % of the largest norm is left\n")
        for (name, lag) in zip(names, measured) {
            let reach = lag.reach().map { "from lag \($0) on" } ?? "at no lag up to \(lags - 1)"
            FileOutput.output(
                "  \(name): \(reach); at lag \(lags - 1) there is \(NumberText.short((lag.norms.last ?? 0) / max(lag.norms.max() ?? 1, 1e-300)))\n"
            )
        }
    }

    private func bar(_ lag: GradientLag, _ index: Int) -> String {
        let share = lag.norms[index] / max(lag.norms.max() ?? 1, 1e-300)
        var decades = 0.0
        var rest = share
        while rest < 1, decades < 10, rest > 0 {
            rest *= 1.2589254117941673  // a tenth of a decade
            decades += 0.1
        }
        return Curve.bar(share > 0 ? 1 - decades / 10 : 0, width: 14)
    }
}
