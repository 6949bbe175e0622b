import LineFormats
import Readings
import TimeSeries

/// What the intake may take.
public struct IntakeLimits: Sendable, Equatable {
    public var streamsMax = 100_000
    public var evicts = false
    public var channelsMax = 256
    /// Nanoseconds.
    public var futureMax: Int64 = 600_000_000_000
    public var shards = 1
    /// A stream of which more than a tenth is lost in such a time (nanoseconds) has an alert; 0: never.
    public var lossWindow: Int64 = 3_600_000_000_000
    /// An alert about a range ends when no value was outside for so long (nanoseconds of reading time).
    public var rangeQuiet: Int64 = 1_800_000_000_000

    public init() {}
}

/// Where batches come from and where they go.
public protocol BatchCourier: AnyObject {
    /// An empty batch; waits until one is free (back-pressure).
    func borrow() -> ReadingBatch
    /// Takes a filled batch to its shard.
    func deliver(_ batch: ReadingBatch)
    /// What was delivered goes together: nothing more follows at once.
    func endDelivery()
    /// A shard has nothing to do.
    func isIdle(shard: Int) -> Bool
}

extension BatchCourier {
    public func endDelivery() {}
    public func isIdle(shard: Int) -> Bool { false }
}

/// From parsed readings to batches: names become numbers, and every reading gets its fate. Pure but for the courier.
///
/// Order of checks for a reading: stream known or room for it; not ignored; not dated ahead of `now` by more than
/// `futureMax`; not older than the stream's newest. A reading with the stream's newest time adds channels that have no value
/// for it yet; a second value is a duplicate. What is dropped is counted by reason in `totals`.
public struct Intake: ~Copyable {
    public private(set) var totals: IngestTotals
    public var limits: IntakeLimits
    /// Decides for a new stream (its canonical key) whether the configuration ignores it.
    public var isIgnored: (String) -> Bool

    /// The group whose false-alarm budget a stream (its canonical key) shares; 0: it has one of its own, or none.
    public var budgetGroup: (String) -> UInt16 = { _ in 0 }
    var budget = BudgetGroups()

    /// What was lost of which stream.
    public let losses: LossBook
    /// The newest loss that nobody has asked for.
    private var loss: LossExample?
    private var lossesTold: Int64 = 0
    private var lossesJudged: Int64 = 0
    /// Nanoseconds between two looks at losses: to store them, to judge them.
    private static let lossesEvery: Int64 = 5_000_000_000

    /// The zone whose clock a stream's times are when they come without one (its canonical key): a place in `zones`.
    public var zone: (String) -> UInt8 = { _ in 0 }
    /// What the configuration says about values of a stream's channels (by canonical key, then by name); nil: nothing.
    public var checks: (String) -> (@Sendable (String) -> ChannelCheck?)? = { _ in nil }
    var checked = CheckedStreams()

    /// How late readings of a stream (its canonical key) may come and be put in order: nanoseconds; 0: never; negative: by its interval.
    public var lateMax: (String) -> Int64 = { _ in 0 }
    var late = LateWindows()

    /// Zones that streams may have.
    public var zones: [TimeZoneRules] = [.utc]

    var table: StreamTable
    private let courier: any BatchCourier
    /// The batch of each shard that is being filled. No array: nobody shares it, and asking whether somebody does would be done twice a reading.
    private let open: UnsafeMutableBufferPointer<ReadingBatch?>
    private var nextSequence: Int64
    private var limitReachedAt: Int64?
    private var limitIsTold = false
    /// The open batches should go before the next line, so that a line and what comes of it are stored together: one is nearly full, or
    /// it has readings for tens of microseconds of a shard that has nothing to do, as when many lines came at once.
    public private(set) var isDue = false
    /// Readings of a batch, and multiples, at which it is asked whether its shard waits for them.
    private static let readingsWorthWaking = 64
    /// Totals that some batch carries already; a line that led to none is counted durably all the same.
    private var linesFlushed: Int64
    /// Fleet clock of each shard's last batch: a shard whose streams are all silent must hear that time goes on.
    private var clockTold: [Int64]
    private static let tickEvery: Int64 = 10_000_000_000
    private let reasons = LineError.Reason.allCases
    private let dropReasons = DropReason.allCases

