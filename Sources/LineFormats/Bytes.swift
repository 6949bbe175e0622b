/// A bounds-checked view of bytes owned by somebody else.
///
/// The parsers read input only through this subscript, so an index error of ours stops the process instead of reading
/// foreign memory; it is checked in release builds too.
@usableFromInline
struct Bytes {
    @usableFromInline let base: UnsafePointer<UInt8>
    @usableFromInline let count: Int

    @inline(always)
    init(base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        self.count = count
    }

    @inline(always)
    subscript(i: Int) -> UInt8 {
        precondition(UInt(bitPattern: i) < UInt(bitPattern: count))
        return base[i]
    }

    /// The byte at `i`, or 0 beyond the end: one comparison is bound check and loop end in one. No grammar here contains NUL.
    @inline(always)
    func peek(_ i: Int) -> UInt8 {
        UInt(bitPattern: i) < UInt(bitPattern: count) ? base[i] : 0
    }

    /// The eight bytes from `i`, first byte lowest. `i + 8` must not be beyond the end.
    @inline(always)
    func word(_ i: Int) -> UInt64 {
        precondition(i >= 0 && i &+ 8 <= count)
        return UInt64(littleEndian: UnsafeRawPointer(base + i).loadUnaligned(as: UInt64.self))
    }

    /// The same bytes up to `end`.
    @inline(always)
    func prefix(_ end: Int) -> Bytes {
        precondition(end >= 0 && end <= count)
        return Bytes(base: base, count: end)
    }

    /// Index of the first byte that is not an ordinary printable ASCII character of a name: `=`, `,`, `\`, space, control or
    /// beyond ASCII.
    @inline(always)
    func plainRunEnd(_ start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var i = start
        // Eight bytes at once, see LineParser.headEnd; the subtraction of 0x21 finds the bytes below it.
        while i &+ 8 <= count {
            let word = self.word(i)
            let equals = word ^ (ones &* UInt64(Ascii.equals))
            let commas = word ^ (ones &* UInt64(Ascii.comma))
            let slashes = word ^ (ones &* UInt64(Ascii.backslash))
            let deletes = word ^ (ones &* UInt64(Ascii.delete))
            let marks = ((equals &- ones) & ~equals) | ((commas &- ones) & ~commas) | ((slashes &- ones) & ~slashes)
            let others = ((word &- (ones &* 0x21)) & ~word) | ((deletes &- ones) & ~deletes) | word
            let found = (marks | others) & (ones &* 0x80)
            if found != 0 { return i &+ (found.trailingZeroBitCount &>> 3) }
            i &+= 8
        }
        while i < count {
            let byte = self[i]
            if byte <= Ascii.space || byte >= Ascii.delete || byte == Ascii.equals || byte == Ascii.comma || byte == Ascii.backslash {
                break
            }
            i &+= 1
        }
        return i
    }

    func skipBlanks(_ start: Int) -> Int {
        var i = start
        while i < count, self[i] == Ascii.space || self[i] == Ascii.tab { i += 1 }
        return i
    }

    /// The first space or tab at or after `start`, or the end.
    func tokenEnd(_ start: Int) -> Int {
        var i = start
        while i < count, self[i] != Ascii.space, self[i] != Ascii.tab { i += 1 }
        return i
    }

    /// Whether the bytes `start ..< end` are `word`, ASCII letters compared without case.
    func equalsIgnoringCase(_ start: Int, _ end: Int, _ word: StaticString) -> Bool {
        guard end - start == word.utf8CodeUnitCount else { return false }
        for k in 0..<(end - start) where Ascii.lowered(self[start + k]) != word.utf8Start[k] { return false }
        return true
    }

    /// Whether the bytes `start ..< end` are exactly `word`.
    func equals(_ start: Int, _ end: Int, _ word: StaticString) -> Bool {
        guard end - start == word.utf8CodeUnitCount else { return false }
        for k in 0..<(end - start) where self[start + k] != word.utf8Start[k] { return false }
        return true
    }

    /// An error at index `start`, with the bytes up to `end` as excerpt.
    @inline(never)
    func error(_ reason: LineError.Reason, _ start: Int, _ end: Int, _ object: StaticString, _ expected: StaticString) -> LineError {
        LineError(reason, column: start + 1, object: object, expected: expected, excerpt: InlineText(self, start, end))
    }
}

/// The bytes that mean something to a parser.
enum Ascii {
    static let tab: UInt8 = 0x09
    static let newline: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let hash: UInt8 = 0x23
    static let plus: UInt8 = 0x2B
    static let comma: UInt8 = 0x2C
    static let minus: UInt8 = 0x2D
    static let dot: UInt8 = 0x2E
    static let slash: UInt8 = 0x2F
    static let zero: UInt8 = 0x30
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let equals: UInt8 = 0x3D
    static let leftBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let rightBracket: UInt8 = 0x5D
    static let leftBrace: UInt8 = 0x7B
    static let rightBrace: UInt8 = 0x7D
    static let delete: UInt8 = 0x7F

    static func lowered(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
    static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }
    static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab || byte == carriageReturn || byte == newline }
}
