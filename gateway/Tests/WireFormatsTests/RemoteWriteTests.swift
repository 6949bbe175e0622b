import Testing

@testable import WireFormats

struct RemoteWriteTests {
    private let stale = Double(bitPattern: 0x7FF0_0000_0000_0002)

    private func series(_ labels: [(String, String)], _ samples: [(Double, Int64)]) -> Proto {
        let named = labels.reduce(Proto()) { $0.adding(1, Proto().adding(1, $1.0).adding(2, $1.1)) }
        return samples.reduce(named) { $0.adding(2, Proto().adding(1, double: $1.0).adding(2, varint: UInt64(bitPattern: $1.1))) }
    }

    @Test("A sample becomes one line with the labels as tags and nanoseconds")
    func sample() throws {
        let body = Proto().adding(
            1,
            series([("__name__", "up"), ("instance", "a b:9100"), ("job", "x=y,z")], [(1.5, 1_700_000_000_123), (-2, 1_700_000_001_000)]))
        let (batch, written) = try decode(body, .one)
        #expect(
            batch.text == """
                up,instance=a\\ b:9100,job=x\\=y\\,z value=1.5 1700000000123000000
                up,instance=a\\ b:9100,job=x\\=y\\,z value=-2 1700000001000000000

                """)
        #expect(batch.places == [1, 1] && written == .init(samples: 2))
    }

    @Test("Stale markers and NaN are no readings, and nothing is refused")
    func notFinite() throws {
        let body = Proto().adding(
            1, series([("__name__", "up")], [(stale, 1000), (.nan, 2000), (.infinity, 3000), (7, 1_700_000_000_000)]))
        let (batch, written) = try decode(body, .one)
        #expect(batch.text == "up value=7 1700000000000000000\n")
        #expect(batch.skippedCount == 3 && batch.refusedCount == 0 && written.samples == 4)
    }

    @Test("A series that cannot be named is refused alone, with all its samples, and the others stand")
    func refusedSeries() throws {
        let body = Proto()
            .adding(1, series([("job", "nameless")], [(1, 1), (2, 2)]))
            .adding(1, series([("__name__", "up"), ("text", "two\nlines")], [(1, 1)]))
            .adding(1, series([("__name__", "up")], [(3, 1_700_000_000_000)]))
            .adding(1, series([("__name__", "up")], [(3, Int64.max)]))
        let (batch, written) = try decode(body, .one)
        #expect(batch.text == "up value=3 1700000000000000000\n" && batch.places == [3])
        #expect(batch.refusals.map(\.place) == [1, 2, 4] && batch.refusedCount == 4 && written.samples == 1)
    }

    @Test("Version 2 reads names from the table of symbols, also when it stands behind the series")
    func symbols() throws {
        let symbols = ["", "__name__", "up", "job", "node"]
        let references = [1, 2, 3, 4].flatMap { Proto.varint(UInt64($0)) }
        let series = Proto().adding(1, bytes: references)
            .adding(2, Proto().adding(1, double: 4).adding(2, varint: 1_700_000_000_000))
            .adding(3, Proto().adding(1, varint: 4).adding(3, double: 10).adding(15, varint: 1_700_000_000_000))
        let table = symbols.reduce(Proto()) { $0.adding(4, $1) }
        for body in [Proto(bytes: table.adding(5, series).bytes), Proto(bytes: Proto().adding(5, series).bytes + table.bytes)] {
            let (batch, written) = try decode(body, .two)
            #expect(
                batch.text == """
                    up,job=node value=4 1700000000000000000
                    up,job=node count=4,sum=10,mean=2.5 1700000000000000000

                    """)
            #expect(written == .init(samples: 1, histograms: 1))
        }
    }

    @Test("References outside of the table, and half a pair, are errors")
    func badReferences() {
        for references: [UInt64] in [[1, 2], [0], [0, UInt64.max]] {
            let series = Proto().adding(1, bytes: references.flatMap { Proto.varint($0) }).adding(2, Proto().adding(1, double: 1))
            #expect(throws: WireError.self) { try decode(Proto().adding(4, "").adding(5, series), .two) }
        }
    }

    @Test("Cut anywhere, a request is an error or a shorter request, never a trap")
    func cut() throws {
        let body = Proto().adding(1, series([("__name__", "up"), ("job", "node")], [(1.5, 1_700_000_000_123)])).bytes
        for count in 0..<body.count {
            var batch = LineBatch()
            body[..<count].withUnsafeBytes { bytes in
                #expect(count == 0 || (try? RemoteWrite.decode(bytes, version: .one, into: &batch)) == nil, "cut at \(count)")
            }
        }
    }

    @Test("Lines of a request stop at their bound, however small the samples that ask for them")
    func bounded() throws {
        let empty = (0..<100_000).reduce(into: [UInt8]()) { bytes, _ in bytes += [0x12, 0x00] }
        let label = Proto().adding(1, Proto().adding(1, "__name__").adding(2, String(repeating: "x", count: 4000)))
        let body = Proto().adding(1, bytes: label.bytes + empty).bytes
        var batch = LineBatch(bytesMax: 1 << 20)
        #expect(throws: WireError.self) { try body.withUnsafeBytes { try RemoteWrite.decode($0, version: .one, into: &batch) } }
        #expect(batch.bytes.count <= 1 << 20)
    }

    @Test("A token's prefix and tags are on every stream")
    func decoration() throws {
        let body = Proto().adding(1, series([("__name__", "up"), ("job", "n")], [(1, 1_700_000_000_000)]))
        let (batch, _) = try decode(body, .one, Decoration(prefix: "north ", tags: [("site", "a b"), ("by", "gw")]))
        #expect(batch.text == "north\\ up,job=n,by=gw,site=a\\ b value=1 1700000000000000000\n")
    }
}
