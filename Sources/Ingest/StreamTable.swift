import Glibc
import LineFormats
import Readings

/// One channel of a stream as the ingest side knows it.
struct ChannelInfo {
    var nameOffset: UInt32
    var nameLength: UInt32
    /// Time of the newest accepted value.
    var lastTime: Int64
}

/// One stream as the ingest side knows it.
struct StreamInfo {
    /// The first channel, in place: most streams have one, and with a million of them every byte counts. It lies at offset 0.
    var first = ChannelInfo(nameOffset: 0, nameLength: 0, lastTime: .min)
    /// Time of the newest accepted reading; Int64.min before the first.
    var lastTime: Int64 = .min
    /// The fleet clock of the newest accepted reading, for eviction.
    var lastClock: Int64 = 0
    /// A reading that follows after more than this (nanoseconds) may have come before others that belong between: Int64.max: none may;
    /// Int64.min: not known yet.
    var gapMax: Int64 = .max
    /// The channels after the first.
    var others: UnsafeMutablePointer<ChannelInfo>?
    var channelCount: UInt16 = 0
    /// Room in `others`.
    var channelCapacity: UInt16 = 0
    /// Other spellings of the key that are in the table.
    var aliasCount: UInt8 = 0
    var isIgnored = false
    /// The group whose false-alarm budget it shares; 0 for none.
    var budgetGroup: UInt16 = 0
    var isPresent = false
    /// Place in the intake's list of zones: whose clock times without a zone are.
    var zone: UInt8 = 0
    /// The configuration says something about values of its channels.
    var isChecked = false
    /// Readings taken since the start, to 2^32.
    var taken: UInt32 = 0
}

/// The channels of one stream.
struct ChannelList {
    fileprivate let first: UnsafeMutablePointer<ChannelInfo>
    fileprivate let others: UnsafeMutablePointer<ChannelInfo>
    let count: Int
    fileprivate let names: UnsafeMutablePointer<UInt8>

    subscript(index: Int) -> UnsafeMutablePointer<ChannelInfo> {
        @inline(__always) get { index == 0 ? first : others + (index - 1) }
    }

    /// The channel of that name, trying `guess` first; nil when the stream has none.
    @inline(__always)
    func find(_ name: UnsafeBufferPointer<UInt8>, guess: Int) -> Int? {
        guard let base = name.baseAddress else { return nil }
        if guess < count, isNamed(guess, base, name.count) { return guess }
        for index in 0..<count where isNamed(index, base, name.count) { return index }
        return nil
    }

    @inline(__always)
    private func isNamed(_ index: Int, _ name: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        let channel = self[index].pointee
        guard Int(channel.nameLength) == length else { return false }
        let known = names + Int(channel.nameOffset)
        // Most names are shorter than a call of the library is worth.
        guard length <= 8 else { return memcmp(known, name, length) == 0 }
        var place = 0
        while place < length, known[place] == name[place] { place &+= 1 }
        return place == length
    }
}

/// From the bytes that name a stream to its number: open addressing over interned keys, no allocation on a hit.
///
/// Ids are given in the order of `StreamNumber` and never used twice. A stream may be known by several spellings (tags in another order), at most
/// `aliasesMax`; further spellings are made canonical every time.
struct StreamTable: ~Copyable {
    private struct Slot {
        var hash: UInt32
        /// Number of the key; 0: free; UInt32.max: was removed.
        var key: UInt32
    }
    private struct Key {
        /// Where its bytes are: this many times `keyAlignment` from the start of the arena.
        var place: UInt32
        /// Bytes of the key (0: its stream is gone), and above `tailShift` of what follows it.
        private var lengths: UInt32
        var stream: UInt32
        /// The key that came after this one the last time.
        var next: UInt32 = 0

        init(place: UInt32, length: Int, stream: UInt32) {
            (self.place, self.stream) = (place, stream)
            lengths = UInt32(truncatingIfNeeded: length)
        }

        private static let tailShift: UInt32 = 24
        static let lengthMax = 1 << 24 - 1
        static let tailMax = 255

        var length: Int { Int(lengths & 0xFF_FFFF) }
        /// Bytes of ` name=` after the key, the name of the stream's first channel; 0: they are not there.
        var tail: Int {
            get { Int(lengths &>> Self.tailShift) }
            set { lengths = lengths & 0xFF_FFFF | UInt32(truncatingIfNeeded: newValue) &<< Self.tailShift }
        }
        mutating func forget() { lengths = 0 }
    }
    private static let keyAlignment = 16

