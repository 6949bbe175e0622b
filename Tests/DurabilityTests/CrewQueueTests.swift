import Glibc
import Platform
import Testing

@testable import WatchService

@Suite struct CrewQueueTests {
    /// What a member did, in order.
    private enum Step: Equatable {
        case element(Int), debt, visit, end
    }

    private func step(_ work: CrewQueues<Int>.Work) -> Step {
        switch work {
        case .element(let element): .element(element)
        case .debt: .debt
        case .visit: .visit
        case .end: .end
        }
    }

    /// The next turn without a visit, which come by the clock.
    private func next(
        _ queues: CrewQueues<Int>, _ member: Int, done: (queue: Int, owes: Bool)? = nil
    ) -> (queue: Int, step: Step)? {
        var done = done
        while let turn = queues.next(member: member, done: done) {
            if case .visit = turn.work {
                done = (turn.queue, false)
                continue
            }
            return (turn.queue, step(turn.work))
        }
        return nil
    }

    @Test(arguments: [(1, 1), (3, 2), (8, 2), (16, 4), (5, 8)])
    func `whoever works, each queue is worked on in order and by one at a time`(queueCount: Int, crew: Int) throws {
        let queues = CrewQueues<Int>(queues: queueCount, crew: crew, capacity: 32, helpedFrom: 2, visitInterval: 1_000_000)
        struct Seen {
            var elements: [Int] = []
            var ends = 0
            var isInside = false
            var debts = 0
            var helped = 0
        }
        let seen = (0..<queueCount).map { _ in Locked(Seen()) }
        let overlaps = Locked(0)
        let threads = try (0..<crew).map { member in
            try WorkerThread("member") {
                var done: (queue: Int, owes: Bool)?
                while let turn = queues.next(member: member, done: done) {
                    let wasInside = seen[turn.queue].withLock { state in
                        defer { state.isInside = true }
                        return state.isInside
                    }
                    if wasInside { overlaps.withLock { $0 += 1 } }
                    if case .element(let element) = turn.work, element % 64 == 0 { Clocks.sleep(nanoseconds: 50_000) }
                    let owes = seen[turn.queue].withLock { state in
                        switch turn.work {
                        case .element(let element):
                            state.elements.append(element)
                            if turn.queue % crew != member { state.helped += 1 }
                            if element % 5 == 0 { state.debts += 1 }
                        case .debt: state.debts -= 1
                        case .visit: break
                        case .end: state.ends += 1
                        }
                        state.isInside = false
                        return state.debts > 0
                    }
                    done = (turn.queue, owes)
                }
            }
        }
        let perQueue = 4_000
        // Bursts of uneven size, as when many lines come at once, and a first queue that gets half of all.
        var sent = [Int](repeating: 0, count: queueCount)
        var number: UInt64 = 1
        while let queue = sent.firstIndex(where: { $0 < perQueue }) {
            number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let wanted = number >> 40 & 1 == 0 ? 0 : Int(number >> 44) % queueCount
            let chosen = sent[wanted] < perQueue ? wanted : queue
            for _ in 0..<Int(number >> 33 & 7) where sent[chosen] < perQueue {
                #expect(queues.push(sent[chosen], to: chosen, size: 1, postponesWake: number & 1 << 50 == 0))
                sent[chosen] += 1
            }
            queues.wakePostponed()
        }
        queues.close()
        for thread in threads { thread.join() }
        #expect(overlaps.withLock { $0 } == 0)
        for queue in seen {
            let state = queue.withLock { $0 }
            #expect(state.elements == Array(0..<perQueue) && state.ends == 1)
        }
        if crew == 2 && queueCount == 8 {
            #expect(seen.contains { $0.withLock { $0.helped } > 0 }, "the first queue alone is half of the work")
        }
    }

