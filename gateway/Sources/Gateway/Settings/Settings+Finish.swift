extension Settings {
    /// Adds systemd's sockets and looks at the whole. Errors: nobody could reach the gateway, or anybody could.
    public mutating func finish() throws(SettingsError) {
        let passed = PassedSockets.take()
        listen = passed + listen
        var problems: [String] = []
        if listen.isEmpty { problems.append("listen: got nothing, expected \(Settings.listenExpected)") }
        for place in listen {
            guard case .tcp = place, !place.isLocal, tokens.isEmpty else { continue }
            problems.append("listen: got \(place) without tokens, expected [[tokens]]: others than this machine can reach it")
        }
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
    }
}
