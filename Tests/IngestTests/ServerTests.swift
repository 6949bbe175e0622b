import Foundation
import Glibc
import Ingest
import LineFormats
import Platform
import Readings
import Testing

private func line(_ number: Int, _ stream: String = "a") -> String { "\(stream) x=\(number) \(monday + Int64(number) * second)\n" }

/// A pipe whose end is already written.
private func pipe(holding text: String) -> Int32 {
    var ends: [Int32] = [0, 0]
    guard Glibc.pipe(&ends) == 0 else { return -1 }
    let writer = ends[1]
    let bytes = Array(text.utf8)
    Thread {
        try? writeAll(writer, bytes, object: "test")
        close(writer)
    }.start()
    return ends[0]
}

@Suite struct ServerTests {
    @Test func `any cutting of the bytes gives the same readings`() throws {
        let text = (1...40).map { line($0, "s\($0 % 3),t=ä") }.joined() + "\n# comment\r\n" + line(41).dropLast() + "\r\nlast x=1 \(monday)"
        let bytes = Array(text.utf8)
        var expected: [String]?
        for size in [bytes.count, 1, 2, 3, 7, 64, 1000] {
            let running = try Running()
            let client = try Client(running.path)
            for start in stride(from: 0, to: bytes.count, by: size) {
                try writeAll(client.descriptor, Array(bytes[start..<min(start + size, bytes.count)]), object: "test")
            }
            client.end()
            #expect(running.wait(lines: 44))
            let totals = running.finish()
            #expect(totals.readingsAccepted == 42 && totals.linesIgnored == 2, "pieces of \(size)")
            if let expected { #expect(running.book.readings == expected, "pieces of \(size)") }
            expected = running.book.readings
        }
    }

    @Test func `a line that is too long is refused once, however it is cut, and the next is read`() throws {
        for size in [100, 257, 5000, 300_000] {
            let running = try Running { $0.lineBytesMax = 256 }
            let client = try Client(running.path)
            try client.send(String(repeating: "x", count: size == 100 ? 257 : size) + "\n")
            try client.send(line(1))
            #expect(running.wait(lines: 2))
            let totals = running.finish()
            #expect(totals.linesReceived == 2 && totals.readingsAccepted == 1, "\(size)")
            #expect(totals.refused[LineError.Reason.allCases.firstIndex(of: .lineTooLong) ?? 0] == 1, "\(size)")
        }
    }

    @Test func `a datagram holds one or more lines`() throws {
        let running = try Running()
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(running.datagramPath.utf8)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        #expect(connected == 0)
        for text in [line(1) + line(2), String(line(3).dropLast()), "", "#!producer x\n", "rubbish"] {
            _ = Array(text.utf8).withUnsafeBytes { send(socket, $0.baseAddress, $0.count, 0) }
        }
        #expect(running.wait(lines: 5))
        let totals = running.finish()
        #expect(totals.readingsAccepted == 3 && totals.refused.reduce(0, +) == 1 && totals.linesIgnored == 1)
    }

    @Test func `more clients than connections_max wait and are served later`() throws {
        let running = try Running { $0.connectionsMax = 2 }
        let clients = try (0..<5).map { _ in try Client(running.path) }
        for (index, client) in clients.enumerated() {
            try client.send(line(1, "s\(index)"))
        }
        #expect(running.wait(lines: 2))
        usleep(300_000)
        #expect(running.totals().linesReceived == 2 && running.server.snapshot.withLock { $0.connections } == 2)
        clients.forEach { $0.end() }
        #expect(running.wait(lines: 5))
        running.finish()
    }

    @Test func `an idle client is closed when the configuration says so`() throws {
        let running = try Running { $0.connectionIdleMax = second / 10 }
        let client = try Client(running.path)
        try client.send(line(1))
        #expect(client.line() == nil, "the end of the connection")
        #expect(running.finish().readingsAccepted == 1)
    }

    @Test func `a file that starts with a header is CSV`() throws {
        let running = try Running(
            input: pipe(holding: "timestamp,flow,pressure\n2026-01-05T00:00:01Z,1,2\r\n2026-01-05T00:00:02Z,3,\n\nx,y,z"))
        let totals = running.finish(stop: false)
        #expect(running.book.readings == ["stdin flow=1.0,pressure=2.0 1", "stdin flow=3.0 2"])
        #expect(totals.linesReceived == 5 && totals.refused.reduce(0, +) == 1 && totals.linesIgnored == 2)
    }

    @Test func `a file of plain values with tabs is no CSV`() throws {
        let running = try Running(input: pipe(holding: "flow\t1.5\nflow\t2.5\n"))
        #expect(running.finish(stop: false).readingsAccepted == 2)
    }

    @Test func `an empty file ends at once`() throws {
        let running = try Running(input: pipe(holding: ""))
        #expect(running.finish(stop: false).linesReceived == 0)
    }
}

@Suite struct AcknowledgementTests {
    @Test func `every line is acknowledged when it is stored`() throws {
        let running = try Running()
        let client = try Client(running.path)
        try client.send("#!producer p1\n")
        #expect(client.line() == "ok 0")
        try client.send(line(1) + "rubbish\n" + line(2))
        var answers: [String] = []
        while let answer = client.line() {
            answers.append(answer)
            if answer == "ok 3" { break }
        }
        #expect(answers.last == "ok 3")
        #expect(answers.contains { $0.hasPrefix("refused 2 column ") })
        #expect(running.finish().readingsAccepted == 2)
    }

