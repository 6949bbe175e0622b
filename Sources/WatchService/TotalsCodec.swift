import LineFormats
import Readings

/// Ingest totals as named numbers, the way they are stored and shown.
public enum TotalsCodec {
    /// Every number with its stored name.
    /// - Parameters: `lastStream`: the highest stream number ever given; `lastTurn`: of `StreamNumber`.
    public static func names(
        _ totals: IngestTotals, sequence: Int64, lastStream: UInt32, lastTurn: Int
    ) -> [(name: String, value: Int64)] {
        var list: [(String, Int64)] = [
            ("sequence", sequence), ("lines_received", totals.linesReceived), ("lines_ignored", totals.linesIgnored),
            ("readings_accepted", totals.readingsAccepted), ("values_accepted", totals.valuesAccepted),
            ("bytes_received", totals.bytesReceived),
            ("fleet_clock", totals.fleetClock.now), ("fleet_watermark", totals.fleetClock.watermark),
            ("fleet_step", totals.fleetClock.usualStep), ("fleet_outlier", totals.fleetClock.outlier),
            ("fleet_outliers", totals.fleetClock.outliers), ("fleet_since_outlier", totals.fleetClock.livedSinceOutlier),
            ("last_stream", Int64(lastStream)), ("stream_turn", Int64(lastTurn)),
        ]
        for (reason, count) in zip(LineError.Reason.allCases, totals.refused) where count > 0 {
            list.append(("refused." + reason.rawValue, count))
        }
        for (reason, count) in zip(DropReason.allCases, totals.dropped) where count > 0 {
            list.append(("dropped." + reason.rawValue, count))
        }
        for (reason, count) in zip(DropReason.allCases, totals.valuesDropped) where count > 0 {
            list.append(("values_dropped." + reason.rawValue, count))
        }
        return list
    }

    /// The last turn of `StreamNumber` that can have given a number.
    /// - Parameters: `present`: the last turn of the streams present; `lastStream`: the highest number ever given.
    static func lastTurn(_ stored: [String: Int64], present: Int, lastStream: UInt32) -> Int {
        // One that no number has is damage.
        let turn = stored["stream_turn"].flatMap { (0...Int64(StreamNumber.lastTurn(through: .max - 255))).contains($0) ? Int($0) : nil }
        let told = max(present, turn ?? 0)
        guard lastStream > 0, turn == nil || StreamNumber.turn(of: lastStream) > told else { return told }
        // Earlier versions gave one number after the other: any up to the last may belong to a stream that is gone.
        return max(told, StreamNumber.lastTurn(through: lastStream))
    }

    /// The totals of stored numbers; unknown names are left out.
    public static func totals(_ stored: [String: Int64]) -> IngestTotals {
        var totals = IngestTotals()
        // What is damaged must not end the daemon by counting on.
        func count(_ name: String) -> Int64 { min(max(0, stored[name] ?? 0), Int64.max / 2) }
        totals.linesReceived = count("lines_received")
        totals.linesIgnored = count("lines_ignored")
        totals.readingsAccepted = count("readings_accepted")
        totals.valuesAccepted = count("values_accepted")
        totals.bytesReceived = count("bytes_received")
        totals.fleetClock.now = count("fleet_clock")
        totals.fleetClock.watermark = stored["fleet_watermark"] ?? .min
        totals.fleetClock.usualStep = count("fleet_step")
        totals.fleetClock.outlier = count("fleet_outlier")
        totals.fleetClock.outliers = count("fleet_outliers")
        totals.fleetClock.livedSinceOutlier = count("fleet_since_outlier")
        totals.refused = LineError.Reason.allCases.map { count("refused." + $0.rawValue) }
        totals.dropped = DropReason.allCases.map { count("dropped." + $0.rawValue) }
        totals.valuesDropped = DropReason.allCases.map { count("values_dropped." + $0.rawValue) }
        totals.losses = StreamLosses.read(stored)
        return totals
    }
}
