import Configuration
import Testing

@testable import WatchService

@Suite struct WriteBudgetTests {
    /// A writer whose cost has a part for each commit and a part for what it stores, observed every five seconds.
    private func settle(_ budget: inout WriteBudget, perCommit: Double, payloadPerSecond: Double, hours: Int) -> Double {
        var bytes = 0.0
        var lastHour = 0.0
        for step in 0..<(hours * 720) {
            let written = 5 * (perCommit / budget.stretch + payloadPerSecond)
            bytes += written
            if step >= (hours - 1) * 720 { lastHour += written }
            _ = budget.observe(bytes: Int64(bytes), now: Int64(step) * 5_000_000_000)
        }
        return lastHour * 24
    }

    @Test("the stretch settles where the budget is kept, when commits are what costs")
    func settles() {
        var budget = WriteBudget(bytesPerDay: 50_000_000)
        let perDay = settle(&budget, perCommit: 12_000, payloadPerSecond: 100, hours: 6)
        #expect(perDay < 60_000_000, "\(perDay) bytes a day")
        #expect(budget.stretch > 10)
    }

    @Test("a budget that is not reached stretches nothing; one that cannot be kept stretches to the limit and no further")
    func limits() {
        var wide = WriteBudget(bytesPerDay: 100_000_000_000)
        _ = settle(&wide, perCommit: 12_000, payloadPerSecond: 100, hours: 1)
        #expect(wide.stretch == 1)
        var narrow = WriteBudget(bytesPerDay: 1000)
        _ = settle(&narrow, perCommit: 12_000, payloadPerSecond: 100, hours: 4)
        #expect(narrow.stretch == WriteBudget.stretchMax)
        #expect(narrow.stretched(1_000, max: 5_000) == 5_000)
        #expect(narrow.stretched(9_000, max: 5_000) == 9_000, "what the user set is never shortened")
    }

    @Test("when the budget is lifted the intervals are as configured again")
    func lifted() {
        var budget = WriteBudget(bytesPerDay: 1_000_000)
        _ = settle(&budget, perCommit: 12_000, payloadPerSecond: 0, hours: 2)
        budget.bytesPerDay = nil
        _ = settle(&budget, perCommit: 12_000, payloadPerSecond: 0, hours: 1)
        #expect(budget.stretch == 1)
    }

    @Test(
        "a budget is an amount over a time, or nothing",
        arguments: [("50MB/day", 50_000_000), ("1GB/week", 142_857_142), ("2MB/h", 48_000_000), ("", 0)] as [(String, Int64)])
    func texts(text: String, want: Int64) {
        var configuration = Configuration()
        let isTaken = configuration.set("write_budget", to: text)
        #expect(isTaken)
        #expect(configuration.number("write_budget") == want)
        for wrong in ["50MB", "fast", "/day", "50MB/", "0MB/day", "-5MB/day"] {
            let isWrongTaken = configuration.set("write_budget", to: wrong)
            #expect(!isWrongTaken, "\(wrong)")
        }
    }

    @Test("readings that come fast are committed in small pieces, unless a budget stretches the commits")
    func size() {
        func isLarge(_ kibibytes: Int, seconds: Double, stretch: Double = 1) -> Bool {
            WriterRunner.isLarge(rowBytes: kibibytes << 10, nanoseconds: Int64(seconds * 1e9), stretch: stretch)
        }
        #expect(isLarge(256, seconds: 0.04) && isLarge(256, seconds: 0.99) && isLarge(512, seconds: 1.9))
        #expect(!isLarge(255, seconds: 0.01), "the piece is not full")
        #expect(!isLarge(256, seconds: 1.1) && !isLarge(2048, seconds: 9), "slow readings wait for the interval")
        #expect(!isLarge(256, seconds: 0.04, stretch: 1.5) && !isLarge(4000, seconds: 1, stretch: 64), "a budget counts commits")
        #expect(isLarge(4096, seconds: 60) && isLarge(4096, seconds: 1, stretch: 64), "memory is limited in any case")
    }
}
