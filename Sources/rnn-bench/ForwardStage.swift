import Alerting
import Readings
import RecurrentNetwork

/// A network that only runs forward: normalise, one GRU step for many streams at once, prediction error, score, episode. Nothing learns but
/// the running moments.
///
/// Legend: C channels, H hidden units; a row of `states` is h of one stream, a row of `memory` [mean C, variance C, forecast C] and scalars.
final class ForwardStage {
    private let engine: RecurrentEngine
    private let channels: Int
    private let states: UnsafeMutablePointer<Float>
    private let memory: UnsafeMutablePointer<Float>
    private let stride: Int
    private var book = EpisodeBook(rules: EpisodeRules(closeAfter: 1_800_000_000_000))
    private let hasEpisode: UnsafeMutablePointer<Bool>

    // The streams that are stepped together: inputs, outputs, rows, and the number of the round that a stream was last in.
    private static let width = 96
    private let inputs: UnsafeMutablePointer<Float>
    private let outputs: UnsafeMutablePointer<Float>
    private let rows: UnsafeMutablePointer<UInt32>
    private let seenIn: UnsafeMutablePointer<UInt32>
    private var round: UInt32 = 1
    private var waiting = 0
    private(set) var alarms = 0

    static let hidden = 32
    private static let threshold: Float = 25
    private static let warmUp: Float = 100

    init(streams: Int, channels: Int) {
        guard
            let model = try? RecurrentModel(
                cell: .gru, inputSize: channels, hiddenSize: ForwardStage.hidden, outputSize: channels, seed: 1),
            let engine = try? RecurrentEngine(model: model)
        else { preconditionFailure("a GRU of \(ForwardStage.hidden) units is a valid model") }
        self.engine = engine
        self.channels = channels
        stride = 3 * channels + 2
        func room<T>(_ count: Int, _ value: T) -> UnsafeMutablePointer<T> {
            let raw = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<T>.stride, alignment: 64)
            let typed = raw.bindMemory(to: T.self, capacity: count)
            typed.initialize(repeating: value, count: count)
            return typed
        }
        // Streams are numbered from 1.
        // Their numbers have gaps.
        let numbers = StreamNumber.lastTurn(through: UInt32(streams)) + 1
        states = room(numbers * engine.stateStride, 0)
        memory = room(numbers * stride, 0)
        hasEpisode = room(numbers, false)
        seenIn = room(numbers, 0)
        inputs = room(ForwardStage.width * channels, 0)
        outputs = room(ForwardStage.width * channels, 0)
        rows = room(ForwardStage.width, 0)
    }

    deinit {
        for pointer in [states, memory, inputs, outputs] { UnsafeMutableRawPointer(pointer).deallocate() }
        UnsafeMutableRawPointer(hasEpisode).deallocate()
        UnsafeMutableRawPointer(seenIn).deallocate()
        UnsafeMutableRawPointer(rows).deallocate()
    }

    func apply(_ batch: ReadingBatch, actions: inout [AlertAction]) {
        for index in 0..<batch.entryCount {
            let entry = batch.entries[index]
            let stream = Int(entry.stream)
            if waiting == ForwardStage.width || seenIn[stream] == round { step() }
            seenIn[stream] = round
            judge(entry, batch, &actions)
        }
        step()
    }

    /// Score of the reading against the forecast made before it, then its place among those that are stepped together.
    @inline(__always)
    private func judge(_ entry: ReadingEntry, _ batch: ReadingBatch, _ actions: inout [AlertAction]) {
        let stream = Int(entry.stream)
        let mean = memory + stream * stride
        let variance = mean + channels
        let forecast = variance + channels
        let scalars = forecast + channels
        let age = scalars[0]
        let gain = max(1 / (age + 1), 1e-3)
        let input = inputs + waiting * channels
        var error: Float = 0
        for field in Int(entry.fieldStart)..<Int(entry.fieldStart) + Int(entry.fieldCount) {
            let channel = Int(batch.channels[field])
            guard channel < channels else { continue }
            let value = Float(batch.values[field])
            if age == 0 { mean[channel] = value }
            let deviation = value - mean[channel]
            let x = max(-20, min(20, deviation / (variance[channel].squareRoot() + 1e-6)))
            mean[channel] += gain * deviation
            variance[channel] = (1 - gain) * (variance[channel] + gain * deviation * deviation)
            input[channel] = x
            let e = x - forecast[channel]
            error += e * e
        }
        let usual = scalars[1]
        let score = error / (usual + 1e-6)
        scalars[1] += gain * (min(error, age > 30 ? 9 * usual : error) - usual)
        scalars[0] = age + 1
        rows[waiting] = entry.stream
        waiting += 1
        let isAlarm = age >= ForwardStage.warmUp && score >= ForwardStage.threshold
        if isAlarm || hasEpisode[stream] { tell(entry, Double(score), isAlarm, &actions) }
    }

    private func tell(_ entry: ReadingEntry, _ score: Double, _ isAlarm: Bool, _ actions: inout [AlertAction]) {
        alarms += isAlarm ? 1 : 0
        let action = book.scored(
            stream: entry.stream, time: entry.time, score: score, threshold: Double(ForwardStage.threshold), isAlarm: isAlarm,
            observed: nil,
            identify: { ("\(entry.stream)-\(entry.time)", "stream \(entry.stream)") },
            facts: { AlertFacts(channels: [], reason: "the forecast was wrong") })
        guard let action else { return }
        hasEpisode[Int(entry.stream)] = action.transition != .closed
        actions.append(action)
    }

    /// One step of the network for all that wait.
    private func step() {
        guard waiting > 0 else { return }
        do throws(NetworkError) {
            try engine.step(
                count: waiting, inputs: inputs, inputStride: channels, states: states, rows: rows, outputs: outputs, outputStride: channels)
        } catch { preconditionFailure("inputs are held to 20 deviations: \(error)") }
        for place in 0..<waiting {
            let forecast = memory + Int(rows[place]) * stride + 2 * channels
            for channel in 0..<channels { forecast[channel] = outputs[place * channels + channel] }
        }
        waiting = 0
        round &+= 1
    }
}
