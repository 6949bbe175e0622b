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
    private var tallies: [String: SourceTally] = [:]
    private var isInputTold = false
    /// Since when (wall time) acknowledgements wait because readings do; 0: they do not.
    var heldSince: Int64 = 0
    static let acknowledgementWaitMax: Int64 = 1_000_000_000
    private var hadFiles = false
    /// Clients that came when there was no room; accepted, not served.
    var waiting: [Connection] = []
    /// Clients that had to go while the string of their last lines was open.
    var left: [Connection] = []
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
        let csvOptions: CSVOptions
        init(_ limits: LineLimits, csv given: CSVOptions) {
            lines = LineParser(limits: limits)
            var options = given
            options.defaultStream = Array("stdin".utf8)
            fileLines = LineParser(limits: limits, defaultStream: options.defaultStream)
            csv = CSVParser(limits: limits, options: options)
            csvOptions = options
        }
    }

    init(options: IngestOptions, log: Log, producers: [ProducerRecord]) throws(PlatformError) {
        self.producers = ProducerBook(producers, namesMax: options.producersMax)
        self.options = options
        self.log = log
        poller = try PollerBox()
        parser = ParserBox(LineLimits(lineBytesMax: options.lineBytesMax), csv: options.csv)
        buffer = .allocate(byteCount: IngestLoop.readBytes, alignment: 64)
        sources = options.sources
    }

    deinit {
        for connection in connections.values where !connection.isFile || connection.descriptor != 0 { close(connection.descriptor) }
        for connection in waiting { close(connection.descriptor) }
        buffer.deallocate()
    }

    /// Rules about senders, as the configuration has them.
    var sources: [SourceRule] {
        get { parser.lines.sources }
        set { (parser.lines.sources, parser.fileLines.sources) = (newValue, newValue) }
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
                connections[token] = Connection(
                    descriptor: descriptor, name: name, source: tally(name), isFile: true, now: Clocks.monotonic())
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
        let acknowledgements = pendingAcknowledgements(&intake, now)
        intake.flush(now: now, acknowledgements: acknowledgements)
        if arrival - idleCheckedAt > 1_000_000_000 {
            idleCheckedAt = arrival
            closeOpenLines(&intake, arrival)
            closeIdle(arrival)
            tendListeners(arrival)
            peers.publish(connections, waiting)
            judgeSources(now, &intake)
        }
    }

    func tally(_ name: String) -> SourceTally {
        if let known = tallies[name] { return known }
        let tally = SourceTally(name: name)
        tallies[name] = tally
        return tally
    }

    /// A source of whose lines more than a tenth cannot be read has an alert of the daemon itself.
    private func judgeSources(_ now: Int64, _ intake: inout Intake) {
        let window = intake.limits.lossWindow
        guard window > 0 else { return }
        var hasEnded = false
        for tally in tallies.values {
            if tally.start == 0 || now < tally.start { tally.start = now }
            guard now - tally.start >= window else { continue }
            tally.isTold = tally.refused >= 3 && tally.refused * 10 > tally.lines
            hasEnded = true
            if tally.isTold, !isInputTold {
                isInputTold = true
                intake.report(
                    "input",
                    reason: "\(tally.refused) of \(tally.lines) lines of \(tally.name) cannot be read; the newest: \(tally.example)",
                    now: now)
            }
            (tally.lines, tally.refused, tally.start) = (0, 0, now)
        }
        if hasEnded, isInputTold, !tallies.values.contains(where: \.isTold) {
            isInputTold = false
            intake.report("input", reason: nil, now: now)
        }
    }

    /// The alert about a source is open since before the start.
    func restoreInput() { isInputTold = true }

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
            let sender = Connection(descriptor: -1, name: name, source: tally(name), isFile: false, now: arrival)
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
        if connection.isFile, connection.csv == .undecided, connection.carry.isEmpty { sniff(all, connection) }
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
                connection.source.lines += Int64(run.lines)
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
            connection, token, nil,
            "column \(options.lineBytesMax + 1): cannot parse line: got more than \(options.lineBytesMax) bytes, expected a line end", now)
    }

    /// Counts a line of a client that numbers them. false: it was taken before.
    private func isNew(_ line: UnsafeBufferPointer<UInt8>, _ connection: Connection) -> Bool {
        guard let producer = connection.producer else { return true }
        return producers.advance(producer, line, lineBytesMax: options.lineBytesMax)
    }

    /// Between two lines, so that what is committed ends at a line and names how far every numbering client is.
    private func flushIfDue(_ intake: inout Intake, _ now: Int64) {
        guard intake.isDue else { return }
        let acknowledgements = pendingAcknowledgements(&intake, now)
        intake.flush(now: now, acknowledgements: acknowledgements)
    }

    /// The end of a source is the end of its last line.
    private func endLine(_ connection: Connection, _ token: UInt64, _ intake: inout Intake, _ now: Int64, _ arrival: Int64) {
        defer { if !connection.openLines.isEmpty { closeOpenLines(connection, token, &intake, now, arrival) } }
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
        if connection.isRefused { return }
        if connection.lines == 0, hello(bytes, connection, token) { return closeLeft(&intake, now) }
        connection.lines += 1
        connection.source.lines += 1
        if intake.isDue { flushIfDue(&intake, now) }
        intake.received(bytes: bytes.count + 1, now: now)
        guard isNew(bytes, connection) else { return intake.dropped(.resent) }
        var bytes = bytes
        if bytes.last == 13 { bytes = UnsafeBufferPointer(rebasing: bytes.dropLast()) }
        if !connection.openLines.isEmpty, goOn(bytes, connection, token, &intake, now, arrival) { return }
        takeLine(bytes, connection, token, &intake, now, arrival)
    }

    /// Takes a line that is counted.
    private func takeLine(
        _ bytes: UnsafeBufferPointer<UInt8>, _ connection: Connection, _ token: UInt64, _ intake: inout Intake, _ now: Int64,
        _ arrival: Int64, mayBeOpen: Bool = true
    ) {
        do {
            if !connection.isFile {
                try take(bytes, &parser.lines, connection, token, &intake, now, arrival)
            } else if try !row(bytes, connection, &intake, now, arrival) {
                try take(bytes, &parser.fileLines, connection, token, &intake, now, arrival)
            }
        } catch {
            if mayBeOpen, error.isOpenString, connection.csv != .rows {
                connection.openFrom = connection.lines
                connection.openLines.append(Array(bytes))
                return
            }
            intake.refused(error.reason)
            refuse(connection, token, error, now)
        }
    }

    /// The line goes on with the string that the lines before it left open. false: it does not, and those lines were told as they are.
    private func goOn(
        _ bytes: UnsafeBufferPointer<UInt8>, _ connection: Connection, _ token: UInt64, _ intake: inout Intake, _ now: Int64,
        _ arrival: Int64
    ) -> Bool {
        var whole = Array(connection.openLines.joined(separator: [10]))
        whole.append(10)
        whole.append(contentsOf: bytes)
        let mayGoOn = connection.openLines.count < IngestLoop.openLinesMax && whole.count <= options.lineBytesMax
        var outcome = LineError?.none
        whole.withUnsafeBufferPointer { all in
            do throws(LineError) {
                if connection.isFile {
                    try take(all, &parser.fileLines, connection, token, &intake, now, arrival)
                } else {
                    try take(all, &parser.lines, connection, token, &intake, now, arrival)
                }
            } catch { outcome = error }
        }
        guard let outcome else {
            // Several lines of text, one reading.
            for _ in connection.openLines { intake.ignoredLine() }
            connection.openLines = []
            return true
        }
        if mayGoOn, outcome.isOpenString {
            connection.openLines.append(Array(bytes))
            return true
        }
        closeOpenLines(connection, token, &intake, now, arrival)
        return false
    }

    /// Lines that waited for the end of a string are lines by themselves: the first is refused, the others are what they are.
    private func closeOpenLines(_ connection: Connection, _ token: UInt64, _ intake: inout Intake, _ now: Int64, _ arrival: Int64) {
        let waiting = connection.openLines
        connection.openLines = []
        // Each is told under its own number.
        let line = connection.lines
        defer { connection.lines = line }
        for (index, text) in waiting.enumerated() {
            connection.lines = connection.openFrom + Int64(index)
            text.withUnsafeBufferPointer { takeLine($0, connection, token, &intake, now, arrival, mayBeOpen: false) }
        }
    }

    /// Lines that have waited for the end of a string for a second wait no longer.
    private func closeOpenLines(_ intake: inout Intake, _ now: Int64) {
        for (token, connection) in connections where !connection.openLines.isEmpty && now.since(connection.lastReadAt) > 1_000_000_000 {
            closeOpenLines(connection, token, &intake, Clocks.wall(), now)
        }
    }

    /// What clients that had to go have said is taken: no more of those strings will come.
    func closeLeft(_ intake: inout Intake, _ now: Int64) {
        guard !left.isEmpty else { return }
        for connection in left { closeOpenLines(connection, 0, &intake, now, Clocks.monotonic()) }
        left = []
    }

    /// Lines that one string may go over.
    private static let openLinesMax = 32

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
                refuse(connection, token, refusal, now)
            }
        }
        do throws(LineError) { try intake.accept(&parser.readings, now: now, arrival: arrival) } catch {
            refuse(connection, token, error, now)
        }
        if intake.hasLoss { tellLoss(&intake, &parser.readings, connection, now) }
    }

    /// The first loss of each kind of a source is told with an example and what would help; all are counted.
    @inline(never)
    private func tellLoss(_ intake: inout Intake, _ readings: inout ReadingBuffer, _ connection: Connection, _ now: Int64) {
        guard let loss = intake.takeLoss(), loss.reason != .ignored, loss.reason != .resent else { return }
        let kind = DropReason.allCases.firstIndex(of: loss.reason) ?? 0
        guard connection.source.isFirst(kind), loss.index < readings.count else { return }
        var what = ""
        switch loss.reason {
        case .future:
            what = "dated \(TimeText.seconds(loss.time)), \(TimeSpan(nanoseconds: (loss.time - now) / 1_000_000_000 * 1_000_000_000)) ahead"
        case .out_of_order: what = "dated \(TimeText.rfc3339(loss.time)), the stream is at \(TimeText.rfc3339(loss.newest)) already"
        case .duplicate: what = "a second value for \(TimeText.rfc3339(loss.time))"
        case .odd_number: what = readings.oddExample?.description ?? ""
        default: break
        }
        let stream = String(decoding: readings.rawKey(loss.index), as: UTF8.self)
        let text = "\(connection.name) line \(connection.lines): \(stream)" + (what.isEmpty ? "" : ": \(what)")
        let fields: KeyValuePairs = ["reason": loss.reason.rawValue, "help": LossHint.text(loss.reason)]
        switch loss.reason {
        case .not_numeric, .unknown_value, .not_finite, .missing, .out_of_range: log.info("left out a value: \(text)", fields)
        default: log.warning("lost: \(text)", fields)
        }
    }

    /// Looks at what is at hand of a file that may be CSV: its delimiter, header and times.
    private func sniff(_ bytes: UnsafeBufferPointer<UInt8>, _ connection: Connection) {
        guard options.sniffsCSV, let first = bytes.first(where: { $0 > 32 }), first != 123, first != 91 else { return }
        guard let guess = CSVSniffer.guess(bytes, isWhole: false, options: parser.csvOptions) else { return }
        // Without being told a file is CSV when its first line is a header; anything before that would be lines of another kind.
        let line = bytes.prefix { $0 != 10 }
        let isHeader =
            IngestLoop.looksLikeHeader(UnsafeBufferPointer(rebasing: line)) && guess.options.hasHeader && guess.options.linesBefore == 0
        guard options.isCSV || isHeader else { return }
        parser.csv = CSVParser(limits: LineLimits(lineBytesMax: options.lineBytesMax), options: guess.options)
        for doubt in guess.doubts { log.warning("not sure about \(connection.name): \(doubt)") }
        log.info(
            "reads CSV",
            [
                "source": connection.name, "delimiter": String(decoding: [guess.delimiter], as: UTF8.self),
                "columns": guess.names.joined(separator: ", "),
            ])
    }

    /// A line of a file that began with a CSV header. false: it is no CSV file.
    private func row(
        _ bytes: UnsafeBufferPointer<UInt8>, _ connection: Connection, _ intake: inout Intake, _ now: Int64, _ arrival: Int64
    ) throws(LineError) -> Bool {
        if connection.csv == .undecided, options.isCSV { connection.csv = .rows }
        if connection.csv == .undecided, let first = bytes.first(where: { $0 > 32 }), first != 35 {
            connection.csv = options.sniffsCSV && IngestLoop.looksLikeHeader(bytes) ? .rows : .no
        }
        guard connection.csv == .rows else { return false }
        try parser.csv.parse(bytes)
        if parser.csv.readings.count == 0 { intake.ignoredLine() }
        do throws(LineError) { try intake.accept(&parser.csv.readings, now: now, arrival: arrival) } catch {
            refuse(connection, 0, error, now)
        }
        if intake.hasLoss { tellLoss(&intake, &parser.csv.readings, connection, now) }
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

    private func refuse(_ connection: Connection, _ token: UInt64, _ error: LineError, _ now: Int64) {
        refuse(connection, token, error.reason, error.description, now)
    }

    private func refuse(_ connection: Connection, _ token: UInt64, _ reason: LineError.Reason?, _ text: String, _ now: Int64) {
        connection.source.refused += 1
        connection.source.example = text
        if refusals.count >= IngestLoop.refusalsKept { refusals.removeFirst() }
        refusals.append(Refusal(time: now, source: connection.name, line: connection.lines, text: text))
        peers.refused(connection.user)
        if let producer = connection.producer {
            queue("refused \(producer.position) \(text)\n", connection, token)
        }
        refusalsUnlogged += 1
        // The first few of a second at once, the rest only as a number: a flood of rubbish must not fill a disk.
        if now.since(refusalLoggedAt) > 1_000_000_000 || now < refusalLoggedAt { refusalsLogged = 0 }
        // What is a document or a heap rather than a bad line is the same with every line.
        let kinds: [LineError.Reason] = [.jsonOfSeveralLines, .mixedObjects, .unsupported]
        if let kind = kinds.firstIndex(where: { $0 == reason }), !connection.source.isFirst(40 + kind) { return }
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
            closeOpenLines(connection, token, &intake, now, arrival)
            if isOpen && options.handsOverClients && !connection.isRefused {
                handedOver.append(client(connection))
                connections[token] = nil
                continue
            }
            // A line that its sender has not ended is no line: taking its beginning would invent a reading.
            if !isOpen { endLine(connection, token, &intake, now, arrival) }
        }
        for (_, datagram) in datagrams { readDatagrams(datagram.descriptor, datagram.name, &intake, now, arrival) }
        closeLeft(&intake, now)
        intake.settleOrder(now: now, all: true)
        let acknowledgements = pendingAcknowledgements(&intake, now)
        intake.flush(now: now, acknowledgements: acknowledgements, isLast: true)
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
