import CDetectionKernels
import TimeSeries
import Testing

@testable import Detection

/// The naive kernels in double: what the fast ones must give.
private enum Naive {
    static func reservoir(h: [Double], w: [Double], win: [Double], bias: [Double], leak: [Double], x: Double) -> [Double] {
        let n = h.count
        return (0..<n).map { i in
            var u = win[i] * x + bias[i]
            for j in 0..<n { u += w[j * n + i] * h[j] }
            let e = exponential(2 * u)
            return (1 - leak[i]) * h[i] + leak[i] * (1 - 2 / (e + 1))
        }
    }

    /// Full matrix, as in any textbook.
    static func leastSquares(p: inout [Double], phi: [Double], lambda: Double, cap: Double) -> [Double] {
        let n = phi.count
        let pp = (0..<n).map { i in (0..<n).reduce(0.0) { $0 + p[i * n + $1] * phi[$1] } }
        let energy = (0..<n).reduce(0.0) { $0 + phi[$1] * pp[$1] }
        let g = pp.map { $0 / (lambda + energy) }
        for i in 0..<n { for j in 0..<n { p[i * n + j] = (p[i * n + j] - g[i] * pp[j]) / lambda } }
        for i in 0..<n where p[i * n + i] > cap {
            let s = (cap / p[i * n + i]).squareRoot()
            for j in 0..<n {
                p[i * n + j] *= s
                p[j * n + i] *= s
            }
        }
        return g
    }
}

private func packed(_ i: Int, _ j: Int) -> Int {
    let (a, b) = i / 8 >= j / 8 ? (i, j) : (j, i)
    return (a / 8 * (a / 8 + 1) / 2 + b / 8) * 64 + 8 * (b % 8) + a % 8
}

private let sets = ["sse2", "avx2", "avx512", "neon", "portable"]

@Suite("Kernels")
struct KernelTests {
    @Test(
        "Every instruction set this machine runs gives the leaky tanh step of the naive kernel", arguments: sets, [8, 16, 40, 48, 72, 128])
    func reservoir(set: String, n: Int) throws {
        guard let f32 = cdk_kernels_f32(set), let f64 = cdk_kernels_f64(set) else { return }
        var random = SeededRandom(seed: UInt64(n))
        func draw(_ count: Int, _ scale: Double) -> [Double] { (0..<count).map { _ in random.uniform(-scale, scale) } }
        let w = draw(n * n, 1 / Double(n).squareRoot())
        let (win, bias, leak) = (draw(n, 1), draw(n, 0.3), draw(n, 0.5).map { $0 + 0.5 })
        var expected = draw(n, 1)
        var h = expected
        var single = expected.map(Float.init)
        for x in [0, 1, -3, 8, -8.0] {
            expected = Naive.reservoir(h: expected, w: w, win: win, bias: bias, leak: leak, x: x)
            f64.pointee.reservoir(&h, w, win, bias, leak, x, Int32(n))
            f32.pointee.reservoir(
                &single, w.map(Float.init), win.map(Float.init), bias.map(Float.init), leak.map(Float.init), Float(x), Int32(n))
        }
        for i in 0..<n {
            #expect(abs(h[i] - expected[i]) < 1e-13)
            #expect(abs(Double(single[i]) - expected[i]) < 4e-6)
        }
    }

