import Glibc
import Platform

/// Who is let in, and who makes room.
///
/// All users have the same right to the connections there are. When they are used up, a client that was silent for long makes room, of the
/// user with the most of them; else the longest silent one of a user who has more than the newcomer's; else the newcomer waits.
extension IngestLoop {
    /// Clients that wait, of one user and in all; more of one user are turned away, more in all stay in the listen queue.
    static let waitingOfUserMax = 32
    static let waitingMax = 128
    /// Clients that are taken at one turn, so that the others have theirs.
    private static let acceptedAtOnce = 64
    /// Rest of the listeners when descriptors have run out (nanoseconds).
    private static let rest: Int64 = 1_000_000_000

    func accept(_ listener: Int32, _ name: String, _ now: Int64) {
        for _ in 0..<IngestLoop.acceptedAtOnce where listenersRestUntil == nil {
            switch UnixSocket.accept(listener) {
            case .none: return
            case .exhausted(let code):
                peers.descriptorsOut += 1
                tellRoom("no descriptor for another client; they wait", ["reason": String(cString: strerror(code))], now)
                restListeners(until: now + IngestLoop.rest)
            case .connected(let descriptor):
                let peer = PeerCredentials(descriptor: descriptor)
                let connection = Connection(
                    descriptor: descriptor, name: name + (peer.map { " process \($0.processID)" } ?? ""), source: tally(name),
                    isFile: false,
                    user: peer?.userID ?? Connection.unknownUser, now: now)
                admit(connection, now)
            }
        }
    }

    private func admit(_ connection: Connection, _ now: Int64) {
        // The lowest free number is given: a high one says how many are open.
        let isTight = options.descriptorsMax > 0 && Int(connection.descriptor) >= options.descriptorsMax - options.descriptorsKept
        if connections.count < options.connectionsMax, !isTight { return serve(connection) }
        tellRoom(
            isTight ? "descriptors are nearly used up; clients make room or wait" : "connections_max reached; clients make room or wait",
            ["connections": "\(connections.count)", "connections_max": "\(options.connectionsMax)"], now)
        if makeRoom(for: connection.user, now) { return serve(connection) }
        guard waiting.count(where: { $0.user == connection.user }) < IngestLoop.waitingOfUserMax else {
            peers.turnedAway += 1
            let text = Array("error cannot serve: user \(connection.user) has all its connections in use, try again\n".utf8)
            _ = text.withUnsafeBytes { Glibc.write(connection.descriptor, $0.baseAddress, $0.count) }
            close(connection.descriptor)
            return
        }
        waiting.append(connection)
        if isTight || waiting.count >= IngestLoop.waitingMax { restListeners(until: now + IngestLoop.rest) }
    }

    /// Reads from a client from now on.
    func serve(_ connection: Connection) {
        let token = nextToken
        nextToken += 1
        // Who waited with something to say was not silent.
        if isReadable(connection) { connection.lastReadAt = Clocks.monotonic() }
        connections[token] = connection
        do { try poller.poller.add(connection.descriptor, token: token) } catch { drop(token) }
    }

    /// Closes a client for another of `user`. false: nobody has to go for it.
    private func makeRoom(for user: UInt32, _ now: Int64) -> Bool {
        var counts: [UInt32: Int] = [:]
        for connection in connections.values where !connection.isFile { counts[connection.user, default: 0] += 1 }
        let own = counts[user] ?? 0
        var best: (token: UInt64, count: Int, readAt: Int64)?
        for (token, connection) in connections where !connection.isFile {
            let count = counts[connection.user] ?? 0
            let isWaiting = connection.producer.map { $0.stored < $0.accepted } ?? false
            let isSilent = now - connection.lastReadAt > options.silentEnough && !isWaiting
            guard isSilent || count > own + 1 else { continue }
            if best.map({ ($0.count, -$0.readAt) < (count, -connection.lastReadAt) }) ?? true {
                best = (token, count, connection.lastReadAt)
            }
        }
        guard let best, let connection = connections[best.token] else { return false }
        peers.madeRoom += 1
        if connection.producer != nil {
            queue(
                "error cannot go on: all connections are in use and this client was silent, expected a new connection\n", connection,
                best.token)
        }
        drop(best.token, lettingIn: false)
        return true
    }

    /// - Parameter lettingIn: whether one who waits takes the place.
    func drop(_ token: UInt64, lettingIn: Bool = true) {
        guard let connection = connections.removeValue(forKey: token) else { return }
        poller.poller.remove(connection.descriptor)
        alwaysReady.removeAll { $0 == token }
        if connection.isFile { openFiles -= 1 }
        if connection.descriptor > 2 { close(connection.descriptor) }
        if let producer = connection.producer, producer.connection == token { producers.left(producer) }
        peers.ended(connection)
        if !connection.openLines.isEmpty {
            // Nobody is there to be told.
            connection.producer = nil
            left.append(connection)
        }
        if lettingIn { letIn() }
    }

    /// Gives free places to those who wait, first to users with the fewest connections.
    private func letIn() {
        while !waiting.isEmpty, connections.count < options.connectionsMax {
            var counts: [UInt32: Int] = [:]
            for connection in connections.values { counts[connection.user, default: 0] += 1 }
            guard let place = waiting.indices.min(by: { (counts[waiting[$0].user] ?? 0, $0) < (counts[waiting[$1].user] ?? 0, $1) }) else {
                return
            }
            serve(waiting.remove(at: place))
        }
    }

    func closeIdle(_ now: Int64) {
        guard options.connectionIdleMax > 0 else { return }
        for (token, connection) in connections where !connection.isFile && now - connection.lastReadAt > options.connectionIdleMax {
            log.info("closed an idle connection", ["source": connection.name])
            drop(token)
        }
    }

    /// Once a second: who waits may have somebody's place by now; listeners that rested go on.
    func tendListeners(_ now: Int64) {
        for user in Set(waiting.map(\.user)) {
            while let first = waiting.firstIndex(where: { $0.user == user }), makeRoom(for: user, now) {
                serve(waiting.remove(at: waiting.firstIndex { $0.user == user && isReadable($0) } ?? first))
            }
        }
        letIn()
        guard let until = listenersRestUntil, now >= until, waiting.count < IngestLoop.waitingMax else { return }
        listenersRestUntil = nil
        for (token, listener) in listeners { poller.poller.modify(listener.descriptor, token: token, readable: true, writable: false) }
    }

    private func isReadable(_ connection: Connection) -> Bool {
        var asked = pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&asked, 1, 0) > 0
    }

    private func restListeners(until: Int64) {
        listenersRestUntil = until
        for (token, listener) in listeners { poller.poller.modify(listener.descriptor, token: token, readable: false, writable: false) }
    }

    /// At most once in ten seconds.
    private func tellRoom(_ text: String, _ fields: KeyValuePairs<String, String>, _ now: Int64) {
        guard now - roomToldAt > 10_000_000_000 || roomToldAt == 0 else { return }
        roomToldAt = now
        log.warning(text, fields)
    }
}
