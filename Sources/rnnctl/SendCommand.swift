import ArgumentParser
import CommandLineTool
import Configuration
import Control
import Glibc
import LineFormats
import Platform
import Readings

struct Send: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a file of lines with acknowledgement: resumes exactly after any interruption.",
        discussion: """
            Opens with `#!producer NAME`; the daemon answers `ok N`: it has stored N lines of that producer. Lines after that are sent, and the \
            command ends when the last one is acknowledged. It also asks for a checksum of those lines: a rotated file, whose lines are others, is \
            sent as another producer (NAME~2, NAME~3 ...). Run again with the same name and file after a crash on either side, it goes on where it was. \
            A file that has grown meanwhile is sent from where it had ended. A pipe is sent as it comes; at most 64 MB wait in memory.

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
    @Flag(name: .long, help: "The file is CSV; a name that ends with .csv says so as well.")
    var csv = false
    @Option(name: .long, help: ArgumentHelp("Stream of CSV rows that name none, as a key such as pump,site=a.", valueName: "key"))
    var stream = "csv"
    @OptionGroup(title: "CSV") var csvOptions: CSVOptionGroup
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
        var lines = try LineWindow(file: file)
        if csv || file.hasSuffix(".csv") {
            var options = csvOptions.options
            options.defaultStream = Array(stream.utf8)
            if file != "-" {
                let bytes = try Files.read(file, bytesMax: Int.max)
                options =
                    bytes.prefix(1 << 18).withUnsafeBufferPointer { CSVSniffer.guess($0, isWhole: false, options: options)?.options }
                    ?? options
            }
            lines.converter = CSVConverter(options)
        }
        let first = try lines.first()
        let name = producer ?? Send.name(file: file, firstLine: first)
        var sender = Sender(lines: lines, producer: name, mayRename: producer == nil, quiet: quiet)
        var failures = 0
        var told = ""
        while true {
            let before = sender.acknowledged
            do {
                try sender.attempt(path: ingestSocket)
                return sender.finish()
            } catch is OtherLines {
                try sender.rename()
            } catch let error as PlatformError where error.code == EACCES || error.code == EPERM {
                // Waiting does not help.
                throw ControlError.forbidden(
                    "cannot send: permission denied for \(ingestSocket); become root or join the group: sudo usermod -aG rnn-watchd $USER (then log in again)"
                )
            } catch let error as ControlError where !error.isUnreachable {
                throw error
            } catch {
                failures = sender.acknowledged > before ? 1 : failures + 1
                guard failures <= attemptsMax else {
                    throw ControlError.unreachable("cannot send: \(error); gave up after \(attemptsMax) attempts")
                }
                let isMissing = [ENOENT, ECONNREFUSED].contains((error as? PlatformError)?.code)
                let text = "\(error)" + (isMissing ? ": start it with: systemctl start rnn-watchd.socket" : "") + "; trying again"
                // Once, however often it is tried.
                if text != told { sender.tell(text) }
                told = text
                Clocks.sleep(nanoseconds: min(5_000_000_000, 100_000_000 << Int64(min(failures, 6))))
            }
        }
    }
}

extension ControlError {
    fileprivate var isUnreachable: Bool { if case .unreachable = self { true } else { false } }
}

/// The daemon has other lines under the name than the input has.
private struct OtherLines: Error {}

/// One input on its way. Lines are numbered from 1.
private struct Sender {
    private var lines: LineWindow
    private let name: String
    private let mayRename: Bool
    /// Of the inputs of this name, the first is 1.
    private var generation = 1
    private static let generationsMax = 10_000
    private var producer: String { generation == 1 ? name : "\(name)~\(generation)" }
    private let quiet: Bool
    private(set) var acknowledged = 0
    private var acknowledgedBytes = 0
    /// Lines that were stored when this command began.
    private var known: Int?
    private var refused = 0
    private var toldAt: Int64 = 0
    private var hasBar = false
    private let startedAt = Clocks.monotonic()
    /// Refused lines that are shown; more are counted.
    private static let refusalsShown = 20

    init(lines: LineWindow, producer: String, mayRename: Bool, quiet: Bool) {
        (self.lines, name, self.mayRename, self.quiet) = (lines, producer, mayRename, quiet)
    }

    /// Takes the next name, as another input has this one.
    mutating func rename() throws {
        // Once something was sent under a name, the input itself was changed: nobody knows what it is now.
        guard mayRename, generation < Sender.generationsMax, known == nil else {
            throw ControlError.failed(
                "cannot send as \(producer): the daemon has other lines of it than there are; is it another file? then give it another --producer"
            )
        }
        generation += 1
    }

    /// Connects, learns where to go on, sends the rest while it reads acknowledgements. Returns when all is acknowledged.
    mutating func attempt(path: String) throws {
        let socket = try UnixSocket.connect(path: path)
        try writeAll(socket.raw, Array("#!producer \(producer) checksum\n".utf8), object: path)
        var input: [UInt8] = []
        var hasGreeting = false
        while !(hasGreeting && lines.isAtEnd && acknowledged >= lines.linesRead) {
            let wantsToSend = hasGreeting && lines.hasMore
            let source = hasGreeting ? lines.wanted : nil
            var waiting = [
                pollfd(fd: socket.raw, events: Int16(wantsToSend ? POLLIN | POLLOUT : POLLIN), revents: 0),
                pollfd(fd: source ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&waiting, 2, 1000)
            if waiting[0].revents & Int16(POLLIN | POLLHUP) != 0 {
                let isOpen = try receive(socket.raw, &input, path)
                try take(&input, &hasGreeting)
                guard isOpen else { throw ControlError.unreachable("the daemon closed \(path)") }
            }
            if wantsToSend, waiting[0].revents & Int16(POLLOUT) != 0 {
                try lines.next { bytes in
                    let count = send(socket.raw, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
                    if count >= 0 { return count }
                    // Why the daemon hung up stands in what it said last.
                    guard [EAGAIN, EINTR, EPIPE, ECONNRESET].contains(errno) else { throw PlatformError.last("write", path) }
                    return 0
                }
            }
            if source != nil, waiting[1].revents != 0 { try lines.read() }
            showBar()
        }
    }

    /// false: the daemon hung up.
    private func receive(_ descriptor: Int32, _ input: inout [UInt8], _ path: String) throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        switch chunk.withUnsafeMutableBytes({ readOnce(descriptor, into: $0) }) {
        case .bytes(let count): input += chunk[..<count]
        case .wouldBlock: break
        case .endOfFile, .failed(ECONNRESET): return false
        case .failed(let code): throw PlatformError.system(verb: "read", object: path, code: code)
        }
        return true
    }

    /// Everything whole that the daemon said.
    private mutating func take(_ input: inout [UInt8], _ hasGreeting: inout Bool) throws {
        guard let end = input.lastIndex(of: 10) else { return }
        let said = input[..<end].split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
        input.removeFirst(end + 1)
        for text in said {
            let words = text.split(separator: " ")
            if words.count > 1, words[0] == "ok", let sequence = Int(words[1]) {
                if !hasGreeting {
                    let stored = words.count > 2 ? UInt32(words[2], radix: 16) : nil
                    let taken = words.count > 3 ? Int(words[3]) : nil
                    guard try lines.begins(with: sequence, checksum: stored, lineBytesTaken: taken ?? .max) else { throw OtherLines() }
                    // What the daemon has counts, not what was acknowledged once: its state may be that of a backup.
                    hasGreeting = true
                    try lines.seek(after: sequence, producer: producer)
                    acknowledged = sequence
                    if known == nil, generation > 1 { tell("other lines were sent under this name: this is producer \(producer)") }
                    if known == nil, sequence > 0 { tell("going on after line \(sequence) of producer \(producer)") }
                    known = known ?? sequence
                }
                acknowledged = max(acknowledged, sequence)
                acknowledgedBytes = lines.forget(through: acknowledged)
            } else if text.hasPrefix("refused ") {
                refused += 1
                if refused <= Sender.refusalsShown { tell("line " + text.dropFirst(8)) }
                if refused == Sender.refusalsShown { tell("more refused lines are counted only") }
            } else if text.hasPrefix("error ") {
                throw ControlError.failed("cannot send as \(producer): the daemon says: " + text.dropFirst(6))
            }
        }
    }

    /// Something for the person, on a line of its own.
    mutating func tell(_ text: String) {
        guard !quiet else { return }
        FileOutput.error((hasBar ? "\n" : "") + text)
        hasBar = false
    }

    private var linesPerSecond: Int {
        let seconds = Double(Clocks.monotonic() - startedAt) * 1e-9
        return seconds > 0 ? Int(Double(max(0, acknowledged - (known ?? 0))) / seconds) : 0
    }

    private mutating func showBar() {
        let now = Clocks.monotonic()
        guard !quiet, isatty(2) != 0, now - toldAt > 100_000_000 else { return }
        (toldAt, hasBar) = (now, true)
        var text = "\(acknowledged) lines acknowledged, \(linesPerSecond) lines/s "
        if lines.size > 0 {
            let share = min(1, Double(acknowledgedBytes) / Double(lines.size))
            let filled = Int(share * 30)
            text = "[\(String(repeating: "#", count: filled))\(String(repeating: ".", count: 30 - filled))] \(Int(share * 100)) %, " + text
        }
        try? writeAll(2, Array("\r\(text)".utf8), object: "standard error")
    }

    mutating func finish() {
        toldAt = 0
        showBar()
        let before = (known ?? 0) > 0 ? " (\(known ?? 0) of them before)" : ""
        tell("\(acknowledged) lines acknowledged\(before), \(refused) refused, \(linesPerSecond) lines/s")
    }
}
