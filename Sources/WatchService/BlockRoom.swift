import Platform

/// Bounds what learned state is copied and not stored yet: shards wait before they copy more than the writer can take.
///
/// Without it a checkpoint of everything would hold all state twice, and a full disk once more.
final class BlockRoom: Sendable {
    /// Bytes of snapshots under way at most; one block may always go.
    static let bytesMax = 16 << 20

    private let bytes = Locked(0)

    var isFull: Bool { bytes.withLock { $0 >= BlockRoom.bytesMax } }

    func take(_ count: Int) { bytes.withLock { $0 += count } }
    func giveBack(_ count: Int) { bytes.withLock { $0 -= count } }

    /// Waits for room, but not for ever: blocks may wait for batches that come through the very shard that waits here.
    func wait(isAlive: () -> Void) {
        for _ in 0..<500 where isFull {
            isAlive()
            Clocks.sleep(nanoseconds: 2_000_000)
        }
    }
}