    private var slots: UnsafeMutablePointer<Slot>
    private var slotMask: Int
    private var slotsUsed = 0
    /// From 1; what lies at 0 is no key.
    private var keys: UnsafeMutablePointer<Key>
    private var keyCount = 0
    private var keyCapacity: Int
    /// The key that was used last.
    private var lastKey: UInt32 = 0
    /// The key that is likely to come next, as fleets send their streams in turn: it came after the one used last the last time. Valid
    /// until a stream comes or goes; empty for none and for one with a space or a backslash.
    private(set) var expected = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    /// How a line of it with its stream's first channel begins: `expected`, a space, the channel's name and `=`. Empty: not known.
    private(set) var expectedHead = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    private var arena: UnsafeMutablePointer<UInt8>
    private var arenaUsed = 0
    private var arenaCapacity: Int
    private let seed: UInt64
    private(set) var infos: UnsafeMutablePointer<StreamInfo>
    private var infoCapacity: Int
    /// The highest id of a stream so far.
    private(set) var lastID: UInt32 = 0
    /// The turn of `StreamNumber` in which the last id was given.
    private var lastTurn = 0
    /// Streams present.
    private(set) var count = 0

    static let aliasesMax: UInt8 = 8

    /// - Parameter seed: makes collisions unpredictable; ids do not depend on it.
    init(seed: UInt64) {
        self.seed = seed
        slotMask = 1023
        slots = .allocate(capacity: 1024)
        slots.initialize(repeating: Slot(hash: 0, key: 0), count: 1024)
        keyCapacity = 1024
        keys = .allocate(capacity: keyCapacity)
        keys[0] = Key(place: 0, length: 0, stream: 0)
        arenaCapacity = 1 << 16
        arena = .allocate(capacity: arenaCapacity)
        infoCapacity = 1024
        infos = .allocate(capacity: infoCapacity)
        infos.initialize(repeating: StreamInfo(), count: infoCapacity)
    }

    deinit {
        for id in 0..<infoCapacity { infos[id].others?.deallocate() }
        infos.deallocate()
        slots.deallocate()
        keys.deallocate()
        arena.deallocate()
    }

    /// The stream of `expected`.
    var expectedStream: UInt32 {
        @inline(__always) get { keys[Int(keys[Int(lastKey)].next)].stream }
    }

    /// The stream of `expected`, which was met.
    @inline(__always)
    mutating func takeExpected() -> UInt32 {
        use(keys[Int(lastKey)].next)
        return keys[Int(lastKey)].stream
    }

    @inline(__always)
    private mutating func use(_ key: UInt32) {
        lastKey = key
        let next = keys[Int(keys[Int(key)].next)]
        let bytes = arena + Int(next.place) * StreamTable.keyAlignment
        expected = UnsafeBufferPointer(start: bytes, count: next.length)
        expectedHead = UnsafeBufferPointer(start: bytes, count: next.tail > 0 ? next.length &+ next.tail : 0)
    }

    /// The stream of these bytes; 0 when they are not known.
    @inline(__always)
    mutating func find(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        let hash = hash(key)
        var place = Int(hash) & slotMask
        while true {
            let slot = slots[place]
            if slot.key == 0 { return 0 }
            if slot.hash == hash, slot.key != .max {
                let known = keys[Int(slot.key)]
                let bytes = arena + Int(known.place) * StreamTable.keyAlignment
                if known.length == key.count, let base = key.baseAddress, memcmp(bytes, base, key.count) == 0 {
                    if keys[Int(lastKey)].next != slot.key { keys[Int(lastKey)].next = StreamTable.isPlain(key) ? slot.key : 0 }
                    use(slot.key)
                    return known.stream
                }
            }
            place = (place + 1) & slotMask
        }
    }

    private static func isPlain(_ key: UnsafeBufferPointer<UInt8>) -> Bool { !key.contains { $0 == 32 || $0 == 92 } }

    /// Adds a stream under its canonical key and returns its id: the next one, or `id` when restoring.
    mutating func add(canonical key: UnsafeBufferPointer<UInt8>, id: UInt32? = nil) -> UInt32 {
        let stream = id ?? nextID()
        lastID = max(lastID, stream)
        if Int(stream) >= infoCapacity { growInfos(atLeast: Int(stream) + 1) }
        infos[Int(stream)] = StreamInfo()
        infos[Int(stream)].isPresent = true
        count += 1
        insert(key, stream)
        return stream
    }

