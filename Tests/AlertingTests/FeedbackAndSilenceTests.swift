import Alerting
import Testing

private let day: Int64 = 86_400 * 1_000_000_000

@Suite struct FeedbackBarTests {
    @Test func `a bar fades from its points to nothing in its time`() {
        let bar = FeedbackBar(channel: 0, points: 2, since: 10 * day, fade: 30 * day, weekHour: -1)
        #expect(bar.height(at: 9 * day) == 2, "time that was set back does not raise it")
        #expect(bar.height(at: 10 * day) == 2 && bar.height(at: 25 * day) == 1 && bar.height(at: 40 * day) == 0)
        #expect(bar.height(at: .max) == 0)
    }

    @Test func `a mistake would just have been kept back, within bounds`() {
        #expect(FeedbackBar.points(peak: 5.5, threshold: 4.5) == 1.25)
        #expect(FeedbackBar.points(peak: 4.5, threshold: 4.5) == 0.5)
        #expect(FeedbackBar.points(peak: 90, threshold: 4.5) == 2)
        #expect(FeedbackBar.points(peak: .nan, threshold: 4.5) == 0.5)
    }

    @Test func `the like is the channel, and of what was expected the hour of the week`() {
        var bars = FeedbackBars()
        bars.raise(FeedbackBar(channel: 3, points: 1, since: 0, fade: day, weekHour: 0))
        #expect(bars.height(channel: 3, time: 0, weekHour: 0) == 1)
        #expect(bars.height(channel: 3, time: 0, weekHour: 1) == 1 && bars.height(channel: 3, time: 0, weekHour: 167) == 1)
        #expect(bars.height(channel: 3, time: 0, weekHour: 2) == 0 && bars.height(channel: 2, time: 0, weekHour: 0) == 0)
        bars.raise(FeedbackBar(channel: FeedbackBar.anyChannel, points: 0.7, since: 0, fade: day, weekHour: -1))
        #expect(bars.height(channel: 2, time: 0, weekHour: 99) == 0.7 && bars.height(channel: 3, time: 0, weekHour: 0) == 1)
    }

    @Test func `mistake after mistake raises it to a limit, and taking it back removes it`() {
        var bars = FeedbackBars()
        for _ in 0..<20 { bars.raise(FeedbackBar(channel: 0, points: 2, since: 0, fade: day, weekHour: -1)) }
        #expect(bars.height(channel: 0, time: 0, weekHour: 0) == FeedbackBar.pointsMax && bars.bars.count == 1)
        for channel in 1..<UInt16(40) { bars.raise(FeedbackBar(channel: channel, points: 1, since: 0, fade: day, weekHour: -1)) }
        #expect(bars.bars.count == FeedbackBars.barsMax)
        #expect(bars.height(channel: 0, time: 0, weekHour: 0) == 3, "the lowest makes room")
        bars.raise(FeedbackBar(channel: 0, points: 0, since: 0, fade: 1, weekHour: -1))
        #expect(bars.height(channel: 0, time: 0, weekHour: 0) == 0)
    }

    @Test func `the hour of the week counts from Monday in local time`() {
        // 2026-11-23 was a Monday; 1795392000 is its midnight in UTC.
        #expect(FeedbackBar.weekHour(seconds: 1_795_392_000, offset: 0) == 0)
        #expect(FeedbackBar.weekHour(seconds: 1_795_392_000 - 1, offset: 0) == 167)
        #expect(FeedbackBar.weekHour(seconds: 1_795_392_000 - 1, offset: 3600) == 0)
        #expect(FeedbackBar.weekHour(seconds: 0, offset: 0) == 72, "1970 began on a Thursday")
        #expect(FeedbackBar.weekHour(seconds: -3600, offset: 0) == 71)
    }
}

@Suite struct SilenceTests {
    private func matches(_ pattern: String, _ text: String) -> Bool {
        pattern == "*" || pattern == text || pattern.hasSuffix("*") && text.hasPrefix(pattern.dropLast())
    }

    @Test func `every list that is given must match and an empty one matches all`() {
        let scope = SilenceScope(streams: ["pump*"], tags: ["site=a*", "room=1"], kinds: ["stale"], channels: ["t*"])
        let key = "pump,room=1,site=a0"
        #expect(scope.matches(stream: key, kind: "stale", channels: ["x", "temp"], glob: matches))
        #expect(!scope.matches(stream: key, kind: "stuck", channels: ["temp"], glob: matches))
        #expect(!scope.matches(stream: key, kind: "stale", channels: ["x"], glob: matches))
        #expect(!scope.matches(stream: "pump,room=2,site=a0", kind: "stale", channels: ["temp"], glob: matches))
        #expect(!scope.matches(stream: "fan,room=1,site=a0", kind: "stale", channels: ["temp"], glob: matches))
        #expect(SilenceScope().matches(stream: "x", kind: "stale", channels: [], glob: matches))
    }

    @Test func `a comma that is escaped is part of a tag`() {
        let scope = SilenceScope(tags: ["site=a\\,b"])
        #expect(scope.matches(stream: "p,site=a\\,b,z=1", glob: matches))
        #expect(!scope.matches(stream: "p,site=a,z=1", glob: matches))
    }

    private func silence(_ form: Silence.Form, _ change: (inout Silence) -> Void = { _ in }) -> Silence {
        var silence = Silence(id: "s", form: form, scope: SilenceScope(), startsAt: 100, by: "ada", createdAt: 50)
        (silence.endsAt, silence.duration) = (200, 30)
        change(&silence)
        return silence
    }

    @Test func `each form covers its own time, its end not included`() {
        func covers(_ silence: Silence, _ now: Int64) -> Bool { silence.spell(at: now, occurrence: { $0 / 60 * 60 }) != nil }
        let fixed = silence(.fixed)
        #expect([99, 100, 199, 200].map { covers(fixed, $0) } == [false, true, true, false])
        let waiting = silence(.flexible)
        #expect(!covers(waiting, 150) && waiting.begins(at: 150) && !waiting.begins(at: 200) && !waiting.begins(at: 99))
        let begun = silence(.flexible) { $0.beganAt = 190 }
        #expect(covers(begun, 219) && !covers(begun, 220) && !begun.begins(at: 195) && begun.isOver(at: 220) && !begun.isOver(at: 219))
        let recurring = silence(.recurring)
        // Moments 60, 120, 180, for 30 each, between 100 and 200.
        #expect([95, 119, 120, 149, 150, 185, 200].map { covers(recurring, $0) } == [false, false, true, true, false, true, false])
        let mute = silence(.mute)
        #expect(covers(mute, .max - 1) && !mute.isOver(at: .max))
        let ended = silence(.mute) { $0.endedAt = 150 }
        #expect(covers(ended, 149) && !covers(ended, 150) && ended.isOver(at: 150))
    }
}
