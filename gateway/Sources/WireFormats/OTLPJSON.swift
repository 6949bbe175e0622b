import Tabular

/// OTLP metrics in JSON: the same message with lowerCamelCase names, 64-bit integers as text or numbers. Unknown names are ignored.
public struct OTLPJSON {
    private let resourceNames: ResourceAttributes
    private var points = 0

    /// Decodes a whole request into `batch`. `body` should be bounded to some megabytes, as its tree takes several times its size.
    /// - Returns: the data points in the request.
    @discardableResult
    public static func decode(
        _ body: [UInt8], resourceNames: ResourceAttributes = .standard, into batch: inout LineBatch
    ) throws(WireError) -> Int {
        let document: JSONValue
        do { document = try JSONValue.parse(body) } catch {
            throw .malformed(format: "OTLP", offset: 0, got: "\(error)", expected: "a JSON document")
        }
        guard case .object = document else {
            throw .malformed(format: "OTLP", offset: 0, got: "another JSON value", expected: "an object with resourceMetrics")
        }
        var decoder = OTLPJSON(resourceNames: resourceNames)
        for metrics in try list(document, "resourceMetrics") {
            let kept = try attributes(metrics["resource"]).filter { resourceNames.names.contains($0.0) }
            for scope in try list(metrics, "scopeMetrics") {
                for metric in try list(scope, "metrics") { try decoder.metric(metric, kept, &batch) }
            }
        }
        return decoder.points
    }

    private init(resourceNames: ResourceAttributes) { self.resourceNames = resourceNames }

    private mutating func metric(_ metric: JSONValue, _ resource: [(String, String)], _ batch: inout LineBatch) throws(WireError) {
        let name = metric["name"]?.text ?? ""
        for (member, shape) in [
            ("gauge", MetricPoint.Shape.number), ("sum", .number), ("histogram", .histogram), ("exponentialHistogram", .histogram),
            ("summary", .summary),
        ] {
            guard let data = metric[member] else { continue }
            for point in try OTLPJSON.list(data, "dataPoints") { try self.point(point, shape, name, resource, &batch) }
        }
    }

    private mutating func point(
        _ json: JSONValue, _ shape: MetricPoint.Shape, _ name: String, _ resource: [(String, String)], _ batch: inout LineBatch
    ) throws(WireError) {
        points += 1
        let own = try OTLPJSON.attributes(json)
        var isGood = batch.begin(measurement: name)
        for (key, value) in resource where isGood && !own.contains(where: { $0.0 == key }) { isGood = batch.tag(key, value) }
        for (key, value) in own where isGood { isGood = batch.tag(key, value) }
        guard isGood, batch.endHead() else {
            return batch.refuse(points, "cannot name data point: got an empty name, control characters or too many bytes, expected text")
        }
        var point = MetricPoint(shape: shape)
        do throws(Bad) {
            point.time = try OTLPJSON.unsigned(json["timeUnixNano"], "timeUnixNano") ?? 0
            point.hasNoValue = (try OTLPJSON.unsigned(json["flags"], "flags") ?? 0) & 1 == 1
            if shape == .number {
                if let value = json["asDouble"] {
                    point.value = try OTLPJSON.double(value, "asDouble")
                } else if let value = json["asInt"] {
                    guard let number = value.integerValue ?? value.text.flatMap({ Int64($0) }) else { throw Bad("asInt", value) }
                    point.value = Double(number)
                }
            } else {
                point.count = try OTLPJSON.unsigned(json["count"], "count") ?? 0
                point.sum = try json["sum"].map { value throws(Bad) in try OTLPJSON.double(value, "sum") }
                point.min = try json["min"].map { value throws(Bad) in try OTLPJSON.double(value, "min") }
                point.max = try json["max"].map { value throws(Bad) in try OTLPJSON.double(value, "max") }
            }
        } catch { return batch.refuse(points, error.text) }
        try point.write(place: points, into: &batch)
    }

    /// A member of a data point that is not what it should be.
    private struct Bad: Error {
        let text: String
        init(_ name: String, _ value: JSONValue) { text = "cannot read \(name): got \(value.compact.prefix(40)), expected a number" }
    }

    private static func unsigned(_ value: JSONValue?, _ name: String) throws(Bad) -> UInt64? {
        guard let value, value != .null else { return nil }
        if let number = value.integerValue, number >= 0 { return UInt64(number) }
        guard let number = value.text.flatMap({ UInt64($0) }) else { throw Bad(name, value) }
        return number
    }

    private static func double(_ value: JSONValue, _ name: String) throws(Bad) -> Double {
        if let number = value.doubleValue { return number }
        switch value.text {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default:
            guard let number = value.text.flatMap({ Double($0) }) else { throw Bad(name, value) }
            return number
        }
    }

    private static func list(_ value: JSONValue, _ name: String) throws(WireError) -> [JSONValue] {
        guard let member = value[name], member != .null else { return [] }
        guard let items = member.items else {
            throw .malformed(format: "OTLP", offset: 0, got: "\(name) that is no array", expected: "an array")
        }
        return items
    }

    private static func attributes(_ owner: JSONValue?) throws(WireError) -> [(String, String)] {
        guard let owner else { return [] }
        let items = try list(owner, "attributes")
        guard items.count <= OTLP.attributesMax else {
            throw .malformed(format: "OTLP", offset: 0, got: "\(items.count) attributes", expected: "at most \(OTLP.attributesMax)")
        }
        return items.compactMap { pair in
            guard let key = pair["key"]?.text, let any = pair["value"] else { return nil }
            if let text = any["stringValue"]?.text { return (key, text) }
            if let truth = any["boolValue"]?.truth { return (key, truth ? "true" : "false") }
            if let value = any["intValue"] { return (value.text ?? value.integerValue.map(String.init)).map { (key, $0) } }
            if let number = any["doubleValue"]?.doubleValue { return (key, number.description) }
            return nil
        }
    }
}
