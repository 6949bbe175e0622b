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
        notify("RELOADING=1\nMONOTONIC_USEC=\(Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)")
    }

    /// The watchdog interval in nanoseconds; nil when the unit has none.
    public static func watchdogNanoseconds() -> Int64? {
        var microseconds: UInt64 = 0
        guard sd_watchdog_enabled(0, &microseconds) > 0, microseconds > 0 else { return nil }
        return Int64(microseconds) * 1000
    }

    /// The sockets that were passed (LISTEN_FDS), with their names. Errors: a passed descriptor that is not a Unix socket.
    public static func listenSockets() throws(PlatformError) -> [ListenSocket] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        guard count > 0 else { return [] }
        defer {
            if let names {
                for index in 0..<Int(count) { free(names[index]) }
                free(names)
            }
        }
        var sockets: [ListenSocket] = []
        for index in 0..<Int(count) {
            let descriptor = Int32(3 + index)
            let name = names?[index].map { String(cString: $0) } ?? ""
            var isDatagram: Int32 = 0
            guard rw_is_unix_socket(descriptor, &isDatagram) != 0 else {
                throw .refused(
                    verb: "use", object: "descriptor \(descriptor) from systemd", reason: "got something else, expected a Unix socket")
            }
            _ = rw_set_blocking(descriptor, 0)
            sockets.append(ListenSocket(descriptor: descriptor, name: name, isDatagram: isDatagram != 0))
        }
        return sockets
    }

    /// Writes one structured journal entry. Each field is `NAME=value`; does nothing when no journal listens.
    public static func journal(_ fields: [String]) {
        let copies = fields.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        let vectors = zip(copies, fields).map { iovec(iov_base: UnsafeMutableRawPointer($0), iov_len: $1.utf8.count) }
        _ = sd_journal_sendv(vectors, Int32(vectors.count))
    }
}
