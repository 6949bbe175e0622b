import RecurrentNetwork
import Testing

@Suite("Parity with PyTorch and Keras")
struct ParityTests {
    static let torch = Fixtures.names(prefix: "torch_", suffix: ".safetensors")
    static let keras = Fixtures.names(prefix: "keras_", suffix: ".safetensors")

    @Test("the fixtures are there")
    func fixturesExist() {
        #expect(Self.torch.count >= 18)
        #expect(Self.keras.count >= 8)
    }

    @Test(
        "outputs and last state equal PyTorch's within 1e-5, on every instruction set, from carried state",
        arguments: torch)
    func torchForward(file: String) throws {
        let fixture = try Case(file)
        for set in RecurrentEngine.usableInstructionSets {
            let engine = try RecurrentEngine(model: fixture.model, instructionSet: set)
            var state = try fixture.startState(engine)
            let streams = state.streamCount
            let y = try engine.predict(try fixture.values("x"), streamCount: streams, state: &state)
            let error = relativeError(y, try fixture.values("y"))
            var hidden: [Float] = []
            for l in fixture.model.layers.indices {
                for b in 0..<streams { hidden += state.hidden(of: engine, layer: l, stream: b) }
            }
            let stateError = relativeError(hidden, try fixture.values("hn"))
            print("parity \(file) \(set): output \(error) state \(stateError)")
            #expect(error < 1e-5)
            #expect(stateError < 1e-5)
            if fixture.hasCell {
                var cells: [Float] = []
                for l in fixture.model.layers.indices {
                    for b in 0..<streams { cells += state.cell(of: engine, layer: l, stream: b) }
                }
                #expect(relativeError(cells, try fixture.values("cn")) < 1e-5)
            }
        }
    }

    @Test("outputs equal Keras's within 1e-5: gate order, reset_after, activations", arguments: keras)
    func kerasForward(file: String) throws {
        let fixture = try Case(file)
        for set in RecurrentEngine.usableInstructionSets {
            let engine = try RecurrentEngine(model: fixture.model, instructionSet: set)
            var state = RecurrentState(for: engine)
            let error = relativeError(
                try engine.predict(try fixture.values("x"), state: &state), try fixture.values("y"))
            print("parity \(file) \(set): output \(error)")
            #expect(error < 1e-5)
        }
    }
}
