import Testing

@testable import Detection

/// White noise: nothing can predict it but who knows it beforehand.
private func noise(_ t: Int) -> Double {
    var state = UInt64(t) &* 0x9E37_79B9_7F4A_7C15
    state = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    state = (state ^ (state >> 27)) &* 0x94D0_49BB_1331_11EB
    return 40 + 8 * (Double((state ^ (state >> 31)) >> 40) / Double(1 << 24) - 0.5)
}

private final class Plant {
    var detector: Detector
    var verdict = Verdict(channelsMax: 1)
    let stream: UnsafeMutableRawPointer
    let channel: UnsafeMutableRawPointer
    private var time: Int64 = 1_767_571_200_000_000_000

    init(_ profile: DetectorProfile) {
        detector = Detector(profile: profile)
        stream = .allocate(byteCount: detector.streamStateBytes, alignment: 64)
        channel = .allocate(byteCount: detector.channelStateBytes, alignment: 64)
        detector.initializeStream(stream)
        detector.initializeChannel(channel)
    }

    deinit {
        stream.deallocate()
        channel.deallocate()
    }

    /// `forecast`: of the next reading; nil: the built-in network.
    func step(_ value: Double, forecast: Double? = nil) {
        time += 60_000_000_000
        if let forecast { set(forecast) }
        var input = ChannelInput(state: channel, value: value, index: 0)
        input.isDriven = forecast != nil
        withUnsafePointer(to: input) {
            detector.step(
                stream: stream, channels: UnsafeBufferPointer(start: $0, count: 1), time: time, hasClock: true, verdict: &verdict)
        }
    }

    func set(_ forecast: Double) {
        withUnsafePointer(to: forecast) {
            detector.setFeatures(
                channel: channel, forecasts: UnsafeBufferPointer(start: $0, count: 1), units: UnsafeBufferPointer(start: nil, count: 0))
        }
    }

    /// Mean distance of readings from what was expected of them.
    func meanError(_ range: Range<Int>, driven: Bool) -> Double {
        range.reduce(0) { sum, t in
            step(noise(t), forecast: driven ? noise(t + 1) : nil)
            return sum + abs(verdict.channels[0].expected - noise(t))
        } / Double(range.count)
    }
}

@Suite struct BackboneTests {
    @Test(arguments: [DetectorProfile.standard, .light])
    func `readouts follow the forecasts of the network that drives them, from its first reading on, and forget it when it leaves`(
        profile: DetectorProfile
    ) {
        let plant = Plant(profile)
        _ = plant.meanError(0..<400, driven: false)  // while mean and deviation settle
        let own = plant.meanError(400..<800, driven: false)
        #expect(own > 1.5, "white noise must not be predictable: \(own)")
        let remembered = (768..<800).map { Detector.RememberedReading(value: noise($0), time: Int64($0) * 60_000_000_000) }
        plant.detector.adopt(
            channel: plant.channel, forecastOf: profile.horizons.map { _ in 0 }, readings: remembered,
            features: { plant.set(noise(768 + $0 + 1)) })
        plant.detector.beginAnew(stream: plant.stream)
        plant.step(noise(800), forecast: noise(801))
        #expect(plant.meanError(801..<831, driven: true) < 0.1 * own)
        #expect(plant.meanError(831..<1200, driven: true) < 0.02 * own)
        plant.detector.release(
            channel: plant.channel,
            readings: (1168..<1200).map { Detector.RememberedReading(value: noise($0), time: Int64($0) * 60_000_000_000) })
        plant.detector.beginAnew(stream: plant.stream)
        let after = plant.meanError(1200..<1500, driven: false)
        #expect(after > 0.8 * own && after < 1.6 * own, "\(after) after, \(own) before")
    }

    @Test func `a stream that begins anew is watched, not judged, for a moment, and is judged again`() {
        let plant = Plant(.standard)
        for t in 0..<400 { plant.step(noise(t)) }
        plant.detector.beginAnew(stream: plant.stream)
        plant.step(400)
        let (warming, early) = (plant.verdict.isWarmingUp, plant.verdict.isAlarm)
        #expect(warming && !early)
        for t in 401..<460 { plant.step(noise(t)) }
        plant.step(400)
        let isAlarm = plant.verdict.isAlarm
        #expect(isAlarm)
    }
}
