import ArgumentParser
import Control
import Platform
import Tabular

/// Names of streams for the shell.
enum StreamNames {
    static let completion = CompletionKind.shellCommand(
        #"rnnctl streams list --format jsonl 2>/dev/null | sed -n 's/^{"stream":"\([^"]*\)".*/\1/p' | head -n 1000"#)
}

/// Streams and whether it is only a rehearsal.
struct StreamActOptions: ParsableArguments {
    @Argument(help: "A stream's key as `rnnctl streams list` shows it, or a glob over keys.", completion: StreamNames.completion)
    var stream: String
    @Flag(name: .long, help: "Only list what would be done.")
    var dryRun = false
    @OptionGroup var act: ActOptions

    func run(_ command: String) throws { try StreamActOptions.run(command, stream, dryRun, act) }

    static func run(_ command: String, _ stream: String, _ dryRun: Bool, _ act: ActOptions, _ more: [JSONValue.Member] = []) throws {
        guard act.target.stateDir == nil else {
            throw ControlError.failed("this changes what a running daemon knows: leave out --state-dir")
        }
        let arguments = JSONValue.object(
            [
                .init("stream", .string(stream)), .init("dry_run", .bool(dryRun)), .init("text", .optional(act.message)),
                .init("by", .string(Person.name)),
            ] + more)
        try act.format.printRows(try act.target.ask(command, arguments) { _ in .null })
    }
}

extension Streams {
    struct Forget: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget streams and what was learned about them.",
            discussion:
                "Their open alerts close as stream_gone; alerts stay. A stream that speaks again begins anew.\n\nEXAMPLES\n  rnnctl streams forget 'tst,*' --dry-run"
        )
        @OptionGroup var options: StreamActOptions
        func run() throws { try options.run("streams.forget") }
    }

    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have streams learn anew.",
            discussion: "For a machine that was exchanged. Their open alerts close.\n\nEXAMPLES\n  rnnctl streams reset 'pump,site=a0'")
        @OptionGroup var options: StreamActOptions
        func run() throws { try options.run("streams.reset") }
    }

    struct Rename: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a stream another name; it keeps what it learned, and its alerts.",
            discussion: "EXAMPLES\n  rnnctl streams rename 'pump,site=a0' 'pump,site=north'")
        @Argument(help: "The stream's key as `rnnctl streams list` shows it.", completion: StreamNames.completion)
        var stream: String
        @Argument(help: "The new name.")
        var to: String
        @Flag(name: .long, help: "A stream that has the new name already is forgotten.")
        var replace = false
        @Flag(name: .long, help: "Only say what would be done.")
        var dryRun = false
        @OptionGroup var act: ActOptions
        func run() throws {
            try StreamActOptions.run("streams.rename", stream, dryRun, act, [.init("to", .string(to)), .init("replace", .bool(replace))])
        }
    }

    struct Mute: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell nobody of streams until they are unmuted.",
            discussion:
                "Alerts are still recorded, and the streams learn on.\n\nEXAMPLES\n  rnnctl streams mute 'test,*' -m 'only for trials'")
        @OptionGroup var options: StreamActOptions
        func run() throws { try options.run("streams.mute") }
    }

    struct Unmute: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell people of muted streams again.", discussion: "EXAMPLES\n  rnnctl streams unmute 'test,*'")
        @OptionGroup var options: StreamActOptions
        func run() throws { try options.run("streams.unmute") }
    }
}
