import Readings
import TimeSeries

/// A client that numbers its lines.
final class Producer {
    let name: ProducerName
    /// Another one of the same name, after this one was forgotten, has another life: what was asked for this one is not told to it.
    let life: UInt64
    /// The last line taken from it (stored or on its way).
    var accepted: Int64
    /// The last line that is known to be stored.
    var stored: Int64
    /// Of the lines up to `accepted`, and up to `stored`; nil: not known.
    fileprivate(set) var checksum: UInt32?
    fileprivate(set) var storedChecksum: UInt32?
    /// The sequence of the last line of its present connection.
    var position: Int64 = 0
    /// The last sequence for which an acknowledgement is on its way.
    var asked: Int64
    var connection: UInt64 = 0
    /// It stands in the book's list of those that went on.
    fileprivate var isListed = false
    /// When it came or went last, in the book's own count.
    fileprivate var stamp: UInt64 = 0

    fileprivate init(_ name: ProducerName, life: UInt64, sequence: Int64, checksum: UInt32?) {
        (self.name, self.life) = (name, life)
        (self.checksum, storedChecksum) = (sequence == 0 ? 0 : checksum, sequence == 0 ? 0 : checksum)
        (accepted, stored, asked) = (sequence, sequence, sequence)
    }
}

/// All clients that number their lines, by the user whose they are. Nobody can use up the names of others, nor move their numbers.
struct ProducerBook {
    /// Names of each user; of more, the one that was not heard of for the longest makes room.
    let namesMax: Int
    private var known: [ProducerName: Producer] = [:]
    private var users: [UInt32: User] = [:]
    private var advanced: [Producer] = []
    private var forgotten: [ProducerName] = []
    private var lives: UInt64 = 0
    private var stamps: UInt64 = 0
    /// Names that made room since the start.
    private(set) var evictions: Int64 = 0

    private struct User {
        var count = 0
        /// Who came or went when; an entry whose stamp is not its producer's any more is outdated.
        var order: [(producer: Producer, stamp: UInt64)] = []
        var first = 0
    }

    init(_ records: [ProducerRecord], namesMax: Int) {
        self.namesMax = max(1, namesMax)
        for record in records.sorted(by: { ($0.heardAt, $0.name) < ($1.heardAt, $1.name) }) {
            _ = add(record.name, record.sequence, record.checksum)
        }
    }

    subscript(name: ProducerName) -> Producer? { known[name] }
    var count: Int { known.count }

    /// The producer of a greeting. nil: the user has `namesMax` names and all of them are connected.
    mutating func greet(_ name: ProducerName) -> Producer? {
        if let producer = known[name] {
            touch(producer)
            return producer
        }
        let before = known[ProducerName(user: ProducerName.anyUser, name: name.name)]
        if users[name.user]?.count ?? 0 >= namesMax {
            guard let oldest = oldest(of: name.user) else { return nil }
            evictions += 1
            _ = forget(oldest.name)
        }
        let producer = add(name, before?.stored ?? 0, before?.storedChecksum)
        if let before {
            // From here on it is this user's: stored as such with the next commit.
            _ = forget(before.name)
            producer.asked = producer.accepted - 1
            list(producer)
        }
        return producer
    }

    /// Its connection ended.
    mutating func left(_ producer: Producer) {
        producer.connection = 0
        touch(producer)
    }

    /// It is not known any more, from the next commit on. false: it was not.
    mutating func forget(_ name: ProducerName) -> Bool {
        guard let producer = known.removeValue(forKey: name) else { return false }
        producer.stamp = 0
        users[name.user]?.count -= 1
        forgotten.append(name)
        return true
    }

    /// Takes one more line, without its newline. - Returns: whether it is new.
    mutating func advance(_ producer: Producer, _ line: UnsafeBufferPointer<UInt8>, lineBytesMax: Int) -> Bool {
        guard advance(producer) else { return false }
        producer.checksum = producer.checksum.map { LineChecksum.adding(line, to: $0, lineBytesMax: lineBytesMax) }
        return true
    }

