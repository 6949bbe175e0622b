import CPlatform

/// The memory of this process.
public enum ProcessMemory {
    /// Gives back the pages of code that were needed to start: option parsing, configuration, restore. Code is never written
    /// to, so the kernel brings back from the file what is called again. About half of what an idle daemon would hold.
    public static func releaseStartupCode() { rw_release_code() }

    /// Blocks of 8 MB and more go back to the system when they are freed: tables that grow by doubling would leave holes as large as
    /// themselves otherwise.
    public static func returnLargeBlocks() { rw_return_large_blocks(8 << 20) }

    /// Gives memory that was needed for a while and freed (rows and names of a start or of many new streams) back to the system.
    public static func releaseFreeHeap() { rw_release_heap() }
}
