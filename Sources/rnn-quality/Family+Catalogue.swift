import Glibc
import TimeSeries

extension Family {
    /// Every kind of series in the bench.
    static var catalogue: [Family] { noise + seasons + machines + counts + many }

    private static var noise: [Family] {
        [
            single("white", 60) { r, _, _, _ in 10 + r.gaussian() },
            single("white, jittering clock", 60) { r, _, _, _ in 10 + r.gaussian() }.with { $0.jitter = 0.5 },
            single("autocorrelated", 60, unit: 1) { r, m, _, _ in
                m[0] = 0.95 * m[0] + 0.312 * r.gaussian()
                return 50 + m[0]
            },
            single("random walk", 60, unit: 4) { r, m, _, _ in
                m[0] += r.gaussian()
                return 100 + m[0]
            },
            single("heavy tail", 60, unit: 2) { r, _, _, _ in 10 + heavy(&r) },
            single("latency", 60, unit: 40) { r, m, _, _ in
                m[0] = 0.8 * m[0] + 0.2 * r.gaussian()
                return 80 * exp(m[0] + 0.2 * r.gaussian())
            },
            single("changing variance", 60, unit: 1.5) { r, m, i, _ in
                m[0] = 0.999 * m[0] + 0.03 * r.gaussian()
                return 20 + exp(m[0]) * r.gaussian()
            },
            single("trend", 60, unit: 1) { r, _, i, _ in 0.002 * Double(i) + r.gaussian() },
            single("temperature steps", 30, unit: 1) { r, m, _, _ in
                m[0] = 0.99 * m[0] + 0.14 * r.gaussian()
                return ((40 + m[0]) * 2).rounded() / 2
            },
        ]
    }

    private static func day(_ p: Double) -> Double { 50 + 10 * turn(p / 288) + 4 * turn(p / 144 + 0.2) }

    private static var seasons: [Family] {
        [
            single("seasonal day", 300, unit: 2, rows: 10_000, cycle: 288) { r, _, _, p in
                day(p) + 1.5 * r.gaussian()
            },
            single("seasonal day, gaps", 300, unit: 2, rows: 10_000) { r, _, _, p in
                day(p) + 1.5 * r.gaussian()
            }.with {
                $0.missing = 0.1
                $0.gaps = 0.001
            },
            single("seasonal hour, week", 3600, unit: 8, rows: 4000) { r, m, i, p in
                m[0] = 0.7 * m[0] + 2 * r.gaussian()
                let day = Int(p / 24) % 7
                return 100 + (day < 5 ? 40 : 10) * max(0, turn(p / 24 - 0.25)) + m[0]
            },
            single("hourly counts", 3600, unit: 30, rows: 4000) { r, _, _, p in
                let day = Int(p / 24) % 7
                return poisson(20 + (day < 5 ? 80 : 30) * max(0, turn(p / 24 - 0.25)), &r)
            },
            single("fast cycle", 1, unit: 1, cycle: 37) { r, _, _, p in
                5 * turn(p / 37) + 2 * turn(2 * p / 37 + 0.3) + 0.3 * r.gaussian()
            },
            single("heart beat", 1, unit: 1.5, cycle: 61) { r, m, _, p in
                let x = (p / 61).truncatingRemainder(dividingBy: 1)
                let high: Double = 5 * exp(-400 * (x - 0.3) * (x - 0.3))
                let low: Double = 1.2 * exp(-80 * (x - 0.6) * (x - 0.6))
                return high + low + 0.15 * r.gaussian()
            },
        ]
    }

