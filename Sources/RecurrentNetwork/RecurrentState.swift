import CRecurrentKernels

/// The hidden state of one or more streams of one network. A plain value: copy it to branch, keep it to go on.
public struct RecurrentState: Sendable, Equatable {
    /// Streams held.
    public let streamCount: Int
    /// Floats per stream, the engine's `stateStride`.
    public let stride: Int
    /// [streamCount][stride]; padding included.
    var values: [Float]

    /// Zero, the start of PyTorch and Keras.
    public init(for engine: RecurrentEngine, streamCount: Int = 1) {
        self.streamCount = max(0, streamCount)
        stride = engine.stateStride
        values = Array(repeating: 0, count: self.streamCount * stride)
    }

    /// `count` copies of one stream's state.
    public func repeated(stream: Int = 0, count: Int, for engine: RecurrentEngine) -> RecurrentState {
        var copy = RecurrentState(for: engine, streamCount: count)
        guard (0..<streamCount).contains(stream), stride == engine.stateStride else { return copy }
        for i in 0..<copy.streamCount {
            copy.values.replaceSubrange(i * stride..<(i + 1) * stride, with: values[stream * stride..<(stream + 1) * stride])
        }
        return copy
    }

    /// h of one layer, [hiddenSize]; empty if stream or layer do not exist.
    public func hidden(of engine: RecurrentEngine, layer: Int, stream: Int = 0) -> [Float] {
        part(of: engine, layer: layer, stream: stream, cellState: false)
    }

    /// c of one LSTM layer, [hiddenSize]; empty for other cells.
    public func cell(of engine: RecurrentEngine, layer: Int, stream: Int = 0) -> [Float] {
        part(of: engine, layer: layer, stream: stream, cellState: true)
    }

    /// Sets h (and c) of one layer, PyTorch's h_0 and c_0.
    public mutating func set(
        hidden: [Float], cell: [Float]? = nil, of engine: RecurrentEngine, layer: Int, stream: Int = 0
    )
        throws(NetworkError)
    {
        try write(hidden, of: engine, layer: layer, stream: stream, cellState: false)
        if let cell { try write(cell, of: engine, layer: layer, stream: stream, cellState: true) }
    }

    /// Bytes that `init(restoring:for:)` reads: magic "RNS1", then little-endian u32 streams, u32 fingerprint of the shapes,
    /// f32 values without padding, u32 checksum (FNV-1a of all before).
    public func snapshot(of engine: RecurrentEngine) -> [UInt8] {
        var bytes: [UInt8] = Array("RNS1".utf8)
        appendWord(UInt32(streamCount), to: &bytes)
        appendWord(engine.shapeFingerprint, to: &bytes)
        for stream in 0..<streamCount {
            for (offset, size) in engine.stateParts {
                for i in 0..<size {
                    appendWord(values[stream * stride + offset + i].bitPattern, to: &bytes)
                }
            }
        }
        appendWord(fingerprint(bytes), to: &bytes)
        return bytes
    }

    /// The state that `snapshot(of:)` wrote, bit for bit. Damaged bytes and other networks are refused.
    public init(restoring bytes: [UInt8], for engine: RecurrentEngine) throws(NetworkError) {
        func word(_ at: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
        }
        guard bytes.count >= 16, Array(bytes[0..<4]) == Array("RNS1".utf8) else {
            throw .snapshot(
                reason: "got \(bytes.count) bytes without the mark RNS1, expected a state snapshot")
        }
        guard fingerprint(Array(bytes.dropLast(4))) == word(bytes.count - 4) else {
            throw .snapshot(reason: "got a wrong checksum, expected undamaged bytes")
        }
        guard word(8) == engine.shapeFingerprint else {
            throw .snapshot(reason: "got the state of a network of another shape")
        }
        let perStream = engine.stateParts.reduce(0) { $0 + $1.size }
        let streams = Int(word(4))
        guard bytes.count == 16 + streams * perStream * 4 else {
            throw .snapshot(reason: "got \(bytes.count) bytes, expected \(16 + streams * perStream * 4)")
        }
        self.init(for: engine, streamCount: streams)
        var at = 12
        for stream in 0..<streams {
            for (offset, size) in engine.stateParts {
                for i in 0..<size {
                    let value = Float(bitPattern: word(at))
                    guard value.isFinite else {
                        throw .notFinite(object: "state snapshot", index: (at - 12) / 4)
                    }
                    values[stream * stride + offset + i] = value
                    at += 4
                }
            }
        }
    }

