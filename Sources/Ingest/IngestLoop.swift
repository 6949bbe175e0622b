import Glibc
import LineFormats
import Platform
import Readings
import TimeSeries

/// The state of the ingest thread: readiness, connections, the parser.
final class IngestLoop {
    let options: IngestOptions
    let log: Log
    let poller: PollerBox
    private let parser: ParserBox
    var connections: [UInt64: Connection] = [:]
    var listeners: [UInt64: (descriptor: Int32, name: String)] = [:]
    private var datagrams: [UInt64: (descriptor: Int32, name: String)] = [:]
    var producers: ProducerBook
    var nextToken: UInt64 = 1
    var openFiles = 0
    private var hadFiles = false
    /// Clients that came when there was no room; accepted, not served.
    var waiting: [Connection] = []
    /// Monotonic time until which the listeners rest; nil: they do not.
    var listenersRestUntil: Int64?
    var peers = PeerCounts()
    var roomToldAt: Int64 = 0
    var namesToldAt: Int64 = 0
    private var idleCheckedAt: Int64 = 0
    private var refusalLoggedAt: Int64 = 0
    private var refusalsUnlogged = 0
    private var refusalsLogged = 0
    private(set) var refusals: [Refusal] = []
    private let buffer: UnsafeMutableRawBufferPointer
    private static let readBytes = Connection.turnBytesMax
    private static let refusalsKept = 50
    /// Messages a second about refused lines.
    private static let refusalsLoggedMax = 5
    private static let wakeupToken: UInt64 = 0
    static let outgoingMax = 1 << 20
    static let producerBytesMax = 200

    /// A class around what cannot be copied, so that closures can reach it.
    final class PollerBox {
        let poller: Poller
        init() throws(PlatformError) { poller = try Poller() }
    }
    private final class ParserBox {
        var lines: LineParser
        /// For standard input, which has one writer: what names no stream is the stream `stdin`.
        var fileLines: LineParser
        var csv: CSVParser
        init(_ limits: LineLimits) {
            lines = LineParser(limits: limits)
            var options = CSVOptions()
            options.defaultStream = Array("stdin".utf8)
            fileLines = LineParser(limits: limits, defaultStream: options.defaultStream)
            csv = CSVParser(limits: limits, options: options)
        }
    }

    init(options: IngestOptions, log: Log, producers: [ProducerRecord]) throws(PlatformError) {
        self.producers = ProducerBook(producers, namesMax: options.producersMax)
        self.options = options
        self.log = log
        poller = try PollerBox()
        parser = ParserBox(LineLimits(lineBytesMax: options.lineBytesMax))
        buffer = .allocate(byteCount: IngestLoop.readBytes, alignment: 64)
    }

    deinit {
        for connection in connections.values where !connection.isFile || connection.descriptor != 0 { close(connection.descriptor) }
        for connection in waiting { close(connection.descriptor) }
        buffer.deallocate()
    }

    var connectionCount: Int { connections.count }
    /// True when all files ended and there is nothing else to serve.
    var isDone: Bool { hadFiles && openFiles == 0 && listeners.isEmpty && datagrams.isEmpty }

    func open(_ sources: [IngestSource], wakeup: Wakeup) throws(PlatformError) {
        try poller.poller.add(wakeup.descriptor, token: IngestLoop.wakeupToken)
        self.wakeup = wakeup
        for source in sources {
            let token = nextToken
            nextToken += 1
            switch source {
            case .listener(let descriptor, let name):
                listeners[token] = (descriptor, name)
                try poller.poller.add(descriptor, token: token)
            case .datagram(let descriptor, let name):
                datagrams[token] = (descriptor, name)
                try poller.poller.add(descriptor, token: token)
            case .client(let client): try adopt(client, token)
            case .file(let descriptor, let name):
                connections[token] = Connection(descriptor: descriptor, name: name, isFile: true, now: Clocks.monotonic())
                openFiles += 1
                hadFiles = true
                // A regular file is always ready and epoll refuses it; `round` reads those without asking.
                do { try poller.poller.add(descriptor, token: token) } catch { alwaysReady.append(token) }
            }
        }
    }
    var alwaysReady: [UInt64] = []

