import ArgumentParser
import CommandLineTool
import Configuration
import Glibc
import Platform
import WatchService

/// The daemon.
@main
struct RnnWatchd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rnn-watchd",
        abstract: "Learns how sensor streams behave and tells when they do not.",
        discussion: """
            Reads readings from a Unix socket (and standard input), keeps a recurrent network per stream that learns online, and stores alerts \
            in one SQLite file. Ask it with rnnctl.

            EXAMPLES
              rnn-watchd --config /etc/rnn-watchd/rnn-watchd.toml
              rnn-watchd --config my.toml --check
              some-sensor-script | rnn-watchd --stdin --state-dir ./state

            Signals: TERM and INT stop after storing everything; HUP reloads the configuration; USR1 writes a checkpoint.
            Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 --check found problems.
            """, version: Version.text)

    @Option(name: .long, help: ArgumentHelp("Configuration file; without it the defaults hold.", valueName: "file"), completion: .file())
    var config: String?
    @Option(name: .long, help: ArgumentHelp("Directory of the database (state_dir).", valueName: "dir"), completion: .directory)
    var stateDir: String?
    @Option(name: .long, help: ArgumentHelp("Stream socket for lines (ingest_socket).", valueName: "path"))
    var ingestSocket: String?
    @Option(name: .long, help: ArgumentHelp("Socket for rnnctl (control_socket).", valueName: "path"))
    var controlSocket: String?
    @Flag(
        name: .long,
        help: "Read lines or CSV from standard input to its end, store everything, exit. Serves only sockets named on the command line.")
    var stdin = false
    @Flag(name: .long, help: "With --stdin: what comes is CSV, whatever its first line looks like.")
    var csv = false
    @OptionGroup(title: "CSV on standard input") var csvOptions: CSVOptionGroup
    @Flag(name: .long, help: "With --stdin: exit 0 also when less than half of the input could be taken.")
    var lenient = false
    @Flag(name: .long, help: "Check the configuration, print all problems, change nothing.")
    var check = false
    @Flag(name: .long, help: "Print every configuration key with its default, as a file to start from.")
    var printConfig = false
    @Flag(name: .customLong("print-config-man"), help: .hidden)
    var printConfigManual = false
    @Option(name: .customLong("set"), help: ArgumentHelp("Set any configuration key; may be repeated.", valueName: "key=value"))
    var settings: [String] = []

    private func options() throws -> DaemonOptions {
        if !stdin, csv || !csvOptions.isEmpty { throw ValidationError("--csv and what says how it is read go with --stdin") }
        var options = DaemonOptions()
        options.configFile = config
        options.version = Version.text
        for setting in settings {
            guard let equals = setting.firstIndex(of: "=") else {
                throw ValidationError("--set: got \"\(setting)\", expected key=value")
            }
            let key = String(setting[..<equals])
            guard Key.all.contains(where: { $0.name == key }) else {
                let nearest = Spelling.nearest(to: key, among: Key.all.map(\.name)).map { "; did you mean \($0)?" } ?? ""
                throw ValidationError("--set: unknown key \"\(key)\"\(nearest)")
            }
            options.overrides.append((key, String(setting[setting.index(after: equals)...])))
        }
        if let stateDir { options.overrides.append(("state_dir", stateDir)) }
        if stdin {
            // Without a service nobody owns /run/rnn-watchd: only sockets that were asked for are made.
            if ingestSocket == nil { options.overrides.append(("ingest_socket", "")) }
            if controlSocket == nil { options.overrides.append(("control_socket", "")) }
            options.overrides.append(("ingest_datagram_socket", ""))
            options.readsStdin = true
            options.isLenient = lenient
            (options.csv, options.isCSV) = (csvOptions.options, csv)
        } else if ingestSocket != nil && config == nil {
            options.overrides.append(("ingest_datagram_socket", ""))
        }
        if let ingestSocket { options.overrides.append(("ingest_socket", ingestSocket)) }
        if let controlSocket { options.overrides.append(("control_socket", controlSocket)) }
        return options
    }

    mutating func run() throws {
        let options = try options()
        do {
            if printConfig {
                FileOutput.output(Key.sampleFile)
                return
            }
            if printConfigManual {
                FileOutput.output(Key.manualPage(version: Version.text))
                return
            }
            if check {
                try options.checkSystem(try options.configuration())
                print("\(config ?? "the default configuration") is fine")
                return
            }
            try Daemon(options: options).run()
        } catch {
            FileOutput.error("rnn-watchd: \(error)")
            throw ExitCode(check ? 3 : 1)
        }
    }

    static func main() { Program.main(RnnWatchd.self) }
}
