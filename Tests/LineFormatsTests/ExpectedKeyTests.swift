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
    private func checkUsual(_ line: [UInt8], _ key: [UInt8], _ name: [UInt8], _ parser: inout LineParser) -> Bool {
        let head = key + [32] + name + [61]
        // Between other bytes, as in what a socket gave.
        let before = Array("x=1 2\n".utf8)
        let all = before + line + [10] + [UInt8](repeating: 49, count: 40)
        let usual = all.withUnsafeBufferPointer { all in
            head.withUnsafeBufferPointer { parser.usual(all, from: before.count, head: $0, nameCount: name.count) }
        }
        guard let usual else { return false }
        #expect(usual.end == before.count + line.count + 1)
        let isRead = line.withUnsafeBufferPointer { bytes in (try? parser.parse(bytes)) != nil }
        #expect(isRead && parser.readings.count == 1, "\(String(decoding: line, as: UTF8.self))")
        guard isRead, parser.readings.count == 1 else { return true }
        #expect(Array(parser.readings.rawKey(0)) == key && parser.readings.fieldCount(0) == 1 && parser.format == .influx)
        #expect(Array(parser.readings.fieldName(0, 0)) == name)
        #expect(parser.readings.fieldValue(0, 0).bitPattern == usual.value.bitPattern && parser.readings.time(0) == usual.time)
        return true
    }

    @Test func `what is read does not depend on it`() {
        var random = SplitMix(state: 11)
        var parser = LineParser()
        var keys: Set<[UInt8]> = []
        // Names as a table would offer them: of channels that were taken, and plain.
        var names: Set<[UInt8]> = []
        var (met, usual) = (0, 0)
        for round in 0..<30_000 {
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
            if !want.hasPrefix("KEY"), parser.readings.count > 0, parser.readings.fieldCount(0) > 0 {
                let name = Array(parser.readings.fieldName(0, 0))
                if name.withUnsafeBufferPointer({ UsualLine.isPlain(fieldName: $0) }) { names.insert(name) }
            }
            for key in keys {
                let (got, isMet) = outcome(line, expecting: key, &parser)
                #expect(
                    got == want,
                    "line \(String(decoding: line, as: UTF8.self)), key \(String(decoding: key, as: UTF8.self)), round \(round)")
                if isMet { met += 1 }
                for name in names where checkUsual(line, key, name, &parser) { usual += 1 }
            }
        }
        #expect(keys.count > 8 && names.count > 2 && met > 4000 && usual > 300)
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

    @Test func `a usual line has all its bytes: near the end of them it is left to the parser`() {
        var parser = LineParser()
        let text = Array("plant,unit=u1 c0=-21.25 1767571200000000000\n".utf8)
        let head = Array("plant,unit=u1 c0=".utf8)
        for spare in 0...40 {
            let all = text + [UInt8](repeating: 49, count: spare)
            let usual = all.withUnsafeBufferPointer { all in
                head.withUnsafeBufferPointer { parser.usual(all, from: 0, head: $0, nameCount: 2) }
            }
            #expect((usual != nil) == (text.count + spare >= head.count + UsualLine.restBytesMax))
            if let usual { #expect(usual.value == -21.25 && usual.time == 1_767_571_200_000_000_000 && usual.end == text.count) }
        }
    }

    @Test func `a short number is the one that the scan finds`() {
        var random = SplitMix(state: 12)
        let alphabet = Array("00123456789..-+e ".utf8)
        var read = 0
        for _ in 0..<200_000 {
            let text = (0..<Int.random(in: 1...8, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 48 }
            let after = (text.count..<8).map { _ in alphabet.randomElement(using: &random) ?? 48 }
            let word = (text + after).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
            text.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, let short = DecimalNumber.short(word, text.count) else { return }
                var number = DecimalNumber()
                let b = Bytes(base: base, count: buffer.count)
                #expect(number.scan(b, 0) && number.next == b.count && number.value.bitPattern == short.bitPattern, "\(text)")
                read += 1
            }
        }
        #expect(read > 20_000 && DecimalNumber.short(0x3030_3030_3030_3030, 0) == nil)
    }
}
