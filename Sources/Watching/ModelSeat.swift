import Detection
import Models
import Readings
import RecurrentNetwork

/// One stream on a trained model: the network's hidden state, the scale, the newest value of every input.
///
/// It waits until every channel of the model has had `readingsMin` readings of this stream; then it is bound and drives the channels.
/// Memory is allocated when it is made; a reading allocates nothing. Owned by the shard of its stream.
final class ModelSeat {
    /// Readings of each channel before the model takes over: the detector's own warm-up.
    static let readingsMin: UInt64 = 100
    /// Inputs are held to so many deviations, so that one absurd value does not carry the state away for good.
    static let inputMax = 30.0

    let model: WatchModel
    /// The network runs and its features are the channels'.
    private(set) var isBound = false
    /// Readings that went through the network, and times its state was no longer finite and began anew.
    private(set) var readings: UInt64 = 0
    private(set) var resets: UInt64 = 0
    /// For each channel of the stream the input it is, or -1.
    private(set) var inputOf: [Int] = []
    /// For each input the channel of the stream, or -1 while the stream has none of that name.
    private(set) var channelOf: [Int]
    /// For each horizon of the detector the horizon of the model that forecasts it, or 0.
    let forecastHorizons: [Int]

    // Legend: I inputs, O outputs, S floats of a state row, F hidden units handed on
    /// [I] newest value of each input; NaN before the first.
    let values: UnsafeMutablePointer<Double>
    /// [I] x -> (x - mean) / deviation.
    let mean: UnsafeMutablePointer<Double>
    let deviation: UnsafeMutablePointer<Double>
    /// [S] h and c of all layers.
    let state: UnsafeMutablePointer<Float>
    private let inputs: UnsafeMutablePointer<Float>
    private let outputs: UnsafeMutablePointer<Float>
    private let units: UnsafeMutablePointer<Float>
    private let forecasts: UnsafeMutablePointer<Double>
    let unitCount: Int
    let forecastCount: Int

    init(_ model: WatchModel, detector: borrowing Detector) {
        self.model = model
        let (inputCount, horizons) = (model.inputCount, detector.horizons)
        channelOf = Array(repeating: -1, count: inputCount)
        forecastHorizons = horizons.map { $0 <= model.horizonMax ? $0 : 0 }
        forecastCount = min(forecastHorizons.count { $0 > 0 }, detector.featureCount)
        unitCount = min(model.ranking.count, detector.featureCount - forecastCount)
        values = .allocate(capacity: inputCount)
        mean = .allocate(capacity: inputCount)
        deviation = .allocate(capacity: inputCount)
        values.initialize(repeating: .nan, count: inputCount)
        mean.initialize(repeating: 0, count: inputCount)
        deviation.initialize(repeating: 1, count: inputCount)
        // The kernels read whole vectors.
        state = UnsafeMutableRawPointer.allocate(byteCount: model.engine.stateStride * 4, alignment: 64)
            .bindMemory(to: Float.self, capacity: model.engine.stateStride)
        state.initialize(repeating: 0, count: model.engine.stateStride)
        inputs = .allocate(capacity: inputCount)
        inputs.initialize(repeating: 0, count: inputCount)
        outputs = .allocate(capacity: max(1, model.engine.outputSize))
        outputs.initialize(repeating: 0, count: max(1, model.engine.outputSize))
        units = .allocate(capacity: max(1, unitCount))
        units.initialize(repeating: 0, count: max(1, unitCount))
        forecasts = .allocate(capacity: max(1, forecastCount))
        forecasts.initialize(repeating: 0, count: max(1, forecastCount))
    }

    deinit {
        for pointer in [values, mean, deviation, forecasts] { pointer.deallocate() }
        UnsafeMutableRawPointer(state).deallocate()
        for pointer in [inputs, outputs, units] { pointer.deallocate() }
    }

    /// Bytes of a seat on `model`, about.
    static func bytes(_ model: WatchModel) -> Int {
        4 * model.engine.stateStride + 28 * model.inputCount + 4 * model.engine.outputSize + 4 * model.ranking.count + 256
    }

    /// Learns which channels of the stream the inputs are. `names`: all channels of the stream so far.
    func match(_ names: [String]) {
        guard names.count != inputOf.count else { return }
        inputOf = names.indices.map { channel in
            let input = model.channels.map { $0.firstIndex(of: names[channel]) } ?? (channel < model.inputCount ? channel : nil)
            if let input { channelOf[input] = channel }
            return input ?? -1
        }
    }

    /// Names of the inputs that the stream has no channel for.
    func missing() -> [String] {
        channelOf.indices.filter { channelOf[$0] < 0 }.map { model.channels?[$0] ?? "channel \($0 + 1)" }
    }

    /// A value of a channel of the stream came.
    @inline(__always)
    func take(channel: Int, _ value: Double) {
        guard channel < inputOf.count, inputOf[channel] >= 0, value.isFinite else { return }
        values[inputOf[channel]] = value
    }

