/// Where everything lies in the two blocks of memory of a stream: offsets in bytes, all multiples of 32.
///
/// A block is plain data: scalars first, then arrays of the profile's sizes. It holds no pointers, so a snapshot is a copy of its bytes,
/// readable by a detector with the same `version` on a little-endian machine.
struct StateLayout: Sendable {
    /// Changed whenever the meaning of a byte changes.
    static let revision: UInt32 = 5

    // Legend: F features of the readouts, padded to 8; H hidden units, padded; Q horizons; L ring length; B bins
    let features: Int
    let featuresPadded: Int
    let hidden: Int
    let noveltyHidden: Int
    let ring: Int
    let hasClockHead: Bool

    // Channel block.
    let hiddenAt: Int
    let noveltyHiddenAt: Int
    let covarianceAt: Int
    let clockCovarianceAt: Int
    let clockWeightsAt: Int
    let readoutsAt: Int
    let phiAt: Int
    let gainAt: Int
    let prototypesAt: Int
    let lastUseAt: Int
    let jumpAt: Int
    let ranksAt: Int
    let clockHeadAt: Int
    let oldAt: Int
    let channelBytes: Int

    // Stream block.
    let calibratorScalarsAt: Int
    let calibratorsAt: Int
    let bankSidesAt: Int
    let bankTablesAt: Int
    let budgetAt: Int
    let budgetLastAt: Int
    let budgetPeaksAt: Int
    let streamBytes: Int
    let version: UInt32

    static let clockFeaturesPadded = 16
    /// Rank calibrators of a channel: point and drift per head (4 each), fast (6), value, novelty.
    static let rankCalibrators = 16
    /// Stream calibrators: fast, drift, local deviation, jump, novelty.
    static let streamCalibrators = 5
    /// Thresholds of the budget's grid, and moments it remembers.
    static let budgetBins = 96
    static let budgetPeaks = 32

    init<Core: RecurrentCore>(_ profile: DetectorProfile, _ core: Core, _ novelty: Core) {
        let scalar = MemoryLayout<Core.Scalar>.stride
        features = 1 + 2 + core.unitCount + 9
        featuresPadded = (features + 7) / 8 * 8
        hidden = core.stateLength
        noveltyHidden = novelty.stateLength
        ring = (profile.horizons.max() ?? 1) + 1
        hasClockHead = profile.rule == .ranksPerChannel
        var at = 0
        func place(_ bytes: Int) -> Int {
            let here = (at + 31) / 32 * 32
            at = here + bytes
            return here
        }
        func triangle(_ n: Int) -> Int { (n / 8) * (n / 8 + 1) / 2 * 64 }
        _ = place(MemoryLayout<ChannelScalars<Core.Scalar>>.stride)
        hiddenAt = place(hidden * scalar)
        noveltyHiddenAt = place(noveltyHidden * scalar)
        covarianceAt = place(triangle(featuresPadded) * scalar)
        readoutsAt = place(profile.horizons.count * featuresPadded * scalar)
        phiAt = place(ring * featuresPadded * scalar)
        gainAt = place(ring * featuresPadded * MemoryLayout<Core.Scalar.Gain>.stride)
        prototypesAt = place(profile.prototypes * novelty.unitCount * MemoryLayout<Core.Scalar.Coordinate>.stride)
        lastUseAt = place(profile.prototypes * 4)
        jumpAt = place(profile.jumpWindow * scalar)
        let clock = Self.clockFeaturesPadded
        clockCovarianceAt = place(hasClockHead ? triangle(clock) * scalar : 0)
        clockWeightsAt = place(hasClockHead ? clock * scalar : 0)
        ranksAt = place(
            hasClockHead
                ? Self.rankCalibrators
                    * (MemoryLayout<BlockRankCalibrator<Core.Scalar>>.stride + 2 * BlockRankCalibrator<Core.Scalar>.bins * scalar)
                : 0)
        clockHeadAt = place(profile.rule == .combinedRanks ? ClockHead<Core.Scalar>.storage * scalar : 0)
        oldAt = place(profile.rule == .combinedRanks ? 0 : MemoryLayout<OldRuleScalars>.stride)
        channelBytes = (at + 63) / 64 * 64

        at = 0
        _ = place(MemoryLayout<StreamScalars<Core.Scalar>>.stride)
        let hasCalibrators = profile.rule == .calibratedPerStream
        calibratorScalarsAt = place(hasCalibrators ? Self.streamCalibrators * MemoryLayout<TailCalibrator<Core.Scalar>>.stride : 0)
        calibratorsAt = place(hasCalibrators ? Self.streamCalibrators * profile.calibratorBins * scalar : 0)
        typealias Bank = CalibratorBank<Core.Scalar>
        let hasBank = profile.rule == .combinedRanks
        bankSidesAt = place(hasBank ? MemoryLayout<Bank.Sides>.stride : 0)
        bankTablesAt = place(hasBank ? Bank.tableBytes(rankGrid: profile.rankGrid, tailGrid: profile.tailGrid) : 0)
        budgetAt = place(Self.budgetBins * scalar)
        budgetLastAt = place(Self.budgetBins * 4)
        budgetPeaksAt = place(Self.budgetPeaks * MemoryLayout<BudgetPeak>.stride)
        streamBytes = (at + 63) / 64 * 64

        var hash: UInt32 = 2_166_136_261
        for part in [
            Int(Self.revision), scalar, Int(profile.rule.rawValue), core.unitCount, hidden, novelty.unitCount, profile.prototypes,
            profile.jumpWindow,
            profile.calibratorBins, Int(profile.calibratorWidth * 1e6), profile.rankGrid.bins, profile.tailGrid.bins,
            Int(profile.rankGrid.start * 1e3), Int(profile.rankGrid.width * 1e6), Int(profile.tailGrid.start * 1e3),
            Int(profile.tailGrid.width * 1e6), channelBytes, streamBytes, ring,
        ] + profile.horizons {
            for shift in stride(from: 0, to: 32, by: 8) { hash = (hash ^ UInt32(truncatingIfNeeded: (part >> shift) & 255)) &* 16_777_619 }
        }
        version = hash
    }
}
