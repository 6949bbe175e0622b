import Testing

@testable import LineFormats

@Suite struct WriterTests {
    /// A name of pieces that are awkward in line protocol.
    private func awkward(_ random: inout SplitMix) -> String {
        let pieces = ["a", "B", "7", ",", " ", "=", "\\", "\"", "#", "ü", "😀", "{", "n", "t", ".", "'"]
        return (0..<Int.random(in: 1...6, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "a" }.joined()
    }

    @Test("whatever names, values and times are written, the parser reads the same back, and the key is canonical")
    func roundTrip() throws {
        var random = SplitMix(state: 4)
        var parser = LineParser(format: .influx)
        for round in 0..<3000 {
            var writer = LineProtocolWriter()
            var tags: [String: String] = [:]
            for _ in 0..<Int.random(in: 0...3, using: &random) { tags[awkward(&random)] = awkward(&random) }
            let sorted = tags.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            let measurement = "m" + awkward(&random)
            let ok1 = writer.begin(measurement: measurement, tags: sorted.map { ($0.key, $0.value) })
            #expect(ok1)
            let key = Array(writer.bytes)
            let fields = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                (awkward(&random), Double(bitPattern: random.next() & ~(1 << 62)))
            }
            for (name, value) in fields {
                let isWritten = writer.field(name, value)
                #expect(isWritten)
            }
            let shift = Int.random(in: 0...63, using: &random)
            let time: Int64? = round % 5 == 0 ? nil : Int64(truncatingIfNeeded: random.next()) >> shift
            let ok2 = writer.end(timeNanoseconds: time)
            #expect(ok2)
            try writer.bytes.withUnsafeBufferPointer { line in
                try parser.parse(line)
                #expect(parser.readings.count == 1)
                #expect(parser.readings.time(0) == time, "round \(round), seed 4")
                let canonical = Array(try parser.readings.canonicalKey(0))
                #expect(canonical == key, "\(text(line)), seed 4")
                #expect(parser.readings.fieldCount(0) == fields.count)
                for (j, field) in fields.enumerated() {
                    #expect(text(parser.readings.fieldName(0, j)) == field.0)
                    #expect(parser.readings.fieldValue(0, j).bitPattern == field.1.bitPattern)
                }
            }
        }
    }

    @Test("values that are not finite and names with control characters are left out, a reading without field is taken back")
    func refusals() {
        var writer = LineProtocolWriter()
        let ok3 = writer.begin(measurement: "m")
        #expect(ok3)
        let ok4 = writer.field("a", .nan)
        #expect(!ok4)
        let ok5 = writer.field("b", .infinity)
        #expect(!ok5)
        let ok6 = writer.field("c\n", 1)
        #expect(!ok6)
        let ok7 = writer.field("", 1)
        #expect(!ok7)
        let ok8 = writer.end(timeNanoseconds: 1)
        #expect(!ok8)
        #expect(writer.bytes.isEmpty)
        let ok9 = writer.begin(measurement: "#m")
        #expect(!ok9)
        let ok10 = writer.begin(measurement: "")
        #expect(!ok10)
        let ok11 = writer.begin(measurement: "m", tags: [("a", "")])
        #expect(!ok11)
        let ok12 = writer.begin(measurement: "m", tags: [("a\u{9B}", "b")])
        #expect(!ok12)
        #expect(writer.bytes.isEmpty)
    }

    @Test("all formats give one canonical key for one stream")
    func oneKey() {
        let key = "cpu,host=a\\ b,plugin_instance=0,type=idle @- "
        #expect(outcome("cpu,type=idle,plugin_instance=0,host=a\\ b value=1") == "influx: " + key + "value=1.0")
        #expect(outcome("cpu,type=idle,plugin_instance=0,host=a\\ b 1") == "plain: " + key + "value=1.0")
        #expect(outcome("PUTVAL \"a b/cpu-0/idle\" N:1") == "collectd: " + key + "value=1.0")
        #expect(
            outcome(#"{"name":"cpu","tags":{"type":"idle","plugin_instance":0,"host":"a b"},"value":1}"#) == "json: " + key + "value=1.0")
        #expect(outcome(#"{"stream":"cpu,type=idle,plugin_instance=0,host=a\\ b","value":1}"#) == "json: " + key + "value=1.0")
        #expect(
            outcome(#"{"values":[1],"dsnames":["value"],"host":"a b","plugin":"cpu","plugin_instance":"0","type":"idle"}"#) == "json: "
                + key
                + "value=1.0")
    }
}
