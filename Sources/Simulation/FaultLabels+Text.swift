import Tabular
import TimeSeries

extension FaultLabels {
    /// First line of the table form.
    static let csvHeader = "stream,channels,fault,start,end,start_ns,end_ns"

    /// The table form: a comment line with the span, a header, one line a fault; channels are separated by spaces.
    ///
    /// Columns: `stream` (canonical key, quoted), `channels`, `fault`, `start`, `end` (RFC 3339, end exclusive), `start_ns`,
    /// `end_ns` (nanoseconds since 1970).
    public var csv: String {
        var text = ""
        if let spanNs {
            text +=
                "# simulated \(TimeText.rfc3339(spanNs.lowerBound)) \(TimeText.rfc3339(spanNs.upperBound)) streams \(streams ?? 0)\n"
        }
        text += Self.csvHeader + "\n"
        for label in labels {
            let times = "\(TimeText.rfc3339(label.startNs)),\(TimeText.rfc3339(label.endNs)),\(label.startNs),\(label.endNs)"
            text +=
                "\(RecordTable.csvField(label.stream)),\(RecordTable.csvField(label.channels.joined(separator: " "))),\(label.fault),\(times)\n"
        }
        return text
    }

    /// The JSON lines form: a first line `{"simulated":{"start","end","streams"}}`, then one object a fault with the members
    /// `stream`, `channels` (array), `fault`, `start`, `end`, `start_ns`, `end_ns`.
    public var jsonLines: String {
        var text = ""
        if let spanNs {
            let (start, end) = (TimeText.rfc3339(spanNs.lowerBound), TimeText.rfc3339(spanNs.upperBound))
            let run: JSONValue = .object(["start": .string(start), "end": .string(end), "streams": .integer(Int64(streams ?? 0))])
            text += JSONValue.object(["simulated": run]).compact + "\n"
        }
        for label in labels {
            let object: JSONValue = .object([
                "stream": .string(label.stream), "channels": .array(label.channels.map { .string($0) }), "fault": .string(label.fault),
                "start": .string(TimeText.rfc3339(label.startNs)), "end": .string(TimeText.rfc3339(label.endNs)),
                "start_ns": .integer(label.startNs), "end_ns": .integer(label.endNs),
            ])
            text += object.compact + "\n"
        }
        return text
    }

    /// Reads either form, told apart by the first byte; throws with the line number.
    public init(parsing bytes: [UInt8]) throws(SimulationError) {
        let first = bytes.first { $0 > 0x20 }
        if first == UInt8(ascii: "{") || first == UInt8(ascii: "[") {
            try self.init(json: bytes)
        } else {
            try self.init(csv: bytes)
        }
    }

    private init(json bytes: [UInt8]) throws(SimulationError) {
        self.init(labels: [])
        var reader = JSONReader(bytes)
        while let value = try reader.next(of: "labels") {
            if let run = value["simulated"] {
                if let start = run["start"]?.timeNs, let end = run["end"]?.timeNs, start <= end { spanNs = start..<end }
                if case .integer(let count)? = run["streams"], count > 0 { streams = Int(count) }
                continue
            }
            guard let stream = value["stream"]?.text, let fault = value["fault"]?.text,
                let start = (value["start"] ?? value["start_ns"])?.timeNs, let end = (value["end"] ?? value["end_ns"])?.timeNs, start <= end
            else { throw .file(what: "labels", line: reader.line, reason: "expected an object with stream, fault, start, end") }
            labels.append(FaultLabel(stream: stream, channels: value["channels"]?.texts ?? [], fault: fault, startNs: start, endNs: end))
        }
    }

    private init(csv bytes: [UInt8]) throws(SimulationError) {
        self.init(labels: [])
        for (number, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let text = String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
            if text.isEmpty || text == Self.csvHeader { continue }
            if text.hasPrefix("#") {
                readComment(text)
                continue
            }
            let cells = Self.csvCells(text)
            guard cells.count >= 5, let start = TimeText.instant(cells[3]),
                let end = TimeText.instant(cells[4]), start <= end, JSONValue.fileTimesNs.contains(start),
                JSONValue.fileTimesNs.contains(end)
            else { throw .file(what: "labels", line: number + 1, reason: "expected \(Self.csvHeader)") }
            let channels = cells[1].split(separator: " ").map(String.init)
            labels.append(FaultLabel(stream: cells[0], channels: channels, fault: cells[2], startNs: start, endNs: end))
        }
    }

    private mutating func readComment(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count >= 4, words[1] == "simulated", let start = TimeText.instant(words[2]),
            let end = TimeText.instant(words[3]), start <= end
        else { return }
        spanNs = start..<end
        if words.count >= 6, words[4] == "streams", let count = Int(words[5]), count > 0 { streams = count }
    }

    /// Cells of one line; a quote inside quotes is written twice (RFC 4180).
    private static func csvCells(_ line: String) -> [String] {
        var cells = [""]
        var isQuoted = false
        var previousWasQuote = false
        for character in line {
            if character == "\"" {
                // The second of two quotes inside quotes stands for one.
                if !isQuoted && previousWasQuote { cells[cells.count - 1].append("\"") }
                isQuoted.toggle()
                previousWasQuote = !isQuoted
                continue
            }
            previousWasQuote = false
            if character == ",", !isQuoted {
                cells.append("")
            } else {
                cells[cells.count - 1].append(character)
            }
        }
        return cells
    }
}
