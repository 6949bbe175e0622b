import HTTPTypes
import Hummingbird
import WireFormats

/// Prometheus remote write 1.0 and 2.0.
struct PrometheusDoor: Sendable {
    let reception: Reception

    func addRoutes(to router: Router<GatewayContext>) {
        router.post("api/v1/write") { request, context in await write(request, context) }
    }

    /// The message by Content-Type; nil for one that is not spoken here, which makes a sender of a newer version fall back to 1.0.
    static func version(_ contentType: String?) -> RemoteWrite.Version? {
        let parts = (contentType ?? "application/x-protobuf").lowercased().split(separator: ";").map { String($0).trimmed }
        guard parts.first == "application/x-protobuf" else { return nil }
        guard let proto = parts.dropFirst().first(where: { $0.hasPrefix("proto=") }) else { return .one }
        switch proto {
        case "proto=prometheus.writerequest": return .one
        case "proto=io.prometheus.write.v2.request": return .two
        default: return nil
        }
    }

    private func write(_ request: Request, _ context: GatewayContext) async -> Response {
        let version = PrometheusDoor.version(request.headers[.contentType])
        var written = RemoteWrite.Written()
        return await reception.receive(
            "prometheus", request, context,
            decode: { body, batch in
                guard let version else {
                    throw Rejection(
                        status: .unsupportedMediaType,
                        reason: "got \(request.headers[.contentType] ?? ""), expected application/x-protobuf of remote write 1.0 or 2.0")
                }
                guard (request.headers[.contentEncoding] ?? "").lowercased() == "snappy" else {
                    throw Rejection(status: .unsupportedMediaType, reason: "expected Content-Encoding: snappy")
                }
                written = try RemoteWrite.decode(body, version: version, into: &batch)
            },
            accepted: { receipt in
                var response: Response
                if receipt.refusedCount == 0 {
                    response = .empty(.noContent)
                } else {
                    let listed = receipt.refusals.prefix(20).map { "series \($0.place): \($0.reason)" }.joined(separator: "\n")
                    response = .text(.badRequest, "\(receipt.refusedCount) samples are not stored\n\(listed)\n")
                }
                // What the daemon refused behind us was counted as written.
                let unwritten = max(0, written.samples + written.histograms - receipt.lines - receipt.skippedCount)
                response.headers[HTTPField.Name("X-Prometheus-Remote-Write-Samples-Written")!] = "\(max(0, written.samples - unwritten))"
                response.headers[HTTPField.Name("X-Prometheus-Remote-Write-Histograms-Written")!] = "\(written.histograms)"
                response.headers[HTTPField.Name("X-Prometheus-Remote-Write-Exemplars-Written")!] = "0"
                return response
            },
            rejected: { rejection in
                // Senders retry 5xx and 429 only; what is too large would be so again.
                let status = rejection.status == .contentTooLarge ? HTTPResponse.Status.badRequest : rejection.status
                var response = Response.text(status, rejection.reason + "\n")
                response.headers[HTTPField.Name("X-Prometheus-Remote-Write-Samples-Written")!] = "0"
                return response
            })
    }
}
