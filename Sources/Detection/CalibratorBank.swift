import CDetectionKernels
import TimeSeries

/// All calibrators of a stream under the combined rule, run side by side so that bins and logarithms are taken eight at a time.
///
/// Two kinds, both on histograms of maxima of blocks of 25 readings over y = asinh(2c), kept as tail sums (`above[b]` = blocks that reached bin b):
/// rank (for ever): -log10 of the share of blocks that got here, plus 2 (bins beyond the record) / (width of everything seen);
/// tail (about the last 100 blocks): above the 80 % quantile u the exponential tail -log10 p_u + .434 (y - u) / beta, at most 30; rank below.
/// A signed statistic has two sides, up and down; its evidence is the larger.
///
/// Counts have 16 bits: half blocks for ranks (halved long before they overflow), steps of 1/640 block for tails, which fade by 1 % a block.
struct CalibratorBank<Scalar: KernelScalar> {
    /// Rank calibrators, two sides each: value, drifts (short, middle, long, clock), long error; then novelty (of its logarithm).
    static var rankCount: Int { 13 }
    /// Tail calibrators, two sides each unless noted: long error, novelty (one), gated fast (one), level five, level twenty, level short, jump,
    /// clock error over many channels.
    static var tailCount: Int { 14 }
    /// The last tails (jump, clock error over many channels) have a second histogram, which counts for ever like a rank's: machines that are
    /// switched on and off once a day jump seldom, measured by their last hundred blocks.
    static var longCount: Int { 4 }
    /// Lower edge of the histogram of log(novelty + 1e-3).
    static var noveltyStart: Double { -3 }
    /// All sides, padded to whole vectors.
    static var padded: Int { 32 }
    /// One block in a tail's histogram, and in a rank's, where a block counts one or one half.
    static var unit: Scalar { 640 }
    static var rankUnit: Scalar { 2 }

    /// Scalars of all sides, in the stream's block.
    struct Sides: BitwiseCopyable {
        /// Highest bin of the present block; -1: none yet. Ranks, then tails.
        var blockHigh = InlineArray<32, Int16>(repeating: -1)
        /// Ends of everything a rank has seen, in bins.
        var highest = InlineArray<16, Int16>(repeating: -1)
        var lowest = InlineArray<16, Int16>(repeating: .max)
        /// The fitted tails: y where they begin, -log10 of the share of blocks beyond, mean excess.
        var start = InlineArray<16, Float>(repeating: 0)
        var rarity = InlineArray<16, Float>(repeating: 0)
        var slope = InlineArray<16, Float>(repeating: 0.1)
    }

    /// Room for one reading's work, one per thread: statistics, evidence, blocks that got here, bins, and the grids side by side.
    struct Scratch {
        let statistics: UnsafeMutablePointer<Scalar>
        let evidence: UnsafeMutablePointer<Scalar>
        let reach: UnsafeMutablePointer<Scalar>
        let bins: UnsafeMutablePointer<Int32>
        let start: UnsafeMutablePointer<Double>
        let width: UnsafeMutablePointer<Double>
        let top: UnsafeMutablePointer<Double>

        init(rankGrid: HistogramGrid, tailGrid: HistogramGrid) {
            let n = CalibratorBank.padded
            statistics = .allocate(capacity: 3 * n)
            statistics.initialize(repeating: 0, count: 3 * n)
            evidence = statistics + n
            reach = evidence + n
            bins = .allocate(capacity: n)
            bins.initialize(repeating: 0, count: n)
            start = .allocate(capacity: 3 * n)
            width = start + n
            top = width + n
            for i in 0..<n {
                let grid = i < CalibratorBank.rankCount ? rankGrid : tailGrid
                (start + i).initialize(to: i == CalibratorBank.rankCount - 1 ? CalibratorBank.noveltyStart : grid.start)
                (width + i).initialize(to: grid.width)
                (top + i).initialize(to: Double(grid.bins - 1))
            }
        }

        func deallocate() {
            statistics.deallocate()
            bins.deallocate()
            start.deallocate()
        }
    }

    let rankGrid: HistogramGrid
    let tailGrid: HistogramGrid
    let sides: UnsafeMutablePointer<Sides>
    let tables: UnsafeMutablePointer<UInt16>

    /// Bytes of the histograms.
    static func tableBytes(rankGrid: HistogramGrid, tailGrid: HistogramGrid) -> Int {
        (rankCount * rankGrid.bins + (tailCount + longCount) * tailGrid.bins) * MemoryLayout<UInt16>.stride
    }

