import Glibc

/// How many descriptors this process may have open.
public enum DescriptorLimit {
    /// The limit, after it was raised to what the system allows. Once a process.
    public static let raised: Int = {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(kind, &limit) == 0 else { return 0 }
        let before = limit.rlim_cur
        // More than this no setting of ours can use.
        limit.rlim_cur = min(limit.rlim_max, max(before, 65_536))
        if setrlimit(kind, &limit) != 0 { limit.rlim_cur = before }
        return Int(clamping: limit.rlim_cur)
    }()
}
