import Readings
import Testing

@testable import Ingest

@Suite struct IntakeTests {
    @Test func `readings in order are taken as they are`() {
        let bench = Bench()
        bench.feed("a,t=1 x=1,y=2 10", "a,t=1 x=3 20", "b x=1 5")
        #expect(bench.book.readings == ["a,t=1 x=1.0,y=2.0 10", "a,t=1 x=3.0 20", "b x=1.0 5"])
        #expect(bench.intake.totals.readingsAccepted == 3 && bench.intake.totals.valuesAccepted == 4 && bench.addsUp)
    }

    @Test func `the order of tags does not make another stream`() {
        let bench = Bench()
        bench.feed("a,s=1,t=2 x=1 1", "a,t=2,s=1 x=2 2", "a,t=2,s=1 x=3 3")
        #expect(bench.intake.streamCount == 1 && bench.book.readings.count == 3)
    }

    @Test func `an older reading is out of order and changes nothing`() {
        let bench = Bench()
        bench.feed("a x=1 10", "a x=2 9", "a x=3 11")
        #expect(bench.book.readings == ["a x=1.0 10", "a x=3.0 11"])
        #expect(bench.dropped(.out_of_order) == 1 && bench.addsUp)
    }

    @Test(arguments: [UInt64(1), 2, 3]) func `what is taken does not depend on which key was expected`(seed: UInt64) {
        var random = SplitMix(state: seed)
        let benches = [true, false].map { expects in
            let bench = Bench {
                $0.streamsMax = 12
                $0.evicts = true
                $0.shards = 2
            }
            bench.expects = expects
            return bench
        }
        for round in 0..<400 {
            var lines: [String] = []
            for place in 0..<10 {
                // Mostly in turn; some are left out, some come twice, some are new, so that others are evicted.
                let chance = Int.random(in: 0..<40, using: &random)
                if chance == 0 { continue }
                let unit = chance == 1 ? "unit\(round)" : chance == 2 ? "unit0" : "unit\(place)"
                let tags = chance == 3 ? "t=1,s=2" : "s=2,t=1"
                // Another channel, two of them, a time of before, ahead, or none.
                let name = chance == 4 ? "y" : chance == 5 || place == 7 ? "y=1,x" : "x"
                let time = chance == 6 ? " \(round - 2)" : chance == 7 ? " \(round + 5000)" : chance == 8 ? "" : " \(round)"
                lines.append("plant.\(unit),\(tags) \(name)=\(Int.random(in: 0..<1000, using: &random)).5\(time)")
            }
            for bench in benches {
                bench.take(lines, now: Int64(round))
                bench.intake.flush(now: monday + Int64(round) * second)
            }
        }
        #expect(benches[0].book.lines == benches[1].book.lines)
        #expect(benches[0].intake.totals == benches[1].intake.totals && benches[0].addsUp)
        #expect(benches[0].usual > 1200 && benches[0].met > 200 && benches[1].usual + benches[1].met == 0)
        #expect(benches[0].dropped(.out_of_order) > 0 && benches[0].dropped(.future) > 0 && benches[0].dropped(.duplicate) > 0)
        #expect(benches[0].book.lines.contains { $0.hasPrefix("evicted") })
    }

    @Test func `a second value for one time is a duplicate, another channel is not`() {
        let bench = Bench()
        bench.feed("a x=1 10", "a x=2 10", "a y=3 10", "a x=4,z=5 10", "a y=9 10")
        #expect(bench.book.readings == ["a x=1.0 10", "a y=3.0 10", "a z=5.0 10"])
        #expect(bench.dropped(.duplicate) == 2 && bench.valuesDropped(.duplicate) >= 1 && bench.addsUp)
    }

    @Test func `a reading dated ahead is refused and never moves the clock of its stream`() {
        let bench = Bench { $0.futureMax = 60 * second }
        bench.feed("a x=1 100", now: 100)
        bench.feed("a x=2 172900", now: 101)
        bench.feed("a x=3 102", "a x=4 161", "a x=5 163", now: 102)
        #expect(bench.book.readings == ["a x=1.0 100", "a x=3.0 102", "a x=4.0 161"])
        #expect(bench.dropped(.future) == 2 && bench.addsUp)
    }

