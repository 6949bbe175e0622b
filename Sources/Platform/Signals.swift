import CPlatform
import Glibc

/// Signals as a descriptor: blocked everywhere, read in one place.
public struct SignalSource: ~Copyable, Sendable {
    public let descriptor: Descriptor

    /// Blocks `signals` in this thread and all threads started later. Call it first.
    public init(_ signals: [Int32]) throws(PlatformError) {
        rw_ignore_sigpipe()
        let raw = rw_signalfd(signals, Int32(signals.count))
        guard raw >= 0 else { throw PlatformError.last("create", "signalfd") }
        descriptor = Descriptor(raw)
    }

    /// The next pending signal; nil when there is none.
    public func next() -> Int32? {
        let number = rw_signalfd_read(descriptor.raw)
        return number > 0 ? number : nil
    }
}
