import LineFormats
import Readings

/// Ingest totals as named numbers, the way they are stored and shown.
public enum TotalsCodec {
    /// Every number with its stored name.
    public static func names(_ totals: IngestTotals, sequence: Int64) -> [(name: String, value: Int64)] {
        var list: [(String, Int64)] = [
            ("sequence", sequence), ("lines_received", totals.linesReceived), ("lines_ignored", totals.linesIgnored),
            ("readings_accepted", totals.readingsAccepted), ("values_accepted", totals.valuesAccepted),
            ("bytes_received", totals.bytesReceived),
            ("fleet_clock", totals.fleetClock.now), ("fleet_watermark", totals.fleetClock.watermark),
            ("fleet_step", totals.fleetClock.usualStep), ("fleet_outlier", totals.fleetClock.outlier),
            ("fleet_outliers", totals.fleetClock.outliers), ("fleet_since_outlier", totals.fleetClock.livedSinceOutlier),
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

    /// The totals of stored numbers; unknown names are left out.
    public static func totals(_ stored: [String: Int64]) -> IngestTotals {
        var totals = IngestTotals()
        totals.linesReceived = stored["lines_received"] ?? 0
        totals.linesIgnored = stored["lines_ignored"] ?? 0
        totals.readingsAccepted = stored["readings_accepted"] ?? 0
        totals.valuesAccepted = stored["values_accepted"] ?? 0
        totals.bytesReceived = stored["bytes_received"] ?? 0
        totals.fleetClock.now = stored["fleet_clock"] ?? 0
        totals.fleetClock.watermark = stored["fleet_watermark"] ?? .min
        totals.fleetClock.usualStep = stored["fleet_step"] ?? 0
        totals.fleetClock.outlier = stored["fleet_outlier"] ?? 0
        totals.fleetClock.outliers = stored["fleet_outliers"] ?? 0
        totals.fleetClock.livedSinceOutlier = stored["fleet_since_outlier"] ?? 0
        totals.refused = LineError.Reason.allCases.map { stored["refused." + $0.rawValue] ?? 0 }
        totals.dropped = DropReason.allCases.map { stored["dropped." + $0.rawValue] ?? 0 }
        totals.valuesDropped = DropReason.allCases.map { stored["values_dropped." + $0.rawValue] ?? 0 }
        return totals
    }
}
