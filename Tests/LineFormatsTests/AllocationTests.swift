import CAllocationCount
import Testing

@testable import LineFormats

@Suite struct AllocationTests {
    @Test("after a warm-up no format allocates per line, good or refused")
    func noAllocation() {
        let lines = [
            "weather,host=server1,location=us-midwest temperature=82.25,humidity=30.123456789012345,up=t,s=\"x\",n=3i 1700000000123456789",
            "my\\ m,t\\ k=v f\\ k=1 1700000000", "temp 3.5 1700000000", "PUTVAL \"h/p-0/t-x\" interval=10 N:1:U 5:2:3",
            #"{"stream":"pump,site=a","time":"2014-04-01T00:00:00Z","p\u00e4":3.1,"sub":{"a":1},"l":[1,2],"s":"x"}"#,
            #"[{"name":"a","v":1},{"name":"b","v":2}]"#, "m v=abc", "{\"v\":", "m", "# comment",
        ].map { Array($0.utf8) }
        var parser = LineParser()
        var csv = CSVParser()
        feed("timestamp,a,b", &csv)
        func round() {
            for line in lines {
                line.withUnsafeBufferPointer { bytes in
                    do throws(LineError) {
                        try parser.parse(bytes)
                        for i in 0..<parser.readings.count { _ = try parser.readings.canonicalKey(i) }
                    } catch {}
                }
            }
            feed("1700000000,1.5,\"2\"", &csv)
        }
        for _ in 0..<10 { round() }
        let before = allocation_count()
        for _ in 0..<100 { round() }
        let calls = allocation_count() - before
        #expect(calls == 0, "\(calls) allocations in 100 rounds of \(lines.count + 1) lines")
        // The counter itself must be able to fail this test.
        let witness = UnsafeMutablePointer<UInt8>.allocate(capacity: 64)
        #expect(allocation_count() > before + calls)
        witness.deallocate()
    }

    private func feed(_ line: StaticString, _ csv: inout CSVParser) {
        do throws(LineError) {
            try csv.parse(UnsafeBufferPointer(start: line.utf8Start, count: line.utf8CodeUnitCount))
        } catch {
            Issue.record("\(error)")
        }
    }
}
