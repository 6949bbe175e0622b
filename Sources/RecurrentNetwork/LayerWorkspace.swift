import CRecurrentKernels

/// Packed weights, activations and gradients of one recurrent layer during training. Rows as in `BackPropagation`.
final class LayerWorkspace {
    let cell: CellKind
    let inputSize: Int
    let hiddenSize: Int
    /// Hp.
    let width: Int
    /// [(S+1)][B][Hp]; row block 0 is the state before the first step.
    let hidden: AlignedFloats
    /// As `hidden`, of dL/dh; blocks are added to by what lies above and by the step after.
    let hiddenGradients: AlignedFloats
    private let cellStates: AlignedFloats?
    private let cellGradient: AlignedFloats?
    private let tape: AlignedFloats
    private let tapeWidth: Int
    private let shape: RecurrentLayer
    private let rowCapacity: Int

    private var parameters: RecurrentLayer
    private let forwardPack: AlignedFloats
    private let recurrentBackPack: AlignedFloats
    private let inputBackPack: AlignedFloats?
    private let backMatrix: AlignedFloats
    private let inputWidth: Int
    /// [G*Hp][inputWidth], or for few inputs the other way round, [inputSize][A*Hp].
    private let inputWeightGradient: AlignedFloats
    private let recurrentWeightGradient: AlignedFloats
    private let biasGradient: AlignedFloats
    private let scratch: AlignedFloats

    /// Up to here columns are summed one by one: a block of a product would be mostly padding.
    static let fewColumns = 8
    private var hasFewInputs: Bool { inputSize <= Self.fewColumns }

    init(_ layer: RecurrentLayer, rows: Int, streams: Int, lanes: Int32, needsInput: Bool) {
        shape = layer
        parameters = layer
        cell = layer.cell
        inputSize = layer.inputSize
        hiddenSize = layer.hiddenSize
        width = padded(layer.hiddenSize)
        inputWidth = padded(layer.inputSize)
        rowCapacity = rows
        let (code, i, h) = (Int32(cell.rawValue), Int32(layer.inputSize), Int32(layer.hiddenSize))
        tapeWidth = cell.accumulatorCount * width
        hidden = AlignedFloats(zeros: (rows + streams) * width)
        hiddenGradients = AlignedFloats(zeros: (rows + streams) * width)
        cellStates = cell.hasCellState ? AlignedFloats(zeros: (rows + streams) * width) : nil
        cellGradient = cell.hasCellState ? AlignedFloats(zeros: streams * width) : nil
        tape = AlignedFloats(zeros: rows * tapeWidth)
        forwardPack = AlignedFloats(zeros: rk_layer_pack_size(code, i, h, lanes))
        let gateRows = cell.gateCount * width
        recurrentBackPack = AlignedFloats(zeros: rk_dense_pack_size(Int32(gateRows), h, lanes))
        inputBackPack = needsInput ? AlignedFloats(zeros: rk_dense_pack_size(Int32(gateRows), i, lanes)) : nil
        backMatrix = AlignedFloats(zeros: gateRows * max(inputSize, hiddenSize))
        inputWeightGradient = AlignedFloats(
            zeros: layer.inputSize <= Self.fewColumns ? layer.inputSize * tapeWidth : gateRows * inputWidth)
        recurrentWeightGradient = AlignedFloats(zeros: gateRows * width)
        biasGradient = AlignedFloats(zeros: tapeWidth)
        scratch = AlignedFloats(zeros: Int(RK_OUTER_ROWS) * (gateRows + max(width, inputWidth)))
    }

    /// Floats held, without weights.
    var floats: Int { hidden.count + hiddenGradients.count + (cellStates?.count ?? 0) + (cellGradient?.count ?? 0) + tape.count }
    /// Floats of one checkpoint.
    var stateFloats: Int { (hidden.count - rowCapacity * width) * (cellStates == nil ? 1 : 2) }

    /// Gate (PyTorch's block) behind gradient block `g` of the input part, and of the recurrent part.
    private func inputGate(_ g: Int) -> Int { cell == .gru ? (g + 2) % 3 : g }
    private func recurrentGate(_ g: Int) -> Int { g }
    /// Where the recurrent part starts in a gradient row: after GRU's n from the input.
    private var recurrentOffset: Int { cell == .gru ? width : 0 }

