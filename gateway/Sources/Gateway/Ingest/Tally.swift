import Synchronization
import WireFormats

/// What came in, by door and by sender: the numbers of `/metrics` and of the page's ingest view.
public final class Tally: Sendable {
    /// Counts of one door.
    public struct Door: Sendable {
        public var requests: [Int: Int] = [:]
        public var lines = 0
        public var refused = 0
        public var skipped = 0
        public var bytes = 0
    }

    /// One sender: identity, door and what it calls itself.
    public struct Sender: Sendable {
        public let identity: String
        public let door: String
        public let agent: String
        public var requests = 0
        public var lines = 0
        public var refused = 0
        public var lastStatus = 0
        /// Nanoseconds since 1970.
        public var lastAt: Int64 = 0
    }

    /// A part of a request that was refused.
    public struct Example: Sendable {
        public let at: Int64
        public let identity: String
        public let door: String
        public let reason: String
    }

    private struct State {
        var doors: [String: Door] = [:]
        var senders: [String: Sender] = [:]
        var examples: [Example] = []
    }

    private let state = Mutex(State())
    static let sendersMax = 200
    static let examplesMax = 50

    public init() {}

    /// One request and how it was answered.
    func record(
        door: String, identity: String, agent: String, status: Int, bytes: Int, lines: Int, refused: Int, skipped: Int, reasons: [String],
        at now: Int64
    ) {
        state.withLock { state in
            state.doors[door, default: Door()].requests[status, default: 0] += 1
            state.doors[door]?.lines += lines
            state.doors[door]?.refused += refused
            state.doors[door]?.skipped += skipped
            state.doors[door]?.bytes += bytes
            let agent = String(agent.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 }.prefix(80).map(Character.init))
            let key = "\(identity)\n\(door)\n\(agent)"
            if state.senders[key] == nil {
                // The one not heard of longest makes room.
                if state.senders.count >= Tally.sendersMax, let oldest = state.senders.min(by: { $0.value.lastAt < $1.value.lastAt })?.key {
                    state.senders[oldest] = nil
                }
                state.senders[key] = Sender(identity: identity, door: door, agent: agent)
            }
            state.senders[key]?.requests += 1
            state.senders[key]?.lines += lines
            state.senders[key]?.refused += refused
            state.senders[key]?.lastStatus = status
            state.senders[key]?.lastAt = now
            for reason in reasons.prefix(3) {
                if state.examples.count >= Tally.examplesMax { state.examples.removeFirst() }
                state.examples.append(Example(at: now, identity: identity, door: door, reason: String(reason.prefix(300))))
            }
        }
    }

    public var doors: [String: Door] { state.withLock { $0.doors } }
    public var senders: [Sender] { state.withLock { $0.senders.values.sorted { $0.lastAt > $1.lastAt } } }
    public var examples: [Example] { state.withLock { $0.examples.reversed() } }
}
