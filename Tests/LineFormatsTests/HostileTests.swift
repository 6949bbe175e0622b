import Testing

@testable import LineFormats

@Suite struct HostileTests {
    @Test("every limit is an error of its own with the place where it was passed")
    func limits() {
        let small = LineLimits(
            lineBytesMax: 64, channelsPerReadingMax: 2, readingsPerLineMax: 2, tagsMax: 2, keyBytesMax: 24, nameBytesMax: 8, jsonDepthMax: 3
        )
        func tight(_ line: String) -> String { outcome(line, limits: small) }
        #expect(tight(String(repeating: "x", count: 65)) == "ERROR line_too_long 1")
        #expect(tight(String(repeating: "x", count: 64)) == "ERROR missing_fields 65")
        #expect(tight(String(repeating: "x", count: 64) + "\r\n") == "ERROR missing_fields 65")
        #expect(tight("m a=1,b=2") == "influx: m @- a=1.0 b=2.0")
        #expect(tight("m a=1,b=2,c=3") == "ERROR too_many_channels 11")
        #expect(tight("m,a=1,b=2 v=1") == "influx: m,a=1,b=2 @- v=1.0")
        #expect(tight("m,a=1,b=2,c=3 v=1") == "KEY ERROR too_many_tags 11")
        #expect(tight("m,a=1234567,b=123456789 v=1") == "KEY ERROR name_too_long 15")
        #expect(tight("m,a=12345678,b=12345678,c=1 v=1") == "ERROR key_too_long 1")
        #expect(tight("m longname=1") == "influx: m @- longname=1.0")
        #expect(tight("m longnames=1") == "ERROR name_too_long 3")
        #expect(tight("PUTVAL a/b/c 1:1 2:2") == "collectd: b,host=a,type=c @1000000000 value=1.0 & b,host=a,type=c @2000000000 value=2.0")
        #expect(tight("PUTVAL a/b/c 1:1 2:2 3:3") == "ERROR too_many_readings 22")
        #expect(tight(#"[{"name":"a","v":1},{"name":"a","v":1},{}]"#) == "ERROR too_many_readings 40")
        #expect(tight(#"{"name":"a","v":{"w":{"x":1}}}"#) == "json: a @- v.w.x=1.0")
        #expect(tight(#"{"name":"a","v":{"w":{"x":{}}}}"#) == "ERROR too_deep 27")
        #expect(tight(#"{"name":"a","v":[[[]]],"w":1}"#) == "ERROR too_deep 19")
    }

    @Test("flattened names beyond arenaBytesMax are an error, and the next line is read as ever")
    func arena() {
        var parser = LineParser(limits: LineLimits(arenaBytesMax: 4096))
        let prefix = String(repeating: "p", count: 400)
        let fields = (0..<20).map { "\"f\($0)\":\($0)" }.joined(separator: ",")
        #expect(outcome(Array("{\"name\":\"m\",\"\(prefix)\":{\(fields)}}".utf8), &parser).hasPrefix("ERROR too_much_text"))
        #expect(outcome(Array("m v=1".utf8), &parser) == "influx: m @- v=1.0")
    }

    @Test("deep JSON is refused at the limit whatever it consists of", arguments: ["[", "{\"a\":", "[{\"a\":["])
    func deep(_ piece: String) {
        let line = String(repeating: piece, count: 10_000)
        #expect(outcome(line).hasPrefix("ERROR too_deep"))
        #expect(outcome("{\"name\":\"m\",\"a\":" + line).hasPrefix("ERROR too_deep"))
    }