    @Test func `a reading without time gets the present, and never one that its stream had`() {
        let bench = Bench()
        bench.feed("a x=1", "a x=2", now: 50)
        bench.feed("a x=3", now: 40)
        #expect(bench.intake.totals.readingsAccepted == 3 && bench.addsUp)
        #expect(bench.book.readings.allSatisfy { $0.hasSuffix(" 50") }, "nanoseconds apart")
    }

    @Test func `what is not a number is left out and counted, and its neighbours are taken`() {
        let bench = Bench()
        bench.feed("a x=1,s=\"on\" 1", "a s=\"off\" 2", "a x=3 3")
        #expect(bench.book.readings == ["a x=1.0 1", "a x=3.0 3"])
        #expect(bench.valuesDropped(.not_numeric) >= 1 && bench.addsUp)
    }

    @Test func `at streams_max new streams are refused, known ones go on, and one condition is told`() {
        let bench = Bench { $0.streamsMax = 2 }
        bench.feed("a x=1 1", "b x=1 1", "c x=1 1", "d x=1 1", "a x=2 2")
        #expect(bench.book.readings == ["a x=1.0 1", "b x=1.0 1", "a x=2.0 2"])
        #expect(bench.dropped(.streams_max) == 2 && bench.addsUp)
        #expect(bench.book.lines.filter { $0 == "limit begins" }.count == 1)
        bench.feed("a x=3 3", now: 1_000_000 + 601)
        #expect(bench.book.lines.last { $0.hasPrefix("limit") } == "limit over")
    }

    @Test func `with eviction the stream that was silent longest makes room`() {
        let bench = Bench {
            $0.streamsMax = 2
            $0.evicts = true
        }
        bench.feed("a x=1 1", "b x=1 2", "a x=2 3", "c x=1 4")
        #expect(bench.book.lines.contains("evicted b") && bench.intake.streamCount == 2)
        bench.feed("b x=5 5")
        #expect(bench.book.lines.filter { $0 == "new b" }.count == 2, "it comes back as a new stream")
        #expect(bench.addsUp && bench.dropped(.streams_max) == 0)
    }

    @Test func `at channels_max new channels are refused and known ones taken`() {
        let bench = Bench { $0.channelsMax = 2 }
        bench.feed("a x=1,y=1,z=1 1", "a z=2 2", "a x=3 3")
        #expect(bench.book.readings == ["a x=1.0,y=1.0 1", "a x=3.0 3"])
        #expect(bench.valuesDropped(.channels_max) + bench.dropped(.channels_max) >= 2 && bench.addsUp)
    }

    @Test func `ignored streams are counted, also after a reload`() {
        let bench = Bench(isIgnored: { $0.hasPrefix("noise") })
        bench.feed("noise,a=1 x=1 1", "a x=1 1")
        #expect(bench.dropped(.ignored) == 1 && bench.book.readings == ["a x=1.0 1"] && bench.addsUp)
        bench.intake.isIgnored = { $0 == "a" }
        bench.intake.refreshIgnored { [StreamNumber.given(inTurn: 1): "noise,a=1", StreamNumber.given(inTurn: 2): "a"][$0] }
        bench.feed("noise,a=1 x=2 2", "a x=2 2")
        #expect(bench.book.readings.last == "noise,a=1 x=2.0 2" && bench.dropped(.ignored) == 2)
    }

    @Test func `batches are numbered without holes`() {
        let bench = Bench { $0.shards = 3 }
        for index in 0..<500 { bench.feed("s\(index % 100) x=1 \(index)") }
        #expect(bench.book.sequences == (1...Int64(bench.book.sequences.count)).map { $0 })
        #expect(bench.intake.totals.readingsAccepted == 500)
    }
}

