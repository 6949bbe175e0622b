import ArgumentParser
import Configuration
import Control
import Glibc
import Platform
import Readings
import Tabular

struct Send: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a file of lines with acknowledgement: resumes exactly after any interruption.",
        discussion: """
            Opens with `#!producer NAME`; the daemon answers `ok N`: it has stored N lines of that producer. Lines after that are sent, and the \
            command ends when the last one is acknowledged. Run again with the same name and file after a crash on either side, it goes on where it was.

            EXAMPLES
              rnnctl send history.lp
              zcat archive.lp.gz | rnnctl send - --producer archive-2025
            """)
    @Argument(help: "The file, or - for standard input.", completion: .file())
    var file: String
    @Option(name: .long, help: ArgumentHelp("Ingest socket of the daemon.", valueName: "path"))
    var ingestSocket = Configuration().text("ingest_socket")
    @Option(
        name: .long,
        help: ArgumentHelp("Name under which the daemon counts; made of the path and the first line when left out.", valueName: "name"))
    var producer: String?
    @Option(name: .long, help: ArgumentHelp("Give up after so many attempts in a row without progress.", valueName: "n"))
    var attemptsMax = 30
    @Flag(name: .long, help: "No progress on standard error.")
    var quiet = false
    @OptionGroup(visibility: .hidden) var target: TargetOptions

    mutating func validate() throws {
        guard target.controlSocket == nil, target.stateDir == nil else {
            throw ValidationError("send: got --control-socket or --state-dir, expected --ingest-socket PATH: lines go there")
        }
        if attemptsMax < 1 { throw ValidationError("--attempts-max: got \(attemptsMax), expected 1 or more") }
    }

    /// A name that a rotated file or another input does not share: the daemon would take its first lines for known ones.
    static func name(file: String, firstLine: ArraySlice<UInt8>) -> String {
        let path = file == "-" ? "stdin" : file.hasPrefix("/") ? file : Files.currentDirectory() + "/" + file
        let sum = CRC32C.checksum(Array(path.utf8) + [0] + firstLine)
        return String(path.filter { !$0.isWhitespace }.suffix(40)) + "#" + String(sum, radix: 16)
    }

    func run() throws {
        let bytes = file == "-" ? try Files.readAll(0, object: "standard input") : try Files.read(file, bytesMax: Int.max)
        // A line is what ends with a newline; the last one may lack it.
        var ends: [Int] = []
        for (index, byte) in bytes.enumerated() where byte == 10 { ends.append(index + 1) }
        if let last = bytes.last, last != 10 { ends.append(bytes.count) }
        let name = producer ?? Send.name(file: file, firstLine: bytes.prefix(ends.first ?? 0))
        var sender = Sender(bytes: bytes, ends: ends, producer: name, quiet: quiet)
        var failures = 0
        while sender.acknowledged < ends.count {
            let before = sender.acknowledged
            do {
                try sender.attempt(path: ingestSocket)
            } catch let error as PlatformError where error.code == EACCES || error.code == EPERM {
                // Waiting does not help.
                throw ControlError.forbidden(
                    "cannot send: permission denied for \(ingestSocket); become root or join the group: sudo usermod -aG rnn-watchd $USER (then log in again)"
                )
            } catch {
                failures = sender.acknowledged > before ? 1 : failures + 1
                guard failures <= attemptsMax else {
                    throw ControlError.unreachable("cannot send: \(error); gave up after \(attemptsMax) attempts")
                }
                if !quiet {
                    let isMissing = [ENOENT, ECONNREFUSED].contains((error as? PlatformError)?.code)
                    FileOutput.error(
                        "\(error)" + (isMissing ? ": start it with: systemctl start rnn-watchd.socket" : "") + "; trying again")
                }
                Clocks.sleep(nanoseconds: min(5_000_000_000, 100_000_000 << Int64(min(failures, 6))))
            }
        }
        sender.finish()
    }
}

