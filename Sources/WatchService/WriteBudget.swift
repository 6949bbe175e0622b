import Platform
import TimeSeries

/// How many bytes this process really writes, and how far the intervals must be stretched to stay within a budget.
///
/// The kernel's own count (`/proc/self/io`, `write_bytes`) includes the database's overhead: every commit writes whole pages.
struct WriteBudget: Sendable, Equatable {
    /// Bytes a day; nil for no limit.
    var bytesPerDay: Int64?
    /// Intervals are multiplied by this, 1 to `stretchMax`.
    private(set) var stretch = 1.0
    /// As of the last window; nil before the first has passed.
    private(set) var measuredPerDay: Int64?
    private var sampledAt: Int64?
    private var sampledBytes: Int64 = 0

    /// Nanoseconds over which writing is measured.
    static let window: Int64 = 30_000_000_000
    static let stretchMax = 64.0
    private static let day = 86_400_000_000_000.0

    init(bytesPerDay: Int64?) { self.bytesPerDay = bytesPerDay }

    /// Takes the bytes written since the start at a monotonic time.
    /// - Returns: true when the stretch changed by a tenth or more: worth telling.
    mutating func observe(bytes: Int64, now: Int64) -> Bool {
        if bytesPerDay == nil, stretch > 1 {
            stretch = 1
            return true
        }
        guard let since = sampledAt else {
            (sampledAt, sampledBytes) = (now, bytes)
            return false
        }
        // A stretched commit comes rarely: the window holds several.
        let window = Double(WriteBudget.window) * max(1, stretch / 4)
        guard Double(now - since) >= window else { return false }
        let rate = Double(bytes - sampledBytes) / Double(now - since) * WriteBudget.day
        (sampledAt, sampledBytes, measuredPerDay) = (now, bytes, Int64(saturating: rate))
        let before = stretch
        if let bytesPerDay {
            // Half the way each time: commits that get larger do not get cheaper in proportion.
            let wanted = stretch * rate / Double(bytesPerDay)
            stretch = min(WriteBudget.stretchMax, max(1, (stretch * max(wanted, 0.01)).squareRoot()))
        }
        return abs(stretch - before) > 0.1 * before
    }

    /// An interval as it is under the budget (nanoseconds).
    func stretched(_ interval: Int64, max limit: Int64) -> Int64 { max(interval, min(limit, Int64(Double(interval) * stretch))) }

    /// Bytes that this process gave to block devices since its start; nil when the kernel does not tell.
    static func processBytes() -> Int64? {
        guard let bytes = try? Files.read("/proc/self/io", bytesMax: 4096) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("write_bytes: ") {
            return Int64(line.dropFirst(13))
        }
        return nil
    }
}
