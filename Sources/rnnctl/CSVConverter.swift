import LineFormats
import Platform

/// Turns rows of CSV into lines of line protocol, one for each line of the file: what is no reading becomes a comment.
final class CSVConverter {
    private let options: CSVOptions
    private var parser: CSVParser
    /// Rows that cannot be read.
    private(set) var refused = 0
    private static let refusalsShown = 20

    init(_ options: CSVOptions) {
        self.options = options
        parser = CSVParser(limits: LineLimits(lineBytesMax: 1 << 20), options: options)
    }

    /// The file begins anew.
    func restart() {
        parser = CSVParser(limits: LineLimits(lineBytesMax: 1 << 20), options: options)
        refused = 0
    }

    /// - Parameters:
    ///   - lines: whole lines, each with its end
    ///   - from: lines of the file before them
    func convert(_ lines: [UInt8], from: Int) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(lines.count * 2)
        lines.withUnsafeBufferPointer { all in
            for (index, line) in Lines(all).enumerated() {
                do throws(LineError) {
                    try parser.parse(line)
                    try write(&out)
                } catch {
                    refused += 1
                    if refused <= Self.refusalsShown { FileOutput.error("rnnctl send: line \(from + index + 1), \(error)") }
                    out += Array("#\n".utf8)
                }
            }
        }
        return out
    }

    private func write(_ out: inout [UInt8]) throws(LineError) {
        guard parser.readings.count > 0 else {
            out += Array("#\n".utf8)
            return
        }
        out += Array(try parser.readings.canonicalKey(0))
        for field in 0..<parser.readings.fieldCount(0) {
            out.append(field == 0 ? 32 : 44)
            for byte in parser.readings.fieldName(0, field) {
                if byte == 32 || byte == 44 || byte == 61 || byte == 92 { out.append(92) }
                out.append(byte)
            }
            out.append(61)
            out += Array("\(parser.readings.fieldValue(0, field))".utf8)
        }
        if let time = parser.readings.time(0) { out += Array(" \(time)".utf8) }
        out.append(10)
    }
}
