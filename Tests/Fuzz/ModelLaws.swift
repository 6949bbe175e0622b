import RecurrentNetwork

/// What holds for every model file: it is refused with a sentence, or it is a model that runs and survives being written.
func checkModel(_ read: () throws(ModelFileError) -> RecurrentModel) -> Int32 {
    let model: RecurrentModel
    do throws(ModelFileError) { model = try read() } catch {
        let text = error.description
        precondition(text.hasPrefix("cannot "), "an error says what could not be done: \(text)")
        return 0
    }
    guard model.parameterCount < 1 << 20 else { return 0 }
    do {
        try model.validate()
        let again = try Safetensors.readModel(Safetensors.writeModel(model))
        precondition(again == model, "a model that was read, written and read is the same")
        let engine = try RecurrentEngine(model: model)
        var state = RecurrentState(for: engine)
        let outputs = try engine.predict([Float](repeating: 0.5, count: 2 * model.inputSize), state: &state)
        precondition(outputs.allSatisfy(\.isFinite), "outputs of finite weights are finite")
    } catch { preconditionFailure("a model that was read can be used: \(error)") }
    return 0
}

func bytes(_ data: UnsafePointer<UInt8>, _ size: Int) -> [UInt8] { Array(UnsafeBufferPointer(start: data, count: size)) }
