import CDigest

/// SHA-256 (FIPS 180-4): what names the bytes of a model.
public enum Digest {
    /// The digest of `bytes` as 64 lower-case hexadecimal digits.
    public static func sha256(_ bytes: [UInt8]) -> String {
        var out = [UInt8](repeating: 0, count: 32)
        bytes.withUnsafeBufferPointer { source in
            out.withUnsafeMutableBufferPointer { rw_sha256(source.baseAddress, source.count, $0.baseAddress) }
        }
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: out.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
