import ArgumentParser
import LineFormats

/// How a CSV file is to be read, where its first lines do not say.
public struct CSVOptionGroup: ParsableArguments {
    public init() {}

    @Option(name: .long, help: ArgumentHelp("CSV column that names the stream.", valueName: "name"))
    public var streamColumn: String?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "CSV column with the time; else one called timestamp, time, ts, date or datetime, else the first.", valueName: "name"))
    public var timeColumn: String?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "How its times are written: a pattern such as %d/%m/%Y %H:%M, or seconds, milliseconds, microseconds, nanoseconds.",
            valueName: "form"))
    public var timeFormat: String?
    @Option(
        name: .long, help: ArgumentHelp("The decimal mark, . or ,; else a comma where it does not stand between cells.", valueName: "mark"))
    public var decimal: String?
    @Option(name: .long, help: ArgumentHelp("Value that stands for a missing one, such as -127; may be repeated.", valueName: "value"))
    public var missing: [String] = []

    /// Whether anything was said.
    public var isEmpty: Bool { streamColumn == nil && timeColumn == nil && timeFormat == nil && decimal == nil && missing.isEmpty }

    public mutating func validate() throws {
        if let timeFormat, TimeForm(timeFormat) == nil {
            throw ValidationError(
                "--time-format: got \"\(timeFormat)\", expected seconds, milliseconds, microseconds, nanoseconds or a pattern such as %d/%m/%Y %H:%M"
            )
        }
        if let decimal, decimal != ".", decimal != "," { throw ValidationError("--decimal: got \"\(decimal)\", expected . or ,") }
        for value in missing where Double(value) == nil { throw ValidationError("--missing: got \"\(value)\", expected a number") }
    }

    /// What was said.
    public var options: CSVOptions {
        var options = CSVOptions()
        if let streamColumn { options.streamColumn = Array(streamColumn.utf8) }
        if let timeColumn { options.timeColumn = Array(timeColumn.utf8) }
        options.timeForm = timeFormat.flatMap { TimeForm($0) }
        options.decimalComma = decimal.map { $0 == "," }
        options.missing = missing.compactMap { Double($0) }
        return options
    }

    /// What was said, completed by what the file's first lines show.
    /// - Returns: also what is not sure, in words.
    public func options(for bytes: [UInt8]) -> (options: CSVOptions, doubts: [String]) {
        guard let guess = bytes.withUnsafeBufferPointer({ CSVSniffer.guess($0, isWhole: true, options: options) }) else {
            return (options, [])
        }
        return (guess.options, guess.doubts)
    }
}