    /// - Parameters:
    ///   - totals: as restored; `nextSequence`: number of the next batch; `seed`: for the hash table only
    public init(
        limits: IntakeLimits, totals: IngestTotals, nextSequence: Int64, seed: UInt64, courier: any BatchCourier,
        isIgnored: @escaping (String) -> Bool
    ) {
        self.limits = limits
        self.totals = totals
        if self.totals.refused.count < LineError.Reason.allCases.count {
            self.totals.refused += [Int64](repeating: 0, count: LineError.Reason.allCases.count - self.totals.refused.count)
        }
        self.isIgnored = isIgnored
        self.courier = courier
        self.nextSequence = nextSequence
        losses = LossBook(totals.losses)
        for (stream, kept) in totals.losses {
            for (channel, unit) in kept.units { checked.units[CheckedStreams.key(stream, Int(channel))] = unit }
        }
        self.totals.losses = [:]
        linesFlushed = totals.linesReceived
        clockTold = Array(repeating: totals.fleetClock.now, count: limits.shards)
        table = StreamTable(seed: seed)
        open = .allocate(capacity: limits.shards)
        open.initialize(repeating: nil)
    }

    deinit {
        open.deinitialize()
        open.deallocate()
    }

    public var streamCount: Int { table.count }

    /// Puts back a stream as it was: its newest time, the fleet clock then, and the newest time of each channel.
    public mutating func restore(
        stream id: UInt32, key: [UInt8], channels: [(name: [UInt8], lastTime: Int64)], lastTime: Int64, lastClock: Int64
    ) {
        _ = key.withUnsafeBufferPointer { table.add(canonical: $0, id: id) }
        table.infos[Int(id)].lastTime = lastTime
        let text = String(decoding: key, as: UTF8.self)
        table.infos[Int(id)].isIgnored = isIgnored(text)
        table.infos[Int(id)].zone = zone(text)
        watchValues(of: id, text)
        watchOrder(of: id, text)
        table.infos[Int(id)].lastClock = lastClock
        _ = joinBudget(id, text)
        for channel in channels { _ = channel.name.withUnsafeBufferPointer { table.addChannel(id, $0, lastTime: channel.lastTime) } }
    }

    /// The alert about `streams_max` is open since before the start.
    public mutating func restoreLimit(now: Int64) { (limitReachedAt, limitIsTold) = (now, true) }

    /// The alert about a stream's losses is open since before the start.
    public mutating func restoreInput(stream: UInt32, now: Int64) { losses.restoreTold(stream, now: now) }

    /// The last turn in which a number was given, so that an evicted stream's number is not used again after a restart.
    public mutating func reserve(turnsThrough turn: Int) { table.reserve(turnsThrough: turn) }

    // MARK: - Lines

    /// Counts a line as received (`bytes` with its end), but for those of `takeUsual`. When `isDue`, flush first.
    public mutating func received(bytes: Int, now: Int64) {
        totals.linesReceived += 1
        totals.bytesReceived += Int64(bytes)
    }

    /// Counts a blank line or a comment.
    public mutating func ignoredLine() { totals.linesIgnored += 1 }

    /// Counts a refused line or a refused reading of a line.
    public mutating func refused(_ reason: LineError.Reason) {
        if let place = reasons.firstIndex(of: reason) { totals.refused[place] += 1 }
    }

    public mutating func dropped(_ reason: DropReason, count: Int = 1) {
        totals.dropped[dropReasons.firstIndex(of: reason) ?? 0] += Int64(count)
    }

