import Foundation
import TimeSeries
import Testing

/// A compiled zone without listed transitions: one type of `offset`, and a rule for the future.
private func zone(_ rule: String, offset: Int32 = 0, times: [(at: Int64, type: UInt8)] = [], offsets: [Int32] = []) -> [UInt8] {
    func big(_ value: Int64, _ width: Int) -> [UInt8] { (0..<width).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * Int64($0))) } }
    let types = [offset] + offsets
    func block(_ width: Int) -> [UInt8] {
        var bytes = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
        for count in [0, 0, 0, times.count, types.count, 4] { bytes += big(Int64(count), 4) }
        for item in times { bytes += big(item.at, width) }
        for item in times { bytes.append(item.type) }
        for offset in types { bytes += big(Int64(offset), 4) + [0, 0] }
        return bytes + Array("ABC\0".utf8)
    }
    return block(4) + block(8) + Array("\n\(rule)\n".utf8)
}

private func seconds(_ text: String) throws -> Int64 { try #require(TimeText.parse(text)) / 1_000_000_000 }

@Suite("Time zones")
struct TimeZoneTests {
    @Test("Central Europe changes on the last Sundays of March and October at 01:00 UTC, in every year to come")
    func europe() throws {
        let rules = try TimeZoneRules(tzif: zone("CET-1CEST,M3.5.0,M10.5.0/3", offset: 3600))
        for (change, before, after) in [
            ("2026-03-29T01:00:00Z", 3600, 7200), ("2026-10-25T01:00:00Z", 7200, 3600), ("2027-03-28T01:00:00Z", 3600, 7200),
            ("2100-10-31T01:00:00Z", 7200, 3600),
        ] {
            let at = try seconds(change)
            #expect(rules.offset(at: at - 1) == Int32(before), "\(change)")
            #expect(rules.offset(at: at) == Int32(after), "\(change)")
            #expect(rules.span(at: at).from == at && rules.span(at: at - 1).until == at, "\(change)")
        }
    }

    @Test("South of the equator summer spans the new year")
    func southern() throws {
        let rules = try TimeZoneRules(tzif: zone("AEST-10AEDT,M10.1.0,M4.1.0/3", offset: 36_000))
        #expect(rules.offset(at: try seconds("2026-01-01T00:00:00Z")) == 39_600)
        #expect(rules.offset(at: try seconds("2026-07-01T00:00:00Z")) == 36_000)
        // 4 October 2026, 02:00 at +10:00.
        #expect(rules.offset(at: try seconds("2026-10-03T15:59:59Z")) == 36_000)
        #expect(rules.offset(at: try seconds("2026-10-03T16:00:00Z")) == 39_600)
    }

    @Test("Names in angle brackets, half hours, days by number and zones without summer time")
    func forms() throws {
        #expect(try TimeZoneRules(tzif: zone("<+0545>-5:45")).offset(at: 0) == 20_700)
        #expect(try TimeZoneRules(tzif: zone("EST5")).offset(at: 1_800_000_000) == -18_000)
        // J60 is 1 March in every year, 59 (from 0) is 29 February in a leap year.
        let julian = try TimeZoneRules(tzif: zone("AAA0BBB,J60/0,J300/0"))
        #expect(julian.offset(at: try seconds("2028-02-29T23:59:59Z")) == 0)
        #expect(julian.offset(at: try seconds("2028-03-01T00:00:00Z")) == 3600)
        let ordinal = try TimeZoneRules(tzif: zone("AAA0BBB,59/0,300/0"))
        #expect(ordinal.offset(at: try seconds("2028-02-29T00:00:00Z")) == 3600)
        #expect(ordinal.offset(at: try seconds("2027-03-01T00:00:00Z")) == 3600)
    }

    @Test("Listed transitions hold first, the rule after the last of them")
    func listed() throws {
        let rules = try TimeZoneRules(
            tzif: zone(
                "CET-1CEST,M3.5.0,M10.5.0/3", offset: 3208, times: [(-2_000_000_000, 1), (500_000_000, 2)], offsets: [3600, 10_800]))
        #expect(rules.offset(at: -2_000_000_001) == 3208)
        #expect(rules.offset(at: 0) == 3600)
        #expect(rules.offset(at: 500_000_000) == 10_800)
        #expect(rules.offset(at: try seconds("2026-07-01T00:00:00Z")) == 7200)
    }

    @Test("Any cut or flipped byte is refused or harmless, never a trap")
    func damaged() throws {
        let good = zone("CET-1CEST,M3.5.0,M10.5.0/3", offset: 3600, times: [(0, 1)], offsets: [7200])
        for count in 0..<good.count { #expect(throws: TimeZoneError.self) { try TimeZoneRules(tzif: Array(good[..<count])) } }
        for place in good.indices {
            for flip in [UInt8(1), 0x7F, 0x80, 0xFF] {
                var bytes = good
                bytes[place] ^= flip
                // A last change billions of years away must not be followed year by year.
                if let rules = try? TimeZoneRules(tzif: bytes) { _ = rules.offset(at: 1_800_000_000) }
            }
        }
    }

    @Test(
        "The system's own table of Berlin agrees", .enabled(if: FileManager.default.fileExists(atPath: "/usr/share/zoneinfo/Europe/Berlin"))
    )
    func system() throws {
        let rules = try TimeZoneRules(tzif: Array(Data(contentsOf: URL(fileURLWithPath: "/usr/share/zoneinfo/Europe/Berlin"))))
        let known = try #require(TimeZone(identifier: "Europe/Berlin"))
        for day in stride(from: Int64(0), to: 30_000, by: 3) {
            let at = day * 86_400 + 43_200
            #expect(Int(rules.offset(at: at)) == known.secondsFromGMT(for: Date(timeIntervalSince1970: Double(at))), "day \(day)")
        }
    }
}
