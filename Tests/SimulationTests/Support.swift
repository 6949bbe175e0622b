@testable import Simulation

/// One parsed line; the parser here is written from the format's description and shares nothing with the writer.
struct ParsedLine: Equatable {
    var stream: String
    var fields: [(name: String, text: String)]
    var ns: Int64

    func value(_ name: String) -> Double? {
        guard let text = fields.first(where: { $0.name == name })?.text else { return nil }
        return Double(text.hasSuffix("i") ? String(text.dropLast()) : text)
    }

    static func == (left: ParsedLine, right: ParsedLine) -> Bool {
        left.stream == right.stream && left.ns == right.ns && left.fields.elementsEqual(right.fields, by: ==)
    }

    /// Nil for anything that is not `measurement,tags fields time`; the plant needs no escapes.
    init?(_ line: Substring) {
        // Bytes, not characters: splitting characters takes most of the time of these tests.
        let parts = line.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 3, let ns = Int64(Substring(parts[2])) else { return nil }
        stream = String(Substring(parts[0]))
        fields = []
        self.ns = ns
        for field in parts[1].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let pair = field.split(separator: UInt8(ascii: "="), omittingEmptySubsequences: false)
            guard pair.count == 2, !pair[0].isEmpty, !pair[1].isEmpty else { return nil }
            fields.append((String(Substring(pair[0])), String(Substring(pair[1]))))
        }
    }
}

let mondayNs: Int64 = 1_767_571_200_000_000_000  // 2026-01-05T00:00:00Z, a Monday
let hourNs: Int64 = 3_600_000_000_000
let dayNs = 24 * hourNs

func settings(days: Int64, minutes: Int64 = 5, _ change: (inout PlantConfiguration) -> Void = { _ in }) -> PlantConfiguration {
    var configuration = PlantConfiguration(startNs: mondayNs, spanNs: days * dayNs)
    configuration.intervalNs = minutes * 60_000_000_000
    change(&configuration)
    return configuration
}

func text(_ plant: inout Plant, bytesMin: Int = 1 << 16) -> String {
    var bytes: [UInt8] = []
    while plant.fill(bytesMin: bytesMin) { plant.withLines { span in span.withUnsafeBytes { bytes.append(contentsOf: $0) } } }
    return String(decoding: bytes, as: UTF8.self)
}

func text(_ configuration: PlantConfiguration, bytesMin: Int = 1 << 16) throws -> String {
    var plant = try Plant(configuration)
    return text(&plant, bytesMin: bytesMin)
}

func lines(_ configuration: PlantConfiguration) throws -> [ParsedLine] {
    try text(configuration).utf8.split(separator: UInt8(ascii: "\n")).compactMap { ParsedLine(Substring($0)) }
}

func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }

func deviation(_ values: [Double]) -> Double {
    let centre = mean(values)
    return mean(values.map { ($0 - centre) * ($0 - centre) }).squareRoot()
}

func correlation(_ left: [Double], _ right: [Double]) -> Double {
    let (a, b) = (mean(left), mean(right))
    return mean(zip(left, right).map { ($0 - a) * ($1 - b) }) / (deviation(left) * deviation(right))
}

func autocorrelation(_ values: [Double], lag: Int) -> Double { correlation(Array(values.dropLast(lag)), Array(values.dropFirst(lag))) }
