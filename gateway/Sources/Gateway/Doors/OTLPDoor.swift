import HTTPTypes
import Hummingbird
import Tabular
import WireFormats

/// OTLP over HTTP: metrics in protobuf or JSON. What cannot be stored is told as partial success, which senders do not repeat.
struct OTLPDoor: Sendable {
    let reception: Reception
    /// The tree of a JSON document takes several times its bytes.
    static let jsonBytesMax = 4 << 20

    func addRoutes(to router: Router<GatewayContext>) {
        router.post("v1/metrics") { request, context in await metrics(request, context) }
    }

    private func metrics(_ request: Request, _ context: GatewayContext) async -> Response {
        let type = (request.headers[.contentType] ?? "").lowercased().split(separator: ";").first.map { String($0).trimmed } ?? ""
        let isJSON = type == "application/json"
        return await reception.receive(
            "otlp", request, context,
            decode: { body, batch in
                guard isJSON || type == "application/x-protobuf" else {
                    throw Rejection(
                        status: .unsupportedMediaType,
                        reason: "got Content-Type \(type.prefix(60)), expected application/x-protobuf or application/json")
                }
                if isJSON {
                    guard body.count <= OTLPDoor.jsonBytesMax else {
                        throw WireError.tooLarge(what: "JSON document", got: body.count, max: OTLPDoor.jsonBytesMax)
                    }
                    try OTLPJSON.decode(Array(body), resourceNames: reception.settings.resourceAttributes, into: &batch)
                } else {
                    try OTLP.decode(body, resourceNames: reception.settings.resourceAttributes, into: &batch)
                }
            },
            accepted: { receipt in
                let message = receipt.refusals.prefix(10).map { "data point \($0.place): \($0.reason)" }.joined(separator: "; ")
                if isJSON {
                    let partial: JSONValue = .object([
                        "rejectedDataPoints": .string("\(receipt.refusedCount)"), "errorMessage": .string(message),
                    ])
                    return .json(.ok, receipt.refusedCount == 0 ? .object([]) : .object(["partialSuccess": partial]))
                }
                return .bytes(
                    .ok, receipt.refusedCount == 0 ? [] : OTLPAnswer.partial(rejected: receipt.refusedCount, message: message),
                    type: "application/x-protobuf")
            },
            rejected: { rejection in
                isJSON
                    ? .json(
                        rejection.status,
                        .object(["code": .integer(rejection.status.code == 400 ? 3 : 14), "message": .string(rejection.reason)]))
                    : .bytes(
                        rejection.status, OTLPAnswer.status(code: rejection.status.code == 400 ? 3 : 14, message: rejection.reason),
                        type: "application/x-protobuf")
            })
    }
}
