// What must hold after every parse, whatever the bytes were. Compiled together with the sources of LineFormats, so that a
// broken law is a trap that libFuzzer keeps as a finding.

/// Checks the readings of the last line, and that each survives being written as line protocol and read again.
func checkLaws(_ readings: inout ReadingBuffer, _ second: inout LineParser) {
    var writer = LineProtocolWriter()
    for i in 0..<readings.count {
        precondition(readings.fieldCount(i) > 0, "a reading has a field")
        var isWritable = true
        do throws(LineError) {
            writer.bytes.removeAll(keepingCapacity: true)
            writer.begin(canonicalKey: try readings.canonicalKey(i))
        } catch {
            precondition(error.column > 0 && !error.description.isEmpty)
            isWritable = false
        }
        for j in 0..<readings.fieldCount(i) {
            precondition(readings.fieldValue(i, j).isFinite, "values are finite")
            let name = readings.fieldName(i, j)
            precondition(name.count > 0 && String(validating: name, as: UTF8.self) != nil, "names are UTF-8")
            precondition(writer.field(name, readings.fieldValue(i, j)), "what was read can be written")
        }
        if isWritable { checkRoundTrip(&readings, i, &writer, &second) }
    }
}

private func checkRoundTrip(_ readings: inout ReadingBuffer, _ i: Int, _ writer: inout LineProtocolWriter, _ second: inout LineParser) {
    precondition(writer.end(timeNanoseconds: readings.time(i)))
    guard writer.bytes.count <= 128 * 1024 else { return }
    writer.bytes.withUnsafeBufferPointer { line in
        do throws(LineError) {
            try second.parse(line)
            precondition(second.readings.count == 1 && second.readings.time(0) == readings.time(i), "time survives")
            precondition(second.readings.fieldCount(0) == readings.fieldCount(i), "fields survive")
            for j in 0..<readings.fieldCount(i) {
                precondition(second.readings.fieldValue(0, j).bitPattern == readings.fieldValue(i, j).bitPattern, "values survive")
                precondition(second.readings.fieldName(0, j).elementsEqual(readings.fieldName(i, j)), "names survive")
            }
            let again = try second.readings.canonicalKey(0)
            precondition(again.elementsEqual(second.readings.rawKey(0)), "a canonical key is its own canonical key")
        } catch {
            preconditionFailure("cannot read what was written: \(error)")
        }
    }
}

/// Runs `body` with the fuzzer's bytes.
func withInput(_ data: UnsafePointer<UInt8>, _ size: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Void) -> Int32 {
    body(UnsafeBufferPointer(start: size == 0 ? nil : data, count: size))
    return 0
}

/// Parses `line` in `format` and checks the laws; an error must have a column within the line.
func checkLine(_ line: UnsafeBufferPointer<UInt8>, _ format: LineFormat?, defaultStream: [UInt8] = []) {
    var second = LineParser(format: .influx)
    var parser = LineParser(format: format, defaultStream: defaultStream)
    do throws(LineError) {
        try parser.parse(line)
        for refusal in parser.readings.refusals { checkError(refusal, line.count) }
        checkLaws(&parser.readings, &second)
        if format == nil || format == .influx { checkExpected(line, &parser) }
    } catch {
        precondition(parser.readings.count == 0, "no reading beside an error")
        checkError(error, line.count)
    }
}

/// The line read again with its own key expected, and as a usual line: the same readings.
private func checkExpected(_ line: UnsafeBufferPointer<UInt8>, _ parser: inout LineParser) {
    guard parser.readings.count == 1 else { return }
    let key = Array(parser.readings.rawKey(0))
    guard !key.contains(where: { $0 == 32 || $0 == 92 }) else { return }
    let fields = (0..<parser.readings.fieldCount(0)).map {
        (Array(parser.readings.fieldName(0, $0)), parser.readings.fieldValue(0, $0).bitPattern)
    }
    let (time, format) = (parser.readings.time(0), parser.format)
    key.withUnsafeBufferPointer { key in
        guard (try? parser.parse(line, expecting: key)) != nil else { preconditionFailure("a line is good whatever was expected") }
        precondition(
            parser.readings.count == 1 && parser.format == format && parser.readings.time(0) == time
                && parser.readings.rawKey(0).elementsEqual(key))
        precondition(parser.readings.fieldCount(0) == fields.count)
        for (place, field) in fields.enumerated() {
            precondition(
                parser.readings.fieldName(0, place).elementsEqual(field.0) && parser.readings.fieldValue(0, place).bitPattern == field.1)
        }
        guard fields.count == 1, fields[0].0.withUnsafeBufferPointer({ UsualLine.isPlain(fieldName: $0) }) else { return }
        let head = Array(key) + [32] + fields[0].0 + [61]
        let all = Array(line) + [10] + [UInt8](repeating: 49, count: 40)
        all.withUnsafeBufferPointer { all in
            head.withUnsafeBufferPointer { head in
                var any = LineParser()
                guard let usual = any.usual(all, from: 0, head: head, nameCount: fields[0].0.count) else { return }
                precondition(usual.value.bitPattern == fields[0].1 && usual.time == time && usual.end == line.count + 1)
            }
        }
    }
}

func checkError(_ error: LineError, _ lineCount: Int) {
    precondition(error.column >= 1 && error.column <= lineCount + 1, "the column is in the line")
    precondition(String(validating: error.description.utf8, as: UTF8.self) != nil)
    precondition(!error.description.utf8.contains { $0 < 0x20 }, "an error is printable")
}
