/// Sniffed lines (line protocol, collectd, plain, Prometheus), cut out of the input by the splitter in two different ways.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzText(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    withInput(data, size) { input in
        let whole = lines(of: input, chunk: max(size, 1))
        precondition(lines(of: input, chunk: 3) == whole, "chunks change nothing")
        for line in whole {
            guard let line else { continue }
            line.withUnsafeBufferPointer {
                checkLine($0, nil)
                checkLine($0, .collectd)
                checkLine($0, .prometheus)
                checkLine($0, nil, defaultStream: [0x64])
            }
        }
    }
}

/// All lines, nil for one that is too long, when the bytes arrive `chunk` at a time.
private func lines(of input: UnsafeBufferPointer<UInt8>, chunk: Int) -> [[UInt8]?] {
    var splitter = LineSplitter(lineBytesMax: 64)
    var held: [UInt8] = []
    var found: [[UInt8]?] = []
    var arrived = 0
    while true {
        let cut = held.withUnsafeBufferPointer { splitter.next($0, atEnd: arrived == input.count) }
        switch cut {
        case .line(let length, let used):
            found.append(Array(held[..<length]))
            held.removeFirst(used)
        case .tooLong(let used):
            found.append(nil)
            held.removeFirst(used)
        case .more(let used):
            held.removeFirst(used)
            if used > 0 { continue }
            if arrived == input.count { return found }
            let more = min(chunk, input.count - arrived)
            held.append(contentsOf: input[arrived..<arrived + more])
            arrived += more
        }
    }
}
