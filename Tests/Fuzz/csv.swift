/// A CSV file: header and rows.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCSV(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    withInput(data, size) { file in
        var second = LineParser(format: .influx)
        var parser = CSVParser()
        for line in file.split(separator: 0x0A, omittingEmptySubsequences: false) {
            let line = UnsafeBufferPointer(rebasing: line)
            do throws(LineError) {
                try parser.parse(line)
                checkLaws(&parser.readings, &second)
            } catch {
                precondition(parser.readings.count == 0, "no reading beside an error")
                checkError(error, line.count)
            }
        }
    }
}