    @inline(__always)
    private func table(_ i: Int) -> UnsafeMutablePointer<UInt16> {
        i < Self.rankCount
            ? tables + i &* rankGrid.bins : tables + Self.rankCount &* rankGrid.bins + (i &- Self.rankCount) &* tailGrid.bins
    }

    /// The histogram for ever of tail k.
    @inline(__always)
    private func longTable(_ k: Int) -> UnsafeMutablePointer<UInt16> {
        table(Self.rankCount + Self.tailCount) + (k &- Self.tailCount &+ Self.longCount) &* tailGrid.bins
    }

    /// The evidence of all sides. `work.statistics` in, destroyed (y afterwards); `work.evidence` and `work.reach` out: blocks that got here.
    /// `rankBlocks`, `tailBlocks`: (decayed) blocks counted so far; `limit`: what a tail with a long memory may add to the rank of something
    /// reached once, 0 for no limit; `answers` false: only count.
    @inline(__always)
    func step(_ work: Scratch, rankBlocks: Double, tailBlocks: Double, limit: Scalar, answers: Bool, counts: Bool) {
        let n = Int32(truncatingIfNeeded: Self.padded)
        let (ranks, all) = (Self.rankCount, Self.rankCount + Self.tailCount)
        Scalar.asinh2(work.statistics, work.statistics, n)
        Scalar.bins(work.bins, work.statistics, work.start, work.width, work.top, n)
        if answers {
            look(work, 0, ranks, Scalar(1 / (rankBlocks + 1)), 1 / Self.rankUnit)
            look(work, ranks, all, Scalar(1 / (tailBlocks + 1)), 1 / Self.unit)
            for i in all..<Self.padded { work.evidence[i] = 1 }
            Scalar.log10(work.evidence, work.evidence, n)
            for i in 0..<ranks { judgeRank(i, work) }
            for i in ranks..<all { judgeTail(i, work) }
            if limit > 0 { limitTails(work, rankBlocks, limit) }
        } else {
            for i in 0..<Self.padded { (work.evidence[i], work.reach[i]) = (0, 0) }
        }
        guard counts else { return }
        for i in 0..<all { sides.pointee.blockHigh[i] = max(sides.pointee.blockHigh[i], Int16(truncatingIfNeeded: work.bins[i])) }
        for i in 0..<ranks {
            let b = Int16(truncatingIfNeeded: work.bins[i])
            sides.pointee.highest[i] = max(sides.pointee.highest[i], b)
            sides.pointee.lowest[i] = min(sides.pointee.lowest[i], b)
        }
    }

    /// How many blocks got to where sides from..<to are now, and the share of all.
    @inline(__always)
    private func look(_ work: Scratch, _ from: Int, _ to: Int, _ share: Scalar, _ unit: Scalar) {
        var above = table(from)
        let bins = from < Self.rankCount ? rankGrid.bins : tailGrid.bins
        for i in from..<to {
            let b = work.bins[i]
            let k = Scalar(above[Int(b)]) * unit + (Int32(sides.pointee.blockHigh[i]) >= b ? 1 : 0)
            work.reach[i] = k
            work.evidence[i] = (k + Scalar(0.5)) * share
            above += bins
        }
    }

    @inline(__always)
    private func judgeRank(_ i: Int, _ work: Scratch) {
        let rank = -work.evidence[i]
        let highest = Int32(sides.pointee.highest[i])
        let beyond = work.bins[i] &- highest
        guard beyond > 0 else {
            work.evidence[i] = max(0, rank)
            return
        }
        let bins = highest &- min(Int32(sides.pointee.lowest[i]), highest &+ 1) &+ 1
        let seen = max(Double(bins) * rankGrid.width, 0.18)
        work.evidence[i] = max(0, rank + Scalar(2 * Double(beyond) * rankGrid.width / seen))
    }

    @inline(__always)
    private func judgeTail(_ i: Int, _ work: Scratch) {
        let k = i &- Self.rankCount
        let start = Double(sides.pointee.start[k])
        let y = Double(work.statistics[i])
        let rank = -work.evidence[i]
        guard y > start else {
            work.evidence[i] = max(0, rank)
            return
        }
        let tail = Scalar(min(30, Double(sides.pointee.rarity[k]) + 0.434 * (y - start) / Double(sides.pointee.slope[k])))
        work.evidence[i] = tail
    }

