/// What single values cannot tell: settings that do not fit one another, or nothing at all.
extension Configuration {
    /// Longest path of a Unix socket in bytes (`sun_path` without its end).
    static let socketPathBytesMax = 107
    private static let sockets = ["ingest_socket", "ingest_datagram_socket", "control_socket"]

    /// Everything that keeps a daemon from starting with these settings, as far as the settings themselves say.
    public func misfits(file: String) -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        func report(_ message: String) { problems.append(ConfigurationProblem(file: file, line: 0, column: 0, message: message)) }
        if text("state_dir").isEmpty { report("state_dir: got \"\", expected a directory") }
        var owners: [String: String] = [:]
        for name in Configuration.sockets where !text(name).isEmpty {
            let path = text(name)
            if path.utf8.count > Configuration.socketPathBytesMax {
                report("\(name): got a path of \(path.utf8.count) bytes, expected at most \(Configuration.socketPathBytesMax)")
            }
            if let other = owners[Configuration.plain(path)] { report("\(name): got the path of \(other), expected one of its own") }
            owners[Configuration.plain(path)] = name
        }
        let metrics = Configuration.plain(text("metrics_file"))
        if let other = owners[metrics] { report("metrics_file: got the path of \(other), expected one of its own") }
        let own = ["rnn-watchd.db", "rnn-watchd.db-wal", "rnn-watchd.db-shm", "lock", "crash"].map {
            Configuration.plain(text("state_dir") + "/" + $0)
        }
        if own.contains(metrics) { report("metrics_file: got a file of the daemon itself, expected one of its own") }
        return problems
    }

    /// Whether any ingest socket is configured.
    public var hasIngestSocket: Bool { !text("ingest_socket").isEmpty || !text("ingest_datagram_socket").isEmpty }

    /// Without doubled slashes and dots that mean nothing.
    static func plain(_ path: String) -> String {
        let parts = path.split(separator: "/").filter { $0 != "." }
        return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }
}
