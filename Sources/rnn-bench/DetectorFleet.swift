import Detection
import Glibc

/// Univariate streams and the detector that judges them in turn, fed with noise from a table.
final class DetectorFleet {
    enum Form { case reference, standard, light }

    private var single: Detector?
    private var double: ReferenceDetector?
    private let memory: UnsafeMutableRawPointer
    private let streamBytes: Int
    private let size: Int
    private let streams: Int
    private var noise: [Double] = []
    private var at = 0
    private(set) var sum = 0.0

    init(_ form: Form, streams: Int) {
        self.streams = streams
        let channelBytes: Int
        switch form {
        case .reference:
            let detector = ReferenceDetector(profile: .standard)
            (streamBytes, channelBytes) = (detector.streamStateBytes, detector.channelStateBytes)
            double = consume detector
        case .standard, .light:
            let detector = Detector(profile: form == .light ? .light : .standard)
            (streamBytes, channelBytes) = (detector.streamStateBytes, detector.channelStateBytes)
            single = consume detector
        }
        size = streamBytes + channelBytes
        memory = .allocate(byteCount: size * streams, alignment: 2 << 20)
        _ = madvise(memory, size * streams, MADV_HUGEPAGE)
        for i in 0..<streams {
            single?.initializeStream(memory + i * size)
            single?.initializeChannel(memory + i * size + streamBytes)
            double?.initializeStream(memory + i * size)
            double?.initializeChannel(memory + i * size + streamBytes)
        }
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<4096 {
            var sum = 0.0
            for _ in 0..<4 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                sum += Double(state >> 11) * 0x1p-53 - 0.5
            }
            noise.append(sum)
        }
    }

    deinit { memory.deallocate() }

    /// Feeds so many readings. Detector and verdict are local meanwhile: every access to a property of a class is checked for others.
    func run(_ readings: Int) {
        var verdict = Verdict(channelsMax: 1)
        var sum = 0.0
        if var detector = single.take() {
            feed(readings) { stream, channels, next, time in
                detector.expect(stream: next, channel: next + streamBytes)
                detector.step(stream: stream, channels: channels, time: time, hasClock: true, verdict: &verdict)
                sum += verdict.score
            }
            single = consume detector
        } else if var detector = double.take() {
            feed(readings) { stream, channels, _, time in
                detector.step(stream: stream, channels: channels, time: time, hasClock: true, verdict: &verdict)
                sum += verdict.score
            }
            double = consume detector
        }
        self.sum += sum
    }

    @inline(__always)
    private func feed(
        _ readings: Int, _ step: (UnsafeMutableRawPointer, UnsafeBufferPointer<ChannelInput>, UnsafeMutableRawPointer, Int64) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: ChannelInput.self, capacity: 1) { inputs in
            for _ in 0..<readings {
                let (stream, round) = (at % streams, at / streams)
                let base = memory + stream * size
                let value = noise[(round &* 31 &+ stream &* 7) & 4095]
                inputs.initializeElement(at: 0, to: ChannelInput(state: base + streamBytes, value: value, index: 0))
                let next = memory + (stream + 1 == streams ? 0 : stream + 1) * size
                step(base, UnsafeBufferPointer(inputs), next, Int64(round) * 60_000_000_000)
                at += 1
            }
        }
    }
}
