import HTTPTypes
import Hummingbird
import NIOCore
import Tabular
import TimeSeries

/// The questions of the control protocol as JSON over HTTP, read only; `/api/openapi.json` describes them.
struct APIController: Sendable {
    let parts: GatewayParts
    let control: any ControlPort

    /// What an argument may be.
    enum Kind {
        /// At most so many characters.
        case text(Int)
        case moment, count
    }

    struct Question {
        let path: String
        let command: String
        let arguments: [(name: String, kind: Kind, isNeeded: Bool)]
        let about: String
    }

    static let questions: [Question] = [
        Question(path: "status", command: "status", arguments: [], about: "Counters and state of the daemon."),
        Question(
            path: "alerts", command: "alerts.query",
            arguments: [
                ("since", .moment, false), ("until", .moment, false), ("stream", .text(4096), false), ("kind", .text(64), false),
                ("state", .text(64), false),
                ("min_severity", .text(64), false), ("limit", .count, false),
            ], about: "Alerts, oldest first."),
        Question(
            path: "alert", command: "alerts.show", arguments: [("id", .text(64), true)], about: "One alert with its context and steps."),
        Question(path: "explain", command: "alerts.explain", arguments: [("id", .text(64), true)], about: "Why an alert was raised."),
        Question(path: "streams", command: "streams.list", arguments: [("stream", .text(4096), false)], about: "Streams by glob."),
        Question(
            path: "stream", command: "streams.show", arguments: [("stream", .text(4096), true)], about: "One stream with its channels."),
        Question(
            path: "budget", command: "budget", arguments: [("since", .moment, false), ("stream", .text(4096), false)],
            about: "Promised and realised false alarms."),
        Question(
            path: "why-not", command: "why-not", arguments: [("stream", .text(4096), true), ("at", .moment, false)],
            about: "Why a moment was, or was not, an alert."),
    ]

    func addRoutes(to router: Router<GatewayContext>) {
        for question in APIController.questions {
            router.get("api/\(question.path)") { request, context in await answer(question, request, context) }
        }
        router.get("api/openapi.json") { request, context in description(request, context) }
    }

    private func description(_ request: Request, _ context: GatewayContext) -> Response {
        do { _ = try parts.reception.access.identify(request, context.peer, needs: .read) } catch {
            return failure(error.status, error.reason)
        }
        return .json(.ok, OpenAPI.document)
    }

    private func failure(_ status: HTTPResponse.Status, _ text: String) -> Response { .json(status, .object(["error": .string(text)])) }

    private func answer(_ question: Question, _ request: Request, _ context: GatewayContext) async -> Response {
        do { _ = try parts.reception.access.identify(request, context.peer, needs: .read) } catch {
            var response = failure(error.status, error.reason)
            if error.status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer, Basic realm=\"rnn-gateway\"" }
            return response
        }
        let query = Page.query(request.uri.query ?? "")
        var members: [JSONValue.Member] = []
        for argument in question.arguments {
            guard let text = query[argument.name], !text.isEmpty else {
                if argument.isNeeded { return failure(.badRequest, "\(argument.name): got nothing, expected a value") }
                continue
            }
            guard let value = APIController.value(text, argument.kind) else {
                return failure(.badRequest, "\(argument.name): got \(text.prefix(60)), expected \(APIController.expected(argument.kind))")
            }
            members.append(.init(argument.name, value))
        }
        if let unknown = query.keys.sorted().first(where: { key in
            !question.arguments.contains { $0.name == key } && key != "p" && key != "u"
        }) {
            return failure(
                .badRequest, "unknown argument \(unknown.prefix(60)), expected \(question.arguments.map(\.name).joined(separator: ", "))")
        }
        do {
            let text = try await control.ask(question.command, .object(members)).compact + "\n"
            var response = Response.text(.ok, text, type: "application/json")
            Page.tag(&response, text, request)
            return response
        } catch {
            switch error {
            case .unreachable: return failure(.badGateway, "\(error)")
            case .refused: return failure(question.arguments.contains { $0.isNeeded } ? .notFound : .badRequest, "\(error)")
            }
        }
    }

    static func value(_ text: String, _ kind: Kind) -> JSONValue? {
        switch kind {
        case .text(let max): text.unicodeScalars.count <= max ? .string(text) : nil
        case .moment: TimeText.instant(text).map { .integer($0) }
        case .count: Int64(text).flatMap { (0...100_000).contains($0) ? .integer($0) : nil }
        }
    }

    private static func expected(_ kind: Kind) -> String {
        switch kind {
        case .text(let max): "text of at most \(max) characters"
        case .moment: "a moment such as 2026-03-01T12:00:00Z, or its number"
        case .count: "0 to 100000"
        }
    }
}

/// The description of `/api` that tools read.
enum OpenAPI {
    static var document: JSONValue {
        .object([
            "openapi": "3.0.3",
            "info": .object([
                "title": "rnn-gateway", "version": "1", "description": "Read-only questions to rnn-watchd. Members only ever grow.",
            ]),
            "paths": .object(APIController.questions.map { .init("/api/\($0.path)", .object(["get": operation($0)])) }),
        ])
    }

    private static func operation(_ question: APIController.Question) -> JSONValue {
        let parameters = question.arguments.map { argument -> JSONValue in
            let schema: JSONValue =
                switch argument.kind {
                case .text(let max): .object(["type": "string", "maxLength": .integer(Int64(max))])
                case .moment:
                    .object([
                        "type": "string", "description": "RFC 3339, or a number since 1970 by its magnitude",
                        "example": "2026-03-01T12:00:00Z",
                    ])
                case .count: .object(["type": "integer", "minimum": .integer(0), "maximum": .integer(100_000)])
                }
            return .object([
                "name": .string(argument.name), "in": "query", "required": .bool(argument.isNeeded), "schema": schema,
            ])
        }
        let isTable = ["alerts.query", "streams.list", "budget"].contains(question.command)
        let table: JSONValue = .object([
            "type": "object", "required": .array(["columns", "rows"]),
            "properties": .object([
                "columns": .object(["type": "array", "items": .object(["type": "string"])]),
                "rows": .object(["type": "array", "items": .object(["type": "object"])]),
            ]),
        ])
        let error: JSONValue = .object([
            "description": "An error in one sentence.",
            "content": content(
                .object(["type": "object", "required": .array(["error"]), "properties": .object(["error": .object(["type": "string"])])])),
        ])
        return .object([
            "summary": .string(question.about), "operationId": .string(question.command), "parameters": .array(parameters),
            "responses": .object([
                "200": .object(["description": "The answer.", "content": content(isTable ? table : .object(["type": "object"]))]),
                "304": .object(["description": "As the ETag in If-None-Match."]), "400": error, "401": error, "403": error, "404": error,
                "421": error,
                "502": error,
            ]),
        ])
    }

    private static func content(_ schema: JSONValue) -> JSONValue {
        .object(["application/json": .object(["schema": schema])])
    }
}
