import ArgumentParser
import CommandLineTool
import Control
import LineFormats
import Platform
import Tabular
import TimeSeries

/// Says how a CSV file would be read.
struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a CSV file looks like: delimiter, time, channels, interval, markers, and the command that reads it.",
        discussion: "EXAMPLES\n  rnnctl inspect export.csv\n  rnnctl inspect export.csv --decimal ,")

    @Argument(help: "The file, or - for standard input.", completion: .file())
    var file: String
    @OptionGroup var csv: CSVOptionGroup

    /// Values that devices send when they have none.
    private static let markers: Set<Double> = [
        -200, -127, -999, -9999, -99, -99.9, -999.9, 999, 9999, 99_999, 65_535, 65_536, 32_767, -32_768, 255, 85, -1,
    ]

    func run() throws {
        let bytes = file == "-" ? try Files.readAll(0, object: "standard input") : try Files.read(file, bytesMax: Int.max)
        guard let guess = bytes.withUnsafeBufferPointer({ CSVSniffer.guess($0, isWhole: true, options: csv.options) }) else {
            throw ControlError.failed("cannot inspect \(file): its lines have no columns in common")
        }
        var times: [Int64] = []
        var taken = 0
        var refused: [String] = []
        var values: [[UInt8]: [Double]] = [:]
        var timeName = ""
        let rows = try CSVRows(bytes, options: guess.options) { row in
            if let problem = row.problem { refused.append("line \(row.line), \(problem)") } else { taken += 1 }
            if let time = row.time { times.append(time) }
            for field in row.fields { values[field.name, default: []].append(field.value) }
        }
        timeName = rows.timeName
        let delimiter = guess.delimiter == 9 ? "tab" : String(decoding: [guess.delimiter], as: UTF8.self)
        var out = "delimiter      \(delimiter)\n"
        let comma = guess.options.decimalComma ?? (guess.delimiter != UInt8(ascii: ","))
        out += "decimal mark   \(comma ? ", or ." : ".")\n"
        out +=
            "header         \(guess.options.hasHeader ? "line \(guess.options.linesBefore + 1)" : "none; columns are called c1, c2, ...")"
        out += guess.options.linesAfter > 0 ? ", a line of units behind it\n" : "\n"
        out += "time           \(timeName.isEmpty ? "the first column" : timeName)"
        if case .pattern(let pattern)? = guess.options.timeForm { out += " as \(pattern.text)" }
        if let first = times.first, let last = times.last { out += ", \(TimeText.seconds(first)) to \(TimeText.seconds(last))" }
        out += "\n"
        let steps = zip(times, times.dropFirst()).map { Double($1 - $0) * 1e-9 }.sorted()
        if !steps.isEmpty {
            out += "interval       \(NumberText.short(steps[steps.count / 2])) s\(steps[0] < 0 ? ", not in order of time" : "")\n"
        }
        out += "rows           \(taken) read, \(refused.count) not\n"
        for problem in refused.prefix(3) { out += "               \(problem)\n" }
        var missing: [Double] = []
        for name in rows.channels {
            let numbers = values[name] ?? []
            let text = String(decoding: name, as: UTF8.self)
            guard let low = numbers.min(), let high = numbers.max() else {
                out += "channel        \(text): no number\n"
                continue
            }
            out += "channel        \(text): \(numbers.count) numbers, \(NumberText.short(low)) to \(NumberText.short(high))"
            let found = Inspect.markers.filter { marker in
                let count = numbers.count { $0 == marker }
                let others = numbers.filter { $0 != marker }
                guard count > 0, let least = others.min(), let most = others.max() else { return false }
                return marker < least - (most - least) || marker > most + (most - least)
            }.sorted()
            if !found.isEmpty { out += "; \(found.map { NumberText.short($0) }.joined(separator: ", ")) may stand for a missing value" }
            missing += found.filter { !missing.contains($0) && !guess.options.missing.contains($0) }
            out += "\n"
        }
        for doubt in guess.doubts { out += "not sure       \(doubt)\n" }
        FileOutput.output(out + "command        \(command(guess, missing))\n")
    }

    /// The command that reads the file as it was understood.
    private func command(_ guess: CSVGuess, _ missing: [Double]) -> String {
        var words = ["rnnctl", "score", quoted(file)]
        let hasTwo = !guess.options.dateColumn.isEmpty
        if !guess.options.timeColumn.isEmpty, !hasTwo {
            words += ["--time-column", quoted(String(decoding: guess.options.timeColumn, as: UTF8.self))]
        }
        if !hasTwo, case .pattern(let pattern)? = guess.options.timeForm { words += ["--time-format", quoted(pattern.text)] }
        if let stream = csv.streamColumn { words += ["--stream-column", quoted(stream)] }
        if let decimal = csv.decimal { words += ["--decimal", decimal] }
        for value in guess.options.missing + missing { words += ["--missing=\(NumberText.short(value))"] }
        return words.joined(separator: " ")
    }

    private func quoted(_ text: String) -> String {
        text.utf8.contains { $0 <= 32 || $0 == 37 || $0 == 39 || $0 == 34 || $0 == 42 } ? "'\(text)'" : text
    }
}
