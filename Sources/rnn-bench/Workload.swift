import Glibc
import Ingest
import LineFormats

/// Lines of a fleet, made before any clock runs: a daily rhythm with noise per stream and channel, a reading every ten seconds.
///
/// The lines are cut into segments of equal length that go on in time, so that every round brings new readings.
struct Workload {
    enum Format: String, CaseIterable {
        case influx, json, collectd, plain
    }

    let bytes: [UInt8]
    /// Where each segment begins, and the end.
    let segments: [Int]
    /// Lines of a segment.
    let lines: Int
    let streams: Int
    let channels: Int
    let format: Format

    static let start: Int64 = 1_760_000_000_000_000_000
    static let step: Int64 = 10_000_000_000
    /// A wall clock after all readings.
    static let now: Int64 = 2_000_000_000_000_000_000

    /// - Parameters:
    ///   - lines: of a segment.
    ///   - segments: how many.
    ///   - first: the round of the first line (one reading of every stream is a round).
    init(streams: Int, channels: Int, lines: Int, segments count: Int = 1, format: Format = .influx, first: Int = 0) {
        var writer = LineProtocolWriter()
        var text: [UInt8] = []
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15 &+ UInt64(first)
        func noise() -> Double {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Double(state >> 11) / Double(1 << 53) - 0.5
        }
        let names = (0..<channels).map { "c\($0)" }
        var segments = [0]
        for line in 0..<(lines * count) {
            let stream = line % streams
            let round = line / streams + first
            let time = Workload.start + Int64(round) * Workload.step
            func value(_ channel: Int) -> Double {
                let value = 20 + 5 * sin(Double(round) / 144 * 6.283 + Double(stream + channel)) + noise()
                return (value * 100).rounded() / 100
            }
            switch format {
            case .influx:
                _ = writer.begin(measurement: "plant", tags: [("site", "a"), ("unit", "u\(stream)")])
                for channel in 0..<channels { _ = writer.field(names[channel], value(channel)) }
                _ = writer.end(timeNanoseconds: time)
            case .json:
                let fields = (0..<channels).map { "\"\(names[$0])\":\(value($0))" }.joined(separator: ",")
                text += Array("{\"stream\":\"plant,site=a,unit=u\(stream)\",\"time\":\(time),\(fields)}\n".utf8)
            case .collectd:
                let values = (0..<channels).map { ":\(value($0))" }.joined()
                text += Array("PUTVAL \"u\(stream)/plant/gauge-c\" interval=10 \(time / 1_000_000_000)\(values)\n".utf8)
            case .plain: text += Array("plant,site=a,unit=u\(stream) \(value(0)) \(time)\n".utf8)
            }
            if (line + 1) % lines == 0 { segments.append(format == .influx ? writer.bytes.count : text.count) }
        }
        bytes = format == .influx ? writer.bytes : text
        (self.segments, self.lines, self.streams, self.channels, self.format) = (segments, lines, streams, channels, format)
    }

    var segmentCount: Int { segments.count - 1 }
    /// Bytes of a line, on average.
    var lineBytes: Int { bytes.count / (lines * segmentCount) }

    /// Calls `body` with every line of a segment, without its end.
    @inline(__always)
    func forEachLine(_ segment: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        bytes.withUnsafeBufferPointer { all in
            guard let base = all.baseAddress else { return }
            var at = segments[segment]
            let last = segments[segment + 1]
            while at < last, let found = memchr(base + at, 10, last - at) {
                let end = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
                body(UnsafeBufferPointer(start: base + at, count: end - at))
                at = end + 1
            }
        }
    }
}

extension Workload {
    /// All lines of a segment through parser and intake.
    func feed(_ segment: Int, _ parser: inout LineParser, _ intake: inout Intake) {
        bytes.withUnsafeBufferPointer { all in
            guard let base = all.baseAddress else { return }
            var at = segments[segment]
            let last = segments[segment + 1]
            let lines = UnsafeBufferPointer(start: base, count: last)
            while at < last {
                at = intake.takeUsual(lines, from: at, &parser, now: Workload.now).end
                guard let found = memchr(base + at, 10, last - at) else { break }
                let end = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
                intake.received(bytes: end + 1 - at, now: Workload.now)
                let line = UnsafeBufferPointer(start: base + at, count: end - at)
                if (try? parser.parse(line, expecting: intake.expectedKey())) != nil {
                    try? intake.accept(&parser.readings, now: Workload.now, arrival: 0)
                }
                if intake.isDue { intake.flush(now: Workload.now) }
                at = end + 1
            }
        }
        intake.flush(now: Workload.now)
    }
}
