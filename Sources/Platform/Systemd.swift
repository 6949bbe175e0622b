import CPlatform
import CSystemd
import Glibc

/// The service manager, when there is one. All calls do nothing outside systemd.
public enum Systemd {
    /// A socket that systemd opened for us.
    public struct ListenSocket: Sendable {
        public let descriptor: Int32
        /// FileDescriptorName= of the socket unit.
        public let name: String
        public let isDatagram: Bool
    }

    /// Sends `state` (sd_notify lines).
    public static func notify(_ state: String) { sd_notify(0, state) }

    /// RELOADING=1 with the monotonic stamp that newer systemd insists on.
    public static func notifyReloading() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        notify("RELOADING=1\nMONOTONIC_USEC=\(Int64(time.tv_sec).times(1_000_000).later(by: Int64(time.tv_nsec) / 1000))")
    }

    /// The watchdog interval in nanoseconds; nil when the unit has none.
    public static func watchdogNanoseconds() -> Int64? {
        var microseconds: UInt64 = 0
        guard sd_watchdog_enabled(0, &microseconds) > 0, microseconds > 0 else { return nil }
        return Int64(clamping: microseconds).times(1000)
    }

    /// Everything that systemd passed (LISTEN_FDS).
    public struct Passed: Sendable {
        /// Sockets of the socket units.
        public var sockets: [ListenSocket] = []
        /// Descriptors that an earlier process put into the store, by the name it gave them.
        public var stored: [(name: String, descriptor: Int32)] = []
    }

    /// Whether the service manager may keep descriptors for us. Versions before 254 do not tell; what they refuse, they close.
    public static var hasDescriptorStore: Bool {
        guard getenv("NOTIFY_SOCKET") != nil else { return false }
        return getenv("FDSTORE").map { String(cString: $0) } != "0"
    }

    /// Gives `descriptor` to the service manager, which passes it to the next process of this service under
    /// `storePrefix` + `name`. It stays open here too.
    public static func store(_ descriptor: Int32, name: String) {
        var descriptor = descriptor
        // Without FDPOLL=0 a client that wrote its last lines and closed meanwhile would be forgotten with them.
        sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDPOLL=0\nFDNAME=\(storePrefix)\(name)", &descriptor, 1)
    }

    /// Takes a stored descriptor out of the store again.
    public static func forget(name: String) { notify("FDSTOREREMOVE=1\nFDNAME=\(storePrefix)\(name)") }

    /// Waits until the service manager has handled all that was said so far, at most five seconds.
    public static func settle() { sd_notify_barrier(0, 5_000_000) }

    private static let storePrefix = "stored-"

    /// The descriptors that were passed, with their names. Errors: a socket unit passed something that is no Unix socket.
    public static func passedDescriptors() throws(PlatformError) -> Passed {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        guard count > 0 else { return Passed() }
        defer {
            if let names {
                for index in 0..<Int(count) { free(names[index]) }
                free(names)
            }
        }
        var passed = Passed()
        for index in 0..<Int(count) {
            let descriptor = Int32(3 + index)
            let name = names?[index].map { String(cString: $0) } ?? ""
            if name.hasPrefix(storePrefix) {
                passed.stored.append((String(name.dropFirst(storePrefix.count)), descriptor))
                continue
            }
            var isDatagram: Int32 = 0
            guard rw_is_unix_socket(descriptor, &isDatagram) != 0 else {
                throw .refused(
                    verb: "use", object: "descriptor \(descriptor) from systemd", reason: "got something else, expected a Unix socket")
            }
            _ = rw_set_blocking(descriptor, 0)
            passed.sockets.append(ListenSocket(descriptor: descriptor, name: name, isDatagram: isDatagram != 0))
        }
        return passed
    }

    /// Writes one structured journal entry. Each field is `NAME=value`; does nothing when no journal listens.
    public static func journal(_ fields: [String]) {
        let copies = fields.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        let vectors = zip(copies, fields).map { iovec(iov_base: UnsafeMutableRawPointer($0), iov_len: $1.utf8.count) }
        _ = sd_journal_sendv(vectors, Int32(vectors.count))
    }
}
