/// A data point of OTLP, whichever encoding it came in.
struct MetricPoint {
    enum Shape { case number, histogram, summary }

    var shape = Shape.number
    /// Nanoseconds since 1970; 0 when the sender gave none.
    var time: UInt64 = 0
    var value: Double?
    var count: UInt64 = 0
    var sum: Double?
    var min: Double?
    var max: Double?
    /// The sender says that it has no value for this moment.
    var hasNoValue = false

    /// Writes the line behind the head that `batch` has. Points that say "no value", and NaN, are passed over.
    func write(place: Int, into batch: inout LineBatch) throws(WireError) {
        guard !hasNoValue else { return batch.skippedCount += 1 }
        guard time <= UInt64(Int64.max) else {
            return batch.refuse(place, "cannot read time_unix_nano: got \(time), expected a moment before 2262")
        }
        let moment = time == 0 ? nil : Int64(time)
        switch shape {
        case .number:
            guard let value, value.isFinite else { return batch.skippedCount += 1 }
            try batch.beginLine()
            batch.field("value", value, isFirst: true)
        case .histogram, .summary:
            try batch.beginLine()
            batch.field("count", Double(count), isFirst: true)
            if let sum, sum.isFinite {
                batch.field("sum", sum, isFirst: false)
                if count > 0 { batch.field("mean", sum / Double(count), isFirst: false) }
            }
            if let min, min.isFinite { batch.field("min", min, isFirst: false) }
            if let max, max.isFinite { batch.field("max", max, isFirst: false) }
        }
        batch.endLine(time: moment, place: place)
    }
}

/// Which attributes of a resource name the stream. Those of data points always do.
public struct ResourceAttributes: Sendable, Equatable {
    public let names: [String]
    let bytes: [[UInt8]]
    public static let standard = ResourceAttributes(["service.namespace", "service.name", "service.instance.id", "host.name"])

    public init(_ names: [String]) { (self.names, bytes) = (names, names.map { Array($0.utf8) }) }
}
