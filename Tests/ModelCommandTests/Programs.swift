import Foundation
import Glibc

/// What a program did.
struct Outcome {
    var status: Int32
    /// Ended by a signal: always a fault.
    var isCrash: Bool
    var output: String
    var errors: String
}

/// The built programs and a directory for one test.
final class Bench {
    let directory: String
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Fixtures"
    private static let products: String = {
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (path as NSString).deletingLastPathComponent
    }()

    init() {
        var template = Array("/tmp/rnnXXXXXX".utf8CString)
        directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func path(_ name: String) -> String { directory + "/" + name }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
        return path(name)
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path(name)))) }

    func text(_ name: String) -> String { (try? String(contentsOfFile: path(name), encoding: .utf8)) ?? "" }

    /// A program with its output in files, not yet started.
    func process(_ program: String, _ arguments: [String], name: String, input: String? = nil) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Bench.products + "/" + program)
        process.arguments = arguments
        process.standardInput =
            try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: write(name + ".in", $0))) } ?? FileHandle.nullDevice
        try write(name + ".out", "")
        try write(name + ".err", "")
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: path(name + ".out")))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: path(name + ".err")))
        return process
    }

    func outcome(_ process: Process, name: String) -> Outcome {
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, isCrash: process.terminationReason == .uncaughtSignal, output: text(name + ".out"),
            errors: text(name + ".err"))
    }

    func rnnctl(_ arguments: String..., input: String? = nil) throws -> Outcome { try rnnctl(arguments, input: input) }

    func rnnctl(_ arguments: [String], input: String? = nil) throws -> Outcome {
        let process = try process("rnnctl", arguments, name: "run", input: input)
        try process.run()
        return outcome(process, name: "run")
    }
}

/// Rows of CSV without its header and first column.
func numbers(_ csv: String) -> [[Double]] {
    csv.split(separator: "\n").dropFirst().map { line in line.split(separator: ",").dropFirst().map { Double($0) ?? .nan } }
}

/// max |a - b| / max(1, max |b|), infinite if the shapes differ.
func distance(_ a: [[Double]], _ b: [[Double]]) -> Double {
    guard a.map(\.count) == b.map(\.count), !a.isEmpty else { return .infinity }
    let pairs = zip(a.joined(), b.joined())
    guard pairs.allSatisfy({ $0.isFinite && $1.isFinite }) else { return .infinity }
    return pairs.reduce(0) { max($0, abs($1.0 - $1.1)) } / max(1, b.joined().reduce(0) { max($0, abs($1)) })
}

/// Two waves with noise from a fixed generator, as CSV.
func waves(_ count: Int) -> String {
    var state: UInt64 = 88_172_645_463_325_252
    func noise() -> Double {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Double(state >> 11) / Double(1 << 53) - 0.5
    }
    var text = "timestamp,temp,load\n"
    for t in 0..<count {
        text += "\(1_767_571_200 + 60 * t),\(20 + 5 * sin(Double(t) / 5) + noise()),\(40 + 8 * cos(Double(t) / 5) + noise())\n"
    }
    return text
}
