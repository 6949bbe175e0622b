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
    static var rankCount: Int { Int(CDK_RANKS) }
    /// Tail calibrators, two sides each unless noted: long error, novelty (one), gated fast (one), level five, level twenty, level short, jump,
    /// clock error over many channels.
    static var tailCount: Int { Int(CDK_TAILS) }
    /// The last tails (jump, clock error over many channels) have a second histogram, which counts for ever like a rank's: machines that are
    /// switched on and off once a day jump seldom, measured by their last hundred blocks.
    static var longCount: Int { 4 }
    /// Lower edge of the histogram of log(novelty + 1e-3).
    static var noveltyStart: Double { -3 }
    /// All sides, padded to whole vectors.
    static var padded: Int { Int(CDK_SIDES) }
    /// One block in a tail's histogram, and in a rank's, where a block counts one or one half.
    static var unit: Scalar { Scalar(CDK_TAIL_UNIT) }
    static var rankUnit: Scalar { Scalar(CDK_RANK_UNIT) }

    /// Scalars of all sides, in the stream's block; the kernels know it as `cdk_sides`.
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

    /// Room for one reading's work, one per thread: evidence, blocks that got here, y, bins, and the grids side by side.
    struct Scratch {
        let evidence: UnsafeMutablePointer<Scalar>
        let reach: UnsafeMutablePointer<Scalar>
        let y: UnsafeMutablePointer<Scalar>
        let bins: UnsafeMutablePointer<Int32>
        let grids: UnsafeMutablePointer<cdk_grids>
        private let rows: UnsafeMutablePointer<Int32>
        private let edges: UnsafeMutablePointer<Double>

        init(rankGrid: HistogramGrid, tailGrid: HistogramGrid) {
            let n = CalibratorBank.padded
            evidence = .allocate(capacity: 3 * n)
            evidence.initialize(repeating: 0, count: 3 * n)
            reach = evidence + n
            y = reach + n
            bins = .allocate(capacity: 2 * n)
            bins.initialize(repeating: 0, count: 2 * n)
            rows = bins + n
            edges = .allocate(capacity: 4 * n)
            edges.initialize(repeating: 0, count: 4 * n)
            let sources = CalibratorBank.sources
            precondition(2 * Statistic.count == n && sources.indices.allSatisfy { sources[$0] == Int(cdk_bank_sources()[$0]) })
            for i in 0..<sources.count {
                let grid = i < CalibratorBank.rankCount ? rankGrid : tailGrid
                rows[i] = Int32(CalibratorBank.row(i, rankGrid, tailGrid))
                edges[i] = i == CalibratorBank.rankCount - 1 ? CalibratorBank.noveltyStart : grid.start
                edges[n + i] = grid.width
                edges[2 * n + i] = 1 / grid.width
                edges[3 * n + i] = Double(grid.bins - 1)
            }
            grids = .allocate(capacity: 1)
            grids.initialize(
                to:
                    cdk_grids(
                        row: rows, start: edges, width: edges + n, scale: edges + 2 * n, top: edges + 3 * n))
        }

        func deallocate() {
            evidence.deallocate()
            bins.deallocate()
            edges.deallocate()
            grids.deallocate()
        }
    }

    /// Where the statistic of each side lies in what is combined: the statistic up, or `Statistic.count` further on, down.
    private static var sources: [Int] {
        func both(_ statistics: Statistic...) -> [Int] { statistics.flatMap { [$0.rawValue, $0.rawValue + Statistic.count] } }
        return both(.value, .driftShort, .driftMiddle, .driftLong, .driftClock, .errorLong) + [Statistic.novelty.rawValue]
            + both(.errorLong) + [Statistic.novelty.rawValue, Statistic.gatedFast.rawValue]
            + both(.levelFive, .levelTwenty, .levelShort, .jump, .clockBroad)
    }

    let rankGrid: HistogramGrid
    let tailGrid: HistogramGrid
    let sides: UnsafeMutablePointer<Sides>
    let tables: UnsafeMutablePointer<UInt16>

    /// Bytes of the histograms.
    static func tableBytes(rankGrid: HistogramGrid, tailGrid: HistogramGrid) -> Int {
        (rankCount * rankGrid.bins + (tailCount + longCount) * tailGrid.bins) * MemoryLayout<UInt16>.stride
    }

    /// Where the histogram of side i begins.
    @inline(__always)
    private static func row(_ i: Int, _ rankGrid: HistogramGrid, _ tailGrid: HistogramGrid) -> Int {
        i < rankCount ? i &* rankGrid.bins : rankCount &* rankGrid.bins + (i &- rankCount) &* tailGrid.bins
    }

    @inline(__always)
    private func table(_ i: Int) -> UnsafeMutablePointer<UInt16> { tables + Self.row(i, rankGrid, tailGrid) }

    /// The histogram for ever of tail k.
    @inline(__always)
    private func longTable(_ k: Int) -> UnsafeMutablePointer<UInt16> {
        table(Self.rankCount + Self.tailCount) + (k &- Self.tailCount &+ Self.longCount) &* tailGrid.bins
    }

    /// The evidence of all sides: `work.evidence` and `work.reach`, the blocks that got here. `statistics`: combined, up then down.
    /// `rankBlocks`, `tailBlocks`: (decayed) blocks counted so far; `limit`: what a tail with a long memory may add to the rank of something
    /// reached once, 0 for no limit; `answers` false: only count.
    @inline(__always)
    func step(
        _ statistics: UnsafePointer<Double>, _ work: Scratch, rankBlocks: Double, tailBlocks: Double, limit: Scalar, answers: Bool,
        counts: Bool
    ) {
        // What limits the long tails is the block before this reading.
        let before = InlineArray<4, Int16> { sides.pointee.blockHigh[Self.rankCount + Self.tailCount - Self.longCount + $0] }
        Scalar.bank(
            statistics, work, tables, UnsafeMutableRawPointer(sides).assumingMemoryBound(to: cdk_sides.self), Scalar(1 / (rankBlocks + 1)),
            Scalar(1 / (tailBlocks + 1)), answers, counts)
        if answers && limit > 0 { limitTails(work, rankBlocks, limit, before) }
    }

    /// What has been reached k times in all the stream's life is not much rarer than that, whatever the fitted tail of its last days says.
    @inline(__always)
    private func limitTails(_ work: Scratch, _ blocks: Double, _ limit: Scalar, _ before: InlineArray<4, Int16>) {
        for j in 0..<Self.longCount {
            let k = Self.tailCount - Self.longCount + j
            let i = Self.rankCount &+ k
            guard work.evidence[i] > 1 else { continue }
            let b = work.bins[i]
            let reached = Double(longTable(k)[Int(b)]) / Double(Self.rankUnit) + (Int32(before[j]) >= b ? 1 : 0)
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
