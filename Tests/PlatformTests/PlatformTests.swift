import Foundation
import Glibc
import Platform
import Testing

/// A directory of its own for one test; short, because socket paths have at most 107 bytes.
private final class Place {
    let path: String
    init() {
        var template = Array("/tmp/rnnXXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct SocketTests {
    @Test(arguments: [UnixSocket.Kind.stream, .datagram])
    func `a socket file that nobody serves is replaced`(kind: UnixSocket.Kind) throws {
        let place = Place()
        let path = place.path + "/s"
        do { _ = try UnixSocket.bind(path: path, kind: kind, mode: 0o600) }
        #expect(Files.exists(path), "a closed socket leaves its file")
        let again = try UnixSocket.bind(path: path, kind: kind, mode: 0o640)
        var status = stat()
        #expect(again.raw >= 0 && stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
    }

    @Test func `a file of another kind is never deleted`() throws {
        let place = Place()
        try Files.replace(place.path + "/file", with: Array("precious".utf8))
        #expect(mkdir(place.path + "/dir", 0o700) == 0 && symlink(place.path + "/file", place.path + "/link") == 0)
        for name in ["file", "dir", "link"] {
            #expect(throws: PlatformError.self, "\(name)") {
                _ = try UnixSocket.bind(path: place.path + "/" + name, kind: .stream, mode: 0o600)
            }
            #expect(Files.exists(place.path + "/" + name))
        }
        #expect(try Files.read(place.path + "/file") == Array("precious".utf8))
    }

    @Test func `at the end only the socket that was made is removed, not what took its place`() throws {
        let place = Place()
        let path = place.path + "/s"
        let first = try UnixSocket.bind(path: path, kind: .stream, mode: 0o600)
        let made = UnixSocket.Identity(path: path)
        let other = try UnixSocket.bind(path: path + "2", kind: .stream, mode: 0o600)
        #expect(rename(path + "2", path) == 0)
        UnixSocket.remove(path: path, made)
        #expect(try UnixSocket.connect(path: path).raw >= 0, "the other's is left alone")
        UnixSocket.remove(path: path, UnixSocket.Identity(path: path))
        #expect(!Files.exists(path) && first.raw >= 0 && other.raw >= 0)
    }

    @Test(arguments: [UnixSocket.Kind.stream, .datagram])
    func `a socket that somebody serves is refused and goes on serving`(kind: UnixSocket.Kind) throws {
        let place = Place()
        let path = place.path + "/s"
        let first = try UnixSocket.bind(path: path, kind: kind, mode: 0o600)
        #expect(throws: PlatformError.refused(verb: "bind socket", object: path, reason: "another process serves it")) {
            _ = try UnixSocket.bind(path: path, kind: kind, mode: 0o600)
        }
        if kind == .stream { #expect(try UnixSocket.connect(path: path).raw >= 0) }
        #expect(first.raw >= 0)
    }

    @Test func `a path that is too long is an error of the system, not a cut path`() {
        #expect(throws: PlatformError.self) {
            _ = try UnixSocket.bind(path: "/tmp/" + String(repeating: "x", count: 200), kind: .stream, mode: 0o600)
        }
    }

    @Test func `the kernel says who is at the other end`() throws {
        var ends: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { ends.forEach { close($0) } }
        let peer = try #require(PeerCredentials(descriptor: ends[0]))
        #expect(peer.processID == getpid() && peer.userID == getuid())
        var pipes: [Int32] = [0, 0]
        #expect(pipe(&pipes) == 0)
        defer { pipes.forEach { close($0) } }
        #expect(PeerCredentials(descriptor: pipes[0]) == nil)
    }
}

@Suite struct LockTests {
    @Test func `a second holder is refused and told who holds it`() throws {
        let place = Place()
        let path = place.path + "/lock"
        do {
            let held = try DirectoryLock(path: path)
            #expect(
                throws: PlatformError.refused(verb: "lock", object: path, reason: "process \(getpid()) already works in this directory")
            ) {
                _ = try DirectoryLock(path: path)
            }
            _ = consume held
        }
        _ = try DirectoryLock(path: path)
    }
}

@Suite struct FilesTests {
    @Test func `a file is replaced as a whole and read within its bound`() throws {
        let place = Place()
        let path = place.path + "/f"
        try Files.replace(path, with: [1, 2, 3])
        try Files.replace(path, with: [4])
        #expect(try Files.read(path) == [4] && !Files.exists(path + ".new"))
        try Files.replace(path, with: [UInt8](repeating: 7, count: 200_000))
        #expect(try Files.read(path, bytesMax: 200_000).count == 200_000)
        #expect(throws: PlatformError.self) { _ = try Files.read(path, bytesMax: 199_999) }
    }

