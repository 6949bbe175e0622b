import Glibc
import Testing

@testable import MachineSample

/// A throw-away folder with files of a machine.
private final class FakeMachine {
    let root: String

    init() throws {
        var template = Array("/tmp/machine-sample-XXXXXX".utf8CString)
        let path = try #require(mkdtemp(&template))
        root = String(cString: path)
    }

    deinit { remove(root) }

    private func remove(_ path: String) {
        guard rmdir(path) != 0, unlink(path) != 0, let folder = opendir(path) else { return }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        closedir(folder)
        for name in names { remove(path + "/" + name) }
        rmdir(path)
    }

    func write(_ path: String, _ text: String) throws {
        var folder = root
        for part in path.split(separator: "/").dropLast() {
            folder += "/" + part
            mkdir(folder, 0o755)
        }
        let descriptor = open(root + path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    }
}

@Suite struct MachineSamplerTests {
    private let second: Int64 = 1_000_000_000

    @Test func aMachineWithoutAnyFileGivesNoLines() throws {
        let machine = try FakeMachine()
        var sampler = MachineSampler(root: machine.root, host: "h")
        #expect(sampler.sample(ns: 1, monotonicNs: 0) == "")
        #expect(sampler.sample(ns: 2, monotonicNs: second) == "")
    }

    @Test func processorSharesComeFromGrowthBetweenSamples() throws {
        let machine = try FakeMachine()
        var sampler = MachineSampler(root: machine.root, host: "h")
        try machine.write("/proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\nctxt 1000\nprocs_running 3\n")
        #expect(sampler.sample(ns: 5, monotonicNs: 0) == "cpu,host=h running=3 5\n")
        // 200 ticks later: 50 user, 30 system, 100 idle, 20 iowait; 500 switches in 2 s.
        try machine.write("/proc/stat", "cpu  150 0 130 900 20 0 0 0 0 0\nctxt 1500\nprocs_running 1\n")
        #expect(
            sampler.sample(ns: 6, monotonicNs: 2 * second)
                == "cpu,host=h user_pct=25,system_pct=15,iowait_pct=10,steal_pct=0,idle_pct=50,switches_per_s=250,running=1 6\n")
        // A counter that went backwards has no rate, once.
        try machine.write("/proc/stat", "ctxt 100\n")
        #expect(sampler.sample(ns: 7, monotonicNs: 3 * second) == "")
        try machine.write("/proc/stat", "ctxt 101\n")
        #expect(sampler.sample(ns: 8, monotonicNs: 4 * second) == "cpu,host=h switches_per_s=1 8\n")
    }

