import Glibc
import Platform
import Readings
import Testing

@testable import Ingest

/// A book that expectations may change.
private final class Book {
    private var book: ProducerBook
    init(_ records: [ProducerRecord], namesMax: Int) { book = ProducerBook(records, namesMax: namesMax) }
    subscript(name: ProducerName) -> Producer? { book[name] }
    var count: Int { book.count }
    var evictions: Int64 { book.evictions }
    func greet(_ name: ProducerName) -> Producer? { book.greet(name) }
    func forget(_ name: ProducerName) -> Bool { book.forget(name) }
    func advance(_ producer: Producer, by lines: Int64 = 1) -> Bool { book.advance(producer, by: lines) }
    func pending() -> [Acknowledgement] { book.pending() }
    func answered(_ acknowledgement: Acknowledgement) -> Producer? { book.answered(acknowledgement) }
}

private func line(_ number: Int64, _ stream: String = "a") -> String { "\(stream) x=\(number) \(monday + number * second)\n" }

@Suite struct ProducerBookTests {
    private func name(_ text: String, of user: UInt32 = 7) -> ProducerName { ProducerName(user: user, name: text) }

    @Test func `two users with one name are two producers, and neither moves the other's numbers`() {
        let book = Book([ProducerRecord(name: name("p", of: 1), sequence: 500, heardAt: 1)], namesMax: 10)
        let (mine, foreign) = (book.greet(name("p", of: 1)), book.greet(name("p", of: 2)))
        #expect(mine?.stored == 500 && foreign?.stored == 0)
        if let foreign { #expect(book.advance(foreign, by: 1000)) }
        let pending = book.pending()
        #expect(pending.map(\.producer) == [name("p", of: 2)] && pending.map(\.sequence) == [1000])
        #expect(pending.first.flatMap { book.answered($0) } === foreign)
        #expect(mine?.stored == 500 && mine?.accepted == 500 && book.pending().isEmpty)
    }

    @Test func `at the limit the own name that was not heard of for the longest makes room, never a connected one or another user's`() {
        let book = Book(
            [("old", 1), ("older", 0), ("young", 2)].map { ProducerRecord(name: name($0.0), sequence: 5, heardAt: $0.1) }
                + [ProducerRecord(name: name("oldest", of: 8), sequence: 5, heardAt: -1)], namesMax: 3)
        book.greet(name("older"))?.connection = 1
        #expect(book.greet(name("new"))?.stored == 0 && book.evictions == 1)
        #expect(book[name("old")] == nil && book[name("older")]?.stored == 5 && book[name("young")]?.stored == 5)
        #expect(book[name("oldest", of: 8)]?.stored == 5)
        #expect(book.pending() == [Acknowledgement(connection: 0, producer: name("old"), sequence: -1)])
        for other in ["new", "young"] { book.greet(name(other))?.connection = 2 }
        #expect(book.greet(name("more")) == nil, "all are connected")
        for round in 0..<10_000 { _ = book.greet(name("n\(round)", of: 9)) }
        #expect(book.count == 3 + 1 + 3)
    }

    @Test func `a name that was forgotten begins anew, and what was on its way for it is not told to the new one`() throws {
        let book = Book([], namesMax: 10)
        let first = try #require(book.greet(name("p")))
        #expect(book.advance(first, by: 5))
        let onItsWay = book.pending()
        #expect(book.forget(name("p")) && !book.forget(name("p")))
        let second = try #require(book.greet(name("p")))
        #expect(second.stored == 0 && onItsWay.allSatisfy { book.answered($0) == nil } && second.stored == 0)
        #expect(book.advance(second))
        #expect(book.pending().map(\.sequence) == [-1, 1], "forgotten first, then stored again")
    }

    @Test func `a name from before names had users is taken over by the first who greets with it, and stored as that user's`() throws {
        let book = Book([ProducerRecord(name: name("p", of: ProducerName.anyUser), sequence: 40, heardAt: 1)], namesMax: 10)
        #expect(book.greet(name("p", of: 3))?.stored == 40 && book.greet(name("p", of: 4))?.stored == 0)
        let pending = book.pending()
        #expect(pending.map(\.producer) == [name("p", of: ProducerName.anyUser), name("p", of: 3)])
        #expect(pending.map(\.sequence) == [-1, 40])
    }

    @Test func `numbers at the end of the range do not trap`() throws {
        let book = Book([ProducerRecord(name: name("p"), sequence: .max, heardAt: .min)], namesMax: 1)
        let producer = try #require(book.greet(name("p")))
        producer.position = .max
        #expect(!book.advance(producer, by: .max))
    }
}

@Suite struct ChecksumTests {
    private func checksum(_ lines: String) -> String { String(CRC32C.checksum(Array(lines.utf8)), radix: 16) }

