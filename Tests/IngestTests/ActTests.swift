import Ingest
import Readings
import Testing

@Suite struct ActTests {
    private func first(_ turn: Int) -> UInt32 { StreamNumber.given(inTurn: turn) }
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func `a stream that was renamed goes on under its new name with its channels and its times`() {
        let bench = Bench()
        bench.feed("pump,site=a v=1 10")
        bench.intake.act([.rename(stream: first(1), key: bytes("pump,site=a"), to: bytes("pump,site=b"))], number: 4, now: monday)
        #expect(bench.book.acknowledgements == [Acknowledgement(act: 4)])
        bench.book.lines.removeAll()
        bench.feed("pump,site=b v=2 5", "pump,site=b v=3 20")
        #expect(bench.intake.totals.readingsAccepted == 2, "5 is older than what came under the old name")
        #expect(!bench.book.lines.contains { $0.hasPrefix("new ") }, "\(bench.book.lines)")
        bench.feed("pump,site=a v=4 30")
        #expect(bench.book.lines.contains("new pump,site=a"), "the old name is free")
        #expect(bench.intake.streamCount == 2)
    }

    @Test func `whoever has the new name makes room`() {
        let bench = Bench()
        bench.feed("a v=1 10", "b v=1 10")
        bench.intake.act([.rename(stream: first(1), key: bytes("a"), to: bytes("b"))], number: 0, now: monday)
        #expect(bench.book.lines.contains("evicted b") && bench.intake.streamCount == 1)
        bench.book.lines.removeAll()
        bench.feed("b v=1 20")
        #expect(!bench.book.lines.contains { $0.hasPrefix("new ") })
    }

    @Test func `a forgotten stream that speaks again is a new one, and an act about another name does nothing`() {
        let bench = Bench()
        bench.feed("a v=1 10", "b v=1 10")
        bench.intake.act([.forget(stream: first(1), key: bytes("b")), .reset(stream: 9999, key: bytes("a"))], number: 0, now: monday)
        #expect(bench.intake.streamCount == 2)
        bench.intake.act(
            [.forget(stream: first(1), key: bytes("a")), .forget(stream: first(2), key: bytes("b"))], number: 0, now: monday)
        #expect(bench.intake.streamCount == 0)
        bench.book.lines.removeAll()
        bench.feed("a v=1 5")
        #expect(bench.book.lines.contains("new a") && bench.intake.totals.readingsAccepted == 3)
    }

    @Test func `an act that changes nothing is answered all the same`() {
        let bench = Bench()
        bench.intake.act([.forget(stream: 1, key: bytes("nobody"))], number: 7, now: monday)
        #expect(bench.book.acknowledgements == [Acknowledgement(act: 7)])
    }
}
