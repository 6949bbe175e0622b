import Configuration
import Testing
import TimeSeries

private func problems(_ toml: String) -> [ConfigurationProblem] {
    do {
        _ = try Configuration(toml: toml, file: "test.toml")
        return []
    } catch { return error.problems }
}

/// A text just inside and just outside each end of a key's range, as the file would have it.
private func ends(_ kind: Key.Kind) -> (inside: [String], outside: [String]) {
    switch kind {
    case .count(let range): (["\(range.lowerBound)", "\(range.upperBound)"], ["\(range.lowerBound - 1)", "\(range.upperBound + 1)"])
    case .duration(let range):
        (
            ["\"\(TimeSpan(nanoseconds: range.lowerBound))\"", "\"\(TimeSpan(nanoseconds: range.upperBound))\""],
            (range.lowerBound > 0 ? ["\"\(TimeSpan(nanoseconds: range.lowerBound - 1))\""] : []) + [
                "\"\(range.upperBound / 1_000_000_000 + 1)s\""
            ]
        )
    case .size(let range):
        (["\"\(range.lowerBound)B\"", "\"\(range.upperBound)B\""], ["\"\(range.lowerBound - 1)B\"", "\"\(range.upperBound + 1)B\""])
    case .flag: (["true", "false"], ["\"true\"", "1"])
    case .rate: (["\"\"", "\"1/week\""], ["\"0/week\"", "\"-1/week\"", "\"often\"", "1"])
    case .zone: (["\"UTC\"", "\"America/Argentina/Buenos_Aires\"", "\"Etc/GMT+3\""], ["\"../passwd\"", "\"\"", "\"Europe//Berlin\"", "1"])
    case .budget: (["\"\"", "\"50MB/day\""], ["\"50MB\"", "\"much\"", "1"])
    case .mode: (["\"0000\"", "\"0777\""], ["\"1000\"", "\"0888\"", "432"])
    case .choice(let names): (names.map { "\"\($0)\"" }, ["\"none of these\"", "1"])
    case .text, .path: (["\"\"", "\"ä b\""], ["1", "true", "[]"])
    case .window: (["\"auto\"", "\"0s\"", "\"30d\""], ["\"\"", "\"31d\"", "\"soon\"", "1"])
    case .list: ([], [])
    }
}

