import Foundation
import Glibc

/// What a program did.
struct Outcome {
    var status: Int32
    var output: String
    var errors: String
}

/// The built programs, and a directory of its own for each test.
final class Workshop {
    let directory: String
    var state: String { directory + "/state" }
    private static let products: String = {
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (path as NSString).deletingLastPathComponent
    }()

    init() {
        var template = Array("/tmp/rnnXXXXXX".utf8CString)
        directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func write(_ name: String, _ text: String) throws -> String {
        let path = directory + "/" + name
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// A program that is not yet started, with its output in files.
    func process(_ program: String, _ arguments: [String], input: String? = nil, name: String = "run") throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Workshop.products + "/" + program)
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        environment["JOURNAL_STREAM"] = nil
        process.environment = environment
        process.standardInput =
            try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: write(name + ".in", $0))) } ?? FileHandle.nullDevice
        for (suffix, isOutput) in [("out", true), ("err", false)] {
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: write("\(name).\(suffix)", "")))
            if isOutput { process.standardOutput = handle } else { process.standardError = handle }
        }
        return process
    }

    func outcome(_ process: Process, name: String = "run") -> Outcome {
        process.waitUntilExit()
        func text(_ suffix: String) -> String { (try? String(contentsOfFile: directory + "/\(name).\(suffix)", encoding: .utf8)) ?? "" }
        return Outcome(status: process.terminationStatus, output: text("out"), errors: text("err"))
    }

    func run(_ program: String, _ arguments: String..., input: String? = nil) throws -> Outcome {
        let process = try process(program, arguments, input: input)
        try process.run()
        return outcome(process)
    }

    /// A daemon that serves; returns once its control socket answers.
    func daemon(_ extra: [String] = [], name: String = "daemon") throws -> Process {
        let process = try process(
            "rnn-watchd", ["--state-dir", state, "--ingest-socket", directory + "/i", "--control-socket", directory + "/c"] + extra,
            name: name)
        try process.run()
        for _ in 0..<400 where process.isRunning {
            if try run("rnnctl", "--control-socket", directory + "/c", "status").status == 0 { break }
            usleep(20_000)
        }
        return process
    }
}

/// Readings with a fault: a daily wave of several channels and a jump.
func readings(_ count: Int, streams: Int = 1, jumpAt: Int = .max) -> String {
    var text = ""
    for index in 0..<count {
        for stream in 0..<streams {
            let wave = sin(Double(index) / 20 + Double(stream)) + 0.05 * sin(Double(index * index % 977))
            let value = 20 + wave + (index >= jumpAt && index < jumpAt + 10 ? 15 : 0)
            text += "pump,site=a\(stream) flow=\(value),pressure=\(3 + wave / 10) \(1_767_571_200 + 60 * index)000000000\n"
        }
    }
    return text
}
