import HTTPTypes
import Hummingbird
import Platform
import Tabular

/// Whether the gateway is well, for senders and supervisors, and its own counters for Prometheus.
struct HealthController: Sendable {
    let parts: GatewayParts

    func addRoutes(to router: Router<GatewayContext>) {
        router.get("health") { _, _ in health() }
        router.get("metrics") { request, context in await metrics(request, context) }
    }

    private func health() -> Response {
        let isDown = parts.link?.gauge.isDown ?? false
        return .json(
            isDown ? .serviceUnavailable : .ok,
            .object([
                "name": "rnn-gateway", "status": isDown ? "fail" : "pass",
                "message": isDown ? "the daemon cannot be reached" : "ready for readings", "version": .string(InfluxDoor.version),
            ]))
    }

    private func metrics(_ request: Request, _ context: GatewayContext) async -> Response {
        do { _ = try parts.reception.access.identify(request, context.peer, needs: .read) } catch {
            return .text(error.status, error.reason + "\n")
        }
        // The daemon's own stand behind the gateway's; without it these alone say that it is away.
        let daemon = (try? await parts.control.ask("metrics"))?.text ?? ""
        return .text(.ok, GatewayMetrics.text(parts) + daemon, type: "text/plain; version=0.0.4; charset=utf-8")
    }
}

/// The gateway's counters in Prometheus' text format.
enum GatewayMetrics {
    static func text(_ parts: GatewayParts) -> String {
        var out = ""
        func family(_ name: String, _ type: String, _ help: String, _ samples: [(String, Int)]) {
            out += "# HELP rnn_gateway_\(name) \(help)\n# TYPE rnn_gateway_\(name) \(type)\n"
            for (labels, value) in samples { out += "rnn_gateway_\(name)\(labels) \(value)\n" }
        }
        let doors = parts.tally.doors.sorted { $0.key < $1.key }
        family(
            "requests_total", "counter", "Requests with readings by door and status.",
            doors.flatMap { door, count in
                count.requests.sorted { $0.key < $1.key }.map { ("{door=\"\(door)\",status=\"\($0.key)\"}", $0.value) }
            })
        family("lines_total", "counter", "Readings taken by door.", doors.map { ("{door=\"\($0.key)\"}", $0.value.lines) })
        family("refused_total", "counter", "Readings refused by door.", doors.map { ("{door=\"\($0.key)\"}", $0.value.refused) })
        family(
            "skipped_total", "counter", "Values that are no readings (text, NaN, stale markers) by door.",
            doors.map { ("{door=\"\($0.key)\"}", $0.value.skipped) })
        family(
            "body_bytes_total", "counter", "Bytes of bodies after decompression by door.",
            doors.map { ("{door=\"\($0.key)\"}", $0.value.bytes) })
        family("connections", "gauge", "Connections now.", [("", parts.connections.now)])
        family("memory_reserved_bytes", "gauge", "Bytes reserved by requests now.", [("", parts.reception.budget.usedBytes)])
        if let gauge = parts.link?.gauge {
            family("pending_bytes", "gauge", "Bytes of lines that the daemon has not stored yet.", [("", gauge.pendingBytes)])
            family("requests_waiting", "gauge", "Requests that wait for the daemon.", [("", gauge.requestsWaiting)])
            family("daemon_up", "gauge", "1 while the daemon can be reached.", [("", gauge.isDown ? 0 : 1)])
            family("lines_stored_total", "counter", "Lines that the daemon has acknowledged.", [("", Int(gauge.linesStored))])
        }
        return out
    }
}
