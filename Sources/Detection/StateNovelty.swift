import TimeSeries

/// Evidence "hidden-state novelty": distance of a small recurrent core's state to the nearest of a few remembered states.
///
/// Prototypes grow online: a state farther than the radius becomes a prototype (in place of the least recently used one), a nearer one
/// pulls its prototype by 5 %. The radius follows the 90 % quantile of the distance.
struct StateNovelty: BitwiseCopyable {
    private var radius: Double = 0.1
    private var used: Int32 = 0
    private var reserved: Int32 = 0

    /// Distance before learning; 0 for the first reading. `prototypes` [slots / 8, dimension, 8], `lastUse` [slots].
    @inline(__always)
    mutating func step<Scalar: KernelScalar>(
        state: UnsafePointer<Scalar>, age: UInt64, prototypes: UnsafeMutablePointer<Scalar.Coordinate>,
        lastUse: UnsafeMutablePointer<UInt32>, slots: Int, dimension: Int
    ) -> Double {
        var distance2: Scalar = 0
        var slot: Int32 = 0
        var distance = 0.0
        if used > 0 {
            slot = Scalar.nearest(prototypes, state, used, Int32(truncatingIfNeeded: dimension), &distance2)
            distance = Double(distance2).squareRoot()
            if distance > radius { radius += 0.02 * radius * 0.9 + 1e-6 } else { radius -= 0.02 * radius * 0.1 }
        }
        var rate = Scalar(0.05)
        if used == 0 || distance > radius {
            rate = 1
            if Int(used) < slots {
                slot = used
                used += 1
            } else {
                slot = Int32(truncatingIfNeeded: oldest(lastUse, slots))
            }
        }
        Scalar.pull(prototypes, state, Int32(truncatingIfNeeded: slots), slot, Int32(truncatingIfNeeded: dimension), rate)
        lastUse[Int(slot)] = UInt32(truncatingIfNeeded: min(age, UInt64(UInt32.max)))
        return distance
    }

    /// True if the radius is finite and the count in range (a check for restored state).
    func isSane(slots: Int) -> Bool { radius.isFinite && radius > 0 && used >= 0 && Int(used) <= slots }
}
