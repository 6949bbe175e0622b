import Glibc

/// Numbers against strtod, timestamps against 128-bit arithmetic and against their own text.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzNumbers(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    withInput(data, size) { text in
        guard let base = text.baseAddress else { return }
        let b = Bytes(base: base, count: text.count)
        checkNumber(b)
        checkTime(b)
        _ = Timestamp.calendar(b, 0, b.count)
        for unit in [TimeUnit.seconds, .milliseconds, .microseconds, .nanoseconds] {
            var next = 0
            _ = Timestamp.number(b, 0, unit, next: &next)
        }
    }
}

private func checkNumber(_ b: Bytes) {
    var number = DecimalNumber()
    guard number.scan(b, 0) else { return }
    var text = (0..<number.next).map { CChar(bitPattern: b[$0]) }
    text.append(0)
    precondition(strtod(text, nil).bitPattern == number.value.bitPattern, "rounds as strtod does")
}

private func checkTime(_ b: Bytes) {
    var next = 0
    guard let time = Timestamp.number(b, 0, .byMagnitude, next: &next) else { return }
    precondition(next > 0 && next <= b.count)
    var writer = LineProtocolWriter()
    _ = writer.begin(measurement: "m")
    writer.field("f", 1)
    writer.end(timeNanoseconds: time)
    var parser = LineParser(format: .influx)
    writer.bytes.withUnsafeBufferPointer { line in
        do throws(LineError) {
            try parser.parse(line)
            precondition(parser.readings.time(0) == time, "a written time reads back")
        } catch {
            preconditionFailure("cannot read a written time: \(error)")
        }
    }
}