    @Test("Every instruction set gives gain and covariance of textbook recursive least squares", arguments: sets, [8, 24, 56])
    func leastSquares(set: String, n: Int) throws {
        guard let f32 = cdk_kernels_f32(set), let f64 = cdk_kernels_f64(set) else { return }
        var random = SeededRandom(seed: 7 + UInt64(n))
        var full = [Double](repeating: 0, count: n * n)
        var double = [Double](repeating: 0, count: n / 8 * (n / 8 + 1) / 2 * 64)
        for i in 0..<n {
            full[i * n + i] = 10
            double[packed(i, i)] = 10
        }
        var single = double.map(Float.init)
        var g64 = [Double](repeating: 0, count: n)
        var g32 = [Float](repeating: 0, count: n)
        for _ in 0..<300 {
            // The last feature never moves, so its variance grows and meets the cap.
            let phi = (0..<n).map { $0 == n - 1 ? 0 : random.gaussian() }
            let g = Naive.leastSquares(p: &full, phi: phi, lambda: 0.99, cap: 10)
            #expect(f64.pointee.rls(&double, phi, &g64, 0.99, 0, 10, Int32(n), nil) == 0)
            #expect(f32.pointee.rls(&single, phi.map(Float.init), &g32, 0.99, 0, 10, Int32(n), nil) == 0)
            for i in 0..<n {
                #expect(abs(g64[i] - g[i]) < 1e-10)
                #expect(abs(Double(g32[i]) - g[i]) < 1e-3)
            }
        }
        #expect(abs(full[n * n - 1] - 10) < 1e-9)
        for i in 0..<n { for j in 0...i { #expect(abs(double[packed(i, j)] - full[i * n + j]) < 1e-9) } }
    }

    @Test("A covariance that lost positive definiteness is replaced by its diagonal and the gain is zero")
    func repair() {
        let n = 8
        var p = [Float](repeating: 0, count: 64)
        for i in 0..<n { p[packed(i, i)] = i == 3 ? -1 : 2 }
        for j in 0..<n where j != 0 { p[packed(0, j)] = -5 }
        for i in 0..<n where i != 0 { p[8 * 0 + i] = -5; p[8 * i] = -5 }
        var g = [Float](repeating: 9, count: n)
        #expect(cdk_rls_f32(&p, [Float](repeating: 1, count: n), &g, 0.99, 0, 10, Int32(n), nil) == 1)
        #expect(g.allSatisfy { $0 == 0 })
        for i in 0..<n { for j in 0..<n { #expect(p[8 * j + i] == (i == j && i != 3 ? 2 : 0)) } }
    }

    @Test("The nearest prototype is the one a plain search finds, the lowest slot on a tie", arguments: sets)
    func nearest(set: String) throws {
        guard let kernels = cdk_kernels_f64(set) else { return }
        var random = SeededRandom(seed: 3)
        let (slots, d) = (64, 16)
        for _ in 0..<200 {
            // Coarse values make ties frequent.
            let rows = (0..<slots).map { _ in (0..<d).map { _ in Double(Int(random.uniform(0, 2))) } }
            let s = (0..<d).map { _ in Double(Int(random.uniform(0, 2))) }
            var laid = [Double](repeating: 0, count: slots * d)
            for (k, row) in rows.enumerated() { for j in 0..<d { laid[k / 8 * 8 * d + 8 * j + k % 8] = row[j] } }
            let distances = rows.map { zip($0, s).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
            let least = try #require(distances.min())
            var found = 0.0
            let slot = kernels.pointee.nearest(laid, s, Int32(slots), Int32(d), &found)
            #expect(found == least)
            #expect(Int(slot) == distances.firstIndex(of: least))
        }
    }

    @Test(
        "Prototypes in single precision are found as in double, to the step they are kept in; slots from m on are never found",
        arguments: sets)
    func nearestSingle(set: String) throws {
        guard let single = cdk_kernels_f32(set), let double = cdk_kernels_f64(set) else { return }
        var random = SeededRandom(seed: 5)
        for (slots, d) in [(64, 16), (8, 8), (24, 3)] {
            var kept = [Int16](repeating: 0, count: slots * d)
            var exact = [Double](repeating: 0, count: slots * d)
            for k in 0..<slots {
                let s = (0..<d).map { _ in random.uniform(-1, 1) }
                single.pointee.pull(&kept, s.map(Float.init), Int32(slots), Int32(k), Int32(d), 1)
                double.pointee.pull(&exact, s, Int32(slots), Int32(k), Int32(d), 1)
            }
            for i in exact.indices { #expect(abs(Double(kept[i]) / 32767 - exact[i]) <= 0.51 / 32767) }
            for m in [1, 7, 8, 9, slots - 1, slots] where m <= slots {
                let s = (0..<d).map { _ in random.uniform(-1, 1) }
                var (near, far): (Float, Double) = (0, 0)
                let slot = double.pointee.nearest(exact, s, Int32(m), Int32(d), &far)
                #expect(slot < m)
                #expect(single.pointee.nearest(kept, s.map(Float.init), Int32(m), Int32(d), &near) == slot)
                #expect(abs(Double(near).squareRoot() - far.squareRoot()) < 1e-3)
                single.pointee.pull(&kept, s.map(Float.init), Int32(slots), slot, Int32(d), 0.05)
                double.pointee.pull(&exact, s, Int32(slots), slot, Int32(d), 0.05)
            }
        }
    }

    @Test("A gain that was kept is right to 1/256 of each element and moves the readouts by that", arguments: sets)
    func keptGain(set: String) throws {
        guard let kernels = cdk_kernels_f32(set) else { return }
        var random = SeededRandom(seed: 6)
        let g = (0..<64).map { Float(random.gaussian() * power(10, Double($0 % 9) - 7)) }
        var kept = [UInt16](repeating: 0, count: 64)
        var y = [Float](repeating: 0, count: 64)
        kernels.pointee.keep(&kept, g, 64)
        kernels.pointee.learn(&y, kept, 2, 1, 64)
        for i in 0..<64 { #expect(abs(y[i] / 2 - g[i]) <= abs(g[i]) / 256) }
        kernels.pointee.toward(&y, g.map { 4 * $0 }, 0.5, 64)
        for i in 0..<64 { #expect(abs(y[i] - 3 * g[i]) <= abs(g[i]) / 100) }
    }

    /// What the bank is told and what it answers.
    private struct BankTrial {
        var statistics: [Double]
        var tables = [UInt16](repeating: 0, count: 32 * 40)
        var sides = cdk_sides()
        var (evidence, reach, y) = ([Double](repeating: 9, count: 32), [Double](repeating: 9, count: 32), [Double](repeating: 9, count: 32))
        var bins = [Int32](repeating: -1, count: 32)
        static let (start, width, top) = (-1.2, 0.24, 39.0)

        init(_ random: inout SeededRandom) {
            statistics = (0..<32).map { _ in random.gaussian() * 3 }
            for i in tables.indices { tables[i] = UInt16(random.uniform(0, 20_000)) }
            withUnsafeMutablePointer(to: &sides) {
                let shorts = UnsafeMutableRawPointer($0).assumingMemoryBound(to: Int16.self)
                for i in 0..<32 { shorts[i] = Int16(random.uniform(-1, 39)) }
                for i in 32..<48 { (shorts[i], shorts[i + 16]) = (Int16(random.uniform(10, 20)), Int16(random.uniform(3, 10))) }
                let floats = UnsafeMutableRawPointer(shorts + 64).assumingMemoryBound(to: Float.self)
                for i in 0..<48 { floats[i] = Float(random.uniform(0.1, 2)) }
            }
        }

        func short(_ i: Int) -> Int { withUnsafeBytes(of: sides) { Int($0.load(fromByteOffset: 2 * i, as: Int16.self)) } }
        func float(_ i: Int) -> Double { withUnsafeBytes(of: sides) { Double($0.load(fromByteOffset: 128 + 4 * i, as: Float.self)) } }

        mutating func run(_ kernels: UnsafePointer<cdk_table_f64>, answers: Bool) {
            step(answers) { kernels.pointee.bank($0, &evidence, &reach, &y, &bins, $1, tables, &sides, 0.01, 0.02, $2, 1) }
        }

        mutating func run(_ kernels: UnsafePointer<cdk_table_f32>, answers: Bool) {
            var (e, r, v) = ([Float](repeating: 9, count: 32), [Float](repeating: 9, count: 32), [Float](repeating: 9, count: 32))
            step(answers) { kernels.pointee.bank($0, &e, &r, &v, &bins, $1, tables, &sides, 0.01, 0.02, $2, 1) }
            (evidence, reach, y) = (e.map(Double.init), r.map(Double.init), v.map(Double.init))
        }

        private func step(_ answers: Bool, _ body: (UnsafePointer<Double>, UnsafePointer<cdk_grids>, Int32) -> Void) {
            let rows = (0..<32).map { Int32(40 * $0) }
            let edges = [Self.start, Self.width, 1 / Self.width, Self.top].flatMap { [Double](repeating: $0, count: 32) }
            rows.withUnsafeBufferPointer { r in
                edges.withUnsafeBufferPointer { e in
                    guard let r = r.baseAddress, let e = e.baseAddress else { return }
                    var grids = cdk_grids(row: r, start: e, width: e + 32, scale: e + 64, top: e + 96)
                    body(statistics, &grids, answers ? 1 : 0)
                }
            }
        }
    }

    @Test("Every instruction set gives the bank's bins, reach and evidence as their definitions do", arguments: sets)
    func bank(set: String) throws {
        guard let f32 = cdk_kernels_f32(set), let f64 = cdk_kernels_f64(set) else { return }
        var random = SeededRandom(seed: 12)
        for _ in 0..<50 {
            let before = BankTrial(&random)
            var (single, double) = (before, before)
            single.run(f32, answers: true)
            double.run(f64, answers: true)
            for i in 0..<(Int(CDK_RANKS) + Int(CDK_TAILS)) {
                let isRank = i < Int(CDK_RANKS)
                let c = before.statistics[Int(cdk_bank_sources()[i])]
                let y = inverseSinh(2 * (i == Int(CDK_RANKS) - 1 ? logarithm(max(c, 0) + 1e-3) : c))
                let bin = Int(max(0, min(BankTrial.top, (y - BankTrial.start) / BankTrial.width)))
                let unit = Double(isRank ? CDK_RANK_UNIT : CDK_TAIL_UNIT)
                let reach = Double(before.tables[40 * i + bin]) / unit + (before.short(i) >= bin ? 1 : 0)
                var evidence = max(0, -decimalLogarithm((reach + 0.5) * (isRank ? 0.01 : 0.02)))
                let (highest, lowest, k) = (before.short(32 + i % 16), before.short(48 + i % 16), i - Int(CDK_RANKS))
                if isRank && bin > highest {
                    let seen = max(0.18, Double(highest - lowest + 1) * BankTrial.width)
                    evidence = max(0, -decimalLogarithm((reach + 0.5) * 0.01) + 2 * Double(bin - highest) * BankTrial.width / seen)
                } else if !isRank && y > before.float(k) {
                    evidence = min(30, before.float(16 + k) + 0.434 * (y - before.float(k)) / before.float(32 + k))
                }
                #expect(abs(double.y[i] - y) < 1e-12 && abs(single.y[i] - y) < 1e-5)
                #expect(Int(double.bins[i]) == bin)
                #expect(abs(double.reach[i] - reach) < 1e-9)
                #expect(abs(double.evidence[i] - evidence) < 1e-9, "side \(i)")
                if single.bins[i] == double.bins[i] { #expect(abs(single.evidence[i] - evidence) < 1e-4, "side \(i)") }
                #expect(double.short(i) == max(before.short(i), bin))
                if isRank { #expect(double.short(32 + i) == max(highest, bin) && double.short(48 + i) == min(lowest, bin)) }
            }
            double.run(f64, answers: false)
            #expect(double.evidence.allSatisfy { $0 == 0 } && double.reach.allSatisfy { $0 == 0 })
        }
    }

    @Test("Alarms are counted where the last is long enough ago, across the end of 32 bits, and nowhere else", arguments: sets)
    func alarms(set: String) throws {
        guard let kernels = cdk_kernels_f32(set) else { return }
        let last = (0..<24).map { UInt32.max - 10 + UInt32($0 % 8) }
        for n in [1, 7, 8, 13, 24] {
            var (counts, now) = ([Float](repeating: 1, count: 24), last)
            kernels.pointee.alarms(&counts, &now, 4, 11, Int32(n))
            for i in 0..<24 {
                let isDue = i < n && i % 8 <= 4
                #expect(counts[i] == (isDue ? 2 : 1) && now[i] == (isDue ? 4 : last[i]))
            }
        }
    }

    @Test("The clock head's weights solve the ridge equations", arguments: sets)
    func ridge(set: String) throws {
        guard let f32 = cdk_kernels_f32(set), let f64 = cdk_kernels_f64(set) else { return }
        var random = SeededRandom(seed: 13)
        let n = Int(CDK_CLOCK)
        var full = [Double](repeating: 0, count: n * n)
        // Fewer samples than regressors: only the ridge makes it positive definite.
        for _ in 0..<7 {
            let c = (0..<n).map { _ in random.uniform(-1, 1) }
            for i in 0..<n { for j in 0..<n { full[i * n + j] += c[i] * c[j] / 7 } }
        }
        var moments: [Double] = []
        for i in 0..<n { for j in 0...i { moments.append(full[i * n + j]) } }
        var target = [Double](repeating: 0, count: 16)
        for i in 0..<n { target[i] = random.uniform(-1, 1) }
        var w = [Double](repeating: 9, count: 16)
        var single = [Float](repeating: 9, count: 16)
        f64.pointee.ridge(&w, moments, target, 1e-3)
        f32.pointee.ridge(&single, moments.map(Float.init), target.map(Float.init), 1e-3)
        for i in 0..<n {
            let left = (0..<n).reduce(1e-3 * w[i]) { $0 + full[i * n + $1] * w[$1] }
            #expect(abs(left - target[i]) < 1e-9)
            #expect(abs(Double(single[i]) - w[i]) < 1e-2 * (1 + abs(w[i])))
        }
        #expect(w[n...].allSatisfy { $0 == 0 })
    }

    @Test("A histogram in 16 bits fades like real numbers do, on average")
    func fade() {
        var a: [UInt16] = [64_000, 640, 64, 1, 0]
        var exact = a.map(Double.init)
        for block in 0..<400 {
            cdk_fade_u16(&a, 655, UInt32(block) &* 40_503 & 0xffff, Int32(a.count))
            for i in exact.indices { exact[i] *= 1 - 655 / 65536.0 }
            // A block counts 640 steps: never wrong by a sixty-fourth of one.
            for i in exact.indices { #expect(abs(Double(a[i]) - exact[i]) < 10, "block \(block), \(i)") }
        }
        cdk_halve_u16(&a, 5)
        #expect(a[4] == 0)
    }

    @Test("AVX2 and AVX-512 give the same bits", .enabled(if: cdk_kernels_f32("avx512") != nil))
    func sameBits() throws {
        let a = try #require(cdk_kernels_f32("avx2"))
        let b = try #require(cdk_kernels_f32("avx512"))
        var random = SeededRandom(seed: 11)
        var first = BankTrial(&random)
        var second = first
        first.run(a, answers: true)
        second.run(b, answers: true)
        #expect(first.evidence == second.evidence && first.bins == second.bins)
        for n in [24, 56] {
            var p = [Float](repeating: 0, count: 28 * 64)
            for i in 0..<n { p[packed(i, i)] = 10 }
            var q = p
            var (g, h) = ([Float](repeating: 0, count: n), [Float](repeating: 0, count: n))
            for _ in 0..<100 {
                let phi = (0..<n).map { _ in Float(random.gaussian()) }
                _ = a.pointee.rls(&p, phi, &g, 0.999, 0, 10, Int32(n), nil)
                _ = b.pointee.rls(&q, phi, &h, 0.999, 0, 10, Int32(n), nil)
            }
            #expect(p == q)
            #expect(g == h)
        }
    }

    @Test("Sums, additions and scalings work for lengths that are no multiple of eight")
    func tails() {
        for n in [0, 1, 7, 8, 9, 400] {
            var a = (0..<n).map { Float($0) }
            #expect(cdk_sum_f32(a, Int32(n)) == Double(n * max(n - 1, 0) / 2))
            cdk_add_f32(&a, 1, Int32(n))
            cdk_scale_f32(&a, 2, Int32(n))
            #expect(a == (0..<n).map { 2 * Float($0 + 1) })
        }
    }
}