    /// What has been reached k times in all the stream's life is not much rarer than that, whatever the fitted tail of its last days says.
    @inline(__always)
    private func limitTails(_ work: Scratch, _ blocks: Double, _ limit: Scalar) {
        for k in (Self.tailCount - Self.longCount)..<Self.tailCount {
            let i = Self.rankCount &+ k
            guard work.evidence[i] > 1 else { continue }
            let b = work.bins[i]
            let reached = Double(longTable(k)[Int(b)]) / Double(Self.rankUnit) + (Int32(sides.pointee.blockHigh[i]) >= b ? 1 : 0)
            let most = Double(limit) / (reached + 0.5) - decimalLogarithm((reached + 0.5) / (blocks + 1))
            work.evidence[i] = max(0, min(work.evidence[i], Scalar(most)))
        }
    }

    /// Closes a block of 25 readings: counts its maxima, fits the tails. `t`: readings before this one; `weight`: what the block
    /// counts, a multiple of one half. Returns the new numbers of blocks.
    func closeBlock(rankBlocks: Double, tailBlocks: Double, t: UInt64, weight: Double) -> (rank: Double, tail: Double) {
        guard sides.pointee.blockHigh[0] >= 0 else { return (rankBlocks, tailBlocks) }
        // Half a million readings: old blocks count half from then on.
        let halves = rankBlocks >= 20_000
        let ranks = (halves ? 0.5 * rankBlocks : rankBlocks) + weight
        let fades = tailBlocks >= 100
        let tails = (fades ? 0.99 * tailBlocks : tailBlocks) + weight
        let (rankCounts, tailCounts) = (UInt16(weight * Double(Self.rankUnit)), UInt16(weight * Double(Self.unit)))
        // The golden ratio's multiples are spread evenly, so what rounding takes from a count it gives back later.
        let dither = UInt32(truncatingIfNeeded: (t / 25) &* 40_503) & 0xffff
        for i in 0..<(Self.rankCount + Self.tailCount) {
            let isRank = i < Self.rankCount
            let bins = Int32(isRank ? rankGrid.bins : tailGrid.bins)
            let above = table(i)
            if isRank && halves { cdk_halve_u16(above, bins) }
            if !isRank && fades { cdk_fade_u16(above, 655, dither, bins) }
            cdk_add_u16(above, isRank ? rankCounts : tailCounts, Int32(sides.pointee.blockHigh[i]) + 1)
            let k = i - Self.rankCount
            if k >= Self.tailCount - Self.longCount {
                if halves { cdk_halve_u16(longTable(k), bins) }
                cdk_add_u16(longTable(k), rankCounts, Int32(sides.pointee.blockHigh[i]) + 1)
            }
            sides.pointee.blockHigh[i] = -1
            if !isRank { fitTail(i - Self.rankCount, above, tails) }
        }
        return (ranks, tails)
    }

    /// The tail over the first bin whose cumulative count reaches 80 %. Sum of excesses = sum of the tail sums above that bin.
    private func fitTail(_ k: Int, _ above: UnsafeMutablePointer<UInt16>, _ blocks: Double) {
        let bins = tailGrid.bins
        let unit = Double(Self.unit)
        let total = Double(above[0]) / unit
        var low = 0
        var high = bins - 1
        while low < high {
            let middle = (low + high) / 2
            if total - Double(above[middle + 1]) / unit >= 0.8 * blocks { high = middle } else { low = middle + 1 }
        }
        let over = low + 1 < bins ? Double(above[low + 1]) / unit : 0
        let excess = low + 1 < bins ? Double(cdk_sum_u16(above + low + 1, Int32(bins - low - 1))) / unit * tailGrid.width : 0
        sides.pointee.start[k] = Float(tailGrid.start + (Double(low) + 0.5) * tailGrid.width)
        sides.pointee.rarity[k] = Float(-decimalLogarithm((over + 0.5) / (blocks + 1)))
        sides.pointee.slope[k] = Float(max(0.1, (excess + 0.2) / (over + 2)))
    }

    /// True if every number is in range (a check for restored state).
    func isSane() -> Bool {
        let s = sides.pointee
        for i in 0..<(Self.rankCount + Self.tailCount) {
            guard s.blockHigh[i] >= -1, Int(s.blockHigh[i]) < (i < Self.rankCount ? rankGrid.bins : tailGrid.bins) else { return false }
        }
        for i in 0..<Self.rankCount {
            guard s.highest[i] >= -1, Int(s.highest[i]) < rankGrid.bins, s.lowest[i] >= 0 else { return false }
        }
        return (0..<Self.tailCount).allSatisfy {
            s.start[$0].isFinite && s.rarity[$0].isFinite && s.slope[$0] >= 0.1 && s.slope[$0].isFinite
        }
    }
}
