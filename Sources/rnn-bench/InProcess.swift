import CAllocationCount
import CRecurrentKernels
import Detection
import Glibc
import LineFormats
import RecurrentNetwork

/// Stages of the way of a reading, in this thread.
struct InProcess {
    let report: Report
    let rounds: Int

    /// The same bytes through more and more of the way.
    func stages() {
        for (streams, channels) in [(1000, 1), (10_000, 1), (10_000, 6)] {
            let lines = max(50_000, streams * 5)
            // Warm-up: every stream has had its first hundred readings before the clock runs.
            let warm = max(2, (130 * streams + lines - 1) / lines)
            let load = Workload(streams: streams, channels: channels, lines: lines, segments: warm + rounds)
            report.begin(
                "stages-\(streams)-\(channels)",
                "\(streams) streams of \(channels) channels, line protocol, \(load.lineBytes) bytes a line; \(rounds) interleaved rounds of \(lines) lines:",
                ["cumulative stages", "ns a line", "min-max", "million lines/s", "x copy"])
            let stages: [(String, Pipe.Stage)] = [
                ("parse + intake", .none), ("parse + intake + GRU 32 forward", .forward), ("parse + intake + light", .detector(.light)),
                ("parse + intake + default", .detector(.standard)),
            ]
            let pipes = stages.map { Pipe($0.1, streams: streams, channels: channels) }
            for pipe in pipes { for segment in 0..<warm { pipe.run(load, segment) } }
            var copy = [UInt8](repeating: 0, count: load.bytes.count / load.segmentCount + 4096)
            var bodies: [(Int) -> Void] = [{ round in self.copy(load, warm + round, &copy) }, { round in self.parse(load, warm + round) }]
            for pipe in pipes { bodies.append { round in pipe.run(load, warm + round) } }
            let results = Measure.interleaved(rounds, per: lines, bodies)
            let reference = Measure.median(results[0])
            for (name, result) in zip(["copy of the same bytes", "parse"] + stages.map(\.0), results) {
                report.time(name, result, reference: reference)
            }
        }
    }

