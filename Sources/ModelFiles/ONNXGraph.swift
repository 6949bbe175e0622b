/// The part of an ONNX file (onnx.proto, field numbers in the code) that a recurrent model needs.
struct ONNXGraph {
    /// A constant of floats or integers.
    struct Tensor: Equatable {
        var name: String
        var shape: [Int]
        var floats: [Float] = []
        var integers: [Int] = []
        var isFloat: Bool { integers.isEmpty && (!floats.isEmpty || shape.contains(0)) }
    }

    enum Attribute {
        case float(Float)
        case integer(Int)
        case string(String)
        case tensor(Tensor)
        case floats([Float])
        case integers([Int])
        case strings([String])
        case other
    }

    struct Node {
        var name = ""
        var operation = ""
        var domain = ""
        var inputs: [String] = []
        var outputs: [String] = []
        var attributes: [String: Attribute] = [:]

        /// For messages.
        var label: String { "\(operation) \(name.isEmpty ? outputs.first ?? "" : name)" }
        func integer(_ key: String) -> Int? {
            if case .integer(let value)? = attributes[key] { value } else { nil }
        }
        func integers(_ key: String) -> [Int]? {
            if case .integers(let values)? = attributes[key] { values } else { nil }
        }
        func float(_ key: String) -> Float? {
            if case .float(let value)? = attributes[key] { value } else { nil }
        }
        func floats(_ key: String) -> [Float]? {
            if case .floats(let values)? = attributes[key] { values } else { nil }
        }
        func string(_ key: String) -> String? {
            if case .string(let value)? = attributes[key] { value } else { nil }
        }
        func strings(_ key: String) -> [String]? {
            if case .strings(let values)? = attributes[key] { values } else { nil }
        }
        func input(_ index: Int) -> String? {
            index < inputs.count && !inputs[index].isEmpty ? inputs[index] : nil
        }
    }

    /// A graph input: its name and dimensions (nil: symbolic).
    struct Input {
        var name: String
        var shape: [Int?]?
    }

    var nodes: [Node] = []
    var tensors: [Tensor] = []
    var inputs: [Input] = []
    var outputs: [String] = []
    var opset = 0
    /// Names of files with tensor data outside the model.
    var externalFiles: [String] = []
}

/// Turns bytes into an `ONNXGraph`.
struct ONNXParser {
    private let bytes: [UInt8]
    private let external: [String: [UInt8]]?
    private var graph = ONNXGraph()

    /// - Parameter external: data files by name; nil only lists them.
    static func parse(_ bytes: [UInt8], external: [String: [UInt8]]?) throws(ModelFileError)
        -> ONNXGraph
    {
        var parser = ONNXParser(bytes: bytes, external: external)
        var reader = ProtobufReader(bytes, 0..<bytes.count)
        var found = false
        while let (number, field) = try reader.next() {
            if number == 7, case .bytes(let range) = field {
                found = true
                try parser.parseGraph(range)
            } else if number == 8, case .bytes(let range) = field {
                try parser.parseOpset(range)
            }
        }
        guard found else { throw .malformed(offset: 0, reason: "got no graph, expected an ONNX model") }
        return parser.graph
    }

    private init(bytes: [UInt8], external: [String: [UInt8]]?) {
        self.bytes = bytes
        self.external = external
    }

    private mutating func parseOpset(_ range: Range<Int>) throws(ModelFileError) {
        var reader = ProtobufReader(bytes, range)
        var domain = ""
        var version = 0
        while let (number, field) = try reader.next() {
            switch (number, field) {
            case (1, .bytes(let text)): domain = try reader.string(text)
            case (2, .varint(let value)): version = Int(truncatingIfNeeded: value)
            default: continue
            }
        }
        if domain.isEmpty || domain == "ai.onnx" { graph.opset = version }
    }

    private mutating func parseGraph(_ range: Range<Int>) throws(ModelFileError) {
        var reader = ProtobufReader(bytes, range)
        while let (number, field) = try reader.next() {
            guard case .bytes(let inner) = field else { continue }
            guard graph.nodes.count + graph.tensors.count < ModelFileLimits.itemsMax else {
                throw .limit(
                    object: "the graph (nodes and tensors)",
                    got: UInt64(graph.nodes.count + graph.tensors.count + 1),
                    max: UInt64(ModelFileLimits.itemsMax))
            }
            switch number {
            case 1: graph.nodes.append(try parseNode(inner))
            case 5: graph.tensors.append(try parseTensor(inner))
            case 11: graph.inputs.append(try parseInput(inner))
            case 12: graph.outputs.append(try parseInput(inner).name)
            case 15:
                throw .unsupported(node: "sparse_initializer", reason: "sparse weights are not supported")
            default: continue
            }
        }
    }

