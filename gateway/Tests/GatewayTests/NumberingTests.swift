import Testing

@testable import Gateway

struct NumberingTests {
    private func numbering(_ acknowledge: Settings.Acknowledge = .stored, batches: [String]) -> Numbering {
        var numbering = Numbering(name: "n", acknowledge: acknowledge)
        for (index, text) in batches.enumerated() {
            numbering.submit(id: UInt64(index + 1), bytes: Array(text.utf8), lines: text.utf8.count { $0 == 10 }, deadline: 100)
        }
        return numbering
    }

    /// What goes over the socket when it takes `chunk` bytes at a time.
    private func sent(_ numbering: inout Numbering, chunk: Int = 1 << 20, bytesMax: Int = .max) -> String {
        var out: [UInt8] = []
        while numbering.hasMore, out.count < bytesMax {
            _ = numbering.send { bytes in
                let count = min(chunk, bytes.count, bytesMax - out.count)
                out += bytes.prefix(count)
                return count
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    @Test(
        "Nothing is sent before the greeting; then batches go out in order, in whatever pieces the socket takes", arguments: [1, 2, 3, 100])
    func order(chunk: Int) {
        var n = numbering(batches: ["a\nb\n", "c\n"])
        #expect(!n.hasMore)
        #expect(n.greeted(0).goesOn)
        #expect(sent(&n, chunk: chunk) == "a\nb\nc\n")
    }

    @Test("A batch is answered when its last line is stored, with the refusals of its lines by index")
    func answers() {
        var n = numbering(batches: ["a\nb\n", "c\n"])
        _ = n.greeted(0)
        _ = sent(&n)
        n.refused(2, "bad b")
        #expect(n.acknowledged(1) == [])
        #expect(n.acknowledged(3) == [.init(id: 1, outcome: .taken(refused: [1: "bad b"])), .init(id: 2, outcome: .taken(refused: [:]))])
        #expect(n.isEmpty && n.pendingBytes == 0)
    }

    @Test("After any interruption exactly the lines are sent again that the daemon has not stored", arguments: 0...6)
    func resend(storedBefore: Int) {
        let all = ["a\n", "b\n", "c\n", "d\n", "e\n", "f\n"]
        for cut in 0...12 {
            var n = numbering(batches: ["a\nb\nc\n", "d\ne\n", "f\n"])
            _ = n.greeted(0)
            _ = sent(&n, bytesMax: cut)
            n.disconnected()
            guard storedBefore <= cut / 2 else { continue }
            let (goesOn, answers) = n.greeted(Int64(storedBefore))
            #expect(goesOn && answers.count == (storedBefore >= 6 ? 3 : storedBefore >= 5 ? 2 : storedBefore >= 3 ? 1 : 0))
            #expect(sent(&n) == all[storedBefore...].joined(), "cut \(cut)")
            #expect(n.acknowledged(6).count == 3 - answers.count)
        }
    }

    @Test("A daemon with an older state is greeted under a new name, and what it never stored goes there")
    func backup() {
        var n = numbering(batches: ["a\nb\n"])
        _ = n.greeted(0)
        _ = sent(&n)
        _ = n.acknowledged(2)
        n.submit(id: 9, bytes: Array("c\nd\n".utf8), lines: 2, deadline: 100)
        _ = sent(&n)
        n.disconnected()
        #expect(!n.greeted(1).goesOn && n.name == "n-1" && !n.hasMore)
        #expect(n.greeted(0).goesOn)
        #expect(sent(&n) == "c\nd\n")
        n.refused(1, "why")
        #expect(n.acknowledged(2) == [.init(id: 9, outcome: .taken(refused: [0: "why"]))])
    }

    @Test("What was never sent is taken back when its time is over; what was sent is kept until it is stored, and answered once")
    func expiry() {
        var n = numbering(batches: ["a\n", "b\n"])
        _ = n.greeted(0)
        _ = sent(&n, bytesMax: 1)
        #expect(n.expire(now: 99) == [])
        #expect(n.expire(now: 100) == [.init(id: 2, outcome: .timedOut(wasSent: false)), .init(id: 1, outcome: .timedOut(wasSent: true))])
        #expect(n.expire(now: 200) == [])
        #expect(sent(&n) == "\n" && n.acknowledged(1) == [] && n.isEmpty)
    }

    @Test("While the daemon is away what was never sent goes back to its senders, and what was sent is kept")
    func givingUp() {
        var n = numbering(batches: ["a\n", "b\n"])
        _ = n.greeted(0)
        _ = sent(&n, bytesMax: 2)
        n.disconnected()
        #expect(n.giveUpWaiting() == [.init(id: 2, outcome: .timedOut(wasSent: false))])
        #expect(n.pendingBytes == 2 && n.greeted(0).goesOn && sent(&n) == "a\n")
        #expect(n.acknowledged(1) == [.init(id: 1, outcome: .taken(refused: [:]))] && n.isEmpty && n.giveUpWaiting() == [])
    }

    @Test("Asked to be received only, a batch is answered when the socket has taken it, and sent again all the same")
    func received() {
        var n = numbering(.received, batches: ["a\n"])
        _ = n.greeted(0)
        var answers: [Numbering.Answer] = []
        while n.hasMore { answers += n.send { $0.count } }
        #expect(answers == [.init(id: 1, outcome: .taken(refused: [:]))])
        n.disconnected()
        _ = n.greeted(0)
        #expect(sent(&n) == "a\n" && n.acknowledged(1) == [])
    }

    @Test("Thousands of batches keep their order and their answers")
    func many() {
        var n = Numbering(name: "n", acknowledge: .stored)
        _ = n.greeted(0)
        var answered: [UInt64] = []
        for id in 1...5000 as ClosedRange<UInt64> {
            n.submit(id: id, bytes: [97, 10], lines: 1, deadline: .max)
            _ = sent(&n)
            if id % 7 == 0 { answered += n.acknowledged(Int64(id) - 3).map(\.id) }
        }
        answered += n.acknowledged(5000).map(\.id)
        #expect(answered == Array(1...5000) && n.isEmpty && n.pendingBytes == 0)
    }
}
