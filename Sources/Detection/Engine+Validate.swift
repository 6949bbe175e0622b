extension Engine {
    func validateStream(_ p: UnsafeRawPointer) throws(StateError) {
        let s = p.assumingMemoryBound(to: Stream.self)
        guard s.pointee.version == layout.version else { throw .wrongVersion(found: s.pointee.version, expected: layout.version) }
        guard s.pointee.age < 1 << 60, s.pointee.resumedAt <= s.pointee.age else { throw .outOfRange("stream age") }
        guard s.pointee.cadence.isSane else { throw .outOfRange("cadence") }
        guard s.pointee.alarm.isSane(t: Int64(s.pointee.age)) else { throw .outOfRange("alarm rule") }
        guard s.pointee.budget.isSane else { throw .outOfRange("budget") }
        if profile.rule == .calibratedPerStream {
            let grid = TailCalibrator<Scalar>.Grid(bins: profile.calibratorBins, width: profile.calibratorWidth)
            let calibrators = (p + layout.calibratorScalarsAt).assumingMemoryBound(to: TailCalibrator<Scalar>.self)
            for i in 0..<StateLayout.streamCalibrators {
                guard calibrators[i].isSane(grid) else { throw .outOfRange("calibrator") }
            }
        }
        guard s.pointee.owedHalves <= min(2, s.pointee.age) else { throw .outOfRange("block owed") }
        guard s.pointee.rankBlocks.isFinite, s.pointee.rankBlocks >= 0, s.pointee.tailBlocks.isFinite, s.pointee.tailBlocks >= 0,
            s.pointee.habituation.isSane, s.pointee.incident.isSane(t: Int64(s.pointee.age)), s.pointee.switching.isSane
        else { throw .outOfRange("calibrator blocks") }
        if profile.rule == .combinedRanks {
            guard bank(UnsafeMutableRawPointer(mutating: p)).isSane() else { throw .outOfRange("calibrator") }
        }
        try requireFinite(p, layout.calibratorsAt, layout.bankSidesAt)
        try requireFinite(p, layout.budgetAt, layout.budgetLastAt)
        let peaks = (p + layout.budgetPeaksAt).assumingMemoryBound(to: BudgetPeak.self)
        for i in 0..<StateLayout.budgetPeaks { guard peaks[i].score.isFinite else { throw .outOfRange("budget") } }
    }

    func validateChannel(_ p: UnsafeRawPointer) throws(StateError) {
        let c = p.assumingMemoryBound(to: Channel.self)
        guard c.pointee.version == layout.version else { throw .wrongVersion(found: c.pointee.version, expected: layout.version) }
        guard c.pointee.age < 1 << 60, c.pointee.resumedAt <= c.pointee.age, c.pointee.bornAt <= c.pointee.seenAt, c.pointee.clockSeen <= 1
        else { throw .outOfRange("channel age") }
        guard c.pointee.novelty.isSane(slots: profile.prototypes) else { throw .outOfRange("novelty memory") }
        guard c.pointee.stuck.isSane, c.pointee.jump.isSane, c.pointee.counter.isSane, c.pointee.states.isSane else {
            throw .outOfRange("jump or stuck statistics")
        }
        guard c.pointee.normalizer.moments.variance >= 0, c.pointee.normalizer.moments.mean.isFinite,
            c.pointee.normalizer.moments.variance.isFinite
        else { throw .outOfRange("normaliser") }
        for q in 0..<5 {
            guard c.pointee.headVariance[q] > 0, c.pointee.headVariance[q].isFinite, c.pointee.residual[q].scale.isFinite,
                c.pointee.residual[q].scale >= 0, c.pointee.drift[q].value.isFinite
            else { throw .outOfRange("residual statistics") }
        }
        guard c.pointee.experts.isSane else { throw .outOfRange("forecast experts") }
        guard c.pointee.levelLong.isSane, c.pointee.levelShort.isSane, c.pointee.equaliser.isSane else {
            throw .outOfRange("level statistics")
        }
        if profile.rule == .combinedRanks { try requireFinite(p, layout.clockHeadAt, layout.channelBytes) }
        try requireFinite(p, layout.hiddenAt, layout.gainAt)
        let gains = (p + layout.gainAt).assumingMemoryBound(to: Scalar.Gain.self)
        for i in 0..<(layout.ring * layout.featuresPadded) where !Scalar.isFinite(gain: gains[i]) {
            throw .notFinite(offset: layout.gainAt)
        }
        try requireFinite(p, layout.jumpAt, layout.jumpAt + profile.jumpWindow * MemoryLayout<Scalar>.stride)
        guard layout.hasClockHead else { return }
        try requireFinite(p, layout.clockCovarianceAt, layout.ranksAt)
        let ranks = (p + layout.ranksAt).assumingMemoryBound(to: BlockRankCalibrator<Scalar>.self)
        for i in 0..<StateLayout.rankCalibrators { guard ranks[i].isSane else { throw .outOfRange("rank calibrator") } }
    }

    /// All scalars in [from, to) bytes must be finite.
    private func requireFinite(_ p: UnsafeRawPointer, _ from: Int, _ to: Int) throws(StateError) {
        let stride = MemoryLayout<Scalar>.stride
        for offset in Swift.stride(from: from, to: to, by: stride)
        where !(p + offset).assumingMemoryBound(to: Scalar.self).pointee.isFinite { throw .notFinite(offset: offset) }
    }
}