    /// A reading out of its line.
    private static func copy(_ readings: borrowing ReadingBuffer, _ index: Int, _ time: Int64, _ arrival: Int64) -> HeldReading {
        var held = HeldReading(time: time, fields: [], arrival: arrival)
        for field in 0..<readings.fieldCount(index) {
            held.fields.append((Array(readings.fieldName(index, field)), readings.fieldValue(index, field)))
        }
        return held
    }

    /// The channel of a name, which may be new; nil: there is no room for it. `makeRoom` must have been asked before.
    mutating func channel(_ stream: UInt32, _ name: UnsafeBufferPointer<UInt8>) -> Int? {
        let known = table.channels(of: stream)
        if let channel = known.find(name, guess: 0) { return channel }
        guard known.count < limits.channelsMax, let added = table.addChannel(stream, name) else { return nil }
        open[shard(of: stream)]?.notes.append(.channel(stream: stream, index: UInt16(added), name: Array(name)))
        return added
    }

    /// Appends a value of the reading that `end` will close.
    mutating func append(_ shard: Int, _ channel: Int, _ value: Double) {
        open[shard]?.append(channel: UInt16(truncatingIfNeeded: channel), value: value)
    }

    /// Closes a reading made of the values appended since the last one; none: it was lost.
    mutating func end(_ shard: Int, _ stream: UInt32, _ time: Int64, fields: Int) {
        guard let batch = open[shard] else { return }
        let values = batch.pendingCount
        guard values > 0 else { return dropped(.duplicate) }
        totals.fleetClock.observe(time)
        table.infos[Int(stream)].taken &+= 1
        table.infos[Int(stream)].lastTime = time
        table.infos[Int(stream)].lastClock = totals.fleetClock.now
        batch.endReading(stream: stream, time: time, clock: totals.fleetClock.now)
        if !batch.hasRoom(fields: 2 * fields) || batch.entryCount + 8 > batch.entryCapacity { isDue = true }
        totals.readingsAccepted += 1
        totals.valuesAccepted += Int64(values)
    }

    private mutating func left(_ reason: DropReason, values: Int = 1) {
        totals.valuesDropped[dropReasons.firstIndex(of: reason) ?? 0] += Int64(values)
    }

    /// Whether something was lost that nobody has asked for.
    public var hasLoss: Bool { loss != nil }

    /// The newest loss since the last time.
    public mutating func takeLoss() -> LossExample? {
        defer { loss = nil }
        return loss
    }

    /// A reading, or values of one that was otherwise taken, are lost.
    @inline(never)
    mutating func lose(_ reason: DropReason, _ stream: UInt32, _ index: Int, time: Int64 = .min, values: Int = 0, now: Int64) {
        if values > 0 { left(reason, values: values) } else { dropped(reason) }
        losses.add(
            reason, stream, readings: values > 0 ? 0 : 1, values: values, taken: table.infos[Int(stream)].taken, now: now)
        loss = LossExample(reason: reason, index: index, time: time, newest: table.infos[Int(stream)].lastTime)
    }

    /// What a reading of a stream had that is no number.
    @inline(never)
    private mutating func loseLeftOut(_ out: LeftOut, _ stream: UInt32, _ index: Int, _ now: Int64) {
        for (reason, count) in [
            (DropReason.not_numeric, out.nonNumeric), (.not_finite, out.nonFinite), (.unknown_value, out.unknown), (.odd_number, out.odd),
        ] where count > 0 { lose(reason, stream, index, values: Int(count), now: now) }
    }

    /// The name of the stream that is likely to come next, as it was spelled before: for `LineParser.parse`. Valid until a reading is
    /// taken.
    public mutating func expectedKey() -> UnsafeBufferPointer<UInt8> { table.expected }

    /// Takes lines from `start` on as long as each is a usual one of the stream that is likely to come next and nothing about it is unusual.
    /// Counts them as received.
    /// - Returns: how many they were, and where the first other line begins, about which nothing was done.
    @inline(__always)
    public mutating func takeUsual(
        _ bytes: UnsafeBufferPointer<UInt8>, from start: Int, _ parser: inout LineParser, now: Int64
    ) -> (lines: Int, end: Int) {
        guard !isDue, table.expectedHead.count > 0 else { return (0, start) }
        return takeUsualRun(bytes, start, &parser, now)
    }