    @Test func `who asks for it is told the checksum of the stored lines, however they came`() throws {
        let running = try Running { $0.lineBytesMax = 300 }
        let long = "x" + String(repeating: "y", count: 1000) + "\n"
        // Lines that come in turn, in pieces, with a carriage return, too long in one piece and in two.
        let lines = (1...40).map { line(Int64($0), "p,u=\($0 % 2)") } + ["rubbish\r\n", "# comment\n", long, line(99)]
        let client = try Client(running.path)
        try client.send("#!producer p checksum\n")
        #expect(client.line() == "ok 0 0 300")
        let text = lines.joined()
        for part in [text.prefix(900), text.dropFirst(900).prefix(1200), text.dropFirst(2100)] {
            try client.send(String(part))
            usleep(20_000)
        }
        while let answer = client.line(), answer != "ok \(lines.count)" {}
        let again = try Client(running.path)
        try again.send("#!producer p checksum\n")
        let known = lines.joined().replacing(long, with: "x" + String(repeating: "y", count: 255) + "\n")
        #expect(again.line() == "ok \(lines.count) \(checksum(known)) 300")
        running.finish()
    }

    @Test func `it is told once nothing of the producer is on its way`() throws {
        let running = try Running(stores: false)
        let first = try Client(running.path)
        try first.send("#!producer p\n" + line(1) + line(2))
        #expect(first.line() == "ok 0" && running.wait { running.book.acknowledgements.last?.sequence == 2 })
        let second = try Client(running.path)
        try second.send("#!producer p checksum\n")
        usleep(300_000)
        running.server.acknowledge(running.book.acknowledgements)
        #expect(second.line() == "ok 2 \(checksum(line(1) + line(2))) 65536")
        running.finish()
    }
}

@Suite struct RoomTests {
    @Test(arguments: ["#!producer\n", "#!producer \n", "#!producer   \r\n", "#!producer\t\n"])
    func `a greeting of blanks is refused at once`(greeting: String) throws {
        let running = try Running()
        let client = try Client(running.path)
        try client.send(greeting)
        #expect(client.line()?.hasPrefix("error cannot greet: got a name of 0 bytes") == true)
        #expect(client.line() == nil, "closed")
        running.finish()
    }

    @Test func `a first line that only begins like a greeting is a comment`() throws {
        let running = try Running()
        let client = try Client(running.path)
        try client.send("#!producers are here\n" + line(1))
        #expect(running.wait(lines: 2))
        #expect(running.finish().readingsAccepted == 1)
    }

    @Test func `clients that say nothing make room for those who do, also behind others that say nothing`() throws {
        let running = try Running {
            $0.connectionsMax = 4
            $0.silentEnough = second / 5
        }
        let idle = try (0..<20).map { _ in try Client(running.path) }
        let client = try Client(running.path)
        try client.send(line(1))
        #expect(running.wait(lines: 1))
        #expect(running.server.snapshot.withLock { $0.madeRoom } > 0)
        #expect(idle.count == 20)
        running.finish()
    }

    @Test func `a line whose string is open is a line by itself when its client has to go`() throws {
        let running = try Running()
        let first = try Client(running.path)
        try first.send("#!producer p\na x=1,text=\"open \(monday)\n")
        #expect(first.line() == "ok 0")
        #expect(running.wait(lines: 1))
        let second = try Client(running.path)
        try second.send("#!producer p\n" + line(1) + line(2))
        #expect(first.line()?.hasPrefix("error cannot go on: another client greeted as p") == true)
        #expect(running.wait(lines: 3))
        let totals = running.finish()
        #expect(totals.refused.reduce(0, +) == 1)
        #expect(totals.readingsAccepted == 1, "the first was taken already")
    }

    @Test func `clients are counted by user`() throws {
        let running = try Running()
        let client = try Client(running.path)
        try client.send(line(1) + "rubbish\n")
        #expect(running.wait { running.server.snapshot.withLock { $0.peers.first?.lines } == 2 })
        let peers = running.server.snapshot.withLock { $0.peers }
        #expect(peers == [PeerCount(user: getuid(), connections: 1, waiting: 0, lines: 2, refused: 1)])
        running.finish()
    }
}
