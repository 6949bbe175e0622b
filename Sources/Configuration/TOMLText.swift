import TOMLKit

/// The text of a TOML document, of whichever program: what its reader would misread or stop at is refused first.
public enum TOMLText {
    /// The document's table. Errors: the first problem, with line and column.
    /// - Parameter file: named in the error.
    public static func table(_ toml: String, file: String) throws(ConfigurationErrors) -> TOMLTable {
        if let problem = zeroByte(toml, file: file) ?? badHeader(toml, file: file) { throw ConfigurationErrors(problems: [problem]) }
        do {
            return try TOMLTable(string: toml)
        } catch let error as TOMLParseError {
            throw ConfigurationErrors(problems: [
                ConfigurationProblem(
                    file: file, line: error.source.begin.line, column: error.source.begin.column, message: error.description)
            ])
        } catch {
            throw ConfigurationErrors(problems: [ConfigurationProblem(file: file, line: 0, column: 0, message: "\(error)")])
        }
    }

    /// The reader takes the first zero byte for the end.
    private static func zeroByte(_ toml: String, file: String) -> ConfigurationProblem? {
        for (index, line) in toml.utf8.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            guard let place = line.firstIndex(of: 0) else { continue }
            let column = line.distance(from: line.startIndex, to: place) + 1
            return ConfigurationProblem(file: file, line: index + 1, column: column, message: "got a zero byte, expected text")
        }
        return nil
    }

    /// The first section header without a name. The TOML reader stops the process on such a line (`[=]`, `[.a]`), so that it
    /// must never see one.
    private static func badHeader(_ text: String, file: String) -> ConfigurationProblem? {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let bytes = Array(line.utf8)
            var place = bytes.firstIndex { $0 != 32 && $0 != 9 } ?? bytes.count
            guard place < bytes.count, bytes[place] == UInt8(ascii: "[") else { continue }
            place += place + 1 < bytes.count && bytes[place + 1] == UInt8(ascii: "[") ? 2 : 1
            while place < bytes.count, bytes[place] == 32 || bytes[place] == 9 { place += 1 }
            let isName =
                place < bytes.count
                && (bytes[place] | 0x20 >= 97 && bytes[place] | 0x20 <= 122 && bytes[place] < 128
                    || (48...57).contains(bytes[place]) || "-_\"']\r".utf8.contains(bytes[place]))
            guard isName || place == bytes.count else {
                return ConfigurationProblem(file: file, line: index + 1, column: place + 1, message: "expected the name of a section")
            }
        }
        return nil
    }
}
