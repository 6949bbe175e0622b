import Hummingbird
import HummingbirdTesting
import Synchronization
import Tabular
import Testing
import WireFormats

@testable import Gateway

/// Takes lines in place of a daemon.
final class MemoryStore: LineStore {
    let state = Mutex((text: "", refused: [Int: String](), failure: StoreFailure?.none))

    func store(_ bytes: [UInt8], lines: Int) async throws(StoreFailure) -> [Int: String] {
        let (refused, failure) = state.withLock { state in
            if state.failure == nil { state.text += String(decoding: bytes, as: UTF8.self) }
            return (state.refused, state.failure)
        }
        if let failure { throw failure }
        return refused
    }

    var text: String { state.withLock { $0.text } }
}

struct DoorTests {
    static let secret = "0123456789abcdef"

    static func settings(_ change: (inout Settings) -> Void = { _ in }) -> Settings {
        var settings = Settings()
        settings.tokens = [
            Token(name: "writer", secret: secret, rights: [.write]), Token(name: "reader", secret: "fedcba9876543210", rights: [.read]),
        ]
        change(&settings)
        return settings
    }

    func post(
        _ path: String, _ body: [UInt8], headers: HTTPFields = [:], store: MemoryStore = MemoryStore(), settings: Settings = settings(),
        authorization: String? = "Token \(secret)", check: @escaping @Sendable (TestResponse, String) throws -> Void
    ) async throws {
        let parts = GatewayParts(settings: settings, store: store, control: SilentControl())
        let app = Application(router: buildRouter(parts))
        var headers = headers
        if let authorization { headers[.authorization] = authorization }
        let all = headers
        try await app.test(.router) { client in
            try await client.execute(uri: path, method: .post, headers: all, body: ByteBuffer(bytes: body)) { response in
                try check(response, store.text)
            }
        }
        #expect(parts.reception.budget.usedBytes == 0)
    }