    @Test func `a link at the place of a new file is not followed, and a device or a pipe is not replaced`() throws {
        let place = Place()
        let (path, target) = (place.path + "/f", place.path + "/target")
        try Files.replace(target, with: Array("precious".utf8))
        #expect(symlink(target, path + ".new") == 0 && symlink(target, path) == 0)
        try Files.replace(path, with: [1], isPublic: true)
        #expect(try Files.read(path) == [1] && Files.read(target) == Array("precious".utf8))
        #expect(mkfifo(place.path + "/pipe", 0o600) == 0)
        #expect(throws: PlatformError.self) { try Files.replace(place.path + "/pipe", with: [1]) }
        var status = stat()
        #expect(lstat(place.path + "/pipe", &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
        #expect(throws: PlatformError.refused(verb: "replace", object: "/dev/null", reason: "got a device, expected a regular file")) {
            try Files.replace("/dev/null", with: [1])
        }
    }

    @Test func `a lock is never taken through a link`() throws {
        let place = Place()
        try Files.replace(place.path + "/target", with: Array("precious".utf8))
        #expect(symlink(place.path + "/target", place.path + "/lock") == 0)
        #expect(throws: PlatformError.self) { _ = try DirectoryLock(path: place.path + "/lock") }
        #expect(try Files.read(place.path + "/target") == Array("precious".utf8))
    }

    @Test func `a new file appears complete under a free name, is its owner's alone, and a killed one leaves nothing for good`() throws {
        let place = Place()
        let path = place.path + "/f"
        let making = try NewFile.beside(path)
        try writeAll(making.file.raw, [1, 2], object: path)
        #expect(!Files.exists(path))
        // As after a kill: nobody holds its lock.
        let left = place.path + "/.rnn-watchd-partial-left"
        try Files.replace(left, with: [3])
        NewFile.removeLeftovers(in: place.path)
        #expect(!Files.exists(left) && Files.exists(making.temporary), "the one that is being made stays")
        try making.publish(at: path)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(throws: PlatformError.self) { _ = try NewFile.beside(path) }
        let late = try NewFile(in: place.path)
        let temporary = late.temporary
        do {
            try late.publish(at: path)
            Issue.record("took the place of another")
        } catch { #expect("\(error)".contains("it exists; it was left alone")) }
        #expect(try Files.read(path) == [1, 2] && !Files.exists(temporary))
    }

    @Test func `what lies inside a directory is known through links`() throws {
        let place = Place()
        try Files.makeDirectory(place.path + "/state/sub")
        #expect(symlink(place.path + "/state", place.path + "/link") == 0)
        for inside in ["/state/x", "/state/sub/x", "/link/x", "/link/sub/../x"] {
            #expect(Files.isInside(place.path + inside, place.path + "/state"), "\(inside)")
        }
        for outside in ["/x", "/link/../x", "/state2/x"] {
            #expect(!Files.isInside(place.path + outside, place.path + "/state"), "\(outside)")
        }
    }

    @Test func `what a process crashed on is known to those after it, what it was killed in is not`() throws {
        let place = Place()
        let path = place.path + "/crash"
        func mark(_ kind: UInt64, _ number: UInt64, crashed: UInt32) -> [UInt8] {
            var bytes = [kind, number].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
            bytes += [0, 0, 0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: crashed >> (8 * $0)) }
            return bytes
        }
        let none = [UInt8](repeating: 0, count: 24)
        try Files.replace(path, with: none + mark(1, 41, crashed: 0))
        #expect(CrashMarks.open(path) == nil && !CrashMarks.ended(.journal, 41))
        try Files.replace(path, with: none + mark(1, 41, crashed: 1))
        #expect(CrashMarks.open(path) == "replaying journal row 41" && CrashMarks.ended(.journal, 41) && !CrashMarks.ended(.journal, 42))
        #expect(CrashMarks.open(path) == nil && CrashMarks.ended(.journal, 41), "still known at the start after that")
        #expect(!CrashMarks.ended(.explanation, 41))
    }

    @Test func `directories are made with those above them`() throws {
        let place = Place()
        try Files.makeDirectory(place.path + "/a/b/c")
        try Files.makeDirectory(place.path + "/a/b/c")
        #expect(Files.exists(place.path + "/a/b/c"))
    }
}

