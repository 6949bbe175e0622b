import Control
import Models
import RecurrentNetwork
import Tabular

/// What a model does on data: hidden units, channels, the last prediction.
struct ModelAnalysis {
    let channels: [String]
    let units: ActivationAnalysis
    /// Loss with nothing shuffled and the rises; nil when the outputs are no forecast of the inputs.
    let importance: (rises: [Double], loss: Double, name: String)?
    /// Of output 0 after the last reading.
    let attribution: Attribution
    let output: String
    let steps: Int

    /// Runs one stream of a file through the model.
    init(_ document: ModelDocument, file: String, stream: String?, isRaw: Bool, last: Int) throws {
        let table = try HistoryTable(file: file, format: nil)
        let key = stream ?? table.streams.first ?? ""
        guard let place = table.streams.firstIndex(of: key) else {
            throw ControlError.failed(
                "cannot analyse \(file): no stream \(key); there are \(table.streams.prefix(5).joined(separator: ", "))")
        }
        channels = try Prediction.channels(document, table, nil, "the model", file)
        let places = channels.compactMap(table.place(of:))
        let scale = isRaw ? nil : document.card?.scale(of: key).scale
        var values: [Float] = []
        for row in table.rows where row.stream == place {
            for (index, channel) in places.enumerated() {
                var value = table.value(row, channel)
                if let scale { value = (value - scale.mean[index]) / scale.deviation[index] }
                guard Float(value).isFinite else {
                    throw ControlError.failed(
                        "cannot analyse \(file): line \(row.line), channel \"\(channels[index])\": expected a value in every row")
                }
                values.append(Float(value))
            }
        }
        let size = channels.count
        let count = values.count / size
        guard count >= 4 else { throw ControlError.failed("cannot analyse \(file): got \(count) readings, expected at least 4") }
        let engine = try RecurrentEngine(model: document.model)
        units = try ActivationAnalysis(engine: engine, inputs: values, ignoredSteps: min(count / 4, 64))
        importance = try ModelAnalysis.importance(document, values, size)
        steps = min(last, count - 1)
        output = Prediction.outputs(document, channels, isRaw: true).first?.name ?? "out0"
        let cut = (count - steps) * size
        var state = RecurrentState(for: engine)
        if cut > 0 { _ = try engine.predict(Array(values[..<cut]), state: &state) }
        // Usual readings as the baseline: every channel's mean.
        let means = (0..<size).map { channel in
            stride(from: channel, to: values.count, by: size).reduce(Float(0)) { $0 + values[$1] } / Float(count)
        }
        let window = Array(values[cut...])
        attribution =
            document.model.readout == nil || document.model.layers.contains(where: { $0.cell == .gruResetBefore })
            ? try Attribution.occlusion(of: document.model, window: window, baseline: window.indices.map { means[$0 % size] }, start: state)
            : try Attribution.integratedGradients(
                of: document.model, window: window, baseline: window.indices.map { means[$0 % size] }, start: state, points: 64)
    }

    private static func importance(_ document: ModelDocument, _ values: [Float], _ size: Int) throws
        -> (rises: [Double], loss: Double, name: String)?
    {
        let loss = document.card?.loss ?? .meanSquared
        let horizon = document.card?.horizon ?? 1
        guard loss.outputSize(targets: size * horizon) == document.model.outputSize, values.count / size > horizon + 1 else { return nil }
        let series = try TrainingSeries(forecasting: values, channelCount: size, horizon: horizon)
        let found = try Attribution.permutationImportance(of: document.model, series: series, loss: loss, seed: 1)
        return (found.rises, found.loss, loss.text)
    }

    private var isComplete: Bool { abs(attribution.residual) <= 0.01 * max(1e-3, abs(attribution.output - attribution.baselineOutput)) }

