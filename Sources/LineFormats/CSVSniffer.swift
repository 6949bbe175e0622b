import TimeSeries

/// What a CSV file looks like by its first lines, so that it can be read as people export it.
public struct CSVGuess: Sendable {
    /// How to read it; what was asked for beforehand is kept.
    public var options: CSVOptions
    /// The byte between cells.
    public var delimiter: UInt8
    /// Names of the columns, in order.
    public var names: [String]
    /// Per column the numbers seen, in order.
    public var numbers: [[Double]]
    /// What is not sure, in words.
    public var doubts: [String] = []
}

/// Finds out about a CSV file: the delimiter, lines before the header, whether there is one, a line of units behind it, which of day and month
/// comes first.
public enum CSVSniffer {
    private static let linesMax = 300

    /// - Parameters:
    ///   - bytes: the beginning of the file; a last line without its end is left out unless `isWhole`.
    ///   - options: what is known already.
    /// - Returns: nil when the lines have no columns in common.
    public static func guess(_ bytes: UnsafeBufferPointer<UInt8>, isWhole: Bool, options: CSVOptions = CSVOptions()) -> CSVGuess? {
        let lines = lines(bytes, isWhole: isWhole)
        guard !lines.isEmpty else { return nil }
        var best: (delimiter: UInt8, cells: Int, agreeing: Int)?
        for delimiter in options.delimiter.map({ [$0] }) ?? [Ascii.semicolon, Ascii.tab, 0x7C, Ascii.comma] {
            var counts: [Int: Int] = [:]
            for line in lines where !isComment(line) { counts[cells(line, delimiter).count, default: 0] += 1 }
            guard let usual = counts.filter({ $0.key > 1 }).max(by: { ($0.value, $0.key) < ($1.value, $1.key) }) else { continue }
            if best.map({ usual.value > $0.agreeing }) ?? true { best = (delimiter, usual.key, usual.value) }
        }
        guard let best, best.agreeing * 2 >= lines.count(where: { !isComment($0) }) else { return nil }
        var found = options
        found.delimiter = best.delimiter
        guard let first = lines.firstIndex(where: { !isComment($0) && cells($0, best.delimiter).count == best.cells }) else { return nil }
        found.linesBefore = max(options.linesBefore, first)
        let header = cells(lines[first], best.delimiter)
        found.hasHeader = options.hasHeader && !header.contains { isValue($0) }
        var rows = lines[(found.hasHeader ? first + 1 : first)...].filter { !isComment($0) }.map { cells($0, best.delimiter) }
            .filter { $0.count == best.cells }
        if found.hasHeader, rows.count > 1, !rows[0].contains(where: { isValue($0) }), rows[1].contains(where: { isValue($0) }) {
            found.linesAfter = max(1, options.linesAfter)
            rows.removeFirst()
        }
        let names = found.hasHeader ? header.map { text($0) } : (1...best.cells).map { "c\($0)" }
        var guess = CSVGuess(options: found, delimiter: best.delimiter, names: names, numbers: [])
        sniffTime(rows, &guess)
        sniffClock(rows, &guess)
        let isComma = found.decimalComma ?? (best.delimiter != Ascii.comma)
        guess.numbers = names.indices.map { column in rows.compactMap { number($0[column], isComma) } }
        return guess
    }

