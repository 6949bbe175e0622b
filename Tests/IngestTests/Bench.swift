import Foundation
import Glibc
import Ingest
import LineFormats
import Platform
import Readings

let second: Int64 = 1_000_000_000
/// 2026-01-05T00:00:00Z.
let monday: Int64 = 1_767_571_200 * second

/// Takes batches and writes down what is in them: notes first, then readings, as text.
final class Notebook: BatchCourier {
    var lines: [String] = []
    var sequences: [Int64] = []
    var acknowledgements: [Acknowledgement] = []
    /// Told of each batch's acknowledgements, as a writer would after storing it.
    var stored: (([Acknowledgement]) -> Void)?
    var entryCapacity = 64
    var idleShards: Set<Int> = []
    private var names: [UInt32: String] = [:]
    private var channels: [UInt32: [UInt16: String]] = [:]

    func borrow() -> ReadingBatch { ReadingBatch(entryCapacity: entryCapacity, fieldCapacity: 2048) }

    /// What the batches told about losses.
    var losses: [UInt32: StreamLosses] = [:]

    func isIdle(shard: Int) -> Bool { idleShards.contains(shard) }

    func deliver(_ batch: ReadingBatch) {
        sequences.append(batch.sequence)
        if batch.isGroupEnd { losses.merge(batch.totals.losses) { _, new in new } }
        for note in batch.notes {
            switch note {
            case .stream(let id, let key):
                names[id] = String(decoding: key, as: UTF8.self)
                lines.append("new \(names[id] ?? "")")
            case .channel(let stream, let index, let name): channels[stream, default: [:]][index] = String(decoding: name, as: UTF8.self)
            case .evicted(let stream): lines.append("evicted \(names[stream] ?? "?")")
            case .person(let note): lines.append("person \(note)")
            case .budgetShare(let group, let stream, let streams):
                lines.append("group \(group)\(stream == 0 ? "" : " \(names[stream] ?? "?")") shared by \(streams)")
            case .condition(let kind, let reason, _): lines.append("\(kind) \(reason == nil ? "over" : "begins")")
            case .source(let kind, let stream, let reason, _):
                lines.append("\(kind) of \(names[stream] ?? "?") \(reason == nil ? "over" : "begins")")
            case .models(let models): lines.append("models " + models.map { "\($0.match) \($0.label)" }.joined(separator: ","))
            }
        }
        for index in 0..<batch.entryCount {
            let entry = batch.entries[index]
            let fields = (Int(entry.fieldStart)..<Int(entry.fieldStart + entry.fieldCount)).map {
                "\(channels[entry.stream]?[batch.channels[$0]] ?? "?")=\(batch.values[$0])"
            }
            lines.append("\(names[entry.stream] ?? "?") \(fields.joined(separator: ",")) \((entry.time - monday) / second)")
        }
        acknowledgements += batch.acknowledgements
        if !batch.acknowledgements.isEmpty { stored?(batch.acknowledgements) }
    }

    /// Readings only, without notes.
    var readings: [String] { lines.filter { $0.contains("=") && !$0.hasPrefix("new ") && !$0.hasPrefix("evicted ") } }
}

/// An intake fed with lines of line protocol whose times are seconds after `monday`.
final class Bench {
    let book = Notebook()
    var intake: Intake
    /// The parser is told which key to expect, as in the daemon.
    var expects = true
    /// Lines that had it: those that were taken as usual ones, and others.
    var usual = 0
    var met = 0
    private var parser = LineParser(limits: LineLimits(lineBytesMax: 65_536))

    init(_ change: (inout IntakeLimits) -> Void = { _ in }, isIgnored: @escaping (String) -> Bool = { _ in false }) {
        var limits = IntakeLimits()
        change(&limits)
        intake = Intake(limits: limits, totals: IngestTotals(), nextSequence: 1, seed: 7, courier: book, isIgnored: isIgnored)
    }

    /// Feeds `measurement fields seconds`; no seconds: no time. `now` in seconds after `monday`.
    func feed(_ lines: String..., now: Int64 = 1_000_000) {
        take(lines, now: now)
        intake.flush(now: monday + now * second)
    }

    var isDue: Bool { intake.isDue }
    var hasHeld: Bool { intake.hasHeld }

