import Alerting
import Detection
import Readings
import Tabular
import TimeSeries

/// What people ask about streams.
extension ShardWatch {
    /// Columns of `rnnctl streams list`.
    public static let streamColumns = [
        "stream", "channels", "readings", "last_reading_at", "interval_seconds", "score", "threshold", "warm_up", "state",
        "skill", "lost",
    ]

    /// What was lost of a stream by reason, as the column `lost`.
    public static func lost(_ losses: StreamLosses?) -> JSONValue {
        .object((losses?.counts ?? []).map { JSONValue.Member($0.reason.rawValue, .integer($0.count)) })
    }

    /// All streams of the shard in the order of their ids.
    /// - Parameter losses: of streams, by number.
    public func streamRows(
        matching isWanted: (String) -> Bool, losses: [UInt32: StreamLosses], timeText: (Int64) -> String
    ) -> [[JSONValue]] {
        slots.indices.compactMap { local in
            let slot = slots[local]
            guard slot.state != nil, slot.id != 0, isWanted(slot.key) else { return nil }
            let extra = extra(local)
            return [
                .string(slot.key), .integer(Int64(slot.channels.count)), .integer(Int64(extra.pointee.readings)),
                extra.pointee.lastTime == .min ? .null : .string(timeText(extra.pointee.lastTime)),
                extra.pointee.readings > 1 ? .number((extra.pointee.meanGap * 1e-6).rounded() / 1000) : .null,
                .number(Double(extra.pointee.score)), .number(Double(extra.pointee.threshold)), .number(Double(extra.pointee.warmUp)),
                .string(state(local)), skill(local).map { .number(($0 * 1000).rounded() / 1000) } ?? .null,
                ShardWatch.lost(losses[slot.id]),
            ]
        }
    }

    /// Mean skill of the stream's channels (see `ForecastQuality`); nil before it is known.
    private func skill(_ local: Int) -> Double? {
        let channels = slots[local].channels
        guard !channels.isEmpty, extra(local).pointee.readings > 100 else { return nil }
        return channels.reduce(0) { $0 + detector.forecastQuality(channel: $1).skill } / Double(channels.count)
    }

    private func state(_ local: Int) -> String {
        let slot = slots[local]
        if slot.isPaused { return "paused" }
        if slot.isStale { return "stale" }
        if extra(local).pointee.readings == 0 { return "no readings" }
        if extra(local).pointee.stuckChannel != 0 { return "stuck" }
        if slot.hasAnomaly { return "alert" }
        return extra(local).pointee.warmUpReason == UInt32(WarmUpReason.none.rawValue) ? "ok" : "warming up"
    }

    /// One stream with its channels; nil when it is not here.
    /// - Parameter unitName: the name of a unit by its code.
    public func streamDetail(
        key: String, losses: [UInt32: StreamLosses], unitName: (UInt8) -> String = { _ in "" }, timeText: (Int64) -> String
    ) -> JSONValue? {
        guard let local = slots.firstIndex(where: { $0.key == key && $0.state != nil && $0.id != 0 }) else { return nil }
        let slot = slots[local]
        guard let row = streamRows(matching: { $0 == key }, losses: losses, timeText: timeText).first else { return nil }
        var members = zip(ShardWatch.streamColumns, row).map { JSONValue.Member($0, $1) }
        let extra = extra(local)
        let reason: String
        switch UInt8(truncatingIfNeeded: extra.pointee.warmUpReason) {
        case WarmUpReason.readings.rawValue:
            let needed = extra.pointee.warmUpReadings
            reason =
                extra.pointee.readings == 0
                ? "no reading yet"
                : "\(min(extra.pointee.readings, UInt64(needed))) of the \(needed) readings (a day's worth, but 100 to 300) that must be seen before anything can be called unusual"
        case WarmUpReason.gap.rawValue: reason = "readings came back after a gap; the first ones are not judged"
        default: reason = ""
        }
        members.append(.init("warm_up_reason", .string(reason)))
        members.append(.init("warm_up_readings", .integer(Int64(extra.pointee.warmUpReadings))))
        members += budgetMembers(local, extra)
        members.append(.init("model", .optional(slot.seat?.model.label)))
        members.append(.init("model_state", .optional(modelState(local))))
        members.append(
            .init(
                "feedback_bars",
                .array(
                    barsInForce(local).map { bar in
                        .object([
                            "channel": .string(bar.channel), "points": .number((bar.points * 100).rounded() / 100),
                            "until": .string(timeText(bar.until)), "hour_of_week": bar.weekHour < 0 ? .null : .integer(Int64(bar.weekHour)),
                        ])
                    })))
        members.append(.init("alerts_so_far", .integer(Int64(extra.pointee.alerts))))
        members.append(
            .init(
                "channel_states",
                .array(
                    zip(slot.names, slot.channels).enumerated().map { index, pair in
                        let (name, pointer) = pair
                        let unit = losses[slot.id]?.units[UInt16(truncatingIfNeeded: index)].map(unitName) ?? ""
                        let channel = channelExtra(pointer).pointee
                        let forecast = detector.forecastQuality(channel: pointer)
                        return .object([
                            "channel": .string(name), "value": channel.lastTime == .min ? .null : .number(channel.lastValue),
                            "expected": .number(Double(channel.expected)), "band_low": .number(Double(channel.bandLow)),
                            "band_high": .number(Double(channel.bandHigh)),
                            "last_value_at": channel.lastTime == .min ? .null : .string(timeText(channel.lastTime)),
                            "skill": .number((forecast.skill * 1000).rounded() / 1000), "expert": .string(forecast.expert.name),
                            "readout_restarts": .integer(Int64(forecast.restarts)),
                            "unit": unit.isEmpty ? .null : .string(unit),
                        ])
                    })))
        return .object(members)
    }
}

extension ShardWatch {
    /// Keys of all streams present.
    public var streamKeys: [String] { slots.filter { $0.id != 0 && $0.state != nil }.map(\.key) }

    /// Where the threshold comes from.
    private func budgetMembers(_ local: Int, _ extra: UnsafeMutablePointer<StreamExtra>) -> [JSONValue.Member] {
        let seconds = Double(extra.pointee.budgetSeconds)
        let shared = max(1, Int64(extra.pointee.budgetShare))
        guard seconds > 0, let state = slots[local].state else {
            return [
                .init("budget_seconds", .null), .init("budget_shared_by", .null),
                .init("threshold_reason", .string("the built-in threshold; no false-alarm budget is set")),
            ]
        }
        let report = detector.budgetReport(stream: state, since: .max)
        let between = report.intervalSeconds > 0 ? seconds / report.intervalSeconds : 0
        let reason =
            report.intervalSeconds == 0
            ? "the built-in threshold until the interval between readings is known"
            : report.readingsCounted < between
                ? "from \(Int64(saturating: report.readingsCounted)) readings where the budget is one alarm in \(Int64(saturating: between)): partly from what is usual for streams, on the safe side"
                : "from what \(Int64(saturating: report.readingsCounted)) readings would have raised"
        return [
            .init("budget_seconds", .number(seconds)), .init("budget_shared_by", .integer(shared)),
            .init("threshold_reason", .string(reason)),
        ]
    }

    /// A checksum over everything that decides about the future of streams: learned state, open episodes, deadlines. The daemon's
    /// own conditions are left out: they carry wall times, which no two runs share.
    public mutating func digest() -> UInt32 {
        var sum = ByteWriter()
        for block in blocks.indices { sum.fixed32(CRC32C.checksum(payload(block: block, hasOwnStream: false))) }
        return CRC32C.checksum(sum.bytes)
    }
}
