import Tabular

/// What explains one alert; `json` is the written form (docs/CONTROL.md, "Explanations").
public struct AlertExplanation: Sendable {
    /// One channel's prediction and what drove it.
    struct Prediction: Sendable {
        var channel: String
        /// What was predicted for the alert's reading, and what would have been after usual readings; units of the reading.
        var value: Double
        var usual: Double
        /// Per channel that went in: what each reading of the window added, oldest first.
        var contributions: [(channel: String, added: [Double])]
        /// Sum of contributions - (recomputed value - usual).
        var residual: Double
        /// The recomputed value; it is the prediction but for rounding.
        var recomputed: Double
        var method: String

        /// The contributions add up, and the recomputed prediction is the one that was made.
        var isComplete: Bool {
            let scale = max(abs(value - usual), 1e-3 * max(abs(value), 1e-9))
            return abs(residual) <= 0.02 * scale && abs(recomputed - value) <= 0.02 * scale
        }
    }

    /// One reading of the window with the part it has in the score.
    struct Reading: Sendable {
        var time: Int64
        var observed: Double?
        var expected: Double?
        var score: Double
        /// The alert's score, had this reading been what was expected.
        var scoreWithout: Double
    }

    /// A hidden unit.
    struct Unit: Sendable {
        var layer: Int
        var unit: Int
        var value: Double
        var mean: Double
        var deviation: Double
        var low: Double
        var high: Double
        /// Share of readings with |h| > 0.95 (relu: h = 0).
        var saturation: Double
        /// Readings: integrated autocorrelation time.
        var memory: Double
        /// (value - mean) / deviation.
        var deviations: Double { (value - mean) / max(deviation, 1e-6) }
    }

    /// The smallest change that would not have alerted.
    struct Counterfactual: Sendable {
        /// Newest readings that change, and by what share of their distance to what was expected.
        var readings: Int
        var share: Double
        var changes: [(time: Int64, channel: String, from: Double, to: Double)]
        var score: Double
    }

    var alert: String
    var stream: String
    var model: String?
    var network: String
    var channels: [String]
    var time: Int64
    var score: Double
    var storedScore: Double?
    var threshold: Double
    var offset: Double
    var evidence: [(name: String, points: Double)]
    var shares: [(channel: String, share: Double, observed: Double, expected: Double)]
    var predictions: [Prediction]
    var readings: [Reading]
    var units: [Unit]
    var unitsOf: String
    var historyCount: Int
    var counterfactual: Counterfactual?
    /// The lowest score that any change which was tried leads to.
    var lowestScore: Double

    /// Units further than this many deviations from their mean left their usual range.
    static let unusualDeviations = 3.0

    /// The written form; `timeText` makes RFC 3339 of nanoseconds.
    public func json(timeText: (Int64) -> String) -> JSONValue {
        let unusual = units.filter { abs($0.deviations) > AlertExplanation.unusualDeviations }.sorted {
            abs($0.deviations) > abs($1.deviations)
        }
        let memories = units.map(\.memory).sorted()
        return .object([
            "alert": .string(alert), "stream": .string(stream), "model": .optional(model), "network": .string(network),
            "channels": .array(channels.map { .string($0) }), "reading_at": .string(timeText(time)), "score": .number(score),
            "stored_score": .optional(storedScore), "threshold": .number(threshold),
            "predictions": .array(predictions.map(json)),
            "score_parts": .object([
                "offset": number(offset),
                "evidence": .array(evidence.map { .object(["name": .string($0.name), "points": number($0.points)]) }),
                "channels": .array(
                    shares.map {
                        .object([
                            "channel": .string($0.channel), "share": number($0.share), "observed": number($0.observed),
                            "expected": number($0.expected),
                        ])
                    }),
                "readings": .array(
                    readings.map {
                        .object([
                            "time": .string(timeText($0.time)), "observed": optional($0.observed), "expected": optional($0.expected),
                            "score": number($0.score), "score_without": number($0.scoreWithout),
                        ])
                    }),
            ]),
            "units": .object([
                "of": .string(unitsOf), "count": .integer(Int64(units.count)), "known_from_readings": .integer(Int64(historyCount)),
                "unusual": .array(unusual.map(json)), "saturated_now": .integer(Int64(units.count { abs($0.value) > 0.95 })),
                "saturated_usually": .integer(Int64(units.count { $0.saturation > 0.5 })),
                "memory_shortest": optional(memories.first),
                "memory_median": optional(memories.isEmpty ? nil : memories[memories.count / 2]),
                "memory_longest": optional(memories.last), "all": .array(units.map(json)),
            ]),
            "counterfactual": counterfactual.map { found in
                .object([
                    "found": .bool(true), "readings": .integer(Int64(found.readings)), "share": number(found.share),
                    "score": number(found.score),
                    "changes": .array(
                        found.changes.map {
                            .object([
                                "time": .string(timeText($0.time)), "channel": .string($0.channel), "from": number($0.from),
                                "to": number($0.to),
                            ])
                        }),
                ])
            } ?? .object(["found": .bool(false), "lowest_score": number(lowestScore), "readings": .integer(Int64(readings.count))]),
        ])
    }

    private func json(_ prediction: Prediction) -> JSONValue {
        .object([
            "channel": .string(prediction.channel), "value": number(prediction.value), "usual": number(prediction.usual),
            "method": .string(prediction.method), "recomputed": number(prediction.recomputed), "residual": number(prediction.residual),
            "is_complete": .bool(prediction.isComplete),
            "contributions": .array(
                prediction.contributions.map {
                    .object([
                        "channel": .string($0.channel), "sum": number($0.added.reduce(0, +)),
                        "readings": .array($0.added.map { number($0) }),
                    ])
                }),
        ])
    }

    private func json(_ unit: Unit) -> JSONValue {
        .object([
            "layer": .integer(Int64(unit.layer)), "unit": .integer(Int64(unit.unit)), "value": number(unit.value),
            "mean": number(unit.mean),
            "deviation": number(unit.deviation), "deviations": number(unit.deviations), "low": number(unit.low),
            "high": number(unit.high), "saturation": number(unit.saturation), "memory": number(unit.memory),
        ])
    }

    /// As precise as a 32-bit float: what is kept of many alerts should be short.
    private func number(_ value: Double) -> JSONValue { .number(Float(value).isFinite ? Double("\(Float(value))") ?? value : value) }
    private func optional(_ value: Double?) -> JSONValue { value.map(number) ?? .null }
}
