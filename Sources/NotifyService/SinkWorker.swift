import Configuration
import Glibc
import Notification
import Platform
import Tabular
import TimeSeries

/// What is known at a moment, for all sinks.
struct Snapshot: Sendable {
    var number: Int64 = 0
    var alerts: [NotifyAlert] = []
    /// Ids that were asked for.
    var asked: Set<String> = []
    var at: Int64 = 0
    var tests: [(number: Int64, sink: String)] = []
}

/// One sink with its engine, in a thread of its own, so that a slow receiver holds up no other.
final class SinkWorker: @unchecked Sendable {
    // Safety: `status`, `results` and `isStopping` are locked; the rest belongs to the worker's thread (or to `runOnce`'s).
    struct Status: Sendable {
        var told: Int64 = 0
        var waiting = 0
        var lastToldAt: Int64 = 0
        var failures: Int64 = 0
        /// What the receiver said last when it did not take something; nil: all is well.
        var trouble: String?
        var failingSince: Int64?
        var ids: [String] = []
    }

    let configuration: SinkConfiguration
    let status = Locked(Status())
    let results = Locked<[JSONValue]>([])
    private let isStopping = Locked(false)
    private var engine: SinkEngine
    private let sink: any Sink
    private let file: ToldFile?
    private let log: Log
    private var nextTry: Int64 = 0
    private var pause: Int64 = 0
    private var tested: Set<Int64> = []
    private static let pauseMin: Int64 = 2_000_000_000
    private static let pauseMax: Int64 = 300_000_000_000

    /// - Parameter file: nil: nothing is kept (a rehearsal).
    init(_ configuration: SinkConfiguration, file: ToldFile?, log: Log) {
        (self.configuration, self.file, self.log) = (configuration, file, log)
        sink = Sinks.make(configuration)
        engine = SinkEngine(
            sink: configuration.name, rules: configuration.rules, book: file?.book(of: configuration.name) ?? ToldBook(),
            glob: { Glob.matches($0, $1) })
        status.withLock { $0.ids = engine.book.ids }
    }

    func stop() { isStopping.withLock { $0 = true } }

    func run(_ snapshots: Locked<Snapshot>) {
        while !isStopping.withLock({ $0 }) {
            let snapshot = snapshots.withLock { $0 }
            let now = Clocks.wall()
            // Not on what is old news while the daemon is away.
            if snapshot.number > 0, now - snapshot.at < 120_000_000_000 { work(snapshot, now) }
            Clocks.sleep(nanoseconds: 100_000_000)
        }
        sink.stop()
    }

    private func work(_ snapshot: Snapshot, _ now: Int64) {
        test(snapshot)
        guard Clocks.monotonic() >= nextTry else { return }
        let notices = due(snapshot, now, isHasty: false)
        status.withLock { $0.waiting = notices.count }
        if let outcome = sink.tend(snapshot.alerts, told: engine.book, now: now), !outcome.isDelivered { return fail(outcome) }
        for (index, notice) in notices.enumerated() {
            guard !isStopping.withLock({ $0 }), deliver(notice) else { return }
            status.withLock { $0.waiting = notices.count - index - 1 }
        }
    }

    private func due(_ snapshot: Snapshot, _ now: Int64, isHasty: Bool) -> [Notice] {
        let notices = engine.due(snapshot.alerts, asked: snapshot.asked, now: now, minute: SinkWorker.minute(now), isHasty: isHasty)
        let (left, changed) = engine.forgetEnds(notices, now: now)
        keep(changed)
        return left
    }

    /// false: it was not taken; the rest waits with it.
    private func deliver(_ notice: Notice) -> Bool {
        let engine = engine
        let outcome = sink.deliver(notice, atOpen: { engine.severityAtOpen($0) })
        guard outcome.isDelivered else {
            fail(outcome)
            return false
        }
        Failpoint.pass("notify.delivered")
        let now = Clocks.wall()
        keep(self.engine.told(notice, now: now))
        pause = 0
        status.withLock {
            if $0.trouble != nil { log.notice("sink can be told again", ["sink": configuration.name]) }
            ($0.trouble, $0.failingSince, $0.lastToldAt) = (nil, nil, now)
            $0.told += 1
        }
        log.debug("told", ["sink": configuration.name, "key": notice.key, "answer": outcome.answer])
        return true
    }

    private func keep(_ groups: [String]) {
        guard !groups.isEmpty else { return }
        do { try file?.append(groups.map { engine.book.record(of: $0, sink: configuration.name) }) } catch {
            // At worst it is told again after a restart, under the same key.
            log.error("cannot keep what was told", ["sink": configuration.name, "reason": "\(error)"])
        }
        status.withLock { $0.ids = engine.book.ids }
    }

    private func fail(_ outcome: Outcome) {
        pause = pause == 0 ? SinkWorker.pauseMin : min(SinkWorker.pauseMax, pause * 2)
        nextTry = Clocks.monotonic() + pause
        status.withLock {
            $0.failures += 1
            if $0.trouble == nil {
                log.warning("a sink did not take it; trying again", ["sink": configuration.name, "answer": outcome.answer])
            }
            $0.trouble = outcome.answer
            $0.failingSince = $0.failingSince ?? Clocks.wall()
        }
    }

    private func test(_ snapshot: Snapshot) {
        for test in snapshot.tests where test.sink == configuration.name && tested.insert(test.number).inserted {
            let outcome = sink.deliver(SinkWorker.testNotice(configuration.name, number: test.number), atOpen: { _ in nil })
            results.withLock {
                $0.append(.object(["number": .integer(test.number), "ok": .bool(outcome.isDelivered), "answer": .string(outcome.answer)]))
            }
        }
    }

    static func testNotice(_ sink: String, number: Int64) -> Notice {
        let now = Clocks.wall()
        let alert = NotifyAlert(
            own: "test-\(number)", stream: "rnn-watchd test", reason: "this is a test; nothing is wrong", startsAt: TimeText.seconds(now),
            openedTime: now, isOpen: true, closedAt: nil)
        return Notice(key: "test/\(now)/\(sink)", group: "test", reason: .test, firing: [alert], resolved: [])
    }

    /// One pass that waits for nothing. Returns whether all that was due was taken.
    func runOnce(_ snapshot: Snapshot, print isPrinted: Bool) -> Bool {
        test(snapshot)
        defer { if !isPrinted { sink.stop() } }
        if !isPrinted, let outcome = sink.tend(snapshot.alerts, told: engine.book, now: Clocks.wall()), !outcome.isDelivered {
            fail(outcome)
        }
        for notice in due(snapshot, Clocks.wall(), isHasty: true) {
            if isPrinted {
                show(notice)
            } else if !deliver(notice) {
                FileOutput.error("\(configuration.name): \(status.withLock { $0.trouble } ?? "not taken")")
                return false
            }
        }
        return true
    }

    /// A rehearsal: prints instead of telling, and remembers it as told.
    func rehearse(_ snapshot: Snapshot) {
        for notice in due(snapshot, Clocks.wall(), isHasty: false) { show(notice) }
    }

    private func show(_ notice: Notice) {
        let engine = engine
        let document = Payloads.webhook(notice, sink: configuration.name, atOpen: { engine.severityAtOpen($0) })
        FileOutput.output(document.compact + "\n")
        _ = self.engine.told(notice, now: Clocks.wall())
    }

    /// Minute of the local day.
    private static func minute(_ now: Int64) -> Int {
        var seconds = time_t(now / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return Int(parts.tm_hour) * 60 + Int(parts.tm_min)
    }
}
