import Alerting
import Readings

/// How open episodes stand in a checkpoint.
enum EpisodeCodec {
    static func encode(_ episode: EpisodeBook.Episode, _ out: inout ByteWriter) {
        let alert = episode.alert
        out.text(alert.id)
        out.text(alert.streamKey)
        out.varint(UInt64(alert.channels.count))
        for channel in alert.channels { out.text(channel) }
        out.text(alert.kind.rawValue)
        out.text(alert.severity.rawValue)
        out.signed(alert.openedAt)
        out.signed(alert.updatedAt)
        for number in [
            alert.initialScore, alert.peakScore, alert.threshold, alert.observed, alert.expected, alert.bandLow, alert.bandHigh,
        ] {
            out.byte(number == nil ? 0 : 1)
            if let number { out.double(number) }
        }
        out.text(alert.reason)
        for list in [alert.contributions, alert.evidence] {
            out.varint(UInt64(list.count))
            for item in list {
                out.text(item.name)
                out.double(item.share)
                out.text(item.note)
            }
        }
        out.varint(UInt64(alert.context.count))
        for point in alert.context {
            out.signed(point.time)
            out.double(point.value)
        }
        out.signed(episode.lastActiveAt)
        out.varint(UInt64(episode.quietReadings))
        out.double(episode.toldPeak)
    }

    static func decode(stream: UInt32, _ reader: inout ByteReader) throws(CodingError) -> EpisodeBook.Episode {
        let start = reader.offset
        let id = try reader.text()
        let key = try reader.text()
        var channels: [String] = []
        for _ in 0..<(try reader.count(max: 4096, "number of channels")) { channels.append(try reader.text()) }
        guard let kind = AlertKind(rawValue: try reader.text()), let severity = Severity(rawValue: try reader.text()) else {
            throw CodingError(offset: start, expected: "a known kind and severity of alert")
        }
        let openedAt = try reader.signed()
        var alert = Alert(
            id: id, stream: stream, streamKey: key, channels: channels, kind: kind, severity: severity, openedAt: openedAt, reason: "")
        alert.updatedAt = try reader.signed()
        var numbers: [Double?] = []
        for _ in 0..<7 { numbers.append(try reader.byte() == 0 ? nil : try reader.double()) }
        (alert.initialScore, alert.peakScore, alert.threshold, alert.observed) = (numbers[0], numbers[1], numbers[2], numbers[3])
        (alert.expected, alert.bandLow, alert.bandHigh) = (numbers[4], numbers[5], numbers[6])
        alert.reason = try reader.text()
        alert.contributions = try contributions(&reader)
        alert.evidence = try contributions(&reader)
        for _ in 0..<(try reader.count(max: 4096, "number of readings")) {
            alert.context.append(ContextPoint(time: try reader.signed(), value: try reader.double()))
        }
        let lastActiveAt = try reader.signed()
        let quiet = try reader.count(max: Int(Int32.max), "number of readings")
        return EpisodeBook.Episode(alert: alert, lastActiveAt: lastActiveAt, quietReadings: quiet, toldPeak: try reader.double())
    }

    private static func contributions(_ reader: inout ByteReader) throws(CodingError) -> [Contribution] {
        var list: [Contribution] = []
        for _ in 0..<(try reader.count(max: 4096, "number of contributions")) {
            list.append(Contribution(name: try reader.text(), share: try reader.double(), note: try reader.text()))
        }
        return list
    }
}
