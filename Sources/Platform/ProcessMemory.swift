import CPlatform

/// The memory of this process.
public enum ProcessMemory {
    /// Gives back the pages of code that were needed to start: option parsing, configuration, restore. Code is never written
    /// to, so the kernel brings back from the file what is called again. About half of what an idle daemon would hold.
    public static func releaseStartupCode() { rw_release_code() }

    /// Gives the memory of what a start needed and freed (rows, names) back to the system.
    public static func releaseStartupHeap() { rw_release_heap() }
}