    private mutating func takeUsualRun(
        _ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ parser: inout LineParser, _ now: Int64
    ) -> (lines: Int, end: Int) {
        var (lines, end) = (0, start)
        let latest = now.later(by: limits.futureMax)
        while let usual = parser.usual(
            bytes, from: end, head: table.expectedHead, nameCount: table.expectedHead.count &- table.expected.count &- 2),
            takeOne(usual, latest)
        { (lines, end) = (lines &+ 1, usual.end) }
        totals.linesReceived += Int64(lines)
        totals.bytesReceived += Int64(end - start)
        totals.readingsAccepted += Int64(lines)
        totals.valuesAccepted += Int64(lines)
        return (lines, end)
    }

    /// The reading of a usual line. false: nothing was done.
    @inline(__always)
    private mutating func takeOne(_ usual: UsualLine, _ latest: Int64) -> Bool {
        let stream = table.expectedStream
        let info = table.infos + Int(stream)
        let shard = shard(of: stream)
        guard usual.time > info.pointee.lastTime, usual.time <= latest, !info.pointee.isIgnored,
            !info.pointee.isChecked, usual.time &- info.pointee.lastTime <= info.pointee.gapMax,
            info.pointee.first.lastTime != usual.time, let batch = open[shard].take()
        else { return false }
        // Out of its place meanwhile: what is moved need not be retained.
        defer { open[shard] = batch }
        // A reading that ends a batch, or after which its shard may be woken, goes the long way, like one that is dropped.
        guard batch.hasRoom(fields: 2), batch.entryCount &+ 9 <= batch.entryCapacity,
            (batch.entryCount &+ 1) % Intake.readingsWorthWaking != 0
        else { return false }
        _ = table.takeExpected()
        totals.fleetClock.observe(usual.time)
        info.pointee.taken &+= 1
        info.pointee.first.lastTime = usual.time
        info.pointee.lastTime = usual.time
        info.pointee.lastClock = totals.fleetClock.now
        batch.append(channel: 0, value: usual.value)
        batch.endReading(stream: stream, time: usual.time, clock: totals.fleetClock.now)
        return true
    }

    /// Takes all readings of a parsed line or row.
    /// - Parameters: `now`: wall time; `arrival`: monotonic time, for measuring lag.
    /// - Throws: why a reading's stream name was refused (already counted); the other readings of the line were taken.
    public mutating func accept(_ readings: inout ReadingBuffer, now: Int64, arrival: Int64) throws(LineError) {
        for index in 0..<readings.count {
            let stream = readings.isKeyExpected ? table.takeExpected() : table.find(readings.rawKey(index))
            if stream == 0 { return try acceptNew(&readings, from: index, now, arrival) }
            take(readings, index, stream, now, arrival)
        }
    }

    /// The rest of a line that has a stream whose spelling is new.
    @inline(never)
    private mutating func acceptNew(_ readings: inout ReadingBuffer, from: Int, _ now: Int64, _ arrival: Int64) throws(LineError) {
        var problem: LineError?
        for index in from..<readings.count {
            var stream = table.find(readings.rawKey(index))
            if stream == 0 {
                do {
                    stream = try discover(&readings, index, now)
                } catch {
                    refused(error.reason)
                    problem = error
                    continue
                }
                if stream == 0 {
                    dropped(.streams_max)
                    continue
                }
            }
            take(readings, index, stream, now, arrival)
        }
        if let problem { throw problem }
    }

