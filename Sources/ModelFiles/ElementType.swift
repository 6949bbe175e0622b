/// Floating-point storage types and their conversion to Float.
enum ElementType: String {
    case f32 = "F32"
    case f64 = "F64"
    case f16 = "F16"
    case bf16 = "BF16"

    var byteCount: Int {
        switch self {
        case .f32: 4
        case .f64: 8
        case .f16, .bf16: 2
        }
    }

    /// Little-endian bytes `range` of `bytes`; the caller has checked that the range fits and is a whole number of elements.
    func decode(_ bytes: [UInt8], _ range: Range<Int>) -> [Float] {
        var values: [Float] = []
        values.reserveCapacity(range.count / byteCount)
        bytes.withUnsafeBytes { raw in
            for at in stride(from: range.lowerBound, to: range.upperBound, by: byteCount) {
                values.append(decode(raw, at))
            }
        }
        return values
    }

    private func decode(_ raw: UnsafeRawBufferPointer, _ at: Int) -> Float {
        switch self {
        case .f32:
            Float(
                bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
        case .f64:
            Float(
                Double(
                    bitPattern: UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))))
        case .f16:
            halfToFloat(UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
        case .bf16:
            Float(
                bitPattern: UInt32(
                    UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt16.self))) << 16)
        }
    }
}

/// IEEE 754 binary16 to binary32, exact; written out because `Float16` is not everywhere.
func halfToFloat(_ half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10) & 0x1F
    let fraction = UInt32(half & 0x3FF)
    switch exponent {
    case 0:
        let magnitude = Float(fraction) * 0x1p-24
        return Float(bitPattern: magnitude.bitPattern | sign)
    case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
}
