import Alerting
import Control
import Readings
import Store
import Tabular
import TimeSeries
import Watching

/// `rnnctl why-not`: what the detector thought about a reading, alarm or not.
///
/// The stream's block is restored from the newest checkpoint older than the moment, and the journal is replayed: the answer is what was
/// computed then, bit for bit. Before the oldest checkpoint, each stream's record of its latest blocks of readings answers.
enum WhyNot {
    /// - Parameters:
    ///   - settings: those the readings were judged with
    ///   - arguments: `stream`, `at` (nanoseconds since 1970), `within` (nanoseconds; the reading nearest to an alarm in this
    ///     distance instead of the one at the moment)
    static func answer(_ reader: StoreReader, _ settings: WatchSettings, _ arguments: JSONValue) throws -> JSONValue {
        guard let key = arguments["stream"]?.text else { throw ControlError.badRequest("why-not wants a stream") }
        // Without a moment: the newest reading.
        let at = arguments["at"]?.integerValue ?? Int64.max
        let within = max(0, arguments["within"]?.integerValue ?? 0)
        return try reader.view { () throws(StoreError) -> Result<JSONValue, ControlError> in
            guard let stream = try reader.streams().first(where: { String(decoding: $0.key, as: UTF8.self) == key }) else {
                return .failure(.failed("no stream \(key); `rnnctl streams list` shows all"))
            }
            var probe = Probe(at: at, within: within)
            try probe.run(reader, settings, stream: stream.id)
            if arguments["at"]?.integerValue == nil, let newest = probe.newest {
                probe = Probe(at: newest, within: within)
                try probe.run(reader, settings, stream: stream.id)
            }
            guard let (detail, source) = probe.found else { return .failure(.failed(probe.whyNothing(key))) }
            return .success(json(detail, key, probe.at, source, try reader.alerts(of: stream.id, openAt: detail.time)))
        }.get()
    }

