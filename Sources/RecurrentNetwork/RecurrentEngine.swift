import CRecurrentKernels

/// A validated model packed for this processor's vector width: what computes. Immutable, shared by all threads.
///
/// A stream's numbers are the same bits whatever the batch, its size and its neighbours, in any split of its readings into calls.
/// They differ in the last bits between processors with other instruction sets.
///
/// A state row of one stream holds `stateStride` floats: per layer h (padded to 16 floats) and, for LSTM, c. Zero is the start.
public final class RecurrentEngine: @unchecked Sendable {
    // Proof for @unchecked: every stored property is written in init only; the packed weights are never written afterwards.

    /// The model this was packed from.
    public let model: RecurrentModel
    /// Inputs per reading.
    public let inputSize: Int
    /// Outputs per reading.
    public let outputSize: Int
    /// Floats of a state row, a multiple of 16.
    public let stateStride: Int
    /// The kernels in use: "avx512-paired", "avx512", "avx2", "sse2" or "neon".
    public let instructionSet: String

    let table: UnsafePointer<rk_table>
    private let network: UnsafeMutablePointer<rk_network>
    private let packed: [AlignedFloats]

    /// The instruction sets compiled in that this processor has, best first.
    public static var usableInstructionSets: [String] {
        var names: [String] = []
        var index: Int32 = 0
        while let table = rk_table_at(index) {
            if rk_table_usable(index) != 0 { names.append(String(cString: table.pointee.name)) }
            index += 1
        }
        return names
    }

    static func table(named name: String?) throws(NetworkError) -> UnsafePointer<rk_table> {
        var index: Int32 = 0
        if name == nil, let best = rk_best() { return best }
        while let table = rk_table_at(index) {
            if rk_table_usable(index) != 0, String(cString: table.pointee.name) == name { return table }
            index += 1
        }
        throw .unsupported(
            "use instruction set '\(name ?? "any")': got a processor without it, expected one of \(usableInstructionSets)"
        )
    }

    /// Validates and packs `model`.
    /// - Parameter instructionSet: nil takes the best one; a name from `usableInstructionSets` is for tests and measurements.
    public init(model: RecurrentModel, instructionSet: String? = nil) throws(NetworkError) {
        try model.validate()
        let table = try Self.table(named: instructionSet)
        self.model = model
        self.table = table
        self.instructionSet = String(cString: table.pointee.name)
        inputSize = model.inputSize
        outputSize = model.outputSize
        let lanes = table.pointee.lanes
        var packed: [AlignedFloats] = []
        var layers: [rk_layer] = []
        for layer in model.layers {
            let (native, floats) = Self.pack(layer, table)
            layers.append(native)
            packed.append(floats)
        }
        network = .allocate(capacity: 1)
        network.initialize(to: rk_network())
        network.pointee.layers = Int32(layers.count)
        stateStride = Self.place(layers, of: model, in: network)
        for (index, dense) in model.head.enumerated() {
            let (native, floats) = Self.pack(dense, lanes: lanes)
            withUnsafeMutableBytes(of: &network.pointee.dense) { $0.bindMemory(to: rk_dense.self)[index] = native }
            network.pointee.dense_count += 1
            packed.append(floats)
        }
        self.packed = packed
    }

    deinit { network.deallocate() }

    /// One reading for each of `count` streams, on raw rows: the hot path. Nothing is allocated.
    ///
    /// Refuses NaN and infinity before any state changes.
    /// - Parameters:
    ///   - inputs: row i at `inputs + i * inputStride`, `inputSize` floats.
    ///   - states: row of stream i at `states + rows[i] * stateStride` (`rows` nil: i), updated. `rows` must not repeat a row.
    ///   - outputs: row i at `outputs + i * outputStride`, `outputSize` floats; nil to compute the state only.
    public func step(
        count: Int, inputs: UnsafePointer<Float>, inputStride: Int, states: UnsafeMutablePointer<Float>,
        rows: UnsafePointer<UInt32>? = nil,
        outputs: UnsafeMutablePointer<Float>?, outputStride: Int
    ) throws(NetworkError) {
        try run(
            count: count, steps: 1, inputs: inputs, inputStride: inputStride, inputStep: 0,
            states: states, rows: rows, outputs: outputs,
            outputStride: outputStride, outputStep: 0)
    }

    /// `steps` readings for each of `count` streams; reading t of stream i at `inputs + t * inputStep + i * inputStride`, outputs alike.
    public func run(
        count: Int, steps: Int, inputs: UnsafePointer<Float>, inputStride: Int, inputStep: Int,
        states: UnsafeMutablePointer<Float>,
        rows: UnsafePointer<UInt32>? = nil, outputs: UnsafeMutablePointer<Float>?, outputStride: Int,
        outputStep: Int
    ) throws(NetworkError) {
        guard count > 0, steps > 0 else { return }
        for t in 0..<steps {
            for i in 0..<count {
                let bad = rk_first_not_finite(inputs + t * inputStep + i * inputStride, inputSize)
                guard bad == inputSize else {
                    throw .notFinite(object: "input of stream \(i) at step \(t)", index: bad)
                }
            }
        }
        rk_network_run(
            table, network, count, steps, inputs, inputStride, inputStep, states, stateStride, rows,
            outputs, outputStride, outputStep)
    }