    /// Waits for readiness and handles it once.
    func round(_ intake: inout Intake) {
        var ready: [Poller.Event] = []
        poller.poller.wait(timeoutMilliseconds: alwaysReady.isEmpty ? 200 : 0) { ready.append($0) }
        let arrival = Clocks.monotonic()
        let now = Clocks.wall()
        for event in ready {
            if let listener = listeners[event.token] {
                accept(listener.descriptor, listener.name, arrival)
            } else if let datagram = datagrams[event.token] {
                readDatagrams(datagram.descriptor, datagram.name, &intake, now, arrival)
            } else if let connection = connections[event.token] {
                if event.isWritable { write(connection, event.token) }
                if event.isReadable || event.isHangup { read(connection, event.token, &intake, now, arrival) }
            } else if event.token == IngestLoop.wakeupToken {
                wakeup?.drain()
            }
        }
        for token in alwaysReady { if let connection = connections[token] { read(connection, token, &intake, now, arrival) } }
        intake.flush(now: now, acknowledgements: producers.pending())
        if arrival - idleCheckedAt > 1_000_000_000 {
            idleCheckedAt = arrival
            closeIdle(arrival)
            tendListeners(arrival)
            peers.publish(connections, waiting)
        }
    }

    private var wakeup: Wakeup?

    // MARK: - Reading

