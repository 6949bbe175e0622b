import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import NIOSSL
import Platform
import ServiceLifecycle
import UnixSignals

/// Everything that serves requests, as the program and the tests use it.
public struct GatewayParts: Sendable {
    public let settings: Settings
    public let reception: Reception
    public let tally: Tally
    public let link: IngestLink?
    public let control: any ControlPort
    let sampler: Sampler
    let connections: ConnectionCount

    public init(settings: Settings, store: any LineStore, control: any ControlPort, link: IngestLink? = nil) {
        (self.settings, self.link, self.control) = (settings, link, control)
        sampler = Sampler(control: control)
        tally = Tally()
        reception = Reception(settings: settings, store: store, tally: tally)
        connections = ConnectionCount(max: settings.connectionsMax)
    }
}

/// One controller a resource.
public func buildRouter(_ parts: GatewayParts) -> Router<GatewayContext> {
    let router = Router(context: GatewayContext.self, options: .autoGenerateHeadEndpoints)
    InfluxDoor(reception: parts.reception).addRoutes(to: router)
    PrometheusDoor(reception: parts.reception).addRoutes(to: router)
    OTLPDoor(reception: parts.reception).addRoutes(to: router)
    LinesDoor(reception: parts.reception).addRoutes(to: router)
    HealthController(parts: parts).addRoutes(to: router)
    PageController(parts: parts, control: parts.control, sampler: parts.sampler).addRoutes(to: router)
    APIController(parts: parts, control: parts.control).addRoutes(to: router)
    return router
}

/// Serves until a signal comes. Errors: a certificate or an address that cannot be used.
public func runGateway(_ settings: Settings, log: Log) async throws {
    let link = try IngestLink(path: settings.ingestSocket, name: IngestLink.uniqueName(), settings: settings, log: log)
    let thread = try link.start()
    let parts = GatewayParts(settings: settings, store: link, control: ControlSocket(path: settings.controlSocket), link: link)
    let responder = buildRouter(parts).buildResponder()
    let quiet = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
    let channel = HTTP1Channel(
        responder: { request, writer, channel in
            let context = GatewayContext(source: ApplicationRequestContextSource(channel: channel, logger: quiet))
            var response: Response
            do { response = try await responder.respond(to: request, context: context) } catch let error as HTTPError {
                response = .text(error.status, (error.body ?? error.status.reasonPhrase) + "\n")
            } catch { response = .text(.internalServerError, "the gateway failed\n") }
            try await writer.write(response: response.head, body: response.body)
        },
        configuration: .init(
            additionalChannelHandlers: [HeadGuard(time: .nanoseconds(settings.headTimeout))],
            idleTimeout: .nanoseconds(settings.bodyTimeout),
            httpDecoderConfiguration: .init(maxHeaderFieldSize: 64 << 10, maxHeaderListSize: 80 << 10, maxHeaderFieldCount: 100)))
    var services: [any Service] = [parts.sampler]
    for source in settings.mqtt { services.append(try MQTTSubscriber(source, store: link, tally: parts.tally, log: log)) }
    let ready = ReadyCount(settings.listen.count)
    for place in settings.listen {
        let onReady: @Sendable (any Channel) async -> Void = { _ in
            if ready.one() { Systemd.notify("READY=1\nSTATUS=serving on \(settings.listen.map(\.description).joined(separator: ", "))") }
        }
        if case .tcp = place, !settings.tlsCertificate.isEmpty {
            let tls = try TLSChannel(channel, tlsConfiguration: tlsConfiguration(settings))
            services.append(
                Listener(place: place, child: tls, settings: settings, connections: parts.connections, log: log, onReady: onReady))
        } else {
            services.append(
                Listener(place: place, child: channel, settings: settings, connections: parts.connections, log: log, onReady: onReady))
        }
    }
    var group = ServiceGroupConfiguration(
        services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    // What is under way is answered first.
    group.maximumGracefulShutdownDuration = .seconds(10)
    do { try await ServiceGroup(configuration: group).run() } catch is CancellationError {}
    Systemd.notify("STOPPING=1")
    link.stop()
    thread.join()
}

private func tlsConfiguration(_ settings: Settings) throws -> TLSConfiguration {
    let chain = try NIOSSLCertificate.fromPEMFile(settings.tlsCertificate).map { NIOSSLCertificateSource.certificate($0) }
    let key = try NIOSSLPrivateKey(file: settings.tlsKey, format: .pem)
    var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
    return configuration
}