    @Test("random bytes and bytes of the grammars in random order never stop a parser, and errors lie within the line")
    func random() {
        var random = SplitMix(state: 5)
        let words = [
            "m", ",", "=", " ", "1", "\"", "\\", "{", "}", "[", "]", ":", "PUTVAL ", "a/b/c", "N", "U", "\"stream\"", "null", "1e9", ".",
            "-", "\u{0}",
        ]
        var parser = LineParser()
        for round in 0..<20_000 {
            var line: [UInt8] = []
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                if round % 2 == 0 {
                    line += Array((words.randomElement(using: &random) ?? "").utf8)
                } else {
                    line.append(UInt8.random(in: 0...255, using: &random))
                }
            }
            replay(line, &parser)
        }
    }

    @Test("one line after another, whole files of the hostile corpus and of the fuzz corpora are read or refused")
    func corpora() {
        var parser = LineParser()
        var count = 0
        for folder in names(in: fixtures + "/fuzz").map({ "/fuzz/" + $0 }) + ["/hostile"] {
            for name in names(in: fixtures + folder) {
                let bytes = contents("\(fixtures)\(folder)/\(name)")
                replay(bytes, &parser)
                for line in bytes.split(separator: 0x0A) { replay(Array(line), &parser) }
                var csv = CSVParser()
                for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) { _ = outcome(Array(line), &csv) }
                count += 1
            }
        }
        #expect(count > 15)
    }

    /// Parses in every format; what comes out obeys the laws of a reading.
    private func replay(_ line: [UInt8], _ sniffing: inout LineParser) {
        check(line, &sniffing)
        for format in LineFormat.allCases {
            var parser = LineParser(format: format, defaultStream: Array("d".utf8))
            check(line, &parser)
        }
    }

    private func check(_ line: [UInt8], _ parser: inout LineParser) {
        line.withUnsafeBufferPointer { bytes in
            do throws(LineError) {
                try parser.parse(bytes)
                for i in 0..<parser.readings.count {
                    #expect(parser.readings.fieldCount(i) > 0)
                    for j in 0..<parser.readings.fieldCount(i) {
                        #expect(parser.readings.fieldValue(i, j).isFinite)
                        #expect(String(validating: parser.readings.fieldName(i, j), as: UTF8.self)?.isEmpty == false)
                    }
                }
            } catch {
                #expect(parser.readings.count == 0)
                #expect(error.column >= 1 && error.column <= line.count + 1)
                #expect(!error.description.utf8.contains { $0 < 0x20 || $0 == 0x7F })
            }
        }
    }

    @Test("the hostile corpus is refused for the reason in each file's name")
    func reasons() {
        for name in names(in: fixtures + "/hostile") {
            guard let dot = name.firstIndex(of: ".") else { continue }
            #expect(outcome(contents("\(fixtures)/hostile/\(name)")).contains("ERROR \(name[..<dot]) "), "\(name)")
        }
    }

    @Test("an error says where, what was read, what was got and what was expected")
    func sentence() {
        func sentence(_ line: String) -> String {
            Array(line.utf8).withUnsafeBufferPointer { bytes in
                var parser = LineParser()
                do throws(LineError) {
                    try parser.parse(bytes)
                    return "fine"
                } catch {
                    return error.description
                }
            }
        }
        #expect(
            sentence("cpu,host=abc v=abc")
                == "column 16: cannot parse field value: got \"abc\", expected a number, true/false or a quoted string")
        #expect(
            sentence("m v=\u{1B}[2J\"\\")
                == "column 5: cannot parse field value: got \"\\x1b[2J\\\"\\\\\", expected a number, true/false or a quoted string")
        #expect(sentence("m v=" + String(repeating: "ö", count: 100)).contains("got \"" + String(repeating: "ö", count: 22) + "…\""))
        #expect(sentence("m") == "column 2: cannot parse line: got nothing, expected field=value or a number after the name")
    }

    @Test("every reason is reached by a case or the hostile corpus, except the text limit, which has its own law")
    func allReasons() {
        // Objects of different things need a default stream and more than one line: SenderTests.
        var reached: Set<String> = ["too_much_text", "mixed_objects"]
        for folder in names(in: fixtures + "/cases") {
            let expected = String(decoding: contents("\(fixtures)/cases/\(folder)/expected"), as: UTF8.self)
            for word in expected.split(whereSeparator: { " =,@\n".contains($0) }) { reached.insert(String(word)) }
        }
        for name in names(in: fixtures + "/hostile") { reached.insert(String(name.prefix { $0 != "." })) }
        for reason in LineError.Reason.allCases { #expect(reached.contains(reason.rawValue), "\(reason.rawValue)") }
    }
}