    @Test("Good lines of a batch are stored, the answer names the bad ones", arguments: ["/write", "/api/v2/write", "/api/v3/write_lp"])
    func partial(path: String) async throws {
        try await post(path, Array("a v=1 1700000000000000000\nb v=x\nc v=3\n".utf8)) { response, stored in
            #expect(response.status == .badRequest)
            #expect(stored == "a v=1 1700000000000000000\nc v=3\n")
            let text = String(buffer: response.body)
            #expect(text.contains(path.contains("v3") ? "\"line_number\":2" : "partial write: line 2: column 5"))
        }
        try await post(path, Array("a v=1\n".utf8)) { response, _ in #expect(response.status == .noContent) }
        try await post(path, []) { response, _ in #expect(response.status == .noContent) }
    }

    @Test("What the daemon refuses is named by its line in the request")
    func refusedBehind() async throws {
        let store = MemoryStore()
        store.state.withLock { $0.refused = [1: "streams_max"] }
        try await post("/write", Array("# comment\na v=1\nb v=2\n".utf8), store: store) { response, _ in
            #expect(response.status == .badRequest && String(buffer: response.body).contains("line 3: streams_max"))
        }
    }

    @Test("accept_partial=false stores nothing of a batch with a bad line")
    func allOrNothing() async throws {
        try await post("/api/v3/write_lp?accept_partial=false", Array("a v=1\nb v=x\n".utf8)) { response, stored in
            #expect(response.status == .badRequest && stored.isEmpty)
        }
    }

    @Test("A precision that is not known is refused; a stated one is applied")
    func precision() async throws {
        try await post("/write?precision=d", Array("a v=1 5".utf8)) { response, _ in #expect(response.status == .badRequest) }
        try await post("/write?precision=ms", Array("a v=1 1700000000001".utf8)) { _, stored in
            #expect(stored == "a v=1 1700000000001000000\n")
        }
    }

    @Test("A busy daemon is 503 with Retry-After, and nothing counts as stored")
    func busy() async throws {
        for path in ["/write", "/api/v2/write", "/api/v3/write_lp", "/lines"] {
            let store = MemoryStore()
            store.state.withLock { $0.failure = .busy("full") }
            try await post(path, Array("a v=1".utf8), store: store) { response, _ in
                #expect(response.status == .serviceUnavailable && response.headers[.retryAfter] != nil)
            }
        }
    }

    @Test("Each way to name a token is taken; a wrong one, none, and one without the right are refused")
    func tokens() async throws {
        let body = Array("a v=1".utf8)
        for (authorization, status) in [
            ("Token \(DoorTests.secret)", 204), ("Bearer \(DoorTests.secret)", 204), ("Basic dXNlcjowMTIzNDU2Nzg5YWJjZGVm", 204),
            ("Bearer nonsense", 401), ("Digest x", 401), (nil, 401), ("Bearer fedcba9876543210", 403),
        ] as [(String?, Int)] {
            try await post("/write", body, authorization: authorization) { response, _ in
                #expect(Int(response.status.code) == status, "\(authorization ?? "none")")
            }
        }
        try await post("/write?u=x&p=\(DoorTests.secret)", body, authorization: nil) { response, _ in #expect(response.status == .noContent)
        }
    }

    @Test("A token's rate is 429 with the time to wait, its streams are bounded, its tags are on every line")
    func limits() async throws {
        var limited = Token(name: "t", secret: DoorTests.secret, rights: [.write])
        limited.readingsPerSecondMax = 1
        limited.streamsMax = 2
        limited.decoration = Decoration(prefix: "", tags: [("site", "n")])
        let settings = DoorTests.settings { $0.tokens = [limited] }
        let parts = GatewayParts(settings: settings, store: MemoryStore(), control: SilentControl())
        let app = Application(router: buildRouter(parts))
        try await app.test(.router) { client in
            let headers: HTTPFields = [.authorization: "Token \(DoorTests.secret)"]
            try await client.execute(uri: "/lines", method: .post, headers: headers, body: ByteBuffer(string: "a v=1\nb v=1\nc v=1\na v=2"))
            { response in
                #expect(response.status == .badRequest && String(buffer: response.body).contains("\"line\":3"))
            }
            try await client.execute(
                uri: "/lines", method: .post, headers: headers, body: ByteBuffer(string: String(repeating: "a v=1\n", count: 20))
            ) { response in
                #expect(response.status == .tooManyRequests && Int(response.headers[.retryAfter] ?? "") ?? 0 >= 10)
            }
        }
        #expect((parts.reception.store as? MemoryStore)?.text == "a,site=n v=1\nb,site=n v=1\na,site=n v=2\n")
    }

    @Test("Another site cannot post through a browser")
    func origin() async throws {
        for (headers, status) in [
            ([.origin: "http://evil.example"], 403), ([.fetchSite: "cross-site"], 403), ([.origin: "null"], 403),
            ([.fetchSite: "none"], 204),
        ] as [(HTTPFields, Int)] {
            try await post("/lines", Array("a v=1".utf8), headers: headers) { response, _ in #expect(Int(response.status.code) == status) }
        }
    }

    @Test("Too large is 413 by its declared and by its real length, and 400 for remote write, which must not try again")
    func large() async throws {
        let small = DoorTests.settings {
            $0.bodyBytesMax = 10
            $0.inflatedBytesMax = 10
        }
        try await post("/write", [UInt8](repeating: 97, count: 11), settings: small) { response, _ in
            #expect(response.status == .contentTooLarge)
        }
        // Snappy that declares 64 MiB.
        let headers: HTTPFields = [.contentType: "application/x-protobuf", .contentEncoding: "snappy"]
        try await post("/api/v1/write", [0x80, 0x80, 0x80, 0x20, 0], headers: headers) { response, _ in
            #expect(response.status == .badRequest)
        }
    }

    @Test("Remote write of an unknown message is 415, so that its sender falls back to 1.0")
    func unsupported() async throws {
        for type in ["application/json", "application/x-protobuf;proto=io.prometheus.write.v3.Request"] {
            try await post("/api/v1/write", [0], headers: [.contentType: type, .contentEncoding: "snappy"]) { response, _ in
                #expect(response.status == .unsupportedMediaType)
            }
        }
    }

    @Test("OTLP answers what it could not store as partial success with 200")
    func otlp() async throws {
        let body = """
            {"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asDouble":1},{"asInt":"x"}]}}]}]}]}
            """
        try await post("/v1/metrics", Array(body.utf8), headers: [.contentType: "application/json"]) { response, stored in
            #expect(response.status == .ok && stored == "m value=1\n")
            let answer = try JSONValue.parse(Array(buffer: response.body))
            #expect(answer["partialSuccess"]?["rejectedDataPoints"]?.text == "1")
        }
        try await post("/v1/metrics", [], headers: [.contentType: "application/x-protobuf"]) { response, _ in
            #expect(response.status == .ok && response.body.readableBytes == 0)
        }
    }
}

/// A daemon that cannot be asked.
struct SilentControl: ControlPort {
    func ask(_ command: String, _ arguments: JSONValue) async throws(ControlFailure) -> JSONValue { throw .unreachable("a test") }
}
