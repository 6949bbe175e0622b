import Control
import Ingest
import Platform
import Readings

/// Acts of people on their way through the log of batches: who made one waits here until it is stored.
final class ActDesk: @unchecked Sendable {
    // Safety: the monitor locks.
    private let stored = Monitor<(last: Int64, done: Set<Int64>)>((0, []))
    private let numbers = Locked<Int64>(0)

    /// Puts acts into the log and waits until they are as safe as the durability level promises.
    func act(_ acts: [IntakeAct], through ingest: IngestServer, timeoutSeconds: Int64 = 10) throws(ControlError) {
        guard !acts.isEmpty else { return }
        let number = numbers.withLock { number -> Int64 in
            number += 1
            return number
        }
        ingest.act(acts, number: number, at: Clocks.wall())
        let deadline = Clocks.monotonic() + timeoutSeconds * 1_000_000_000
        while Clocks.monotonic() < deadline {
            if stored.change({ $0.done.remove(number) != nil }) { return }
            Clocks.sleep(nanoseconds: 2_000_000)
        }
        throw .failed("it is noted but not stored yet: the store is too busy or refuses; see `rnnctl status`, and do it again to be sure")
    }

    /// These are stored. Called by the writer.
    func done(_ acknowledgements: [Acknowledgement]) {
        for acknowledgement in acknowledgements where acknowledgement.isAct {
            stored.change { _ = $0.done.insert(acknowledgement.sequence) }
        }
    }
}
