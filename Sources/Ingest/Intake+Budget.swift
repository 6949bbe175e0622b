import Readings

/// How many streams share each group's false-alarm budget.
struct BudgetGroups {
    /// Streams of each group.
    var members: [UInt16: UInt32] = [:]
    /// What the shards were told.
    var told: [UInt16: UInt32] = [:]

    /// The number told for `streams`: the next of 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, ... so that a growing fleet is told a few times,
    /// and the shares never add up to more than the budget.
    static func rounded(_ streams: UInt32) -> UInt32 {
        guard streams > 4 else { return max(1, streams) }
        // Steps of a quarter of the power of two below.
        let step = UInt32(1) << UInt32(29 - (streams - 1).leadingZeroBitCount)
        return (streams + step - 1) / step * step
    }

    /// True if some group's number is not what was told.
    var isPending: Bool { members.contains { told[$0.key] != BudgetGroups.rounded($0.value) } }
}

/// Budgets that several streams share: whoever shares one is told how many do.
extension Intake {
    /// Puts a stream into its group; 0 when it shares no budget.
    mutating func joinBudget(_ stream: UInt32, _ key: String) -> UInt16 {
        let group = table.infos[Int(stream)].isIgnored ? 0 : budgetGroup(key)
        table.infos[Int(stream)].budgetGroup = group
        if group != 0 { budget.members[group, default: 0] += 1 }
        return group
    }

    mutating func leaveBudget(_ stream: UInt32) {
        let group = table.infos[Int(stream)].budgetGroup
        guard group != 0, let members = budget.members[group] else { return }
        budget.members[group] = members > 0 ? members - 1 : 0
    }

    /// Tells a new stream its share, and all others of its group when theirs has changed.
    mutating func tellBudget(of stream: UInt32, group: UInt16) {
        guard group != 0 else { return }
        let streams = BudgetGroups.rounded(budget.members[group] ?? 1)
        if budget.told[group] != streams { return tellBudgets() }
        note(.budgetShare(group: group, stream: stream, streams: streams), stream: stream)
    }

    /// Tells every shard the numbers that have changed.
    mutating func tellBudgets() {
        for (group, members) in budget.members.sorted(by: { $0.key < $1.key }) {
            let streams = BudgetGroups.rounded(members)
            guard budget.told[group] != streams else { continue }
            budget.told[group] = streams
            for shard in 0..<limits.shards { note(.budgetShare(group: group, stream: 0, streams: streams), shard: shard) }
        }
    }
}
