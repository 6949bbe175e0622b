/// Combiner: the mean of the three highest of min(statistic, 50) over the channels (of all of them when there are fewer).
struct TopThree {
    private var a = 0.0
    private var b = 0.0
    private var c = 0.0

    @inline(__always)
    mutating func add(_ statistic: Double) {
        let v = min(statistic, 50)
        if v > a {
            c = b
            b = a
            a = v
        } else if v > b {
            c = b
            b = v
        } else if v > c {
            c = v
        }
    }

    /// `channels`: how many took part.
    @inline(__always)
    func mean(of channels: Int) -> Double { channels > 0 ? (a + b + c) / Double(min(channels, 3)) : 0 }
}