    private mutating func parseNode(_ range: Range<Int>) throws(ModelFileError) -> ONNXGraph.Node {
        var reader = ProtobufReader(bytes, range)
        var node = ONNXGraph.Node()
        while let (number, field) = try reader.next() {
            guard case .bytes(let inner) = field else { continue }
            switch number {
            case 1: node.inputs.append(try reader.string(inner))
            case 2: node.outputs.append(try reader.string(inner))
            case 3: node.name = try reader.string(inner)
            case 4: node.operation = try reader.string(inner)
            case 5:
                let (name, value) = try parseAttribute(inner)
                node.attributes[name] = value
            case 7: node.domain = try reader.string(inner)
            default: continue
            }
        }
        return node
    }

    private mutating func parseAttribute(_ range: Range<Int>) throws(ModelFileError) -> (
        String, ONNXGraph.Attribute
    ) {
        var reader = ProtobufReader(bytes, range)
        var name = ""
        var value = ONNXGraph.Attribute.other
        var floats: [Float] = []
        var integers: [Int] = []
        var strings: [String] = []
        var type = 0
        while let (number, field) = try reader.next() {
            switch (number, field) {
            case (1, .bytes(let inner)): name = try reader.string(inner)
            case (2, .fixed32(let bits)): value = .float(Float(bitPattern: bits))
            case (3, .varint(let bits)): value = .integer(Int(truncatingIfNeeded: bits))
            case (4, .bytes(let inner)): value = .string(String(decoding: bytes[inner], as: UTF8.self))
            case (5, .bytes(let inner)): value = .tensor(try parseTensor(inner))
            case (7, .fixed32(let bits)): floats.append(Float(bitPattern: bits))
            case (7, .bytes(let inner)): floats += ElementType.f32.decode(bytes, try whole(inner, 4))
            case (8, .varint(let bits)): integers.append(Int(truncatingIfNeeded: bits))
            case (8, .bytes(let inner)): integers += try reader.packedVarints(inner)
            case (9, .bytes(let inner)): strings.append(String(decoding: bytes[inner], as: UTF8.self))
            case (20, .varint(let bits)): type = Int(truncatingIfNeeded: bits)
            default: continue
            }
        }
        if !floats.isEmpty || type == 6 { value = .floats(floats) }
        if !integers.isEmpty || type == 7 { value = .integers(integers) }
        if !strings.isEmpty || type == 8 { value = .strings(strings) }
        return (name, value)
    }

    private func parseInput(_ range: Range<Int>) throws(ModelFileError) -> ONNXGraph.Input {
        var reader = ProtobufReader(bytes, range)
        var input = ONNXGraph.Input(name: "", shape: nil)
        while let (number, field) = try reader.next() {
            switch (number, field) {
            case (1, .bytes(let inner)): input.name = try reader.string(inner)
            case (2, .bytes(let type)):
                guard let tensor = try only(1, in: type), let shape = try only(2, in: tensor) else {
                    continue
                }
                input.shape = try dimensions(shape)
            default: continue
            }
        }
        return input
    }

    private func only(_ wanted: Int, in range: Range<Int>) throws(ModelFileError) -> Range<Int>? {
        var reader = ProtobufReader(bytes, range)
        var found: Range<Int>?
        while let (number, field) = try reader.next() {
            if number == wanted, case .bytes(let inner) = field { found = inner }
        }
        return found
    }

    private func dimensions(_ range: Range<Int>) throws(ModelFileError) -> [Int?] {
        var reader = ProtobufReader(bytes, range)
        var list: [Int?] = []
        while let (number, field) = try reader.next() {
            guard number == 1, case .bytes(let inner) = field else { continue }
            var dimension = ProtobufReader(bytes, inner)
            var value: Int?
            while let (number, field) = try dimension.next() {
                if number == 1, case .varint(let bits) = field { value = Int(truncatingIfNeeded: bits) }
            }
            list.append(value)
        }
        return list
    }

    private func whole(_ range: Range<Int>, _ size: Int) throws(ModelFileError) -> Range<Int> {
        guard range.count % size == 0 else {
            throw .malformed(
                offset: range.lowerBound,
                reason: "got \(range.count) bytes of numbers, expected a multiple of \(size)")
        }
        return range
    }