    @Test func `after a reconnect lines in flight are known again and none is taken twice`() throws {
        let running = try Running(stores: false)
        let first = try Client(running.path)
        try first.send("#!producer p1\n" + line(1) + line(2) + line(3))
        #expect(first.line() == "ok 0" && running.wait(lines: 3))
        let second = try Client(running.path)
        try second.send("#!producer p1\n")
        #expect(second.line() == "ok 0", "nothing is stored yet")
        try second.send(line(1) + line(2) + line(3) + line(4))
        #expect(running.wait(lines: 7))
        let totals = running.finish()
        #expect(running.book.readings == ["a x=1.0 1", "a x=2.0 2", "a x=3.0 3", "a x=4.0 4"])
        #expect(totals.dropped[DropReason.allCases.firstIndex(of: .resent) ?? 0] == 3)
    }

    @Test func `lines that come in turn are numbered like others, and known again`() throws {
        // One after another from two units, so that most of them are read without being cut before.
        let all = (1...60).map { "plant,unit=u\($0 % 2 + 1) c0=\($0).5 \(monday + Int64($0) * second)\n" }
        let running = try Running(stores: false)
        let before = try Client(running.path)
        try before.send("#!producer p1\n" + all[..<40].joined())
        #expect(before.line() == "ok 0" && running.wait(lines: 40))
        let after = try Client(running.path)
        try after.send("#!producer p1\n")
        #expect(after.line() == "ok 0", "nothing is stored yet")
        try after.send(all.joined())
        #expect(running.wait(lines: 100))
        let totals = running.finish()
        #expect(totals.linesReceived == 100 && totals.readingsAccepted == 60)
        #expect(totals.bytesReceived == (all[..<40] + all).reduce(0) { $0 + Int64($1.utf8.count) })
        #expect(totals.dropped[DropReason.allCases.firstIndex(of: .resent) ?? 0] == 40)
        #expect(running.book.acknowledgements.last?.sequence == 60)
        #expect(running.book.readings.count == 60)
    }

    @Test func `a line cut off by the end of a numbered connection is not taken`() throws {
        let running = try Running()
        let client = try Client(running.path)
        try client.send("#!producer p1\n" + line(1) + "a x=2")
        #expect(client.line() == "ok 0" && client.line() == "ok 1")
        client.end()
        let again = try Client(running.path)
        try again.send("#!producer p1\n")
        #expect(again.line() == "ok 1")
        try again.send(line(2))
        #expect(again.line() == "ok 2")
        running.finish()
        #expect(running.book.readings == ["a x=1.0 1", "a x=2.0 2"])
    }

    @Test func `a client that leaves its answers unread is told the newest acknowledgement once it reads`() throws {
        let running = try Running()
        let client = try Client(running.path)
        try client.send("#!producer p1\n")
        #expect(client.line() == "ok 0")
        // Each is answered with about a hundred bytes: far more than a socket and the daemon keep.
        let count: Int64 = 50_000
        try client.send(String(repeating: "x\n", count: Int(count)))
        #expect(running.wait(lines: count))
        usleep(100_000)
        var last = ""
        while last != "ok \(count)", let answer = client.line() { last = answer }
        #expect(last == "ok \(count)")
        #expect(running.finish().refused.reduce(0, +) == count)
    }

    @Test func `a client whose name another one takes is told so`() throws {
        let running = try Running()
        let first = try Client(running.path)
        try first.send("#!producer p1\n" + line(1))
        #expect(first.line() == "ok 0" && first.line() == "ok 1")
        let second = try Client(running.path)
        try second.send("#!producer p1\n")
        #expect(second.line() == "ok 1")
        #expect(first.line()?.hasPrefix("error cannot go on: another client greeted as p1") == true)
        #expect(first.line() == nil)
        try second.send(line(2))
        #expect(second.line() == "ok 2")
        #expect(running.finish().readingsAccepted == 2)
    }

    @Test func `a greeting without name is refused`() throws {
        let running = try Running()
        let client = try Client(running.path)
        try client.send("#!producer \u{7F} \n")
        #expect(client.line()?.hasPrefix("error cannot greet") == true)
        running.finish()
    }
}
