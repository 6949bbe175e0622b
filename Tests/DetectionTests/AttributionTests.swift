import Testing

@testable import Detection

/// One channel of one stream, stepped by hand.
private final class Channel {
    var detector = Detector(profile: .standard)
    var verdict = Verdict(channelsMax: 1)
    let stream: UnsafeMutableRawPointer
    let channel: UnsafeMutableRawPointer
    private var time: Int64 = 1_767_571_200_000_000_000

    init() {
        stream = .allocate(byteCount: detector.streamStateBytes, alignment: 64)
        channel = .allocate(byteCount: detector.channelStateBytes, alignment: 64)
        detector.initializeStream(stream)
        detector.initializeChannel(channel)
    }

    deinit {
        stream.deallocate()
        channel.deallocate()
    }

    func step(_ value: Double) {
        time += 60_000_000_000
        let input = [ChannelInput(state: channel, value: value, index: 0)]
        input.withUnsafeBufferPointer { detector.step(stream: stream, channels: $0, time: time, hasClock: true, verdict: &verdict) }
    }
}

@Suite struct AttributionTests {
    /// A bent wave with noise.
    private func value(_ t: Int) -> Double {
        var state = UInt64(t) &* 0x9E37_79B9_7F4A_7C15
        state = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        let noise = Double(state >> 40) / Double(1 << 24) - 0.5
        let phase = Double(t % 47) / 47
        return 50 + 12 * abs(phase - 0.5) + noise + (t % 47 < 5 ? 6 : 0)
    }

    @Test(arguments: [600, 1231, 2007])
    func `the parts of a prediction add up, and the prediction is what the recurrent expert says of the next reading`(until: Int) {
        let plant = Channel()
        for t in 0..<until { plant.step(value(t)) }
        let (start, before) = (plant.detector.units(channel: plant.channel).map(Double.init), plant.detector.input(channel: plant.channel))
        var inputs: [Double] = []
        for t in until..<(until + 24) {
            plant.step(value(t))
            inputs.append(plant.detector.input(channel: plant.channel))
        }
        let features = plant.detector.features(channel: plant.channel)
        let readout = plant.detector.readout(channel: plant.channel)
        let (mean, deviation, _) = plant.detector.moments(channel: plant.channel)
        let layer = plant.detector.profile.weights.predictor
        func attribution(_ inputs: [Double]) -> PredictionAttribution {
            PredictionAttribution(
                layer: layer, readout: readout, clock: Array(features.suffix(9)), start: start, before: before, inputs: inputs)
        }
        let found = attribution(inputs)
        #expect(abs(found.output - found.baseline) > 0.05, "a prediction that nothing drives proves nothing")
        #expect(abs(found.residual) < 1e-3 * abs(found.output - found.baseline))
        #expect(abs(found.output - zip(readout, features).reduce(0) { $0 + $1.0 * $1.1 }) < 1e-4)
        plant.step(value(until + 24))
        #expect(abs(mean + deviation * found.output - plant.verdict.channels[0].recurrent) < 1e-3 * deviation)
    }

    @Test func `a reading's part in a short step is its derivative times the step`() {
        let layer = ReservoirWeights(seed: 4, units: 16, noveltyUnits: 8).predictor
        let readout: [Double] = (0..<28).map { (i: Int) -> Double in Double((i * 7) % 11) / 11 - 0.4 }
        let start: [Double] = (0..<16).map { (i: Int) -> Double in Double(i) / 40 - 0.2 }
        func output(_ inputs: [Double]) -> Double {
            PredictionAttribution(
                layer: layer, readout: readout, clock: [Double](repeating: 0.3, count: 9), start: start, before: 0.1, inputs: inputs,
                points: 1
            ).output
        }
        // Along a line of a thousandth the integrated gradient is the derivative times the step; the derivative by central differences.
        let tiny = [0.001, -0.002, 0.0015, 0.001]
        let found = PredictionAttribution(
            layer: layer, readout: readout, clock: [Double](repeating: 0.3, count: 9), start: start, before: 0.1, inputs: tiny)
        for i in tiny.indices {
            var (up, down) = (tiny.map { _ in 0.0 }, tiny.map { _ in 0.0 })
            (up[i], down[i]) = (1e-4, -1e-4)
            let slope = (output(up) - output(down)) / 2e-4
            #expect(abs(found.contributions[i] - slope * tiny[i]) < 1e-5, "reading \(i)")
        }
    }
}
