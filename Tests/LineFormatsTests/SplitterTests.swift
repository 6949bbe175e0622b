import Testing

@testable import LineFormats

@Suite struct SplitterTests {
    /// Lines as the splitter cuts them when bytes arrive in chunks; nil stands for one that is too long.
    private func cut(_ input: [UInt8], chunk: Int, lineBytesMax: Int, holdMax: inout Int) -> [[UInt8]?] {
        var splitter = LineSplitter(lineBytesMax: lineBytesMax)
        var held: [UInt8] = []
        var found: [[UInt8]?] = []
        var arrived = 0
        while true {
            let step = held.withUnsafeBufferPointer { splitter.next($0, atEnd: arrived == input.count) }
            switch step {
            case .line(let length, let used):
                found.append(Array(held[..<length]))
                held.removeFirst(used)
            case .tooLong(let used):
                found.append(nil)
                held.removeFirst(used)
            case .more(let used):
                held.removeFirst(used)
                if used > 0 { continue }
                if arrived == input.count {
                    #expect(splitter.lineNumber == found.count)
                    return found
                }
                let more = min(chunk, input.count - arrived)
                held += input[arrived..<arrived + more]
                arrived += more
                holdMax = max(holdMax, held.count)
            }
        }
    }

    /// The same by definition: cut at newlines, take one carriage return away, compare lengths.
    private func reference(_ input: [UInt8], lineBytesMax: Int) -> [[UInt8]?] {
        var lines = input.split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init)
        if lines.last == [] { lines.removeLast() }
        return lines.map { line in
            let bare = line.last == 0x0D ? Array(line.dropLast()) : line
            return bare.count > lineBytesMax ? nil : bare
        }
    }

    @Test("any chunking of any bytes gives the lines that cutting at newlines gives, in a buffer of lineBytesMax + 2 + chunk")
    func chunks() {
        var random = SplitMix(state: 3)
        for round in 0..<400 {
            let alphabet: [UInt8] = [0x0A, 0x0D, 0x61, 0x62, 0x61, 0x62, 0x00]
            let input = (0..<Int.random(in: 0...200, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            let chunk = Int.random(in: 1...30, using: &random)
            var holdMax = 0
            let found = cut(input, chunk: chunk, lineBytesMax: 8, holdMax: &holdMax)
            #expect(found == reference(input, lineBytesMax: 8), "round \(round), seed 3")
            #expect(holdMax <= 8 + 2 + chunk)
        }
    }

    @Test("a megabyte without newline is one line too long, and the line after it is read")
    func megabyte() {
        let input = [UInt8](repeating: 0x78, count: 1 << 20) + Array("\nm v=1".utf8)
        var holdMax = 0
        let found = cut(input, chunk: 4096, lineBytesMax: 65_536, holdMax: &holdMax)
        #expect(found == [nil, Array("m v=1".utf8)])
        #expect(holdMax <= 65_536 + 2 + 4096)
    }
}