    /// A stream whose spelling is new: 0 when it has no room.
    private mutating func discover(_ readings: inout ReadingBuffer, _ index: Int, _ now: Int64) throws(LineError) -> UInt32 {
        let canonical = try readings.canonicalKey(index)
        let known = table.find(canonical)
        if known != 0 {
            table.addAlias(readings.rawKey(index), of: known)
            return known
        }
        if table.count >= limits.streamsMax {
            limitReachedAt = now
            guard limits.evicts, let victim = table.silentLongest() else {
                tellLimit(now)
                return 0
            }
            tellLimit(now)
            leaveBudget(victim)
            // What waits for late readings has no stream any more.
            for _ in late.held[victim]?.readings ?? [] { dropped(.streams_max) }
            losses.remove(victim)
            checked.remove(victim)
            late.remove(victim)
            table.remove(victim)
            note(.evicted(stream: victim), stream: victim)
        }
        let stream = table.add(canonical: canonical)
        let key = String(decoding: canonical, as: UTF8.self)
        table.infos[Int(stream)].isIgnored = isIgnored(key)
        table.infos[Int(stream)].zone = zone(key)
        watchValues(of: stream, key)
        watchOrder(of: stream, key)
        note(.stream(id: stream, key: Array(canonical)), stream: stream)
        tellBudget(of: stream, group: joinBudget(stream, key))
        let raw = readings.rawKey(index)
        if table.find(raw) == 0 { table.addAlias(raw, of: stream) }
        return stream
    }

    private mutating func tellLimit(_ now: Int64) {
        guard !limitIsTold else { return }
        limitIsTold = true
        let what = limits.evicts ? "the stream that was silent longest makes room" : "readings of new streams are refused"
        note(.condition(kind: "limit", reason: "streams_max = \(limits.streamsMax) is reached; \(what)", time: now), stream: 0)
    }

    @inline(__always)
    private mutating func take(_ readings: borrowing ReadingBuffer, _ index: Int, _ stream: UInt32, _ now: Int64, _ arrival: Int64) {
        let info = table.infos[Int(stream)]
        if info.isIgnored { return lose(.ignored, stream, index, now: now) }
        if let out = readings.leftOut(index) { loseLeftOut(out, stream, index, now) }
        var stated = readings.time(index)
        if let local = stated, readings.isTimeLocal(index), info.zone != 0 { stated = moment(local, info) }
        // A reading without time is taken now; several in one moment, or after a clock step back, follow one another.
        // A stream whose newest time lies further ahead than a reading may was fed by a clock that has been set back since:
        // it goes on from where the clock is now.
        let wasSetBack = info.lastTime > now && info.lastTime.since(now) > limits.futureMax
        let time = stated ?? max(now, info.lastTime == .min || wasSetBack ? now : info.lastTime &+ 1)
        if time < info.lastTime, !wasSetBack { return lose(.out_of_order, stream, index, time: time, now: now) }
        if stated != nil, time > now, time.since(now) > limits.futureMax { return lose(.future, stream, index, time: time, now: now) }
        let fields = readings.fieldCount(index)
        if stated != nil, info.gapMax != .max, time > info.lastTime, time &- info.lastTime > info.gapMax || info.gapMax < 0, !wasSetBack,
            holds(stream, { Intake.copy(readings, index, time, arrival) }, time: time, now: now)
        {
            return
        }
        let shard = shard(of: stream)
        makeRoom(shard, fields: fields, now, arrival)
        // Out of its place meanwhile: what is moved need not be retained.
        guard let batch = open[shard].take() else { return }
        defer {
            open[shard] = batch
            if info.isChecked { tellRange(of: stream, time) }
        }
        var guess = 0
        var duplicates = 0
        var checkedOut: DropReason?
        let hasUnits = readings.hasUnits
        var lastReason = DropReason.duplicate
        var known = table.channels(of: stream)
        for field in 0..<fields {
            let name = readings.fieldName(index, field)
            var channel = known.find(name, guess: guess)
            if channel == nil {
                guard known.count < limits.channelsMax, let added = table.addChannel(stream, name) else {
                    lose(.channels_max, stream, index, time: time, values: 1, now: now)
                    lastReason = .channels_max
                    continue
                }
                batch.notes.append(.channel(stream: stream, index: UInt16(added), name: Array(name)))
                channel = added
                known = table.channels(of: stream)
            }
            guard let channel else { continue }
            guess = channel + 1
            if known[channel].pointee.lastTime == time {
                duplicates += 1
                lastReason = .duplicate
                continue
            }
            if info.isChecked, let reason = checkValue(stream, channel, name, readings.fieldValue(index, field), time) {
                lose(reason, stream, index, time: time, values: 1, now: now)
                checkedOut = reason
                continue
            }
            if hasUnits, !hasUnit(stream, channel, readings.fieldUnit(index, field)) {
                lose(.odd_number, stream, index, time: time, values: 1, now: now)
                continue
            }
            known[channel].pointee.lastTime = time
            batch.append(channel: UInt16(truncatingIfNeeded: channel), value: readings.fieldValue(index, field))
        }
        let values = batch.pendingCount
        if duplicates > 0, values > 0 {
            lose(.duplicate, stream, index, time: time, values: duplicates, now: now)
        } else if duplicates > 0 {
            left(.duplicate, values: duplicates)
        }
        guard values > 0 else { return lose(checkedOut ?? lastReason, stream, index, time: time, now: now) }
        totals.fleetClock.observe(time)
        table.infos[Int(stream)].taken &+= 1
        table.infos[Int(stream)].lastTime = time
        table.infos[Int(stream)].lastClock = totals.fleetClock.now
        batch.endReading(stream: stream, time: time, clock: totals.fleetClock.now)
        if !batch.hasRoom(fields: 2 * fields) || batch.entryCount + 8 > batch.entryCapacity { isDue = true }
        if batch.entryCount % Intake.readingsWorthWaking == 0, courier.isIdle(shard: shard) { isDue = true }
        totals.readingsAccepted += 1
        totals.valuesAccepted += Int64(values)
    }

