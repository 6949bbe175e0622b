import CAllocationCount
import Testing

@testable import LineFormats

@Suite struct AllocationTests {
    // Good lines only: the test library looks at every throw of the process and allocates itself when it does.
    @Test("after a warm-up no format allocates per line", .enabled(if: allocations_are_counted() != 0))
    func noAllocation() {
        let lines = [
            "weather,host=server1,location=us-midwest temperature=82.25,humidity=30.123456789012345,up=t,s=\"x\",n=3i 1700000000123456789",
            "my\\ m,t\\ k=v f\\ k=1 1700000000", "temp 3.5 1700000000", "PUTVAL \"h/p-0/t-x\" interval=10 N:1:U 5:2:3",
            #"{"stream":"pump,site=a","time":"2014-04-01T00:00:00Z","p\u00e4":3.1,"sub":{"a":1},"l":[1,2],"s":"x"}"#,
            #"[{"name":"a","v":1},{"name":"b","v":2}]"#, "# comment", "",
        ].map { Array($0.utf8) }
        var parser = LineParser()
        var csv = CSVParser()
        feed("timestamp,a,b", &csv)
        var calls: UInt64 = 0
        for round in 0..<110 {
            for line in lines {
                let counted = line.withUnsafeBufferPointer { allocations(of: $0, &parser) }
                if round >= 10 { calls += counted }
            }
            let before = allocation_count()
            feed("1700000000,1.5,\"2\"", &csv)
            if round >= 10 { calls += allocation_count() - before }
        }
        #expect(calls == 0, "\(calls) allocations in 100 rounds of \(lines.count + 1) lines")
        // The counter itself must be able to fail this test.
        let before = allocation_count()
        let witness = UnsafeMutablePointer<UInt8>.allocate(capacity: 64)
        let counted = allocation_count() - before
        witness.deallocate()
        #expect(counted == 1)
    }

    /// Allocations of this thread while a line is parsed and its keys are made.
    private func allocations(of line: UnsafeBufferPointer<UInt8>, _ parser: inout LineParser) -> UInt64 {
        let before = allocation_count()
        do throws(LineError) {
            try parser.parse(line)
            for i in 0..<parser.readings.count { _ = try parser.readings.canonicalKey(i) }
        } catch {}
        return allocation_count() - before
    }

    private func feed(_ line: StaticString, _ csv: inout CSVParser) {
        do throws(LineError) {
            try csv.parse(UnsafeBufferPointer(start: line.utf8Start, count: line.utf8CodeUnitCount))
        } catch {
            Issue.record("\(error)")
        }
    }
}
