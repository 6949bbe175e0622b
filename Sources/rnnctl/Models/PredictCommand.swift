import ArgumentParser
import Control
import Models
import Platform
import RecurrentNetwork
import Tabular
import TimeSeries

struct ModelPredict: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Run a file's readings through a model and write what it predicts after each.",
        discussion: """
            The hidden state starts at zero and is carried from row to row (and apart for every stream, if the file has a stream column). \
            With --raw values go in and come out as they are, which is what PyTorch, Keras and onnxruntime compute. Without it a model \
            trained here standardises every stream as in its training and gives predictions in the unit of the readings.

            Columns: timestamp, (stream,) then one column per output: <channel>.predicted when there are as many outputs as channels, else \
            out0.predicted, out1.predicted ... Row t holds the output after reading t, so a model trained to forecast speaks about t + 1.

            EXAMPLES
              rnnctl model predict model.safetensors readings.csv --raw --format csv > predicted.csv
              rnnctl model predict model.onnx readings.csv --raw --format jsonl
              rnnctl model predict rnn.safetensors readings.csv --raw --cell elman-relu
            """)

    @Argument(help: "A .safetensors, .onnx, .keras or .weights.h5 file.", completion: .file())
    var model: String
    @Argument(help: "CSV with the columns timestamp and channels (or .lp, .jsonl); - for standard input.", completion: .file())
    var input: String
    @Flag(name: .long, help: "No normalisation.")
    var raw = false
    @Option(name: .long, help: ArgumentHelp("csv, json, jsonl or table.", valueName: "format"))
    var format: RecordTable.Format = .csv
    @Option(name: .long, help: ArgumentHelp("csv, influx or jsonl; else by the file's name.", valueName: "format"))
    var inputFormat: HistoryTable.Format?
    @Option(name: .long, help: ArgumentHelp("Channels in the order of the model's inputs, comma-separated.", valueName: "names"))
    var channels: String?
    @Option(name: .long, help: ArgumentHelp("CSV column that names the stream.", valueName: "name"))
    var streamColumn: String?
    @Option(name: .long, help: ArgumentHelp("Write here instead of standard output.", valueName: "file"), completion: .file())
    var output: String?
    @OptionGroup var reading: ModelReadArguments

    func run() throws {
        let document = try reading.read(model)
        if !raw, document.card == nil {
            FileOutput.error("rnnctl: \(model) says nothing about normalisation; values are used as they are (--raw)")
        }
        let table = try HistoryTable(file: input, format: inputFormat, streamColumn: streamColumn)
        let prediction = try Prediction(
            document: document, table: table, chosen: channels?.split(separator: ",").map(String.init), isRaw: raw || document.card == nil,
            modelName: model, inputName: input)
        let text = prediction.text(format, table: table)
        if let output {
            try Files.replace(output, with: Array(text.utf8))
        } else if !FileOutput.output(text) {
            throw ExitCode(1)
        }
        if table.refused > 0 { FileOutput.error("rnnctl: \(table.refused) lines of \(input) are no readings; they were left out") }
    }
}

/// Outputs of a model for every row of a table.
struct Prediction {
    /// Names of the columns.
    let columns: [String]
    /// [rows][columns].
    let values: [Float]

    /// Runs all rows. Errors: channels do not fit, a value is missing or too large for Float.
    init(
        document: ModelDocument, table: HistoryTable, chosen: [String]?, isRaw: Bool, modelName: String, inputName: String
    ) throws {
        let engine = try RecurrentEngine(model: document.model)
        let names = try Prediction.channels(document, table, chosen, modelName, inputName)
        let places = names.compactMap(table.place(of:))
        let outputs = Prediction.outputs(document, names, isRaw: isRaw)
        columns = outputs.map(\.name)
        var states = table.streams.map { _ in RecurrentState(for: engine) }
        let scales = table.streams.map { isRaw ? nil : document.card?.scale(of: $0).scale }
        var values: [Float] = []
        values.reserveCapacity(table.rows.count * columns.count)
        var inputs = [Float](repeating: 0, count: places.count)
        for row in table.rows {
            let scale = scales[row.stream]
            for (index, place) in places.enumerated() {
                var value = table.value(row, place)
                if let scale { value = (value - scale.mean[index]) / scale.deviation[index] }
                guard Float(value).isFinite else {
                    throw ControlError.failed(
                        "cannot predict \(inputName): line \(row.line), channel \"\(names[index])\": "
                            + (value.isNaN ? "got no value, expected one in every row" : "got \(value), too large for a 32-bit float"))
                }
                inputs[index] = Float(value)
            }
            let result = try engine.predict(inputs, state: &states[row.stream])
            for (index, output) in outputs.enumerated() { values.append(output.value(result[index], scale)) }
        }
        self.values = values
    }