@Suite struct QueueTests {
    @Test func `a full queue makes the producer wait, and nothing is lost or reordered`() {
        let queue = BoundedQueue<Int>(capacity: 3)
        let highest = Locked(0)
        let thread = Thread {
            for number in 0..<10_000 {
                queue.push(number)
                highest.withLock { $0 = max($0, queue.count) }
            }
            queue.close()
        }
        thread.start()
        var seen: [Int] = []
        while !queue.isFinished { if let next = queue.pop(timeoutNanoseconds: 1_000_000) { seen.append(next) } }
        #expect(seen == Array(0..<10_000))
        #expect(highest.withLock { $0 } <= 3)
    }

    @Test func `a closed queue takes nothing more and gives what it holds`() {
        let queue = BoundedQueue<Int>(capacity: 2)
        #expect(queue.push(1))
        queue.close()
        #expect(!queue.push(2) && !queue.isFinished)
        #expect(queue.pop() == 1 && queue.pop() == nil && queue.isFinished)
    }

    @Test func `closing frees a waiting producer and its element is not taken`() {
        let queue = BoundedQueue<Int>(capacity: 1)
        queue.push(1)
        let refused = Locked(false)
        let done = DispatchSemaphore(value: 0)
        Thread {
            let taken = queue.push(2)
            refused.withLock { $0 = !taken }
            done.signal()
        }.start()
        usleep(20_000)
        queue.close()
        done.wait()
        #expect(refused.withLock { $0 } && queue.pop() == 1 && queue.pop() == nil)
    }

    @Test func `a resting consumer is woken by as many as it waits for, by an urgent one, and by the end`() throws {
        let queue = BoundedQueue<Int>(capacity: 100)
        func rests(_ body: @escaping @Sendable () -> Void) throws -> Double {
            let began = Clocks.monotonic()
            let thread = try WorkerThread("producer") {
                Clocks.sleep(nanoseconds: 30_000_000)
                body()
            }
            queue.rest(nanoseconds: 2_000_000_000, count: 3)
            thread.join()
            while queue.pop(timeoutNanoseconds: 0) != nil {}
            return Double(Clocks.monotonic() - began) * 1e-9
        }
        #expect(try rests { for number in 0..<3 { queue.push(number) } } < 1)
        #expect(try rests { queue.push(1, isUrgent: true) } < 1)
        #expect(try rests { queue.push(1) } > 1.9, "one that is neither lets it rest on")
        queue.push(1, isUrgent: true)
        let began = Clocks.monotonic()
        queue.rest(nanoseconds: 2_000_000_000, count: 3)
        #expect(Clocks.monotonic() - began < 1_000_000_000, "what came before the rest counts")
        #expect(queue.pop(timeoutNanoseconds: 0) == 1)
        #expect(try rests { queue.close() } < 1)
    }

    @Test func `an empty queue waits no longer than it may`() {
        let queue = BoundedQueue<Int>(capacity: 1)
        let start = Clocks.monotonic()
        #expect(queue.pop(timeoutNanoseconds: 0) == nil && queue.pop(timeoutNanoseconds: 5_000_000) == nil)
        #expect(Clocks.monotonic() - start >= 5_000_000)
    }
}

@Suite struct PollerTests {
    @Test func `readiness comes with its token, stops when not wanted, and ends with a hangup`() throws {
        var ends: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let poller = try Poller()
        try poller.add(ends[0], token: 77)
        func events() -> [Poller.Event] {
            var found: [Poller.Event] = []
            poller.wait(timeoutMilliseconds: 20) { found.append($0) }
            return found
        }
        #expect(events().isEmpty)
        #expect(write(ends[1], "x", 1) == 1)
        #expect(events().map(\.token) == [77] && events().allSatisfy { $0.isReadable && !$0.isHangup })
        poller.modify(ends[0], token: 77, readable: false, writable: false)
        #expect(events().isEmpty)
        poller.modify(ends[0], token: 78, readable: true, writable: true)
        #expect(events().map(\.token) == [78] && events().allSatisfy { $0.isReadable && $0.isWritable })
        close(ends[1])
        #expect(events().contains { $0.isHangup })
        poller.remove(ends[0])
        #expect(events().isEmpty)
        close(ends[0])
    }

    @Test func `a wakeup stays readable until it is drained`() throws {
        let wakeup = try Wakeup()
        let poller = try Poller()
        try poller.add(wakeup.descriptor, token: 1)
        wakeup.signal()
        wakeup.signal()
        #expect(poller.wait(timeoutMilliseconds: 0) { _ in } == 1)
        wakeup.drain()
        #expect(poller.wait(timeoutMilliseconds: 0) { _ in } == 0)
    }
}
