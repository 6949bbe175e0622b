import HTTPTypes
import Hummingbird
import HummingbirdCore
import LineFormats
import Tabular
import WireFormats

/// The write paths of InfluxDB 1, 2 and 3, and what their clients ask before they write.
///
/// Good lines are stored, bad ones are answered with 400 "partial write" that names them: senders drop such a batch, and of what
/// they drop nothing is lost that could have been stored.
struct InfluxDoor: Sendable {
    let reception: Reception
    static let version = "1.8.10"

    func addRoutes(to router: Router<GatewayContext>) {
        router.post("write") { request, context in await write("influx_v1", request, context, InfluxDoor.precisions) }
        router.post("api/v2/write") { request, context in await write("influx_v2", request, context, InfluxDoor.precisions) }
        router.post("api/v3/write_lp") { request, context in await write("influx_v3", request, context, InfluxDoor.precisionsOf3) }
        router.get("ping") { _, _ in ping() }
        router.get("query") { request, context in await query(request, context, body: false) }
        router.post("query") { request, context in await query(request, context, body: true) }
    }

    private static let precisions: [String: TimeUnit] = [
        "n": .nanoseconds, "ns": .nanoseconds, "u": .microseconds, "us": .microseconds, "µ": .microseconds, "ms": .milliseconds,
        "s": .seconds,
    ]
    private static let precisionsOf3 = precisions.merging([
        "auto": .byMagnitude, "nanosecond": .nanoseconds, "microsecond": .microseconds, "millisecond": .milliseconds, "second": .seconds,
    ]) { one, _ in one }

    private func ping() -> Response {
        Response(
            status: .noContent,
            headers: [HTTPField.Name("X-Influxdb-Version")!: InfluxDoor.version, HTTPField.Name("X-Influxdb-Build")!: "OSS"])
    }

    private func write(_ door: String, _ request: Request, _ context: GatewayContext, _ known: [String: TimeUnit]) async -> Response {
        let precision = request.uri.queryParameters["precision"].map(String.init) ?? ""
        // No precision: by magnitude, which reads nanoseconds as nanoseconds and mends the clients that forget to say seconds.
        let unit = precision.isEmpty ? TimeUnit.byMagnitude : known[precision]
        let isThree = door == "influx_v3"
        let acceptsPart = !isThree || request.uri.queryParameters["accept_partial"] != "false"
        return await reception.receive(
            door, request, context,
            decode: { body, batch in
                guard let unit else {
                    throw Rejection.bad(
                        "got precision \(precision.prefix(20)), expected one of \(known.keys.sorted().joined(separator: ", "))")
                }
                try TextLines.read(body, .init(format: .influx, timeUnit: unit), into: &batch)
                if !acceptsPart, let first = batch.refusals.first {
                    throw Rejection.bad("parsing failed for write_lp endpoint: line \(first.place): \(first.reason)")
                }
            },
            accepted: { receipt in
                if receipt.refusedCount == 0 { return .empty(.noContent) }
                return isThree ? InfluxDoor.partialOf3(receipt) : InfluxDoor.partial(receipt)
            },
            rejected: { InfluxDoor.error($0.status, $0.reason) })
    }

    private static func partial(_ receipt: Receipt) -> Response {
        let listed = receipt.refusals.prefix(20).map { "line \($0.place): \($0.reason)" }.joined(separator: "; ")
        return error(.badRequest, "partial write: \(listed) dropped=\(receipt.refusedCount)")
    }

    private static func error(_ status: HTTPResponse.Status, _ text: String) -> Response {
        let code =
            switch status.code {
            case 400: "invalid"
            case 401: "unauthorized"
            case 403: "forbidden"
            case 413: "request too large"
            case 429: "too many requests"
            default: status.code < 500 ? "invalid" : "unavailable"
            }
        // `error` is what clients of version 1 read, `code` and `message` those of version 2.
        var response = Response.json(status, .object(["code": .string(code), "message": .string(text), "error": .string(text)]))
        let header = String(text.unicodeScalars.filter { $0.value >= 32 && $0.value < 127 }.prefix(500).map(Character.init))
        response.headers[HTTPField.Name("X-Influxdb-Error")!] = header
        return response
    }

    private static func partialOf3(_ receipt: Receipt) -> Response {
        let data = receipt.refusals.prefix(100).map { refusal in
            JSONValue.object([
                "error_message": .string(refusal.reason), "line_number": .integer(Int64(refusal.place)), "original_line": .null,
            ])
        }
        return .json(.badRequest, .object(["error": "partial write of line protocol occurred", "data": .array(data)]))
    }

    /// `CREATE DATABASE` and `SHOW ...`, which clients send before they write. There is nothing to create and nothing to query here.
    private func query(_ request: Request, _ context: GatewayContext, body hasBody: Bool) async -> Response {
        do { _ = try reception.access.identify(request, context.peer, needs: .write) } catch {
            return InfluxDoor.error(error.status, error.reason)
        }
        var text = request.uri.queryParameters["q"].map { String($0) } ?? ""
        if text.isEmpty, hasBody {
            var request = request
            guard let bytes = try? await request.collectBody(upTo: 8192) else {
                return InfluxDoor.error(.contentTooLarge, "the query is too long")
            }
            let form = URI("/?" + String(buffer: bytes)).queryParameters
            text = form["q"].map(String.init) ?? ""
        }
        let words = text.uppercased().split { " +;".contains($0) }
        switch words.first {
        case "CREATE": return .json(.ok, .object(["results": .array([.object(["statement_id": .integer(0)])])]))
        case "SHOW":
            let series: JSONValue = .object([
                "name": "databases", "columns": .array(["name"]), "values": .array([.array(["rnn-watchd"])]),
            ])
            return .json(.ok, .object(["results": .array([.object(["statement_id": .integer(0), "series": .array([series])])])]))
        default:
            return InfluxDoor.error(.badRequest, "got a query, expected CREATE DATABASE or SHOW DATABASES: readings are asked for at /api")
        }
    }
}
