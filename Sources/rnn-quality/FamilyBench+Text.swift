import Glibc

extension FamilyBench {
    /// Runs all families whose name contains `filter` and prints the table.
    func printTable(filter: String) {
        print("families: profile \(profile.name), threshold \(profile.threshold), seeds 1...\(seeds) (faults: 1...\(max(1, seeds / 2)))")
        print("false alarms per 10,000 readings in the first 1,000 readings and later; found: first fault / second equal one / tried")
        var total = Line(name: "all")
        var rates: [Double] = []
        for family in Family.catalogue where filter.isEmpty || family.name.contains(filter) {
            let line = run(family)
            print(Self.text(line))
            rates.append(1e4 * Double(line.alarms.young + line.alarms.old) / Double(line.readings.young + line.readings.old))
            total.alarms.young += line.alarms.young
            total.alarms.old += line.alarms.old
            total.readings.young += line.readings.young
            total.readings.old += line.readings.old
            total.days += line.days
            total.delays += line.delays
            for (fault, c) in line.faults {
                let sum = total.faults[fault] ?? (0, 0, 0)
                total.faults[fault] = (sum.first + c.first, sum.second + c.second, sum.tried + c.tried)
            }
        }
        print(Self.text(total))
        let mean = rates.reduce(0, +) / Double(max(1, rates.count))
        let found = Fault.allCases.compactMap { f in total.faults[f].map { Double($0.first + $0.second) / Double(2 * $0.tried) } }
        let recall = found.reduce(0, +) / Double(max(1, found.count))
        print("mean of families \(Self.fixed(mean, 2)) false alarms per 10,000; mean of fault kinds found \(Self.fixed(recall, 3))")
    }

    private static func text(_ line: Line) -> String {
        let young = 1e4 * Double(line.alarms.young) / Double(max(1, line.readings.young))
        let old = 1e4 * Double(line.alarms.old) / Double(max(1, line.readings.old))
        var out = line.name.padding(34) + fixed(young, 1).padding(6) + fixed(old, 2).padding(7)
        out += ("\(fixed(Double(line.alarms.young + line.alarms.old) / max(line.days, 1e-9), 2))/day").padding(11)
        for fault in Fault.allCases {
            guard let c = line.faults[fault] else { continue }
            out += " \(fault.rawValue) \(c.first)/\(c.second)/\(c.tried)"
        }
        if !line.delays.isEmpty { out += " delay \(line.delays.sorted()[line.delays.count / 2])" }
        return out
    }

    static func fixed(_ x: Double, _ digits: Int) -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        withVaList([Int32(digits), x]) { _ = vsnprintf(&buffer, 64, "%.*f", $0) }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension String {
    /// Filled up with spaces on the right.
    fileprivate func padding(_ width: Int) -> String { count >= width ? self + " " : self + String(repeating: " ", count: width - count) }
}