    /// A date with slashes says by its values which part is the month: one that is above twelve, else the order of the rows.
    private static func sniffTime(_ rows: [[[UInt8]]], _ guess: inout CSVGuess) {
        guard guess.options.timeForm == nil, guess.options.timeUnit == .byMagnitude, let first = rows.first else { return }
        for column in first.indices where first[column].contains(Ascii.slash) {
            let texts = rows.map { $0[column] }.filter { !$0.isEmpty }
            var fitting: [(text: String, pattern: TimePattern)] = []
            for clock in ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"] {
                for date in ["%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y"] {
                    guard let pattern = TimePattern(date + clock) else { continue }
                    let times = texts.compactMap { text in pattern.read(text.span)?.nanoseconds }
                    guard times.count == texts.count, isPlausible(times) else { continue }
                    fitting.append((date + clock, pattern))
                }
            }
            // Four digits of a year are no two; and where both orders fit, rows in order of time decide.
            let years = fitting.filter { $0.text.contains("%Y") }
            let candidates = years.isEmpty ? fitting : years
            guard let chosen = candidates.first else { continue }
            // Two that fit are none: a guess would be wrong half of the time, and nobody would see it.
            if candidates.count > 1 {
                guess.doubts.append(
                    "\"\(text(texts[0]))\" may be \(candidates.map(\.text).joined(separator: " or ")): say which with --time-format")
                return
            }
            guess.options.timeForm = .pattern(chosen.pattern)
            if guess.options.timeColumn.isEmpty, guess.options.hasHeader || column > 0 {
                guess.options.timeColumn = Array(guess.names[column].utf8)
            }
            return
        }
    }

    /// A date in one column and the time of day in another.
    private static func sniffClock(_ rows: [[[UInt8]]], _ guess: inout CSVGuess) {
        let options = guess.options
        guard options.hasHeader, options.dateColumn.isEmpty, let first = rows.first, guess.doubts.isEmpty || options.timeForm != nil else {
            return
        }
        func all(_ column: Int, _ isFitting: ([UInt8]) -> Bool) -> Bool { rows.allSatisfy { isFitting($0[column]) } }
        let date = first.indices.first { column in
            all(column) { cell in
                if case .pattern(let pattern)? = options.timeForm { return pattern.read(cell.span)?.isDateOnly ?? false }
                return TimeForms.read(cell.span)?.isDateOnly ?? false
            }
        }
        guard let date,
            let clock = first.indices.first(where: { column in column != date && all(column) { TimeForms.timeOfDay($0.span) != nil } })
        else { return }
        let asked = options.timeColumn
        guard asked.isEmpty || asked.elementsEqual(guess.names[date].utf8) || asked.elementsEqual(guess.names[clock].utf8) else { return }
        guess.options.timeColumn = Array(guess.names[clock].utf8)
        guess.options.dateColumn = Array(guess.names[date].utf8)
    }

    /// Times that go forward by steps that are not months.
    private static func isPlausible(_ times: [Int64]) -> Bool {
        let steps = zip(times, times.dropFirst()).map { $1 - $0 }.filter { $0 != 0 }
        guard let least = steps.map({ abs($0) }).min() else { return true }
        let backward = steps.count { $0 < 0 }
        return (backward == 0 || backward == steps.count) && least <= 8 * 86_400 * 1_000_000_000
    }

    // MARK: - Cells

    private static func lines(_ bytes: UnsafeBufferPointer<UInt8>, isWhole: Bool) -> [[UInt8]] {
        var all = bytes.split(separator: Ascii.newline, maxSplits: linesMax, omittingEmptySubsequences: false)
        if all.count > linesMax || !isWhole || all.last?.isEmpty ?? false { all.removeLast() }
        var lines = all.map { line in
            var line = Array(line)
            while let last = line.last, last == Ascii.carriageReturn { line.removeLast() }
            return line
        }
        if lines.first?.starts(with: [0xEF, 0xBB, 0xBF]) ?? false { lines[0].removeFirst(3) }
        return lines
    }

    private static func isComment(_ line: [UInt8]) -> Bool { line.allSatisfy { $0 <= 32 } || line.first == Ascii.hash }

    /// The cells of a line, without quotes and blanks around them.
    private static func cells(_ line: [UInt8], _ delimiter: UInt8) -> [[UInt8]] {
        var cells: [[UInt8]] = [[]]
        var isQuoted = false
        for byte in line {
            if byte == Ascii.quote {
                isQuoted.toggle()
            } else if byte == delimiter, !isQuoted {
                cells.append([])
            } else {
                cells[cells.count - 1].append(byte)
            }
        }
        return cells.map { cell in
            let start = cell.firstIndex { $0 != 32 && $0 != 9 } ?? cell.endIndex
            let end = cell.lastIndex { $0 != 32 && $0 != 9 }.map { $0 + 1 } ?? start
            return Array(cell[start..<end])
        }
    }

    private static func text(_ cell: [UInt8]) -> String { String(decoding: cell, as: UTF8.self) }

    /// Whether a cell is a number or a time, and so none of a header.
    private static func isValue(_ cell: [UInt8]) -> Bool {
        number(cell, true) != nil || TimeForms.read(cell.span) != nil || TimeForms.timeOfDay(cell.span) != nil
            || cell.first.map { Ascii.isDigit($0) } ?? false && cell.contains(Ascii.slash) && cell.allSatisfy { $0 < 0x40 }
    }

    private static func number(_ cell: [UInt8], _ isComma: Bool) -> Double? {
        guard !cell.isEmpty else { return nil }
        return cell.withUnsafeBufferPointer { bytes -> Double? in
            guard let base = bytes.baseAddress else { return nil }
            if case .number(let value, _) = TextNumber.read(Bytes(base: base, count: bytes.count), isComma: isComma) { return value }
            return nil
        }
    }
}