    var json: JSONValue {
        let size = channels.count
        return .object([
            "readings": .integer(Int64(units.readingCount)),
            "units": .array(
                units.units.map {
                    .object([
                        "layer": .integer(Int64($0.layer)), "unit": .integer(Int64($0.unit)), "mean": .number($0.mean),
                        "deviation": .number($0.deviation), "low": .number(Double($0.low)), "high": .number(Double($0.high)),
                        "saturation": .number($0.saturation), "memory": .number($0.memory),
                    ])
                }),
            "importance": importance.map { found in
                .object([
                    "loss": .string(found.name), "value": .number(found.loss),
                    "rises": .object(zip(channels, found.rises).map { .init($0, .number($1)) }),
                ])
            } ?? .null,
            "attribution": .object([
                "output": .string(output), "value": .number(Double(attribution.output)),
                "baseline_value": .number(Double(attribution.baselineOutput)), "residual": .number(Double(attribution.residual)),
                "contributions": .object(
                    channels.enumerated().map { channel, name in
                        .init(
                            name,
                            .array(
                                stride(from: channel, to: attribution.contributions.count, by: size).map {
                                    .number(Double(attribution.contributions[$0]))
                                }))
                    }),
            ]),
        ])
    }

    func text(units shown: Int) -> String {
        let all = units.units
        var out = "hidden units on \(units.readingCount) readings: "
        out += "\(all.count { $0.saturation > 0.5 }) of \(all.count) saturated more than half of the time, "
        out += "memory \(NumberText.short(all.map(\.memory).min() ?? 0)) to \(NumberText.short(all.map(\.memory).max() ?? 0)) readings\n"
        let listed = all.sorted { $0.memory > $1.memory }.prefix(shown)
        out +=
            RecordTable(
                columns: ["layer", "unit", "mean", "deviation", "low", "high", "saturated", "memory", "0 to longest"],
                rows: listed.map {
                    [
                        .integer(Int64($0.layer)), .integer(Int64($0.unit)), .number($0.mean), .number($0.deviation),
                        .number(Double($0.low)),
                        .number(Double($0.high)), .string(NumberText.fixed(100 * $0.saturation, 1) + " %"), .number($0.memory),
                        .string(Curve.bar($0.memory / max(1, all.map(\.memory).max() ?? 1), width: 20)),
                    ]
                }
            ).text(.table)
        if all.count > shown { out += "... \(all.count - shown) more units (--units)\n" }
        if let importance {
            let top = max(importance.rises.max() ?? 0, 1e-30)
            out +=
                "\nimportance: rise of the loss (\(importance.name), \(NumberText.short(importance.loss))) when the channel is shuffled in time\n"
            out +=
                RecordTable(
                    columns: ["channel", "rise", " "],
                    rows: zip(channels, importance.rises).sorted { $0.1 > $1.1 }.map {
                        [.string($0), .number($1), .string(Curve.bar($1 / top, width: 30))]
                    }
                ).text(.table)
        }
        return out + attributionText()
    }

    private func attributionText() -> String {
        let size = channels.count
        let method = attribution.contributions.count == steps * size ? "what the last \(steps) readings added to \(output)" : output
        var out = "\nlast prediction: \(method) = \(NumberText.short(Double(attribution.output)))"
        out += " (with usual readings \(NumberText.short(Double(attribution.baselineOutput))))\n"
        let sums = attribution.byChannel(inputSize: size)
        let rows = channels.indices.sorted { abs(sums[$0]) > abs(sums[$1]) }.map { channel -> [JSONValue] in
            let course = stride(from: channel, to: attribution.contributions.count, by: size).map { Double(attribution.contributions[$0]) }
            return [.string(channels[channel]), .number(Double(sums[channel])), .string(Curve.text(course.map(abs)))]
        }
        out += RecordTable(columns: ["channel", "contribution", "oldest to newest, size"], rows: rows).text(.table)
        out +=
            "completeness: contributions add up to \(NumberText.short(Double(sums.reduce(0, +)))), the difference is "
            + "\(NumberText.short(Double(attribution.output - attribution.baselineOutput))): \(isComplete ? "ok" : "not complete")\n"
        return out
    }
}
