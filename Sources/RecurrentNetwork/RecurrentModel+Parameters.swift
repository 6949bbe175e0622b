extension RecurrentModel {
    /// All weights in one vector, tensor after tensor in the order of `tensors()`.
    public var flatParameters: [Float] { tensors().flatMap(\.values) }

    /// This model with other weights, from a vector in the order of `flatParameters`.
    public func with(flatParameters flat: [Float]) throws(NetworkError) -> RecurrentModel {
        guard flat.count == parameterCount else { throw .shape(tensor: "parameters", expected: [parameterCount], got: [flat.count]) }
        var model = self
        var at = 0
        func take(_ target: inout [Float]) {
            target = Array(flat[at..<at + target.count])
            at += target.count
        }
        for l in model.layers.indices {
            take(&model.layers[l].inputWeights)
            take(&model.layers[l].recurrentWeights)
            take(&model.layers[l].inputBias)
            take(&model.layers[l].recurrentBias)
        }
        for d in model.hiddenDense.indices {
            take(&model.hiddenDense[d].weights)
            take(&model.hiddenDense[d].bias)
        }
        if var readout = model.readout {
            take(&readout.weights)
            take(&readout.bias)
            model.readout = readout
        }
        return model
    }
}
