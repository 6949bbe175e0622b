import CZlib

/// Gzip and zlib streams, inflated up to a bound.
public enum Inflate {
    /// Inflates all members of `input`.
    ///
    /// The output grows with what really comes out, 64 KiB at first, and stops at `max`: a bomb costs `max` bytes and no more.
    /// - Errors: not gzip or zlib, cut off, damaged, or larger than `max`.
    public static func decode(_ input: UnsafeRawBufferPointer, max: Int) throws(WireError) -> [UInt8] {
        var stream = z_stream()
        guard rw_inflate_init(&stream, 47) == Z_OK else { throw broken(0, "no memory") }
        defer { inflateEnd(&stream) }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        guard input.count > 0, input.count <= Int(UInt32.max) else { throw broken(0, "nothing") }
        stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.avail_in = UInt32(input.count)
        while true {
            let (result, count) = chunk.withUnsafeMutableBufferPointer { buffer -> (Int32, Int) in
                stream.next_out = buffer.baseAddress
                stream.avail_out = UInt32(buffer.count)
                let result = inflate(&stream, Z_NO_FLUSH)
                return (result, buffer.count - Int(stream.avail_out))
            }
            let place = input.count - Int(stream.avail_in)
            guard output.count + count <= max else { throw .tooLarge(what: "gzip", got: output.count + count, max: max) }
            output.append(contentsOf: chunk[..<count])
            switch result {
            case Z_STREAM_END:
                if stream.avail_in == 0 { return output }
                guard inflateReset(&stream) == Z_OK else { throw broken(place, "more after the end") }
            case Z_OK: continue
            case Z_BUF_ERROR: throw broken(place, "the end")
            default: throw broken(place, stream.msg.map { String(cString: $0) } ?? "damaged bytes")
            }
        }
    }

    private static func broken(_ place: Int, _ got: String) -> WireError {
        .malformed(format: "gzip", offset: place, got: got, expected: "a whole gzip or zlib stream")
    }
}
