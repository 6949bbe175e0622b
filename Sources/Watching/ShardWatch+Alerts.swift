import Alerting
import Detection
import Readings
import TimeSeries

/// From verdicts and silence to episodes.
extension ShardWatch {
    mutating func judge(
        _ entry: ReadingEntry, _ local: Int, _ extra: UnsafeMutablePointer<StreamExtra>, _ actions: inout [AlertAction]
    ) {
        let isStuckAlarm = verdict.isAlarm && verdict.kind == .stuck
        if settings.reportsStuck { judgeStuck(entry, local, extra, isStuckAlarm, &actions) }
        var isAlarm = verdict.isAlarm && !isStuckAlarm
        if !bars.isEmpty, !slots[local].hasAnomaly { isAlarm = clears(entry.time, local, isAlarm, isStuckAlarm) }
        guard isAlarm || slots[local].hasAnomaly else { return }
        let stream = slots[local].id
        let observed = slots[local].hasAnomaly ? mainObservation(local) : nil
        let severityMin = policy(local).severityMin
        let isCritical = verdict.score >= verdict.threshold + settings.rules.criticalMargin
        if !slots[local].hasAnomaly, severityMin == .critical, !isCritical { return }
        let slot = slots[local]
        var book = takeBook()
        defer { self.book = book }
        let action = book.scored(
            stream: stream, time: entry.time, score: verdict.score, threshold: verdict.threshold, isAlarm: isAlarm, observed: observed,
            identify: { identity(slot, extra) },
            facts: { Wording.facts(verdict, name: { channelName(slot, $0) }, context: { context(slot, $0, extra) }) })
        guard let action else { return }
        if action.transition == .opened { extra.pointee.alerts += 1 }
        slots[local].hasAnomaly = action.transition != .closed
        if action.transition == .opened { setAnomalyChannel(local, action.alert.channels.first) }
        actions.append(action)
    }

    /// The newest value of the open episode's main channel.
    private func mainObservation(_ local: Int) -> Double? {
        let channel = Int(slots[local].anomalyChannel)
        return channel < slots[local].channels.count ? channelExtra(slots[local].channels[channel]).pointee.lastValue : nil
    }

    mutating func setAnomalyChannel(_ local: Int, _ name: String?) {
        slots[local].anomalyChannel = UInt16(truncatingIfNeeded: slots[local].names.firstIndex { $0 == name } ?? 0)
    }

    private mutating func judgeStuck(
        _ entry: ReadingEntry, _ local: Int, _ extra: UnsafeMutablePointer<StreamExtra>, _ isStuckAlarm: Bool,
        _ actions: inout [AlertAction]
    ) {
        let stream = slots[local].id
        let known = extra.pointee.stuckChannel
        for index in 0..<verdict.channelCount {
            let channel = verdict.channels[index]
            if known == UInt32(channel.index) + 1, !channel.isStuck {
                extra.pointee.stuckChannel = 0
                if let action = book.end(stream: stream, kind: .stuck, time: entry.time) { actions.append(action) }
            }
            guard isStuckAlarm, known == 0, extra.pointee.stuckChannel == 0, channel.isStuck else { continue }
            extra.pointee.stuckChannel = UInt32(channel.index) + 1
            let slot = slots[local]
            let name = channelName(slot, channel.index)
            let recent = context(slot, channel.index, extra)
            let action = begin(.stuck, .warning, local, entry.time) {
                AlertFacts(
                    channels: [name], observed: channel.value, reason: Wording.stuck(name, value: channel.value),
                    contributions: [Contribution(name: name, share: 1)], evidence: [Contribution(name: Evidence.stuck.name, share: 1)],
                    context: recent)
            }
            if let action { actions.append(action) }
        }
    }

    /// Opens a condition unless the policy does not want it. The stream's count of alerts makes its id.
    mutating func begin(
        _ kind: AlertKind, _ severity: Severity, _ local: Int, _ time: Int64, _ facts: () -> AlertFacts
    ) -> AlertAction? {
        guard severity >= policy(local).severityMin else { return nil }
        let slot = slots[local]
        let extra = extra(local)
        var book = takeBook()
        defer { self.book = book }
        let action = book.begin(
            stream: slot.id, kind: kind, severity: severity, time: time, identify: { identity(slot, extra) }, facts: facts)
        if action != nil { extra.pointee.alerts += 1 }
        return action
    }

    /// Takes the book out of `self` while closures look at the rest; the caller puts it back.
    private mutating func takeBook() -> EpisodeBook {
        let taken = book
        book = EpisodeBook(rules: taken.rules)
        return taken
    }

    // MARK: - Silence

    /// A reading came: if the stream was silent for too long, that is told (if it was not yet) and ended.
    mutating func endSilence(_ entry: ReadingEntry, _ local: Int, _ actions: inout [AlertAction]) {
        if !slots[local].isStale { beginSilence(local, &actions) }
        slots[local].isStale = false
        if let action = book.end(stream: slots[local].id, kind: .stale, time: entry.time) { actions.append(action) }
    }

    mutating func beginSilence(_ local: Int, _ actions: inout [AlertAction]) {
        let extra = extra(local)
        let silence = extra.pointee.silenceMax(after: policy(local).staleAfter, min: settings.staleMin)
        slots[local].isStale = true
        deadlines[local] = .max
        blocks[local / StreamNumber.perBlock].pendingWrites = 2
        let usual = extra.pointee.meanGap * 1e-9
        let time = extra.pointee.lastTime.later(by: silence)
        let action = begin(.stale, .warning, local, time) {
            AlertFacts(
                channels: [], reason: Wording.stale(silentFor: Double(silence) * 1e-9, usual: usual), contributions: [], evidence: [],
                context: [])
        }
        if let action { actions.append(action) }
    }

    /// Looks for streams whose time is over. It runs at the end of every batch whose clock passed the earliest deadline known,
    /// so that a replay finds the same streams at the same batch.
    mutating func scanStale(_ actions: inout [AlertAction]) {
        var earliest = Int64.max
        for local in deadlines.indices {
            if deadlines[local] < clock {
                beginSilence(local, &actions)
            } else {
                earliest = min(earliest, deadlines[local])
            }
        }
        nextScan = earliest
    }
}
