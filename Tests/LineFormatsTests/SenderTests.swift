import Testing

@testable import LineFormats

/// What senders in the field write; the lines that need no settings are in Fixtures/lines/cases/senders.
@Suite struct SenderTests {
    /// What a parser makes of lines, one after the other.
    private func outcomes(_ lines: [String], _ sources: [SourceRule] = [], defaultStream: String = "stdin") -> [String] {
        var parser = LineParser(defaultStream: Array(defaultStream.utf8))
        parser.sources = sources
        return lines.map { outcome(Array($0.utf8), &parser) }
    }

    @Test("objects of different things without a name are refused instead of becoming a heap, with the member that tells them apart")
    func heap() {
        let found = outcomes([#"{"id":"a1","t":1}"#, #"{"id":"a1","t":2}"#, #"{"id":"b2","t":3}"#, #"{"id":"a1","t":4}"#, #"{"t":5}"#])
        #expect(found[0] == "json: stdin @- t=1.0 !ignored=1" && found[1] == "json: stdin @- t=2.0 !ignored=1")
        #expect(found[2] == "ERROR mixed_objects 7 id" && found[3] == "ERROR mixed_objects 7 id")
        #expect(found[4] == "json: stdin @- t=5.0")
    }

    @Test("a number that counts the messages of one sender is no name")
    func sequence() {
        let found = outcomes((1...5).map { #"{"id":\#($0),"t":\#($0)}"# })
        #expect(found.allSatisfy { $0.hasPrefix("json: stdin") })
    }

    @Test("objects that name their stream are never taken for a heap")
    func named() {
        let found = outcomes([#"{"stream":"a","id":"a1","t":1}"#, #"{"stream":"b","id":"b2","t":2}"#])
        #expect(found == ["json: a @- t=1.0 !ignored=1", "json: b @- t=2.0 !ignored=1"])
    }

    @Test("a rule says which members name the stream, which is the time and in what form, and which are not values")
    func rule() {
        var rule = SourceRule()
        rule.has = ["kind"]
        rule.streamFrom = ["kind", "where.room"]
        rule.timeField = "at"
        rule.timeForm = TimeForm("%d/%m/%Y %H:%M")
        rule.ignoreFields = ["fw"]
        let line = #"{"kind":"co2","where":{"room":"7 b","floor":2},"at":"05/01/2026 00:00","fw":3,"ppm":"612 ppm"}"#
        #expect(outcomes([line], [rule]) == ["json: co2,room=7\\ b @1767571200000000000 where.floor=2.0 ppm=612.0"])
        rule.timeForm = TimeForm("seconds")
        #expect(outcomes([#"{"kind":"co2","at":1767571200,"ppm":1}"#], [rule]) == ["json: co2 @1767571200000000000 ppm=1.0"])
        #expect(TimeForm("%Q") == nil && TimeForm("%H:%M") == nil && TimeForm("hours") == nil)
    }

    @Test("words are numbers where a rule says so, and only there")
    func states() {
        var rule = SourceRule.preset("switches") ?? SourceRule()
        rule.match = "stat/*"
        let lines = ["stat/plug/POWER ON", #"stat/plug/R {"POWER":"OFF","mode":"auto"}"#, "cmnd/plug/POWER ON", "stat/plug/POWER 1"]
        #expect(
            outcomes(lines, [rule]) == [
                "plain: stat/plug/POWER @- value=1.0", "plain: stat/plug/R @- POWER=0.0 !ignored=1", "ERROR bad_number 17",
                "plain: stat/plug/POWER @- value=1.0",
            ])
    }

    @Test("a text with a number that may mean two things is left out, and the first is shown")
    func odd() {
        var parser = LineParser()
        let line = Array(#"m {"a":"1,234","b":"12 apples","c":1}"#.utf8)
        line.withUnsafeBufferPointer { bytes in
            do throws(LineError) { try parser.parse(bytes) } catch { Issue.record("\(error)") }
            #expect(parser.readings.oddNumbers == 2 && parser.readings.leftOut(0)?.odd == 2)
            #expect(parser.readings.oddExample?.description.contains("\"1,234\"") ?? false)
        }
    }

    @Test("what is left out of an array's readings is counted with the reading it belongs to")
    func leftOut() {
        var parser = LineParser()
        let line = Array(#"[{"name":"a","v":1},{"name":"b","v":2,"s":"x"},{"name":"c","s":"y"},{"name":"d","v":3,"n":null}]"#.utf8)
        line.withUnsafeBufferPointer { bytes in
            do throws(LineError) { try parser.parse(bytes) } catch { Issue.record("\(error)") }
            #expect(parser.readings.count == 3 && parser.readings.leftOut(0) == nil)
            #expect(parser.readings.leftOut(1)?.nonNumeric == 1 && parser.readings.leftOut(1)?.unknown == 0)
            #expect(parser.readings.leftOut(2)?.unknown == 1 && parser.readings.leftOut(2)?.nonNumeric == 0)
        }
    }

    @Test("a time without a zone is told apart from one with it, and a unit stays with its value")
    func localTimesAndUnits() {
        var parser = LineParser()
        for (line, isLocal, unit) in [
            (#"m {"time":"2026-01-05 10:00","v":"20.6 °C"}"#, true, "°C"), (#"m {"time":"2026-01-05 10:00Z","v":"3 kWh"}"#, false, "kWh"),
            (#"m {"time":1767571200,"v":"3"}"#, false, ""), ("m 3 2026-01-05T10:00:00", true, ""), ("m 3 1767571200", false, ""),
        ] {
            Array(line.utf8).withUnsafeBufferPointer { bytes in
                do throws(LineError) { try parser.parse(bytes) } catch { Issue.record("\(error)") }
                #expect(parser.readings.isTimeLocal(0) == isLocal && Unit.name(parser.readings.fieldUnit(0, 0)) == unit, "\(line)")
            }
        }
    }
}
