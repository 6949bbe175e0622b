import Detection
import Readings

/// A stream's false-alarm budget as it stands, for `rnnctl budget`.
public struct StreamBudget: Sendable {
    public var id: UInt32
    public var key: String
    /// The group it shares its budget with; 0 for none.
    public var group: UInt16
    /// Streams that share the group's budget, as told.
    public var sharedBy: UInt32
    /// Mean seconds between the false alarms promised; nil when the built-in threshold holds.
    public var secondsBetween: Double?
    /// First and last judged reading (nanoseconds since 1970); nil before the warm-up has ended.
    public var judgedFrom: Int64?
    public var lastTime: Int64
    /// The threshold in force at the newest reading.
    public var threshold: Double
    public var report: BudgetReport
}

extension ShardWatch {
    /// Tells streams how many share their group's budget.
    mutating func share(_ group: UInt16, _ stream: UInt32, _ streams: UInt32, _ sequence: Int64, _ isReplay: Bool) {
        let wanted = stream == 0 ? slots.indices : slotOf(stream).map { $0..<($0 + 1) } ?? 0..<0
        for local in wanted where slots[local].state != nil && slots[local].budgetGroup == group {
            guard extra(local).pointee.budgetShare != streams else { continue }
            let block = local / StreamNumber.perBlock
            if isReplay, sequence <= blocks[block].newestGeneration { continue }
            extra(local).pointee.budgetShare = streams
            blocks[block].pendingWrites = 2
        }
    }

    /// The budgets of the streams that `isWanted` names, with the moments since `since` (nanoseconds since 1970).
    public func budgets(matching isWanted: (String) -> Bool, since: Int64) -> [StreamBudget] {
        slots.indices.compactMap { local in
            let slot = slots[local]
            guard let state = slot.state, slot.id != 0, isWanted(slot.key) else { return nil }
            let extra = extra(local).pointee
            return StreamBudget(
                id: slot.id, key: slot.key, group: slot.budgetGroup, sharedBy: extra.budgetShare,
                secondsBetween: extra.budgetSeconds > 0 ? Double(extra.budgetSeconds) : nil,
                judgedFrom: extra.judgedFrom == .min ? nil : extra.judgedFrom, lastTime: extra.lastTime,
                threshold: Double(extra.threshold), report: detector.budgetReport(stream: state, since: since))
        }
    }
}