    /// One step of the network on the newest values; `values` [I] nil: those that were taken.
    ///
    /// A state that is not finite any more begins anew from zero and is counted.
    @inline(__always)
    func step(_ given: UnsafePointer<Double>? = nil) {
        let values = given ?? UnsafePointer(values)
        for i in 0..<model.inputCount {
            inputs[i] = Float(max(-ModelSeat.inputMax, min(ModelSeat.inputMax, (values[i] - mean[i]) / deviation[i])))
        }
        run()
        readings += 1
        var isFinite = true
        for i in 0..<model.engine.stateStride where !state[i].isFinite { isFinite = false }
        for i in 0..<model.engine.outputSize where !outputs[i].isFinite { isFinite = false }
        guard !isFinite else { return }
        resets += 1
        state.update(repeating: 0, count: model.engine.stateStride)
        run()
    }

    private func run() {
        do {
            try model.engine.step(
                count: 1, inputs: inputs, inputStride: model.inputCount, states: state, outputs: outputs,
                outputStride: model.engine.outputSize)
        } catch {
            // Only an input that is not finite is refused, and there is none: values are finite, deviations positive.
            outputs.update(repeating: 0, count: model.engine.outputSize)
        }
    }

    /// Hands the network's forecasts and hidden units to the channel that is input `input`.
    @inline(__always)
    func setFeatures(_ detector: borrowing Detector, input: Int, channel: UnsafeMutableRawPointer) {
        var place = 0
        for horizon in forecastHorizons where horizon > 0 && place < forecastCount {
            let forecast = Double(outputs[model.output(channel: input, horizon: horizon)])
            forecasts[place] = forecast * deviation[input] + mean[input]
            place += 1
        }
        for i in 0..<unitCount { units[i] = max(-8, min(8, state[model.topAt + model.ranking[i]])) }
        detector.setFeatures(
            channel: channel, forecasts: UnsafeBufferPointer(start: forecasts, count: forecastCount),
            units: UnsafeBufferPointer(start: units, count: unitCount))
    }

    /// [I] what went in last, standardised.
    var newestInputs: [Float] { Array(UnsafeBufferPointer(start: inputs, count: model.inputCount)) }

    /// The scale is decided, the state zero: from here on the network runs.
    func begin(_ scale: ModelCard.Scale) {
        for i in 0..<model.inputCount { (mean[i], deviation[i]) = (scale.mean[i], scale.deviation[i]) }
        state.update(repeating: 0, count: model.engine.stateStride)
        (isBound, readings, resets) = (true, 0, 0)
    }

    /// For each horizon of the detector the feature that forecasts it, or -1. Farther horizons begin with the nearest forecast.
    var forecastFeatures: [Int] {
        var next = 0
        return forecastHorizons.map { horizon in
            guard horizon > 0, next < forecastCount else { return forecastCount - 1 }
            next += 1
            return next - 1
        }
    }

    // MARK: - Bytes

    /// Everything that decides about the future, as it is in memory.
    func encode(_ out: inout ByteWriter) {
        out.text(model.id)
        out.text(model.label)
        out.blob(body())
    }

    /// The bytes that `decode` reads.
    func body() -> [UInt8] {
        var body = ByteWriter()
        body.byte(isBound ? 1 : 0)
        body.varint(readings)
        body.varint(resets)
        for list in [values, mean, deviation] { for i in 0..<model.inputCount { body.double(list[i]) } }
        body.raw(UnsafeRawBufferPointer(start: state, count: 4 * model.engine.stateStride))
        return body.bytes
    }

    /// h of all layers, one after the other.
    func hidden() -> [Float] {
        var at = 0
        var units: [Float] = []
        for layer in model.document.model.layers {
            units += UnsafeBufferPointer(start: state + at, count: layer.hiddenSize)
            at += (layer.hiddenSize + 15) / 16 * 16 * (layer.cell.hasCellState ? 2 : 1)
        }
        return units
    }

    /// Takes over what `encode` wrote after the texts.
    func decode(_ bytes: [UInt8]) throws(CodingError) {
        var reader = ByteReader(bytes)
        isBound = try reader.byte() == 1
        readings = try reader.varint()
        resets = try reader.varint()
        for list in [values, mean, deviation] { for i in 0..<model.inputCount { list[i] = try reader.double() } }
        try reader.copy(4 * model.engine.stateStride, to: state)
        guard reader.isAtEnd else { throw CodingError(offset: reader.offset, expected: "the end of a model's state") }
        let isSane =
            (0..<model.inputCount).allSatisfy { !values[$0].isInfinite && mean[$0].isFinite && deviation[$0].isFinite && deviation[$0] > 0 }
            && (0..<model.engine.stateStride).allSatisfy { state[$0].isFinite }
            && (!isBound || (0..<model.inputCount).allSatisfy { values[$0].isFinite })
        guard isSane else { throw CodingError(offset: 0, expected: "finite numbers in a model's state") }
    }
}
