import Glibc
import Platform

/// First-in first-out queues whose elements must be worked on one after another, and a crew of threads that works on all of them.
///
/// Who takes an element holds its queue until it asks again, so whatever belongs to a queue is touched by one thread at a time and in order.
/// A member looks first after its own queues (those whose number is its own modulo the crew), oldest element first; with nothing to do there
/// it helps with others' in which much waits. So no member rests while there is much to do, wherever it gathers and however fast each
/// processor happens to be, and as long as all keep up each queue stays with one member and its caches.
final class CrewQueues<Element: Sendable>: @unchecked Sendable {
    // Safety: every access to the fields below holds `mutex`.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let notFull = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queues: [Queue]
    private var members: [Member]
    private var isClosed = false
    /// Elements taken over since the start, in all queues: tells which head is the oldest.
    private var pushed = 0
    private var sleepers = 0
    /// Members that were woken and have not asked yet.
    private var onTheWay = 0
    /// Members that found no element when they last asked: asleep, or busy with what can wait.
    private var spare = 0
    private var waitingProducers = 0
    /// A queue is passed over for so long (nanoseconds), then its member looks after it even if nothing came.
    private let visitInterval: Int64
    /// A member helps with the queue of another if elements of this size together wait there.
    private let helpedFrom: Int
    /// ... or if the first has waited so long (nanoseconds) when the member looks: its own is busy with something else.
    private static var patience: Int64 { 2_000_000 }
    /// Queues, and members.
    let count: Int
    let crew: Int
    /// Elements of one queue.
    let capacity: Int

    private struct Queue {
        /// Elements with their numbers in order of arrival: a ring that grows up to the capacity.
        var slots: [(element: Element, number: Int, size: Int, at: Int64)?] = Array(repeating: nil, count: 16)
        var head = 0
        var used = 0
        /// The first element's number.
        var oldest = 0
        /// Of all elements together.
        var size = 0
        var isHeld = false
        /// Held for an element.
        var isBusy = false
        /// There is something to do that can wait until nothing else is.
        var owes = false
        var hasEnded = false
        var visitedAt: Int64 = 0

        var isReady: Bool { used > 0 && !isHeld }

        mutating func append(_ element: Element, _ number: Int, size: Int, at: Int64, capacity: Int) {
            if used == slots.count {
                let count = min(capacity, 2 * used)
                slots = (0..<used).map { slots[(head + $0) % used] } + Array(repeating: nil, count: count - used)
                head = 0
            }
            if used == 0 { oldest = number }
            slots[(head + used) % slots.count] = (element, number, size, at)
            self.size += size
            used += 1
        }

        mutating func removeFirst() -> Element? {
            let first = slots[head]
            slots[head] = nil
            head = (head + 1) % slots.count
            used -= 1
            if used > 0 { oldest = slots[head]?.number ?? 0 }
            size -= first?.size ?? 0
            return first?.element
        }
    }

    private struct Member {
        let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        var isAsleep = false
        var isOnTheWay = false
        var isSpare = false
        /// Where it went to sleep.
        var processor: Int32 = -1
    }

    /// What a member has to do for a queue that it holds.
    enum Work {
        case element(Element)
        /// Some of what was said to be owed.
        case debt
        /// Nothing came for a while.
        case visit
        /// The last: closed and drained.
        case end
    }

    /// - Parameters:
    ///   - crew: threads, each of which calls `next` with its own number from 0.
    ///   - capacity: elements of one queue; a full one makes the producer wait.
    ///   - helpedFrom: in the unit of the elements' sizes: less is sooner done by the queue's own member than moved to another's caches.
    ///   - visitInterval: nanoseconds.
    init(queues: Int, crew: Int, capacity: Int, helpedFrom: Int, visitInterval: Int64 = 100_000_000) {
        (count, self.crew) = (max(1, queues), max(1, crew))
        self.queues = Array(repeating: Queue(), count: count)
        members = (0..<self.crew).map { _ in Member() }
        (self.capacity, self.helpedFrom, self.visitInterval) = (max(16, capacity), helpedFrom, visitInterval)
        // Held for a fraction of a microsecond: who finds it held tries again for a while before it goes to sleep.
        var kind = pthread_mutexattr_t()
        pthread_mutexattr_init(&kind)
        pthread_mutexattr_settype(&kind, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
        pthread_mutex_init(mutex, &kind)
        pthread_mutexattr_destroy(&kind)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(notFull, &attributes)
        for member in members { pthread_cond_init(member.wake, &attributes) }
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        for member in members {
            pthread_cond_destroy(member.wake)
            member.wake.deallocate()
        }
        pthread_cond_destroy(notFull)
        pthread_mutex_destroy(mutex)
        notFull.deallocate()
        mutex.deallocate()
    }

    /// An element of this queue would be taken at once: the queue is empty, and a member has nothing to do that could not wait.
    func isAwaited(_ queue: Int) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return spare > 0 && queues[queue].used == 0 && !queues[queue].isBusy
    }