    /// Takes this layer's weights from the flat vector and packs them for both directions.
    func load(_ flat: [Float], _ at: inout Int, lanes: Int32) {
        func take(_ target: inout [Float]) {
            target.replaceSubrange(target.indices, with: flat[at..<at + target.count])
            at += target.count
        }
        take(&parameters.inputWeights)
        take(&parameters.recurrentWeights)
        take(&parameters.inputBias)
        take(&parameters.recurrentBias)
        let (code, i, h) = (Int32(cell.rawValue), Int32(inputSize), Int32(hiddenSize))
        rk_pack_layer(
            code, i, h, 0, lanes, parameters.inputWeights, parameters.recurrentWeights, parameters.kernelBias, forwardPack.pointer)
        packBack(parameters.recurrentWeights, columns: hiddenSize, gate: recurrentGate, lanes, recurrentBackPack)
        if let inputBackPack { packBack(parameters.inputWeights, columns: inputSize, gate: inputGate, lanes, inputBackPack) }
    }

    /// w[gate block][unit][column] becomes a product from padded gradient blocks to columns.
    private func packBack(_ weights: [Float], columns: Int, gate: (Int) -> Int, _ lanes: Int32, _ pack: AlignedFloats) {
        let gateRows = cell.gateCount * width
        weights.withUnsafeBufferPointer { weights in
            guard let base = weights.baseAddress else { return }
            for g in 0..<cell.gateCount {
                let block = hiddenSize * columns
                (backMatrix.pointer + g * width * columns).update(from: base + gate(g) * block, count: block)
                (backMatrix.pointer + g * width * columns + block).update(repeating: 0, count: (width - hiddenSize) * columns)
            }
        }
        rk_pack_dense(Int32(gateRows), Int32(columns), lanes, backMatrix.pointer, columns, 1, nil, pack.pointer)
    }

    /// Sets the initial state and clears gradients.
    func begin(_ start: RecurrentState?, layer: Int, of model: RecurrentModel) throws(NetworkError) {
        let streams = hidden.count / width - rowCapacity
        hidden.pointer.update(repeating: 0, count: streams * width)
        cellStates?.pointer.update(repeating: 0, count: streams * width)
        inputWeightGradient.clear()
        recurrentWeightGradient.clear()
        biasGradient.clear()
        cellGradient?.clear()
        hiddenGradients.clear()
        guard let start else { return }
        var offset = 0
        for below in model.layers[..<layer] { offset += padded(below.hiddenSize) * (below.cell.hasCellState ? 2 : 1) }
        guard start.streamCount == streams, offset + width * (cell.hasCellState ? 2 : 1) <= start.stride else {
            throw .shape(tensor: "start state", expected: [streams], got: [start.streamCount])
        }
        for b in 0..<streams {
            for u in 0..<hiddenSize {
                hidden.pointer[b * width + u] = start.values[b * start.stride + offset + u]
                cellStates?.pointer[b * width + u] = start.values[b * start.stride + offset + width + u]
            }
        }
    }

    func forward(
        _ table: UnsafePointer<rk_table>, from source: UnsafePointer<Float>, stride: Int, steps: Int, streams: Int, taping: Bool
    ) {
        var native = RecurrentEngine.native(shape, packed: forwardPack.pointer)
        let block = streams * width
        for t in 0..<steps {
            let h = hidden.pointer + t * block
            let c = cellStates.map { $0.pointer + t * block }
            rk_layer_rows(
                table, &native, Int32(streams), source + t * streams * stride, stride, h, h + block, c, c.map { $0 + block }, width,
                taping ? tape.pointer + t * streams * tapeWidth : nil, tapeWidth)
        }
    }

    /// The state after the segment becomes the state before the next.
    func carryForward(steps: Int, streams: Int) {
        let block = streams * width
        hidden.pointer.update(from: hidden.pointer + steps * block, count: block)
        cellStates.map { $0.pointer.update(from: $0.pointer + steps * block, count: block) }
    }

    /// Saves or restores the state before the segment; returns the floats used.
    func exchangeState(_ memory: UnsafeMutablePointer<Float>, saving: Bool) -> Int {
        let block = hidden.count - rowCapacity * width
        for (index, state) in [hidden, cellStates].compactMap({ $0 }).enumerated() {
            let place = memory + index * block
            if saving { place.update(from: state.pointer, count: block) } else { state.pointer.update(from: place, count: block) }
        }
        return stateFloats
    }

