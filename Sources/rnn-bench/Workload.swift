import Glibc
import LineFormats

/// Lines of a fleet, made before any clock runs: a daily rhythm with noise per stream and channel.
struct Workload {
    let bytes: [UInt8]
    let lines: Int
    let streams: Int
    let channels: Int

    init(streams: Int, channels: Int, lines: Int) {
        var writer = LineProtocolWriter()
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func noise() -> Double {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Double(state >> 11) / Double(1 << 53) - 0.5
        }
        let names = (0..<channels).map { "c\($0)" }
        let start: Int64 = 1_760_000_000_000_000_000
        for line in 0..<lines {
            let stream = line % streams
            let round = line / streams
            _ = writer.begin(measurement: "plant", tags: [("site", "a"), ("unit", "u\(stream)")])
            for channel in 0..<channels {
                let value = 20 + 5 * sin(Double(round) / 144 * 6.283 + Double(stream + channel)) + noise()
                _ = writer.field(names[channel], (value * 100).rounded() / 100)
            }
            _ = writer.end(timeNanoseconds: start + Int64(round) * 10_000_000_000)
        }
        bytes = writer.bytes
        (self.lines, self.streams, self.channels) = (lines, streams, channels)
    }

    /// Calls `body` with every line, without its end.
    @inline(__always)
    func forEachLine(_ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        bytes.withUnsafeBufferPointer { all in
            guard let base = all.baseAddress else { return }
            var at = 0
            while at < all.count, let found = memchr(base + at, 10, all.count - at) {
                let end = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
                body(UnsafeBufferPointer(start: base + at, count: end - at))
                at = end + 1
            }
        }
    }
}