@Suite struct StreamTableTests {
    @Test func `batches are due early for a shard that has nothing to do, and not for one that has`() {
        let bench = Bench { $0.shards = 2 }
        bench.book.entryCapacity = 512
        // Streams go to the shards in turn: the even ones of these to the first.
        bench.take((0..<10).map { "s\($0) x=1 0" })
        bench.intake.flush(now: monday)
        func fill(_ readings: Int, from second: Int) { for i in 0..<readings { bench.take(["s\(i % 5 * 2) x=1 \(second + i + 1)"]) } }
        fill(200, from: 0)
        #expect(!bench.isDue, "no shard waits")
        bench.book.idleShards = [1]
        fill(100, from: 200)
        #expect(!bench.isDue, "another shard waits")
        bench.book.idleShards = [0]
        fill(19, from: 300)
        #expect(!bench.isDue, "it is asked at multiples of 64")
        fill(1, from: 319)
        #expect(bench.isDue)
        bench.intake.flush(now: monday)
        #expect(!bench.isDue && bench.book.readings.count == 330)
        bench.book.idleShards = []
        fill(503, from: 320)
        #expect(!bench.isDue)
        fill(2, from: 823)
        #expect(bench.isDue, "a batch is nearly full")
    }

    @Test func `ten thousand keys are told apart, removed and found again`() {
        var table = StreamTable(seed: 3)
        var ids: [UInt32] = [0]
        func find(_ key: String) -> UInt32 { Array(key.utf8).withUnsafeBufferPointer { table.find($0) } }
        for number in 1...10_000 {
            ids.append(Array("stream,host=h\(number)".utf8).withUnsafeBufferPointer { table.add(canonical: $0) })
        }
        #expect(Set(ids).count == 10_001 && ids.max() ?? 0 <= 10_240, "close together")
        for number in stride(from: 1, through: 10_000, by: 97) {
            #expect(find("stream,host=h\(number)") == ids[number])
            table.remove(ids[number])
            #expect(find("stream,host=h\(number)") == 0)
        }
        let (next, reserved) = (ids.max() ?? 0, 20_480)
        table.reserve(turnsThrough: reserved)
        let late = Array("late".utf8).withUnsafeBufferPointer { table.add(canonical: $0) }
        #expect(late == StreamNumber.given(inTurn: reserved + 1) && late > next && table.silentLongest() != nil)
        #expect(find("stream,host=h2") == ids[2] && find("stream,host=h10001") == 0 && find("") == 0)
    }
}

@Suite struct SharedBudgetTests {
    @Test func `the number told grows by a quarter at most and never falls short of the streams`() {
        var told: [UInt32] = []
        for streams in UInt32(1)...100_000 {
            let number = BudgetGroups.rounded(streams)
            #expect(number >= streams && Double(number) <= 1.25 * Double(streams), "\(streams): \(number)")
            if told.last != number { told.append(number) }
        }
        #expect(told.count < 80, "a fleet of 100,000 streams is told \(told.count) times")
    }

    @Test func `streams that share a budget are told how many they are, again when that changes, and others are not`() {
        let bench = Bench { $0.shards = 1 }
        bench.intake.budgetGroup = { $0.hasPrefix("pump") ? 3 : 0 }
        bench.feed("pump,t=1 x=1 1")
        bench.feed("valve x=1 2")
        bench.feed("pump,t=2 x=1 3", "pump,t=1 x=2 4")
        let told = bench.book.lines.filter { $0.hasPrefix("group") }
        #expect(told == ["group 3 shared by 1", "group 3 shared by 2"])
    }

    @Test func `an evicted stream gives its share back`() {
        let bench = Bench {
            $0.streamsMax = 2
            $0.evicts = true
        }
        bench.intake.budgetGroup = { $0.hasPrefix("pump") ? 1 : 0 }
        bench.feed("pump,t=1 x=1 1", "pump,t=2 x=1 2")
        bench.feed("valve x=1 3", now: 1_000_100)
        bench.feed("valve x=2 4", now: 1_000_200)
        #expect(bench.book.lines.filter { $0.hasPrefix("group") }.last == "group 1 shared by 1")
    }

    @Test func `after a restart the shares are told once, with the first readings`() {
        let bench = Bench()
        bench.intake.budgetGroup = { _ in 1 }
        for id in UInt32(1)...6 {
            bench.intake.restore(stream: id, key: Array("s\(id)".utf8), channels: [], lastTime: monday, lastClock: 0)
        }
        bench.feed("s1 x=1 1")
        bench.feed("s2 x=1 2")
        #expect(bench.book.lines.filter { $0.hasPrefix("group") } == ["group 1 shared by 6"])
    }
}
