import Platform

/// What was measured, as tables: printed as they come, and put into a document between marks.
final class Report {
    /// A table under construction. Rows are printed at once, so that a long run shows where it is.
    struct Table {
        let name: String
        fileprivate var lines: [String]

        fileprivate init(_ name: String, _ head: [String]) {
            self.name = name
            lines = [Table.row(head), Table.row(head.indices.map { $0 == 0 ? "---" : "---:" })]
        }

        fileprivate static func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
    }

    private var tables: [Table] = []

    /// Begins a table. `note` says what was measured.
    func begin(_ name: String, _ note: String, _ head: [String]) {
        var table = Table(name, head)
        table.lines.insert(note + "\n", at: 0)
        tables.append(table)
        print("\n## \(name)\n" + table.lines.joined(separator: "\n"))
    }

    /// One more row of the newest table.
    func row(_ cells: [String]) {
        let line = Table.row(cells)
        tables[tables.count - 1].lines.append(line)
        print(line)
    }

    /// A measured time: name, median, range, millions a second, and how many times the reference.
    func time(_ name: String, _ sorted: [Double], reference: Double, extra: [String] = []) {
        let median = Measure.median(sorted)
        row(
            [
                name, Report.number(median), Report.number(sorted.first ?? 0) + "-" + Report.number(sorted.last ?? 0),
                Report.number(1000 / median), Report.number(median / reference),
            ] + extra)
    }

    /// Three figures.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        let size = value.magnitude
        let scale = size >= 100 ? 1.0 : size >= 10 ? 10.0 : size >= 1 ? 100.0 : 1000.0
        let rounded = (value * scale).rounded() / scale
        return scale == 1 ? "\(Int64(rounded))" : "\(rounded)"
    }

    /// Puts every table into the document between `<!-- bench NAME -->` and `<!-- end NAME -->`; what was not measured stays as it is.
    func write(into path: String) throws(PlatformError) {
        var text = String(decoding: try Files.read(path), as: UTF8.self)
        for table in tables {
            let (open, close) = ("<!-- bench \(table.name) -->\n", "<!-- end \(table.name) -->")
            guard let begin = Report.find(open, in: text), let end = Report.find(close, in: text), begin.upperBound <= end.lowerBound else {
                print("\(path) has no place for \(table.name)")
                continue
            }
            text.replaceSubrange(begin.upperBound..<end.lowerBound, with: table.lines.joined(separator: "\n") + "\n")
        }
        try Files.replace(path, with: Array(text.utf8))
    }

    private static func find(_ mark: String, in text: String) -> Range<String.Index>? {
        let (mark, bytes) = (Array(mark.utf8), Array(text.utf8))
        guard bytes.count >= mark.count else { return nil }
        for at in 0...(bytes.count - mark.count) where bytes[at] == mark[0] && bytes[at..<(at + mark.count)].elementsEqual(mark) {
            let low = text.utf8.index(text.startIndex, offsetBy: at)
            return low..<text.utf8.index(low, offsetBy: mark.count)
        }
        return nil
    }
}
