import HTTPTypes
import Hummingbird
import Tabular
import WireFormats

/// Lines of everything that the daemon's parser takes, and collectd's `write_http`.
struct LinesDoor: Sendable {
    let reception: Reception

    func addRoutes(to router: Router<GatewayContext>) {
        router.post("lines") { request, context in await lines("lines", request, context) }
        router.post("collectd") { request, context in await lines("collectd", request, context) }
    }

    private func lines(_ door: String, _ request: Request, _ context: GatewayContext) async -> Response {
        // A JSON document may have line ends inside; JSON Lines say so by another type.
        let isDocument = (request.headers[.contentType] ?? "").lowercased().hasPrefix("application/json")
        return await reception.receive(
            door, request, context,
            decode: { body, batch in try TextLines.read(body, .init(isOneDocument: isDocument), into: &batch) },
            accepted: { receipt in
                if receipt.refusedCount == 0 { return .empty(.noContent) }
                let errors = receipt.refusals.map { JSONValue.object(["line": .integer(Int64($0.place)), "reason": .string($0.reason)]) }
                return .json(
                    .badRequest,
                    .object([
                        "stored": .integer(Int64(receipt.lines)), "refused": .integer(Int64(receipt.refusedCount)),
                        "errors": .array(errors),
                    ]))
            },
            rejected: { .json($0.status, .object(["error": .string($0.reason)])) })
    }
}
