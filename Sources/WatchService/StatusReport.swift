import Ingest
import LineFormats
import Platform
import Readings
import Store
import Tabular
import Watching
import TimeSeries

/// The numbers behind `rnnctl status` and the metrics file.
struct StatusReport: Sendable {
    var version: String
    var startedAt: Int64
    var now: Int64
    var ingest: IngestTotals
    var streams: Int
    var connections: Int
    var door: IngestSnapshot
    var refusals: [(time: Int64, source: String, line: Int64, text: String)]
    var shards: [ShardRunner.Statistics]
    var writer: WriterRunner.Statistics
    var alertsOpen: Int64
    var alertsTotal: Int64
    var queueFill: Double
    var databaseBytes: Int64
    var lastCheckpointAt: Int64?
    var residentBytes: Int64
    /// Bytes a day; nil for no limit.
    var writeBudget: Int64?
    /// Readings a second since the start and lately.
    var readingsPerSecond: Double

    /// Seconds from arrival to score that this share of the readings of the last minute kept within.
    private func lag(_ share: Double) -> Double {
        Double(LagHistogram.percentile(share, of: shards.map(\.lags), now: Clocks.monotonic())) * 1e-9
    }

    var json: JSONValue {
        let refused = zip(LineError.Reason.allCases, ingest.refused).filter { $1 > 0 }.map { JSONValue.Member($0.rawValue, .integer($1)) }
        let dropped = zip(DropReason.allCases, ingest.dropped).filter { $1 > 0 }.map { JSONValue.Member($0.rawValue, .integer($1)) }
        let values = zip(DropReason.allCases, ingest.valuesDropped).filter { $1 > 0 }.map { JSONValue.Member($0.rawValue, .integer($1)) }
        return .object([
            "version": .string(version), "started_at": .string(TimeText.seconds(startedAt)),
            "uptime_seconds": .integer(now.since(startedAt) / 1_000_000_000), "lines_received": .integer(ingest.linesReceived),
            "lines_refused": .object(refused), "lines_ignored": .integer(ingest.linesIgnored),
            "readings_accepted": .integer(ingest.readingsAccepted), "values_accepted": .integer(ingest.valuesAccepted),
            "readings_dropped": .object(dropped), "values_dropped": .object(values),
            "readings_per_second": .number((readingsPerSecond * 10).rounded() / 10),
            "readings_scored": .integer(shards.map(\.readingsScored).reduce(0, +)),
            "channels_forecast": .integer(Int64(shards.map(\.forecasts.channels).reduce(0, +))),
            "channels_worse_than_last": .integer(Int64(shards.map(\.forecasts.worse).reduce(0, +))),
            "readout_restarts": .integer(Int64(clamping: shards.map(\.forecasts.restarts).reduce(0, +))),
            "streams": .integer(Int64(streams)), "connections": .integer(Int64(connections)),
            "clients": .array(
                door.peers.map {
                    .object([
                        "uid": .integer(Int64($0.user)), "connections": .integer(Int64($0.connections)),
                        "waiting": .integer(Int64($0.waiting)), "lines": .integer($0.lines), "lines_refused": .integer($0.refused),
                    ])
                }),
            "clients_made_room": .integer(door.madeRoom), "clients_turned_away": .integer(door.turnedAway),
            "descriptors_out": .integer(door.descriptorsOut), "producers_evicted": .integer(door.producersEvicted),
            "alerts_open": .integer(alertsOpen),
            "alerts_total": .integer(alertsTotal), "queue_fill": .number((queueFill * 1000).rounded() / 1000),
            "lag_seconds": .number(Double(shards.map(\.lag).max() ?? 0) * 1e-9),
            "lag_p50_seconds": .number(lag(0.5)), "lag_p99_seconds": .number(lag(0.99)), "lag_p999_seconds": .number(lag(0.999)),
            "last_checkpoint": lastCheckpointAt.map { .string(TimeText.milliseconds($0)) } ?? .null,
            "checkpoint_blocks_written": .integer(writer.checkpoints), "commits": .integer(writer.commits),
            "bytes_received": .integer(ingest.bytesReceived), "bytes_written": .integer(writer.bytesWritten),
            "bytes_written_per_day": writer.bytesWrittenPerDay.map { .integer($0) } ?? .null,
            "payload_bytes_written": .integer(writer.payloadBytes),
            "write_budget_per_day": writeBudget.map { .integer($0) } ?? .null,
            "intervals_stretched": .number((writer.stretch * 10).rounded() / 10),
            "database_bytes": .integer(databaseBytes), "storage_problem": .optional(writer.problem),
            "state_bytes": .integer(Int64(shards.map(\.stateBytes).reduce(0, +))), "resident_bytes": .integer(residentBytes),
            "recent_refusals": .array(
                refusals.map {
                    .object([
                        "time": .string(TimeText.milliseconds($0.time)), "source": .string($0.source),
                        "line": .integer($0.line),
                        "error": .string($0.text),
                    ])
                }),
        ])
    }

