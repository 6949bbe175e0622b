import Configuration
import Control
import Models
import RecurrentNetwork

/// The streams of a table as standardised training series of one shared model.
struct TrainingHistory {
    /// One stream.
    struct Stream {
        let key: String
        let scale: ModelCard.Scale
        /// [readings][channels], standardised.
        let values: [Float]
        let readings: Int
        /// Values that were missing and took the channel's last one.
        let filled: Int
    }

    /// Names in the order of the inputs.
    let channels: [String]
    let streams: [Stream]
    /// Streams that have too few readings, with their count.
    let leftOut: [(key: String, readings: Int)]

    /// Chooses channels and streams, fills gaps with the last value, standardises by the part that is not held back.
    /// - Parameters:
    ///   - chosen: channels; nil: all, which every chosen stream must have.
    ///   - readingsMin: shorter streams are left out.
    /// - Errors: no stream matches, streams have different channels.
    init(
        _ table: HistoryTable, channels chosen: [String]?, streams glob: String, validationFraction: Double, readingsMin: Int
    ) throws {
        let wanted = table.streams.indices.filter { Glob.matches(glob, table.streams[$0]) }
        guard !wanted.isEmpty else {
            throw ControlError.failed(
                "cannot train: no stream matches \(glob); there are \(table.streams.prefix(5).joined(separator: ", "))")
        }
        var rows = [[Int]](repeating: [], count: table.streams.count)
        for (index, row) in table.rows.enumerated() { rows[row.stream].append(index) }
        channels = try chosen ?? TrainingHistory.commonChannels(table, wanted, rows)
        let places = try channels.map { name in
            guard let place = table.place(of: name) else {
                throw ControlError.failed("cannot train: no channel \"\(name)\"; there are \(table.channels.joined(separator: ", "))")
            }
            return place
        }
        var streams: [Stream] = []
        var leftOut: [(key: String, readings: Int)] = []
        for index in wanted {
            let (filledRows, filled) = TrainingHistory.filled(table, rows[index], places)
            let count = filledRows.count / max(1, places.count)
            guard count >= readingsMin else {
                leftOut.append((table.streams[index], count))
                continue
            }
            let known = count - Int((Double(count) * validationFraction).rounded(.down))
            let scale = TrainingHistory.scale(filledRows[..<(known * places.count)], channelCount: places.count)
            let values = filledRows.indices.map {
                Float((filledRows[$0] - scale.mean[$0 % places.count]) / scale.deviation[$0 % places.count])
            }
            streams.append(Stream(key: table.streams[index], scale: scale, values: values, readings: count, filled: filled))
        }
        guard !streams.isEmpty else {
            throw ControlError.failed(
                "cannot train: the longest stream has \(leftOut.map(\.readings).max() ?? 0) readings, expected at least \(readingsMin) (window, horizon and the held-back part); give a smaller --window or more history"
            )
        }
        (self.streams, self.leftOut) = (streams, leftOut)
    }

    /// Forecasting pairs of all streams.
    func series(horizon: Int) throws -> [TrainingSeries] {
        try streams.map { try TrainingSeries(forecasting: $0.values, channelCount: channels.count, horizon: horizon) }
    }

    /// The mean of the streams' scales.
    var pooled: ModelCard.Scale {
        func mean(_ values: [[Double]]) -> [Double] {
            channels.indices.map { channel in values.reduce(0) { $0 + $1[channel] } / Double(max(1, values.count)) }
        }
        return .init(mean: mean(streams.map(\.scale.mean)), deviation: mean(streams.map(\.scale.deviation)))
    }

    /// A digest of everything that goes into the training.
    var digest: String {
        var bytes: [UInt8] = Array(channels.joined(separator: ",").utf8)
        for stream in streams {
            bytes += Array(stream.key.utf8)
            stream.values.withUnsafeBytes { bytes += $0 }
        }
        return Digest.sha256(bytes)
    }

    private static func commonChannels(_ table: HistoryTable, _ wanted: [Int], _ rows: [[Int]]) throws -> [String] {
        func names(_ stream: Int) -> [String] {
            let seen = Set(
                rows[stream].flatMap { index in
                    table.channels.indices.filter { !table.value(table.rows[index], $0).isNaN }
                })
            return table.channels.indices.filter(seen.contains).map { table.channels[$0] }
        }
        let first = names(wanted[0])
        for stream in wanted.dropFirst() {
            let others = names(stream)
            guard others == first else {
                throw ControlError.failed(
                    "cannot train one model: \(table.streams[wanted[0]]) has channels \(first.joined(separator: ", ")), \(table.streams[stream]) has \(others.joined(separator: ", ")); choose with --channels or --streams"
                )
            }
        }
        guard !first.isEmpty else { throw ControlError.failed("cannot train: no channel has a value") }
        return first
    }

    /// Rows of all channels from the first complete one on; what is missing keeps the last value.
    private static func filled(_ table: HistoryTable, _ rows: [Int], _ places: [Int]) -> (values: [Double], filled: Int) {
        var last = [Double](repeating: .nan, count: places.count)
        var values: [Double] = []
        var filled = 0
        for index in rows {
            var missing = 0
            for (channel, place) in places.enumerated() {
                let value = table.value(table.rows[index], place)
                if value.isNaN { missing += 1 } else { last[channel] = value }
            }
            guard missing < places.count, !last.contains(where: \.isNaN) else { continue }
            filled += missing
            values += last
        }
        return (values, filled)
    }

    /// Mean and standard deviation; 1 for a channel that never moves.
    private static func scale(_ values: ArraySlice<Double>, channelCount: Int) -> ModelCard.Scale {
        let count = Double(max(1, values.count / max(1, channelCount)))
        var mean = [Double](repeating: 0, count: channelCount)
        var deviation = [Double](repeating: 0, count: channelCount)
        for (index, value) in values.enumerated() { mean[index % channelCount] += value / count }
        for (index, value) in values.enumerated() {
            let distance = value - mean[index % channelCount]
            deviation[index % channelCount] += distance * distance / count
        }
        deviation = zip(deviation, mean).map { variance, mean in
            let deviation = variance.squareRoot()
            return deviation > 1e-9 * max(1, abs(mean)) && deviation.isFinite ? deviation : 1
        }
        return .init(mean: mean, deviation: deviation)
    }
}
