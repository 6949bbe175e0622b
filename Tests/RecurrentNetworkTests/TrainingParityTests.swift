import RecurrentNetwork
import Testing

@Suite("Gradients and optimisers equal PyTorch's")
struct TrainingParityTests {
    static let files = Fixtures.names(prefix: "torch_", suffix: ".safetensors")

    private func workspace(_ fixture: Case, set: String, checkpointEvery: Int? = nil) throws -> BackPropagation {
        let shape = try fixture.shape("x")
        let work = try BackPropagation(
            shape: fixture.model, streamCount: shape[1], stepCount: shape[0], checkpointEvery: checkpointEvery, instructionSet: set)
        work.load(fixture.model.flatParameters)
        return work
    }

    @Test("every gradient equals PyTorch's within 1e-5 of its largest value, with and without checkpoints", arguments: files)
    func gradients(file: String) throws {
        let fixture = try Case(file)
        for set in RecurrentEngine.usableInstructionSets {
            for every in [nil, 1, 3] {
                let engine = try RecurrentEngine(model: fixture.model, instructionSet: set)
                let work = try workspace(fixture, set: set, checkpointEvery: every)
                let loss = try work.run(
                    inputs: try fixture.values("x"), targets: try fixture.values("target"), targetSize: fixture.model.outputSize,
                    loss: .meanSquared, start: try fixture.startState(engine))
                #expect(abs(loss / Double(try fixture.values("loss")[0]) - 1) < 1e-5)
                var worst = (error: 0.0, name: "")
                var at = 0
                for tensor in fixture.model.tensors() {
                    let expected = try fixture.values("grad.\(tensor.name)")
                    let error = relativeError(Array(work.gradient[at..<at + expected.count]), expected)
                    at += expected.count
                    if error > worst.error { worst = (error, tensor.name) }
                }
                print("parity \(file) \(set) checkpoint \(every ?? 0): worst gradient \(worst)")
                #expect(worst.error < 1e-5, "\(worst.name), \(set), checkpoint every \(every ?? 0)")
            }
        }
    }

    @Test("ten steps of Adam and of SGD reach PyTorch's weights within 1e-4", arguments: files)
    func tenSteps(file: String) throws {
        let fixture = try Case(file)
        for (name, kind) in [("adam", OptimiserKind.adam(rate: 0.01)), ("sgd", .sgd(rate: 0.01))] {
            let engine = try RecurrentEngine(model: fixture.model)
            let work = try workspace(fixture, set: engine.instructionSet)
            var weights = fixture.model.flatParameters
            var optimiser = Optimiser(kind, parameterCount: weights.count)
            var losses: [Float] = []
            for _ in 0..<10 {
                work.load(weights)
                losses.append(
                    Float(
                        try work.run(
                            inputs: try fixture.values("x"), targets: try fixture.values("target"), targetSize: fixture.model.outputSize,
                            loss: .meanSquared, start: try fixture.startState(engine))))
                optimiser.step(&weights, gradient: work.gradient)
            }
            #expect(relativeError(losses, try fixture.values("\(name)_losses")) < 1e-4)
            var worst = 0.0
            var at = 0
            for tensor in fixture.model.tensors() {
                let expected = try fixture.values("\(name).\(tensor.name)")
                worst = max(worst, relativeError(Array(weights[at..<at + expected.count]), expected))
                at += expected.count
            }
            print("parity \(file) ten steps of \(name): \(worst)")
            #expect(worst < 1e-4)
        }
    }
}