    /// Waits for room, then appends. false: the queues were closed and the element was not taken.
    ///
    /// - Parameter size: how much work it is.
    /// - Parameter postponesWake: wakes nobody until `wakePostponed`. Who fills several queues one after another would be interrupted by the
    ///   first that it wakes, who would find nothing else and go to sleep again before the second is filled.
    @discardableResult
    func push(_ element: Element, to queue: Int, size: Int, postponesWake: Bool = false) -> Bool {
        let now = Clocks.monotonic()
        pthread_mutex_lock(mutex)
        while queues[queue].used == capacity && !isClosed {
            waitingProducers += 1
            while let woken = wakeOne(here: -1) { pthread_cond_signal(woken) }
            pthread_cond_wait(notFull, mutex)
            waitingProducers -= 1
        }
        let isOpen = !isClosed
        if isOpen {
            pushed += 1
            queues[queue].append(element, pushed, size: size, at: now, capacity: capacity)
        }
        pthread_mutex_unlock(mutex)
        if isOpen, !postponesWake { wakePostponed() }
        return isOpen
    }

    /// Wakes the members whose queues wait, and helpers where they are needed. First come those that can run elsewhere: were they woken
    /// after one for which there is no room but beside the caller, the system would put both on one processor and leave theirs idle.
    func wakePostponed() {
        let here = Processors.current
        while true {
            pthread_mutex_lock(mutex)
            let woken = wakeOne(here: here)
            pthread_mutex_unlock(mutex)
            // With the lock free, so that who wakes need not wait for it.
            guard let woken else { return }
            pthread_cond_signal(woken)
        }
    }

    /// Chooses a sleeper for whom there is something to do; it counts as awake from here on.
    private func wakeOne(here: Int32) -> UnsafeMutablePointer<pthread_cond_t>? {
        guard sleepers > 0 else { return nil }
        var wanted = 0
        var best: (member: Int, rank: Int)?
        for queue in queues.indices where queues[queue].isReady {
            if queues[queue].size >= helpedFrom { wanted += 1 }
            consider(queue % members.count, here, &best)
        }
        // Without an own queue that waits: a helper, unless as many are on the way.
        if best == nil, wanted > onTheWay { for member in members.indices { consider(member, here, &best) } }
        guard let best else { return nil }
        rouse(best.member)
        onTheWay += 1
        members[best.member].isOnTheWay = true
        return members[best.member].wake
    }

    private func consider(_ member: Int, _ here: Int32, _ best: inout (member: Int, rank: Int)?) {
        guard members[member].isAsleep else { return }
        let rank = members[member].processor == here ? 1 : 0
        if best.map({ rank < $0.rank }) ?? true { best = (member, rank) }
    }

    private func rouse(_ member: Int) {
        members[member].isAsleep = false
        sleepers -= 1
    }

