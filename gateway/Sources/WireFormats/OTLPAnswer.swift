/// Answers of OTLP in protobuf.
public enum OTLPAnswer {
    /// `ExportMetricsServiceResponse` with `partial_success`.
    public static func partial(rejected: Int, message: String) -> [UInt8] {
        var inside: [UInt8] = [1 << 3]
        append(varint: UInt64(max(0, rejected)), to: &inside)
        append(text: message, field: 2, to: &inside)
        var out: [UInt8] = [1 << 3 | 2]
        append(varint: UInt64(inside.count), to: &out)
        return out + inside
    }

    /// `google.rpc.Status`.
    public static func status(code: Int, message: String) -> [UInt8] {
        var out: [UInt8] = [1 << 3]
        append(varint: UInt64(code), to: &out)
        append(text: message, field: 2, to: &out)
        return out
    }

    private static func append(text: String, field: UInt8, to out: inout [UInt8]) {
        out.append(field << 3 | 2)
        append(varint: UInt64(text.utf8.count), to: &out)
        out.append(contentsOf: text.utf8)
    }

    private static func append(varint value: UInt64, to out: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            out.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        out.append(UInt8(rest))
    }
}
