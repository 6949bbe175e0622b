import Detection
import RecurrentNetwork

extension AlertExplainer {
    /// A channel just before the alert's reading, and how it came there.
    private struct Approach {
        /// [n] of the channel, in units of its deviation.
        var inputs: [Double] = []
        /// [n][inputs of the model], standardised as the network took them.
        var rows: [Float] = []
        /// Features that the readout saw last, its weights, mean and deviation of the channel.
        var features: [Double] = []
        var readout: [Double] = []
        var mean = 0.0
        var deviation = 1.0
    }

    /// What drove the network's prediction of the alert's reading (see `ChannelVerdict.recurrent`); nil where there is none.
    mutating func prediction(_ channel: UInt16, _ judged: [UInt16: ChannelVerdict]) throws -> AlertExplanation.Prediction? {
        guard let expected = judged[channel]?.recurrent else { return nil }
        let isDriven = replay.watch.slots[replay.local].seat?.isBound == true
        try replay.put(start)
        var window = readings.dropLast()
        // A model is bound by the first reading that it sees, which may lie in the window; the approach begins behind it.
        while isDriven, replay.watch.slots[replay.local].seat?.isBound != true, let first = window.popFirst() { replay.judge(first) }
        let block = replay.watch.slots[replay.local].channels[Int(channel)]
        let seat = replay.watch.slots[replay.local].seat.flatMap { $0.isBound ? $0 : nil }
        let units = replay.watch.detector.units(channel: block).map(Double.init)
        let before = replay.watch.detector.input(channel: block)
        let state = seat.map { Array(UnsafeBufferPointer(start: $0.state, count: $0.model.engine.stateStride)) }
        var approach = Approach()
        for reading in window {
            replay.judge(reading)
            if reading.values.contains(where: { $0.channel == channel }) {
                approach.inputs.append(replay.watch.detector.input(channel: block))
            }
            if let seat { approach.rows += seat.newestInputs }
        }
        approach.features = replay.watch.detector.features(channel: block)
        approach.readout = replay.watch.detector.readout(channel: block)
        (approach.mean, approach.deviation, _) = replay.watch.detector.moments(channel: block)
        guard !approach.inputs.isEmpty, approach.deviation > 0 else { return nil }
        if let seat, let state, seat.inputOf[Int(channel)] >= 0 { return try driven(channel, expected, seat, state, approach, block) }
        // A channel that the model does not know runs on the built-in network, also beside a model.
        guard replay.watch.slots[replay.local].seat?.isBound != true || seat != nil else { return nil }
        let layer = replay.watch.settings.profile.weights.predictor
        let found = PredictionAttribution(
            layer: layer, readout: approach.readout, clock: Array(approach.features.suffix(approach.features.count - 3 - layer.units)),
            start: units, before: before, inputs: approach.inputs)
        let scale = approach.deviation
        return .init(
            channel: name(channel), value: expected, usual: approach.mean + scale * found.baseline,
            contributions: [(name(channel), found.contributions.map { $0 * scale })], residual: scale * found.residual,
            recomputed: approach.mean + scale * found.output, method: "integrated gradients")
    }

    /// A trained network's prediction: the readout weighs forecasts and hidden units of the network and the channel's newest readings.
    /// Each part is attributed along the same line; parts add up as they do in the prediction.
    private func driven(
        _ channel: UInt16, _ expected: Double, _ seat: ModelSeat, _ startState: [Float], _ approach: Approach,
        _ block: UnsafeMutableRawPointer
    ) throws -> AlertExplanation.Prediction {
        let model = seat.model
        let network = model.document.model
        let (size, input) = (model.inputCount, seat.inputOf[Int(channel)])
        let steps = approach.rows.count / size
        var start = RecurrentState(for: model.engine)
        start.withRows { rows in for i in startState.indices { rows[i] = startState[i] } }
        let baseline = [Float](repeating: 0, count: approach.rows.count)
        var added = [Double](repeating: 0, count: approach.rows.count)
        var (difference, residual) = (0.0, 0.0)
        var isExact = true
        func add(_ network: RecurrentModel, _ output: Int, _ weight: Double) throws {
            guard weight != 0 else { return }
            let isSmooth = network.readout != nil && !network.layers.contains { $0.cell == .gruResetBefore }
            isExact = isExact && isSmooth
            let part =
                isSmooth
                ? try Attribution.integratedGradients(
                    of: network, window: approach.rows, baseline: baseline, output: output, start: start, points: 64)
                : try Attribution.occlusion(of: network, window: approach.rows, baseline: baseline, output: output, start: start)
            for i in added.indices { added[i] += weight * Double(part.contributions[i]) }
            difference += weight * Double(part.output - part.baselineOutput)
            residual += weight * Double(part.residual)
        }
        let weights = Array(approach.readout[3...])
        var place = 0
        for horizon in seat.forecastHorizons where horizon > 0 && place < seat.forecastCount {
            try add(network, model.output(channel: input, horizon: horizon), weights[place] * seat.deviation[input] / approach.deviation)
            place += 1
        }
        var dense = DenseLayer(inputSize: network.layers.last?.hiddenSize ?? 0, outputSize: 1)
        for i in 0..<seat.unitCount { dense.weights[model.ranking[i]] = Float(weights[place + i]) }
        var unitsOnly = network
        unitsOnly.readout = dense
        try add(unitsOnly, 0, 1)
        // The channel's own newest two readings go past the network.
        let usual = replay.watch.detector.standardised(channel: block, seat.mean[input])
        for back in 0..<min(2, steps) {
            let part = approach.readout[1 + back] * (approach.features[1 + back] - usual)
            added[(steps - 1 - back) * size + input] += part
            difference += part
        }
        let output = zip(approach.readout, approach.features).reduce(0) { $0 + $1.0 * $1.1 }
        let scale = approach.deviation
        return .init(
            channel: name(channel), value: expected, usual: approach.mean + scale * (output - difference),
            contributions: (0..<size).map { i in
                (name(UInt16(seat.channelOf[i])), stride(from: i, to: added.count, by: size).map { added[$0] * scale })
            }, residual: scale * residual, recomputed: approach.mean + scale * output,
            method: isExact ? "integrated gradients" : "occlusion")
    }
}
