import RecurrentNetwork

/// The safetensors container: u64 header length (little-endian), JSON header, tensor bytes.
/// Source: github.com/huggingface/safetensors, "Format".
public enum Safetensors {
    /// All tensors, converted to Float, and the `__metadata__` map.
    public struct Contents: Sendable, Equatable {
        /// In the order of the header.
        public var tensors: [NamedTensor]
        /// String to string.
        public var metadata: [String: String]

        /// Contents as given.
        public init(tensors: [NamedTensor], metadata: [String: String] = [:]) {
            self.tensors = tensors
            self.metadata = metadata
        }
    }

    /// Every tensor of a file. F32, F64, F16 and BF16 become Float; other types are an error unless `skippingOtherTypes`.
    public static func read(_ bytes: [UInt8], skippingOtherTypes: Bool = false) throws(ModelFileError)
        -> Contents
    {
        guard bytes.count >= 8 else {
            throw .truncated(object: "the safetensors header length", needed: 8, got: bytes.count)
        }
        let length = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << UInt64(8 * $1) }
        guard length <= UInt64(ModelFileLimits.headerBytesMax) else {
            if length.byteSwapped <= UInt64(ModelFileLimits.headerBytesMax) {
                throw .malformed(
                    offset: 0, reason: "got a big-endian header length, expected little-endian")
            }
            throw .limit(
                object: "the safetensors header (bytes)", got: length,
                max: UInt64(ModelFileLimits.headerBytesMax))
        }
        let dataStart = 8 + Int(length)
        guard dataStart <= bytes.count else {
            throw .truncated(object: "the safetensors header", needed: dataStart, got: bytes.count)
        }
        var parser = JSONParser(bytes, 8..<dataStart)
        guard case .object(let members) = try parser.parseAll() else {
            throw .malformed(offset: 8, reason: "got a header that is no JSON object")
        }
        var contents = Contents(tensors: [])
        var seen: Set<String> = []
        for (name, value) in members {
            guard case .object(let fields) = value else {
                throw .malformed(offset: 8, reason: "got no object for '\(name)'")
            }
            guard seen.insert(name).inserted else {
                throw .malformed(offset: 8, reason: "got tensor '\(name)' twice")
            }
            if name == "__metadata__" {
                for (key, entry) in fields {
                    if case .string(let text) = entry { contents.metadata[key] = text }
                }
            } else if let tensor = try readTensor(name, fields, bytes, dataStart, skippingOtherTypes) {
                contents.tensors.append(tensor)
            }
        }
        try refuseOverlaps(members)
        return contents
    }

    /// Two tensors over the same bytes are a file that another reader understands differently, or not at all.
    private static func refuseOverlaps(_ members: [(key: String, value: JSONValue)]) throws(ModelFileError) {
        var places: [(begin: Int, end: Int, name: String)] = []
        for (name, value) in members {
            guard case .object(let fields) = value, case .array(let items)? = fields.first(where: { $0.key == "data_offsets" })?.value,
                let offsets = integers(items), offsets.count == 2, offsets[0] < offsets[1]
            else { continue }
            places.append((offsets[0], offsets[1], name))
        }
        places.sort { ($0.begin, $0.end, $0.name) < ($1.begin, $1.end, $1.name) }
        for (place, next) in zip(places, places.dropFirst()) where next.begin < place.end {
            throw .malformed(
                offset: 8, reason: "got tensor '\(next.name)' from byte \(next.begin) on, expected \(place.end), where '\(place.name)' ends"
            )
        }
    }

    private static func readTensor(
        _ name: String, _ fields: [(key: String, value: JSONValue)], _ bytes: [UInt8], _ dataStart: Int,
        _ skip: Bool
    ) throws(ModelFileError) -> NamedTensor? {
        var typeName: String?
        var shape: [Int]?
        var offsets: [Int]?
        for (key, value) in fields {
            switch (key, value) {
            case ("dtype", .string(let text)): typeName = text
            case ("shape", .array(let items)): shape = integers(items)
            case ("data_offsets", .array(let items)): offsets = integers(items)
            default: continue
            }
        }
        guard let typeName, let shape, let offsets, offsets.count == 2 else {
            throw .malformed(
                offset: 8, reason: "got tensor '\(name)' without dtype, shape or data_offsets")
        }
        guard let type = ElementType(rawValue: typeName) else {
            if skip { return nil }
            throw .elementType(tensor: name, got: typeName)
        }
        guard let count = elementCount(shape) else {
            throw .malformed(offset: 8, reason: "got tensor '\(name)' of impossible shape \(shape)")
        }
        let (begin, end) = (offsets[0], offsets[1])
        guard begin >= 0, end >= begin, end - begin == count * type.byteCount else {
            throw .malformed(
                offset: 8,
                reason:
                    "got data_offsets \(offsets) for tensor '\(name)', expected \(count * type.byteCount) bytes for shape \(shape)"
            )
        }
        guard end <= bytes.count - dataStart else {
            throw .truncated(object: "tensor '\(name)'", needed: end, got: bytes.count - dataStart)
        }
        return NamedTensor(
            name: name, shape: shape, values: type.decode(bytes, dataStart + begin..<dataStart + end))
    }

    private static func integers(_ items: [JSONValue]) -> [Int]? {
        var list: [Int] = []
        for item in items {
            guard case .integer(let value) = item else { return nil }
            list.append(value)
        }
        return list
    }

    /// A file with these tensors as F32, in this order, header padded to 8 bytes as the reference writer does.
    public static func write(_ contents: Contents) -> [UInt8] {
        var header = "{"
        if !contents.metadata.isEmpty {
            let pairs = contents.metadata.sorted { $0.key < $1.key }.map {
                "\(quoted($0.key)):\(quoted($0.value))"
            }
            header += "\"__metadata__\":{\(pairs.joined(separator: ","))},"
        }
        var offset = 0
        var entries: [String] = []
        for tensor in contents.tensors {
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            let end = offset + tensor.values.count * 4
            entries.append(
                "\(quoted(tensor.name)):{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}"
            )
            offset = end
        }
        header += entries.joined(separator: ",") + "}"
        var text = Array(header.utf8)
        while text.count % 8 != 0 { text.append(0x20) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + text.count + offset)
        for i in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: UInt64(text.count) >> UInt64(8 * i))) }
        bytes.append(contentsOf: text)
        for tensor in contents.tensors { appendFloats(tensor.values, to: &bytes) }
        return bytes
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    out.unicodeScalars.append(scalar)
                }
            }
        }
        return out + "\""
    }
}

/// Little-endian F32.
func appendFloats(_ values: [Float], to bytes: inout [UInt8]) {
    for value in values {
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
