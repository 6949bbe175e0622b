/// Rows with named columns, as every command prints them.
public struct RecordTable: Sendable, Equatable {
    /// How rows are printed.
    public enum Format: String, Sendable, CaseIterable {
        case table, json, jsonl, csv
    }

    /// All columns in their documented order.
    public var columns: [String]
    /// One value per column each.
    public var rows: [[JSONValue]]

    public init(columns: [String], rows: [[JSONValue]] = []) {
        self.columns = columns
        self.rows = rows
    }

    /// Rows as JSON objects in column order.
    public var objects: [JSONValue] {
        rows.map { row in .object(zip(columns, row).map { JSONValue.Member($0, $1) }) }
    }

    /// The table of objects; a member that is missing becomes null.
    public init(columns: [String], objects: [JSONValue]) {
        self.columns = columns
        rows = objects.map { object in columns.map { object[$0] ?? .null } }
    }

    /// The text in `format`, with a newline at the end.
    /// - Parameters:
    ///   - shown: the columns of the `table` format; the others always have all
    ///   - widthMax: the last column of the `table` format is cut so that lines have at most so many characters; nil: never
    public func text(_ format: Format, shown: [String]? = nil, widthMax: Int? = nil) -> String {
        switch format {
        case .json: JSONValue.array(objects).pretty + "\n"
        case .jsonl: objects.map { $0.compact + "\n" }.joined()
        case .csv:
            ([columns.map(RecordTable.csvField)] + rows.map { $0.map { RecordTable.csvField(RecordTable.plain($0)) } })
                .map { $0.joined(separator: ",") + "\n" }.joined()
        case .table: aligned(shown ?? columns, widthMax)
        }
    }

    private func aligned(_ shown: [String], _ widthMax: Int?) -> String {
        let indices = shown.compactMap { columns.firstIndex(of: $0) }
        let heads = indices.map { columns[$0].uppercased() }
        let body = rows.map { row in indices.map { RecordTable.short(row[$0]) } }
        let numeric = indices.map { index in
            !rows.isEmpty && rows.allSatisfy { if case .string = $0[index] { false } else { true } }
        }
        var widths = heads.map(\.count)
        for row in body { for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) } }
        let lines = ([heads] + body).map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                let isLast = column == row.count - 1
                line += numeric[column] ? padding + cell : cell + (isLast ? "" : padding)
                if !isLast { line += "  " }
            }
            return line
        }
        return lines.map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            if let widthMax, line.count > max(widthMax, 40) { line = line.prefix(max(widthMax, 40) - 1) + "…" }
            return line + "\n"
        }.joined()
    }

    /// A value as bare text: strings unquoted, null empty, arrays joined by a space, objects as JSON.
    public static func plain(_ value: JSONValue) -> String {
        switch value {
        case .null: ""
        case .string(let text): text
        case .array(let items): items.map(plain).joined(separator: " ")
        default: value.compact
        }
    }

    /// A value as a cell for people: a dash for null and for an object without members, its members in words, five digits, no control character that a terminal would obey.
    private static func short(_ value: JSONValue) -> String {
        switch value {
        case .null: "-"
        case .object(let members):
            members.isEmpty ? "-" : members.map { "\(printable($0.name)) \(short($0.value))" }.joined(separator: ", ")
        case .number(let number): NumberText.short(number)
        default: printable(plain(value))
        }
    }

    /// `text` with a question mark for every control character (C0, DEL and C1).
    public static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 || (127..<160).contains($0.value) ? "?" : $0 }))
    }

    /// A field as RFC 4180 wants it: quoted when it has a comma, a quote or a line end.
    public static func csvField(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 44 || $0 == 34 || $0 == 10 || $0 == 13 }) else { return text }
        var out = "\""
        for character in text.unicodeScalars {
            if character == "\"" { out += "\"" }
            out.unicodeScalars.append(character)
        }
        return out + "\""
    }
}
