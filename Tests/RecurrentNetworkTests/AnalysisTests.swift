import RecurrentNetwork
import Testing

@Suite("Explaining a network")
struct AnalysisTests {
    @Test(
        "integrated gradients add up to the change of the output; gradient times input and occlusion agree with them for a linear network")
    func attributions() throws {
        for cell in [CellKind.elman, .lstm, .gru] {
            var draw = Draw(21)
            let model = try draw.model(cell, outputs: 2, hiddenMax: 9)
            let window = draw.values(10 * model.inputSize, scale: 2)
            let baseline = [Float](repeating: -1, count: window.count)
            let exact = try Attribution.integratedGradients(of: model, window: window, baseline: baseline, output: 1, points: 64)
            #expect(abs(exact.residual) < 1e-2 * max(0.05, abs(exact.output - exact.baselineOutput)), "\(cell): residual \(exact.residual)")
            #expect(abs(exact.output - exact.baselineOutput) > 1e-3)
        }
        var linear = try RecurrentModel(
            cell: .elman, inputSize: 2, hiddenSize: 4, outputSize: 1, candidateActivation: .linear, seed: 5)
        linear.layers[0].candidateActivation = .linear
        var draw = Draw(4)
        let window = draw.values(12)
        let zero = [Float](repeating: 0, count: 12)
        let exact = try Attribution.integratedGradients(of: linear, window: window, baseline: zero).contributions
        #expect(relativeError(try Attribution.gradientTimesInput(of: linear, window: window, baseline: zero).contributions, exact) < 1e-4)
        #expect(relativeError(try Attribution.occlusion(of: linear, window: window, baseline: zero).contributions, exact) < 1e-4)
    }

    @Test("an input without weights gets no importance, the only input that matters gets all")
    func deadChannel() throws {
        var model = try RecurrentModel(cell: .gru, inputSize: 2, hiddenSize: 6, outputSize: 1, seed: 2)
        for row in 0..<18 { model.layers[0].inputWeights[row * 2 + 1] = 0 }
        var draw = Draw(6)
        let values = draw.values(2 * 200)
        let found = try Attribution.integratedGradients(
            of: model, window: Array(values[..<20]), baseline: [Float](repeating: 0, count: 20)
        ).byChannel(inputSize: 2)
        #expect(found[1] == 0 && found[0] != 0)
        let engine = try RecurrentEngine(model: model)
        var state = RecurrentState(for: engine)
        let series = try TrainingSeries(
            inputs: values, inputSize: 2, targets: try engine.predict(values, state: &state), targetSize: 1)
        let importance = try Attribution.permutationImportance(of: model, series: series, loss: .meanSquared, seed: 1)
        #expect(importance.loss < 1e-12 && importance.rises[1] < 1e-12 && importance.rises[0] > 1e-6)
    }

    @Test(
        "with contracting weights the gradient of an Elman network vanishes with the lag at the rate of its weight; an LSTM whose forget gate is open keeps it"
    )
    func vanishing() throws {
        var elman = try RecurrentModel(cell: .elman, inputSize: 1, hiddenSize: 1, outputSize: 1, candidateActivation: .linear, seed: 1)
        elman.layers[0].inputWeights = [1]
        elman.layers[0].recurrentWeights = [0.5]
        elman.readout?.weights = [1]
        var draw = Draw(3)
        let inputs = draw.values(100, scale: 0.1)
        let curve = try GradientLag.measure(model: elman, inputs: inputs, lagCount: 20)
        for (lag, norm) in curve.norms.enumerated() { #expect(abs(norm / 0.5.power(lag) - 1) < 1e-4) }
        #expect(curve.reach(share: 0.01) == 7)  // 0.5^7 is the first below 1 %
        var lstm = try RecurrentModel(cell: .lstm, inputSize: 1, hiddenSize: 1, outputSize: 1, seed: 1)
        lstm.layers[0].recurrentWeights = [0, 0, 0, 0]
        lstm.layers[0].inputWeights = [0, 0, 0.1, 0]
        lstm.layers[0].inputBias = [0, 10, 0, 0]
        lstm.layers[0].recurrentBias = [0, 0, 0, 0]
        let kept = try GradientLag.measure(model: lstm, inputs: inputs, lagCount: 20).norms
        #expect(kept[19] > 0.9 * kept[0])
    }

    @Test("the analysis finds a unit's mean, range, saturation and memory, and names a unit that left its range")
    func activations() throws {
        var model = try RecurrentModel(cell: .elman, inputSize: 1, hiddenSize: 2, outputSize: 1, seed: 1)
        model.layers[0].inputWeights = [100, 0.1]  // unit 0 saturates, unit 1 is nearly linear with memory of 0.8
        model.layers[0].recurrentWeights = [0, 0, 0, 0.8]
        model.layers[0].inputBias = [0, 0]
        model.layers[0].recurrentBias = [0, 0]
        let engine = try RecurrentEngine(model: model)
        var draw = Draw(8)
        let analysis = try ActivationAnalysis(engine: engine, inputs: draw.values(4000), ignoredSteps: 50)
        #expect(analysis.readingCount == 3950)
        #expect(analysis.units[0].saturation > 0.95 && analysis.units[1].saturation == 0)
        #expect(analysis.units[0].high > 0.99 && analysis.units[0].low < -0.99)
        #expect(abs(analysis.units[1].mean) < 0.05)
        // 1 + 2 (0.8 + 0.8^2 + ...) = 9
        #expect(analysis.units[1].memory > 6 && analysis.units[1].memory < 12)
        #expect(analysis.units[0].memory < 1.5)
        var state = RecurrentState(for: engine)
        for _ in 0..<30 { _ = try engine.predict([20], state: &state) }
        let unusual = analysis.unusual(in: state, engine: engine)
        #expect(unusual.map(\.unit.unit) == [1])
    }
}

extension Double {
    fileprivate func power(_ n: Int) -> Double { (0..<n).reduce(1) { product, _ in product * self } }
}
