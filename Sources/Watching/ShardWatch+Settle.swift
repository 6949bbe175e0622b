import Detection

/// What readings left behind for a moment in which none waits (see `Detector.owes`).
extension ShardWatch {
    /// True if `settle` has something to do.
    public var hasDebtors: Bool { debtorCount > 0 }

    @inline(__always)
    mutating func addDebtor(_ local: Int) {
        slots[local].isInDebt = true
        var place = firstDebtor + debtorCount
        if place >= debtors.count { place -= debtors.count }
        debtors[place] = UInt32(local)
        debtorCount += 1
    }

    /// Room for every slot, the oldest first again.
    mutating func growDebtors() {
        var grown = [UInt32](repeating: 0, count: max(64, slots.count + slots.count / 8))
        for index in 0..<debtorCount { grown[index] = debtors[(firstDebtor + index) % debtors.count] }
        (debtors, firstDebtor) = (grown, 0)
    }

    /// Does, of at most `most` streams, what their newest readings left behind, for a moment in which no reading waits. Changes no result: what
    /// is not done here the next reading does.
    public mutating func settle(_ most: Int) {
        for _ in 0..<min(most, debtorCount) {
            let local = Int(debtors[firstDebtor])
            firstDebtor = firstDebtor + 1 == debtors.count ? 0 : firstDebtor + 1
            debtorCount -= 1
            if debtorCount > 0, let next = slots[Int(debtors[firstDebtor])].state { detector.expectToSettle(stream: next) }
            slots[local].isInDebt = false
            if let state = slots[local].state { detector.settle(stream: state) }
        }
    }
}
