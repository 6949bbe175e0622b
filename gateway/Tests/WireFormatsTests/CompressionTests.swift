import Testing

@testable import WireFormats

struct CompressionTests {
    private func decode(_ bytes: [UInt8], max: Int = 1 << 20) throws -> [UInt8] {
        try bytes.withUnsafeBytes { try SnappyBlock.decode($0, max: max) }
    }

    @Test("Literals and the three kinds of copies give the bytes that they stand for")
    func snappy() throws {
        // "abcd" literal; copy 1-byte offset: length 4 offset 4; copy 2-byte offset: length 3 offset 1 (a run); literal "e".
        let block: [UInt8] = [12, 3 << 2, 97, 98, 99, 100, 0 << 2 | 1, 4, 2 << 2 | 2, 1, 0, 0 << 2, 101]
        #expect(String(decoding: try decode(block), as: UTF8.self) == "abcdabcdddde")
        let far: [UInt8] = [6, 2 << 2, 120, 121, 122, 2 << 2 | 3, 3, 0, 0, 0]
        #expect(String(decoding: try decode(far), as: UTF8.self) == "xyzxyz")
        #expect(try decode([0]) == [])
    }

    @Test("A long literal carries its length in the next bytes")
    func longLiteral() throws {
        let text = [UInt8](repeating: 120, count: 300)
        #expect(try decode([0xAC, 0x02, 61 << 2, 0x2B, 0x01] + text) == text)
    }

    @Test("A declared length is looked at before anything is allocated")
    func bombs() {
        // 4 GB declared by ten bytes; over the bound; over what the bytes can stand for.
        for block: [UInt8] in [[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0, 0, 0, 0], [0x80, 0x80, 0x80, 0x01, 0], [0xFF, 0xFF, 0x3F, 0, 97]] {
            #expect(throws: WireError.self) { try decode(block) }
        }
    }

    @Test(
        "Damaged blocks are errors",
        arguments: [
            [], [0x80], [5, 4 << 2, 97], [2, 0, 97, 1, 9], [1, 0, 97, 0, 98], [3, 0, 97], [4, 0, 97, 2, 0, 0], [9, 63 << 2, 1, 1],
        ] as [[UInt8]])
    func damaged(block: [UInt8]) { #expect(throws: WireError.self) { try decode(block) } }

    @Test("Any bytes are decoded or refused, never a trap")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            _ = try? decode(bytes)
            var batch = LineBatch()
            bytes.withUnsafeBytes { bytes in
                _ = try? RemoteWrite.decode(bytes, version: .one, into: &batch)
                _ = try? RemoteWrite.decode(bytes, version: .two, into: &batch)
                _ = try? OTLP.decode(bytes, into: &batch)
                _ = try? Inflate.decode(bytes, max: 1000)
                _ = try? TextLines.read(bytes, .init(), into: &batch)
            }
        }
    }

    /// "hello hello hello" and a line end, as gzip.
    private let gzip: [UInt8] = [
        0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 3, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x57, 0xC8, 0x40, 0x90, 0x5C, 0, 0x3B, 0x7C, 0x8A, 0xDF, 0x12, 0,
        0, 0,
    ]

    @Test("Gzip gives its bytes, one member or several")
    func gzipMembers() throws {
        let text = Array("hello hello hello\n".utf8)
        #expect(try gzip.withUnsafeBytes { try Inflate.decode($0, max: 18) } == text)
        #expect(try (gzip + gzip).withUnsafeBytes { try Inflate.decode($0, max: 36) } == text + text)
        #expect(throws: WireError.self) { try (gzip + gzip).withUnsafeBytes { try Inflate.decode($0, max: 35) } }
    }

    @Test("A gzip bomb stops at the bound, a cut stream is an error")
    func inflate() throws {
        #expect(throws: WireError.self) { try gzip.dropLast(9).withUnsafeBytes { try Inflate.decode($0, max: 100) } }
        #expect(throws: WireError.self) { try [UInt8](repeating: 7, count: 40).withUnsafeBytes { try Inflate.decode($0, max: 100) } }
    }
}