    private mutating func nextID() -> UInt32 {
        repeat { lastTurn += 1 } while StreamNumber.given(inTurn: lastTurn) == 0
        return StreamNumber.given(inTurn: lastTurn)
    }

    /// Makes sure that no id of a turn up to `turn` is given again.
    mutating func reserve(turnsThrough turn: Int) { lastTurn = max(lastTurn, turn) }

    /// Remembers another spelling of a stream's key, if there is room for one.
    mutating func addAlias(_ key: UnsafeBufferPointer<UInt8>, of stream: UInt32) {
        guard infos[Int(stream)].aliasCount < StreamTable.aliasesMax else { return }
        infos[Int(stream)].aliasCount += 1
        insert(key, stream)
    }

    /// Makes a stream unknown. Its keys' bytes stay in the arena until a restart.
    mutating func remove(_ stream: UInt32) { remove([stream]) }

    /// Makes streams unknown, all in one pass.
    mutating func remove(_ streams: Set<UInt32>) {
        forgetKeys(streams)
        for stream in streams where infos[Int(stream)].isPresent {
            infos[Int(stream)].others?.deallocate()
            infos[Int(stream)] = StreamInfo()
            count -= 1
        }
    }

    /// Gives a stream another canonical key; its other spellings are forgotten.
    mutating func rename(_ stream: UInt32, canonical key: UnsafeBufferPointer<UInt8>) {
        forgetKeys([stream])
        infos[Int(stream)].aliasCount = 0
        insert(key, stream)
    }

    private mutating func forgetKeys(_ streams: Set<UInt32>) {
        forgetExpected()
        for place in 0...slotMask where slots[place].key != 0 && slots[place].key != .max {
            guard streams.contains(keys[Int(slots[place].key)].stream) else { continue }
            keys[Int(slots[place].key)].forget()
            slots[place].key = .max
        }
    }

    /// The present stream that was silent longest; nil when there is none.
    func silentLongest() -> UInt32? {
        var best: UInt32?
        for id in 1...max(1, Int(lastID)) where id <= Int(lastID) && infos[id].isPresent {
            if best.map({ infos[id].lastClock < infos[Int($0)].lastClock }) ?? true { best = UInt32(id) }
        }
        return best
    }

    /// The channels of a stream, until one is added or the stream goes.
    @inline(__always)
    func channels(of stream: UInt32) -> ChannelList {
        let info = infos + Int(stream)
        let first = UnsafeMutableRawPointer(info).assumingMemoryBound(to: ChannelInfo.self)
        return ChannelList(first: first, others: info.pointee.others ?? first, count: Int(info.pointee.channelCount), names: arena)
    }

    /// Adds a channel. nil when the name arena is full (4 GiB).
    mutating func addChannel(_ stream: UInt32, _ name: UnsafeBufferPointer<UInt8>, lastTime: Int64 = .min) -> Int? {
        forgetExpected()
        guard arenaUsed + name.count + 2 < Int(UInt32.max) else { return nil }
        let index = Int(infos[Int(stream)].channelCount)
        // The first channel of a stream that was just added completes its key to what a line begins with.
        let offset = index == 0 && keys[keyCount].stream == stream ? storeTail(name) ?? store(name) : store(name)
        if index > 0, index > Int(infos[Int(stream)].channelCapacity) {
            let capacity = max(3, (index - 1) * 2)
            let grown = UnsafeMutablePointer<ChannelInfo>.allocate(capacity: capacity)
            if let old = infos[Int(stream)].others {
                grown.update(from: old, count: index - 1)
                old.deallocate()
            }
            infos[Int(stream)].others = grown
            infos[Int(stream)].channelCapacity = UInt16(clamping: capacity)
        }
        channels(of: stream)[index].pointee = ChannelInfo(
            nameOffset: UInt32(offset), nameLength: UInt32(name.count), lastTime: lastTime)
        infos[Int(stream)].channelCount += 1
        return index
    }

    // MARK: - Storage

