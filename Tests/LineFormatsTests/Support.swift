import Glibc

@testable import LineFormats

/// The folder Tests/Fixtures/lines of this repository.
let fixtures: String = {
    var parts = #filePath.split(separator: "/").map(String.init)
    parts.removeLast(2)
    return "/" + parts.joined(separator: "/") + "/Fixtures/lines"
}()

/// All bytes of a file; traps when it cannot be read, because then the test tests nothing.
func contents(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { preconditionFailure("cannot open \(path)") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes.append(contentsOf: chunk[..<count])
    }
}

/// Names in a folder, sorted, hidden ones left out.
func names(in folder: String) -> [String] {
    guard let directory = opendir(folder) else { preconditionFailure("cannot open \(folder)") }
    defer { closedir(directory) }
    var found: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if !name.hasPrefix(".") { found.append(name) }
    }
    return found.sorted()
}

func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// Readings as one line of text: `KEY @TIME name=value ... & ...` and what was left out.
func describe(_ readings: inout ReadingBuffer) throws(LineError) -> String {
    var parts: [String] = []
    for i in 0..<readings.count {
        var part = text(try readings.canonicalKey(i)) + " @" + (readings.time(i).map { "\($0)" } ?? "-")
        for j in 0..<readings.fieldCount(i) { part += " \(text(readings.fieldName(i, j)))=\(readings.fieldValue(i, j))" }
        parts.append(part)
    }
    var line = parts.joined(separator: " & ")
    if readings.ignoredNonNumeric > 0 { line += " !ignored=\(readings.ignoredNonNumeric)" }
    if readings.nonFinite > 0 { line += " !nonfinite=\(readings.nonFinite)" }
    if readings.unknownValues > 0 { line += " !unknown=\(readings.unknownValues)" }
    if !readings.refusals.isEmpty {
        line += " !refused=" + readings.refusals.map { "\($0.reason.rawValue)@\($0.column)" }.joined(separator: ",")
    }
    return line
}

func describe(_ error: LineError) -> String {
    "ERROR \(error.reason.rawValue) \(error.column)" + (error.columnName.isEmpty ? "" : " \(error.columnName)")
}

/// What a fresh parser makes of a line.
func outcome(_ line: [UInt8], limits: LineLimits = LineLimits(), format: LineFormat? = nil, defaultStream: [UInt8] = []) -> String {
    var parser = LineParser(limits: limits, format: format, defaultStream: defaultStream)
    return outcome(line, &parser)
}

func outcome(_ line: String, limits: LineLimits = LineLimits(), format: LineFormat? = nil) -> String {
    outcome(Array(line.utf8), limits: limits, format: format)
}

func outcome(_ line: [UInt8], _ parser: inout LineParser) -> String {
    line.withUnsafeBufferPointer { bytes in
        do throws(LineError) {
            try parser.parse(bytes)
        } catch {
            return describe(error)
        }
        guard parser.readings.count > 0 else { return "\(parser.format)" }
        do throws(LineError) {
            return "\(parser.format): " + (try describe(&parser.readings))
        } catch {
            return "KEY " + describe(error)
        }
    }
}

/// What a CSV parser makes of a line.
func outcome(_ line: [UInt8], _ parser: inout CSVParser) -> String {
    line.withUnsafeBufferPointer { bytes in
        let hadHeader = parser.hasHeader
        do throws(LineError) {
            try parser.parse(bytes)
            if !hadHeader, parser.hasHeader { return "header" }
            return parser.readings.count == 0 ? "blank" : "csv: " + (try describe(&parser.readings))
        } catch {
            return describe(error)
        }
    }
}

/// A small reproducible source of numbers (SplitMix64, Steele et al. 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
