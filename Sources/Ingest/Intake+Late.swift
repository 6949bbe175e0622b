import Readings

/// A reading that waits for what belongs before it.
struct HeldReading {
    var time: Int64
    var fields: [(name: [UInt8], value: Double)]
    var arrival: Int64
}

/// Readings of one stream that came after a gap, in the order of their times.
struct HeldStream {
    var readings: [HeldReading] = []
    /// Wall time of the first that waits.
    var since: Int64 = 0
    /// The step that is no gap, as it was before.
    var gapMax: Int64 = 0
}

/// What the window of late readings knows about streams. Only streams that learn their interval or wait have an entry.
struct LateWindows {
    /// Intervals of streams whose usual one is not known yet.
    var learning: [UInt32: [Int64]] = [:]
    /// Recurring long steps: the last one and how many like it came.
    var longSteps: [UInt32: (step: Int64, count: Int)] = [:]
    /// Windows (nanoseconds) of streams; negative: by the interval.
    var windows: [UInt32: Int64] = [:]
    var held: [UInt32: HeldStream] = [:]

    mutating func remove(_ stream: UInt32) {
        learning[stream] = nil
        longSteps[stream] = nil
        windows[stream] = nil
        held[stream] = nil
    }
}

/// The window in which late readings are put in order.
///
/// A reading that follows after more than one and a half usual intervals may have come before others that belong between: it waits, up to the
/// window in reading time and in wall time, for what fills the gap. Readings that follow each other are never held, so the usual flow is what it
/// was. What is older than the newest reading passed on stays out of order.
extension Intake {
    /// Intervals of which the median is the usual one.
    private static let learnedFrom = 8
    /// Intervals that a stream's own window is long.
    static let intervalsAutomatic: Int64 = 4
    /// Longest wait by the wall for a window that nobody asked for: a live reading after a gap is judged soon.
    static let waitAutomatic: Int64 = 5_000_000_000
    private static let heldMax = 4096

    /// Whether any reading waits.
    public var hasHeld: Bool { !late.held.isEmpty }

    /// Finds out the window of a stream.
    mutating func watchOrder(of stream: UInt32, _ key: String) {
        let window = lateMax(key)
        late.remove(stream)
        late.windows[stream] = window == 0 ? nil : window
        table.infos[Int(stream)].gapMax = window == 0 ? .max : .min
    }

    /// Whether a reading that is newer than all before waits, or what waits goes first.
    /// - Returns: true: it was kept, or passed on by this; false: the caller passes it on.
    @inline(never)
    mutating func holds(_ stream: UInt32, _ reading: () -> HeldReading, time: Int64, now: Int64) -> Bool {
        let info = table.infos[Int(stream)]
        if late.held[stream] != nil {
            insert(reading(), stream)
            settleOrder(of: stream, now)
            return true
        }
        guard info.lastTime != .min else { return false }
        let (step, overflow) = time.subtractingReportingOverflow(info.lastTime)
        guard !overflow, step > 0 else { return false }
        guard info.gapMax != .min else {
            learn(step, stream)
            return false
        }
        guard step > info.gapMax, !isRecurring(step, stream) else { return false }
        var waiting = HeldStream()
        (waiting.since, waiting.gapMax) = (now, info.gapMax)
        late.held[stream] = waiting
        // No step is short enough for the usual way while something waits.
        table.infos[Int(stream)].gapMax = -1
        insert(reading(), stream)
        return true
    }

    private mutating func learn(_ step: Int64, _ stream: UInt32) {
        late.learning[stream, default: []].append(step)
        guard let steps = late.learning[stream], steps.count >= Self.learnedFrom else { return }
        late.learning[stream] = nil
        let median = steps.sorted()[steps.count / 2]
        table.infos[Int(stream)].gapMax = median > Int64.max / 2 ? .max : median + median / 2
    }

    /// A long step that comes again and again is the rhythm of the sender: from the third on it is no gap.
    private mutating func isRecurring(_ step: Int64, _ stream: UInt32) -> Bool {
        guard let before = late.longSteps[stream], before.count >= 2, isAlike(step, before.step) else { return false }
        late.longSteps[stream] = nil
        table.infos[Int(stream)].gapMax = step > Int64.max / 2 ? .max : step + step / 2
        return true
    }

