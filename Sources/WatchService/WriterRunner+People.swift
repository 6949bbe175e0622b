import Platform
import Store

extension WriterRunner {
    /// Ends acknowledgements and shelves whose time is over. A database that refuses is asked again with the next round.
    func attend() {
        store.reopenWithin = intervals.withLock { $0.reopenWithin }
        guard let due = store.nextAttentionEnd else { return }
        let now = Clocks.wall()
        guard now >= due, Clocks.monotonic() - attendedAt > 200_000_000 else { return }
        attendedAt = Clocks.monotonic()
        var ended = 0
        do {
            try store.transaction { () throws(StoreError) in ended = try store.endAttention(now: now) }
            try store.sync()
        } catch {
            log.warning("cannot end acknowledgements whose time is over", ["reason": error.description])
        }
        if ended > 0 { onSteps() }
    }
}
