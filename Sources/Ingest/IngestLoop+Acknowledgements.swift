import Glibc
import Platform
import Readings

/// The protocol of clients that number their lines.
extension IngestLoop {
    private static let greeting = "#!producer"
    /// After the name: the greeting is answered with `ok N CHECKSUM LINE_BYTES_MAX`.
    private static let checksumWord = Array(" checksum".utf8)

    /// `#!producer NAME` as the first line makes the connection an acknowledged one.
    func hello(_ bytes: UnsafeBufferPointer<UInt8>, _ connection: Connection, _ token: UInt64) -> Bool {
        let length = IngestLoop.greeting.utf8.count
        guard token != 0, !connection.isFile, bytes.starts(with: IngestLoop.greeting.utf8), bytes.count == length || bytes[length] <= 32
        else { return false }
        var rest = bytes[length...].drop { $0 == 32 }
        while let last = rest.last, last <= 32 { rest.removeLast() }
        // A name that is shortened or repaired might be another client's.
        let asksChecksum =
            rest.count > IngestLoop.checksumWord.count && rest.suffix(IngestLoop.checksumWord.count).elementsEqual(IngestLoop.checksumWord)
        if asksChecksum { rest.removeLast(IngestLoop.checksumWord.count) }
        guard (1...IngestLoop.producerBytesMax).contains(rest.count), !rest.contains(where: { $0 <= 32 || $0 == 127 }),
            let text = String(validating: rest, as: UTF8.self)
        else {
            return refuseGreeting(
                "got a name of \(rest.count) bytes, expected #!producer NAME with 1 to \(IngestLoop.producerBytesMax) bytes of UTF-8 without blanks",
                connection, token)
        }
        let evictions = producers.evictions
        guard let producer = producers.greet(ProducerName(user: connection.user, name: text)) else {
            return refuseGreeting(
                "user \(connection.user) has \(producers.namesMax) names that are all connected (producers_max), expected one of them",
                connection, token)
        }
        if producers.evictions > evictions { tellEviction(connection.user) }
        let before = producer.connection
        producer.connection = token
        producer.position = producer.stored
        connection.producer = producer
        connection.lines = 1
        if before != 0, before != token {
            if let other = connections[before] {
                queue("error cannot go on: another client greeted as \(text), expected one at a time\n", other, before)
            }
            drop(before)
        }
        connection.awaitsChecksum = asksChecksum
        welcome(producer, connection, token)
        return true
    }

    /// Answers a greeting. Who asked for the checksum waits until lines that are on their way are stored: what he sends from here on must
    /// not be taken for them.
    private func welcome(_ producer: Producer, _ connection: Connection, _ token: UInt64) {
        guard connection.awaitsChecksum else { return acknowledge(producer.stored, connection, token) }
        guard producer.stored == producer.accepted else { return }
        connection.awaitsChecksum = false
        producer.position = producer.stored
        let checksum = producer.storedChecksum.map { String($0, radix: 16) } ?? "-"
        queue("ok \(producer.stored) \(checksum) \(options.lineBytesMax)\n", connection, token)
    }

    private func refuseGreeting(_ why: String, _ connection: Connection, _ token: UInt64) -> Bool {
        queue("error cannot greet: \(why)\n", connection, token)
        connection.isRefused = true
        return true
    }

    private func tellEviction(_ user: UInt32) {
        let now = Clocks.monotonic()
        guard now - namesToldAt > 60_000_000_000 || namesToldAt == 0 else { return }
        namesToldAt = now
        log.warning(
            "producers_max reached: names that were not heard of for the longest are forgotten, their clients begin anew",
            ["uid": "\(user)", "producers_max": "\(producers.namesMax)", "forgotten_since_start": "\(producers.evictions)"])
    }

