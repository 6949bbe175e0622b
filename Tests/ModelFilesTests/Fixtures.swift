import Glibc
import ModelFiles

/// Fixtures written by Tests/Fixtures/make_model_fixtures.py, found beside this source file.
enum Fixtures {
    static let folder: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(2).joined(separator: "/") + "/Fixtures/models"
    }()

    static func names(prefix: String, suffix: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(prefix), name.hasSuffix(suffix) { names.append(name) }
        }
        return names.sorted()
    }

    static func bytes(_ name: String) -> [UInt8] {
        guard let file = fopen(folder + "/" + name, "rb") else { return [] }
        defer { fclose(file) }
        var all: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65536)
        while case let got = fread(&block, 1, block.count, file), got > 0 { all += block[..<got] }
        return all
    }
}

/// max |a - b| / max |b|.
func relativeError(_ a: [Float], _ b: [Float]) -> Double {
    guard a.count == b.count else { return .infinity }
    let largest = b.reduce(0.0) { max($0, abs(Double($1))) }
    return zip(a, b).reduce(0.0) {
        $1.0.isFinite ? max($0, abs(Double($1.0) - Double($1.1))) : .infinity
    } / max(largest, 1e-30)
}
