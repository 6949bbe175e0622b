import Synchronization

/// Tells when the last of several has come.
final class ReadyCount: Sendable {
    private let left: Mutex<Int>
    init(_ count: Int) { left = Mutex(count) }

    /// true for the last one.
    func one() -> Bool {
        left.withLock { left in
            left -= 1
            return left == 0
        }
    }
}