    private func read(_ connection: Connection, _ token: UInt64, _ intake: inout Intake, _ now: Int64, _ arrival: Int64) {
        connection.lastReadAt = arrival
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, connection.turnBytes)])
        let streams = intake.streamCount
        switch readOnce(connection.descriptor, into: room) {
        case .bytes(let count):
            defer { connection.turnBytes = intake.streamCount - streams > 64 ? Connection.turnBytesMin : Connection.turnBytesMax }
            take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), connection, token, &intake, now, arrival)
            if connection.isRefused { drop(token) }
        case .wouldBlock: break
        case .endOfFile:
            endLine(connection, token, &intake, now, arrival)
            drop(token)
        case .failed(let code):
            log.info("a connection failed", ["source": connection.name, "reason": String(cString: strerror(code))])
            endLine(connection, token, &intake, now, arrival)
            drop(token)
        }
    }

    private func readDatagrams(_ descriptor: Int32, _ name: String, _ intake: inout Intake, _ now: Int64, _ arrival: Int64) {
        for _ in 0..<256 {
            guard case .bytes(let count) = readOnce(descriptor, into: buffer) else { return }
            let sender = Connection(descriptor: -1, name: name, isFile: false, now: arrival)
            take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), sender, 0, &intake, now, arrival)
            endLine(sender, 0, &intake, now, arrival)
        }
    }

    // MARK: - Lines

    /// Cuts lines out of what was read and keeps the unfinished rest.
    private func take(
        _ bytes: UnsafeRawBufferPointer, _ connection: Connection, _ token: UInt64, _ intake: inout Intake, _ now: Int64, _ arrival: Int64
    ) {
        guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        let all = UnsafeBufferPointer(start: base, count: bytes.count)
        var start = 0
        while start < bytes.count {
            if connection.maySendUsual, connection.producer.map({ $0.position >= $0.accepted }) ?? true {
                let run =
                    connection.isFile
                    ? intake.takeUsual(all, from: start, &parser.fileLines, now: now)
                    : intake.takeUsual(all, from: start, &parser.lines, now: now)
                connection.lines += Int64(run.lines)
                if let producer = connection.producer, run.lines > 0 {
                    producers.advance(producer, by: run.lines, UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: all[start..<run.end])))
                }
                start = run.end
            }
            guard let found = memchr(base + start, 10, bytes.count - start) else { break }
            let end = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
            if connection.isSkipping {
                connection.isSkipping = false
            } else if connection.carry.isEmpty {
                line(UnsafeBufferPointer(start: base + start, count: end - start), connection, token, &intake, now, arrival)
            } else {
                connection.carry.append(contentsOf: UnsafeBufferPointer(start: base + start, count: end - start))
                let whole = connection.carry
                connection.carry.removeAll(keepingCapacity: whole.count <= 4096)
                whole.withUnsafeBufferPointer { line($0, connection, token, &intake, now, arrival) }
            }
            start = end + 1
        }
        guard start < bytes.count, !connection.isSkipping else { return }
        if connection.carry.count + bytes.count - start > options.lineBytesMax {
            connection.carry.append(contentsOf: UnsafeBufferPointer(start: base + start, count: bytes.count - start))
            let whole = connection.carry
            connection.carry = []
            whole.withUnsafeBufferPointer { tooLong(connection, token, $0, &intake, now) }
        } else {
            connection.carry.append(contentsOf: UnsafeBufferPointer(start: base + start, count: bytes.count - start))
        }
    }

    private func tooLong(
        _ connection: Connection, _ token: UInt64, _ beginning: UnsafeBufferPointer<UInt8>, _ intake: inout Intake, _ now: Int64
    ) {
        connection.isSkipping = true
        connection.lines += 1
        flushIfDue(&intake, now)
        intake.received(bytes: beginning.count, now: now)
        guard isNew(beginning, connection) else { return intake.dropped(.resent) }
        intake.refused(.lineTooLong)
        refuse(
            connection, token,
            "column \(options.lineBytesMax + 1): cannot parse line: got more than \(options.lineBytesMax) bytes, expected a line end", now)
    }

    /// Counts a line of a client that numbers them. false: it was taken before.
    private func isNew(_ line: UnsafeBufferPointer<UInt8>, _ connection: Connection) -> Bool {
        guard let producer = connection.producer else { return true }
        return producers.advance(producer, line, lineBytesMax: options.lineBytesMax)
    }

    /// Between two lines, so that what is committed ends at a line and names how far every numbering client is.
    private func flushIfDue(_ intake: inout Intake, _ now: Int64) {
        if intake.isDue { intake.flush(now: now, acknowledgements: producers.pending()) }
    }

    /// The end of a source is the end of its last line.
    private func endLine(_ connection: Connection, _ token: UInt64, _ intake: inout Intake, _ now: Int64, _ arrival: Int64) {
        guard !connection.carry.isEmpty else { return }
        let rest = connection.carry
        connection.carry = []
        // A client that numbers its lines ends each one; a rest is a line cut off, and it will send it again.
        guard connection.producer == nil else { return }
        rest.withUnsafeBufferPointer { line($0, connection, token, &intake, now, arrival) }
    }

    private func line(
        _ bytes: UnsafeBufferPointer<UInt8>, _ connection: Connection, _ token: UInt64, _ intake: inout Intake, _ now: Int64,
        _ arrival: Int64
    ) {
        if connection.isRefused || connection.lines == 0 && hello(bytes, connection, token) { return }
        connection.lines += 1
        if intake.isDue { flushIfDue(&intake, now) }
        intake.received(bytes: bytes.count + 1, now: now)
        guard isNew(bytes, connection) else { return intake.dropped(.resent) }
        var bytes = bytes
        if bytes.last == 13 { bytes = UnsafeBufferPointer(rebasing: bytes.dropLast()) }
        do {
            if !connection.isFile {
                try take(bytes, &parser.lines, connection, token, &intake, now, arrival)
            } else if try !row(bytes, connection, &intake, now, arrival) {
                try take(bytes, &parser.fileLines, connection, token, &intake, now, arrival)
            }
        } catch {
            intake.refused(error.reason)
            refuse(connection, token, error.description, now)
        }
    }

    @inline(__always)
    private func take(
        _ bytes: UnsafeBufferPointer<UInt8>, _ parser: inout LineParser, _ connection: Connection, _ token: UInt64, _ intake: inout Intake,
        _ now: Int64, _ arrival: Int64
    ) throws(LineError) {
        try parser.parse(bytes, expecting: intake.expectedKey())
        if parser.readings.count == 0 && parser.readings.refusals.isEmpty { intake.ignoredLine() }
        if !parser.readings.refusals.isEmpty {
            for refusal in parser.readings.refusals {
                intake.refused(refusal.reason)
                refuse(connection, token, refusal.description, now)
            }
        }
        do throws(LineError) { try intake.accept(&parser.readings, now: now, arrival: arrival) } catch {
            refuse(connection, token, error.description, now)
        }
    }

    /// A line of a file that began with a CSV header. false: it is no CSV file.
    private func row(
        _ bytes: UnsafeBufferPointer<UInt8>, _ connection: Connection, _ intake: inout Intake, _ now: Int64, _ arrival: Int64
    ) throws(LineError) -> Bool {
        if connection.csv == .undecided, let first = bytes.first(where: { $0 > 32 }), first != 35 {
            connection.csv = options.sniffsCSV && IngestLoop.looksLikeHeader(bytes) ? .rows : .no
        }
        guard connection.csv == .rows else { return false }
        try parser.csv.parse(bytes)
        if parser.csv.readings.count == 0 { intake.ignoredLine() }
        do throws(LineError) { try intake.accept(&parser.csv.readings, now: now, arrival: arrival) } catch {
            refuse(connection, 0, error.description, now)
        }
        return true
    }

    /// Names between commas, semicolons or tabs, none of them a number, and nothing that line protocol or JSON must have.
    static func looksLikeHeader(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        func separates(_ byte: UInt8) -> Bool { byte == 44 || byte == 59 || byte == 9 }
        guard line.contains(where: separates), !line.contains(where: { $0 == 61 || $0 == 123 || $0 == 91 }) else { return false }
        return line.split(whereSeparator: separates).allSatisfy { cell in
            guard let first = cell.first(where: { $0 != 32 }) else { return true }
            return !((48...57).contains(first) || first == 43 || first == 45 || first == 46)
        }
    }

    private func refuse(_ connection: Connection, _ token: UInt64, _ text: String, _ now: Int64) {
        if refusals.count >= IngestLoop.refusalsKept { refusals.removeFirst() }
        refusals.append(Refusal(time: now, source: connection.name, line: connection.lines, text: text))
        peers.refused(connection.user)
        if let producer = connection.producer {
            queue("refused \(producer.position) \(text)\n", connection, token)
        }
        refusalsUnlogged += 1
        // The first few of a second at once, the rest only as a number: a flood of rubbish must not fill a disk.
        if now.since(refusalLoggedAt) > 1_000_000_000 || now < refusalLoggedAt { refusalsLogged = 0 }
        guard refusalsLogged < IngestLoop.refusalsLoggedMax else { return }
        refusalsLogged += 1
        log.warning(
            "refused a line: \(connection.name) line \(connection.lines): \(text)", ["refused_since_last_message": "\(refusalsUnlogged)"])
        refusalLoggedAt = now
        refusalsUnlogged = 0
    }

    /// Takes what is still in the sockets' buffers (bounded), then ends.
    /// - Returns: clients to hand over, when the options ask for it; they are no longer ours.
    func finish(_ intake: inout Intake) -> [OpenClient] {
        var handedOver: [OpenClient] = []
        let arrival = Clocks.monotonic()
        let now = Clocks.wall()
        for connection in waiting { serve(connection) }
        waiting = []
        for (token, connection) in connections where !connection.isFile {
            var isOpen = true
            reading: for _ in 0..<64 where connections[token] != nil {
                switch readOnce(connection.descriptor, into: buffer) {
                case .bytes(let count): take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), connection, token, &intake, now, arrival)
                case .wouldBlock: break reading
                case .endOfFile, .failed:
                    isOpen = false
                    break reading
                }
            }
            guard connections[token] != nil else { continue }
            if isOpen && options.handsOverClients && !connection.isRefused {
                handedOver.append(client(connection))
                connections[token] = nil
                continue
            }
            // A line that its sender has not ended is no line: taking its beginning would invent a reading.
            if !isOpen { endLine(connection, token, &intake, now, arrival) }
        }
        for (_, datagram) in datagrams { readDatagrams(datagram.descriptor, datagram.name, &intake, now, arrival) }
        intake.flush(now: now, acknowledgements: producers.pending())
        return handedOver
    }

    private func client(_ connection: Connection) -> OpenClient {
        var client = OpenClient(descriptor: connection.descriptor, name: connection.name)
        client.carry = connection.carry
        client.isSkipping = connection.isSkipping
        client.lines = connection.lines
        client.producer = connection.producer?.name.name
        client.position = connection.producer?.position ?? 0
        client.outgoing = connection.outgoing
        return client
    }
}
