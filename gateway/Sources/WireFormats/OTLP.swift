/// OTLP metrics in protobuf (`ExportMetricsServiceRequest`).
///
/// The measurement is the metric's name; tags are the chosen attributes of the resource and all of the data point. Gauges and sums
/// give the channel `value`; histograms and summaries `count`, `sum`, `mean` and, where sent, `min` and `max`.
public struct OTLP {
    static let attributesMax = 128
    private let resourceNames: ResourceAttributes
    /// Data points so far, which are the places in refusals.
    private(set) var points = 0
    private var resource: [Attribute] = []
    private var own: [Attribute] = []

    struct Attribute {
        var key: UnsafeRawBufferPointer
        /// nil for values that are no tag: arrays, maps, bytes.
        var value: Value?
        enum Value {
            case text(UnsafeRawBufferPointer)
            case plain(String)
        }
    }

    /// Decodes a whole request into `batch`; one data point that cannot be a line is refused alone.
    /// - Returns: the data points in the request.
    /// - Errors: as `RemoteWrite.decode`.
    @discardableResult
    public static func decode(
        _ body: UnsafeRawBufferPointer, resourceNames: ResourceAttributes = .standard, into batch: inout LineBatch
    ) throws(WireError) -> Int {
        var reader = ProtobufReader(body, format: "OTLP")
        var decoder = OTLP(resourceNames: resourceNames)
        while let (number, type) = try reader.next() {
            guard number == 1 else {
                try reader.skip(type)
                continue
            }
            try reader.expect(type, .bytes, "resource_metrics")
            let metrics = try reader.message()
            try decoder.resourceMetrics(metrics, &batch)
        }
        return decoder.points
    }

    private init(resourceNames: ResourceAttributes) { self.resourceNames = resourceNames }

    private mutating func resourceMetrics(_ message: ProtobufReader, _ batch: inout LineBatch) throws(WireError) {
        resource.removeAll(keepingCapacity: true)
        // The resource may stand behind what it describes.
        var first = message
        while let (number, type) = try first.next() {
            guard number == 1 else {
                try first.skip(type)
                continue
            }
            try first.expect(type, .bytes, "a resource")
            var inside = try first.message()
            while let (number, type) = try inside.next() {
                guard number == 1, type == .bytes else {
                    try inside.skip(type)
                    continue
                }
                var pair = try inside.message()
                let attribute = try OTLP.attribute(&pair)
                if resourceNames.bytes.contains(where: { attribute.key.elementsEqual($0) }) {
                    try OTLP.add(attribute, to: &resource, inside)
                }
            }
        }
        var second = message
        while let (number, type) = try second.next() {
            guard number == 2 else {
                try second.skip(type)
                continue
            }
            try second.expect(type, .bytes, "scope_metrics")
            var scope = try second.message()
            while let (number, type) = try scope.next() {
                guard number == 2 else {
                    try scope.skip(type)
                    continue
                }
                try scope.expect(type, .bytes, "a metric")
                let metric = try scope.message()
                try self.metric(metric, &batch)
            }
        }
    }

    private mutating func metric(_ message: ProtobufReader, _ batch: inout LineBatch) throws(WireError) {
        var name = UnsafeRawBufferPointer(start: nil, count: 0)
        var first = message
        while let (number, type) = try first.next() {
            if number == 1, type == .bytes { name = try first.bytes() } else { try first.skip(type) }
        }
        var second = message
        while let (number, type) = try second.next() {
            guard let layout = Layout(field: number) else {
                try second.skip(type)
                continue
            }
            try second.expect(type, .bytes, "the data of a metric")
            var data = try second.message()
            while let (number, type) = try data.next() {
                guard number == 1, type == .bytes else {
                    try data.skip(type)
                    continue
                }
                var point = try data.message()
                try self.point(&point, layout, name, &batch)
            }
        }
    }

    /// Field numbers of the kinds of data points.
    private struct Layout {
        var shape: MetricPoint.Shape
        var attributes: Int
        var flags: Int
        var min: Int
        var max: Int