/// One file on its way. Lines are numbered from 1.
private struct Sender {
    let bytes: [UInt8]
    let ends: [Int]
    let producer: String
    let quiet: Bool
    private(set) var acknowledged = 0
    private(set) var refused = 0
    private var toldAt: Int64 = 0
    private let startedAt = Clocks.monotonic()

    init(bytes: [UInt8], ends: [Int], producer: String, quiet: Bool) {
        (self.bytes, self.ends, self.producer, self.quiet) = (bytes, ends, producer, quiet)
    }

    /// Connects, learns where to go on, sends the rest while it reads acknowledgements. Returns when all is acknowledged.
    mutating func attempt(path: String) throws {
        let socket = try UnixSocket.connect(path: path)
        try writeAll(socket.raw, Array("#!producer \(producer)\n".utf8), object: path)
        var input: [UInt8] = []
        var hasGreeting = false
        var sent = 0
        while acknowledged < ends.count {
            var waiting = pollfd(fd: socket.raw, events: Int16(hasGreeting && sent < ends.count ? POLLIN | POLLOUT : POLLIN), revents: 0)
            _ = poll(&waiting, 1, 1000)
            if waiting.revents & Int16(POLLIN | POLLHUP) != 0 {
                try receive(socket.raw, &input, path)
                while let end = input.firstIndex(of: 10) {
                    let text = String(decoding: input[..<end], as: UTF8.self)
                    input.removeFirst(end + 1)
                    if !hasGreeting, let sequence = Sender.sequence(text) {
                        // What the daemon has counts, not what was acknowledged once: its state may be that of a backup.
                        hasGreeting = true
                        acknowledged = min(sequence, ends.count)
                        sent = acknowledged
                    } else {
                        take(text)
                    }
                }
            }
            guard hasGreeting, sent < ends.count, waiting.revents & Int16(POLLOUT) != 0 else { continue }
            // Half a megabyte at a time keeps the acknowledgements flowing.
            var last = sent
            let start = sent == 0 ? 0 : ends[sent - 1]
            while last < ends.count, ends[last] - start < 512 << 10 || last == sent { last += 1 }
            var chunk = Array(bytes[start..<ends[last - 1]])
            if chunk.last != 10 { chunk.append(10) }
            try writeAll(socket.raw, chunk, object: path)
            sent = last
        }
    }

    private func receive(_ descriptor: Int32, _ input: inout [UInt8], _ path: String) throws {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        switch chunk.withUnsafeMutableBytes({ readOnce(descriptor, into: $0) }) {
        case .bytes(let count): input += chunk[..<count]
        case .wouldBlock: break
        case .endOfFile: throw ControlError.unreachable("the daemon closed \(path)")
        case .failed(let code): throw PlatformError.system(verb: "read", object: path, code: code)
        }
    }

    private static func sequence(_ text: String) -> Int? { text.hasPrefix("ok ") ? Int(text.dropFirst(3)) : nil }

    private mutating func take(_ text: String) {
        if let sequence = Sender.sequence(text) {
            acknowledged = min(max(acknowledged, sequence), ends.count)
        } else if text.hasPrefix("refused ") {
            refused += 1
            if !quiet { FileOutput.error("line " + text.dropFirst(8)) }
        } else if !text.isEmpty {
            FileOutput.error(text)
        }
        let now = Clocks.monotonic()
        guard !quiet, isatty(2) != 0, now - toldAt > 100_000_000 else { return }
        toldAt = now
        let share = ends.isEmpty ? 1 : Double(acknowledged) / Double(ends.count)
        let bar = String(repeating: "#", count: Int(share * 30)) + String(repeating: ".", count: 30 - Int(share * 30))
        try? writeAll(2, Array("\r[\(bar)] \(acknowledged) of \(ends.count) lines".utf8), object: "standard error")
    }

    func finish() {
        guard !quiet else { return }
        let seconds = Double(Clocks.monotonic() - startedAt) * 1e-9
        let rate = seconds > 0 ? Int(Double(ends.count) / seconds) : 0
        FileOutput.error((isatty(2) != 0 ? "\n" : "") + "\(ends.count) lines acknowledged, \(refused) refused, \(rate) lines/s")
    }
}
