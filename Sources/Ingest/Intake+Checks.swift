import Readings

/// What the configuration says about the values of a channel.
public struct ChannelCheck: Sendable, Equatable {
    /// Values that stand for a missing one.
    public var missing: [Double]
    /// Values outside cannot be true; nil: any may be.
    public var range: ClosedRange<Double>?

    public init(missing: [Double] = [], range: ClosedRange<Double>? = nil) { (self.missing, self.range) = (missing, range) }
}

/// Streams about whose values the configuration says something, and units that values came with.
struct CheckedStreams {
    /// Looks up a channel's check by its name.
    var rules: [UInt32: @Sendable (String) -> ChannelCheck?] = [:]
    /// By stream and channel; nil: nothing is said about it.
    var channels: [UInt64: ChannelCheck?] = [:]
    /// Time of the newest value outside its range, of streams that have an alert or will have one with this reading.
    var outside: [UInt32: Int64] = [:]
    /// What is to be told about a stream.
    var reason: [UInt32: String] = [:]
    var told: Set<UInt32> = []
    /// The unit of a channel, as it came first.
    var units: [UInt64: UInt8] = [:]

    static func key(_ stream: UInt32, _ channel: Int) -> UInt64 { UInt64(stream) << 16 | UInt64(channel & 0xFFFF) }

    mutating func remove(_ stream: UInt32) {
        rules[stream] = nil
        outside[stream] = nil
        reason[stream] = nil
        told.remove(stream)
        channels = channels.filter { $0.key >> 16 != UInt64(stream) }
        units = units.filter { $0.key >> 16 != UInt64(stream) }
    }
}

extension Intake {
    /// Finds out whether the values of a stream are to be looked at.
    mutating func watchValues(of stream: UInt32, _ key: String) {
        let rule = checks(key)
        if rule != nil || checked.rules[stream] != nil { checked.channels = checked.channels.filter { $0.key >> 16 != UInt64(stream) } }
        checked.rules[stream] = rule
        table.infos[Int(stream)].isChecked = rule != nil
    }

    /// The alert about a stream's range is open since before the start.
    public mutating func restoreRange(stream: UInt32) {
        checked.told.insert(stream)
        checked.outside[stream] = table.infos[Int(stream)].lastTime
    }

    /// Why a value is not taken; nil: it is.
    @inline(never)
    mutating func checkValue(
        _ stream: UInt32, _ channel: Int, _ name: UnsafeBufferPointer<UInt8>, _ value: Double, _ time: Int64
    ) -> DropReason? {
        let key = CheckedStreams.key(stream, channel)
        let check: ChannelCheck?
        if let known = checked.channels[key] {
            check = known
        } else {
            check = checked.rules[stream]?(String(decoding: name, as: UTF8.self))
            checked.channels[key] = .some(check)
        }
        guard let check else { return nil }
        if check.missing.contains(value) { return .missing }
        guard let range = check.range, !range.contains(value) else { return nil }
        checked.outside[stream] = time
        if !checked.told.contains(stream) {
            checked.reason[stream] =
                "\(String(decoding: name, as: UTF8.self)) is \(value), outside \(range.lowerBound) to \(range.upperBound): not learned"
        }
        return .out_of_range
    }

    /// After a reading of a checked stream: its alert about the range begins or ends.
    mutating func tellRange(of stream: UInt32, _ time: Int64) {
        guard let last = checked.outside[stream] else { return }
        if !checked.told.contains(stream) {
            guard let reason = checked.reason.removeValue(forKey: stream) else { return }
            checked.told.insert(stream)
            note(.source(kind: "range", stream: stream, reason: reason, time: time), stream: stream)
        } else if time.subtractingReportingOverflow(last).partialValue > limits.rangeQuiet, time > last {
            checked.told.remove(stream)
            checked.outside[stream] = nil
            note(.source(kind: "range", stream: stream, reason: nil, time: time), stream: stream)
        }
    }

    /// Whether a value's unit is that of its channel. The first one counts; a value without one is taken for the same.
    @inline(never)
    mutating func hasUnit(_ stream: UInt32, _ channel: Int, _ unit: UInt8) -> Bool {
        guard unit != 0 else { return true }
        let key = CheckedStreams.key(stream, channel)
        guard let known = checked.units[key] else {
            checked.units[key] = unit
            losses.setUnit(unit, stream: stream, channel: channel)
            return true
        }
        return known == unit
    }
}
