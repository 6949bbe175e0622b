import Testing

@testable import WireFormats

struct OTLPTests {
    private func text(_ key: String, _ value: String) -> Proto { Proto().adding(1, key).adding(2, Proto().adding(1, value)) }

    private func request(_ metric: Proto) -> Proto {
        let resource = Proto().adding(1, text("service.name", "shop")).adding(1, text("telemetry.sdk.name", "left out"))
        return Proto().adding(1, Proto().adding(1, resource).adding(2, Proto().adding(2, metric)))
    }

    @Test("Gauges and sums give the channel value, with the chosen resource attributes and those of the point as tags")
    func numbers() throws {
        let point = Proto().adding(7, text("route", "/a b")).adding(3, fixed: 1_700_000_000_000_000_001)
        let gauge = Proto().adding(1, "http.load").adding(5, Proto().adding(1, point.adding(4, double: 0.25)))
        let sum = Proto().adding(1, "hits").adding(7, Proto().adding(1, point.adding(6, fixed: UInt64(bitPattern: -7))))
        #expect(try otlp(request(gauge)).0.text == "http.load,service.name=shop,route=/a\\ b value=0.25 1700000000000000001\n")
        #expect(try otlp(request(sum)).0.text == "hits,service.name=shop,route=/a\\ b value=-7 1700000000000000001\n")
    }

    @Test("A histogram is count, sum, mean, min and max")
    func histogram() throws {
        let point = Proto().adding(3, fixed: 1_700_000_000_000_000_000).adding(4, fixed: 4).adding(5, double: 10)
            .adding(11, double: 1).adding(12, double: 5)
        let metric = Proto().adding(1, "t").adding(9, Proto().adding(1, point))
        #expect(
            try otlp(request(metric)).0.text == "t,service.name=shop count=4,sum=10,mean=2.5,min=1,max=5 1700000000000000000\n")
    }

    @Test("Points without a value are passed over; points without a name are refused and counted")
    func partial() throws {
        let silent = Proto().adding(3, fixed: 1_700_000_000_000_000_000).adding(8, varint: 1)
        let value = Proto().adding(3, fixed: 1_700_000_000_000_000_000).adding(4, double: 1)
        let (skipped, points) = try otlp(request(Proto().adding(1, "t").adding(5, Proto().adding(1, silent).adding(1, value))))
        #expect(skipped.lineCount == 1 && skipped.skippedCount == 1 && points == 2)
        let (refused, _) = try otlp(request(Proto().adding(5, Proto().adding(1, value).adding(1, value))))
        #expect(refused.refusedCount == 2 && refused.lineCount == 0 && refused.refusals.map(\.place) == [1, 2])
    }

    @Test("JSON gives the same lines as protobuf, with 64-bit numbers as text or as numbers")
    func json() throws {
        let body = """
            {"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"unknown":1,
            "scopeMetrics":[{"metrics":[
            {"name":"load","gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000001","asDouble":0.25,"attributes":[
              {"key":"n","value":{"intValue":"5"}}]},{"timeUnixNano":1700000000000000002,"asInt":"9"},{"timeUnixNano":"x","asInt":1}]}},
            {"name":"t","histogram":{"dataPoints":[{"timeUnixNano":"1700000000000000000","count":"4","sum":10,"min":1}]}}]}]}]}
            """
        var batch = LineBatch()
        let points = try OTLPJSON.decode(Array(body.utf8), into: &batch)
        #expect(
            batch.text == """
                load,service.name=shop,n=5 value=0.25 1700000000000000001
                load,service.name=shop value=9 1700000000000000002
                t,service.name=shop count=4,sum=10,mean=2.5,min=1 1700000000000000000

                """)
        #expect(points == 4 && batch.refusals.map(\.place) == [3])
    }

    @Test("JSON that is no request is an error", arguments: ["", "[]", "{", "{\"resourceMetrics\":1}"])
    func badJSON(text: String) {
        var batch = LineBatch()
        #expect(throws: WireError.self) { try OTLPJSON.decode(Array(text.utf8), into: &batch) }
    }
}
