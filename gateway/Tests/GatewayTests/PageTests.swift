import Hummingbird
import HummingbirdTesting
import Tabular
import Testing

@testable import Gateway

/// A daemon with fixed answers.
struct CannedControl: ControlPort {
    var answers: [String: JSONValue] = [:]

    func ask(_ command: String, _ arguments: JSONValue) async throws(ControlFailure) -> JSONValue {
        guard let answer = answers[command] else { throw .refused("unknown command \(command)") }
        return answer
    }
}

struct PageTests {
    private let reader: HTTPFields = [.authorization: "Bearer fedcba9876543210"]
    private let hostile = "<script>alert('x')</script>&\""

    private func table(_ rows: [JSONValue]) -> JSONValue { .object(["columns": .array([]), "rows": .array(rows)]) }

    private func get(
        _ path: String, _ control: CannedControl, headers: HTTPFields? = nil,
        check: @escaping @Sendable (TestResponse, String) throws -> Void
    ) async throws {
        let app = Application(router: buildRouter(GatewayParts(settings: DoorTests.settings(), store: MemoryStore(), control: control)))
        let headers = headers ?? reader
        try await app.test(.router) { client in
            try await client.execute(uri: path, method: .get, headers: headers) { try check($0, String(buffer: $0.body)) }
        }
    }

    @Test("Whatever a stream is called, it reaches a page as text")
    func escaped() async throws {
        let row: JSONValue = .object([
            "id": .string(hostile), "stream": .string(hostile), "reason": .string(hostile), "severity": .string("warning"),
            "state": .string("open"), "kind": .string("anomaly"), "opened_at": .string("2026-01-01T00:00:00Z"),
        ])
        let control = CannedControl(answers: [
            "status": .object(["streams": .integer(1), "storage_problem": .string(hostile)]), "alerts.query": table([row]),
            "streams.list": table([row]), "alerts.show": row, "streams.show": row,
        ])
        for path in ["/", "/alerts", "/streams", "/alert?id=1", "/stream?stream=x", "/streams?match=%3Cscript%3E"] {
            try await get(path, control) { response, text in
                #expect(response.status == .ok, "\(path)")
                #expect(!text.contains("<script>") && !text.contains("alert('x')"), "\(path)")
                #expect(response.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'self'") == true)
            }
        }
    }

    @Test("The same page is 304 for who has it")
    func notModified() async throws {
        let control = CannedControl(answers: ["streams.list": table([])])
        let app = Application(router: buildRouter(GatewayParts(settings: DoorTests.settings(), store: MemoryStore(), control: control)))
        try await app.test(.router) { [reader] client in
            let tag = try await client.execute(uri: "/streams", method: .get, headers: reader) { try #require($0.headers[.eTag]) }
            var headers = reader
            headers[.ifNoneMatch] = tag
            try await client.execute(uri: "/streams", method: .get, headers: headers) { response in
                #expect(response.status == .notModified && response.body.readableBytes == 0)
            }
            headers[.ifNoneMatch] = "\"other\""
            try await client.execute(uri: "/streams", method: .get, headers: headers) { #expect($0.status == .ok) }
        }
    }

    @Test("Reading and acting are two rights, and a page asks for a password where a token is needed")
    func rights() async throws {
        let control = CannedControl(answers: ["streams.list": table([])])
        try await get("/streams", control, headers: [:]) { response, _ in
            #expect(response.status == .unauthorized && response.headers[.wwwAuthenticate]?.hasPrefix("Basic") == true)
        }
        try await get("/streams", control, headers: [.authorization: "Bearer \(DoorTests.secret)"]) { response, _ in
            #expect(response.status == .forbidden)
        }
        let app = Application(router: buildRouter(GatewayParts(settings: DoorTests.settings(), store: MemoryStore(), control: control)))
        try await app.test(.router) { [reader] client in
            try await client.execute(uri: "/act", method: .post, headers: reader, body: ByteBuffer(string: "id=1&act=ack")) { response in
                #expect(response.status == .forbidden)
            }
        }
    }

    @Test("A daemon that is away is told as such, and an answer of its own is passed on")
    func failures() async throws {
        let app = Application(
            router: buildRouter(GatewayParts(settings: DoorTests.settings(), store: MemoryStore(), control: SilentControl())))
        try await app.test(.router) { [reader] client in
            try await client.execute(uri: "/streams", method: .get, headers: reader) { #expect($0.status == .badGateway) }
            try await client.execute(uri: "/api/status", method: .get, headers: reader) { #expect($0.status == .badGateway) }
        }
        try await get("/api/alert?id=1", CannedControl()) { response, text in
            #expect(response.status == .notFound && text.contains("unknown command"))
        }
        for path in ["/api/alert", "/api/alerts?limit=x", "/api/alerts?nonsense=1", "/api/why-not?stream=a&at=never"] {
            try await get(path, CannedControl()) { response, text in
                #expect(response.status == .badRequest && text.contains("expected"), "\(path) \(text)")
            }
        }
    }

    @Test("A curve is broken where a value is missing, and has its numbers as a table")
    func chart() {
        let points = [(0, 1.0), (1, nil), (2, 3.0), (3, 4.0)].map {
            Chart.Point(time: Int64($0.0) * 1_000_000_000, value: $0.1, low: 0, high: 5)
        }
        let text = Chart(title: "t<", points: points, spans: [(1_000_000_000, 2_000_000_000)]).html.text
        #expect(text.split(separator: "class=\"value\" d=\"").last?.prefix { $0 != "\"" }.count { $0 == "M" } == 2)
        #expect(text.contains("class=\"band\"") && text.contains("class=\"span\"") && text.contains("<table>") && text.contains("t&lt;"))
        #expect(Chart(title: "t", points: []).html.text.contains("No curve"))
        #expect(Chart(title: "t", points: [.init(time: 1, value: .infinity)]).html.text.contains("No curve"))
    }

    @Test("Queries and forms are read with their escapes, and never with too many members")
    func query() {
        #expect(Page.query("a=1+2&b=%2B%zz&a=3&c") == ["a": "1 2", "b": "+%zz", "c": ""])
        #expect(Page.query((0..<1000).map { "k\($0)=1" }.joined(separator: "&")).count == 100)
    }

    @Test("The file of a form is found between its boundaries")
    func multipart() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\na,b\r\n1,2\r\n--XX--\r\n"
        #expect(
            Trial.file(Array(body.utf8), contentType: "multipart/form-data; boundary=XX").map { String(decoding: $0, as: UTF8.self) }
                == "a,b\r\n1,2")
        #expect(Trial.file(Array("x".utf8), contentType: "multipart/form-data; boundary=XX") == nil)
        #expect(Trial.file(Array("x".utf8), contentType: "text/csv") == Array("x".utf8))
    }
}
