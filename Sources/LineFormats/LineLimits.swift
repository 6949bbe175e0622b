/// Every bound of the parsers in one place. Reaching one is an error with a reason of its own, never a trap and never an
/// unbounded buffer.
///
/// Values are clamped to the ranges written at each property, so that any number from a configuration file is safe.
public struct LineLimits: Sendable, Equatable {
    /// Bytes of one line without its line end; 64 ... 16 MiB. The default holds a quoted string of 64 KiB and its reading.
    public let lineBytesMax: Int
    /// Numeric fields of one reading; 1 ... 65,536.
    public let channelsPerReadingMax: Int
    /// Readings that one line (a collectd value list, a JSON array) may carry; 1 ... 65,536.
    public let readingsPerLineMax: Int
    /// Tags of one stream; 1 ... 1,024.
    public let tagsMax: Int
    /// Bytes of a stream key as it arrives and in canonical form; 16 ... 65,536.
    public let keyBytesMax: Int
    /// Bytes of one measurement, tag key, tag value or channel name, after unescaping and flattening; 1 ... 65,536.
    public let nameBytesMax: Int
    /// Nested JSON containers, the outermost counted; 1 ... 64.
    public let jsonDepthMax: Int
    /// Bytes of unescaped and flattened names that one line may need; 4 KiB ... 64 MiB.
    public let arenaBytesMax: Int

    /// Creates limits; values out of range are clamped.
    public init(
        lineBytesMax: Int = 128 * 1024,
        channelsPerReadingMax: Int = 1024,
        readingsPerLineMax: Int = 4096,
        tagsMax: Int = 64,
        keyBytesMax: Int = 4096,
        nameBytesMax: Int = 512,
        jsonDepthMax: Int = 16,
        arenaBytesMax: Int = 1024 * 1024
    ) {
        self.lineBytesMax = min(max(lineBytesMax, 64), 16 * 1024 * 1024)
        self.channelsPerReadingMax = min(max(channelsPerReadingMax, 1), 65_536)
        self.readingsPerLineMax = min(max(readingsPerLineMax, 1), 65_536)
        self.tagsMax = min(max(tagsMax, 1), 1024)
        self.keyBytesMax = min(max(keyBytesMax, 16), 65_536)
        self.nameBytesMax = min(max(nameBytesMax, 1), 65_536)
        self.jsonDepthMax = min(max(jsonDepthMax, 1), 64)
        self.arenaBytesMax = min(max(arenaBytesMax, 4096), 64 * 1024 * 1024)
    }
}
