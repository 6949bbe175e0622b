/// Prometheus remote write, 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`), after snappy.
///
/// Each series is a stream: `__name__` is the measurement, the other labels are tags, every sample a line with the channel `value`.
/// Native histograms give the channels `count`, `sum` and `mean`.
public enum RemoteWrite {
    public enum Version: Sendable { case one, two }

    /// What of the request became lines, by the kinds that 2.0 counts.
    public struct Written: Sendable, Equatable {
        public var samples = 0
        public var histograms = 0

        public init(samples: Int = 0, histograms: Int = 0) { (self.samples, self.histograms) = (samples, histograms) }
    }

    static let symbolsMax = 1 << 20
    static let labelsMax = 256

    /// Decodes a whole request into `batch`. A series with a name that cannot stand in a line is refused alone.
    /// - Errors: bytes that are no such message, or too many lines; what is in `batch` then is not meant to be sent.
    @discardableResult
    public static func decode(
        _ body: UnsafeRawBufferPointer, version: Version, into batch: inout LineBatch
    ) throws(WireError) -> Written {
        var reader = ProtobufReader(body, format: version == .one ? "remote write 1.0" : "remote write 2.0")
        var series = Series(symbols: [])
        if version == .two {
            var first = reader
            series.symbols = try symbols(&first)
        }
        let field = version == .one ? 1 : 5
        var place = 0
        while let (number, type) = try reader.next() {
            guard number == field else {
                try reader.skip(type)
                continue
            }
            try reader.expect(type, .bytes, "a time series")
            place += 1
            var inside = try reader.message()
            try series.read(&inside, version, place, into: &batch)
        }
        return series.written
    }

    /// The table of 2.0, which may stand behind the series that refer to it.
    private static func symbols(_ reader: inout ProtobufReader) throws(WireError) -> [UnsafeRawBufferPointer] {
        var symbols: [UnsafeRawBufferPointer] = []
        while let (number, type) = try reader.next() {
            guard number == 4 else {
                try reader.skip(type)
                continue
            }
            try reader.expect(type, .bytes, "a symbol")
            guard symbols.count < symbolsMax else {
                throw .tooLarge(what: "symbols of the request", got: symbols.count + 1, max: symbolsMax)
            }
            symbols.append(try reader.bytes())
        }
        return symbols
    }

    /// One series at a time; the arrays are used again for the next.
    private struct Series {
        var symbols: [UnsafeRawBufferPointer]
        var written = Written()
        private var labels: [(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)] = []

        init(symbols: [UnsafeRawBufferPointer]) { self.symbols = symbols }

        mutating func read(
            _ message: inout ProtobufReader, _ version: Version, _ place: Int, into batch: inout LineBatch
        ) throws(WireError) {
            labels.removeAll(keepingCapacity: true)
            var names = message
            var samples = 0
            var histograms = 0
            while let (number, type) = try names.next() {
                switch number {
                case 1:
                    if version == .one {
                        try names.expect(type, .bytes, "a label")
                        var label = try names.message()
                        try add(&label)
                    } else if type == .bytes {
                        var packed = try names.message()
                        try addReferences(&packed)
                    } else {
                        throw names.failure(at: names.offset, got: "unpacked references", expected: "packed label references")
                    }
                case 2:
                    samples += 1
                    try names.skip(type)
                case version == .one ? 4 : 3:
                    histograms += 1
                    try names.skip(type)
                default: try names.skip(type)
                }
            }
            if samples + histograms == 0 { return }
            guard begin(place, readings: samples + histograms, &batch) else { return }
            while let (number, type) = try message.next() {
                switch number {
                case 2:
                    try message.expect(type, .bytes, "a sample")
                    var sample = try message.message()
                    try read(sample: &sample, place, into: &batch)
                case version == .one ? 4 : 3:
                    try message.expect(type, .bytes, "a histogram")
                    var histogram = try message.message()
                    try read(histogram: &histogram, place, into: &batch)
                default: try message.skip(type)
                }
            }
        }

        private mutating func add(_ label: inout ProtobufReader) throws(WireError) {
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            var pair = (name: nothing, value: nothing)
            while let (number, type) = try label.next() {
                switch number {
                case 1:
                    try label.expect(type, .bytes, "a label name")
                    pair.name = try label.bytes()
                case 2:
                    try label.expect(type, .bytes, "a label value")
                    pair.value = try label.bytes()
                default: try label.skip(type)
                }
            }
            try room(label)
            labels.append(pair)
        }

