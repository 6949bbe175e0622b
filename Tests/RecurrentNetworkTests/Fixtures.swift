import Glibc
import ModelFiles
import RecurrentNetwork
import Testing

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

/// One fixture: a model and the tensors that a framework computed with it.
struct Case: CustomStringConvertible, Sendable {
    let name: String
    let model: RecurrentModel
    let metadata: [String: String]
    private let tensors: [String: NamedTensor]
    var description: String { name }

    init(_ file: String) throws {
        name = file
        let contents = try Safetensors.read(Fixtures.bytes(file))
        metadata = contents.metadata
        tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }
        let own = contents.tensors.filter { $0.name.hasPrefix("model.") }
        model = try Safetensors.model(from: .init(tensors: own, metadata: metadata))
    }

    func values(_ key: String) throws -> [Float] {
        try #require(tensors[key], "\(name) has no \(key)").values
    }
    func shape(_ key: String) throws -> [Int] {
        try #require(tensors[key], "\(name) has no \(key)").shape
    }
    var hasCell: Bool { tensors["c0"] != nil }

    /// h0 and c0 [L, B, H] as a state.
    func startState(_ engine: RecurrentEngine) throws -> RecurrentState {
        let shape = try shape("h0")
        var state = RecurrentState(for: engine, streamCount: shape[1])
        let h0 = try values("h0")
        let c0 = hasCell ? try values("c0") : []
        for l in 0..<shape[0] {
            for b in 0..<shape[1] {
                let range = (l * shape[1] + b) * shape[2]..<(l * shape[1] + b + 1) * shape[2]
                try state.set(
                    hidden: Array(h0[range]), cell: hasCell ? Array(c0[range]) : nil, of: engine, layer: l,
                    stream: b)
            }
        }
        return state
    }
}

/// max |a - b| / max |b|: the error relative to the largest value of the tensor.
func relativeError(_ a: [Float], _ b: [Float]) -> Double {
    guard a.count == b.count else { return .infinity }
    let largest = b.reduce(0.0) { max($0, abs(Double($1))) }
    let error = zip(a, b).reduce(0.0) {
        $1.0.isFinite ? max($0, abs(Double($1.0) - Double($1.1))) : .infinity
    }
    return error / max(largest, 1e-30)
}