    /// Forgets a producer, as somebody asked. false: it is not known.
    func forget(_ name: ProducerName) -> Bool {
        guard let producer = producers[name] else { return false }
        if let other = connections[producer.connection] {
            queue(
                "error cannot go on: \(name.name) was forgotten (rnnctl producers forget), expected a new greeting\n", other,
                producer.connection)
            drop(producer.connection)
        }
        return producers.forget(name)
    }

    /// Passes on what has been stored.
    func answer(_ acknowledgements: [Acknowledgement]) {
        for acknowledgement in acknowledgements {
            guard let producer = producers.answered(acknowledgement), let connection = connections[producer.connection] else { continue }
            if connection.awaitsChecksum {
                welcome(producer, connection, producer.connection)
                continue
            }
            acknowledge(acknowledgement.sequence, connection, producer.connection)
        }
    }

    /// An acknowledgement is never left out, whatever else a client has not read yet.
    private func acknowledge(_ sequence: Int64, _ connection: Connection, _ token: UInt64) {
        if connection.outgoing.count >= IngestLoop.outgoingMax {
            connection.owed = sequence
        } else {
            queue("ok \(sequence)\n", connection, token)
        }
    }

    /// Says something, unless the client leaves too much unread; then it is only counted, like everything.
    func queue(_ text: String, _ connection: Connection, _ token: UInt64) {
        guard connection.outgoing.count < IngestLoop.outgoingMax else { return }
        connection.outgoing += Array(text.utf8)
        write(connection, token)
    }

    func write(_ connection: Connection, _ token: UInt64) {
        while !connection.outgoing.isEmpty {
            let count = connection.outgoing.withUnsafeBytes { Glibc.write(connection.descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                connection.outgoing.removeFirst(count)
                if connection.outgoing.isEmpty, let sequence = connection.owed {
                    connection.owed = nil
                    connection.outgoing = Array("ok \(sequence)\n".utf8)
                }
            } else if count < 0 && errno == EINTR {
                continue
            } else {
                break
            }
        }
        poller.poller.modify(connection.descriptor, token: token, readable: true, writable: !connection.outgoing.isEmpty)
    }

    /// What may be acknowledged once it is stored. What waits for late readings or for the end of a string is not on its way yet; whoever waits
    /// for an acknowledgement waits a second longer at most.
    func pendingAcknowledgements(_ intake: inout Intake, _ now: Int64) -> [Acknowledgement] {
        closeLeft(&intake, now)
        guard producers.count > 0 else { return producers.pending() }
        if !intake.hasHeld {
            heldSince = 0
        } else if heldSince == 0 {
            heldSince = now
            return []
        } else if now >= heldSince, now.since(heldSince) < IngestLoop.acknowledgementWaitMax {
            return []
        } else {
            intake.settleOrder(now: now, all: true)
            heldSince = 0
        }
        return producers.pending { connections[$0]?.openLines.isEmpty ?? true }
    }

    /// Goes on with a client of the process before us.
    func adopt(_ client: OpenClient, _ token: UInt64) throws(PlatformError) {
        let user = PeerCredentials(descriptor: client.descriptor)?.userID ?? Connection.unknownUser
        let connection = Connection(
            descriptor: client.descriptor, name: client.name, source: tally(String(client.name.prefix { $0 != " " })), isFile: false,
            user: user, now: Clocks.monotonic())
        connection.carry = client.carry
        connection.isSkipping = client.isSkipping
        connection.lines = min(max(client.lines, 0), Int64.max / 2)
        connection.outgoing = client.outgoing
        connections[token] = connection
        try poller.poller.add(client.descriptor, token: token)
        guard let name = client.producer else { return }
        // Lines that were taken but not stored must come again, and only a new greeting makes the client send them.
        guard let producer = producers.greet(ProducerName(user: user, name: name)), producer.stored >= client.position else {
            return drop(token)
        }
        producer.position = client.position
        producer.connection = token
        connection.producer = producer
        acknowledge(producer.stored, connection, token)
    }
}