    /// The channels that go in, in the model's order.
    static func channels(
        _ document: ModelDocument, _ table: HistoryTable, _ chosen: [String]?, _ modelName: String, _ inputName: String
    ) throws -> [String] {
        let wanted = chosen ?? document.card?.channels ?? table.channels
        let known = table.channels.joined(separator: ", ")
        if let missing = wanted.first(where: { table.place(of: $0) == nil }) {
            throw ControlError.failed("cannot predict \(inputName): got channels \(known), expected \"\(missing)\"; choose with --channels")
        }
        guard wanted.count == document.model.inputSize else {
            throw ControlError.failed(
                "cannot predict \(inputName): got \(wanted.count) channels (\(wanted.joined(separator: ", "))), expected \(document.model.inputSize), the inputs of \(modelName); choose and order them with --channels"
            )
        }
        return wanted
    }

    /// One output of the network.
    struct Output {
        enum Kind { case value, logVariance }
        var name: String
        var channel: Int
        var kind: Kind

        /// In the unit of the readings if `scale` is given.
        func value(_ raw: Float, _ scale: ModelCard.Scale?) -> Float {
            guard let scale else { return raw }
            switch kind {
            case .value: return Float(Double(raw) * scale.deviation[channel] + scale.mean[channel])
            case .logVariance: return Float(exponential(Double(min(max(raw, -20), 20)) / 2) * scale.deviation[channel])
            }
        }
    }

    /// Names and meanings of the outputs; a card says what they are, else the numbers of inputs and outputs must do.
    static func outputs(_ document: ModelDocument, _ names: [String], isRaw: Bool) -> [Output] {
        let count = document.model.outputSize
        guard let card = document.card else {
            return (0..<count).map {
                Output(name: (count == names.count ? names[$0] : "out\($0)") + ".predicted", channel: 0, kind: .value)
            }
        }
        var outputs: [Output] = []
        let targets = (1...card.horizon).flatMap { step in
            names.enumerated().map { (name: $1 + ".predicted" + (step > 1 ? "+\(step)" : ""), channel: $0) }
        }
        switch card.loss {
        case .meanSquared, .huber: outputs = targets.map { Output(name: $0.name, channel: $0.channel, kind: .value) }
        case .gaussian:
            outputs = targets.map { Output(name: $0.name, channel: $0.channel, kind: .value) }
            outputs += targets.map {
                Output(name: $0.name + (isRaw ? ".log_variance" : ".deviation"), channel: $0.channel, kind: .logVariance)
            }
        case .quantile(let levels):
            outputs = targets.flatMap { target in
                levels.map { Output(name: target.name + ".q\($0)", channel: target.channel, kind: .value) }
            }
        }
        return outputs
    }

    /// The rows as text. Numbers are the shortest that read back as the same 32-bit float.
    func text(_ format: RecordTable.Format, table: HistoryTable) -> String {
        let heads = ["timestamp"] + (table.namesStreams ? ["stream"] : []) + columns
        guard format == .csv else {
            let rows = table.rows.enumerated().map { index, row in
                [JSONValue.string(row.time)] + (table.namesStreams ? [.string(table.streams[row.stream])] : [])
                    + columns.indices.map { JSONValue.number(Double("\(values[index * columns.count + $0])") ?? 0) }
            }
            return RecordTable(columns: heads, rows: rows).text(format)
        }
        var out = heads.map(RecordTable.csvField).joined(separator: ",") + "\n"
        for (index, row) in table.rows.enumerated() {
            out += RecordTable.csvField(row.time)
            if table.namesStreams { out += "," + RecordTable.csvField(table.streams[row.stream]) }
            for column in columns.indices { out += ",\(values[index * columns.count + column])" }
            out += "\n"
        }
        return out
    }
}
