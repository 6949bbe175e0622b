import Platform
import Readings

/// What was lost of each stream, for as long as anything was. Counted by the ingest thread, read by others.
public final class LossBook: @unchecked Sendable {
    // Safety: everything is behind the lock.

    /// A stream that has something to do with losses.
    struct Entry {
        var losses = StreamLosses()
        /// The present window: when it began (wall time), readings taken before it, readings lost in it, by reason.
        var windowStart: Int64 = 0
        var takenBefore: UInt32 = 0
        var lost: Int64 = 0
        var lostByReason = [Int64](repeating: 0, count: DropReason.allCases.count)
        /// Its alert is open.
        var isTold = false
    }

    private struct State {
        var entries: [UInt32: Entry] = [:]
        /// Streams whose counts changed since they were told last.
        var changed: Set<UInt32> = []
        /// Streams with losses in the present window, or with an open alert.
        var active: Set<UInt32> = []
    }

    private let state = Locked(State())
    private static let reasons = DropReason.allCases
    /// Losses that say something about a source: what is left out as asked for, or for want of room, does not.
    private static let telling: Set<DropReason> = [.future, .out_of_order, .duplicate, .odd_number]
    /// Fewer lost readings in a window tell nothing.
    private static let lostMin: Int64 = 3

    init(_ restored: [UInt32: StreamLosses]) {
        state.withLock { for (stream, losses) in restored { $0.entries[stream] = Entry(losses: losses) } }
    }

    /// What was lost of every stream of which anything was.
    public var all: [UInt32: StreamLosses] { state.withLock { $0.entries.mapValues(\.losses) } }

    /// Counts what was lost of a stream that has `taken` readings so far.
    func add(_ reason: DropReason, _ stream: UInt32, readings: Int, values: Int, taken: UInt32, now: Int64) {
        let index = LossBook.reasons.firstIndex(of: reason) ?? 0
        state.withLock { state in
            state.changed.insert(stream)
            update(&state.entries[stream, default: Entry()]) { entry in
                entry.losses.readings[index] += Int64(readings)
                entry.losses.values[index] += Int64(values)
                guard LossBook.telling.contains(reason) else { return }
                if state.active.insert(stream).inserted { (entry.windowStart, entry.takenBefore) = (now, taken) }
                entry.lost += 1
                entry.lostByReason[index] += 1
            }
        }
    }

    /// Notes the unit that a channel's values come with.
    func setUnit(_ unit: UInt8, stream: UInt32, channel: Int) {
        state.withLock {
            $0.entries[stream, default: Entry()].losses.units[UInt16(truncatingIfNeeded: channel)] = unit
            $0.changed.insert(stream)
        }
    }

    private func update(_ entry: inout Entry, _ body: (inout Entry) -> Void) { body(&entry) }

    func remove(_ stream: UInt32) {
        state.withLock {
            $0.entries[stream] = nil
            $0.changed.remove(stream)
            $0.active.remove(stream)
        }
    }

    /// An alert is open since before the start.
    func restoreTold(_ stream: UInt32, now: Int64) {
        state.withLock {
            $0.entries[stream, default: Entry()].isTold = true
            $0.entries[stream]?.windowStart = now
            $0.active.insert(stream)
        }
    }

    /// The counts that changed since they were asked for last.
    func takeChanged() -> [UInt32: StreamLosses] {
        state.withLock { state in
            guard !state.changed.isEmpty else { return [:] }
            var changed: [UInt32: StreamLosses] = [:]
            for stream in state.changed { changed[stream] = state.entries[stream]?.losses }
            state.changed.removeAll(keepingCapacity: true)
            return changed
        }
    }

    /// Ends windows that are over.
    /// - Parameter taken: readings of a stream so far.
    /// - Returns: streams whose alert begins (with its reason) or ends (nil).
    func judge(now: Int64, window: Int64, taken: (UInt32) -> UInt32) -> [(stream: UInt32, reason: String?)] {
        state.withLock { state in
            guard !state.active.isEmpty else { return [] }
            var news: [(UInt32, String?)] = []
            for stream in state.active.sorted() {
                guard var entry = state.entries[stream], now - entry.windowStart >= window || now < entry.windowStart else { continue }
                let took = Int64(taken(stream) &- entry.takenBefore)
                let isLosing = entry.lost >= LossBook.lostMin && entry.lost * 10 > entry.lost + took
                if isLosing != entry.isTold { news.append((stream, isLosing ? LossBook.reason(entry, took) : nil)) }
                let isOver = entry.lost == 0 && !isLosing
                (entry.isTold, entry.lost, entry.windowStart, entry.takenBefore) = (isLosing, 0, now, taken(stream))
                entry.lostByReason = entry.lostByReason.map { _ in 0 }
                state.entries[stream] = entry
                if isOver { state.active.remove(stream) }
            }
            return news
        }
    }

    private static func reason(_ entry: Entry, _ took: Int64) -> String {
        var parts: [String] = []
        var worst: (reason: DropReason, count: Int64)?
        for (index, reason) in reasons.enumerated() where entry.lostByReason[index] > 0 {
            parts.append("\(reason.rawValue) \(entry.lostByReason[index])")
            if entry.lostByReason[index] > worst?.count ?? 0 { worst = (reason, entry.lostByReason[index]) }
        }
        let hint = worst.map { LossHint.text($0.reason) } ?? ""
        return "\(entry.lost) of \(entry.lost + took) readings are lost (\(parts.joined(separator: ", "))); \(hint)"
    }
}

/// What would help against a loss, in words.
public enum LossHint {
    /// One clause about a reason.
    public static func text(_ reason: DropReason) -> String {
        switch reason {
        case .future:
            "the clock of the sender or of this machine is wrong, or the sender writes local time without a zone: set timezone to the sender's"
        case .out_of_order:
            "older than what the stream has already: send history before a stream is live; late_max puts in order what comes a little late"
        case .duplicate: "the stream has a value of that time: does the time lack seconds, or do several senders use one stream name?"
        case .odd_number: "write numbers with a decimal point and without a unit, or with a unit that is known (docs/FORMATS.md)"
        case .not_numeric: "text is not learned; words such as ON can be made numbers by states under [[sources]]"
        case .not_finite: "NaN and infinite values are left out"
        case .unknown_value: "the sender says that it does not know the value"
        case .missing: "the configuration calls this value a marker of missing ones"
        case .out_of_range: "outside the range that the configuration gives the channel"
        case .streams_max: "raise streams_max, or send fewer tags"
        case .channels_max: "raise channels_max, or send fewer fields"
        case .ignored: "the configuration ignores the stream"
        case .resent: "it was stored before"
        }
    }
}

/// A reading or value that was just lost, for a message.
public struct LossExample: Sendable {
    public var reason: DropReason
    /// Its place among the readings of the line.
    public var index: Int
    /// Its time, and the newest of its stream before; Int64.min for none.
    public var time: Int64
    public var newest: Int64
}
