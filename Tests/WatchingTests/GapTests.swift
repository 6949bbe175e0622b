import Testing

@testable import Watching

/// What a stream's usual gap is when the fleet's clock does not tell.
@Suite struct GapTests {
    /// Readings every minute; `clock` says what the fleet's clock shows at each.
    private func extra(_ readings: Int, clock: (Int) -> Int64) -> StreamExtra {
        var extra = StreamExtra()
        for reading in 0..<readings {
            let time = Int64(reading) * 60_000_000_000
            extra.observe(clock: clock(reading), time: time)
            extra.readings += 1
            extra.lastTime = time
        }
        return extra
    }

    @Test func `history that is sent while others are live keeps the interval of its own times`() {
        let standing = extra(200) { _ in 5_000_000_000 }
        #expect(abs(standing.meanGap - 60e9) < 1e6 && abs(standing.longestGap - 60e9) < 1e6)
        let moving = extra(200) { Int64($0) * 60_000_000_000 }
        #expect(standing.silenceMax(after: 20, min: 0) == moving.silenceMax(after: 20, min: 0))
    }

    @Test func `a gap in such history is no interval`() {
        var standing = extra(200) { _ in 5_000_000_000 }
        standing.observe(clock: 5_000_000_000, time: standing.lastTime + 86_400_000_000_000)
        #expect(standing.meanGap < 61e9 && standing.longestGap < 61e9)
    }
}
