import Platform
import ServiceLifecycle
import Synchronization
import Tabular
import TimeSeries

/// Keeps what channels of looked-at streams did since somebody began to look: value, expectation, band.
///
/// The daemon stores no curve; this one is asked for every few seconds, for the streams whose page was opened in the last minutes,
/// and is gone with the gateway. Bounded: so many streams, so many points each.
final class Sampler: Service, Sendable {
    private struct Watched {
        var lastLook: Int64
        var channels: [String: [Chart.Point]] = [:]
    }

    private let control: any ControlPort
    private let watched = Mutex<[String: Watched]>([:])
    static let streamsMax = 50
    static let channelsMax = 16
    static let pointsMax = 720
    static let pauseSeconds = 5
    /// A stream is watched for so long after its page was asked for.
    static let patience: Int64 = 15 * 60 * 1_000_000_000

    init(control: any ControlPort) { self.control = control }

    /// Somebody looks at `stream`.
    func look(_ stream: String) -> [String: [Chart.Point]] {
        let now = Clocks.monotonic()
        return watched.withLock { watched in
            if watched[stream] == nil, watched.count >= Sampler.streamsMax,
                let oldest = watched.min(by: { $0.value.lastLook < $1.value.lastLook })?.key
            {
                watched[oldest] = nil
            }
            watched[stream, default: Watched(lastLook: now)].lastLook = now
            return watched[stream]?.channels ?? [:]
        }
    }

    func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            for stream in due() {
                guard let state = try? await control.ask("streams.show", .object(["stream": .string(stream)])) else { continue }
                take(stream, state)
            }
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(Sampler.pauseSeconds)) }
        }
    }

    private func due() -> [String] {
        let now = Clocks.monotonic()
        return watched.withLock { watched in
            for (stream, state) in watched where now - state.lastLook > Sampler.patience { watched[stream] = nil }
            return Array(watched.keys)
        }
    }

    func take(_ stream: String, _ state: JSONValue) {
        watched.withLock { watched in
            for channel in (state["channel_states"]?.items ?? []).prefix(Sampler.channelsMax) {
                guard let name = channel["channel"]?.text, let at = channel["last_value_at"]?.text.flatMap({ TimeText.parse($0) }) else {
                    continue
                }
                var points = watched[stream]?.channels[name] ?? []
                guard points.last.map({ $0.time < at }) ?? true else { continue }
                points.append(
                    Chart.Point(
                        time: at, value: channel["value"]?.doubleValue, low: channel["band_low"]?.doubleValue,
                        high: channel["band_high"]?.doubleValue,
                        expected: channel["expected"]?.doubleValue))
                if points.count > Sampler.pointsMax { points.removeFirst(points.count - Sampler.pointsMax) }
                watched[stream]?.channels[name] = points
            }
        }
    }
}
