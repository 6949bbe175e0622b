import TimeSeries

#if canImport(Glibc)
    import Glibc
#endif

/// The random numbers of the golden vectors: a 64-bit congruential generator, upper 53 bits.
struct GoldenRandom {
    private var x: UInt64 = 42

    mutating func next() -> Double {
        x = 6_364_136_223_846_793_005 &* x &+ 1_442_695_040_888_963_407
        return Double(x >> 11) * 0x1p-53
    }
}

/// Two sines and noise; a spike at 700, a level shift at 1100, a frozen stretch at 1300.
func goldenSignal(_ n: Int) -> [Double] {
    var random = GoldenRandom()
    return (0..<n).map { i in
        let t = Double(i)
        var v = 10 + 3 * sin(2 * Double.pi * t / 96) + 1.5 * sin(2 * Double.pi * t / 17) + (random.next() - 0.5)
        if i == 700 { v += 15 }
        if i >= 1100 { v += 6 }
        if (1300..<1330).contains(i) { v = 10 }
        return v
    }
}

/// The golden signal, a sine with noise and one spike, small integers, and a rare binary channel.
func goldenChannels(_ n: Int) -> [[Double]] {
    var random = GoldenRandom()
    let base = goldenSignal(n)
    return (0..<n).map { i in
        let a = random.next()
        let b = random.next()
        let c = random.next()
        return [
            base[i], 100 * sin(2 * Double.pi * Double(i) / 50) + 20 * (a - 0.5) + (i == 900 ? 300 : 0), (5 * b).rounded(.down),
            c > 0.97 ? 1 : 0,
        ]
    }
}