@Suite struct ConfigurationTests {
    @Test(arguments: Key.all.map(\.name))
    func `a key takes both ends of its range and refuses what is beyond, with its place`(name: String) throws {
        let key = try #require(Key.all.first { $0.name == name })
        let (inside, outside) = ends(key.kind)
        for text in inside { #expect(problems("\(name) = \(text)").isEmpty, "\(text)") }
        for text in outside {
            let found = problems("\n  \(name) = \(text)\n")
            #expect(found.count == 1 && found.first?.line == 2 && found.first?.column == name.count + 6, "\(text): \(found)")
            #expect(found.first?.message.contains(name) == true && found.first?.message.contains(key.kind.expected) == true, "\(found)")
        }
    }

    @Test func `the sample file lists every key and means the defaults`() throws {
        #expect(try Configuration(toml: Key.sampleFile, file: "sample") == Configuration())
        for key in Key.all { #expect(Key.sampleFile.contains("\n\(key.name) = "), "\(key.name)") }
        for key in Key.streamRule { #expect(Key.sampleFile.contains("# \(key.name) = "), "\(key.name)") }
        let keys = Key.streamRule + Key.source
        let lines = Key.sampleFile.split(separator: "\n").map { line in
            line.hasPrefix("# [[s") || keys.contains { line.hasPrefix("# \($0.name) = ") } ? String(line.dropFirst(2)) : String(line)
        }
        #expect(lines.contains("[[streams]]") && lines.contains("[[sources]]"))
        #expect(problems(lines.joined(separator: "\n")).isEmpty, "the commented sections are right too")
    }

    @Test func `a section about senders takes a preset and what differs, and refuses what it cannot mean with its place`() throws {
        let text = """
            [[sources]]
            preset = "rtl_433"
            stream_from = ["model", "id"]
            time_format = "%d/%m/%Y %H:%M"
            states = { ON = 1, OFF = 0 }
            """
        let section = try #require(try Configuration(toml: text, file: "t").sourceSections.first)
        #expect(section.preset == "rtl_433" && section.streamFrom == ["model", "id"] && section.states == ["on": 1, "off": 0])
        #expect(section.has == nil && section.match == nil)
        let found = problems(
            "[[streams]]\nmatch = \"a\"\n[[sources]]\npreset = \"rtl\"\nstrem_from = \"x\"\ntime_format = \"%Q\"\nhas = 5\nstates = [1]")
        #expect(found.map(\.line) == [4, 5, 6, 7, 8], "\(found)")
        #expect(found[1].message == "unknown key \"strem_from\"; did you mean \"stream_from\"?")
    }

    @Test func `missing values and ranges are said for streams and channels, and a section about channels says nothing else`() throws {
        let configuration = try Configuration(
            toml:
                "[[streams]]\nmatch = \"a*\"\nchannel = \"t\"\nrange = [-40, 85]\n[[streams]]\nmatch = \"*\"\nmissing = [-127]\nignore = true",
            file: "t")
        #expect(configuration.check(stream: "ab", channel: "t")?.range == -40...85)
        #expect(configuration.check(stream: "ab", channel: "t")?.missing == [-127])
        #expect(
            configuration.check(stream: "ab", channel: "u")?.range == nil
                && configuration.check(stream: "ab", channel: "u")?.missing == [-127])
        #expect(configuration.rule(for: "ab")?.ignore == true)
        #expect(problems("[[streams]]\nmatch = \"a\"\nrange = [5, 1]\nmissing = [\"x\"]").map(\.line) == [3, 4])
    }

    @Test func `an unknown key names the nearest one`() {
        let found = problems("strems_max = 5\nzzzzzzzz = 1")
        #expect(found.map(\.line) == [1, 2] && found.map(\.column) == [1, 1])
        #expect(found.first?.message == "unknown key \"strems_max\"; did you mean \"streams_max\"?")
        #expect(found.last?.message == "unknown key \"zzzzzzzz\"")
    }

    @Test func `all problems are reported together in the order of the file`() {
        let found = problems(
            "streams_max = 0\nshard = 1\nstuck = \"yes\"\n[[streams]]\nmatch = 5\nignor = true\n[[streams]]\nignore = true\n")
        #expect(found.map(\.line) == [1, 2, 3, 4, 5, 6, 7], "\(found)")
        #expect(found.allSatisfy { $0.description.hasPrefix("test.toml:\($0.line):\($0.column): ") })
    }

    @Test func `a file that is no TOML has its line and column`() {
        for text in [
            "a = ", "a = 1\na = 2", "[[", "= 3", "a = \"x", "[é]", "[.a]", "[=]", " [[ =]]", "[\u{7F}]", "[{]",
            String(repeating: "[", count: 10_000),
        ] {
            let found = problems(text)
            #expect(found.count == 1 && (found.first?.line ?? 0) >= 1, "\(text.prefix(20)): \(found)")
        }
    }

    @Test func `the first section that matches a stream counts`() throws {
        let text = """
            false_alarms = "1/day"
            [[streams]]
            match = "pump,*"
            false_alarms = "1/week"
            severity_min = "critical"
            [[streams]]
            match = "*,site=b"
            ignore = true
            """
        let configuration = try Configuration(toml: text, file: "")
        #expect(configuration.rate("false_alarms")?.secondsBetween == 86_400)
        #expect(configuration.rule(for: "pump,site=b")?.falseAlarms?.secondsBetween == 604_800)
        #expect(configuration.rule(for: "pump,site=b")?.ignore == false)
        #expect(configuration.rule(for: "tank,site=b")?.ignore == true)
        #expect(configuration.rule(for: "tank,site=a") == nil)
    }

    @Test func `what is set on the command line is checked like the file`() {
        var configuration = Configuration()
        #expect(configuration.set("shards", to: "2") && configuration.number("shards") == 2)
        #expect(!configuration.set("shards", to: "65") && !configuration.set("shard", to: "2") && configuration.number("shards") == 2)
        #expect(configuration.differences(from: Configuration()).map(\.name) == ["shards"])
    }

    @Test func `settings that do not fit one another are told together`() throws {
        let long = "/tmp/" + String(repeating: "x", count: 103)
        let text = """
            state_dir = ""
            ingest_socket = "\(long)"
            ingest_datagram_socket = "/run/x/../x/a"
            control_socket = "/run//x/./../x/a"
            metrics_file = "/rnn-watchd.db"
            """
        let told = try Configuration(toml: text, file: "f").misfits(file: "f").map(\.message)
        #expect(
            told == [
                "state_dir: got \"\", expected a directory", "ingest_socket: got a path of 108 bytes, expected at most 107",
                "control_socket: got the path of ingest_datagram_socket, expected one of its own",
                "metrics_file: got a file of the daemon itself, expected one of its own",
            ])
        #expect(Configuration().misfits(file: "").isEmpty)
    }

    @Test func `a zero byte is an error with its place, and what follows is never left out in silence`() {
        let found = problems("streams_max = 5\nstuck = \0true\nstrems_max = 1\n")
        #expect(found.map(\.line) == [2] && found.map(\.column) == [9] && found.first?.message == "got a zero byte, expected text")
        #expect(problems("# \0\nshards = 99").count == 1)
    }

    @Test(arguments: ["1e-300/week", "1e300/s", "inf/s", "nan/s", "0/s", "-1/d", "1/0s", "1e-30/292y", "1e9/ns"])
    func `a rate that no arithmetic holds is refused`(text: String) {
        var configuration = Configuration()
        let isTaken = configuration.set("false_alarms", to: text) || configuration.set("false_alarms_host", to: text)
        #expect(!isTaken)
    }

    @Test func `a budget of bytes is bounded`() {
        var configuration = Configuration()
        for text in ["9000000000GiB/ns", "1GB/ns", "1B/292y", "1GB/0s"] {
            let isTaken = configuration.set("write_budget", to: text)
            #expect(!isTaken, "\(text)")
        }
        let isTaken = configuration.set("write_budget", to: "1GB/h")
        #expect(isTaken && configuration.number("write_budget") == 24_000_000_000)
    }

    @Test func `every duration, size and count refuses what is out of its bounds`() {
        for key in Key.all {
            var configuration = Configuration()
            for text in [
                "9223372036854775807", "9223372036854775808", "-1", "1e300", "292years", "293years", "99999999999999999999y", "8EiB",
                "9007199254740993GiB", "777777", "-7", "0x10", "1e18s",
            ] where configuration.set(key.name, to: text) {
                switch key.kind {
                case .count(let range), .duration(let range), .size(let range): #expect(range.contains(configuration.number(key.name)))
                case .mode: #expect((0...0o777).contains(configuration.number(key.name)))
                default: break
                }
            }
        }
    }

    static let sizes: [(String, Int64?)] = [
        ("64KiB", 65_536), ("50MB", 50_000_000), ("1 gib", 1_073_741_824), ("7", nil), ("", nil), ("-1KB", nil), ("1XB", nil),
        ("99999999999GiB", nil), ("1.5KiB", 1536),
    ]

    @Test(arguments: sizes) func `a size has a unit`(text: String, bytes: Int64?) { #expect(Units.size(text) == bytes) }

    @Test func `a glob matches any run with a star and one byte with a question mark`() {
        for (pattern, text) in [("*", ""), ("a*c", "abbc"), ("?b*", "ab"), ("**", "x"), ("a,b=*,c=?", "a,b=x,y,c=1")] {
            #expect(Glob.matches(pattern, text), "\(pattern) \(text)")
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("a*c", "ab"), ("a", "ab"), ("[a]", "a")] {
            #expect(!Glob.matches(pattern, text), "\(pattern)")
        }
        #expect(!Glob.matches(String(repeating: "*a", count: 50), String(repeating: "a", count: 5000) + "b"))
    }
}
