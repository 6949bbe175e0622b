import ArgumentParser
import Glibc
import Platform

/// How both programs end: 0 ok, 1 failed, 2 wrong usage, 3 a check found problems.
public enum Program {
    /// Parses the arguments, runs the command, exits.
    public static func main<Command: ParsableCommand>(_ type: Command.Type, arguments: [String]? = nil) -> Never {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try type.parseAsRoot(arguments)
            try command.run()
            exit(0)
        } catch let code as ExitCode {
            exit(code.rawValue)
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
