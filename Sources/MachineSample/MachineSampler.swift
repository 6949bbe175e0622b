import Glibc

/// Readings of this machine from /proc and /sys as InfluxDB line protocol.
///
/// Counters become rates between two samples: the first sample, and the first after a counter went backwards, has no rate for it.
/// Files that are missing give no lines; nothing here fails. Streams: `cpu`, `load`, `memory`, `disk` (tag `device`), `net`
/// (`interface`), `pressure` (`resource`), `thermal` (`zone`), `sensor` (`chip`, `sensor`), each with the tag `host`.
/// Units are the last part of a field's name.
public struct MachineSampler: Sendable {
    private let files: MachineFiles
    private let host: String
    private var counters: [String: Double] = [:]
    private var previous: [String: Double] = [:]
    private var elapsedSeconds = 0.0
    private var lastMonotonicNs: Int64?

    /// A sampler of the machine whose /proc and /sys are below `root`; `host` becomes the tag of all lines.
    public init(root: String = "/", host: String) {
        files = MachineFiles(root: root)
        self.host = host
    }

    /// Reads everything once: lines with the time `ns` (since 1970); `monotonicNs` is a clock that never jumps, for the rates.
    public mutating func sample(ns: Int64, monotonicNs: Int64) -> String {
        elapsedSeconds = lastMonotonicNs.map { Double(monotonicNs - $0) / 1e9 } ?? 0
        lastMonotonicNs = monotonicNs
        previous = counters
        counters.removeAll(keepingCapacity: true)
        let lines = [cpu(), load(), memory()] + disks() + interfaces() + pressures() + thermals() + sensors()
        return lines.map { $0.text(ns: ns) }.joined()
    }

    private func line(_ measurement: String, _ tags: (String, String)...) -> SampleLine {
        SampleLine(measurement, tags: tags + [("host", host)])
    }

    /// Remembers a counter and returns its growth since the sample before; nil without one or when it went backwards.
    private mutating func growth(_ key: String, _ value: Double?) -> Double? {
        guard let value else { return nil }
        counters[key] = value
        guard let before = previous[key], value >= before else { return nil }
        return value - before
    }

    /// Growth of a counter per second.
    private mutating func rate(_ key: String, _ value: Double?) -> Double? {
        let grown = growth(key, value)
        return elapsedSeconds > 0 ? grown.map { $0 / elapsedSeconds } : nil
    }

    // MARK: - Processor, load, memory

    private mutating func cpu() -> SampleLine {
        var line = line("cpu")
        for row in files.rows("/proc/stat") {
            guard row.count > 1 else { continue }
            switch row[0] {
            case "cpu": addShares(of: row, to: &line)
            case "ctxt": line.add("switches_per_s", rate("ctxt", Double(row[1])))
            case "processes": line.add("forks_per_s", rate("processes", Double(row[1])))
            case "intr": line.add("interrupts_per_s", rate("intr", Double(row[1])))
            case "procs_running": line.add("running", Double(row[1]))
            case "procs_blocked": line.add("blocked", Double(row[1]))
            default: break
            }
        }
        return line
    }