    @Test func `a member takes the oldest of its own queues first, then helps`() {
        let queues = CrewQueues<Int>(queues: 4, crew: 2, capacity: 16, helpedFrom: 2)
        for (element, queue) in [(10, 1), (20, 2), (30, 3), (1, 0), (21, 2)] { queues.push(element, to: queue, size: 2) }
        var turn = next(queues, 0)
        #expect(turn?.queue == 2 && turn?.step == .element(20))
        // Queue 2 is held: the other member cannot have it, though it holds the oldest left after its own.
        var other = next(queues, 1)
        #expect(other?.queue == 1 && other?.step == .element(10))
        other = next(queues, 1, done: (1, false))
        #expect(other?.queue == 3 && other?.step == .element(30))
        other = next(queues, 1, done: (3, false))
        #expect(other?.queue == 0 && other?.step == .element(1), "it has nothing of its own")
        turn = next(queues, 0, done: (2, false))
        #expect(turn?.queue == 2 && turn?.step == .element(21))
    }

    @Test func `what is owed waits until no element does, the others' included`() {
        let queues = CrewQueues<Int>(queues: 2, crew: 2, capacity: 16, helpedFrom: 2)
        queues.push(1, to: 0, size: 2)
        queues.push(2, to: 1, size: 2)
        #expect(next(queues, 0)?.step == .element(1))
        #expect(!queues.isAwaited(0), "its member is busy")
        let help = next(queues, 0, done: (0, true))
        #expect(help?.queue == 1 && help?.step == .element(2))
        let debt = next(queues, 0, done: (1, false))
        #expect(debt?.queue == 0 && debt?.step == .debt)
        #expect(queues.isAwaited(0) && queues.isAwaited(1), "what is owed can wait")
        queues.push(3, to: 0, size: 2)
        #expect(!queues.isAwaited(0) && queues.isAwaited(1))
        #expect(next(queues, 0, done: (0, true))?.step == .element(3))
    }

    @Test func `each queue ends once, with its own member, after what a helper still does`() throws {
        let queues = CrewQueues<Int>(queues: 2, crew: 2, capacity: 16, helpedFrom: 2)
        queues.push(5, to: 1, size: 2)
        #expect(next(queues, 0)?.step == .element(5))
        queues.close()
        #expect(!queues.push(6, to: 0, size: 2))
        let ended = Locked<[Int]>([])
        let thread = try WorkerThread("owner") {
            var done: (queue: Int, owes: Bool)?
            while let turn = queues.next(member: 1, done: done) {
                ended.withLock { $0.append(turn.queue) }
                done = (turn.queue, true)
            }
        }
        Clocks.sleep(nanoseconds: 20_000_000)
        #expect(ended.withLock { $0.isEmpty }, "the helper holds it")
        let own = next(queues, 0, done: (1, true))
        #expect(own?.queue == 0 && own?.step == .end)
        #expect(next(queues, 0, done: (0, false)) == nil)
        thread.join()
        #expect(ended.withLock { $0 } == [1])
    }

    @Test func `at the end what waits is taken first, however little, and no queue ends before`() throws {
        let queues = CrewQueues<Int>(queues: 4, crew: 2, capacity: 16, helpedFrom: 100)
        for queue in 0..<4 { queues.push(queue, to: queue, size: 1) }
        queues.close()
        #expect(next(queues, 0)?.step == .element(0))
        #expect(next(queues, 0, done: (0, false))?.step == .element(2), "queue 0 is empty, but queue 2 is not")
        #expect(next(queues, 0, done: (2, false))?.step == .element(1), "its member does not come")
        #expect(next(queues, 0, done: (1, false))?.step == .element(3))
        // What comes of element 3 may be waited for at an end.
        let ended = Locked(0)
        let thread = try WorkerThread("member") {
            var done: (queue: Int, owes: Bool)?
            while let turn = queues.next(member: 1, done: done) {
                done = (turn.queue, false)
                ended.withLock { $0 += 1 }
            }
        }
        Clocks.sleep(nanoseconds: 20_000_000)
        #expect(ended.withLock { $0 } == 0)
        let ends = [next(queues, 0, done: (3, false)), next(queues, 0, done: (0, false))]
        #expect(ends.allSatisfy { $0?.step == .end } && Set(ends.compactMap { $0?.queue }) == [0, 2])
        #expect(next(queues, 0, done: (2, false)) == nil)
        thread.join()
        #expect(ended.withLock { $0 } == 2)
    }