    /// The moment that a time without zone means in the stream's zone.
    @inline(never)
    private func moment(_ local: Int64, _ info: StreamInfo) -> Int64 {
        Int(info.zone) < zones.count ? zones[Int(info.zone)].moment(local: local, after: info.lastTime) : local
    }

    // MARK: - Batches

    /// The shard that a stream belongs to.
    @inline(__always)
    func shard(of stream: UInt32) -> Int { StreamNumber.shard(of: stream, shards: limits.shards) }

    /// After it the open batch of a shard has room for a reading of `fields` values.
    @inline(__always)
    mutating func makeRoom(_ shard: Int, fields: Int, _ now: Int64, _ arrival: Int64) {
        if open[shard]?.hasRoom(fields: fields) ?? false { return }
        // A line of very many readings is cut here: the batches go, but nothing is committed before the rest of the line.
        if open[shard] != nil { flush(now: now, isGroupEnd: false) }
        let batch = courier.borrow()
        batch.shard = shard
        batch.firstArrival = arrival
        open[shard] = batch
    }

    mutating func note(_ note: BatchNote, stream: UInt32) {
        self.note(note, shard: shard(of: stream))
    }

    mutating func note(_ note: BatchNote, shard: Int) {
        if open[shard] == nil {
            let batch = courier.borrow()
            batch.shard = shard
            open[shard] = batch
        }
        open[shard]?.notes.append(note)
    }