    private func isAlike(_ a: Int64, _ b: Int64) -> Bool { a / 2 <= b && b / 2 <= a }

    /// A gap that nothing filled.
    private mutating func remain(_ step: Int64, _ stream: UInt32) {
        let before = late.longSteps[stream] ?? (step, 0)
        late.longSteps[stream] = (step, isAlike(step, before.step) ? before.count + 1 : 1)
    }

    private mutating func insert(_ reading: HeldReading, _ stream: UInt32) {
        guard var waiting = late.held.removeValue(forKey: stream) else { return }
        var place = waiting.readings.count
        while place > 0, waiting.readings[place - 1].time > reading.time { place -= 1 }
        waiting.readings.insert(reading, at: place)
        late.held[stream] = waiting
    }

    /// The window of a stream in reading time.
    private func window(_ stream: UInt32, _ gapMax: Int64) -> Int64 {
        let stated = late.windows[stream] ?? 0
        guard stated < 0 else { return stated }
        return gapMax > Int64.max / Self.intervalsAutomatic ? .max : gapMax / 3 * 2 * Self.intervalsAutomatic
    }

    /// Passes on what follows without a gap, and what waited long enough.
    mutating func settleOrder(of stream: UInt32, _ now: Int64, all: Bool = false) {
        guard var waiting = late.held.removeValue(forKey: stream) else { return }
        let window = window(stream, waiting.gapMax)
        let wait = (late.windows[stream] ?? 0) < 0 ? min(window, Self.waitAutomatic) : window
        let isDue = all || now - waiting.since > wait || now < waiting.since
        var next = 0
        while next < waiting.readings.count {
            let reading = waiting.readings[next]
            let last = table.infos[Int(stream)].lastTime
            let follows = last != .min && reading.time.subtractingReportingOverflow(last).partialValue <= waiting.gapMax
            let span = waiting.readings[waiting.readings.count - 1].time.subtractingReportingOverflow(reading.time).partialValue
            let isFull = span > window || span < 0 || waiting.readings.count - next > Self.heldMax
            if !follows, last != .min, isRecurring(reading.time &- last, stream) {
                // As the usual way would have it.
                waiting.gapMax = table.infos[Int(stream)].gapMax
                table.infos[Int(stream)].gapMax = -1
                continue
            }
            guard isDue || follows || isFull else { break }
            if !follows, last != .min { remain(reading.time &- last, stream) }
            pass(reading, stream, now)
            next += 1
        }
        waiting.readings.removeFirst(next)
        guard waiting.readings.isEmpty else {
            late.held[stream] = waiting
            return
        }
        table.infos[Int(stream)].gapMax = waiting.gapMax
    }

    /// Passes on readings that waited long enough.
    /// - Parameter all: whatever waits.
    public mutating func settleOrder(now: Int64, all: Bool = false) {
        guard !late.held.isEmpty else { return }
        for stream in late.held.keys.sorted() { settleOrder(of: stream, now, all: all) }
    }

    /// A reading that waited becomes one like others.
    private mutating func pass(_ reading: HeldReading, _ stream: UInt32, _ now: Int64) {
        let shard = shard(of: stream)
        makeRoom(shard, fields: reading.fields.count, now, reading.arrival)
        for field in reading.fields {
            field.name.withUnsafeBufferPointer { name in
                guard let channel = channel(stream, name) else {
                    return lose(.channels_max, stream, 0, time: reading.time, values: 1, now: now)
                }
                let known = table.channels(of: stream)
                guard known[channel].pointee.lastTime != reading.time else {
                    return lose(.duplicate, stream, 0, time: reading.time, values: 1, now: now)
                }
                if table.infos[Int(stream)].isChecked, let reason = checkValue(stream, channel, name, field.value, reading.time) {
                    return lose(reason, stream, 0, time: reading.time, values: 1, now: now)
                }
                known[channel].pointee.lastTime = reading.time
                append(shard, channel, field.value)
            }
        }
        if table.infos[Int(stream)].isChecked { tellRange(of: stream, reading.time) }
        end(shard, stream, reading.time, fields: reading.fields.count)
    }
}
