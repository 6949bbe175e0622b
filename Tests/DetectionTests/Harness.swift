import Foundation

@testable import Detection

/// One stream with its memory, run through a detector of either precision.
final class Bench<Core: RecurrentCore> {
    var engine: Engine<Core>
    let stream: UnsafeMutableRawPointer
    private(set) var channels: [UnsafeMutableRawPointer]
    var verdict: Verdict

    init(_ engine: consuming Engine<Core>, channels count: Int) {
        stream = .allocate(byteCount: engine.layout.streamBytes, alignment: 64)
        engine.initializeStream(stream)
        channels = []
        for _ in 0..<count {
            let p = UnsafeMutableRawPointer.allocate(byteCount: engine.layout.channelBytes, alignment: 64)
            engine.initializeChannel(p)
            channels.append(p)
        }
        self.engine = engine
        self.engine.keepsTrace = true
        verdict = Verdict(channelsMax: max(1, count))
    }

    deinit {
        stream.deallocate()
        for p in channels { p.deallocate() }
    }

    /// One reading; nil = the channel is absent. `seconds` nil = no clock.
    @discardableResult
    func step(_ values: [Double?], seconds: Double?, settings: StreamSettings = StreamSettings()) -> Double {
        var inputs: [ChannelInput] = []
        for (i, v) in values.enumerated() { if let v { inputs.append(ChannelInput(state: channels[i], value: v, index: UInt16(i))) } }
        inputs.withUnsafeBufferPointer {
            engine.step(
                stream: stream, channels: $0, time: Int64((seconds ?? 0) * 1e9), hasClock: seconds != nil, settings: settings,
                verdict: &verdict)
        }
        return verdict.score
    }

    var owes: Bool { stream.assumingMemoryBound(to: Engine<Core>.Stream.self).pointee.owedHalves > 0 }
    func settle() { engine.settle(stream) }

    /// All bytes of stream and channels.
    func snapshot() -> [UInt8] {
        var bytes = [UInt8](UnsafeRawBufferPointer(start: stream, count: engine.layout.streamBytes))
        for p in channels { bytes += [UInt8](UnsafeRawBufferPointer(start: p, count: engine.layout.channelBytes)) }
        return bytes
    }

    /// Puts back what `snapshot` gave.
    func restore(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress else { return }
            stream.copyMemory(from: base, byteCount: engine.layout.streamBytes)
            var at = engine.layout.streamBytes
            for p in channels {
                p.copyMemory(from: base + at, byteCount: engine.layout.channelBytes)
                at += engine.layout.channelBytes
            }
        }
    }
}

func doubleEngine(_ profile: DetectorProfile) -> Engine<LeakyReservoir<Double>> {
    Engine(profile: profile, core: LeakyReservoir(profile.weights.predictor), noveltyCore: LeakyReservoir(profile.weights.novelty))
}

func floatEngine(_ profile: DetectorProfile) -> Engine<LeakyReservoir<Float>> {
    Engine(profile: profile, core: LeakyReservoir(profile.weights.predictor), noveltyCore: LeakyReservoir(profile.weights.novelty))
}

/// Lines of a fixture without the header, split at commas.
func fixture(_ name: String, header: Bool = true) throws -> [[String]] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let text = try String(contentsOf: folder.appendingPathComponent("Fixtures/detection/\(name)"), encoding: .utf8)
    return text.split(separator: "\n").dropFirst(header ? 1 : 0).map {
        $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
}
