/// A growing array of plain values, owned by one parser, emptied but never freed between lines.
///
/// Grows by doubling, so that after the first few lines nothing is allocated any more. Reads and writes are bounds-checked
/// in release builds.
@usableFromInline
struct Arena<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline var base: UnsafeMutablePointer<Element>
    @usableFromInline var count: Int
    @usableFromInline var capacity: Int

    init(capacity: Int) {
        self.base = UnsafeMutablePointer<Element>.allocate(capacity: max(capacity, 1))
        self.count = 0
        self.capacity = max(capacity, 1)
    }

    @inlinable deinit { base.deallocate() }

    @inlinable
    @inline(always)
    subscript(i: Int) -> Element {
        get {
            precondition(UInt(bitPattern: i) < UInt(bitPattern: count))
            return base[i]
        }
        set {
            precondition(UInt(bitPattern: i) < UInt(bitPattern: count))
            base[i] = newValue
        }
    }

    @inline(always)
    mutating func append(_ element: Element) {
        if count == capacity { grow(1) }
        (base + count).initialize(to: element)
        count &+= 1
    }

    /// Appends `more` elements read from `source`, which must not lie in this arena.
    mutating func append(contentsOf source: UnsafePointer<Element>, count more: Int) {
        if count + more > capacity { grow(more) }
        (base + count).initialize(from: source, count: more)
        count += more
    }

    /// Forgets all elements from index `newCount` on.
    mutating func truncate(_ newCount: Int) {
        precondition(newCount >= 0 && newCount <= count)
        count = newCount
    }

    @inline(never)
    mutating func grow(_ more: Int) {
        let wider = max(capacity * 2, count + more)
        let moved = UnsafeMutablePointer<Element>.allocate(capacity: wider)
        moved.moveInitialize(from: base, count: count)
        base.deallocate()
        base = moved
        capacity = wider
    }
}