    /// Makes room for the gradients of a segment: what the later segment left for its start is the gradient of this one's end.
    func openGradient(steps: Int, streams: Int) {
        let block = streams * width
        let end = hiddenGradients.pointer + steps * block
        end.update(from: hiddenGradients.pointer, count: block)
        hiddenGradients.pointer.update(repeating: 0, count: steps * block)
    }

    func backward(_ table: UnsafePointer<rk_table>, steps: Int, streams: Int) {
        var native = RecurrentEngine.native(shape, packed: forwardPack.pointer)
        let block = streams * width
        for t in (0..<steps).reversed() {
            let gates = tape.pointer + t * streams * tapeWidth
            let before = hiddenGradients.pointer + t * block
            var rows = rk_backward_rows(
                dh: before + block, dc: cellGradient?.pointer, tape: gates, h_before: hidden.pointer + t * block,
                h_after: hidden.pointer + (t + 1) * block, c_before: cellStates.map { UnsafePointer($0.pointer + t * block) },
                c_after: cellStates.map { UnsafePointer($0.pointer + (t + 1) * block) }, dg: gates, dh_before: before)
            table.pointee.layer_backward(&native, Int32(streams), &rows)
            table.pointee.gemm(
                Int32(streams), gates + recurrentOffset, tapeWidth, Int32(cell.gateCount * width), recurrentBackPack.pointer,
                Int32(hiddenSize), before, width)
        }
    }

    /// dL/d(input of this layer) is added to `target`, rows of `stride` floats.
    func inputBackward(_ table: UnsafePointer<rk_table>, rows: Int, into target: UnsafeMutablePointer<Float>, stride: Int) {
        guard let inputBackPack else { return }
        table.pointee.gemm(
            Int32(rows), tape.pointer, tapeWidth, Int32(cell.gateCount * width), inputBackPack.pointer, Int32(inputSize), target, stride)
    }

    func weightGradients(_ table: UnsafePointer<rk_table>, from below: UnsafePointer<Float>, stride: Int, rows: Int, streams: Int) {
        let gateRows = Int32(cell.gateCount * width)
        table.pointee.thin_sum(
            Int32(rows), tape.pointer, tapeWidth, Int32(tapeWidth), below, stride, hasFewInputs ? Int32(inputSize) : 0,
            inputWeightGradient.pointer, tapeWidth, biasGradient.pointer)
        if !hasFewInputs {
            table.pointee.outer_sum(
                Int32(rows), tape.pointer, tapeWidth, gateRows, below, stride, Int32(inputWidth), inputWeightGradient.pointer, inputWidth,
                scratch.pointer)
        }
        table.pointee.outer_sum(
            Int32(rows), tape.pointer + recurrentOffset, tapeWidth, gateRows, hidden.pointer, width, Int32(width),
            recurrentWeightGradient.pointer, width, scratch.pointer)
    }

    func hiddenGradient(before t: Int, streams: Int) -> [Float] {
        (0..<streams).flatMap { b in (0..<hiddenSize).map { hiddenGradients.pointer[(t * streams + b) * width + $0] } }
    }

    /// Writes the gradients of weight_ih, weight_hh, bias_ih, bias_hh to the flat vector.
    func collect(_ flat: inout [Float], _ at: inout Int) {
        func copy(_ source: UnsafePointer<Float>, columns: Int, stride: Int, step: Int = 1, gate: (Int) -> Int) {
            for g in 0..<cell.gateCount {
                let target = at + gate(g) * hiddenSize * columns
                for u in 0..<hiddenSize {
                    let row = source + (g * width + u) * stride
                    for k in 0..<columns { flat[target + u * columns + k] = row[k * step] }
                }
            }
            at += cell.gateCount * hiddenSize * columns
        }
        copy(
            inputWeightGradient.pointer, columns: inputSize, stride: hasFewInputs ? 1 : inputWidth, step: hasFewInputs ? tapeWidth : 1,
            gate: inputGate)
        copy(recurrentWeightGradient.pointer, columns: hiddenSize, stride: width, gate: recurrentGate)
        copy(biasGradient.pointer, columns: 1, stride: 1, gate: inputGate)
        copy(biasGradient.pointer + recurrentOffset, columns: 1, stride: 1, gate: recurrentGate)
    }
}

