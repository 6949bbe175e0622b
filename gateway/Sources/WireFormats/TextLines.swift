import LineFormats

/// Bodies of lines: line protocol of the InfluxDB doors, and whatever the daemon's parser takes.
///
/// Every line is parsed with the daemon's own parser, so that a bad one is answered with its number and column at once. A line that
/// the daemon will read the same way goes on as it came; one with a stated precision, or of a token with a prefix or tags, and JSON
/// are written anew as line protocol.
public enum TextLines {
    public struct Options: Sendable {
        /// nil: each line is sniffed.
        public var format: LineFormat?
        public var timeUnit = TimeUnit.byMagnitude
        /// The whole body is one JSON document, whose line ends mean nothing.
        public var isOneDocument = false
        /// Further lines of at most so many bytes; the daemon's own `line_bytes_max` must not be less.
        public var lineBytesMax = 64 << 10
        public var documentBytesMax = 4 << 20

        public init(format: LineFormat? = nil, timeUnit: TimeUnit = .byMagnitude, isOneDocument: Bool = false) {
            (self.format, self.timeUnit, self.isOneDocument) = (format, timeUnit, isOneDocument)
        }
    }

    /// Reads `body` into `batch`; lines that cannot be read are its refusals, the others stand.
    /// - Errors: too many lines.
    public static func read(_ body: UnsafeRawBufferPointer, _ options: Options, into batch: inout LineBatch) throws(WireError) {
        let all = body.bindMemory(to: UInt8.self)
        var lineOptions = options
        if options.isOneDocument {
            guard body.count <= options.documentBytesMax else {
                throw .tooLarge(what: "JSON document", got: body.count, max: options.documentBytesMax)
            }
            lineOptions.lineBytesMax = Swift.max(body.count, 1024)
        }
        var parser = LineParser(
            limits: LineLimits(
                lineBytesMax: lineOptions.lineBytesMax, readingsPerLineMax: options.isOneDocument ? 1 << 16 : 4096,
                arenaBytesMax: options.isOneDocument ? 8 << 20 : 1 << 20), format: options.format)
        parser.timeUnit = options.timeUnit
        if options.isOneDocument { return try take(all, place: 1, &parser, options, &batch) }
        var start = 0
        var place = 0
        while start < all.count {
            place += 1
            var end = start
            while end < all.count, all[end] != Ascii.newline { end += 1 }
            var last = end
            if last > start, all[last - 1] == Ascii.carriageReturn { last -= 1 }
            try take(UnsafeBufferPointer(rebasing: all[start..<last]), place: place, &parser, options, &batch)
            start = end + 1
        }
    }

    private static func take(
        _ line: UnsafeBufferPointer<UInt8>, place: Int, _ parser: inout LineParser, _ options: Options, _ batch: inout LineBatch
    ) throws(WireError) {
        do throws(LineError) { try parser.parse(line) } catch {
            switch error.reason {
            // Lines of text and of missing values are what senders like Home Assistant mean to send.
            case .noNumericField, .notFinite, .unknownValue: batch.skippedCount += 1
            default: batch.refuse(place, error.description)
            }
            return
        }
        for refusal in parser.readings.refusals { batch.refuse(place, refusal.description) }
        batch.skippedCount += parser.readings.ignoredNonNumeric + parser.readings.nonFinite + parser.readings.unknownValues
        let count = parser.readings.count
        if count == 0 { return }
        if goesAsItIs(parser, options, batch) { return try batch.append(line: line, place: place) }
        for index in 0..<count {
            do throws(LineError) { batch.head(canonical: try parser.readings.canonicalKey(index)) } catch {
                batch.refuse(place, error.description)
                continue
            }
            try write(index, parser.readings, place, &batch)
        }
    }

    private static func goesAsItIs(_ parser: borrowing LineParser, _ options: Options, _ batch: LineBatch) -> Bool {
        guard batch.decoration.isNone, !options.isOneDocument else { return false }
        switch parser.format {
        case .influx, .plain, .prometheus: break
        default: return false
        }
        guard options.timeUnit != .byMagnitude, let time = parser.readings.time(0) else { return true }
        // What stands there are nanoseconds that the daemon takes for nanoseconds.
        return options.timeUnit == .nanoseconds && time.magnitude >= 5_000_000_000_000_000
    }

    private static func write(
        _ index: Int, _ readings: borrowing ReadingBuffer, _ place: Int, _ batch: inout LineBatch
    ) throws(WireError) {
        try batch.beginLine()
        for field in 0..<readings.fieldCount(index) {
            batch.field(readings.fieldName(index, field), readings.fieldValue(index, field), isFirst: field == 0)
        }
        batch.endLine(time: readings.time(index), place: place)
    }
}