    /// Takes so many more lines, each with its newline and all of them new.
    mutating func advance(_ producer: Producer, by count: Int, _ lines: UnsafeRawBufferPointer) {
        guard advance(producer, by: Int64(count)) else { return }
        producer.checksum = producer.checksum.map { LineChecksum.adding(lines: lines, to: $0) }
    }

    /// Takes `lines` more lines of a producer. What it has not sent before is new.
    /// - Returns: whether the last of them is new.
    mutating func advance(_ producer: Producer, by lines: Int64 = 1) -> Bool {
        producer.position = producer.position.later(by: lines)
        guard producer.position > producer.accepted else { return false }
        producer.accepted = producer.position
        if !producer.isListed { list(producer) }
        return true
    }

    /// Who waits for what has been taken since this was asked before, and who was forgotten (sequence -1, first). `isReady`: whether all that came
    /// through a connection is on its way; who is not ready is asked again.
    mutating func pending(isReady: (UInt64) -> Bool = { _ in true }) -> [Acknowledgement] {
        guard !advanced.isEmpty || !forgotten.isEmpty else { return [] }
        var pending = forgotten.map { Acknowledgement(connection: 0, producer: $0, sequence: -1) }
        advanced.sort { $0.name < $1.name }
        var unready: [Producer] = []
        for producer in advanced {
            guard isReady(producer.connection) else {
                unready.append(producer)
                continue
            }
            producer.isListed = false
            guard known[producer.name] === producer, producer.accepted > producer.asked else { continue }
            producer.asked = producer.accepted
            pending.append(
                Acknowledgement(
                    connection: producer.connection, producer: producer.name, sequence: producer.accepted, life: producer.life,
                    checksum: producer.checksum))
        }
        advanced.removeAll(keepingCapacity: true)
        advanced += unready
        forgotten.removeAll()
        return pending
    }

    /// What an acknowledgement that came back is about; nil: about one that was forgotten meanwhile.
    func answered(_ acknowledgement: Acknowledgement) -> Producer? {
        guard acknowledgement.sequence >= 0, let producer = known[acknowledgement.producer], producer.life == acknowledgement.life else {
            return nil
        }
        if acknowledgement.sequence > producer.stored {
            (producer.stored, producer.storedChecksum) = (acknowledgement.sequence, acknowledgement.checksum)
        }
        return producer
    }

    // MARK: - Order

    private mutating func add(_ name: ProducerName, _ sequence: Int64, _ checksum: UInt32?) -> Producer {
        lives += 1
        let producer = Producer(name, life: lives, sequence: sequence, checksum: checksum)
        known[name] = producer
        users[name.user, default: User()].count += 1
        touch(producer)
        return producer
    }

    private mutating func list(_ producer: Producer) {
        producer.isListed = true
        advanced.append(producer)
    }

    private mutating func touch(_ producer: Producer) {
        guard known[producer.name] === producer else { return }
        stamps += 1
        producer.stamp = stamps
        let user = producer.name.user
        users[user, default: User()].order.append((producer, stamps))
        guard let of = users[user], of.order.count > 4 * of.count + 64 else { return }
        users[user]?.order = of.order[of.first...].filter { $0.producer.stamp == $0.stamp }
        users[user]?.first = 0
    }

    /// The name of a user that was not heard of for the longest and is not connected.
    private mutating func oldest(of user: UInt32) -> Producer? {
        var left = users[user]?.count ?? 0
        while left > 0, let of = users[user], of.first < of.order.count {
            let entry = of.order[of.first]
            users[user]?.first += 1
            guard entry.producer.stamp == entry.stamp else { continue }
            if entry.producer.connection == 0 { return entry.producer }
            touch(entry.producer)
            left -= 1
        }
        return nil
    }
}