    @Test func memoryAndLoadAreGauges() throws {
        let machine = try FakeMachine()
        try machine.write("/proc/meminfo", "MemTotal: 4096 kB\nMemFree: 1024 kB\nMemAvailable: 3072 kB\nDirty: 512 kB\n")
        try machine.write("/proc/loadavg", "0.50 1.25 2.00 3/456 789\n")
        var sampler = MachineSampler(root: machine.root, host: "h")
        #expect(
            sampler.sample(ns: 9, monotonicNs: 0)
                == "load,host=h load1=0.5,load5=1.25,load15=2,tasks=456 9\n"
                + "memory,host=h available_mb=3,free_mb=1,dirty_mb=0.5,used_pct=25 9\n")
    }

    @Test func disksNetworkAndPressureBecomeRatesPerSecond() throws {
        let machine = try FakeMachine()
        try machine.write("/sys/block/sda/size", "1")
        func advance(_ step: Int) throws {
            let disk = "\(10 * step) 0 \(80 * step) 0 \(4 * step) 0 \(16 * step) 0 2 \(500 * step) 0"
            try machine.write(
                "/proc/diskstats", "8 0 sda \(disk)\n8 1 sda1 \(disk)\n7 0 loop0 \(disk)\n8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\n")
            let net = "\(2048 * step) \(20 * step) 0 0 0 0 0 0 \(1024 * step) \(10 * step) 0 \(2 * step) 0 0 0 0"
            try machine.write("/proc/net/dev", "Inter-| Receive\n face |bytes\n eth0: \(net)\n dead: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n")
            try machine.write(
                "/proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=\(100_000 * step)\nfull avg10=0 total=\(50_000 * step)\n"
            )
        }
        var sampler = MachineSampler(root: machine.root, host: "h")
        try advance(1)
        #expect(sampler.sample(ns: 1, monotonicNs: 0) == "disk,device=sda,host=h in_flight=2 1\n")
        try advance(2)
        #expect(
            sampler.sample(ns: 2, monotonicNs: second)
                == "disk,device=sda,host=h reads_per_s=10,read_kb_per_s=40,writes_per_s=4,write_kb_per_s=8,in_flight=2,busy_pct=50 2\n"
                + "net,host=h,interface=eth0 rx_kb_per_s=2,tx_kb_per_s=1,rx_packets_per_s=20,tx_packets_per_s=10,errors_per_s=0,drops_per_s=2 2\n"
                + "pressure,host=h,resource=io some_pct=10,full_pct=5 2\n")
    }

    @Test func temperaturesAndSensorsHaveTheirUnits() throws {
        let machine = try FakeMachine()
        try machine.write("/sys/class/thermal/thermal_zone0/temp", "45500\n")
        try machine.write("/sys/class/thermal/thermal_zone0/type", "x86 pkg\n")
        try machine.write("/sys/class/thermal/thermal_zone1/temp", "unreadable\n")
        try machine.write("/sys/class/hwmon/hwmon0/name", "nct\n")
        try machine.write("/sys/class/hwmon/hwmon0/fan1_input", "1200\n")
        try machine.write("/sys/class/hwmon/hwmon0/in0_input", "3312\n")
        try machine.write("/sys/class/hwmon/hwmon0/temp1_input", "-5125\n")
        var sampler = MachineSampler(root: machine.root, host: "h")
        #expect(
            sampler.sample(ns: 3, monotonicNs: 0)
                == "thermal,host=h,type=x86,zone=thermal_zone0 temperature_c=45.5 3\n"
                + "sensor,chip=nct-hwmon0,host=h,sensor=fan1 speed_rpm=1200 3\nsensor,chip=nct-hwmon0,host=h,sensor=in0 voltage_v=3.312 3\n"
                + "sensor,chip=nct-hwmon0,host=h,sensor=temp1 temperature_c=-5.125 3\n")
    }

    @Test func brokenFilesNeverTrap() throws {
        let machine = try FakeMachine()
        for path in ["/proc/stat", "/proc/loadavg", "/proc/meminfo", "/proc/diskstats", "/proc/net/dev", "/proc/pressure/cpu"] {
            try machine.write(
                path, "cpu\ncpu nan inf -1 1e400 x\n: :\nsome\n\u{0}\u{FFFD} = , \\\n1 2 a=b, x y z 1 2 3 4 5 6 7 8 9 10 11 12\n:\n")
        }
        var sampler = MachineSampler(root: machine.root, host: "a b,c=d")
        _ = sampler.sample(ns: 1, monotonicNs: 0)
        for line in sampler.sample(ns: 2, monotonicNs: second).split(separator: "\n") {
            #expect(!line.contains("nan") && !line.contains("inf=") && line.hasSuffix(" 2"), "\(line)")
        }
    }

    @Test func namesAreEscapedAndNumbersAreShort() {
        #expect(SampleLine.escaped("a b,c=d\\e\n") == "a\\ b\\,c\\=d\\\\e_")
        #expect(SampleLine.decimal(1.5) == "1.5" && SampleLine.decimal(-0.0004) == "0" && SampleLine.decimal(-0.125) == "-0.125")
        #expect(SampleLine.decimal(1200) == "1200" && SampleLine.decimal(0.01) == "0.01")
        var line = SampleLine("m", tags: [("b", "2"), ("a", "1"), ("c", "")])
        line.add("x", nil)
        line.add("x", .infinity)
        #expect(line.text(ns: 1) == "")
        line.add("y", 2)
        #expect(line.text(ns: 1) == "m,a=1,b=2 y=2 1\n")
    }

    @Test func thisMachineHasAProcessorAndMemory() {
        var sampler = MachineSampler(host: MachineSampler.hostName())
        let lines = sampler.sample(ns: 1, monotonicNs: 0)
        #expect(lines.contains("memory,host=") && lines.contains("load1="))
    }
}
