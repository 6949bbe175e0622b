import ArgumentParser
import Control
import Models
import RecurrentNetwork
import Tabular

/// The numbers of a training run; nil: the default, or what an earlier run had (`--resume`).
struct TrainingArguments: ParsableArguments {
    @Option(name: .long, help: "gru (default), lstm, elman or elman-relu.")
    var cell: ModelReadArguments.Cell?
    @Option(name: .long, help: "Hidden units of each layer (default 32).")
    var hidden: Int?
    @Option(name: .long, help: "Recurrent layers, 1 to 4 (default 1).")
    var layers: Int?
    @Option(name: .long, help: "Readings that a gradient reaches back (default 64).")
    var window: Int?
    @Option(name: .long, help: "Readings between the starts of windows (default half a window).")
    var stride: Int?
    @Option(name: .long, help: "First readings of a window that only warm the state up (default 0).")
    var warmUp: Int?
    @Option(name: .long, help: "Readings ahead that are predicted (default 1).")
    var horizon: Int?
    @Option(name: .long, help: ArgumentHelp("mse, huber[:delta] (default huber:1), nll, quantile[:0.1,0.5,0.9].", valueName: "loss"))
    var loss: String?
    @Option(name: .long, help: "adam (default) or sgd (W <- W - lr dL/dW).")
    var optimizer: String?
    @Option(name: .long, help: "Learning rate (default 0.003; sgd 0.1).")
    var lr: Double?
    @Option(name: .long, help: "Windows of a batch (default 32).")
    var batch: Int?
    @Option(name: .long, help: ArgumentHelp("Largest norm of a gradient (default 1; 0: no clipping).", valueName: "norm"))
    var clipNorm: Double?
    @Option(
        name: .long, help: ArgumentHelp("Chance that an input is the true reading, not the prediction (default 1).", valueName: "share"))
    var teacherForcing: Double?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Gradient checkpointing: keep every so many-th hidden state and recompute the others (default: keep all).",
            valueName: "readings"))
    var checkpointEvery: Int?
    @Option(name: .long, help: ArgumentHelp("Last part of every stream held back for early stopping (default 0.2).", valueName: "share"))
    var validation: Double?
    @Option(name: .long, help: "Initial weights and order of windows follow from it (default 1).")
    var seed: UInt64?
    @Option(name: .long, help: "Parts of a batch computed at the same time (default 2; the result depends on it in the last bits).")
    var threads: Int?
    @Option(name: .long, help: "Most epochs (default 50).")
    var epochs: Int?
    @Option(name: .long, help: "Epochs without improvement after which training ends (default 8).")
    var patience: Int?
}

/// A training run with everything decided.
struct TrainingPlan {
    /// Name and text of everything that a resumed run must share, in order.
    let fixed: [(name: String, value: String)]
    let cell: ModelReadArguments.Cell
    let hidden: Int
    let layers: Int
    let horizon: Int
    let seed: UInt64
    let options: TrainingOptions