    private func copy(_ load: Workload, _ segment: Int, _ target: inout [UInt8]) {
        let (from, to) = (load.segments[segment], load.segments[segment + 1])
        if target.count < to - from { target = [UInt8](repeating: 0, count: to - from) }
        target.withUnsafeMutableBytes { target in
            load.bytes.withUnsafeBytes { target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[from..<to])) }
        }
    }

    private func parse(_ load: Workload, _ segment: Int) {
        var parser = LineParser()
        var fields = 0
        load.forEachLine(segment) { line in
            if (try? parser.parse(line)) != nil { fields &+= parser.readings.fieldCount(0) }
        }
        precondition(fields == load.lines * load.channels)
    }

    /// One network step alone, beside the naive kernel.
    func kernels() {
        let (batch, inputs, hidden) = (96, 6, ForwardStage.hidden)
        guard let model = try? RecurrentModel(cell: .gru, inputSize: inputs, hiddenSize: hidden, outputSize: inputs, seed: 1),
            let engine = try? RecurrentEngine(model: model)
        else { return }
        report.begin(
            "kernels", "One step of a GRU of \(hidden) units with \(inputs) inputs and \(inputs) outputs, \(batch) streams at once:",
            ["kernel", "ns a step", "min-max", "million/s", "x naive"])
        var state = RecurrentState(for: engine, streamCount: batch)
        let x = [Float](repeating: 0.5, count: batch * inputs)
        var y = x
        let layer = engine.model.layers[0]
        // Reset and update gates have one bias, the candidate has two.
        let both = zip(layer.inputBias, layer.recurrentBias).prefix(2 * hidden).map { $0 + $1 }
        let bias = both + layer.inputBias[(2 * hidden)...] + layer.recurrentBias[(2 * hidden)...]
        var (h, scratch) = ([Float](repeating: 0, count: batch * hidden), [Float](repeating: 0, count: hidden))
        let repeats = 200
        let results = Measure.interleaved(
            rounds, per: repeats * batch,
            [
                { _ in
                    for _ in 0..<repeats {
                        for i in 0..<batch {
                            x.withUnsafeBufferPointer { x in
                                h.withUnsafeMutableBufferPointer { h in
                                    guard let x = x.baseAddress, let h = h.baseAddress else { return }
                                    rk_naive_step(
                                        Int32(layer.cell.rawValue), 0, Int32(inputs), Int32(hidden), layer.inputWeights,
                                        layer.recurrentWeights,
                                        bias, x + i * inputs, h + i * hidden, nil, &scratch)
                                }
                            }
                        }
                    }
                },
                { _ in
                    state.withRows { rows in
                        guard let base = rows.baseAddress else { return }
                        for _ in 0..<repeats {
                            try? engine.step(
                                count: batch, inputs: x, inputStride: inputs, states: base, outputs: &y, outputStride: inputs)
                        }
                    }
                },
            ])
        let reference = Measure.median(results[0])
        report.time("naive C, libm", results[0], reference: reference)
        report.time("batched, \(engine.instructionSet)", results[1], reference: reference)
    }

    /// The detector alone: readings of univariate streams in turn.
    func detector() {
        report.begin(
            "detector",
            "The detector alone, univariate streams in turn, all past their warm-up; the reference is the same rule in double precision:",
            ["streams", "ns a reading", "min-max", "million readings/s", "x reference"])
        for count in [1, 1000, 10_000] {
            let fleets = [
                DetectorFleet(.reference, streams: count), DetectorFleet(.standard, streams: count), DetectorFleet(.light, streams: count),
            ]
            let readings = max(50_000, count * 2)
            for fleet in fleets { fleet.run(max(readings, 320 * count)) }
            let results = Measure.interleaved(rounds, per: readings, fleets.map { fleet in { _ in fleet.run(readings) } })
            let reference = Measure.median(results[0])
            for (name, result) in zip(["reference (double)", "default", "light"], results) {
                report.time("\(count), \(name)", result, reference: reference)
            }
        }
        let standard = Detector(profile: .standard)
        let light = Detector(profile: .light)
        report.begin("state", "Learned state in bytes:", ["profile", "a stream", "a channel", "a univariate stream"])
        for (name, stream, channel) in [
            ("default", standard.streamStateBytes, standard.channelStateBytes), ("light", light.streamStateBytes, light.channelStateBytes),
        ] { report.row([name, "\(stream)", "\(channel)", "\(stream + channel)"]) }
    }

    /// Cost against the number of streams.
    func curve() {
        report.begin(
            "streams", "One reading of one channel, parse to episode, against the number of streams:",
            ["streams", "ns a line", "min-max", "million lines/s", "x one stream"])
        for (name, profile, counts) in [
            ("default", DetectorProfile.standard, [1, 100, 1000, 10_000, 50_000]),
            ("light", .light, [1, 100, 1000, 10_000, 100_000, 400_000]),
        ] {
            var reference = 0.0
            for count in counts {
                let lines = max(50_000, count)
                let warm = count == 1 ? 1 : min(130, (130 * count + lines - 1) / lines)
                let load = Workload(streams: count, channels: 1, lines: lines, segments: min(warm, 12) + rounds)
                let pipe = Pipe(.detector(profile), streams: count, channels: 1)
                for segment in 0..<min(warm, 12) { pipe.run(load, segment) }
                let result = Measure.interleaved(rounds, per: lines, [{ pipe.run(load, min(warm, 12) + $0) }])[0]
                if reference == 0 { reference = Measure.median(result) }
                report.time("\(name), \(count)", result, reference: reference)
            }
        }
    }

    /// Cost against the age of a stream.
    func age() {
        report.begin(
            "age", "One stream, parse to episode, against its age, in rounds with a stream of 30,000 to \((3 + rounds) * 10),000 readings:",
            ["readings", "ns a line", "min-max", "million lines/s", "x young"])
        for (name, profile) in [("default", DetectorProfile.standard), ("light", .light)] {
            let load = Workload(streams: 1, channels: 1, lines: 10_000, segments: 100 + rounds)
            let pipe = Pipe(.detector(profile), streams: 1, channels: 1)
            var next = 0
            for age in [3, 10, 30, 100] {
                while next < age {
                    pipe.run(load, next)
                    next += 1
                }
                let young = Pipe(.detector(profile), streams: 1, channels: 1)
                for segment in 0..<3 { young.run(load, segment) }
                let old = next
                let times = Measure.interleaved(
                    rounds, per: load.lines, [{ pipe.run(load, old + $0) }, { young.run(load, 3 + $0) }])
                next += rounds
                report.time("\(name), \(age * load.lines)", times[0], reference: Measure.median(times[1]))
            }
        }
    }

    /// The test of the hot path: once everything is known, a reading is parsed, interned, batched and scored without one
    /// allocation. Runs in release form, because debug code allocates where optimised code does not. true: it holds.
    func allocations() -> Bool {
        var passed = 0
        var failed = 0
        let stages: [(String, Pipe.Stage)] = [
            ("default", .detector(.standard)), ("light", .detector(.light)), ("GRU 32 forward", .forward),
        ]
        for channels in [1, 6] {
            var cases = stages
            if let model = InProcess.gru(channels: channels) { cases.append(("trained model", .model(model))) }
            for (name, stage) in cases {
                let load = Workload(streams: 100, channels: channels, lines: 20_000, segments: 5)
                let pipe = Pipe(stage, streams: 100, channels: channels)
                pipe.encodes = true
                for segment in 0..<4 { pipe.run(load, segment) }
                let (before, alarmsBefore) = (allocation_count(), pipe.actionsSeen)
                pipe.run(load, 4)
                let (count, alarms) = (allocation_count() - before, pipe.actionsSeen - alarmsBefore)
                // Telling an alert allocates: its sentences, numbers and picture. A reading does not.
                let isFine = count <= 200 * UInt64(alarms) && alarms < load.lines / 400
                if isFine { passed += 1 } else { failed += 1 }
                print(
                    "\(isFine ? "ok  " : "FAIL") \(name), \(channels) channels: \(count) allocations for \(load.lines) readings and \(alarms) steps of alerts"
                )
            }
        }
        print("\(passed) passed, \(failed) failed")
        return failed == 0
    }
}