    @Test func `what comes to a queue that a helper holds does not wait when both go to sleep`() throws {
        let queues = CrewQueues<Int>(queues: 2, crew: 2, capacity: 16, helpedFrom: 100, visitInterval: .max / 4)
        let taken = Locked<[Int]>([])
        @Sendable func work(_ member: Int, _ first: (queue: Int, owes: Bool)?) {
            var done = first
            while let turn = queues.next(member: member, done: done) {
                if case .element(let element) = turn.work { taken.withLock { $0.append(element) } }
                done = (turn.queue, false)
            }
        }
        queues.push(0, to: 0, size: 100)
        #expect(next(queues, 1)?.step == .element(0), "it helps")
        let owner = try WorkerThread("owner") { work(0, nil) }
        Clocks.sleep(nanoseconds: 20_000_000)
        queues.push(7, to: 0, size: 1)
        let helper = try WorkerThread("helper") { work(1, (0, false)) }
        let until = Clocks.monotonic() + 5_000_000_000
        while taken.withLock({ $0.isEmpty }), Clocks.monotonic() < until { Clocks.sleep(nanoseconds: 1_000_000) }
        #expect(taken.withLock { $0 } == [7])
        queues.close()
        helper.join()
        owner.join()
    }

    @Test func `a little that waits long is helped with, too`() {
        let queues = CrewQueues<Int>(queues: 2, crew: 2, capacity: 16, helpedFrom: 100, visitInterval: 10_000_000)
        queues.push(1, to: 0, size: 1)
        Clocks.sleep(nanoseconds: 5_000_000)
        #expect(next(queues, 1)?.step == .element(1), "its member does not come")
    }

    @Test func `a queue to which nothing comes is visited now and then`() {
        let queues = CrewQueues<Int>(queues: 2, crew: 1, capacity: 16, helpedFrom: 2, visitInterval: 20_000_000)
        var visits = [0, 0]
        var done: (queue: Int, owes: Bool)?
        let began = Clocks.monotonic()
        while visits.min() ?? 0 < 4, let turn = queues.next(member: 0, done: done) {
            guard case .visit = turn.work else { break }
            visits[turn.queue] += 1
            done = (turn.queue, false)
        }
        #expect(visits.allSatisfy { $0 >= 4 })
        #expect(Clocks.monotonic() - began > 55_000_000, "between two visits lies the interval")
    }

    @Test func `a full queue makes the producer wait, and closing frees it`() throws {
        let queues = CrewQueues<Int>(queues: 1, crew: 1, capacity: 16, helpedFrom: 2)
        for element in 0..<16 { queues.push(element, to: 0, size: 2) }
        let (pushed, refused) = (Locked(false), Locked(false))
        let thread = try WorkerThread("producer") {
            queues.push(16, to: 0, size: 2)
            pushed.withLock { $0 = true }
            let isTaken = queues.push(17, to: 0, size: 2)
            refused.withLock { $0 = !isTaken }
        }
        Clocks.sleep(nanoseconds: 20_000_000)
        #expect(!pushed.withLock { $0 })
        #expect(next(queues, 0)?.step == .element(0))
        while !pushed.withLock({ $0 }) { usleep(1_000) }
        usleep(20_000)
        queues.close()
        thread.join()
        #expect(refused.withLock { $0 })
        for element in 1...16 { #expect(next(queues, 0, done: (0, false))?.step == .element(element)) }
        #expect(next(queues, 0, done: (0, false))?.step == .end)
    }
}
