import Alerting
import Detection

/// What the detector said about one reading, in words and numbers, alarm or not.
public struct MomentDetail: Sendable {
    /// A channel's line.
    public struct Line: Sendable {
        public var name: String
        public var value: Double
        public var expected: Double
        public var bandLow: Double
        public var bandHigh: Double
        /// Its share of the score, 0 to 1.
        public var share: Double
        /// False while the channel is too young or just back, and does not count.
        public var takesPart: Bool
    }

    /// Nanoseconds since 1970.
    public var time: Int64
    public var score: Double
    public var threshold: Double
    /// Points taken off because of what was told before.
    public var habituation: Double
    /// Points taken off because they are usual after a switch.
    public var switching: Double
    public var restraint: Restraint
    public var kind: String
    /// Pieces of evidence with their points and ranks, the largest first.
    public var evidence: [Contribution]
    /// Channels, the one that carried most first.
    public var channels: [Line]
    /// Readings seen and needed while the stream warms up; nil later.
    public var warmUp: (seen: UInt64, needed: UInt32)?

    /// Points over the threshold.
    public var margin: Double { score - threshold }

    /// What a verdict said. `name`: of a channel by its index.
    init(_ verdict: borrowing Verdict, time: Int64, name: (UInt16) -> String) {
        self.time = time
        (score, threshold) = (verdict.score, verdict.threshold)
        (habituation, switching) = (verdict.habituation, verdict.switching)
        (restraint, kind) = (Restraint(verdict), verdict.kind.name)
        var pieces: [Contribution] = []
        for piece in Evidence.allCases where verdict[piece].contribution > 0 {
            let result = verdict[piece]
            let note = Wording.rank(piece, reaching: result.blocksReaching, of: result.blocks)
            pieces.append(Contribution(name: piece.name, share: result.contribution, note: note))
        }
        evidence = pieces.sorted { $0.share > $1.share }
        var lines: [Line] = []
        for index in 0..<verdict.channelCount {
            let line = verdict.channels[index]
            lines.append(
                Line(
                    name: name(line.index), value: line.value, expected: line.expected, bandLow: line.bandLow, bandHigh: line.bandHigh,
                    share: line.contribution, takesPart: line.takesPart))
        }
        channels = lines.sorted { $0.share > $1.share }
        warmUp = verdict.warmUpReason == .readings ? (verdict.age, verdict.warmUpReadings) : nil
    }

    /// What a stream remembers of a block.
    init(_ moment: StreamMoment, name: (UInt16) -> String) {
        time = moment.time
        (score, threshold) = (Double(moment.score), Double(moment.threshold))
        (habituation, switching) = (Double(moment.habituation), Double(moment.switching))
        restraint = Restraint(rawValue: moment.restraint) ?? .below
        kind = AnomalyKind(rawValue: moment.kind)?.name ?? AnomalyKind.none.name
        evidence = [moment.first, moment.second].compactMap { piece in
            guard piece.points > 0, let evidence = Evidence(rawValue: piece.evidence) else { return nil }
            let note = Wording.rank(evidence, reaching: Double(piece.reaching), of: Double(piece.blocks))
            return Contribution(name: evidence.name, share: Double(piece.points), note: note)
        }
        channels = [
            Line(
                name: name(moment.channel), value: moment.observed, expected: Double(moment.expected), bandLow: Double(moment.bandLow),
                bandHigh: Double(moment.bandHigh), share: 1, takesPart: true)
        ]
    }
}

extension ShardWatch {
    /// What a stream remembers of its latest blocks of 25 readings, oldest first: of each the reading that came nearest to an alarm.
    public func history(of stream: UInt32) -> [MomentDetail] {
        guard let local = slotOf(stream), let state = slots[local].state else { return [] }
        let slot = slots[local]
        let ring = moments(state)
        return (0..<historyBlocks).map { ring[$0] }.filter { $0.time != .min }.sorted { $0.time < $1.time }.map {
            MomentDetail($0) { channelName(slot, $0) }
        }
    }

    /// Time of a stream's newest reading; nil for an unknown stream or one without readings.
    public func newestTime(of stream: UInt32) -> Int64? {
        guard let local = slotOf(stream), extra(local).pointee.readings > 0 else { return nil }
        return extra(local).pointee.lastTime
    }

    /// Hands every scored reading of one stream to `body`, until the next call of this.
    public mutating func watchMoments(of stream: UInt32, _ body: @escaping (MomentDetail) -> Void) {
        guard let local = slotOf(stream) else { return }
        observer = { [names = slots[local].names] entry, verdict in
            guard entry.stream == stream else { return }
            body(MomentDetail(verdict, time: entry.time) { Int($0) < names.count ? names[Int($0)] : "channel \($0)" })
        }
    }
}
