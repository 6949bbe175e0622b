import TimeSeries

/// All calibrators of a stream under the combined rule, run side by side so that their logarithms are taken eight at a time.
///
/// Two kinds, both on histograms of maxima of blocks of 25 readings over y = asinh(2c), kept as tail sums (`above[b]` = blocks that reached bin b):
/// rank (for ever): -log10 of the share of blocks that got here, plus 2 (bins beyond the record) / (width of everything seen);
/// tail (about the last 100 blocks): above the 80 % quantile u the exponential tail -log10 p_u + .434 (y - u) / beta, at most 30; rank below.
/// A signed statistic has two sides, up and down; its evidence is the larger.
struct CalibratorBank<Scalar: KernelScalar> {
    /// Rank calibrators, two sides each: value, drifts (short, middle, long, clock), long error; then novelty (of its logarithm).
    static var rankCount: Int { 13 }
    /// Tail calibrators, two sides each unless noted: long error, novelty (one), gated fast (one), level five, level twenty, level short, jump,
    /// clock error over many channels.
    static var tailCount: Int { 14 }
    /// Lower edge of the histogram of log(novelty + 1e-3).
    static var noveltyStart: Double { -3 }
    /// All sides, padded to whole vectors.
    static var padded: Int { 32 }

    /// Scalars of one side, in the stream's block.
    struct SideState: BitwiseCopyable {
        var blockHigh: Int16 = -1
        var highest: Int16 = -1
        var lowest: Int16 = Int16.max
        var reserved: Int16 = 0
        /// The fitted tail: y where it begins, -log10 of the share of blocks beyond, mean excess.
        var start: Double = 0
        var rarity: Double = 0
        var slope: Double = 0.1
    }

    let rankGrid: HistogramGrid
    let tailGrid: HistogramGrid
    let sides: UnsafeMutablePointer<SideState>
    let tables: UnsafeMutablePointer<Scalar>

    @inline(__always)
    func table(_ i: Int) -> UnsafeMutablePointer<Scalar> {
        i < Self.rankCount ? tables + i * rankGrid.bins : tables + Self.rankCount * rankGrid.bins + (i - Self.rankCount) * tailGrid.bins
    }

    @inline(__always)
    private func bin(_ y: Double, _ i: Int) -> Int {
        let grid = i < Self.rankCount ? rankGrid : tailGrid
        let start = i == Self.rankCount - 1 ? Self.noveltyStart : grid.start
        return Int(max(0, min(Double(grid.bins - 1), (y - start) / grid.width)))
    }

    /// The evidence of all sides. `c` [32] statistics in, destroyed; `evidence` [32] out; `reach` [32] out: blocks that got here.
    /// `rankBlocks`, `tailBlocks`: (decayed) blocks counted so far; `answers` false: only count.
    @inline(__always)
    func step(
        c: UnsafeMutablePointer<Scalar>, evidence: UnsafeMutablePointer<Scalar>, reach: UnsafeMutablePointer<Scalar>, rankBlocks: Double,
        tailBlocks: Double, limit: Double, answers: Bool, counts: Bool
    ) {
        Scalar.asinh2(c, c, Int32(Self.padded))
        let rankShare = Scalar(1 / (rankBlocks + 1))
        let tailShare = Scalar(1 / (tailBlocks + 1))
        for i in 0..<Self.padded { evidence[i] = 1 }
        for i in 0..<(Self.rankCount + Self.tailCount) {
            let isRank = i < Self.rankCount
            let b = bin(Double(c[i]), i)
            let k = table(i)[b] + (Int(sides[i].blockHigh) >= b ? 1 : 0)
            reach[i] = k
            evidence[i] = (k + Scalar(0.5)) * (isRank ? rankShare : tailShare)
        }
        if answers { Scalar.log10(evidence, evidence, Int32(Self.padded)) }
        for i in 0..<(Self.rankCount + Self.tailCount) {
            let isRank = i < Self.rankCount
            let y = Double(c[i])
            let b = bin(y, i)
            if answers {
                evidence[i] = Scalar(judge(i, isRank, y, b, -Double(evidence[i]), Double(reach[i]), limit))
            } else {
                evidence[i] = 0
            }
            guard counts else { continue }
            if b > Int(sides[i].blockHigh) { sides[i].blockHigh = Int16(b) }
            guard isRank else { continue }
            if b > Int(sides[i].highest) { sides[i].highest = Int16(b) }
            if b < Int(sides[i].lowest) { sides[i].lowest = Int16(b) }
        }
    }

