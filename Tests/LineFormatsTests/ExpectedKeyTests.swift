import Testing

@testable import LineFormats

/// A parser that is told which key to expect reads every line as one that is not.
@Suite struct ExpectedKeyTests {
    private static let heads = [
        "plant,site=a,unit=u1", "plant,site=a,unit=u2", "plant,site=a,unit=u12", "temperature", "short", "#comment,t=1", "{\"stream\":1}",
        "putval/a/b", "PUTVAL/aa", "\u{FEFF}pressure", "m\\ essen,t=1", "plant,site=a\\,b", "[\"abcdefg\"]", "grün,ort=köln",
        "plant,,unit=3",
    ]
    private static let fields = ["c0=", "value=", "c0=1,c1=", "a\\ b=", "=", "c0", "c0==", "c\u{7F}=", "verylongname.of.a.channel=", ""]
    private static let times = [
        " 1767571200000000000", " 1767571201000000000", " 0767571200000000000", " 9999999999999999999", " 176757120000000000",
        " 17675712000000000000", " 1767571200", " 17675712000000000x0", "  1767571200000000000", " 1767571200000000000 ", "",
        " 1767571200000000000\r", "\t1767571200000000000",
    ]

    private static func line(_ random: inout SplitMix) -> [UInt8] {
        let number: String =
            switch Int.random(in: 0..<4, using: &random) {
            case 0: "\(Double(Int.random(in: -99_999...99_999, using: &random)) / 100)"
            case 1: "\(Int.random(in: -999...999_999_999, using: &random))"
            case 2:
                ["", "-", ".", "-.", "1.", ".5", "1..2", "1e3", "-0", "true", "5i", "NaN", "\"x y\"", "+1"].randomElement(using: &random)
                    ?? ""
            default: String((0..<Int.random(in: 1...9, using: &random)).compactMap { _ in "0123456789.".randomElement(using: &random) })
            }
        let head = heads.randomElement(using: &random) ?? ""
        return Array("\(head) \(fields.randomElement(using: &random) ?? "")\(number)\(times.randomElement(using: &random) ?? "")".utf8)
    }

    /// As `outcome`, with an expected key; and whether it was met.
    private func outcome(_ line: [UInt8], expecting key: [UInt8], _ parser: inout LineParser) -> (String, isMet: Bool) {
        line.withUnsafeBufferPointer { bytes in
            key.withUnsafeBufferPointer { key in
                do throws(LineError) {
                    try parser.parse(bytes, expecting: key)
                } catch {
                    return (describe(error), false)
                }
                let isMet = parser.readings.isKeyExpected
                if isMet { #expect(parser.readings.count == 1 && Array(parser.readings.rawKey(0)) == Array(key)) }
                guard parser.readings.count > 0 else { return ("\(parser.format)", isMet) }
                do throws(LineError) { return ("\(parser.format): " + (try describe(&parser.readings)), isMet) } catch {
                    return ("KEY " + describe(error), isMet)
                }
            }
        }
    }

    /// What is read as a usual line is what the parser reads.
    private func checkUsual(_ line: [UInt8], _ key: [UInt8], _ want: String, _ parser: inout LineParser) -> Bool {
        line.withUnsafeBufferPointer { bytes in
            key.withUnsafeBufferPointer { key in
                guard let usual = parser.usual(bytes, key: key) else { return false }
                let readings = (try? parser.parse(bytes)) != nil ? parser.readings.count : 0
                #expect(readings == 1, "\(want)")
                guard readings == 1 else { return true }
                #expect(Array(parser.readings.rawKey(0)) == Array(key) && parser.readings.fieldCount(0) == 1 && parser.format == .influx)
                #expect(Array(parser.readings.fieldName(0, 0)) == Array(usual.name(in: bytes)))
                #expect(parser.readings.fieldValue(0, 0).bitPattern == usual.value.bitPattern && parser.readings.time(0) == usual.time)
                return true
            }
        }
    }

    @Test func `what is read does not depend on it`() {
        var random = SplitMix(state: 11)
        var parser = LineParser()
        var keys: Set<[UInt8]> = []
        var (met, usual) = (0, 0)
        for round in 0..<40_000 {
            let line = Self.line(&random)
            let want = LineFormatsTests.outcome(line, &parser)
            // Keys as a table would offer them: of lines and rows that were taken, without spaces and backslashes.
            if !want.hasPrefix("KEY"), parser.readings.count > 0 {
                var canonical: [UInt8] = []
                if let key = try? parser.readings.canonicalKey(0) { canonical = Array(key) }
                for key in [Array(parser.readings.rawKey(0)), canonical] where !key.contains(where: { $0 == 32 || $0 == 92 }) {
                    keys.insert(key)
                }
            }
            for key in keys {
                let (got, isMet) = outcome(line, expecting: key, &parser)
                #expect(
                    got == want,
                    "line \(String(decoding: line, as: UTF8.self)), key \(String(decoding: key, as: UTF8.self)), round \(round)")
                if isMet { met += 1 }
                if checkUsual(line, key, want, &parser) { usual += 1 }
            }
        }
        #expect(keys.count > 8 && met > 4000 && usual > 300)
    }

    @Test func `keys of other formats and of rows are no excuse to read a line otherwise`() {
        var parser = LineParser()
        for (key, line) in [
            ("{\"stream\":1}", "{\"stream\":1} c0=5 1767571200000000000"), ("#comment,t=1", "#comment,t=1 c0=5 1767571200000000000"),
            ("putval/x/y", "putval/x/y c0=5 1767571200000000000"), ("[\"abcdefg\"]", "[\"abcdefg\"] c0=5 1767571200000000000"),
        ] {
            let bytes = Array(line.utf8)
            #expect(outcome(bytes, expecting: Array(key.utf8), &parser).0 == LineFormatsTests.outcome(bytes, &parser))
        }
    }

    @Test func `a number whose end is known is the one that the scan finds`() {
        var random = SplitMix(state: 12)
        let alphabet = Array("00123456789..-+e ".utf8)
        var read = 0
        for _ in 0..<200_000 {
            let text = (0..<Int.random(in: 1...10, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 48 }
            let padded = Array("m value=".utf8) + text
            padded.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let b = Bytes(base: base, count: buffer.count)
                guard let short = DecimalNumber.short(b, 8, b.count) else { return }
                var number = DecimalNumber()
                #expect(number.scan(b, 8) && number.next == b.count && number.value.bitPattern == short.bitPattern, "\(text)")
                read += 1
            }
        }
        #expect(read > 20_000)
    }
}