    private static var machines: [Family] {
        [
            single("on/off by the clock", 300, unit: 2, rows: 10_000) { r, _, _, p in
                let h = hour(p, 300)
                let on = (h >= 6 && h < 12) || (h >= 14 && h < 20)
                return (on ? 20 : 2) + 0.4 * r.gaussian()
            },
            single("on/off by the clock, a minute off", 60, unit: 2, rows: 12_000) { r, m, i, p in
                if i % 1440 == 0 { m[0] = r.uniform(-6, 6) }
                let h = hour(p + m[0], 60)
                return (h >= 7 && h < 17 ? 20 : 2) + 0.4 * r.gaussian()
            },
            single("on/off cycles", 60, unit: 2, cycle: 90) { r, _, _, p in
                ((p / 90).truncatingRemainder(dividingBy: 1) < 0.4 ? 20 : 2) + 0.4 * r.gaussian()
            },
            single("on/off irregular", 60, unit: 2) { r, m, i, _ in
                if Double(i) >= m[1] {
                    m[0] = 1 - m[0]
                    m[1] = Double(i) - 250 * log(1 - r.uniform())
                }
                return (m[0] > 0 ? 20 : 2) + 0.4 * r.gaussian()
            },
            single("set points", 60, unit: 2) { r, m, i, _ in
                if Double(i) >= m[1] {
                    m[0] = (r.uniform() * 5).rounded(.down) * 10
                    m[1] = Double(i) - 500 * log(1 - r.uniform())
                }
                m[2] += 0.2 * (m[0] - m[2])
                return 20 + m[2] + 0.3 * r.gaussian()
            },
            single("thermostat", 10, unit: 1, cycle: 75) { r, m, _, p in
                let x = (p / 75).truncatingRemainder(dividingBy: 1)
                return 20 + (x < 0.3 ? x / 0.3 : (1 - x) / 0.7) * 3 + 0.1 * r.gaussian()
            },
            single("binary random", 60, unit: 1) { r, m, _, _ in
                if r.uniform() < 0.02 { m[0] = 1 - m[0] }
                return m[0]
            },
            single("nightly job", 300, unit: 6, rows: 10_000) { r, _, i, p in
                let h = hour(p, 300)
                return 5 + (h >= 2 && h < 2.5 ? 40 : 0) + r.gaussian()
            },
        ]
    }

    private static var counts: [Family] {
        [
            single("counts", 60, unit: 3) { r, _, _, _ in poisson(3, &r) },
            single("mostly zero, bursts", 60, unit: 10) { r, _, _, _ in r.uniform() < 0.01 ? (exp(2 + 0.7 * r.gaussian())).rounded() : 0 },
            single("rare errors", 60, unit: 4) { r, _, _, _ in r.uniform() < 0.003 ? 1 + (r.uniform() * 2).rounded() : 0 },
            single("counter", 60, unit: 100) { r, m, _, _ in
                m[0] += max(0, (100 + 10 * r.gaussian()).rounded())
                return m[0]
            }.with { $0.isCounter = true },
            single("counter, daily rate", 300, unit: 150, rows: 10_000) { r, m, _, p in
                m[0] += poisson(100 + 50 * turn(p / 288), &r)
                return m[0]
            }.with { $0.isCounter = true },
        ]
    }

    private static var many: [Family] {
        [
            Family(name: "eight channels", cadence: 1, rows: 6000, unit: 1) { random in
                var r = random
                var m = [Double](repeating: 0, count: 9)
                return { i, p in
                    m[8] = 0.98 * m[8] + 0.2 * r.gaussian()
                    for j in 0..<8 { m[j] = 0.8 * m[j] + 0.6 * r.gaussian() }
                    return (0..<8).map { (j: Int) -> Double in
                        let base = 10 * Double(j + 1) + m[j]
                        if j % 3 == 0 { return base + m[8] }
                        return j % 3 == 1 ? base + 2 * turn(p / (40 + 7 * Double(j))) : base
                    }
                }
            },
            Family(name: "telemetry and commands", cadence: 60, rows: 6000, unit: 1) { random in
                var r = random
                var m = [Double](repeating: 0, count: 24)
                return { i, p in
                    for j in 1..<24 where r.uniform() < (j < 8 ? 0.002 : (j < 16 ? 0.01 : 0.0003)) { m[j] = 1 - m[j] }
                    m[0] = 0.9 * m[0] + 0.3 * r.gaussian() + (m[1] > 0 ? 0.3 : 0)
                    return [m[0] + turn(p / 300)] + m[1...]
                }
            },
        ]
    }
}
