import Synchronization

/// Bytes that bodies and lines of all requests together may take.
public final class ByteBudget: Sendable {
    private let used = Mutex(0)
    private let max: Int

    public init(max: Int) { self.max = max }

    /// false: there is no room now.
    func reserve(_ bytes: Int) -> Bool {
        used.withLock { used in
            guard bytes <= max - used else { return false }
            used += bytes
            return true
        }
    }

    func release(_ bytes: Int) { used.withLock { $0 -= bytes } }
    public var usedBytes: Int { used.withLock { $0 } }
}

/// What one request has reserved; given back when the request ends.
final class Reservation {
    private let budget: ByteBudget
    private var bytes = 0

    init(_ budget: ByteBudget) { self.budget = budget }
    deinit { budget.release(bytes) }

    func grow(by count: Int) -> Bool {
        guard budget.reserve(count) else { return false }
        bytes += count
        return true
    }
}