    /// Waits for something to do. The queue is the member's until it asks again.
    /// - Parameters:
    ///   - done: the queue that the member held, and whether something is owed there.
    /// - Returns: nil when all of the member's own queues have ended.
    func next(member: Int, done: (queue: Int, owes: Bool)? = nil) -> (queue: Int, work: Work)? {
        let (now, here) = (Clocks.monotonic(), Processors.current)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if let done { release(done.queue, owes: done.owes, now) }
        var time = now
        while true {
            if let turn = choose(member, time) {
                begin(turn, member, time)
                if waitingProducers > 0 { pthread_cond_broadcast(notFull) }
                // Work that is left is somebody else's, who wakes the next.
                if let woken = wakeOne(here: -1) { pthread_cond_signal(woken) }
                return turn
            }
            guard let due = nextVisit(member, time) else { return nil }
            // What came meanwhile to the queue that was released may be too little for this member, but not for its own.
            if let woken = wakeOne(here: here) { pthread_cond_signal(woken) }
            setSpare(member, true)
            members[member].processor = here
            members[member].isAsleep = true
            sleepers += 1
            var deadline = timespec(tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
            while members[member].isAsleep {
                if pthread_cond_timedwait(members[member].wake, mutex, &deadline) == ETIMEDOUT { break }
            }
            if members[member].isAsleep { rouse(member) }
            if members[member].isOnTheWay {
                members[member].isOnTheWay = false
                onTheWay -= 1
            }
            time = Clocks.monotonic()
        }
    }

    private func begin(_ turn: (queue: Int, work: Work), _ member: Int, _ now: Int64) {
        var isElement = false
        if case .element = turn.work { isElement = true }
        queues[turn.queue].isHeld = true
        queues[turn.queue].isBusy = isElement
        queues[turn.queue].visitedAt = now
        setSpare(member, !isElement)
    }

    private func setSpare(_ member: Int, _ isSpare: Bool) {
        guard members[member].isSpare != isSpare else { return }
        members[member].isSpare = isSpare
        spare += isSpare ? 1 : -1
    }

    private func release(_ queue: Int, owes: Bool, _ now: Int64) {
        queues[queue].isHeld = false
        queues[queue].isBusy = false
        queues[queue].owes = owes
        queues[queue].visitedAt = now
        guard isClosed else { return }
        // Its own member waits for its end.
        rouseAll()
    }

    private func rouseAll() {
        for member in members.indices where members[member].isAsleep {
            rouse(member)
            pthread_cond_signal(members[member].wake)
        }
    }

    private func choose(_ member: Int, _ now: Int64) -> (queue: Int, work: Work)? {
        var owing: Int?
        var ending: Int?
        var oldest: Int?
        for queue in stride(from: member, to: queues.count, by: members.count) where !queues[queue].isHeld {
            if queues[queue].used > 0 {
                oldest = older(oldest, queue)
            } else if isClosed {
                if !queues[queue].hasEnded { ending = ending ?? queue }
            } else if now - queues[queue].visitedAt >= visitInterval {
                return (queue, .visit)
            } else if queues[queue].owes {
                owing = queue
            }
        }
        if oldest == nil, members.count > 1 {
            for queue in queues.indices where queues[queue].isReady && mayHelp(queue, now) { oldest = older(oldest, queue) }
        }
        if let oldest, let element = queues[oldest].removeFirst() { return (oldest, .element(element)) }
        // What comes of the last elements of one queue may be waited for at the end of another.
        if let ending, queues.allSatisfy({ $0.used == 0 && !$0.isBusy }) {
            queues[ending].hasEnded = true
            return (ending, .end)
        }
        return owing.map { ($0, .debt) }
    }

    /// Much waits there, or long.
    private func mayHelp(_ queue: Int, _ now: Int64) -> Bool {
        isClosed || queues[queue].size >= helpedFrom || now - (queues[queue].slots[queues[queue].head]?.at ?? now) >= Self.patience
    }

    private func older(_ known: Int?, _ queue: Int) -> Int {
        guard let known, queues[known].oldest < queues[queue].oldest else { return queue }
        return known
    }

    /// When the member must look after a queue of its own though nothing came (monotonic time). nil: they have all ended.
    private func nextVisit(_ member: Int, _ now: Int64) -> Int64? {
        var due: Int64?
        for queue in stride(from: member, to: queues.count, by: members.count) where !queues[queue].hasEnded {
            let from = queues[queue].isHeld || isClosed ? now : queues[queue].visitedAt
            due = min(due ?? .max, from + visitInterval)
        }
        return due
    }

    /// No more elements will come; those inside can still be taken.
    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        rouseAll()
        pthread_cond_broadcast(notFull)
        pthread_mutex_unlock(mutex)
    }
}