    private mutating func insert(_ key: UnsafeBufferPointer<UInt8>, _ stream: UInt32) {
        forgetExpected()
        if (slotsUsed + 1) * 2 > slotMask { growSlots() }
        if keyCount + 1 == keyCapacity { growKeys() }
        keyCount += 1
        let offset = store(key, alignment: StreamTable.keyAlignment)
        keys[keyCount] = Key(place: UInt32(offset / StreamTable.keyAlignment), length: key.count, stream: stream)
        place(hash(key), UInt32(keyCount))
        slotsUsed += 1
        let first = infos[Int(stream)].first
        if infos[Int(stream)].channelCount > 0 {
            // Another spelling of a stream that is known. Copied, as the arena may move.
            let name = Array(UnsafeBufferPointer(start: arena + Int(first.nameOffset), count: Int(first.nameLength)))
            _ = name.withUnsafeBufferPointer { storeTail($0) }
        }
    }

    /// Stores ` name=` right behind the newest key. nil: something else is there, or a line's beginning would not tell the name for sure.
    /// - Returns: where the name is.
    private mutating func storeTail(_ name: UnsafeBufferPointer<UInt8>) -> Int? {
        let (start, length, count) = (Int(keys[keyCount].place) * StreamTable.keyAlignment, keys[keyCount].length, name.count + 2)
        guard start + length == arenaUsed, count <= Key.tailMax, name.count > 0, UsualLine.isPlain(fieldName: name),
            StreamTable.isPlain(UnsafeBufferPointer(start: arena + start, count: length))
        else { return nil }
        let tail = [32] + Array(name) + [61]
        let offset = tail.withUnsafeBufferPointer { store($0) }
        keys[keyCount].tail = count
        return offset + 1
    }

    private mutating func place(_ hash: UInt32, _ key: UInt32) {
        var place = Int(hash) & slotMask
        while slots[place].key != 0 { place = (place + 1) & slotMask }
        slots[place] = Slot(hash: hash, key: key)
    }

    private mutating func growSlots() {
        let old = slots
        let oldCount = slotMask + 1
        let count = oldCount * 2
        slots = .allocate(capacity: count)
        slots.initialize(repeating: Slot(hash: 0, key: 0), count: count)
        slotMask = count - 1
        slotsUsed = 0
        for index in 0..<oldCount where old[index].key != 0 && old[index].key != .max {
            place(old[index].hash, old[index].key)
            slotsUsed += 1
        }
        old.deallocate()
    }

    private mutating func forgetExpected() {
        expected = UnsafeBufferPointer(start: nil, count: 0)
        expectedHead = expected
    }

    private mutating func growKeys() {
        let grown = UnsafeMutablePointer<Key>.allocate(capacity: keyCapacity * 2)
        grown.update(from: keys, count: keyCount + 1)
        keys.deallocate()
        keys = grown
        keyCapacity *= 2
    }

    private mutating func growInfos(atLeast needed: Int) {
        let capacity = max(needed, infoCapacity * 2)
        let grown = UnsafeMutablePointer<StreamInfo>.allocate(capacity: capacity)
        grown.update(from: infos, count: infoCapacity)
        (grown + infoCapacity).initialize(repeating: StreamInfo(), count: capacity - infoCapacity)
        infos.deallocate()
        infos = grown
        infoCapacity = capacity
    }

    private mutating func store(_ bytes: UnsafeBufferPointer<UInt8>, alignment: Int = 1) -> Int {
        arenaUsed = (arenaUsed + alignment - 1) / alignment * alignment
        if arenaUsed + bytes.count > arenaCapacity {
            let capacity = max(arenaCapacity * 2, arenaUsed + bytes.count)
            let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
            grown.update(from: arena, count: arenaUsed)
            arena.deallocate()
            arena = grown
            arenaCapacity = capacity
        }
        defer { arenaUsed += bytes.count }
        if let base = bytes.baseAddress { (arena + arenaUsed).update(from: base, count: bytes.count) }
        return arenaUsed
    }

    /// Multiply-and-fold over 8 bytes a step, seeded.
    @inline(__always)
    private func hash(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        var value = seed ^ UInt64(truncatingIfNeeded: key.count)
        let raw = UnsafeRawBufferPointer(key)
        var index = 0
        while index + 8 <= raw.count {
            value = StreamTable.fold(value ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        var rest: UInt64 = 0
        while index < raw.count {
            rest = rest << 8 | UInt64(raw[index])
            index += 1
        }
        value = StreamTable.fold(value ^ rest)
        return UInt32(truncatingIfNeeded: value ^ value >> 32)
    }

    @inline(__always)
    private static func fold(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}