    /// Prometheus exposition format 0.0.4.
    var metrics: String {
        var out = ""
        func family(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: Double)]) {
            out += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
            for sample in samples { out += "\(name)\(sample.labels) \(sample.value)\n" }
        }
        func counter(_ name: String, _ help: String, _ value: Int64) { family(name, "counter", help, [("", Double(value))]) }
        func gauge(_ name: String, _ help: String, _ value: Double) { family(name, "gauge", help, [("", value)]) }
        counter("rnnwatchd_lines_received_total", "Lines received.", ingest.linesReceived)
        family(
            "rnnwatchd_lines_refused_total", "counter", "Lines refused by reason.",
            zip(LineError.Reason.allCases, ingest.refused).map { ("{reason=\"\($0.rawValue)\"}", Double($1)) })
        counter("rnnwatchd_readings_accepted_total", "Readings accepted.", ingest.readingsAccepted)
        family(
            "rnnwatchd_readings_dropped_total", "counter", "Readings dropped as a whole by reason.",
            zip(DropReason.allCases, ingest.dropped).map { ("{reason=\"\($0.rawValue)\"}", Double($1)) })
        family(
            "rnnwatchd_values_dropped_total", "counter", "Single values left out by reason.",
            zip(DropReason.allCases, ingest.valuesDropped).map { ("{reason=\"\($0.rawValue)\"}", Double($1)) })
        counter("rnnwatchd_readings_scored_total", "Readings judged.", shards.map(\.readingsScored).reduce(0, +))
        gauge("rnnwatchd_streams", "Streams known.", Double(streams))
        let forecast = shards.map(\.forecasts.channels).reduce(0, +)
        gauge(
            "rnnwatchd_channels_worse_than_last_ratio", "Share of channels whose forecast is worse than the reading before.",
            forecast > 0 ? Double(shards.map(\.forecasts.worse).reduce(0, +)) / Double(forecast) : 0)
        counter(
            "rnnwatchd_readout_restarts_total", "Times that a readout began anew.",
            Int64(clamping: shards.map(\.forecasts.restarts).reduce(0, +)))
        gauge("rnnwatchd_connections", "Ingest connections.", Double(connections))
        counter("rnnwatchd_clients_made_room_total", "Ingest clients closed because others wanted in.", door.madeRoom)
        counter("rnnwatchd_clients_turned_away_total", "Ingest clients turned away because their user had too many.", door.turnedAway)
        counter("rnnwatchd_descriptors_out_total", "Times that no descriptor was left for a client.", door.descriptorsOut)
        counter("rnnwatchd_producers_evicted_total", "Names of numbering clients forgotten for room.", door.producersEvicted)
        gauge("rnnwatchd_alerts_open", "Open alerts.", Double(alertsOpen))
        counter("rnnwatchd_alerts_opened_total", "Alerts opened since the start.", writer.alertsOpened)
        gauge("rnnwatchd_queue_fill_ratio", "Share of batches under way.", queueFill)
        gauge("rnnwatchd_lag_seconds", "From a line's arrival to its score, newest batch.", Double(shards.map(\.lag).max() ?? 0) * 1e-9)
        histogram(&out)
        counter("rnnwatchd_written_bytes_total", "Payload bytes handed to the database since the start.", writer.payloadBytes)
        counter("rnnwatchd_device_written_bytes_total", "Bytes given to block devices since the start.", writer.bytesWritten)
        gauge("rnnwatchd_write_budget_stretch", "The write budget multiplies the intervals by this.", writer.stretch)
        gauge("rnnwatchd_database_bytes", "Size of the database with its log.", Double(databaseBytes))
        gauge("rnnwatchd_storage_healthy", "1 while commits succeed.", writer.problem == nil ? 1 : 0)
        gauge("rnnwatchd_state_bytes", "Memory held for learned state.", Double(shards.map(\.stateBytes).reduce(0, +)))
        gauge("rnnwatchd_resident_memory_bytes", "Resident memory.", Double(residentBytes))
        gauge("rnnwatchd_start_time_seconds", "Start time since 1970.", Double(startedAt) * 1e-9)
        return out
    }

    private func histogram(_ out: inout String) {
        let name = "rnnwatchd_reading_lag_seconds"
        out += "# HELP \(name) From the arrival of a reading to its score.\n# TYPE \(name) histogram\n"
        var readings: Int64 = 0
        for i in 0...LagHistogram.limits.count {
            readings += shards.reduce(0) { $0 + $1.lags.counts[i] }
            let limit = i < LagHistogram.limits.count ? "\(LagHistogram.limits[i])" : "+Inf"
            out += "\(name)_bucket{le=\"\(limit)\"} \(readings)\n"
        }
        out += "\(name)_sum \(shards.reduce(0) { $0 + $1.lags.seconds })\n\(name)_count \(readings)\n"
    }
}