/// Packed weights, outputs and gradients of the readout during training.
final class DenseWorkspace {
    let outputs: Int
    /// O padded.
    let width: Int
    /// [S B][width] activated outputs and dL/d(output), the latter turned into dL/d(preactivation).
    let output: AlignedFloats
    let outputGradient: AlignedFloats
    private var parameters: DenseLayer
    private let forwardPack: AlignedFloats
    private let backPack: AlignedFloats
    private let hiddenWidth: Int
    private let weightGradient: AlignedFloats
    private let biasGradient: AlignedFloats
    private let scratch: AlignedFloats

    init(_ dense: DenseLayer, rows: Int, lanes: Int32) {
        parameters = dense
        outputs = dense.outputSize
        width = padded(dense.outputSize)
        hiddenWidth = padded(dense.inputSize)
        output = AlignedFloats(zeros: rows * width)
        outputGradient = AlignedFloats(zeros: rows * width)
        forwardPack = AlignedFloats(zeros: rk_dense_pack_size(Int32(dense.inputSize), Int32(outputs), lanes))
        backPack = AlignedFloats(zeros: rk_dense_pack_size(Int32(outputs), Int32(dense.inputSize), lanes))
        weightGradient = AlignedFloats(zeros: outputs * hiddenWidth)
        biasGradient = AlignedFloats(zeros: width)
        scratch = AlignedFloats(zeros: Int(RK_OUTER_ROWS) * (outputs + hiddenWidth))
    }

    var floats: Int { output.count + outputGradient.count }

    func load(_ flat: [Float], _ at: inout Int, lanes: Int32) {
        let weights = parameters.weights.count
        parameters.weights.replaceSubrange(0..<weights, with: flat[at..<at + weights])
        parameters.bias.replaceSubrange(0..<outputs, with: flat[at + weights..<at + weights + outputs])
        at += weights + outputs
        let (i, o) = (Int32(parameters.inputSize), Int32(outputs))
        rk_pack_dense(i, o, lanes, parameters.weights, 1, Int(i), parameters.bias, forwardPack.pointer)
        rk_pack_dense(o, i, lanes, parameters.weights, Int(i), 1, nil, backPack.pointer)
    }

    func clearGradient() {
        weightGradient.clear()
        biasGradient.clear()
    }

    func forward(_ table: UnsafePointer<rk_table>, from h: UnsafePointer<Float>, stride: Int, rows: Int) {
        let hard = parameters.activation.hardParameters ?? (slope: 0, offset: 0)
        var native = rk_dense(
            inputs: Int32(parameters.inputSize), outputs: Int32(outputs), activation: parameters.activation.code, hard_slope: hard.slope,
            hard_offset: hard.offset, packed: forwardPack.pointer)
        rk_dense_rows(table, &native, Int32(rows), h, stride, output.pointer, width)
    }

    /// dL/dh is added to `target` (rows of the hidden width), weights' gradients are summed up.
    func backward(
        _ table: UnsafePointer<rk_table>, from h: UnsafePointer<Float>, stride: Int, rows: Int, into target: UnsafeMutablePointer<Float>
    ) {
        if parameters.activation != .linear {
            for row in 0..<rows {
                for o in 0..<outputs {
                    outputGradient.pointer[row * width + o] *= parameters.activation.slope(atValue: output.pointer[row * width + o])
                }
            }
        }
        table.pointee.gemm(
            Int32(rows), outputGradient.pointer, width, Int32(outputs), backPack.pointer, Int32(parameters.inputSize), target, stride)
        if outputs <= LayerWorkspace.fewColumns {
            table.pointee.thin_sum(
                Int32(rows), h, stride, Int32(hiddenWidth), outputGradient.pointer, width, Int32(outputs), weightGradient.pointer,
                hiddenWidth,
                nil)
        } else {
            table.pointee.outer_sum(
                Int32(rows), outputGradient.pointer, width, Int32(outputs), h, stride, Int32(hiddenWidth), weightGradient.pointer,
                hiddenWidth, scratch.pointer)
        }
        rk_column_sum(Int32(rows), outputGradient.pointer, width, Int32(outputs), biasGradient.pointer)
    }

    func collect(_ flat: inout [Float], _ at: inout Int) {
        for o in 0..<outputs {
            for k in 0..<parameters.inputSize { flat[at + o * parameters.inputSize + k] = weightGradient.pointer[o * hiddenWidth + k] }
        }
        at += outputs * parameters.inputSize
        for o in 0..<outputs { flat[at + o] = biasGradient.pointer[o] }
        at += outputs
    }
}
