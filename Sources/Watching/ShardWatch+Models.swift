import Detection
import Models
import Readings

/// Streams on trained models.
extension ShardWatch {
    /// The model that the present assignments name for a stream; nil for the built-in network.
    private func assignment(of key: String) -> ModelAssignment? {
        guard let first = assignments.first(where: { settings.matches($0.match, key) }), !first.model.isEmpty else { return nil }
        return first
    }

    /// The seat of a new stream.
    mutating func seat(for key: String) -> ModelSeat? {
        guard !assignments.isEmpty, let assignment = assignment(of: key) else { return nil }
        return seat(assignment.model, assignment.label)
    }

    /// A seat on a stored model. nil, and remembered, when the store does not have it: the stream goes on without.
    mutating func seat(_ id: String, _ label: String) -> ModelSeat? {
        guard let model = settings.model(id) else {
            missingModels.insert(label)
            return nil
        }
        return ModelSeat(model, detector: detector)
    }

    /// Other models run from here on. A stream whose model changes takes it up with its next reading if it fits, so that a change of
    /// many streams does not hold up the others; if not, it goes back to the built-in network now.
    /// - Parameter isAffected: false for streams whose state already contains it.
    mutating func assign(_ models: [ModelAssignment], isAffected: (Int) -> Bool) {
        assignments = models
        for local in slots.indices where slots[local].state != nil && slots[local].id != 0 && isAffected(local) {
            let wanted = assignment(of: slots[local].key)
            guard wanted?.model ?? "" != slots[local].seat?.model.id ?? "" else { continue }
            blocks[local / StreamNumber.perBlock].pendingWrites = 2
            let before = slots[local].seat
            let next = wanted.flatMap { seat($0.model, $0.label) }
            setSeat(local, next)
            next?.match(slots[local].names)
            if let next, fits(next, local) { continue }
            if let before, before.isBound { release(before.channelOf, local) }
        }
    }

    /// Before the first batch: what the journal had said by then.
    public mutating func begin(assignments: [ModelAssignment]) { self.assignments = assignments }

    /// One reading of a stream on a model: the network steps, and the channels it knows get its features.
    /// `inputs[..<count]` are the channels of the reading.
    mutating func drive(_ seat: ModelSeat, _ local: Int, _ count: Int) {
        seat.match(slots[local].names)
        if !seat.isBound, !bind(seat, local) { return }
        for i in 0..<count { seat.take(channel: Int(inputs[i].index), inputs[i].value) }
        seat.step()
        for i in 0..<count {
            let input = seat.inputOf[Int(inputs[i].index)]
            guard input >= 0, inputs[i].value.isFinite else { continue }
            seat.setFeatures(detector, input: input, channel: inputs[i].state)
            inputs[i].isDriven = true
        }
    }

    /// Whether the stream has every channel that the model wants, with enough readings. Once true it stays true.
    private func fits(_ seat: ModelSeat, _ local: Int) -> Bool {
        seat.channelOf.allSatisfy { $0 >= 0 && detector.moments(channel: slots[local].channels[$0]).readings >= ModelSeat.readingsMin }
    }

    /// The model takes over, if every channel it wants has had enough readings: it hears the newest readings, the readouts learn on
    /// them what its features say, and the stream is judged again after a moment, as after a gap.
    private mutating func bind(_ seat: ModelSeat, _ local: Int) -> Bool {
        let model = seat.model
        guard let state = slots[local].state, fits(seat, local) else { return false }
        let channels = seat.channelOf.map { slots[local].channels[$0] }
        let moments = channels.map { detector.moments(channel: $0) }
        seat.begin(
            model.scale(of: slots[local].key)
                ?? ModelCard.Scale(
                    mean: moments.map(\.mean), deviation: moments.map { $0.deviation > 1e-9 * max(1, abs($0.mean)) ? $0.deviation : 1 }))
        let (rows, times) = recentRows(local, seat.channelOf)
        for (input, channel) in channels.enumerated() {
            // The network runs through the remembered readings once for every channel; the last run's state stays.
            seat.begin(
                ModelCard.Scale(
                    mean: (0..<model.inputCount).map { seat.mean[$0] }, deviation: (0..<model.inputCount).map { seat.deviation[$0] }))
            detector.adopt(
                channel: channel, forecastOf: seat.forecastFeatures,
                readings: zip(rows, times).map { .init(value: $0[input], time: $1) },
                features: { row in
                    seat.step(rows[row])
                    seat.setFeatures(detector, input: input, channel: channel)
                })
        }
        if let last = rows.last {
            for i in 0..<model.inputCount { seat.values[i] = last[i] }
        } else {
            for (i, channel) in channels.enumerated() { seat.values[i] = channelExtra(channel).pointee.lastValue }
        }
        detector.beginAnew(stream: state)
        return true
    }

    /// The built-in network takes over again.
    mutating func release(_ places: [Int], _ local: Int) {
        guard let state = slots[local].state else { return }
        for place in places where place >= 0 && place < slots[local].channels.count {
            let (rows, times) = recentRows(local, [place])
            detector.release(channel: slots[local].channels[place], readings: zip(rows, times).map { .init(value: $0[0], time: $1) })
        }
        detector.beginAnew(stream: state)
    }

    /// The newest readings of some channels, oldest first, from the first on that has all of them; a missing value is the one before.
    private func recentRows(_ local: Int, _ places: [Int]) -> (rows: [[Double]], times: [Int64]) {
        let extra = extra(local)
        let channels = places.map { channelExtra(slots[local].channels[$0]) }
        var rows: [[Double]] = []
        var times: [Int64] = []
        var last = [Double](repeating: .nan, count: places.count)
        let count = min(extra.pointee.readings, UInt64(StreamExtra.ring))
        for number in (extra.pointee.readings - count)..<extra.pointee.readings {
            let place = Int(number % UInt64(StreamExtra.ring))
            var isNew = false
            for (i, channel) in channels.enumerated() where !channel.pointee.recent[place].isNaN {
                last[i] = Double(channel.pointee.recent[place])
                isNew = true
            }
            guard isNew, !last.contains(where: \.isNaN) else { continue }
            rows.append(last)
            times.append(extra.pointee.recentTimes[place])
        }
        return (rows, times)
    }

    /// Streams on each model by its id: how many it drives and how many wait for channels or readings.
    public func modelUse() -> [String: (bound: Int, waiting: Int)] {
        var use: [String: (bound: Int, waiting: Int)] = [:]
        for slot in slots where slot.state != nil {
            guard let seat = slot.seat else { continue }
            use[seat.model.id, default: (0, 0)].bound += seat.isBound ? 1 : 0
            use[seat.model.id, default: (0, 0)].waiting += seat.isBound ? 0 : 1
        }
        return use
    }

    /// What a stream's model does, in words; nil without one.
    func modelState(_ local: Int) -> String? {
        guard let seat = slots[local].seat else { return nil }
        if seat.isBound { return "runs since \(seat.readings) readings" }
        let missing = seat.missing()
        if !missing.isEmpty { return "waits: the stream has no channel \(missing.joined(separator: ", "))" }
        return "waits for \(ModelSeat.readingsMin) readings of each of its channels"
    }
}
