@testable import Alerting
import Testing
import TimeSeries

private let rules = EpisodeRules(closeAfter: 100, quietReadingsMin: 3)
private let threshold = 2.0

/// A fixed sequence of numbers (splitmix64), so that a failure repeats.
private final class Bench {
    var book = EpisodeBook(rules: rules)
    var made = 0

    func score(_ score: Double, at time: Int64, alarm: Bool? = nil, stream: UInt32 = 1, observed: Double = 9) -> AlertAction? {
        let number = made
        let action = book.scored(
            stream: stream, time: time, score: score, threshold: threshold, isAlarm: alarm ?? (score >= threshold), observed: observed,
            identify: { ("id\(number)", "s\(stream)") },
            facts: { AlertFacts(channels: ["c\(Int(score))"], observed: observed, expected: 5, bandLow: 4, bandHigh: 6, reason: "because") }
        )
        if action?.transition == .opened { made += 1 }
        return action
    }

    func begin(_ kind: AlertKind, at time: Int64) -> AlertAction? {
        book.begin(
            stream: 1, kind: kind, severity: .warning, time: time, identify: { ("x", "s") },
            facts: { AlertFacts(channels: [], reason: "silent") })
    }

    func end(_ kind: AlertKind, at time: Int64) -> AlertAction? { book.end(stream: 1, kind: kind, time: time) }
}

@Suite struct EpisodeBookTests {
    @Test func `an alarm opens an episode with the score and the time of its reading`() throws {
        var bench = Bench()
        #expect(bench.score(1.9, at: 0) == nil)
        let action = try #require(bench.score(2.5, at: 10))
        #expect(action.transition == .opened && action.time == 10 && action.alert.openedAt == 10 && action.alert.state == .open)
        #expect(action.alert.initialScore == 2.5 && action.alert.peakScore == 2.5 && action.alert.threshold == threshold)
        #expect(action.alert.severity == .warning && action.alert.observed == 9 && action.alert.closedAt == nil)
    }

    @Test func `a high score that is no alarm opens nothing`() {
        var bench = Bench()
        #expect(bench.score(50, at: 0, alarm: false) == nil && bench.book.openCount == 0)
    }

    @Test func `the margin above the threshold makes it critical, at once or later, and never less again`() {
        var bench = Bench()
        #expect(bench.score(4, at: 0)?.alert.severity == .critical)
        bench = Bench()
        #expect(bench.score(2, at: 0)?.alert.severity == .warning)
        #expect(bench.score(4.1, at: 1)?.alert.severity == .critical)
        #expect(bench.score(2.1, at: 2) == nil)
        #expect(bench.book.episode(1, .anomaly)?.alert.severity == .critical)
    }

