import Glibc
import TimeSeries

/// The only place where time is read. Everything below the effects takes it as an argument.
public enum Clocks {
    /// Nanoseconds since 1970 (UTC); may step.
    public static func wall() -> Int64 { read(CLOCK_REALTIME) }
    /// Nanoseconds since some start; never steps, counts suspended time.
    public static func monotonic() -> Int64 { read(CLOCK_BOOTTIME) }

    /// Blocks this thread.
    public static func sleep(nanoseconds: Int64) {
        var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        var rest = timespec()
        while nanosleep(&time, &rest) != 0 && errno == EINTR { time = rest }
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        // A clock may be set to any century.
        return Int64(time.tv_sec).times(1_000_000_000).later(by: Int64(time.tv_nsec))
    }
}