    /// The raw rows, [streamCount][stride], for the pointer form of `step`.
    public mutating func withRows<Result>(
        _ body: (UnsafeMutableBufferPointer<Float>) throws -> Result
    ) rethrows -> Result {
        try values.withUnsafeMutableBufferPointer { try body($0) }
    }

    func check(_ engine: RecurrentEngine, streamCount: Int) throws(NetworkError) {
        guard self.streamCount == streamCount, stride == engine.stateStride else {
            throw .shape(
                tensor: "state", expected: [streamCount, engine.stateStride],
                got: [self.streamCount, stride])
        }
    }

    private func part(of engine: RecurrentEngine, layer: Int, stream: Int, cellState: Bool) -> [Float] {
        guard let (offset, size) = engine.statePart(layer: layer, cellState: cellState),
            (0..<streamCount).contains(stream)
        else {
            return []
        }
        return Array(values[stream * stride + offset..<stream * stride + offset + size])
    }

    private mutating func write(
        _ new: [Float], of engine: RecurrentEngine, layer: Int, stream: Int, cellState: Bool
    )
        throws(NetworkError)
    {
        guard let (offset, size) = engine.statePart(layer: layer, cellState: cellState),
            (0..<streamCount).contains(stream)
        else {
            throw .limit(
                object: "layer of the state", got: layer, allowed: 0...max(0, engine.model.layers.count - 1)
            )
        }
        guard new.count == size else {
            throw .shape(tensor: cellState ? "c_0" : "h_0", expected: [size], got: [new.count])
        }
        try checkFinite(new, cellState ? "c_0" : "h_0")
        values.replaceSubrange(stream * stride + offset..<stream * stride + offset + size, with: new)
    }
}

extension RecurrentEngine {
    /// Offset and size of every state vector of a row, in order: h of layer 0, c of layer 0 if LSTM, h of layer 1, ...
    var stateParts: [(offset: Int, size: Int)] {
        var parts: [(Int, Int)] = []
        var offset = 0
        for layer in model.layers {
            for _ in 0..<(layer.cell.hasCellState ? 2 : 1) {
                parts.append((offset, layer.hiddenSize))
                offset += padded(layer.hiddenSize)
            }
        }
        return parts
    }

    func statePart(layer: Int, cellState: Bool) -> (offset: Int, size: Int)? {
        guard model.layers.indices.contains(layer), !cellState || model.layers[layer].cell.hasCellState
        else { return nil }
        let before = model.layers[..<layer].reduce(0) { $0 + ($1.cell.hasCellState ? 2 : 1) }
        return stateParts[before + (cellState ? 1 : 0)]
    }

    /// Identifies cell kinds and sizes, not weights.
    var shapeFingerprint: UInt32 {
        var bytes: [UInt8] = []
        for layer in model.layers {
            appendWord(UInt32(layer.cell.rawValue), to: &bytes)
            appendWord(UInt32(layer.inputSize), to: &bytes)
            appendWord(UInt32(layer.hiddenSize), to: &bytes)
        }
        return fingerprint(bytes)
    }
}

func appendWord(_ word: UInt32, to bytes: inout [UInt8]) {
    for shift in stride(from: UInt32(0), to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
    }
}

/// FNV-1a, 32 bits.
func fingerprint(_ bytes: [UInt8]) -> UInt32 {
    bytes.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
}
