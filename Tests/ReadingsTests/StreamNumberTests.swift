import Readings
import Testing

@Suite struct StreamNumberTests {
    @Test func `every number is given once, and 0 never`() {
        var given = Set<UInt32>()
        for turn in 1...2560 {
            let stream = StreamNumber.given(inTurn: turn)
            if stream == 0 { continue }
            #expect(given.insert(stream).inserted)
            #expect(StreamNumber.turn(of: stream) == turn)
        }
        #expect(given == Set(1...2559))
        #expect((1...4).map { StreamNumber.given(inTurn: $0) } == [1, 17, 33, 49])
    }

    @Test(arguments: [2, 4, 8, 16])
    func `the first streams of a fleet are shared among all shards`(shards: Int) {
        for fleet in [shards, 2 * shards, 10 * shards, 1000] {
            var loads = [Int](repeating: 0, count: shards)
            var (turn, streams) = (0, 0)
            while streams < fleet {
                turn += 1
                let stream = StreamNumber.given(inTurn: turn)
                if stream == 0 { continue }
                streams += 1
                loads[StreamNumber.shard(of: stream, shards: shards)] += 1
            }
            #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= 2, "\(fleet) streams: \(loads)")
        }
    }

    @Test func `the last turn that may have given a number covers all numbers up to it`() {
        for stream: UInt32 in [1, 15, 16, 40, 255, 256, 1000] {
            let last = StreamNumber.lastTurn(through: stream)
            for earlier in 1...stream { #expect(StreamNumber.turn(of: earlier) <= last) }
        }
    }
}