    /// Shares of the time of all processors: user nice system idle iowait irq softirq steal, in ticks.
    private mutating func addShares(of row: [Substring], to line: inout SampleLine) {
        let names = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]
        var ticks: [String: Double] = [:]
        for (name, word) in zip(names, row.dropFirst()) { ticks[name] = growth("cpu.\(name)", Double(word)) }
        let total = ticks.values.reduce(0, +)
        guard total > 0 else { return }
        func share(_ parts: String...) -> Double? {
            let known = parts.compactMap { ticks[$0] }
            return known.isEmpty ? nil : 100 * known.reduce(0, +) / total
        }
        line.add("user_pct", share("user", "nice"))
        line.add("system_pct", share("system", "irq", "softirq"))
        line.add("iowait_pct", share("iowait"))
        line.add("steal_pct", share("steal"))
        line.add("idle_pct", share("idle"))
    }

    private func load() -> SampleLine {
        var line = line("load")
        guard let row = files.rows("/proc/loadavg").first, row.count >= 4 else { return line }
        line.add("load1", Double(row[0]))
        line.add("load5", Double(row[1]))
        line.add("load15", Double(row[2]))
        line.add("tasks", row[3].split(separator: "/").last.flatMap { Double($0) })
        return line
    }

    private func memory() -> SampleLine {
        var megabytes: [Substring: Double] = [:]
        for row in files.rows("/proc/meminfo") where row.count >= 2 { megabytes[row[0].dropLast()] = Double(row[1]).map { $0 / 1024 } }
        var line = line("memory")
        line.add("available_mb", megabytes["MemAvailable"])
        line.add("free_mb", megabytes["MemFree"])
        line.add("cached_mb", megabytes["Cached"])
        line.add("dirty_mb", megabytes["Dirty"])
        line.add("anonymous_mb", megabytes["AnonPages"])
        if let total = megabytes["MemTotal"], total > 0, let available = megabytes["MemAvailable"] {
            line.add("used_pct", 100 * (1 - available / total))
        }
        if let total = megabytes["SwapTotal"], total > 0, let free = megabytes["SwapFree"] { line.add("swap_used_mb", total - free) }
        return line
    }

    // MARK: - Disks, network, pressure

    /// Whole disks that were ever used; partitions and loop or memory devices would tell the same twice or nothing.
    private mutating func disks() -> [SampleLine] {
        let knowsWhole = files.exists("/sys/block")
        var lines: [SampleLine] = []
        for row in files.rows("/proc/diskstats") where row.count >= 14 {
            let name = String(row[2])
            if name.hasPrefix("loop") || name.hasPrefix("ram") || (knowsWhole && !files.exists("/sys/block/\(name)")) { continue }
            let numbers = row[3...].map { Double($0) ?? 0 }
            if numbers.allSatisfy({ $0 == 0 }) { continue }
            var line = line("disk", ("device", name))
            line.add("reads_per_s", rate("disk.\(name).reads", numbers[0]))
            line.add("read_kb_per_s", rate("disk.\(name).readSectors", numbers[2]).map { $0 / 2 })
            line.add("writes_per_s", rate("disk.\(name).writes", numbers[4]))
            line.add("write_kb_per_s", rate("disk.\(name).writeSectors", numbers[6]).map { $0 / 2 })
            line.add("in_flight", numbers[8])
            line.add("busy_pct", rate("disk.\(name).busyMs", numbers[9]).map { $0 / 10 })
            lines.append(line)
        }
        return lines
    }

    private mutating func interfaces() -> [SampleLine] {
        var lines: [SampleLine] = []
        for row in files.rows("/proc/net/dev") {
            // "eth0:123 ..." in old kernels, "eth0: 123 ..." in new ones.
            let parts = row.joined(separator: " ").split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let numbers = parts[1].split(separator: " ").map { Double($0) ?? 0 }
            // Interfaces that never carried anything have nothing to tell.
            guard numbers.count >= 12, numbers.contains(where: { $0 != 0 }) else { continue }
            let name = String(parts[0])
            var line = line("net", ("interface", name))
            line.add("rx_kb_per_s", rate("net.\(name).rxBytes", numbers[0]).map { $0 / 1024 })
            line.add("tx_kb_per_s", rate("net.\(name).txBytes", numbers[8]).map { $0 / 1024 })
            line.add("rx_packets_per_s", rate("net.\(name).rx", numbers[1]))
            line.add("tx_packets_per_s", rate("net.\(name).tx", numbers[9]))
            line.add("errors_per_s", rate("net.\(name).errors", numbers[2] + numbers[10]))
            line.add("drops_per_s", rate("net.\(name).drops", numbers[3] + numbers[11]))
            lines.append(line)
        }
        return lines
    }

    /// Share of time in which some or all tasks waited, from the totals in microseconds (exact for any interval).
    private mutating func pressures() -> [SampleLine] {
        ["cpu", "io", "memory"].map { resource in
            var line = line("pressure", ("resource", resource))
            for row in files.rows("/proc/pressure/\(resource)") {
                guard let kind = row.first, let total = row.last, total.hasPrefix("total=") else { continue }
                let waited = rate("pressure.\(resource).\(kind)", Double(total.dropFirst(6)))
                line.add("\(kind)_pct", waited.map { $0 / 10_000 })
            }
            return line
        }
    }

    // MARK: - Temperatures and other sensors

    private func thermals() -> [SampleLine] {
        files.entries("/sys/class/thermal").filter { $0.hasPrefix("thermal_zone") }.map { zone in
            let folder = "/sys/class/thermal/\(zone)"
            var line = line("thermal", ("zone", zone), ("type", files.word("\(folder)/type") ?? ""))
            line.add("temperature_c", files.number("\(folder)/temp").map { $0 / 1000 })
            return line
        }
    }

    /// Every `*_input` of every chip; the prefix tells quantity and unit (kernel document "hwmon/sysfs-interface").
    private func sensors() -> [SampleLine] {
        let quantities: [(prefix: String, field: String, scale: Double)] = [
            ("temp", "temperature_c", 1000), ("fan", "speed_rpm", 1), ("in", "voltage_v", 1000), ("power", "power_w", 1_000_000),
            ("curr", "current_a", 1000), ("energy", "energy_j", 1_000_000), ("humidity", "humidity_pct", 1000),
        ]
        var lines: [SampleLine] = []
        for chip in files.entries("/sys/class/hwmon") {
            let folder = "/sys/class/hwmon/\(chip)"
            let name = files.word("\(folder)/name") ?? chip
            for entry in files.entries(folder) where entry.hasSuffix("_input") {
                let sensor = String(entry.dropLast(6))
                let letters = sensor.prefix { $0.isLetter }
                guard let quantity = quantities.first(where: { $0.prefix == letters }) else { continue }
                var line = line("sensor", ("chip", "\(name)-\(chip)"), ("sensor", sensor))
                line.add(quantity.field, files.number("\(folder)/\(entry)").map { $0 / quantity.scale })
                lines.append(line)
            }
        }
        return lines
    }
}

extension MachineSampler {
    /// The name of this machine, for the tag `host`; `localhost` when it has none.
    public static func hostName() -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
        let name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.isEmpty ? "localhost" : name
    }
}
