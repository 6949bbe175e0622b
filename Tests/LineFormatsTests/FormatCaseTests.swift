import Testing

@testable import LineFormats

/// Every folder of Fixtures/lines/cases: line n of `input` gives line n of `expected`.
@Suite struct FormatCaseTests {
    @Test("every line of every case folder gives what is written beside it", arguments: names(in: fixtures + "/cases"))
    func folder(_ name: String) {
        let input = contents("\(fixtures)/cases/\(name)/input").split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
        let expected = String(decoding: contents("\(fixtures)/cases/\(name)/expected"), as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(input.count == expected.count)
        var parser = LineParser()
        var csv = CSVParser()
        for (line, wanted) in zip(input, expected) {
            let found = name.hasPrefix("csv") ? outcome(Array(line), &csv) : outcome(Array(line), &parser)
            // Numbers are compared as numbers: both texts are written anew by the same rule.
            #expect(normalised(found) == normalised(String(wanted)), "\(String(decoding: line, as: UTF8.self))")
        }
    }

    @Test("a number alone is a reading only where the receiver has a name for it")
    func loneNumber() {
        let named = Array("stdin".utf8)
        #expect(outcome(Array("21.5".utf8), defaultStream: named) == "plain: stdin @- value=21.5")
        #expect(outcome(Array(" -1e3 ".utf8), defaultStream: named) == "plain: stdin @- value=-1000.0")
        #expect(outcome(Array("{\"t\":1}".utf8), defaultStream: named) == "json: stdin @- t=1.0")
        #expect(outcome(Array("nan".utf8), defaultStream: named) == "ERROR missing_fields 4")
        #expect(outcome(Array("1700000000 3.5".utf8), defaultStream: named) == "ERROR bad_name 1")
        #expect(outcome("21.5") == "ERROR missing_fields 5")
    }

    /// The same text with every `name=number` word written in one way.
    private func normalised(_ line: String) -> String {
        line.split(separator: " ", omittingEmptySubsequences: false).map { word in
            guard let equals = word.lastIndex(of: "="), let value = Double(word[word.index(after: equals)...]) else { return String(word) }
            return word[...equals] + "\(value)"
        }.joined(separator: " ")
    }
}
