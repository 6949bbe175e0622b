import Glibc
import TimeSeries

/// A kind of healthy series that streams are made of, with what a fault needs to know about it.
struct Family {
    /// One reading: its number and the phase of its rhythm (in readings; equal to the number while nothing disturbs the rhythm).
    typealias Source = (_ i: Int, _ phase: Double) -> [Double]

    /// Name in the table.
    var name: String
    /// Usual seconds between readings.
    var cadence: Double
    /// Usual readings of a series without faults.
    var rows = 8000
    /// Readings per turn of its rhythm; nil if it has none that a machine could change.
    var cycle: Double?
    /// True if its values only grow: additive faults make no sense.
    var isCounter = false
    /// Intervals vary by this share of the cadence, up and down.
    var jitter = 0.0
    /// Share of readings that never arrive, and share of moments where hours are missing.
    var missing = 0.0
    var gaps = 0.0
    /// The size of a usual movement: faults are multiples of it.
    var unit: Double
    /// Makes a source of this kind from random numbers.
    var make: (SeededRandom) -> Source

    /// First second of every series: a Monday, 2024-01-01 00:00 UTC.
    static let epoch = 1_704_067_200.0

    /// Hour of the day, 0 ..< 24, at phase `p`.
    static func hour(_ p: Double, _ cadence: Double) -> Double { (p * cadence / 3600).truncatingRemainder(dividingBy: 24) }
    static func turn(_ x: Double) -> Double { sin(2 * .pi * x) }

    /// Student's t with three degrees of freedom.
    static func heavy(_ r: inout SeededRandom) -> Double {
        let (a, b, c) = (r.gaussian(), r.gaussian(), r.gaussian())
        return r.gaussian() / ((a * a + b * b + c * c) / 3).squareRoot()
    }

    /// Poisson numbers of small mean (Knuth), normal ones of large mean.
    static func poisson(_ mean: Double, _ r: inout SeededRandom) -> Double {
        if mean > 30 { return max(0, (mean + mean.squareRoot() * r.gaussian()).rounded()) }
        var k = 0.0
        var p = r.uniform()
        let limit = exp(-mean)
        while p > limit {
            k += 1
            p *= r.uniform()
        }
        return k
    }

    /// A single channel from noise and rhythm.
    static func single(
        _ name: String, _ cadence: Double, unit: Double = 1, rows: Int = 8000, cycle: Double? = nil,
        _ value: @escaping (_ r: inout SeededRandom, _ memory: inout [Double], _ i: Int, _ phase: Double) -> Double
    ) -> Family {
        Family(name: name, cadence: cadence, rows: rows, cycle: cycle, unit: unit) { random in
            var r = random
            var memory = [Double](repeating: 0, count: 8)
            return { i, phase in [value(&r, &memory, i, phase)] }
        }
    }

    /// Changes of a copy, for variants.
    func with(_ change: (inout Family) -> Void) -> Family {
        var copy = self
        change(&copy)
        return copy
    }
}

/// What goes wrong in a series.
enum Fault: String, CaseIterable {
    case spike, shift, stuck, drift, frequency, rhythm, noise, zero, rate

    /// Readings it lasts in a family.
    func length(_ family: Family, _ r: inout SeededRandom) -> Int {
        let cycle = family.cycle ?? 60
        switch self {
        case .spike: return 1 + Int(r.uniform(0, 3))
        case .shift: return 150
        case .stuck: return Int(max(80, cycle))
        case .drift: return 400
        case .frequency: return Int(max(120, min(8 * cycle, 1000)))
        case .rhythm: return Int(max(120, min(4 * cycle, 600)))
        case .noise: return 80
        case .zero: return 60
        case .rate: return 80
        }
    }

    /// Whether the fault can happen to the family.
    func applies(_ family: Family) -> Bool {
        switch self {
        case .frequency, .rhythm: family.cycle != nil
        case .rate: family.isCounter
        case .stuck: true
        case .zero: family.name == "latency" || family.name == "temperature steps" || family.name == "seasonal day"
        case .spike, .shift, .drift, .noise: !family.isCounter
        }
    }
}

/// One series of a family, with up to two equal faults.
struct FamilySeries {
    var times: [Int64] = []
    var values: [Double] = []
    var channels = 0
    /// Rows of the faults.
    var faults: [Range<Int>] = []

    /// The healthy series of `seed`, or one with `fault` at about 45 % and, the same again, at about 75 % of its rows.
    init(_ family: Family, seed: UInt64, fault: Fault? = nil) {
        var r = SeededRandom(seed: seed &* 7919 &+ 17)
        let source = family.make(SeededRandom(seed: seed &* 104_729 &+ 3))
        var place = SeededRandom(seed: seed &* 31 &+ 5)
        let rows = fault == nil ? family.rows : min(family.rows, 7000)
        let length = fault?.length(family, &place) ?? 0
        let first = Int(Double(rows) * place.uniform(0.42, 0.5))
        let second = first + length + Int(Double(rows) * place.uniform(0.2, 0.24))
        let sign = place.uniform() < 0.5 ? -1.0 : 1.0
        let speed = place.uniform() < 0.5 ? 0.5 : 2.0
        if fault != nil { faults = [first..<(first + length), second..<min(rows, second + length)] }
        var seconds = Family.epoch
        var phase = 0.0
        var last: [Double] = []
        var extra = 0.0
        for i in 0..<rows {
            let at = faults.first { $0.contains(i) }
            let k = Double(i - (at?.lowerBound ?? i))
            if fault == .frequency && at != nil { phase += speed } else if !(fault == .rhythm && at != nil) { phase += 1 }
            var v = source(i, phase)
            channels = v.count
            if let fault, let at {
                switch fault {
                case .spike: v[0] += sign * 8 * family.unit
                case .shift: v[0] += sign * 5 * family.unit
                case .stuck: v[0] = last.first ?? v[0]
                case .drift: v[0] += sign * 6 * family.unit * k / Double(at.count)
                case .noise: v[0] += 3 * family.unit * r.gaussian()
                case .zero: v[0] = 0
                case .rate: extra += (4 * family.unit).rounded()
                case .frequency, .rhythm: break
                }
            }
            if family.isCounter && fault != .stuck { v[0] += extra }
            last = v
            let long = family.gaps > 0 && r.uniform() < family.gaps
            seconds += family.cadence * (family.jitter > 0 ? r.uniform(1 - family.jitter, 1 + family.jitter) : 1)
            if long { seconds += family.cadence * r.uniform(30, 300) }
            if family.missing > 0 && r.uniform() < family.missing { v[0] = .nan }
            times.append(Int64(seconds * 1e9))
            values += v
        }
        if values.count == rows * channels, family.missing > 0 && channels == 1 { dropMissing() }
    }

    /// Rows without a value never arrive; faults move with the rows.
    private mutating func dropMissing() {
        var kept: [Int] = []
        for i in times.indices where values[i].isFinite { kept.append(i) }
        faults = faults.map { f in
            let low = kept.firstIndex { $0 >= f.lowerBound } ?? kept.count
            let high = kept.firstIndex { $0 >= f.upperBound } ?? kept.count
            return low..<max(low, high)
        }
        times = kept.map { times[$0] }
        values = kept.map { values[$0] }
    }
}
