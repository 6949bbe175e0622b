import TimeSeries

/// Evidence "value record": how far outside everything seen so far a value lies, 0...1 (1 = a tenth of the range beyond it).
struct ValueRecord: BitwiseCopyable {
    var high: Double = 0
    var low: Double = 0
    private var mean: Double = 0

    /// The evidence of `value`, then the record itself. Zero for the first 50 readings. With `leak` > 0 both ends move by that share
    /// toward the running mean (window 1000) on every reading. From the 51st reading on the record grows by at most `growth` ranges a reading, so
    /// that one huge spike does not blind it; not where the range is below 1e-6 of `spread`.
    @inline(__always)
    mutating func step(_ value: Double, age: Double, leak: Double = 0, growth: Double = .infinity, spread: Double = 0) -> Double {
        if age == 0 {
            high = value
            low = value
            mean = value
        }
        let range = high - low + 1e-9
        let beyond = value > high ? (value - high) / range : (value < low ? (low - value) / range : 0)
        let evidence = age >= 50 ? min(10 * beyond, 1) : 0
        if leak > 0 && age > 50 {
            high -= (high - mean) * leak
            low += (mean - low) * leak
        }
        let limit = growth < .infinity && age >= 50 && range > 1e-6 * spread ? growth * range : .infinity
        if value > high { high += min(value - high, limit) }
        if value < low { low -= min(low - value, limit) }
        if leak > 0 { mean += (value - mean) / min(age + 1, 1000) }
        return evidence
    }
}

/// Evidence "value": the deviation from the long running mean in units of the running mean absolute deviation.
struct ValueDeviation: BitwiseCopyable {
    private var mean: Double = 0
    private var scale: Double = 0

    /// Zero for the first 11 readings.
    @inline(__always)
    mutating func step(_ value: Double, age: Double) -> Double {
        if age == 0 { mean = value }
        var deviation = value - mean
        let z = age > 10 ? deviation / (scale + 1e-6) : 0
        let gain = max(1 / (age + 1), 1 / Normalizer.horizon)
        if age > 30 {
            if deviation > 8 * scale { deviation = 8 * scale + 1e-9 }
            if deviation < -8 * scale { deviation = -8 * scale - 1e-9 }
        }
        mean += gain * deviation
        scale += gain * (abs(deviation) - scale)
        return z
    }
}

/// Evidence "local deviation": |z| against a mean and mean absolute deviation of about the last 1000 readings, at most 50.
struct LocalDeviation: BitwiseCopyable {
    private var mean: Double = 0
    private var scale: Double = 0
    /// Readings the statistics stand on; a gap makes it smaller, so that they follow faster afterwards.
    private var weight: Double = 0

    /// Zero for the first 11 readings.
    @inline(__always)
    mutating func step(_ value: Double, age: Double) -> Double {
        if age == 0 { mean = value }
        var deviation = value - mean
        let z = age > 10 ? abs(deviation / (1.25 * scale + 1e-9 + 1e-3 * abs(mean))) : 0
        if age > 30 { deviation = clipped(deviation, 8 * scale + 1e-9) }
        let gain = weight < 1000 ? 1 / (weight + 1) : 1e-3
        mean += gain * deviation
        scale += gain * (abs(deviation) - scale)
        weight = min(weight + 1, 1000)
        return min(z, 50)
    }

    /// Ages the statistics by a gap of so many readings.
    mutating func age(by readings: Double) { weight = max(30, weight * exponential(-readings / 1000)) }
}

/// Evidence "jump": the first difference against the mean and deviation of the last differences of this channel.
///
/// After a long quiet time (rain that does not fall for weeks) those say little: the deviation is not taken for less than a share of the
/// channel's mean size of differences over its last 20,000 readings.
///
/// The window is a ring of `length` scalars outside this struct. Its sums are recomputed each time the ring is full, so rounding never piles up.
struct Jump<Scalar: KernelScalar>: BitwiseCopyable {
    /// The newest value, as judged.
    private(set) var last: Double = 0
    private var sum: Double = 0
    private var sumOfSquares: Double = 0
    /// Differences pushed so far; goes back by a multiple of the length before it is full.
    private var count: UInt32 = 0
    /// Mean square of the differences of the last 20,000 readings.
    private var lifeSquare: Float = 0
    private static var lifeReadings: Double { 20_000 }

    /// (difference - mean) / deviation of the window before it, signed. `fresh`: there is no previous reading to compare with (first, or after a gap).
    /// `clip`: differences enter the window clipped to [-clip, clip], so that one huge jump does not hide the next.
    /// `lifeShare`: the deviation is at least this share of the root mean square over the channel's life.
    @inline(__always)
    mutating func step(
        _ value: Double, age: Double, fresh: Bool, clip: Double, lifeShare: Double, ring: UnsafeMutablePointer<Scalar>, length: Int
    ) -> Double {
        let difference = age == 0 || fresh ? 0 : value - last
        last = value
        if fresh && age > 0 { return 0 }
        let n = Double(min(Int(count), length))
        var evidence = 0.0
        if count >= 10 {
            let mean = sum / n
            let variance = max(sumOfSquares / n - mean * mean, lifeShare * lifeShare * Double(lifeSquare))
            let deviation = max(variance, 0).squareRoot()
            evidence = (difference - mean) / (deviation + 1e-9 + 1e-3 * abs(mean))
        }
        let clippedDifference = clipped(difference, clip)
        push(clippedDifference, ring, length)
        if clip < .infinity {
            let size = min(clippedDifference * clippedDifference, 1e37)
            lifeSquare += Float((size - Double(lifeSquare)) / min(Double(count), Self.lifeReadings))
        }
        return evidence
    }

    /// Where in the ring the next difference goes.
    @inline(__always)
    func place(in length: Int) -> Int { Int(count % UInt32(truncatingIfNeeded: length)) }

    @inline(__always)
    private mutating func push(_ difference: Double, _ ring: UnsafeMutablePointer<Scalar>, _ length: Int) {
        let at = place(in: length)
        // Float cannot hold more than 3.4e38; what is stored is what is added, so that leaving cancels entering.
        let stored = Scalar(clipped(difference, 1e37))
        let entering = Double(stored)
        if count >= length {
            let leaving = Double(ring[at])
            sum -= leaving
            sumOfSquares -= leaving * leaving
        }
        ring[at] = stored
        sum += entering
        sumOfSquares += entering * entering
        count += 1
        if count > UInt32.max - 1 { count = count % UInt32(length) + UInt32(length) }
        if at == length - 1 {
            sum = 0
            sumOfSquares = 0
            for i in 0..<length {
                let d = Double(ring[i])
                sum += d
                sumOfSquares += d * d
            }
        }
    }

    /// True if the sums are finite (a check for restored state).
    var isSane: Bool { last.isFinite && sum.isFinite && sumOfSquares.isFinite && lifeSquare.isFinite && lifeSquare >= 0 }
}