    private static func json(
        _ detail: MomentDetail, _ key: String, _ at: Int64, _ source: String, _ alerts: [(id: String, kind: String)]
    ) -> JSONValue {
        let main = detail.channels.first
        func number(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
        return .object([
            "stream": .string(key), "at": .string(TimeText.rfc3339(at)), "reading_at": .string(TimeText.rfc3339(detail.time)),
            "alarm": .bool(detail.restraint == .none), "why": .string(sentence(detail, alerts)), "score": .number(detail.score),
            "threshold": .number(detail.threshold), "missing": .number(max(0, -detail.margin)),
            "taken_off": .number(detail.habituation + detail.switching), "restraint": .string(name(detail.restraint)),
            "kind": .string(detail.kind),
            "channel": main.map { .string($0.name) } ?? .null, "observed": number(main?.value), "expected": number(main?.expected),
            "band_low": number(main?.bandLow), "band_high": number(main?.bandHigh),
            "evidence": .array(
                detail.evidence.map { .object(["name": .string($0.name), "share": .number($0.share), "note": .string($0.note)]) }),
            "channels": .array(
                detail.channels.map {
                    .object([
                        "channel": .string($0.name), "value": .number($0.value), "expected": .number($0.expected),
                        "band_low": .number($0.bandLow), "band_high": .number($0.bandHigh), "share": .number($0.share),
                        "takes_part": .bool($0.takesPart),
                    ])
                }), "alerts_open": .array(alerts.map { .string($0.id) }), "source": .string(source),
        ])
    }

    private static func name(_ restraint: Restraint) -> String {
        switch restraint {
        case .none: "none"
        case .warmUp: "warm_up"
        case .gap: "gap"
        case .below: "below_threshold"
        case .habituation: "told_before"
        case .hold: "hold"
        case .switching: "usual_after_switch"
        }
    }

    private static func sentence(_ detail: MomentDetail, _ alerts: [(id: String, kind: String)]) -> String {
        func short(_ value: Double) -> String { NumberText.short((value * 100).rounded() / 100) }
        let open = alerts.filter { $0.kind == "anomaly" }.map(\.id)
        let part = open.isEmpty ? "" : "; the moment is part of alert \(open.joined(separator: ", "))"
        switch detail.restraint {
        case .none: return "this reading raised an alarm\(part)"
        case .warmUp:
            let seen = detail.warmUp.map { "; it had \($0.seen) of \($0.needed) readings" } ?? ""
            return "the stream was still warming up, where alarms are impossible\(seen)"
        case .gap: return "readings had just come back after a gap; the first ones are not judged"
        case .below:
            let best = detail.evidence.first.map { "; most came from \($0.name)\($0.note.isEmpty ? "" : ": \($0.note)")" }
            return "score \(short(detail.score)) is \(short(-detail.margin)) short of the threshold \(short(detail.threshold))"
                + (best ?? "; nothing was unusual") + part
        case .habituation:
            return
                "score \(short(detail.score + detail.habituation)) would have done, but \(short(detail.habituation)) points were taken off because the like was told shortly before\(part)"
        case .switching:
            return
                "score \(short(detail.score + detail.habituation + detail.switching)) would have done, but \(short(detail.switching)) points of it are usual after a channel has switched\(part)"
        case .hold: return "score \(short(detail.score)) would have done, but an alarm had been raised shortly before\(part)"
        }
    }

    /// The search for one moment of one stream.
    private struct Probe {
        let at: Int64
        let within: Int64
        private(set) var found: (detail: MomentDetail, source: String)?
        private(set) var newest: Int64?
        private var oldestRemembered: Int64?

        init(at: Int64, within: Int64) { (self.at, self.within) = (at, within) }

        mutating func run(_ reader: StoreReader, _ settings: WatchSettings, stream: UInt32) throws(StoreError) {
            let number = Int64(StreamNumber.block(of: stream))
            // Which models ran when the journal begins; its batches tell the rest.
            let beginning = try reader.firstSequence() ?? .max
            let assignments = try reader.modelRosters().rosters.last { $0.sequence < beginning }?.assignments ?? []
            let neighbours = try reader.streams().filter { Int64(StreamNumber.block(of: $0.id)) == number }
            // Newest first.
            let generations = try reader.generations().filter { $0.block == number }
            var start: ShardBox?
            var first: Int64 = 0
            for generation in generations {
                let box = empty(settings, neighbours, assignments)
                guard let (block, isIntact) = try reader.checkpoint(generation), isIntact,
                    (try? box.watch.restore(
                        BlockSnapshot(
                            block: block.block, sequence: block.sequence, layout: block.layout, streams: block.streams,
                            payload: block.payload), older: -1)) != nil
                else { continue }
                (start, first) = (box, block.sequence)
                guard let last = box.watch.newestTime(of: stream), last >= at.earlier(by: within) else {
                    break
                }
            }
            // A stored state that cannot be read is not the same as none: from nothing, other numbers would come.
            guard start != nil || generations.isEmpty else { return }
            let box = start ?? empty(settings, neighbours, assignments)
            let collected = Collected(at: at, within: within)
            box.watch.watchMoments(of: stream) { collected.take($0) }
            let scratch = ReadingBatch(entryCapacity: 4096, fieldCapacity: 1 << 17)
            var discarded: [AlertAction] = []
            try reader.journal(after: first) { row, isIntact throws(StoreError) in
                guard isIntact else { return }
                try? JournalCodec.batches(of: row.payload, scratch: scratch) { batch in
                    discarded.removeAll(keepingCapacity: true)
                    box.watch.apply(batch, isReplay: true, actions: &discarded)
                }
            }
            newest = box.watch.newestTime(of: stream)
            if let best = collected.best, !collected.isBeyond {
                found = (best, "computed again from checkpoint and journal")
                return
            }
            let history = box.watch.history(of: stream)
            oldestRemembered = history.first?.time
            found = nearest(history).map { ($0, "remembered: the reading nearest to an alarm in its block of 25 readings") }
        }

        /// The block that holds the moment: the remembered readings lie one in each block.
        private func nearest(_ history: [MomentDetail]) -> MomentDetail? {
            guard history.count > 1, let first = history.first, let newest, at <= newest else { return nil }
            let step = history[history.count - 1].time.since(first.time) / Int64(history.count - 1)
            guard at >= first.time.earlier(by: step) else { return nil }
            return history.min { $0.time.apart(from: at) < $1.time.apart(from: at) }
        }

        private func empty(
            _ settings: WatchSettings, _ streams: [StoreReader.StoredStream], _ assignments: [ModelAssignment]
        ) -> ShardBox {
            let box = ShardBox(ShardWatch(settings: settings, shard: 0, shards: 1, channelsMax: 4096))
            box.watch.begin(assignments: assignments)
            for stream in streams {
                box.watch.add(stream: stream.id, key: String(decoding: stream.key, as: UTF8.self), sequence: 0)
                for name in stream.channels { box.watch.addChannel(of: stream.id, String(decoding: name, as: UTF8.self)) }
            }
            return box
        }

        func whyNothing(_ key: String) -> String {
            guard let newest else { return "\(key) has no reading yet" }
            if at > newest { return "\(key) has no reading at \(TimeText.rfc3339(at)) yet; its newest is of \(TimeText.rfc3339(newest))" }
            let back = oldestRemembered.map { "what is remembered reaches back to \(TimeText.rfc3339($0))" } ?? "nothing is remembered"
            return "\(TimeText.rfc3339(at)) is too old (history_blocks, checkpoint_interval) or before the first reading of \(key); \(back)"
        }
    }

    /// The reading asked for, among those that pass by.
    private final class Collected {
        private let at: Int64
        private let within: Int64
        private(set) var best: MomentDetail?
        private var last: Int64?
        private var step: Int64 = 0

        /// The moment lies more than 24 intervals after the last reading.
        var isBeyond: Bool {
            guard let last, at > last else { return false }
            return at.since(last) / 24 > step
        }

        init(at: Int64, within: Int64) { (self.at, self.within) = (at, within) }

        func take(_ detail: MomentDetail) {
            if let last { step = detail.time.since(last) }
            last = detail.time
            if within == 0 {
                // The newest reading at or before the moment.
                if detail.time <= at { best = detail }
                return
            }
            guard detail.time.apart(from: at) <= within else { return }
            if best.map({ detail.margin > $0.margin }) ?? true { best = detail }
        }
    }
}
