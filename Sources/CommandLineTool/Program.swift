import ArgumentParser
import Glibc
import Platform

/// How both programs end: 0 ok, 1 failed, 2 wrong usage, 3 a check found problems.
public enum Program {
    /// The words of the command line, the program's name first. A preloaded library that sets an environment variable before a statically
    /// linked program starts makes Swift see none of them (6.3.1); the kernel knows them still.
    public static var arguments: [String] {
        let seen = CommandLine.arguments
        guard let bytes = try? Files.read("/proc/self/cmdline", bytesMax: 16 << 20) else { return seen }
        let real = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map { String(decoding: $0, as: UTF8.self) }
        return real.count > seen.count ? real : seen
    }

    /// Parses the arguments, runs the command, exits.
    public static func main<Command: ParsableCommand>(_ type: Command.Type, arguments: [String]? = nil) -> Never {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try type.parseAsRoot(arguments ?? Array(Program.arguments.dropFirst()))
            try command.run()
            exit(0)
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch let error as PlatformError where error.code == EPIPE && error.description.contains("standard output") {
            // Whoever read it has enough.
            exit(0)
        } catch {
            let text = type.fullMessage(for: error)
            let isUsage = type.exitCode(for: error) == .validationFailure
            if type.exitCode(for: error) == .success {
                FileOutput.output(text + "\n")
                exit(0)
            }
            FileOutput.error(text)
            exit(isUsage ? 2 : 1)
        }
    }
}