        private mutating func addReferences(_ packed: inout ProtobufReader) throws(WireError) {
            while !packed.isAtEnd {
                let start = packed.offset
                let name = try packed.varint()
                guard !packed.isAtEnd else {
                    throw packed.failure(at: start, got: "an odd number of references", expected: "pairs of name and value")
                }
                let value = try packed.varint()
                guard name < symbols.count, value < symbols.count else {
                    throw packed.failure(
                        at: start, got: "references \(name) and \(value)", expected: "less than the \(symbols.count) symbols")
                }
                try room(packed)
                labels.append((symbols[Int(name)], symbols[Int(value)]))
            }
        }

        private func room(_ reader: ProtobufReader) throws(WireError) {
            guard labels.count < RemoteWrite.labelsMax else {
                throw reader.failure(at: reader.offset, got: "more labels", expected: "at most \(RemoteWrite.labelsMax) in a series")
            }
        }

        /// Writes the head. false: the series is refused.
        private func begin(_ place: Int, readings: Int, _ batch: inout LineBatch) -> Bool {
            guard let name = labels.first(where: { $0.name.elementsEqual(RemoteWrite.nameLabel) }) else {
                batch.refuse(place, "cannot name series: got no label __name__, expected one", readings: readings)
                return false
            }
            var isGood = batch.begin(measurement: name.value)
            for label in labels where isGood && !label.name.elementsEqual(RemoteWrite.nameLabel) {
                isGood = batch.tag(label.name, label.value)
            }
            guard isGood else {
                batch.refuse(place, "cannot name series: got an empty name, # or control characters, expected text", readings: readings)
                return false
            }
            guard batch.endHead() else {
                batch.refuse(place, "cannot name series: got more than \(LineBatch.headBytesMax) bytes of labels", readings: readings)
                return false
            }
            return true
        }

        private mutating func read(
            sample: inout ProtobufReader, _ place: Int, into batch: inout LineBatch
        ) throws(WireError) {
            var value = 0.0
            var milliseconds: Int64 = 0
            while let (number, type) = try sample.next() {
                switch number {
                case 1:
                    try sample.expect(type, .fixed64, "a value")
                    value = try sample.double()
                case 2:
                    try sample.expect(type, .varint, "a timestamp")
                    milliseconds = Int64(bitPattern: try sample.varint())
                default: try sample.skip(type)
                }
            }
            // Stale markers and other NaN say that there is no value.
            guard value.isFinite else {
                batch.skippedCount += 1
                written.samples += 1
                return
            }
            guard let time = RemoteWrite.nanoseconds(milliseconds) else { return refuse(time: milliseconds, place, &batch) }
            try batch.beginLine()
            batch.field("value", value, isFirst: true)
            batch.endLine(time: time, place: place)
            written.samples += 1
        }

        private mutating func read(
            histogram: inout ProtobufReader, _ place: Int, into batch: inout LineBatch
        ) throws(WireError) {
            var count = 0.0
            var sum = 0.0
            var milliseconds: Int64 = 0
            while let (number, type) = try histogram.next() {
                switch (number, type) {
                case (1, .varint): count = Double(try histogram.varint())
                case (2, .fixed64): count = try histogram.double()
                case (3, .fixed64): sum = try histogram.double()
                case (15, .varint): milliseconds = Int64(bitPattern: try histogram.varint())
                default: try histogram.skip(type)
                }
            }
            guard count.isFinite, sum.isFinite else {
                batch.skippedCount += 1
                written.histograms += 1
                return
            }
            guard let time = RemoteWrite.nanoseconds(milliseconds) else { return refuse(time: milliseconds, place, &batch) }
            try batch.beginLine()
            batch.field("count", count, isFirst: true)
            batch.field("sum", sum, isFirst: false)
            if count > 0 { batch.field("mean", sum / count, isFirst: false) }
            batch.endLine(time: time, place: place)
            written.histograms += 1
        }

        private func refuse(time: Int64, _ place: Int, _ batch: inout LineBatch) {
            batch.refuse(place, "cannot read timestamp: got \(time) ms, expected a moment between 1677 and 2262")
        }
    }

    private static let nameLabel = Array("__name__".utf8)

    static func nanoseconds(_ milliseconds: Int64) -> Int64? {
        let (time, isOver) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        return isOver ? nil : time
    }
}