        init?(field: Int) {
            switch field {
            case 5, 7: (shape, attributes, flags, min, max) = (.number, 7, 8, 0, 0)
            case 9: (shape, attributes, flags, min, max) = (.histogram, 9, 10, 11, 12)
            case 10: (shape, attributes, flags, min, max) = (.histogram, 1, 10, 12, 13)
            case 11: (shape, attributes, flags, min, max) = (.summary, 7, 8, 0, 0)
            default: return nil
            }
        }
    }

    private mutating func point(
        _ message: inout ProtobufReader, _ layout: Layout, _ name: UnsafeRawBufferPointer, _ batch: inout LineBatch
    ) throws(WireError) {
        points += 1
        own.removeAll(keepingCapacity: true)
        var point = MetricPoint(shape: layout.shape)
        while let (number, type) = try message.next() {
            switch (number, type) {
            case (3, .fixed64): point.time = try message.fixed64()
            case (layout.attributes, .bytes):
                var pair = try message.message()
                try OTLP.add(OTLP.attribute(&pair), to: &own, message)
            case (layout.flags, .varint): point.hasNoValue = try message.varint() & 1 == 1
            case (4, .fixed64):
                if layout.shape == .number { point.value = try message.double() } else { point.count = try message.fixed64() }
            case (6, .fixed64) where layout.shape == .number: point.value = Double(Int64(bitPattern: try message.fixed64()))
            case (5, .fixed64) where layout.shape != .number: point.sum = try message.double()
            case (layout.min, .fixed64): point.min = try message.double()
            case (layout.max, .fixed64): point.max = try message.double()
            default: try message.skip(type)
            }
        }
        guard head(name, &batch) else {
            return batch.refuse(points, "cannot name data point: got an empty name, control characters or too many bytes, expected text")
        }
        try point.write(place: points, into: &batch)
    }

    private func head(_ name: UnsafeRawBufferPointer, _ batch: inout LineBatch) -> Bool {
        guard batch.begin(measurement: name) else { return false }
        for attribute in resource where !own.contains(where: { $0.key.elementsEqual(attribute.key) }) {
            guard OTLP.tag(attribute, &batch) else { return false }
        }
        for attribute in own { guard OTLP.tag(attribute, &batch) else { return false } }
        return batch.endHead()
    }

    private static func tag(_ attribute: Attribute, _ batch: inout LineBatch) -> Bool {
        switch attribute.value {
        case .text(let bytes): return batch.tag(attribute.key, bytes)
        case .plain(var text): return text.withUTF8 { batch.tag(attribute.key, UnsafeRawBufferPointer($0)) }
        case nil: return true
        }
    }

    private static func add(_ attribute: Attribute, to list: inout [Attribute], _ reader: ProtobufReader) throws(WireError) {
        guard list.count < attributesMax else {
            throw reader.failure(at: reader.offset, got: "more attributes", expected: "at most \(attributesMax)")
        }
        list.append(attribute)
    }

    private static func attribute(_ pair: inout ProtobufReader) throws(WireError) -> Attribute {
        var attribute = Attribute(key: UnsafeRawBufferPointer(start: nil, count: 0), value: nil)
        while let (number, type) = try pair.next() {
            switch (number, type) {
            case (1, .bytes): attribute.key = try pair.bytes()
            case (2, .bytes):
                var any = try pair.message()
                attribute.value = try value(&any)
            default: try pair.skip(type)
            }
        }
        return attribute
    }

    private static func value(_ any: inout ProtobufReader) throws(WireError) -> Attribute.Value? {
        var value: Attribute.Value?
        while let (number, type) = try any.next() {
            switch (number, type) {
            case (1, .bytes): value = .text(try any.bytes())
            case (2, .varint): value = .plain(try any.varint() != 0 ? "true" : "false")
            case (3, .varint): value = .plain(String(Int64(bitPattern: try any.varint())))
            case (4, .fixed64): value = .plain(try any.double().description)
            default: try any.skip(type)
            }
        }
        return value
    }
}
