/// One accepted reading of one stream: some of its channels at one time.
public struct ReadingEntry: Sendable {
    /// The stream's number, from 1; 0 is the daemon itself.
    public var stream: UInt32
    /// First field in the batch's channel and value columns.
    public var fieldStart: UInt32
    public var fieldCount: UInt32
    /// When it was taken: nanoseconds since 1970.
    public var time: Int64
    /// The fleet clock when it arrived: nanoseconds that all streams together have lived through (see `FleetClock`).
    public var clock: Int64

    @inlinable
    public init(stream: UInt32, fieldStart: UInt32, fieldCount: UInt32, time: Int64, clock: Int64) {
        (self.stream, self.fieldStart, self.fieldCount) = (stream, fieldStart, fieldCount)
        (self.time, self.clock) = (time, clock)
    }
}

/// What happened between readings, in order of arrival.
public enum BatchNote: Sendable, Equatable {
    /// A stream was seen for the first time.
    case stream(id: UInt32, key: [UInt8])
    /// A channel of a stream was seen for the first time.
    case channel(stream: UInt32, index: UInt16, name: [UInt8])
    /// A stream made room for others.
    case evicted(stream: UInt32)
    /// The daemon's own condition `kind` began (its reason) or ended (nil) at `time`.
    case condition(kind: String, reason: String?, time: Int64)
    /// Something is wrong with what a stream's source sends since `time` (the reason says what), or no longer (nil): much of it is lost, or
    /// values cannot be true.
    case source(kind: String, stream: UInt32, reason: String?, time: Int64)
    /// So many streams share the false-alarm budget of a group (see `Intake.budgetGroup`); `stream` 0: told to all of the group.
    case budgetShare(group: UInt16, stream: UInt32, streams: UInt32)
    /// From here on these trained models run: the first entry whose glob matches a stream's key counts.
    case models([ModelAssignment])
    /// What a person did (see `PersonalNote`).
    case person(PersonalNote)
}

/// What people do about streams and alerts, as far as the detector hears of it. Moments are nanoseconds since 1970, wall time.
public enum PersonalNote: Sendable, Equatable {
    /// An open alert of a stream is closed by hand.
    case close(stream: UInt32, alert: String, by: String, text: String)
    /// All open alerts of a stream end, as the stream is not watched any more; it stays known.
    case settle(stream: UInt32)
    /// A stream learns anew.
    case reset(stream: UInt32)
    /// A stream has another name from here on and keeps what it learned.
    case rename(stream: UInt32, key: [UInt8])
    /// What was thought of an alert. `bar`: what it raises, if anything.
    case feedback(stream: UInt32, alert: String, verdict: String, by: String, text: String, at: Int64, bar: FeedbackBarNote?)
    /// Exactly the streams that one of these scopes matches are neither judged nor learned from, from here on (see `WatchSettings.covers`).
    case pause([String])
}

/// How much more than its threshold a stream needs after an alert was called a mistake.
public struct FeedbackBarNote: Sendable, Equatable {
    /// The alert's main channel; empty: any.
    public var channel: [UInt8]
    /// Points above the threshold at the beginning.
    public var points: Double
    /// Nanoseconds of reading time until nothing is left of it.
    public var fade: Int64
    /// A moment (nanoseconds since 1970) whose hour and weekday it is about; nil: any time.
    public var moment: Int64?

    public init(channel: [UInt8], points: Double, fade: Int64, moment: Int64?) {
        (self.channel, self.points, self.fade, self.moment) = (channel, points, fade, moment)
    }
}

/// Which model the streams that match a glob run on.
public struct ModelAssignment: Sendable, Equatable {
    /// Glob over the canonical stream key.
    public var match: String
    /// SHA-256 of the model's bytes in hexadecimal; empty for the built-in network.
    public var model: String
    /// `NAME@VERSION`, for people; empty for the built-in network.
    public var label: String

    public init(match: String, model: String, label: String) { (self.match, self.model, self.label) = (match, model, label) }
}

/// Accepted readings on their way from the sockets through a shard into the journal.
///
/// A batch has one owner at a time: the ingest thread fills it, the shard reads it, the writer stores it and gives it back.
/// Its columns are allocated once; filling them allocates nothing.
public final class ReadingBatch: @unchecked Sendable {
    // Safety: ownership is handed over through queues; nobody keeps a reference after pushing it.

    /// Readings that fit.
    public let entryCapacity: Int
    /// Values that fit, over all readings.
    public let fieldCapacity: Int

    /// Position in the log of all batches, from 1, without holes.
    public var sequence: Int64 = 0
    public var shard: Int = 0
    /// How many shards there are: says which streams this batch's clock is about.
    public var shards: Int = 1
    /// Nothing of what the sockets gave is cut here: the last batch of a flush between two lines. Totals and acknowledgements
    /// hold exactly here, so commits end only here.
    public var isGroupEnd = true
    /// Wall time when it was closed: nanoseconds since 1970.
    public var receivedAt: Int64 = 0
    /// Monotonic time of its first reading, for measuring lag; 0 after a replay.
    public var firstArrival: Int64 = 0
    /// The fleet clock when it was closed.
    public var clock: Int64 = 0

    public var entryCount: Int { entriesUsed }
    public var fieldCount: Int { fieldsUsed }
    @usableFromInline var entriesUsed = 0
    @usableFromInline var fieldsUsed = 0
    public let entries: UnsafeMutablePointer<ReadingEntry>
    public let channels: UnsafeMutablePointer<UInt16>
    public let values: UnsafeMutablePointer<Double>

    /// How it stands in the journal, once `JournalCodec.encode` was asked.
    public internal(set) var encoded = ByteWriter()