    /// Closes all open batches in shard order and delivers them. The last one carries the totals and acknowledgements.
    /// - Parameters:
    ///   - acknowledgements: of clients whose lines up to their sequence are in these or earlier batches; at the end of a
    ///     group they must name every client that is ahead of what was asked before.
    ///   - isGroupEnd: false in the middle of a line.
    ///   - isLast: nothing follows: everything that is counted goes with it.
    public mutating func flush(
        now: Int64, acknowledgements: [Acknowledgement] = [], isGroupEnd: Bool = true, isLast: Bool = false
    ) {
        if isGroupEnd {
            if totals.fleetClock.watermark > now, totals.fleetClock.watermark &- now > limits.futureMax { totals.fleetClock.rewind() }
            settleOrder(now: now, all: isLast)
            tellLosses(now, isLast: isLast)
        }
        if isGroupEnd { closeGroup(now, hasAcknowledgements: !acknowledgements.isEmpty) }
        isDue = false
        guard let last = open.lastIndex(where: { $0 != nil }) else { return }
        for shard in 0...last {
            guard let batch = open[shard] else { continue }
            open[shard] = nil
            batch.shard = shard
            batch.shards = limits.shards
            batch.sequence = nextSequence
            batch.receivedAt = now
            batch.clock = totals.fleetClock.now
            batch.isGroupEnd = isGroupEnd && shard == last
            clockTold[shard] = batch.clock
            nextSequence += 1
            if batch.isGroupEnd {
                batch.acknowledgements = acknowledgements
                batch.totals = totals
                linesFlushed = totals.linesReceived
                totals.losses = [:]
            }
            courier.deliver(batch)
        }
        courier.endDelivery()
    }

    /// Now and then what was lost goes into the totals, and streams that lose much are told.
    private mutating func tellLosses(_ now: Int64, isLast: Bool) {
        if limits.lossWindow > 0, now - lossesJudged > min(Intake.lossesEvery, limits.lossWindow) || now < lossesJudged {
            lossesJudged = now
            let infos = table.infos
            for news in losses.judge(now: now, window: limits.lossWindow, taken: { infos[Int($0)].taken }) {
                note(.source(kind: "input", stream: news.stream, reason: news.reason, time: now), stream: news.stream)
            }
        }
        guard isLast || now - lossesTold > Intake.lossesEvery || now < lossesTold else { return }
        lossesTold = now
        let changed = losses.takeChanged()
        guard !changed.isEmpty else { return }
        totals.losses.merge(changed) { _, new in new }
        if open.allSatisfy({ $0 == nil }) { open[0] = courier.borrow() }
    }

    /// What a group has besides its readings: the end of a limit, time for silent shards, and a batch to carry the totals.
    private mutating func closeGroup(_ now: Int64, hasAcknowledgements: Bool) {
        if let reached = limitReachedAt, limitIsTold, now.since(reached) > 600_000_000_000 {
            limitReachedAt = nil
            limitIsTold = false
            note(.condition(kind: "limit", reason: nil, time: now), stream: 0)
        }
        if limits.shards > 1 {
            for shard in 0..<limits.shards where totals.fleetClock.now.since(clockTold[shard]) > Intake.tickEvery && open[shard] == nil {
                open[shard] = courier.borrow()
            }
        }
        if budget.isPending, open.contains(where: { $0 != nil }) { tellBudgets() }
        if hasAcknowledgements || totals.linesReceived != linesFlushed, open.allSatisfy({ $0 == nil }) { open[0] = courier.borrow() }
    }

    /// Delivers a note about the daemon itself at once.
    public mutating func report(_ kind: String, reason: String?, now: Int64) {
        note(.condition(kind: kind, reason: reason, time: now), stream: 0)
        flush(now: now)
    }

    /// Tells every shard at once which models run from here on. A batch of each shard carries it; nothing else waits for it.
    public mutating func assign(_ models: [ModelAssignment], now: Int64) {
        for shard in 0..<limits.shards { note(.models(models), shard: shard) }
        flush(now: now)
    }

    /// Asks for every stream again whether it is ignored and whose budget it shares (after a reload). `keys`: canonical keys by id.
    public mutating func refreshIgnored(_ key: (UInt32) -> String?) {
        guard table.lastID > 0 else { return }
        budget = BudgetGroups()
        for id in 1...table.lastID where table.infos[Int(id)].isPresent {
            guard let key = key(id) else { continue }
            table.infos[Int(id)].isIgnored = isIgnored(key)
            table.infos[Int(id)].zone = zone(key)
            watchValues(of: id, key)
            if late.windows[id] ?? 0 != lateMax(key) { watchOrder(of: id, key) }
            _ = joinBudget(id, key)
        }
    }
}
