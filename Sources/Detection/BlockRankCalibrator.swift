import TimeSeries

/// Calibrator "rank": -log10 of the share of past blocks of 25 readings whose extreme reached this value.
///
/// Extremes of blocks are counted instead of readings, so that a long event counts once. Two histograms (maxima, minima) on asinh(2c) are
/// kept as tail sums: `above[b]` = blocks with maximum in bin >= b, `below[b]` = blocks with minimum in bin <= b.
struct BlockRankCalibrator<Scalar: KernelScalar>: BitwiseCopyable {
    /// Readings of a block.
    static var block: UInt64 { 25 }
    /// Readings before the first answer.
    static var warmUp: UInt64 { 100 }
    /// Blocks remembered.
    static var blocksMax: Double { 40_000 }
    /// Bins of each histogram, their width and where they begin.
    static var bins: Int { 200 }
    static var width: Double { 0.06 }
    static var start: Double { -6 }

    private var blockHigh: Int32 = -1
    private var blockLow: Int32 = 200
    private var highest: Int32 = -1
    private var lowest: Int32 = 200
    private(set) var blocks: Double = 0

    /// The evidence of `c`, then counts it. `t`: readings before this one.
    @inline(__always)
    mutating func step(
        _ c: Double, twoSided: Bool, t: UInt64, above: UnsafeMutablePointer<Scalar>, below: UnsafeMutablePointer<Scalar>
    ) -> Double {
        let y = inverseSinh(2 * c)
        let bin = Int32(max(0, min(Double(Self.bins - 1), (y - Self.start) / Self.width)))
        var evidence = 0.0
        if t >= Self.warmUp && blocks > 0 { evidence = rank(bin, twoSided, above, below) }
        if bin > blockHigh { blockHigh = bin }
        if bin < blockLow { blockLow = bin }
        if bin > highest { highest = bin }
        if bin < lowest { lowest = bin }
        if (t + 1) % Self.block == 0 { closeBlock(above, below) }
        return evidence
    }

    private func rank(
        _ bin: Int32, _ twoSided: Bool, _ above: UnsafeMutablePointer<Scalar>, _ below: UnsafeMutablePointer<Scalar>
    ) -> Double {
        var k = Double(above[Int(bin)])
        if blockHigh >= bin { k += 1 }
        if twoSided {
            var other = Double(below[Int(bin)])
            if blockLow <= bin { other += 1 }
            k = min(k, other)
        }
        var evidence = -decimalLogarithm((k + 0.5) / (blocks + 1))
        let range = Double(max(highest - lowest + 1, 3)) * Self.width
        if bin > highest { evidence += 2 * Double(bin - highest) * Self.width / range }
        if twoSided && bin < lowest { evidence += 2 * Double(lowest - bin) * Self.width / range }
        return max(0, evidence)
    }

    private mutating func closeBlock(_ above: UnsafeMutablePointer<Scalar>, _ below: UnsafeMutablePointer<Scalar>) {
        let bins = Self.bins
        if blocks >= Self.blocksMax { forget(above, below) }
        if blockHigh >= 0 {
            Scalar.add(above, 1, blockHigh + 1)
            Scalar.add(below + Int(blockLow), 1, Int32(bins) - blockLow)
            blocks += 1
        }
        blockHigh = -1
        blockLow = Int32(bins)
    }

    /// One block's worth of decay; the extremes follow what is still remembered.
    private mutating func forget(_ above: UnsafeMutablePointer<Scalar>, _ below: UnsafeMutablePointer<Scalar>) {
        let bins = Self.bins
        let keep = Scalar(1 - 1 / Self.blocksMax)
        Scalar.scale(above, keep, Int32(bins))
        Scalar.scale(below, keep, Int32(bins))
        blocks *= 1 - 1 / Self.blocksMax
        highest = -1
        lowest = Int32(bins)
        for i in 0..<bins {
            if above[i] - (i + 1 < bins ? above[i + 1] : 0) > 0.05 { highest = Int32(i) }
            let j = bins - 1 - i
            if below[j] - (j > 0 ? below[j - 1] : 0) > 0.05 { lowest = Int32(j) }
        }
    }

    /// True if counts and bins are in range (a check for restored state).
    var isSane: Bool {
        let bins = Int32(Self.bins)
        return blocks.isFinite && blocks >= 0 && (-1..<bins).contains(blockHigh) && (0...bins).contains(blockLow)
            && (-1..<bins).contains(highest)
            && (0...bins).contains(lowest)
    }
}
