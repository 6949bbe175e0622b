import TimeSeries

/// What a calibrator says about one statistic.
public struct CalibratedEvidence: BitwiseCopyable, Sendable {
    /// -log10 of how often a block of 25 readings gets here, with the tail continued beyond the record; 0 in warm-up.
    public var value: Double = 0
    /// Past blocks (decayed count) that reached this value.
    public var blocksReaching: Double = 0
    /// Past blocks remembered (decayed count).
    public var blocks: Double = 0
}

/// Calibrator "tail": rank among the block maxima of one statistic of a stream, continued by an exponential tail.
///
/// y = asinh(2c), c >= 0. `above[b]` = decayed number of blocks whose maximum lies in bin >= b. From the blocks over the q-quantile u:
/// beta = mean excess (with 2 pseudo-excesses of 0.1, at least 0.1), p_u = their share.
struct TailCalibrator<Scalar: KernelScalar>: BitwiseCopyable {
    /// Sizes shared by all calibrators of a profile.
    struct Grid: Sendable, Equatable {
        /// Bins of a histogram.
        var bins: Int
        /// Width of a bin on the asinh scale.
        var width: Double
    }
    /// How values beyond the record are judged.
    enum Form: Sendable {
        /// Rank everywhere; beyond the record the rank plus .434 (y - record) / beta.
        case rank
        /// Above the quantile u the exponential tail -log10 p_u + .434 (y - u) / beta, rank below.
        case tail
    }

    private var blockBin: Int32 = -1
    private var reserved: Int32 = 0
    private(set) var blocks: Double = 0
    private var record: Double = -1
    private var blockMaximum: Double = 0
    private var start: Double = 0
    private var share: Double = 1
    private var slope: Double = 0.1

    /// The evidence of `c`, then counts it. `t`: readings of the stream before this one; `counts` false: answer only.
    @inline(__always)
    mutating func step(
        _ c: Double, form: Form, quantile: Double, t: UInt64, grid: Grid, above: UnsafeMutablePointer<Scalar>, counts: Bool = true
    ) -> CalibratedEvidence {
        let y = inverseSinh(2 * c)
        let bin = Int32(max(0, min(Double(grid.bins - 1), y / grid.width)))
        var out = CalibratedEvidence()
        if t >= 100 && blocks > 0 {
            out.blocksReaching = Double(above[Int(bin)]) + (blockBin >= bin ? 1 : 0)
            out.blocks = blocks
            out.value = evidence(y, out.blocksReaching, form)
        }
        if counts {
            if bin > blockBin { blockBin = bin }
            if y > blockMaximum { blockMaximum = y }
        }
        if (t + 1) % 25 == 0 { closeBlock(quantile, grid, above) }
        return out
    }

    @inline(__always)
    private func evidence(_ y: Double, _ k: Double, _ form: Form) -> Double {
        if form == .tail && y > start { return -decimalLogarithm(share) + 0.434 * (y - start) / slope }
        var rank = -decimalLogarithm((k + 0.5) / (blocks + 1))
        if form == .rank && y > record { rank += 0.434 * (y - record) / slope }
        return max(0, rank)
    }

    private mutating func closeBlock(_ quantile: Double, _ grid: Grid, _ above: UnsafeMutablePointer<Scalar>) {
        if blocks >= 40_000 {
            let keep = Scalar(Float(1 - 1 / 40_000.0))
            Scalar.scale(above, keep, Int32(grid.bins))
            blocks *= Double(keep)
        }
        guard blockBin >= 0 else { return }
        Scalar.add(above, 1, blockBin + 1)
        blocks += 1
        if blockMaximum > record { record = blockMaximum }
        blockBin = -1
        blockMaximum = 0
        fitTail(quantile, grid, above)
    }

    /// The tail over the first bin whose cumulative count reaches the quantile. Sum of excesses = sum of the tail sums above that bin.
    private mutating func fitTail(_ quantile: Double, _ grid: Grid, _ above: UnsafeMutablePointer<Scalar>) {
        let total = Double(above[0])
        var low = 0
        var high = grid.bins - 1
        while low < high {
            let middle = (low + high) / 2
            if total - Double(above[middle + 1]) >= quantile * blocks { high = middle } else { low = middle + 1 }
        }
        let over = low + 1 < grid.bins ? Double(above[low + 1]) : 0
        let excess = low + 1 < grid.bins ? Scalar.sum(above + low + 1, Int32(grid.bins - low - 1)) * grid.width : 0
        start = (Double(low) + 0.5) * grid.width
        share = (over + 0.5) / (blocks + 1)
        slope = max(0.1, (excess + 0.2) / (over + 2))
    }

    /// True if every number is finite and in range (a check for restored state).
    func isSane(_ grid: Grid) -> Bool {
        blocks.isFinite && blocks >= 0 && record.isFinite && blockMaximum.isFinite && start.isFinite && share > 0 && share <= 1
            && slope >= 0.1 && slope.isFinite && blockBin >= -1 && Int(blockBin) < grid.bins
    }
}
