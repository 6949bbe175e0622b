import Glibc
import Platform

/// A load at an even rate through a Unix socket: every quarter of a millisecond what is due.
///
/// The sender stands for other machines, whose writes do not wait for a processor of this one, so it asks for a real-time priority
/// (`SCHED_FIFO`, which takes privileges). Without it the sender waits behind the threads that it measures, then sends all that was due at once, and the load is not even.
struct EvenLoad {
    let load: Workload
    /// Lines a second.
    let rate: Double

    /// How the load went.
    struct Course {
        /// Lines that the reader had taken from the socket `looksAfter` nanoseconds after their write, as a share of those looked after.
        var readSoon = 0.0
        /// Lines that it had taken when the next were due, a quarter of a millisecond after their write.
        var readInTime = 0.0
        /// The system let the sender go first.
        var isEven = false
    }

    /// Nanoseconds from a write to the look whether it was read.
    static let looksAfter: Int64 = 50_000
    private static let period: Int64 = 250_000
    /// Of so many writes one is looked after: a sender that wakes twice as often would itself delay the others.
    private static let looksAfterEvery = 16
    /// Of sched.h: what this thread starts is not real-time.
    private static let resetOnFork: Int32 = 0x4000_0000

    /// Sends all lines, or those until `isOver`, in the calling thread.
    @discardableResult
    func send(to path: String, until isOver: Locked<Bool> = Locked(false)) -> Course {
        var course = Course()
        guard let socket = try? UnixSocket.connect(path: path) else { return course }
        course.isEven = EvenLoad.goFirst(true)
        defer { _ = EvenLoad.goFirst(false) }
        let bytes = load.bytes
        let perLine = Double(bytes.count) / Double(load.lines)
        let began = Clocks.monotonic()
        var (sent, newest, readSoon, looked, readInTime, writes) = (0, 0, 0, 0, 0, 0)
        var next = began
        while !isOver.withLock({ $0 }), sent < bytes.count {
            next += EvenLoad.period
            EvenLoad.sleep(until: next)
            let due = min(bytes.count, Int(Double(Clocks.monotonic() - began) * 1e-9 * rate * perLine))
            guard due > sent else { continue }
            if isRead(socket) { readInTime += newest }
            guard (try? writeAll(socket.raw, Array(bytes[sent..<due]), object: path)) != nil else { break }
            writes += 1
            if writes % EvenLoad.looksAfterEvery == 0 {
                EvenLoad.sleep(until: Clocks.monotonic() + EvenLoad.looksAfter)
                looked += due - sent
                if isRead(socket) { readSoon += due - sent }
            }
            newest = due - sent
            sent = due
        }
        course.readSoon = Double(readSoon) / Double(max(1, looked))
        course.readInTime = Double(readInTime) / Double(max(1, sent - newest))
        return course
    }

    /// The reader has taken all that was written.
    private func isRead(_ socket: borrowing Descriptor) -> Bool {
        var unread: Int32 = 0
        return ioctl(socket.raw, UInt(TIOCOUTQ), &unread) == 0 && unread == 0
    }

    private static func sleep(until moment: Int64) {
        let rest = moment - Clocks.monotonic()
        if rest > 0 { Clocks.sleep(nanoseconds: rest) }
    }

    /// Puts the calling thread before all that are not real-time, or back among them.
    private static func goFirst(_ isFirst: Bool) -> Bool {
        var parameters = sched_param()
        parameters.sched_priority = isFirst ? 1 : 0
        return sched_setscheduler(0, (isFirst ? SCHED_FIFO : SCHED_OTHER) | resetOnFork, &parameters) == 0
    }
}