    /// As `feed`, without the end of the group.
    func take(_ lines: [String], now: Int64 = 1_000_000) {
        let now = monday + now * second
        var text: [UInt8] = []
        for line in lines {
            let parts = line.split(separator: " ")
            let time = parts.count > 2 ? " \(monday + (Int64(parts[2]) ?? 0) * second)" : ""
            text += Array("\(parts[0]) \(parts[1])\(time)\n".utf8)
        }
        let end = text.count
        // More than any line needs, so that the last is looked at like the others.
        text += [UInt8](repeating: 10, count: 64)
        text.withUnsafeBufferPointer { all in
            var at = 0
            while true {
                if expects {
                    let run = intake.takeUsual(all, from: at, &parser, now: now)
                    usual += run.lines
                    at = run.end
                }
                guard at < end, let next = all[at...].firstIndex(of: 10) else { return }
                long(UnsafeBufferPointer(rebasing: all[at..<next]), now)
                at = next + 1
            }
        }
    }

    private func long(_ line: UnsafeBufferPointer<UInt8>, _ now: Int64) {
        intake.received(bytes: line.count + 1, now: now)
        do throws(LineError) {
            if expects { try parser.parse(line, expecting: intake.expectedKey()) } else { try parser.parse(line) }
            if parser.readings.isKeyExpected { met += 1 }
            try? intake.accept(&parser.readings, now: now, arrival: 0)
        } catch {
            intake.refused(error.reason)
        }
    }

    func dropped(_ reason: DropReason) -> Int64 { intake.totals.dropped[DropReason.allCases.firstIndex(of: reason) ?? 0] }
    func valuesDropped(_ reason: DropReason) -> Int64 { intake.totals.valuesDropped[DropReason.allCases.firstIndex(of: reason) ?? 0] }

    /// Every line with one reading ends in exactly one counter.
    var addsUp: Bool {
        let totals = intake.totals
        return totals.linesReceived == totals.readingsAccepted + totals.dropped.reduce(0, +) + totals.refused.reduce(0, +)
            + totals.linesIgnored
    }
}

/// An ingest server in a thread of its own.
final class Running: @unchecked Sendable {
    let path: String
    let datagramPath: String
    let server: IngestServer
    let book = Notebook()
    private let ended = DispatchSemaphore(value: 0)
    private let directory: String

    init(_ change: (inout IngestOptions) -> Void = { _ in }, input: Int32? = nil, stores: Bool = true) throws {
        // As the programs do: a peer that went away is an error of write.
        signal(SIGPIPE, SIG_IGN)
        var template = Array("/tmp/rnnXXXXXX".utf8CString)
        directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        path = directory + "/i"
        datagramPath = directory + "/d"
        var options = IngestOptions()
        change(&options)
        server = try IngestServer(options: options, log: Log(level: .error))
        var sources: [IngestSource] = []
        if let input {
            sources = [.file(input, name: "stdin")]
        } else {
            sources = [
                .listener(try UnixSocket.bind(path: path, kind: .stream, mode: 0o600).release(), name: "ingest"),
                .datagram(try UnixSocket.bind(path: datagramPath, kind: .datagram, mode: 0o600).release(), name: "datagrams"),
            ]
        }
        if stores { book.stored = { [server] in server.acknowledge($0) } }
        let given = sources
        Thread { [self, options] in
            let intake = Intake(
                limits: options.intake, totals: IngestTotals(), nextSequence: 1, seed: 7, courier: book, isIgnored: { _ in false })
            try? server.run(sources: given, intake: intake, producers: [])
            ended.signal()
        }.start()
    }

    func totals() -> IngestTotals { server.snapshot.withLock { $0.totals } }

    /// Waits until as many lines were received.
    func wait(lines: Int64) -> Bool { wait { self.totals().linesReceived >= lines } }

    func wait(_ condition: () -> Bool) -> Bool {
        for _ in 0..<2000 {
            if condition() { return true }
            usleep(5000)
        }
        return false
    }

    /// Stops (or waits for the end of the input) and gives what was counted.
    @discardableResult
    func finish(stop: Bool = true) -> IngestTotals {
        if stop { server.stop() }
        ended.wait()
        try? FileManager.default.removeItem(atPath: directory)
        return totals()
    }
}

/// A client of the ingest socket.
final class Client {
    let descriptor: Int32
    init(_ path: String) throws { descriptor = try UnixSocket.connect(path: path).release() }
    deinit { end() }
    private var isOpen = true

    func send(_ text: String) throws { try writeAll(descriptor, Array(text.utf8), object: "test") }
    func end() {
        if isOpen { close(descriptor) }
        isOpen = false
    }

    /// The next line of the answer; nil at the end or after five seconds.
    func line() -> String? {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 5000) == 1, read(descriptor, &byte, 1) == 1 else { return nil }
            if byte == 10 { return String(decoding: text, as: UTF8.self) }
            text.append(byte)
        }
    }
}

/// A small reproducible source of numbers (SplitMix64, Steele et al. 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
