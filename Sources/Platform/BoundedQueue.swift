import Glibc

/// A first-in first-out queue between threads with a fixed capacity: a full queue makes the producer wait (back-pressure).
///
/// It carries batches, not readings, so that its lock is taken once for hundreds of readings.
public final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
    // Safety: every access to the fields below holds `mutex`.
    @usableFromInline let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    @usableFromInline let notEmpty = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    @usableFromInline let notFull = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    @usableFromInline var slots: [Element?]
    @usableFromInline var head = 0
    @usableFromInline var used = 0
    @usableFromInline var isClosed = false
    /// So many elements end the consumer's rest; 0: it does not rest.
    @usableFromInline var restEnds = 0
    /// An urgent element waits.
    @usableFromInline var hasUrgent = false
    public let capacity: Int

    @inlinable
    public init(capacity: Int) {
        self.capacity = max(1, capacity)
        slots = Array(repeating: nil, count: self.capacity)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(notEmpty, &attributes)
        pthread_cond_init(notFull, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    @inlinable
    deinit {
        pthread_cond_destroy(notEmpty)
        pthread_cond_destroy(notFull)
        pthread_mutex_destroy(mutex)
        notEmpty.deallocate()
        notFull.deallocate()
        mutex.deallocate()
    }

    /// Elements waiting now.
    @inlinable
    public var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return used
    }

    /// Waits for room, then appends. false: the queue was closed and the element was not taken.
    ///
    /// - Parameter isUrgent: ends the consumer's `rest`.
    @discardableResult
    @inlinable
    public func push(_ element: Element, isUrgent: Bool = false) -> Bool {
        pthread_mutex_lock(mutex)
        while used == capacity && !isClosed { pthread_cond_wait(notFull, mutex) }
        let isOpen = !isClosed
        if isOpen {
            slots[(head + used) % capacity] = element
            used += 1
            if isUrgent { hasUrgent = true }
        }
        let wakes = isOpen && (restEnds == 0 || isUrgent || used >= restEnds)
        pthread_mutex_unlock(mutex)
        // With the lock free, so that who wakes need not wait for it.
        if wakes { pthread_cond_signal(notEmpty) }
        return isOpen
    }

    /// Waits at most `timeoutNanoseconds` (negative: for ever) for an element. nil: timeout, or closed and drained.
    @inlinable
    public func pop(timeoutNanoseconds: Int64 = -1) -> Element? {
        let element = popLocked(timeoutNanoseconds)
        if element != nil { pthread_cond_signal(notFull) }
        return element
    }

    @inlinable
    func popLocked(_ timeoutNanoseconds: Int64) -> Element? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if timeoutNanoseconds < 0 {
            while used == 0 && !isClosed { pthread_cond_wait(notEmpty, mutex) }
        } else if used == 0 && !isClosed && timeoutNanoseconds > 0 {
            var deadline = BoundedQueue.deadline(timeoutNanoseconds)
            while used == 0 && !isClosed {
                if pthread_cond_timedwait(notEmpty, mutex, &deadline) == ETIMEDOUT { break }
            }
        }
        guard used > 0 else { return nil }
        let element = slots[head]
        slots[head] = nil
        head = (head + 1) % capacity
        used -= 1
        if used == 0 { hasUrgent = false }
        return element
    }

    @inlinable
    static func deadline(_ nanoseconds: Int64) -> timespec {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let total = Int64(deadline.tv_nsec) + nanoseconds % 1_000_000_000
        deadline.tv_sec += Int(nanoseconds / 1_000_000_000 + total / 1_000_000_000)
        deadline.tv_nsec = Int(total % 1_000_000_000)
        return deadline
    }

    /// The consumer lets elements gather: waits `nanoseconds`, or until `count` of them or an urgent one are there, or the queue is closed.
    /// Meanwhile who pushes need not wake it.
    @inlinable
    public func rest(nanoseconds: Int64, count: Int) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var deadline = BoundedQueue.deadline(nanoseconds)
        restEnds = max(1, min(count, capacity))
        defer { restEnds = 0 }
        while used < restEnds && !hasUrgent && !isClosed {
            if pthread_cond_timedwait(notEmpty, mutex, &deadline) == ETIMEDOUT { return }
        }
    }

    /// No more elements will come; those inside can still be popped.
    @inlinable
    public func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_broadcast(notEmpty)
        pthread_cond_broadcast(notFull)
        pthread_mutex_unlock(mutex)
    }

    /// True once closed and empty.
    @inlinable
    public var isFinished: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return isClosed && used == 0
    }
}

/// A value behind a lock.
public final class Locked<Value>: @unchecked Sendable {
    // Safety: `value` is only touched with `mutex` held.
    @usableFromInline let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    @usableFromInline var value: Value

    @inlinable
    public init(_ value: Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
    }

    @inlinable
    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    @inlinable
    public func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
}

/// A value behind a lock whose changes a thread can wait for.
public final class Monitor<Value>: @unchecked Sendable {
    // Safety: `value` is only touched with `mutex` held.
    @usableFromInline let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    @usableFromInline let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    @usableFromInline var value: Value

    @inlinable
    public init(_ value: Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    @inlinable
    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Reads the value.
    @inlinable
    public func read<Result>(_ body: (Value) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(value)
    }

    /// Changes the value and wakes who waits.
    @inlinable
    public func change<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let result = body(&value)
        pthread_cond_broadcast(changed)
        return result
    }

    /// Changes the value and wakes who waits only if `isNews` finds that they may go on.
    @inlinable
    public func change(_ body: (inout Value) -> Void, isNews: (Value) -> Bool) {
        pthread_mutex_lock(mutex)
        body(&value)
        let wakes = isNews(value)
        pthread_mutex_unlock(mutex)
        if wakes { pthread_cond_broadcast(changed) }
    }

    /// Waits until `body` has an answer; it is asked again after every change.
    @inlinable
    public func wait<Result>(_ body: (inout Value) -> Result?) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&value) { return result }
            pthread_cond_wait(changed, mutex)
        }
    }
}