    /// Applied before the readings.
    public var notes: [BatchNote] = []
    /// Ingest totals as of the end of this batch, stored with it (see `IngestTotals`).
    public var totals = IngestTotals()
    /// Who waits for this batch to be durable.
    public var acknowledgements: [Acknowledgement] = []

    public init(entryCapacity: Int, fieldCapacity: Int) {
        self.entryCapacity = entryCapacity
        self.fieldCapacity = fieldCapacity
        entries = .allocate(capacity: entryCapacity)
        channels = .allocate(capacity: fieldCapacity)
        values = .allocate(capacity: fieldCapacity)
    }

    deinit {
        entries.deallocate()
        channels.deallocate()
        values.deallocate()
    }

    public var isEmpty: Bool { entryCount == 0 && notes.isEmpty && acknowledgements.isEmpty }

    /// Whether a reading of `fields` values fits.
    @inlinable
    public func hasRoom(fields: Int) -> Bool { entriesUsed < entryCapacity && fieldsUsed + fields <= fieldCapacity }

    /// Appends one value of the reading that `endReading` will close.
    @inlinable
    public func append(channel: UInt16, value: Double) {
        channels[pendingEnd] = channel
        values[pendingEnd] = value
        pendingEnd += 1
    }

    /// Closes a reading made of the values appended since the last one. At least one value must have been appended.
    @inlinable
    public func endReading(stream: UInt32, time: Int64, clock: Int64) {
        entries[entriesUsed] = ReadingEntry(
            stream: stream, fieldStart: UInt32(truncatingIfNeeded: fieldsUsed),
            fieldCount: UInt32(truncatingIfNeeded: pendingEnd &- fieldsUsed),
            time: time, clock: clock)
        entriesUsed += 1
        fieldsUsed = pendingEnd
    }

    /// Forgets values appended since the last closed reading.
    public func dropPending() { pendingEnd = fieldCount }

    /// Values appended but not closed.
    public var pendingCount: Int { pendingEnd - fieldCount }

    @usableFromInline var pendingEnd = 0

    /// Empties it for the next use; keeps its memory.
    public func reset() {
        sequence = 0
        isGroupEnd = true
        receivedAt = 0
        firstArrival = 0
        clock = 0
        entriesUsed = 0
        fieldsUsed = 0
        pendingEnd = 0
        encoded.removeAll()
        notes.removeAll(keepingCapacity: true)
        acknowledgements.removeAll(keepingCapacity: true)
    }
}

/// A client's wish to hear when everything up to `sequence` of `producer` is stored.
public struct Acknowledgement: Sendable, Equatable {
    /// The connection that asked; 0 for none.
    public var connection: UInt64
    public var producer: ProducerName
    /// The client's own number of its last line in this batch; -1: it is forgotten.
    public var sequence: Int64
    /// Tells producers of one name apart that came after each other.
    public var life: UInt64
    /// Of the lines up to `sequence`; nil: not known.
    public var checksum: UInt32?

    public init(connection: UInt64, producer: ProducerName, sequence: Int64, life: UInt64 = 0, checksum: UInt32? = nil) {
        (self.connection, self.producer, self.sequence, self.life) = (connection, producer, sequence, life)
        self.checksum = checksum
    }

    /// Somebody who acted waits for it: number `act`.
    public init(act: Int64) { self.init(connection: .max, producer: ProducerName(user: 0, name: ""), sequence: act) }
    /// It is about an act and not about a client's lines.
    public var isAct: Bool { connection == .max }
}

/// Everything the ingest side counts, plus its clocks: stored with each batch, so that it survives exactly what the readings survive.
public struct IngestTotals: Sendable, Equatable {
    public var linesReceived: Int64 = 0
    public var linesIgnored: Int64 = 0
    public var readingsAccepted: Int64 = 0
    public var valuesAccepted: Int64 = 0
    public var bytesReceived: Int64 = 0
    /// Refused lines by reason, in the order of `refusalNames` of whoever counts.
    public var refused: [Int64] = []
    /// Readings dropped as a whole by reason, in the order of `DropReason.allCases`. Accepted and dropped add up to all that were read.
    public var dropped = [Int64](repeating: 0, count: DropReason.allCases.count)
    /// Single values left out, of readings accepted or not, in the same order.
    public var valuesDropped = [Int64](repeating: 0, count: DropReason.allCases.count)
    public var fleetClock = FleetClock()
    /// What was lost of streams: of all of them when restored, in a batch of those that changed since the last one that told any.
    public var losses: [UInt32: StreamLosses] = [:]

    public init() {}
}

/// Why an understood reading, or one value of it, was not taken. A reading counts as dropped when none of its values was taken.
public enum DropReason: String, Sendable, CaseIterable {
    /// Older than the stream's last reading.
    case out_of_order
    /// This channel already has a value for this time.
    case duplicate
    /// Dated further ahead than `future_max`.
    case future
    /// NaN or infinite.
    case not_finite
    /// A text or other value that is not a number.
    case not_numeric
    /// The stream is new and `streams_max` is reached, or it made room for a new one while a reading of it waited for late ones.
    case streams_max
    /// The channel is new and `channels_max` is reached.
    case channels_max
    /// The configuration says to ignore the stream.
    case ignored
    /// A client sent it again after it had been acknowledged.
    case resent
    /// Said to be unknown: `U`, `null`, an empty cell.
    case unknown_value
    /// A text that begins like a number and is none that can be understood for sure: a foreign unit, a date, `1,234`.
    case odd_number
    /// The value that the configuration calls a marker of missing ones (`missing`).
    case missing
    /// Outside the range that the configuration gives the channel (`range`).
    case out_of_range
}
