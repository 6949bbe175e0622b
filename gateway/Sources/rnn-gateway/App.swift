import ArgumentParser
import Gateway
import Glibc
import Platform

@main
struct App: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rnn-gateway",
        abstract: "Takes readings from the network for rnn-watchd, and shows its alerts.",
        discussion: """
            Takes line protocol of InfluxDB 1, 2 and 3, Prometheus remote write, OTLP over HTTP, collectd's write_http and lines of every \
            form that rnn-watchd reads. A 2xx answer means that the daemon has stored the readings.

            EXAMPLES
              rnn-gateway --listen 127.0.0.1:8086
              rnn-gateway --config /etc/rnn-watchd/rnn-gateway.toml --listen unix:/run/rnn-gateway/http.sock
            """,
        version: Version.text)
    @Option(help: ArgumentHelp("Configuration file.", valueName: "file"))
    var config: String?
    @Option(
        help: ArgumentHelp("Where to listen: HOST:PORT or unix:PATH; may be repeated. Sockets from systemd come first.", valueName: "place")
    )
    var listen: [String] = []
    @Option(help: ArgumentHelp("Ingest socket of the daemon.", valueName: "path"))
    var ingestSocket: String?
    @Option(help: ArgumentHelp("Control socket of the daemon.", valueName: "path"))
    var controlSocket: String?
    @Flag(help: "Check the configuration and exit.")
    var check = false

    func run() async throws {
        let settings: Settings
        do { settings = try gathered() } catch {
            FileOutput.error("\(error)")
            throw ExitCode(2)
        }
        if check { return print("the configuration is well") }
        let log = Log(level: .info)
        // A sender that hangs up is an error of a write, not a signal.
        signal(SIGPIPE, SIG_IGN)
        do { try await runGateway(settings, log: log) } catch {
            log.error("cannot serve: \(error)")
            throw ExitCode(1)
        }
    }

    /// File, then options; with sockets of systemd those of the file and of the options are added.
    private func gathered() throws -> Settings {
        var settings = Settings()
        if let config {
            let bytes = try Files.read(config, bytesMax: 1 << 20)
            settings = try Settings(toml: String(decoding: bytes, as: UTF8.self), file: config)
        }
        if !listen.isEmpty {
            settings.listen = try listen.map { text in
                guard let place = Listen(text) else {
                    throw ValidationError("--listen: got \(text), expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH")
                }
                return place
            }
        }
        if let ingestSocket { settings.ingestSocket = ingestSocket }
        if let controlSocket { settings.controlSocket = controlSocket }
        try settings.finish()
        return settings
    }
}