    /// Reading after reading of one stream from `state` on: what `predict` does with the rows of a file.
    ///
    /// - Parameters:
    ///   - inputs: [steps][inputSize], row after row. No normalisation is applied.
    ///   - state: advanced by the readings; untouched if an error is thrown.
    /// - Returns: [steps][outputSize].
    public func predict(_ inputs: [Float], state: inout RecurrentState) throws(NetworkError)
        -> [Float]
    {
        try predict(inputs, streamCount: 1, state: &state)
    }

    /// Readings of several streams in lockstep, time first as `nn.RNN(batch_first=False)`.
    /// - Parameter inputs: [steps][streamCount][inputSize].
    /// - Returns: [steps][streamCount][outputSize].
    public func predict(_ inputs: [Float], streamCount: Int, state: inout RecurrentState)
        throws(NetworkError) -> [Float]
    {
        try state.check(self, streamCount: streamCount)
        let width = streamCount * inputSize
        guard inputs.count % max(1, width) == 0 else {
            throw .shape(
                tensor: "input", expected: [inputs.count / max(1, width), streamCount, inputSize],
                got: [inputs.count])
        }
        let steps = inputs.count / max(1, width)
        guard steps > 0 else { return [] }
        try checkFinite(inputs, "input")
        var outputs = [Float](repeating: 0, count: steps * streamCount * outputSize)
        inputs.withUnsafeBufferPointer { x in
            outputs.withUnsafeMutableBufferPointer { y in
                state.values.withUnsafeMutableBufferPointer { s in
                    guard let x = x.baseAddress, let y = y.baseAddress, let s = s.baseAddress else { return }
                    rk_network_run(
                        table, network, streamCount, steps, x, inputSize, width, s, stateStride, nil, y,
                        outputSize,
                        streamCount * outputSize)
                }
            }
        }
        return outputs
    }
}

extension RecurrentEngine {
    static func pack(_ layer: RecurrentLayer, _ table: UnsafePointer<rk_table>) -> (rk_layer, AlignedFloats) {
        let lanes = table.pointee.lanes
        let cell = Int32(layer.cell.rawValue)
        let (inputs, hidden) = (Int32(layer.inputSize), Int32(layer.hiddenSize))
        let floats = AlignedFloats(zeros: rk_layer_pack_size(cell, inputs, hidden, lanes))
        var native = native(layer, packed: floats.pointer)
        native.pairs = rk_layer_pairs(table, &native, layer.recurrentWeights)
        rk_pack_layer(
            cell, inputs, hidden, native.pairs, lanes, layer.inputWeights, layer.recurrentWeights, layer.kernelBias,
            floats.pointer)
        return (native, floats)
    }

    static func native(_ layer: RecurrentLayer, packed: UnsafePointer<Float>) -> rk_layer {
        let activations = [layer.gateActivation, layer.candidateActivation, layer.outputActivation]
        let hard = activations.compactMap(\.hardParameters).first ?? (slope: 0, offset: 0)
        return rk_layer(
            cell: Int32(layer.cell.rawValue), inputs: Int32(layer.inputSize),
            hidden: Int32(layer.hiddenSize),
            gate_activation: activations[0].code, candidate_activation: activations[1].code,
            output_activation: activations[2].code,
            hard_slope: hard.slope, hard_offset: hard.offset, pairs: 0, packed: packed)
    }

    static func pack(_ dense: DenseLayer, lanes: Int32) -> (rk_dense, AlignedFloats) {
        let (inputs, outputs) = (Int32(dense.inputSize), Int32(dense.outputSize))
        let floats = AlignedFloats(zeros: rk_dense_pack_size(inputs, outputs, lanes))
        rk_pack_dense(inputs, outputs, lanes, dense.weights, 1, Int(inputs), dense.bias, floats.pointer)
        let hard = dense.activation.hardParameters ?? (slope: 0, offset: 0)
        return (
            rk_dense(
                inputs: inputs, outputs: outputs, activation: dense.activation.code, hard_slope: hard.slope,
                hard_offset: hard.offset,
                packed: floats.pointer), floats
        )
    }

    /// Writes the layers and the offsets of their state into the native network; returns the row length.
    private static func place(
        _ layers: [rk_layer], of model: RecurrentModel, in network: UnsafeMutablePointer<rk_network>
    ) -> Int {
        var offset = 0
        withUnsafeMutableBytes(of: &network.pointee.layer) { raw in
            let slots = raw.bindMemory(to: rk_layer.self)
            for (l, layer) in layers.enumerated() { slots[l] = layer }
        }
        withUnsafeMutableBytes(of: &network.pointee.hidden_offset) { hidden in
            withUnsafeMutableBytes(of: &network.pointee.cell_offset) { cell in
                let (hidden, cell) = (hidden.bindMemory(to: Int32.self), cell.bindMemory(to: Int32.self))
                for (l, layer) in model.layers.enumerated() {
                    hidden[l] = Int32(offset)
                    offset += padded(layer.hiddenSize)
                    cell[l] = Int32(offset)
                    if layer.cell.hasCellState { offset += padded(layer.hiddenSize) }
                }
            }
        }
        return offset
    }
}
