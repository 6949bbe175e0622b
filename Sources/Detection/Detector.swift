import CDetectionKernels

/// Scores readings of streams of one or more channels. Holds weights and scratch memory only; one per thread and profile.
///
/// The memory of a stream is the caller's: one block per stream and one per channel, 64-byte aligned, initialised here, plain bytes without
/// pointers. A snapshot is a copy of the bytes; `layoutVersion` must be the same when it is read back. The same readings give the same
/// bits on the same instruction set, whatever other streams do in between. Nothing is allocated per reading.
public struct Detector: ~Copyable {
    var engine: Engine<LeakyReservoir<Float>>

    /// A detector of single precision, the production form.
    public init(profile: DetectorProfile) {
        engine = Engine(
            profile: profile, core: LeakyReservoir(profile.weights.predictor), noveltyCore: LeakyReservoir(profile.weights.novelty))
    }

    /// The profile it was made with.
    public var profile: DetectorProfile { engine.profile }
    /// Changes with every change of sizes or meaning of the state.
    public var layoutVersion: UInt32 { engine.layout.version }
    /// Bytes of a stream's block, a multiple of 64.
    public var streamStateBytes: Int { engine.layout.streamBytes }
    /// Bytes of a channel's block, a multiple of 64.
    public var channelStateBytes: Int { engine.layout.channelBytes }
    /// The instruction set the kernels use, e.g. `avx2`.
    public static var instructionSet: String { String(cString: cdk_instruction_set()) }

    /// Makes a block the state of a stream that has seen nothing.
    public func initializeStream(_ p: UnsafeMutableRawPointer) { engine.initializeStream(p) }

    /// Makes a block the state of a channel that has seen nothing.
    public func initializeChannel(_ p: UnsafeMutableRawPointer) { engine.initializeChannel(p) }

    /// Says whose reading comes after the next one, so that its memory is on the way while the next one is worked on. Changes no result.
    ///
    /// - Parameters:
    ///   - stream: the stream's block; nil: unknown.
    ///   - channel: the block of its first channel.
    @inline(__always)
    public mutating func expect(stream: UnsafeRawPointer?, channel: UnsafeRawPointer?) {
        (engine.nextStream, engine.nextChannel) = (stream, channel)
    }

    /// Brings `bytes` at `p` nearer to the processor, for reading and writing a few microseconds later.
    @inlinable @inline(__always)
    public static func bringNearer(_ p: UnsafeRawPointer, bytes: Int) { cdk_fetch(p, bytes) }

    /// One reading of one stream: the channels present in it, each at most once.
    ///
    /// - Parameters:
    ///   - stream: the stream's block.
    ///   - channels: values and blocks of the channels present. A value that is not finite is skipped. No channels: only time passes.
    ///   - time: nanoseconds since 1970; used if `hasClock`.
    ///   - hasClock: false if the readings of this stream carry no usable time.
    ///   - settings: what the user set for the stream.
    ///   - verdict: overwritten.
    public mutating func step(
        stream: UnsafeMutableRawPointer, channels: UnsafeBufferPointer<ChannelInput>, time: Int64, hasClock: Bool,
        settings: StreamSettings = StreamSettings(), verdict: inout Verdict
    ) {
        engine.step(stream: stream, channels: channels, time: time, hasClock: hasClock, settings: settings, verdict: &verdict)
    }

    /// True if the stream's newest reading has left work behind that can be done any time before its next one: `settle`. `step` does it
    /// else, with the same results.
    @inline(__always)
    public func owes(stream: UnsafeRawPointer) -> Bool {
        stream.assumingMemoryBound(to: StreamScalars<Float>.self).pointee.owedHalves > 0
    }

    /// Does what is left (about as long as a reading takes); nothing if nothing is.
    public func settle(stream: UnsafeMutableRawPointer) { engine.settle(stream) }

    /// Brings what `settle` works on nearer to the processor.
    public func expectToSettle(stream: UnsafeRawPointer) {
        Detector.bringNearer(stream, bytes: MemoryLayout<StreamScalars<Float>>.size)
        Detector.bringNearer(stream + engine.layout.bankSidesAt, bytes: engine.layout.budgetAt - engine.layout.bankSidesAt)
    }

    /// What a stream's false-alarm budget knows, and the moments since `since` (nanoseconds since 1970) that other settings would have told.
    public func budgetReport(stream: UnsafeMutableRawPointer, since: Int64) -> BudgetReport {
        engine.budgetReport(stream, since: since)
    }

    /// Checks a restored stream block: layout, counters, finite numbers.
    public func validateStream(_ p: UnsafeRawPointer) throws(StateError) { try engine.validateStream(p) }

    /// Checks a restored channel block: layout, counters, finite numbers.
    public func validateChannel(_ p: UnsafeRawPointer) throws(StateError) { try engine.validateChannel(p) }
}

/// The same detector in double precision: the definition that the production form is measured against.
public struct ReferenceDetector: ~Copyable {
    var engine: Engine<LeakyReservoir<Double>>

    /// A detector of double precision.
    public init(profile: DetectorProfile) {
        engine = Engine(
            profile: profile, core: LeakyReservoir(profile.weights.predictor), noveltyCore: LeakyReservoir(profile.weights.novelty))
    }

    /// Bytes of a stream's block.
    public var streamStateBytes: Int { engine.layout.streamBytes }
    /// Bytes of a channel's block.
    public var channelStateBytes: Int { engine.layout.channelBytes }
    /// Makes a block the state of a stream that has seen nothing.
    public func initializeStream(_ p: UnsafeMutableRawPointer) { engine.initializeStream(p) }
    /// Makes a block the state of a channel that has seen nothing.
    public func initializeChannel(_ p: UnsafeMutableRawPointer) { engine.initializeChannel(p) }
    /// As `Detector.step`.
    public mutating func step(
        stream: UnsafeMutableRawPointer, channels: UnsafeBufferPointer<ChannelInput>, time: Int64, hasClock: Bool,
        settings: StreamSettings = StreamSettings(), verdict: inout Verdict
    ) {
        engine.step(stream: stream, channels: channels, time: time, hasClock: hasClock, settings: settings, verdict: &verdict)
    }
}
