/// Where in the day and in the week a moment lies, as nine numbers a linear readout can use.
///
/// Layout: sin and cos of 1, 2 and 3 times the hour angle; sin and cos of the day-of-week angle; 1 on Saturday and Sunday.
/// Monday 00:00 is angle zero of the week. The offset is added first, so daylight saving follows from the offset of each reading.
public struct ClockFeatures: Sendable {
    /// Number of features.
    public static let count = 9

    /// Writes the nine features of `seconds` (Unix time, fractions allowed) at `offsetSeconds` east of UTC.
    @inlinable
    public static func write(seconds: Double, offsetSeconds: Int32 = 0, into out: UnsafeMutablePointer<Double>) {
        let local = seconds + Double(offsetSeconds)
        let day = 2 * Double.pi * positiveRemainder(local, 86400) / 86400
        let s = sine(day)
        let c = cosine(day)
        out[0] = s
        out[1] = c
        out[2] = 2 * s * c
        out[3] = c * c - s * s
        out[4] = s * out[3] + c * out[2]
        out[5] = c * out[3] - s * out[2]
        let weekday = positiveRemainder(local / 86400 + 3, 7)
        out[6] = sine(2 * Double.pi * weekday / 7)
        out[7] = cosine(2 * Double.pi * weekday / 7)
        out[8] = weekday >= 5 ? 1 : 0
    }

    /// x modulo m in [0, m).
    @inlinable @inline(__always)
    static func positiveRemainder(_ x: Double, _ m: Double) -> Double {
        let r = x.truncatingRemainder(dividingBy: m)
        return r < 0 ? r + m : r
    }
}