    /// Decides: what was given, else what `earlier` had, else the default.
    /// - Errors: a number makes no sense, or differs from the earlier run's.
    init(_ given: TrainingArguments, earlier: [String: String]?) throws {
        var fixed: [(name: String, value: String)] = []
        func decide(_ name: String, _ text: String?, _ standard: String) throws -> String {
            let known = earlier?[name]
            if let text, let known, text != known {
                throw ValidationError("--resume: the run began with --\(name) \(known), got \(text)")
            }
            let value = text ?? known ?? standard
            fixed.append((name, value))
            return value
        }
        func number<Number: LosslessStringConvertible>(_ name: String, _ value: Number?, _ standard: Number) throws -> Number {
            let text = try decide(name, value.map { "\($0)" }, "\(standard)")
            guard let number = Number(text) else { throw ValidationError("--\(name): got \(text), expected a number") }
            return number
        }
        func inRange(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws -> Int {
            guard range.contains(value) else {
                throw ValidationError("--\(name): got \(value), expected \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
        var options = TrainingOptions()
        guard let cell = ModelReadArguments.Cell(rawValue: try decide("cell", given.cell?.rawValue, "gru")) else {
            throw ValidationError("--cell: expected elman, elman-relu, lstm or gru")
        }
        self.cell = cell
        hidden = try inRange("hidden", number("hidden", given.hidden, 32), 1...RecurrentModel.hiddenSizeMax)
        layers = try inRange("layers", number("layers", given.layers, 1), 1...RecurrentModel.layerCountMax)
        options.windowLength = try inRange("window", number("window", given.window, 64), 2...1_000_000)
        options.windowStride = try inRange("stride", number("stride", given.stride, max(1, options.windowLength / 2)), 1...1_000_000)
        options.ignoredSteps = try inRange("warm-up", number("warm-up", given.warmUp, 0), 0...options.windowLength - 1)
        horizon = try inRange("horizon", number("horizon", given.horizon, 1), 1...4096)
        let lossText = try decide("loss", given.loss, "huber:1.0")
        guard let loss = Loss(text: lossText) else {
            throw ValidationError("--loss: got \"\(lossText)\", expected mse, huber[:delta], nll or quantile[:levels between 0 and 1]")
        }
        options.loss = loss
        let optimizer = try decide("optimizer", given.optimizer, "adam")
        guard ["adam", "sgd"].contains(optimizer) else { throw ValidationError("--optimizer: got \"\(optimizer)\", expected adam or sgd") }
        let rate = try number("lr", given.lr, optimizer == "adam" ? 0.003 : 0.1)
        guard rate > 0, rate.isFinite else { throw ValidationError("--lr: got \(rate), expected a positive number") }
        options.optimiser = optimizer == "adam" ? .adam(rate: rate) : .sgd(rate: rate)
        options.batchSize = try inRange("batch", number("batch", given.batch, 32), 1...65536)
        let clip = try number("clip-norm", given.clipNorm, 1)
        guard clip >= 0, clip.isFinite else { throw ValidationError("--clip-norm: got \(clip), expected 0 or more") }
        options.gradientNormMax = clip == 0 ? nil : clip
        let forcing = try number("teacher-forcing", given.teacherForcing, 1)
        guard (0...1).contains(forcing) else { throw ValidationError("--teacher-forcing: got \(forcing), expected 0 to 1") }
        options.teacherForcing = Float(forcing)
        let every = try inRange("checkpoint-every", number("checkpoint-every", given.checkpointEvery, 0), 0...1_000_000)
        options.checkpointEvery = every == 0 ? nil : every
        options.validationFraction = try number("validation", given.validation, 0.2)
        guard (0..<0.9).contains(options.validationFraction) else {
            throw ValidationError("--validation: got \(options.validationFraction), expected 0 to 0.9")
        }
        seed = try number("seed", given.seed, 1)
        options.seed = seed
        options.shardCount = try inRange("threads", number("threads", given.threads, 2), 1...64)
        options.epochCountMax = try inRange("epochs", given.epochs ?? earlier?["epochs"].flatMap(Int.init) ?? 50, 1...1_000_000)
        options.patience = try inRange("patience", given.patience ?? earlier?["patience"].flatMap(Int.init) ?? 8, 1...1_000_000)
        self.options = options
        self.fixed = fixed
    }

    /// Everything as text, for the file that a run resumes from.
    var all: [(name: String, value: String)] {
        fixed + [("epochs", "\(options.epochCountMax)"), ("patience", "\(options.patience)")]
    }

    /// The network before training.
    func model(channels: Int) throws -> RecurrentModel {
        try RecurrentModel(
            cell: cell.kind, inputSize: channels, hiddenSize: hidden, layerCount: layers,
            outputSize: options.loss.outputSize(targets: channels * horizon), candidateActivation: cell == .elmanRelu ? .relu : .tanh,
            seed: seed)
    }
}

/// What lies beside the model while it is trained: the options as a line of JSON, then the trainer's state.
struct TrainingFile {
    var options: [String: String]
    var digest: String
    var state: [UInt8]

    static func path(of output: String) -> String { output + ".training" }

    init(options: [(name: String, value: String)], digest: String, state: [UInt8]) {
        (self.options, self.digest, self.state) = (Dictionary(options) { first, _ in first }, digest, state)
    }

    /// Errors: the bytes are no such file.
    init(_ bytes: [UInt8], name: String) throws {
        guard let end = bytes.firstIndex(of: 10), let head = try? JSONValue.parse(Array(bytes[..<end])),
            head["rnn_watchd_training"]?.integerValue == 1, case .object(let members)? = head["options"], let digest = head["data"]?.text
        else { throw ControlError.failed("cannot resume: \(name) is no training state") }
        options = [:]
        for member in members { options[member.name] = member.value.text ?? "" }
        self.digest = digest
        state = Array(bytes[(end + 1)...])
    }

    func bytes() -> [UInt8] {
        let members = options.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, .string($0.value)) }
        let head = JSONValue.object(["rnn_watchd_training": .integer(1), "data": .string(digest), "options": .object(members)])
        return Array(head.compact.utf8) + [10] + state
    }
}