    private mutating func parseTensor(_ range: Range<Int>) throws(ModelFileError) -> ONNXGraph.Tensor {
        var reader = ProtobufReader(bytes, range)
        var tensor = ONNXGraph.Tensor(name: "", shape: [])
        var type = 0
        var raw: Range<Int>?
        var location: [String: String] = [:]
        var isExternal = false
        while let (number, field) = try reader.next() {
            switch (number, field) {
            case (1, .varint(let bits)): tensor.shape.append(Int(truncatingIfNeeded: bits))
            case (1, .bytes(let inner)): tensor.shape += try reader.packedVarints(inner)
            case (2, .varint(let bits)): type = Int(truncatingIfNeeded: bits)
            case (4, .fixed32(let bits)): tensor.floats.append(Float(bitPattern: bits))
            case (4, .bytes(let inner)):
                tensor.floats += ElementType.f32.decode(bytes, try whole(inner, 4))
            case (5, .bytes(let inner)), (7, .bytes(let inner)):
                tensor.integers += try reader.packedVarints(inner)
            case (5, .varint(let bits)), (7, .varint(let bits)):
                tensor.integers.append(Int(truncatingIfNeeded: bits))
            case (8, .bytes(let inner)): tensor.name = try reader.string(inner)
            case (9, .bytes(let inner)): raw = inner
            case (10, .bytes(let inner)):
                tensor.floats += ElementType.f64.decode(bytes, try whole(inner, 8))
            case (13, .bytes(let inner)):
                let key = try only(1, in: inner)
                let value = try only(2, in: inner)
                if let key, let value { location[try reader.string(key)] = try reader.string(value) }
            case (14, .varint(let bits)): isExternal = bits == 1
            default: continue
            }
        }
        guard let count = elementCount(tensor.shape) else {
            throw .malformed(
                offset: range.lowerBound,
                reason: "got tensor '\(tensor.name)' of impossible shape \(tensor.shape)")
        }
        if isExternal {
            try readExternal(&tensor, type, count, location)
        } else if let raw {
            try decode(&tensor, type, bytes, raw)
        } else if type == 10 || type == 16 {  // halves live in int32_data
            tensor.floats = tensor.integers.map {
                type == 10
                    ? halfToFloat(UInt16(truncatingIfNeeded: $0))
                    : Float(bitPattern: UInt32(UInt16(truncatingIfNeeded: $0)) << 16)
            }
            tensor.integers = []
        }
        guard isExternal && external == nil || tensor.floats.count + tensor.integers.count == count
        else {
            throw .shape(
                tensor: tensor.name, expected: tensor.shape,
                got: [tensor.floats.count + tensor.integers.count])
        }
        return tensor
    }

    private func decode(
        _ tensor: inout ONNXGraph.Tensor, _ type: Int, _ bytes: [UInt8], _ raw: Range<Int>
    ) throws(ModelFileError) {
        func load<T: FixedWidthInteger>(_ kind: T.Type) throws(ModelFileError) {
            let size = T.bitWidth / 8
            let range = try whole(raw, size)
            bytes.withUnsafeBytes { data in
                for at in stride(from: range.lowerBound, to: range.upperBound, by: size) {
                    tensor.integers.append(
                        Int(
                            truncatingIfNeeded: T(
                                littleEndian: data.loadUnaligned(fromByteOffset: at, as: T.self))))
                }
            }
        }
        switch type {
        case 1: tensor.floats = ElementType.f32.decode(bytes, try whole(raw, 4))
        case 10: tensor.floats = ElementType.f16.decode(bytes, try whole(raw, 2))
        case 11: tensor.floats = ElementType.f64.decode(bytes, try whole(raw, 8))
        case 16: tensor.floats = ElementType.bf16.decode(bytes, try whole(raw, 2))
        case 2, 3, 9: try load(Int8.self)
        case 6, 12: try load(Int32.self)
        case 7, 13: try load(Int64.self)
        default: throw .elementType(tensor: tensor.name, got: "ONNX type \(type)")
        }
    }

    private mutating func readExternal(
        _ tensor: inout ONNXGraph.Tensor, _ type: Int, _ count: Int, _ location: [String: String]
    ) throws(ModelFileError) {
        guard let file = location["location"] else {
            throw .malformed(
                offset: 0, reason: "got tensor '\(tensor.name)' with external data and no location")
        }
        if !graph.externalFiles.contains(file) { graph.externalFiles.append(file) }
        guard let external else { return }
        guard let data = external[file] else {
            throw .externalData(tensor: tensor.name, location: file)
        }
        let offset = Int(location["offset"] ?? "0") ?? -1
        let sizes = [1: 4, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2]
        let length = Int(location["length"] ?? "") ?? count * (sizes[type] ?? 1)
        guard offset >= 0, length >= 0, offset <= data.count, length <= data.count - offset else {
            throw .truncated(
                object: "tensor '\(tensor.name)' in '\(file)'", needed: length,
                got: max(0, data.count - max(0, offset)))
        }
        try decode(&tensor, type, data, offset..<offset + length)
    }
}
