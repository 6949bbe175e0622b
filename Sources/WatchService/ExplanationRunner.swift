import Alerting
import Configuration
import Glibc
import Platform
import Store
import Tabular

/// The thread that explains new alerts while their readings are still in the journal, and has the writer store what it found.
///
/// It is in nobody's way: low priority, at most a tenth of a processor in turns of a fraction of a millisecond, a bounded list. What it
/// does not come to can be asked for as long as the journal holds it, and the next start looks for it.
final class ExplanationRunner: @unchecked Sendable {
    // Safety: `waiting`, `limit` and `isStopping` are locked; the rest belongs to the thread.
    /// Alerts that may wait; then the oldest is left to whoever asks.
    static let waitingMax = 256
    /// Nanoseconds at work before a rest.
    private static let turn: Int64 = 200_000

    private let databasePath: String
    private let writer: WriterRunner
    private let models: ModelShelf
    private let log: Log
    private let configuration: Locked<Configuration>
    private let waiting = Locked<[String]>([])
    private let isStopping = Locked(false)

    init(databasePath: String, writer: WriterRunner, models: ModelShelf, configuration: Configuration, log: Log) {
        (self.databasePath, self.writer, self.models, self.log) = (databasePath, writer, models, log)
        self.configuration = Locked(configuration)
    }

    func reload(_ new: Configuration) { configuration.withLock { $0 = new } }
    func stop() { isStopping.withLock { $0 = true } }

    /// Alerts were committed.
    func add(_ actions: [AlertAction]) {
        let opened = actions.filter { $0.transition == .opened && $0.alert.kind == .anomaly }.map(\.alert.id)
        if !opened.isEmpty { add(opened) }
    }

    private func add(_ ids: [String]) {
        waiting.withLock {
            $0 += ids
            if $0.count > ExplanationRunner.waitingMax { $0.removeFirst($0.count - ExplanationRunner.waitingMax) }
        }
    }

    func run() {
        // Of this thread alone (Linux). Not the lowest: a stop waits for it to notice.
        WorkerThread.yieldToOthers(10)
        if let reader = try? StoreReader(path: databasePath), let ids = try? reader.unexplainedAlerts(limit: ExplanationRunner.waitingMax) {
            add(ids.reversed())
        }
        while !isStopping.withLock({ $0 }) {
            guard let id = waiting.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else {
                Clocks.sleep(nanoseconds: 200_000_000)
                continue
            }
            explain(id)
            if !isStopping.withLock({ $0 }) { Clocks.sleep(nanoseconds: 100_000_000) }
        }
    }

    /// Called often in an explanation: after a turn it rests nine times as long. True: it must stop.
    private func breathe(_ turnBegan: inout Int64) -> Bool {
        let turn = Clocks.monotonic() - turnBegan
        let isStopping = isStopping.withLock { $0 }
        if turn > ExplanationRunner.turn && !isStopping {
            Clocks.sleep(nanoseconds: min(9 * turn, 100_000_000))
            turnBegan = Clocks.monotonic()
        }
        return isStopping
    }

    private func explain(_ id: String) {
        // An alert whose explanation ended the process before is left alone.
        let number = CrashMarks.number(of: id)
        guard !CrashMarks.ended(.explanation, number) else { return }
        CrashMarks.begin(.explanation, number)
        defer { CrashMarks.end(.explanation) }
        let configuration = configuration.withLock { $0 }
        let keep = configuration.number("explanations_max")
        guard keep > 0 else { return }
        let turnBegan = Locked(Clocks.monotonic())
        do {
            let content = try Explanations.make(
                try StoreReader(path: databasePath), id, configuration, models,
                isCancelled: { turnBegan.withLock { self.breathe(&$0) } }
            ).compact
            _ = writer.ask { store in
                try? store.transaction { () throws(StoreError) in
                    try store.storeExplanation(id: id, content: content, now: Clocks.wall(), keep: keep)
                }
            }
        } catch { log.debug("no explanation was stored", ["alert": id, "reason": "\(error)"]) }
    }
}
