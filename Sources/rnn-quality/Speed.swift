import Detection
import Glibc
import TimeSeries

/// Readings a second of many univariate streams fed in turn, on the calling thread.
struct Speed {
    static func now() -> Double {
        var t = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
        return Double(t.tv_sec) + Double(t.tv_nsec) * 1e-9
    }

    /// Nanoseconds of CPU a reading: the median of `rounds` after a warm-up.
    static func measure(_ profile: DetectorProfile, streams: Int, channels: Int = 1, rounds: Int = 5) -> Double {
        var detector = Detector(profile: profile)
        let size = detector.streamStateBytes + channels * detector.channelStateBytes
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size * streams, alignment: 64)
        defer { memory.deallocate() }
        for i in 0..<streams {
            detector.initializeStream(memory + i * size)
            for j in 0..<channels {
                detector.initializeChannel(memory + i * size + detector.streamStateBytes + j * detector.channelStateBytes)
            }
        }
        var verdict = Verdict(channelsMax: channels)
        var random = SeededRandom(seed: 1)
        let noise = (0..<4096).map { _ in random.gaussian() }
        var inputs = (0..<channels).map { _ in ChannelInput(state: memory, value: 0, index: 0) }
        var times: [Double] = []
        var t = 0
        let perRound = max(1, 200_000 / streams / channels)
        var sum = 0.0
        for _ in 0...rounds {
            let began = now()
            for _ in 0..<perRound {
                for i in 0..<streams {
                    let base = memory + i * size
                    for j in 0..<channels {
                        inputs[j].state = base + detector.streamStateBytes + j * detector.channelStateBytes
                        inputs[j].value = noise[(t &* 31 &+ i &* 7 &+ j) & 4095]
                    }
                    let next = memory + (i + 1 < streams ? i + 1 : 0) * size
                    detector.expect(stream: next, channel: next + detector.streamStateBytes)
                    inputs.withUnsafeBufferPointer {
                        detector.step(stream: base, channels: $0, time: Int64(t) * 60_000_000_000, hasClock: true, verdict: &verdict)
                    }
                    sum += verdict.score
                }
                t += 1
            }
            times.append((now() - began) / Double(perRound * streams) * 1e9)
        }
        precondition(sum >= 0)
        return times.dropFirst().sorted()[rounds / 2]
    }
}
