import Tabular
import Testing

@Suite struct RecordTableTests {
    private let table = RecordTable(
        columns: ["id", "score", "channels", "note"],
        rows: [
            [.string("a"), .number(12.345678), .array([.string("x"), .string("y")]), .null],
            [.string("long-id"), .integer(7), .array([]), .string("say \"hi\", bye\nnext")],
        ])

    @Test func `JSON rows have every column in order`() throws {
        let rows = try JSONValue.parse(Array(table.text(.json).utf8))
        #expect(rows == .array(table.objects))
        guard case .object(let members)? = rows.items?.first else { throw JSONMissing() }
        #expect(members.map(\.name) == table.columns)
        #expect(RecordTable(columns: table.columns, objects: table.objects) == table)
    }

    @Test func `a JSON line is one row`() throws {
        let lines = table.text(.jsonl).split(separator: "\n")
        #expect(try lines.map { try JSONValue.parse(Array($0.utf8)) } == table.objects)
    }

    @Test func `CSV quotes commas, quotes and line ends`() {
        #expect(table.text(.csv) == "id,score,channels,note\na,12.345678,x y,\nlong-id,7,,\"say \"\"hi\"\", bye\nnext\"\n")
    }

    @Test func `a table lines up, numbers to the right, nothing behind the last word`() {
        let lines = table.text(.table, shown: ["id", "score", "note"]).split(separator: "\n").map(String.init)
        #expect(lines == ["ID        SCORE  NOTE", "a        12.346  -", "long-id       7  say \"hi\", bye?next"])
    }

    @Test func `control characters never reach the terminal`() {
        let hostile = RecordTable(
            columns: ["a"], rows: [[.string("\u{1B}[2J\u{7F}\u{0}\u{9B}31m")], [.array([.string("\u{1B}]0;x\u{7}")])]])
        #expect(hostile.text(.table).unicodeScalars.allSatisfy { $0.value >= 32 && !(127..<160).contains($0.value) || $0 == "\n" })
    }

    @Test func `an empty table is a head only`() {
        let empty = RecordTable(columns: ["a", "b"])
        #expect(empty.text(.table) == "A  B\n" && empty.text(.csv) == "a,b\n" && empty.text(.jsonl).isEmpty && empty.text(.json) == "[]\n")
    }

    private struct JSONMissing: Error {}
}

@Suite struct NumberTextTests {
    static let numbers: [(Double, String)] = [
        (0, "0"), (-0.0, "0"), (12.0, "12"), (12.3456789, "12.346"), (123.456, "123.46"), (1234.56, "1234.6"), (-0.00012345, "-0.0001"),
        (1e12, "1e12"), (-2.5e-7, "-2.5e-7"), (999_999_999, "999999999"), (.nan, "-"), (.infinity, "-"),
    ]

    @Test(arguments: numbers)
    func `a short number has about five digits`(value: Double, text: String) { #expect(NumberText.short(value) == text) }

    @Test func `a fixed number has its decimals`() {
        #expect(NumberText.fixed(1.005, 1) == "1.0" && NumberText.fixed(-0.05, 2) == "-0.05" && NumberText.fixed(2.5, 0) == "3")
        #expect(NumberText.fixed(.nan, 2) == "-" && NumberText.fixed(1e300, 2) == "-")
    }

    @Test func `any number is written without a trap`() {
        for value in [Double.leastNonzeroMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 9.99999999e8, 1e9, 9.9999e-5] {
            #expect(!NumberText.short(value).isEmpty, "\(value)")
        }
    }

    @Test func `an object in a table is told in words, an empty one is a dash`() {
        let table = RecordTable(columns: ["lost"], rows: [[.object([])], [.object(["duplicate": .integer(2), "future": .integer(1)])]])
        #expect(table.text(.table).contains("duplicate 2, future 1") && !table.text(.table).contains("{"))
    }
}