    @inline(__always)
    private func judge(_ i: Int, _ isRank: Bool, _ y: Double, _ b: Int, _ rank: Double, _ reach: Double, _ limit: Double) -> Double {
        if isRank {
            let beyond = b - Int(sides[i].highest)
            guard beyond > 0 else { return max(0, rank) }
            let seen = Double(Int(sides[i].highest) - min(Int(sides[i].lowest), Int(sides[i].highest) + 1) + 1) * rankGrid.width
            return max(0, rank + 2 * Double(beyond) * rankGrid.width / max(seen, 0.18))
        }
        let start = sides[i].start
        guard y > start else { return max(0, rank) }
        let tail = min(30, sides[i].rarity + 0.434 * (y - start) / sides[i].slope)
        // What has been reached k times is not much rarer than that, whatever the fitted tail says.
        return limit > 0 ? max(0, min(tail, rank + limit / (reach + 0.5))) : tail
    }

    /// Closes a block of 25 readings: counts its maxima, fits the tails. Returns the new numbers of blocks.
    /// `weight`: what the block counts.
    func closeBlock(rankBlocks: Double, tailBlocks: Double, weight: Double) -> (rank: Double, tail: Double) {
        guard sides[0].blockHigh >= 0 else { return (rankBlocks, tailBlocks) }
        var ranks = rankBlocks
        var tails = tailBlocks
        // One million readings: old blocks count half from then on.
        let halves = ranks >= 40_000
        if halves { ranks *= 0.5 }
        let fades = tails >= 100
        if fades { tails *= 0.99 }
        ranks += weight
        tails += weight
        for i in 0..<(Self.rankCount + Self.tailCount) {
            let isRank = i < Self.rankCount
            let grid = isRank ? rankGrid : tailGrid
            let above = table(i)
            if isRank && halves { Scalar.scale(above, 0.5, Int32(grid.bins)) }
            if !isRank && fades { Scalar.scale(above, Scalar(0.99), Int32(grid.bins)) }
            Scalar.add(above, Scalar(weight), Int32(sides[i].blockHigh) + 1)
            sides[i].blockHigh = -1
            if !isRank { fitTail(i, above, tails) }
        }
        return (ranks, tails)
    }

    /// The tail over the first bin whose cumulative count reaches 80 %. Sum of excesses = sum of the tail sums above that bin.
    private func fitTail(_ i: Int, _ above: UnsafeMutablePointer<Scalar>, _ blocks: Double) {
        let bins = tailGrid.bins
        let total = Double(above[0])
        var low = 0
        var high = bins - 1
        while low < high {
            let middle = (low + high) / 2
            if total - Double(above[middle + 1]) >= 0.8 * blocks { high = middle } else { low = middle + 1 }
        }
        let over = low + 1 < bins ? Double(above[low + 1]) : 0
        let excess = low + 1 < bins ? Scalar.sum(above + low + 1, Int32(bins - low - 1)) * tailGrid.width : 0
        sides[i].start = tailGrid.start + (Double(low) + 0.5) * tailGrid.width
        sides[i].rarity = -decimalLogarithm((over + 0.5) / (blocks + 1))
        sides[i].slope = max(0.1, (excess + 0.2) / (over + 2))
    }

    /// True if every number is in range (a check for restored state).
    func isSane() -> Bool {
        for i in 0..<(Self.rankCount + Self.tailCount) {
            let s = sides[i]
            let bins = i < Self.rankCount ? rankGrid.bins : tailGrid.bins
            guard s.blockHigh >= -1, Int(s.blockHigh) < bins, s.highest >= -1, Int(s.highest) < bins, s.lowest >= 0, s.start.isFinite,
                s.rarity.isFinite, s.slope >= 0.1, s.slope.isFinite
            else { return false }
        }
        return true
    }
}
