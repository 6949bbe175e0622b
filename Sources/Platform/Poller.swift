import CPlatform
import Glibc

/// Level-triggered readiness of many descriptors (epoll). One thread owns it; `Wakeup` is the way in from others.
public struct Poller: ~Copyable {
    public struct Event: Sendable {
        /// What was given to `add`.
        public var token: UInt64
        public var isReadable: Bool
        public var isWritable: Bool
        /// The peer closed or the descriptor failed; unread bytes may still wait.
        public var isHangup: Bool
    }

    private let epoll: Int32
    private let raw: UnsafeMutablePointer<rw_epoll_event>
    private static let batch = 64

    public init() throws(PlatformError) {
        epoll = rw_epoll_create()
        guard epoll >= 0 else { throw PlatformError.last("create", "epoll instance") }
        raw = .allocate(capacity: Poller.batch)
    }

    deinit {
        close(epoll)
        raw.deallocate()
    }

    /// Watches `descriptor`; its events carry `token`.
    public func add(_ descriptor: Int32, token: UInt64, writable: Bool = false) throws(PlatformError) {
        guard rw_epoll_add(epoll, descriptor, Poller.interest(true, writable), token) == 0 else {
            throw PlatformError.last("watch", "descriptor \(descriptor)")
        }
    }

    /// Changes what is waited for. `readable: false` stops reading: the kernel buffer fills and the sender waits.
    public func modify(_ descriptor: Int32, token: UInt64, readable: Bool, writable: Bool) {
        _ = rw_epoll_modify(epoll, descriptor, Poller.interest(readable, writable), token)
    }

    public func remove(_ descriptor: Int32) { _ = rw_epoll_remove(epoll, descriptor) }

    /// Waits at most `timeoutMilliseconds` (-1: for ever) and hands each event to `body`.
    /// - Returns: the number of events; 0 after a timeout or a signal.
    @discardableResult
    public func wait(timeoutMilliseconds: Int32, _ body: (Event) -> Void) -> Int {
        let count = Int(rw_epoll_wait(epoll, raw, Int32(Poller.batch), timeoutMilliseconds))
        guard count > 0 else { return 0 }
        for index in 0..<count {
            let event = raw[index]
            body(
                Event(
                    token: event.token, isReadable: event.events & UInt32(RW_EPOLL_IN) != 0,
                    isWritable: event.events & UInt32(RW_EPOLL_OUT) != 0,
                    isHangup: event.events & UInt32(RW_EPOLL_HANGUP) != 0))
        }
        return count
    }

    private static func interest(_ readable: Bool, _ writable: Bool) -> UInt32 {
        (readable ? UInt32(RW_EPOLL_IN) : 0) | (writable ? UInt32(RW_EPOLL_OUT) : 0)
    }
}

/// A descriptor that another thread can make readable (eventfd).
public final class Wakeup: Sendable {
    public let descriptor: Int32

    public init() throws(PlatformError) {
        descriptor = rw_eventfd()
        guard descriptor >= 0 else { throw PlatformError.last("create", "eventfd") }
    }

    deinit { close(descriptor) }

    public func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Makes it unreadable again.
    public func drain() {
        var value: UInt64 = 0
        _ = read(descriptor, &value, 8)
    }
}
