import ArgumentParser
import CommandLineTool
import NotifyService
import Platform

/// Tells people what rnn-watchd found.
@main
struct RnnNotify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rnn-notify",
        abstract: "Tells people what rnn-watchd found: webhook, Alertmanager, MQTT, e-mail, ntfy, or a program.",
        discussion: """
            Asks the daemon over its control socket and keeps, for each sink, what it was told last; what is due is the difference to what is \
            now. So nothing is told twice because of retries or restarts, and who heard of a problem hears that it is over. At least once: a \
            message that is tried again has the same key.

            EXAMPLES
              rnn-notify --config /etc/rnn-watchd/rnn-notify.toml
              rnn-notify --config my.toml --once --print
              rnn-notify --config my.toml --check

            Signals: TERM and INT stop; HUP reloads the configuration.
            Exit codes: 0 ok, 1 failed (with --once: something was not taken), 2 wrong usage, 3 --check found problems.
            """, version: Version.text)

    @Option(name: .long, help: ArgumentHelp("Configuration file.", valueName: "file"), completion: .file())
    var config = NotifyOptions().configFile
    @Option(name: .long, help: ArgumentHelp("Control socket of the daemon.", valueName: "path"))
    var controlSocket: String?
    @Flag(name: .long, help: "Tell what is due now, waiting for nothing, and stop.")
    var once = false
    @Flag(name: .long, help: "Print what would be told, as JSON lines; tell nobody.")
    var print = false
    @Flag(name: .long, help: "Check the configuration, print all problems, tell nobody.")
    var check = false

    func run() throws {
        var options = NotifyOptions()
        (options.configFile, options.controlSocket, options.isOnce, options.isPrinting) = (config, controlSocket, once, print)
        if check {
            do { _ = try options.configuration() } catch {
                FileOutput.error("\(error)")
                throw ExitCode(3)
            }
            return
        }
        let code = try NotifyRunner(options).run()
        if code != 0 { throw ExitCode(code) }
    }

    static func main() { Program.main(RnnNotify.self) }
}
