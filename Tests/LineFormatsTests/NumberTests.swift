import Glibc
import Testing

@testable import LineFormats

@Suite struct NumberTests {
    /// What the scan makes of a whole text; nil when it is no number.
    private func scanned(_ text: String) -> Double? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return nil }
            let b = Bytes(base: base, count: buffer.count)
            var number = DecimalNumber()
            return number.scan(b, 0) && number.next == buffer.count ? number.value : nil
        }
    }

    @Test("shortest texts of random Doubles read back bit for bit")
    func roundTrip() {
        var random = SplitMix(state: 1)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            #expect(scanned("\(value)")?.bitPattern == value.bitPattern, "\(value), seed 1")
        }
    }

    @Test("random decimal texts round exactly as strtod rounds them")
    func againstStrtod() {
        var random = SplitMix(state: 2)
        for _ in 0..<20_000 {
            var text = Bool.random(using: &random) ? "-" : ""
            for _ in 0..<Int.random(in: 1...25, using: &random) { text += "\(Int.random(in: 0...9, using: &random))" }
            if Bool.random(using: &random) {
                text += "."
                for _ in 0..<Int.random(in: 0...25, using: &random) { text += "\(Int.random(in: 0...9, using: &random))" }
            }
            if Bool.random(using: &random) { text += "e\(Int.random(in: -340...320, using: &random))" }
            #expect(scanned(text)?.bitPattern == strtod(text, nil).bitPattern, "\(text), seed 2")
        }
    }

    @Test(
        "hard cases round as strtod rounds them",
        arguments: [
            "9007199254740993", "9007199254740992.5", "9007199254740993e22", "2.2250738585072011e-308", "2.2250738585072014e-308",
            "4.9406564584124654e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1.7976931348623157e308",
            "1.7976931348623158e308", "1.7976931348623159e308", "1e-400", "1e400", "0e999999999999", "-0", "-0.0", "1e22", "1e23",
            "8.5e-22",
            "0.1", "0.000000000000000000000000000000000000000000000000001", "179769313486231580793728971405303415079934132710037826936173",
            "00000000000000000000000001", ".5", "5.", "+7", "1e+0", "6.9294956446009195e15", "3.0000000000000004440892098500626",
        ])
    func hard(_ text: String) {
        #expect(scanned(text)?.bitPattern == strtod(text, nil).bitPattern)
    }

    @Test(
        "what is no decimal number is refused",
        arguments: ["", "-", ".", "e5", "1e", "1e+", "0x10", "1_000", "1 ", "nan", "inf", "--1", "1.2.3"])
    func refused(_ text: String) {
        #expect(scanned(text) == nil)
    }

    @Test("a number of more than 512 characters is refused, one of 512 is rounded")
    func long() {
        let digits = String(repeating: "1", count: 510)
        #expect(scanned("0." + digits)?.bitPattern == strtod("0." + digits, nil).bitPattern)
        #expect(scanned("0." + digits + "1") == nil)
    }
}
