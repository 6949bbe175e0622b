import WireFormats

/// What came of a batch.
public enum Outcome: Sendable, Equatable {
    /// Stored (or received, if that is what was asked); the lines that the daemon refused, by their index in the batch.
    case taken(refused: [Int: String])
    /// The daemon did not say so in time. The batch may be stored yet when `wasSent`.
    case timedOut(wasSent: Bool)
    /// The gateway stops.
    case stopped
}

/// The numbering client of the ingest socket as a machine without a socket.
///
/// Batches wait, are sent in order, and are kept until the daemon says that it stored them; after any interruption the daemon's
/// greeting tells which line comes next. A batch gets its numbers when its first byte is sent: what was never sent can be taken back.
///
/// The name is used by one process once: lines that a former process sent and the daemon has not stored yet would else be taken for
/// the new ones of the same numbers.
struct Numbering {
    struct Batch {
        let id: UInt64
        var bytes: [UInt8]
        let lines: Int
        let deadline: Int64
        /// Number of the first line, by our own count; 0 while it waits.
        var first: Int64 = 0
        var refused: [Int: String] = [:]
        /// The sender has its answer.
        var isAnswered = false
    }

    /// An answer for the owner of a batch.
    struct Answer: Equatable {
        let id: UInt64
        let outcome: Outcome
    }

    private let base: String
    private let acknowledge: Settings.Acknowledge
    private var generation = 0
    /// What the daemon's number 0 is in our count, for the name of this generation.
    private var origin: Int64 = 0
    /// Our numbers: everything through here is stored.
    private(set) var stored: Int64 = 0
    /// Our numbers: the last that a batch was given.
    private var assigned: Int64 = 0
    private var waiting: [Batch] = []
    private var waitingStart = 0
    private var sent: [Batch] = []
    private var sentStart = 0
    /// Index in `sent` and byte in it that come next; nil before the greeting.
    private var cursor: (batch: Int, byte: Int)?
    private(set) var pendingBytes = 0

    static let refusalsMax = 100

    init(name: String, acknowledge: Settings.Acknowledge) { (base, self.acknowledge) = (name, acknowledge) }

    /// The name to greet with.
    var name: String { generation == 0 ? base : "\(base)-\(generation)" }

    var isEmpty: Bool { waitingStart == waiting.count && sentStart == sent.count }
    var hasMore: Bool { cursor != nil && (waitingStart < waiting.count || cursorIsInside) }
    private var cursorIsInside: Bool { cursor.map { $0.batch < sent.count } ?? false }

    mutating func submit(id: UInt64, bytes: [UInt8], lines: Int, deadline: Int64) {
        pendingBytes += bytes.count
        waiting.append(Batch(id: id, bytes: bytes, lines: lines, deadline: deadline))
    }

    /// The connection is gone (or not there yet): nothing can be sent before the next greeting.
    mutating func disconnected() { cursor = nil }

    /// The daemon greets: it has `sequence` lines of our name. false: the name cannot be used any more; greet again with the new one.
    mutating func greeted(_ sequence: Int64) -> (goesOn: Bool, answers: [Answer]) {
        let ours = origin &+ sequence
        guard sequence >= 0, ours >= stored, ours <= assigned else {
            // Its state is that of a backup, or somebody else used the name: begin a new one with what is not stored yet.
            generation += 1
            origin = stored
            cursor = nil
            return (false, [])
        }
        let answers = acknowledged(sequence)
        let next = ours + 1
        var place = sentStart
        while place < sent.count, sent[place].first + Int64(sent[place].lines) <= next { place += 1 }
        var byte = 0
        if place < sent.count, next > sent[place].first {
            byte = Numbering.offset(ofLine: Int(next - sent[place].first), in: sent[place].bytes)
        }
        cursor = (place, byte)
        return (true, answers)
    }

    private static func offset(ofLine line: Int, in bytes: [UInt8]) -> Int {
        var rest = line
        for (index, byte) in bytes.enumerated() where byte == 10 {
            rest -= 1
            if rest == 0 { return index + 1 }
        }
        return bytes.count
    }

    /// Hands the next bytes to `write`, which returns how many it took. Answers batches that were asked only to be received.
    mutating func send(_ write: (UnsafeRawBufferPointer) -> Int) -> [Answer] {
        guard var cursor else { return [] }
        if cursor.batch == sent.count {
            guard waitingStart < waiting.count else { return [] }
            var batch = waiting[waitingStart]
            waiting[waitingStart].bytes = []
            waitingStart += 1
            if waitingStart == waiting.count { (waiting, waitingStart) = ([], 0) }
            batch.first = assigned + 1
            assigned += Int64(batch.lines)
            sent.append(batch)
        }
        let count = sent[cursor.batch].bytes.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[cursor.byte...])) }
        cursor.byte += count
        var answers: [Answer] = []
        if cursor.byte == sent[cursor.batch].bytes.count {
            if acknowledge == .received, !sent[cursor.batch].isAnswered {
                sent[cursor.batch].isAnswered = true
                answers.append(Answer(id: sent[cursor.batch].id, outcome: .taken(refused: sent[cursor.batch].refused)))
            }
            cursor = (cursor.batch + 1, 0)
        }
        self.cursor = cursor
        return answers
    }

    /// `ok N`.
    mutating func acknowledged(_ sequence: Int64) -> [Answer] {
        stored = max(stored, min(origin &+ sequence, assigned))
        var answers: [Answer] = []
        while sentStart < sent.count, sent[sentStart].first + Int64(sent[sentStart].lines) - 1 <= stored {
            let batch = sent[sentStart]
            pendingBytes -= batch.bytes.count
            if !batch.isAnswered { answers.append(Answer(id: batch.id, outcome: .taken(refused: batch.refused))) }
            sent[sentStart].bytes = []
            sentStart += 1
        }
        // The front is cut off now and then, so that each batch is moved once on the average.
        if sentStart > 32, sentStart > sent.count / 2 || sentStart == sent.count {
            sent.removeFirst(sentStart)
            cursor?.batch -= sentStart
            sentStart = 0
        }
        return answers
    }

    /// `refused N why`.
    mutating func refused(_ sequence: Int64, _ reason: String) {
        let ours = origin &+ sequence
        for place in sentStart..<sent.count where ours >= sent[place].first && ours < sent[place].first + Int64(sent[place].lines) {
            guard sent[place].refused.count < Numbering.refusalsMax else { return }
            sent[place].refused[Int(ours - sent[place].first)] = reason
            return
        }
    }

    /// Takes back everything that was never sent: the daemon is away, and senders keep it better than we do.
    mutating func giveUpWaiting() -> [Answer] {
        defer { (waiting, waitingStart) = ([], 0) }
        return waiting[waitingStart...].map { batch in
            pendingBytes -= batch.bytes.count
            return Answer(id: batch.id, outcome: .timedOut(wasSent: false))
        }
    }

    /// Answers batches whose time is over. What was not sent is taken back; what was sent stays until it is stored.
    mutating func expire(now: Int64) -> [Answer] {
        var answers: [Answer] = []
        while waitingStart < waiting.count, waiting[waitingStart].deadline <= now {
            answers.append(Answer(id: waiting[waitingStart].id, outcome: .timedOut(wasSent: false)))
            pendingBytes -= waiting[waitingStart].bytes.count
            waiting[waitingStart].bytes = []
            waitingStart += 1
        }
        for place in sentStart..<sent.count where sent[place].deadline <= now && !sent[place].isAnswered {
            sent[place].isAnswered = true
            answers.append(Answer(id: sent[place].id, outcome: .timedOut(wasSent: true)))
        }
        return answers
    }
}
