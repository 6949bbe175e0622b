import CPlatform
import Glibc

/// A named thread of its own. Signals that the process waits for elsewhere must be blocked before it starts.
public final class WorkerThread: @unchecked Sendable {
    // Safety: `handle` is written once in init, before anybody else can see the object.
    private var handle = pthread_t()

    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Starts `run` in a new thread called `name` (at most 15 bytes are shown by the system).
    public init(_ name: String, _ run: @escaping @Sendable () -> Void) throws(PlatformError) {
        let body = Unmanaged.passRetained(Body(name: name, run: run))
        let code = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                _ = rw_pthread_set_name(String(body.name.prefix(15)))
                body.run()
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw .system(verb: "start thread", object: name, code: code)
        }
    }

    /// Makes the calling thread nicer by so many steps: it gets less of a busy processor than the threads that are not.
    public static func yieldToOthers(_ steps: Int32) { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, steps) }

    /// Asks for short turns of a tenth of a millisecond for the calling thread: when it wakes it need not wait until another thread's long
    /// turn ends (Linux 6.12 and later; earlier ones ignore it). Its share of the processor stays the same.
    public static func takeShortTurns() { _ = rw_set_time_slice(100_000) }

    /// Waits for its end. Call once.
    public func join() { pthread_join(handle, nil) }
}

/// The processors of the machine.
public enum Processors {
    /// How many this process may run on.
    public static var count: Int { Int(rw_processors()) }
    /// The one on which the calling thread runs just now; -1: unknown.
    public static var current: Int32 { rw_processor() }

    /// The system's number of the calling thread.
    public static var thread: Int32 { rw_thread() }

    /// Confines a thread (0: the calling one, and those that it starts) to one processor; nil: to none. Without effect where that is not allowed.
    public static func confine(thread: Int32, to processor: Int?) { _ = rw_confine(thread, Int32(clamping: processor ?? -1)) }
}
