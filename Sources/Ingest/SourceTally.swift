/// What came through one socket or file, whoever was connected.
final class SourceTally {
    let name: String
    /// Lines, and those of them that were refused, in the present window, which began at `start` (wall time).
    var lines: Int64 = 0
    var refused: Int64 = 0
    var start: Int64 = 0
    var example = ""
    var isTold = false
    /// Kinds of losses and refusals of which an example was told, a bit each.
    var told: UInt64 = 0

    init(name: String) { self.name = name }

    /// Whether this is the first of its kind.
    func isFirst(_ kind: Int) -> Bool {
        let bit: UInt64 = 1 << UInt64(kind & 63)
        defer { told |= bit }
        return told & bit == 0
    }
}
