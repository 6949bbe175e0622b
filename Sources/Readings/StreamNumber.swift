/// The numbers of streams, and what follows from them: checkpoint block and shard.
///
/// Stream 0 is the daemon itself. A number is never given twice.
public enum StreamNumber {
    /// Streams of one checkpoint block: this many neighbouring numbers. Blocks go to shards in turn.
    public static let perBlock = 16
    private static let blocksPerGroup = 16
    private static let perGroup = perBlock * blocksPerGroup

    @inlinable
    @inline(always)
    public static func block(of stream: UInt32) -> Int { Int(stream) / perBlock }

    /// The shard, of `shards`, that a stream belongs to.
    @inlinable
    @inline(always)
    public static func shard(of stream: UInt32, shards: Int) -> Int { Int(stream / UInt32(perBlock) % UInt32(truncatingIfNeeded: shards)) }

    /// The number given in a turn, from 1: neighbours in time lie in different blocks, so that the shards share even a small fleet.
    /// - Returns: 0 in the one turn of its group that gives none.
    public static func given(inTurn turn: Int) -> UInt32 {
        let (group, place) = (turn - 1).quotientAndRemainder(dividingBy: perGroup)
        let (column, row) = place.quotientAndRemainder(dividingBy: blocksPerGroup)
        return UInt32(group * perGroup + row * perBlock + (column + 1) % perBlock)
    }

    /// The turn in which a number is given.
    public static func turn(of stream: UInt32) -> Int {
        let (group, place) = Int(stream).quotientAndRemainder(dividingBy: perGroup)
        let (row, column) = place.quotientAndRemainder(dividingBy: perBlock)
        return group * perGroup + (column + perBlock - 1) % perBlock * blocksPerGroup + row + 1
    }

    /// The last turn that may have given a number up to `stream`, whatever the order was.
    public static func lastTurn(through stream: UInt32) -> Int { (Int(stream) / perGroup + 1) * perGroup }
}
