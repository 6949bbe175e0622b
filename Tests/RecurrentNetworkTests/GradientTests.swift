import RecurrentNetwork
import Testing

@Suite("Gradients equal finite differences of the reference")
struct GradientTests {
    static let losses: [Loss] = [.meanSquared, .huber(delta: 0.3), .gaussian, .quantile([0.1, 0.5, 0.9])]

    @Test(
        "every cell with every loss, on random shapes, within 1e-4 of the largest component",
        arguments: [CellKind.elman, .lstm, .gru], losses)
    func finiteDifferences(cell: CellKind, loss: Loss) throws {
        var worst = 0.0
        for seed in 1...4 as ClosedRange<UInt64> {
            var draw = Draw(seed &* 31 &+ UInt64(cell.rawValue))
            let targets = draw.size(1...2)
            let model = try draw.model(
                cell, outputs: loss.outputSize(targets: targets), activation: [.linear, .tanh, .sigmoid][draw.size(0...2)],
                relu: cell == .elman && seed % 2 == 0, hiddenMax: 6)
            let steps = draw.size(2...7)
            let x = draw.values(steps * model.inputSize)
            let y = draw.values(steps * targets)
            let work = try BackPropagation(shape: model, streamCount: 1, stepCount: steps, checkpointEvery: seed % 2 == 0 ? 2 : nil)
            work.load(model.flatParameters)
            let value = try work.run(inputs: x, targets: y, targetSize: targets, loss: loss)
            var reference = Reference(model)
            #expect(abs(value - reference.loss(x, y, targets, loss)) < 1e-5)
            var numeric: [Float] = []
            let width = 1e-6
            for i in reference.parameters.indices {
                let here = reference.parameters[i]
                reference.parameters[i] = here + width
                let above = reference.loss(x, y, targets, loss)
                reference.parameters[i] = here - width
                let below = reference.loss(x, y, targets, loss)
                reference.parameters[i] = here
                numeric.append(Float((above - below) / (2 * width)))
            }
            let error = relativeError(work.gradient, numeric)
            worst = max(worst, error)
            #expect(error < 1e-4, "seed \(seed), \(model.layers.count) layers of \(model.layers[0].hiddenSize)")
        }
        print("finite differences \(cell) \(loss): worst \(worst)")
    }

    @Test("gradients through a head of several dense layers equal finite differences of the loss")
    func head() throws {
        var draw = Draw(41)
        var model = try draw.model(.gru, outputs: 2, hiddenMax: 6)
        let width = model.layers.last?.hiddenSize ?? 0
        var between = DenseLayer(inputSize: width, outputSize: 5, activation: .tanh)
        between.weights = draw.values(width * 5)
        between.bias = draw.values(5)
        var readout = DenseLayer(inputSize: 5, outputSize: 2, activation: .sigmoid)
        readout.weights = draw.values(10)
        readout.bias = draw.values(2)
        model = RecurrentModel(layers: model.layers, hiddenDense: [between], readout: readout)
        let (streams, steps) = (7, 4)
        let x = draw.values(steps * streams * model.inputSize), y = draw.values(steps * streams * 2)
        let work = try BackPropagation(shape: model, streamCount: streams, stepCount: steps)
        func loss(_ flat: [Float]) throws -> Double {
            work.load(flat)
            return try work.run(inputs: x, targets: y, targetSize: 2, loss: .meanSquared)
        }
        let flat = model.flatParameters
        _ = try loss(flat)
        let gradient = work.gradient
        let largest = gradient.reduce(0) { max($0, abs($1)) }
        for i in stride(from: 0, to: flat.count, by: 3) {
            var (above, below) = (flat, flat)
            above[i] += 1e-2
            below[i] -= 1e-2
            let numeric = try (loss(above) - loss(below)) / Double(above[i] - below[i])
            #expect(abs(numeric - Double(gradient[i])) < 2e-3 * Double(largest) + 1e-5, "parameter \(i)")
        }
    }

    @Test("input gradients equal finite differences", arguments: [CellKind.elman, .lstm, .gru])
    func inputGradients(cell: CellKind) throws {
        var draw = Draw(9)
        let model = try draw.model(cell, outputs: 1, hiddenMax: 9)
        let x = draw.values(6 * model.inputSize)
        let y = draw.values(6)
        let work = try BackPropagation(shape: model, streamCount: 1, stepCount: 6, withInputGradient: true)
        work.load(model.flatParameters)
        _ = try work.run(inputs: x, targets: y, targetSize: 1, loss: .meanSquared)
        let reference = Reference(model)
        var numeric: [Float] = []
        for i in x.indices {
            var (above, below) = (x, x)
            above[i] += 1e-3
            below[i] -= 1e-3
            let width = Double(above[i]) - Double(below[i])
            numeric.append(Float((reference.loss(above, y, 1, .meanSquared) - reference.loss(below, y, 1, .meanSquared)) / width))
        }
        #expect(relativeError(work.inputGradients(steps: 6), numeric) < 1e-4)
    }

    @Test("warm-up readings count in neither loss nor gradient of the readout bias")
    func ignoredSteps() throws {
        var draw = Draw(12)
        let model = try draw.model(.gru, outputs: 1, hiddenMax: 5)
        let x = draw.values(8 * model.inputSize)
        let y = draw.values(8)
        let work = try BackPropagation(shape: model, streamCount: 1, stepCount: 8)
        work.load(model.flatParameters)
        let loss = try work.run(inputs: x, targets: y, targetSize: 1, loss: .meanSquared, ignoredSteps: 5)
        let outputs = Reference(model).outputs(x)
        let errors = (5..<8).map { outputs[$0] - Double(y[$0]) }
        #expect(abs(loss - errors.reduce(0) { $0 + $1 * $1 } / 3) < 1e-6)
        #expect(abs(Double(try #require(work.gradient.last)) - 2 * errors.reduce(0, +) / 3) < 1e-6)
    }

    @Test("checkpoints lower the stated memory and leave the gradient within rounding")
    func checkpoints() throws {
        let model = try RecurrentModel(cell: .lstm, inputSize: 2, hiddenSize: 24, layerCount: 2, outputSize: 1, seed: 2)
        var draw = Draw(3)
        let (steps, streams) = (144, 4)
        let x = draw.values(steps * streams * 2)
        let y = draw.values(steps * streams)
        var all: [(bytes: Int, gradient: [Float])] = []
        for every in [nil, 48, 12, 1] {
            let work = try BackPropagation(shape: model, streamCount: streams, stepCount: steps, checkpointEvery: every)
            work.load(model.flatParameters)
            _ = try work.run(inputs: x, targets: y, targetSize: 1, loss: .meanSquared)
            all.append((work.workspaceBytes, work.gradient))
            print("checkpoint every \(every ?? steps): \(work.workspaceBytes) bytes")
        }
        #expect(all[2].bytes * 4 < all[0].bytes)
        for other in all.dropFirst() { #expect(relativeError(other.gradient, all[0].gradient) < 1e-5) }
    }
}