    @Test func `an update is told when the peak has grown by the step and not before`() {
        var bench = Bench()
        _ = bench.score(3, at: 0)
        #expect(bench.score(3.4, at: 1) == nil)
        #expect(bench.book.episode(1, .anomaly)?.alert.peakScore == 3.4)
        let update = bench.score(3.5, at: 2)
        #expect(
            update?.transition == .updated && update?.alert.peakScore == 3.5 && update?.alert.initialScore == 3
                && update?.alert.openedAt == 0)
        #expect(bench.score(3.9, at: 3) == nil, "the step counts from the last peak that was told")
    }

    @Test func `it closes only after enough time and enough readings, both since the last one that was not quiet`() {
        var bench = Bench()
        _ = bench.score(3, at: 0)
        #expect(bench.score(0, at: 50) == nil)
        #expect(bench.score(0, at: 200) == nil, "two readings are too few")
        let action = bench.score(0, at: 201)
        #expect(action?.transition == .closed && action?.alert.closedAt == 201 && action?.alert.state == .closed)
        bench = Bench()
        _ = bench.score(3, at: 0)
        for time in Int64(1)..<100 { #expect(bench.score(0, at: time) == nil, "\(time) is too early") }
        #expect(bench.score(0, at: 100)?.transition == .closed)
    }

    @Test func `a score within the hysteresis keeps it open, one below does not`() {
        var bench = Bench()
        _ = bench.score(3, at: 0)
        for time in stride(from: Int64(10), through: 1000, by: 10) { #expect(bench.score(threshold - rules.hysteresis, at: time) == nil) }
        #expect(bench.score(1.4, at: 1050) == nil && bench.score(1.4, at: 1080) == nil)
        #expect(bench.score(1.4, at: 1100)?.transition == .closed)
    }

    @Test func `the end tells whether the old level came back`() {
        for (now, words) in [(5.1, "back to usual values"), (8.9, "the new level has become usual")] {
            var bench = Bench()
            _ = bench.score(3, at: 0, observed: 9)
            var last: AlertAction?
            for time in stride(from: Int64(100), through: 400, by: 100) { last = bench.score(0, at: time, observed: now) ?? last }
            #expect(last?.alert.reason == "because; \(words)")
        }
    }

    @Test func `whatever comes, a stream has one open episode of a kind, and what it began with never changes`() throws {
        for seed in UInt64(0)..<50 {
            var numbers = SeededRandom(seed: seed)
            var bench = Bench()
            var open: [UInt32: Alert] = [:]
            var ended: Set<String> = []
            var time: Int64 = 0
            for _ in 0..<2000 {
                time += .random(in: 0..<60, using: &numbers)
                let stream = UInt32.random(in: 1...3, using: &numbers)
                let score = Double.random(in: 0..<1, using: &numbers) < 0.1 ? Double.random(in: 0..<6, using: &numbers) : 0
                guard let action = bench.score(score, at: time, stream: stream) else { continue }
                switch action.transition {
                case .opened:
                    #expect(open[stream] == nil && !ended.contains(action.alert.id), "seed \(seed)")
                    open[stream] = action.alert
                case .updated, .closed:
                    let first = try #require(open[stream], "seed \(seed)")
                    #expect(first.id == action.alert.id && first.openedAt == action.alert.openedAt, "seed \(seed)")
                    #expect(first.initialScore == action.alert.initialScore && first.observed == action.alert.observed, "seed \(seed)")
                    #expect((action.alert.peakScore ?? 0) >= (first.peakScore ?? 0), "seed \(seed)")
                    if action.transition == .closed {
                        #expect(ended.insert(action.alert.id).inserted, "seed \(seed)")
                        open[stream] = nil
                    } else {
                        open[stream] = action.alert
                    }
                }
            }
            #expect(bench.book.openCount == open.count, "seed \(seed)")
        }
    }

    @Test func `a condition begins once and ends once`() throws {
        let bench = Bench()
        #expect(bench.begin(.stale, at: 5)?.transition == .opened)
        #expect(bench.begin(.stale, at: 6) == nil)
        #expect(bench.end(.stuck, at: 7) == nil)
        let end = try #require(bench.end(.stale, at: 3))
        #expect(end.transition == .closed && end.alert.closedAt == 5, "never before it opened")
        #expect(bench.end(.stale, at: 8) == nil)
        #expect(bench.begin(.stale, at: 9)?.transition == .opened)
    }

    @Test func `restored episodes go on as if nothing had happened`() throws {
        var bench = Bench()
        _ = bench.score(3, at: 0)
        _ = bench.score(0, at: 50)
        var restored = EpisodeBook(rules: rules)
        for episode in bench.book.episodes(of: 1) { restored.restore(episode) }
        #expect(restored == bench.book)
        bench.book.forget(1)
        #expect(bench.book.openCount == 0)
    }
}

@Suite struct WordingTests {
    static let spans: [(Double, String)] = [(20, "20 s"), (119, "119 s"), (1200, "20 min"), (12_600, "3.5 h"), (172_800, "2 d")]

    @Test(arguments: spans) func `a span is told in its usual unit`(seconds: Double, text: String) {
        #expect(Wording.span(seconds) == text)
    }

    @Test func `sentences are plain`() {
        #expect(Wording.stale(silentFor: 1200, usual: 60) == "no reading for 20 min; usually one every 60 s, and other streams went on")
        #expect(Wording.allStale(streams: 1, silentFor: 60) == "no reading for 60 s")
        #expect(Wording.allStale(streams: 7, silentFor: 60) == "no reading from any of 7 streams for 60 s")
        #expect(Wording.stuck("flow", value: 12.3456) == "flow repeats 12.35 far longer than it ever did")
    }
}

@Suite struct NumberTests {
    @Test(arguments: [1e39, -1e39, 1.797e308, 5e-324, 1e-200, 1e9, 123.456, 0])
    func `a finite number is never printed as infinite or as another one`(number: Double) throws {
        let text = Wording.short(number)
        let read = try #require(Double(text), "\(text)")
        #expect(abs(read - number) <= 1e-3 * abs(number), "\(text)")
    }

    @Test func `moments of any two centuries close an alert, and none is a trap`() {
        var book = EpisodeBook(rules: EpisodeRules(closeAfter: 60_000_000_000, quietReadingsMin: 2))
        func step(_ time: Int64, _ score: Double) -> AlertAction? {
            book.scored(
                stream: 1, time: time, score: score, threshold: 5, isAlarm: score > 5, observed: nil, identify: { ("id", "s") },
                facts: { AlertFacts(channels: [], reason: "", contributions: [], evidence: [], context: []) })
        }
        #expect(step(.min + 1, 9)?.transition == .opened)
        let later = (0..<3).compactMap { step(1_760_000_000_000_000_000 + $0, 0)?.transition }
        #expect(later == [.closed])
    }
}
