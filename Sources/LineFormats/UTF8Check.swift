/// UTF-8 by the table of the Unicode standard (well-formed byte sequences, table 3-7): no overlong forms, no surrogates,
/// nothing above U+10FFFF.
enum UTF8Check {
    /// What a name consists of.
    enum Verdict { case fine, control, malformed }

    /// Length of the well-formed sequence at `i`, at most up to `end`; 0 when it is malformed.
    static func sequenceLength(_ b: Bytes, _ i: Int, _ end: Int) -> Int {
        let lead = b[i]
        switch lead {
        case 0..<0x80: return 1
        case 0xC2...0xDF: return continues(b, i, end, 1, 0x80, 0xBF) ? 2 : 0
        case 0xE0: return continues(b, i, end, 2, 0xA0, 0xBF) ? 3 : 0
        case 0xED: return continues(b, i, end, 2, 0x80, 0x9F) ? 3 : 0
        case 0xE1...0xEF: return continues(b, i, end, 2, 0x80, 0xBF) ? 3 : 0
        case 0xF0: return continues(b, i, end, 3, 0x90, 0xBF) ? 4 : 0
        case 0xF1...0xF3: return continues(b, i, end, 3, 0x80, 0xBF) ? 4 : 0
        case 0xF4: return continues(b, i, end, 3, 0x80, 0x8F) ? 4 : 0
        default: return 0
        }
    }

    /// Judges the bytes `start ..< end` as a name; `place` receives the index of the first offence.
    ///
    /// Control characters are U+0000 ... U+001F, U+007F and U+0080 ... U+009F: terminals obey them.
    static func judge(_ b: Bytes, _ start: Int, _ end: Int, place: inout Int) -> Verdict {
        var i = start
        while i < end {
            let byte = b[i]
            place = i
            if byte < 0x20 || byte == Ascii.delete { return .control }
            let length = sequenceLength(b, i, end)
            if length == 0 { return .malformed }
            if byte == 0xC2, b[i + 1] < 0xA0 { return .control }
            i += length
        }
        return .fine
    }

    private static func continues(_ b: Bytes, _ i: Int, _ end: Int, _ count: Int, _ low: UInt8, _ high: UInt8) -> Bool {
        guard i + count < end, b[i + 1] >= low, b[i + 1] <= high else { return false }
        for k in 1..<(count + 1) where b[i + k] & 0xC0 != 0x80 { return false }
        return true
    }
}
